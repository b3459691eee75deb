#ifndef RAMIFY_TRAIN_AUGMENT_H
#define RAMIFY_TRAIN_AUGMENT_H
/* Changes to training images that leave what they show as it is, a fresh one for every image and
 * pass: the set of RandAugment (Cubuk et al. 2019), less what small images do not bear (posterising
 * and the like), after a crop with padding and a flip (He et al. 2015, section 4.2), before random
 * erasing (Zhong et al. 2017).
 *
 * An image is a row of plain features, height x breadth x channels, channel fastest. All its pixels
 * are expected to be standardised alike within a channel: one center, one scale.
 *
 * What is drawn for an image depends on (seed, pass, row) alone. */

#include "ramify.h"

/* Ranges at magnitude 1; an operation draws a strength uniformly from its range, and its sign. */
#define RAMIFY_AUGMENT_SHIFT    0.25 /* of the side, along x or y */
#define RAMIFY_AUGMENT_ROTATION 30.0 /* degrees */
#define RAMIFY_AUGMENT_SHEAR    0.3  /* pixels aside per pixel */
#define RAMIFY_AUGMENT_ZOOM     0.3  /* sides become up to 1.3 times as long, or as short */
#define RAMIFY_AUGMENT_LIGHT    0.5  /* values are multiplied by 0.5 .. 1.5 */
#define RAMIFY_AUGMENT_CONTRAST 0.5  /* differences from the image's mean are */

/* A rectangle that is erased: its share of the area, and its height over its breadth, drawn
 * uniformly in the logarithm. */
#define RAMIFY_AUGMENT_ERASE_LEAST 0.02
#define RAMIFY_AUGMENT_ERASE_MOST  0.2
#define RAMIFY_AUGMENT_ERASE_LONG  3.0

typedef struct ramify_augmentation {
    uint32_t height, breadth, channels; /* 0: the rows are no images, and nothing is changed */
    uint32_t crop;       /* moved by -crop .. crop pixels along x and y; what enters is `black` */
    bool flip;           /* left and right change places in half of the images */
    uint32_t operations; /* drawn, with replacement, from: shift along x, along y, rotate, shear
                            along x, along y, zoom, light, contrast */
    double magnitude;    /* 0 .. 1: share of the ranges that is used */
    double erase;        /* probability that a rectangle becomes `black` */
    const float *black;  /* channels: plain feature of the pixel value 0; NULL: 0 */
} ramify_augmentation;

/* Names that users give, separated by commas, of what is done to images: "crop" by an eighth of the
 * shorter side at most, "flip", "randaugment" for two operations of half the ranges, "erase" one image
 * in ten. Sizes and black are left as they are; false where a name is none of these. */
bool ramify_augmentation_read(const char *names, ramify_augmentation *augmentation);

/* NULL, or what is wrong, as the end of a sentence. */
const char *ramify_augmentation_error(const ramify_augmentation *augmentation);

/* to[height x breadth x channels] = from, changed as (seed, pass, row) say. Geometric changes are
 * one map, with linear interpolation between four pixels; a crop or flip alone moves pixels whole.
 * Light and contrast do not clip. `from` and `to` must not overlap. */
void ramify_augment(const ramify_augmentation *augmentation, uint64_t seed, uint64_t pass,
                    uint64_t row, const float *from, float *to);

#endif
