/* One image: draw what is done, compose its geometric part into one affine map from places in the
 * result to places in the source, and its light and contrast into one gain and shift. */

#include "augment.h"
#include "random.h"
#include "text.h"

#include <math.h>
#include <string.h>

#define DEGREE (3.14159265358979323846 / 180)

enum { SHIFT_X, SHIFT_Y, ROTATE, SHEAR_X, SHEAR_Y, ZOOM, LIGHT, CONTRAST, OPERATIONS };

/* Places are measured from the image's middle, y downwards: source = turn (place) + shift. */
typedef struct change {
    double turn[2][2]; /* rows: y, x */
    double shift[2];
    double light, contrast; /* factors */
    bool whole;             /* pixels go to pixels: only moves and flips */
} change;

bool ramify_augmentation_read(const char *names, ramify_augmentation *augmentation) {
    static const char *const known[] = {"crop", "flip", "randaugment", "erase"};
    enum { CROP, FLIP, RANDAUGMENT, ERASE, KNOWN };
    ramify_augmentation *a = augmentation;
    const char *name;
    size_t length;
    bool any = false;
    while (ramify_list_next(&names, &name, &length)) {
        size_t i = 0;
        while (i < KNOWN && (strlen(known[i]) != length || memcmp(known[i], name, length) != 0))
            i++;
        if (i == KNOWN)
            return false;
        any = true;
        if (i == CROP)
            a->crop = (a->height < a->breadth ? a->height : a->breadth) / 8;
        a->flip = a->flip || i == FLIP;
        if (i == RANDAUGMENT) {
            a->operations = 2;
            a->magnitude = 0.5;
        }
        if (i == ERASE)
            a->erase = 0.1;
    }
    return any;
}

const char *ramify_augmentation_error(const ramify_augmentation *augmentation) {
    if (!(augmentation->magnitude >= 0 && augmentation->magnitude <= 1))
        return "the magnitude of changes to images is not between 0 and 1";
    if (!(augmentation->erase >= 0 && augmentation->erase <= 1))
        return "the probability of erasing is not between 0 and 1";
    if (augmentation->height > 0 &&
        (augmentation->crop >= augmentation->height || augmentation->crop >= augmentation->breadth))
        return "images are moved by their whole side";
    return NULL;
}

/* The map becomes: first `turn` on the place, then what the map did. */
static void turn_first(change *c, const double turn[2][2]) {
    double made[2][2];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            made[i][j] = c->turn[i][0] * turn[0][j] + c->turn[i][1] * turn[1][j];
    memcpy(c->turn, made, sizeof made);
    c->whole = false;
}

/* First a move on the place. */
static void shift_first(change *c, double y, double x) {
    c->shift[0] += c->turn[0][0] * y + c->turn[0][1] * x;
    c->shift[1] += c->turn[1][0] * y + c->turn[1][1] * x;
}

static void draw_operation(const ramify_augmentation *a, ramify_random *random, change *c) {
    uint64_t operation = ramify_random_below(random, OPERATIONS);
    double strength = a->magnitude * (2 * ramify_random_uniform(random) - 1);
    switch (operation) {
    case SHIFT_X:
        shift_first(c, 0, strength * RAMIFY_AUGMENT_SHIFT * a->breadth);
        c->whole = false;
        break;
    case SHIFT_Y:
        shift_first(c, strength * RAMIFY_AUGMENT_SHIFT * a->height, 0);
        c->whole = false;
        break;
    case ROTATE: {
        double angle = strength * RAMIFY_AUGMENT_ROTATION * DEGREE;
        turn_first(c, (const double[2][2]){{cos(angle), -sin(angle)}, {sin(angle), cos(angle)}});
        break;
    }
    case SHEAR_X:
        turn_first(c, (const double[2][2]){{1, 0}, {strength * RAMIFY_AUGMENT_SHEAR, 1}});
        break;
    case SHEAR_Y:
        turn_first(c, (const double[2][2]){{1, strength * RAMIFY_AUGMENT_SHEAR}, {0, 1}});
        break;
    case ZOOM: {
        double factor = pow(1 + RAMIFY_AUGMENT_ZOOM, strength);
        turn_first(c, (const double[2][2]){{factor, 0}, {0, factor}});
        break;
    }
    case LIGHT:
        c->light *= 1 + strength * RAMIFY_AUGMENT_LIGHT;
        break;
    default:
        c->contrast *= 1 + strength * RAMIFY_AUGMENT_CONTRAST;
    }
}

static change draw(const ramify_augmentation *a, ramify_random *random) {
    change c = {.turn = {{1, 0}, {0, 1}}, .light = 1, .contrast = 1, .whole = true};
    double dy = 0, dx = 0;
    if (a->crop > 0) {
        dy = (double)ramify_random_below(random, 2 * (uint64_t)a->crop + 1) - a->crop;
        dx = (double)ramify_random_below(random, 2 * (uint64_t)a->crop + 1) - a->crop;
    }
    if (a->flip && ramify_random_uniform(random) < 0.5)
        c.turn[1][1] = -1;
    for (uint32_t i = 0; i < a->operations; i++)
        draw_operation(a, random, &c);
    shift_first(&c, dy, dx);
    return c;
}

static float black_of(const ramify_augmentation *a, uint32_t channel) {
    return a->black ? a->black[channel] : 0.0f;
}

static void put_black(const ramify_augmentation *a, float *pixel) {
    for (uint32_t k = 0; k < a->channels; k++)
        pixel[k] = black_of(a, k);
}

/* Pixels of a source row or column, or black outside. */
static void move_pixels(const ramify_augmentation *a, const change *c, const float *from,
                        float *to) {
    const int64_t height = a->height, breadth = a->breadth, channels = a->channels;
    const bool flipped = c->turn[1][1] < 0;
    const int64_t down = (int64_t)c->shift[0], aside = (int64_t)c->shift[1];
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < breadth; x++) {
            int64_t sy = y + down, sx = (flipped ? breadth - 1 - x : x) + aside;
            float *pixel = to + (y * breadth + x) * channels;
            if (sy < 0 || sy >= height || sx < 0 || sx >= breadth)
                put_black(a, pixel);
            else
                memcpy(pixel, from + (sy * breadth + sx) * channels,
                       (size_t)channels * sizeof *pixel);
        }
}

/* The pixel at (y, x) of the source, between four; outside it is black. */
static void interpolate(const ramify_augmentation *a, const float *from, double y, double x,
                        float *pixel) {
    const int64_t height = a->height, breadth = a->breadth, channels = a->channels;
    if (!(y > -1 && y < (double)height && x > -1 && x < (double)breadth)) {
        put_black(a, pixel);
        return;
    }
    const double top = floor(y), left = floor(x);
    const float part[2][2] = {{(float)(top + 1 - y), (float)(y - top)},
                              {(float)(left + 1 - x), (float)(x - left)}};
    float share[4];
    const float *corner[4];
    for (int64_t i = 0; i < 4; i++) {
        int64_t sy = (int64_t)top + i / 2, sx = (int64_t)left + i % 2;
        bool inside = sy >= 0 && sy < height && sx >= 0 && sx < breadth;
        share[i] = part[0][i / 2] * part[1][i % 2];
        corner[i] = inside ? from + (sy * breadth + sx) * channels : NULL;
    }
    for (uint32_t k = 0; k < channels; k++) {
        float sum = 0;
        for (int64_t i = 0; i < 4; i++)
            sum += share[i] * (corner[i] ? corner[i][k] : black_of(a, k));
        pixel[k] = sum;
    }
}

static void warp(const ramify_augmentation *a, const change *c, const float *from, float *to) {
    const double middle[2] = {(a->height - 1) / 2.0, (a->breadth - 1) / 2.0};
    for (uint32_t y = 0; y < a->height; y++)
        for (uint32_t x = 0; x < a->breadth; x++) {
            const double place[2] = {y - middle[0], x - middle[1]};
            double source[2];
            for (int i = 0; i < 2; i++)
                source[i] =
                    middle[i] + c->shift[i] + c->turn[i][0] * place[0] + c->turn[i][1] * place[1];
            interpolate(a, from, source[0], source[1],
                        to + ((size_t)y * a->breadth + x) * a->channels);
        }
}

/* Values above black are multiplied by light, then their differences from the mean by contrast. */
static void relight(const ramify_augmentation *a, const change *c, float *image) {
    size_t pixels = (size_t)a->height * a->breadth, channels = a->channels;
    double mean = 0;
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < channels; k++)
            mean += (double)(image[i * channels + k] - black_of(a, (uint32_t)k));
    mean *= c->light / (double)(pixels * channels);
    const float gain = (float)(c->light * c->contrast), shift = (float)(mean * (1 - c->contrast));
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < channels; k++) {
            float black = black_of(a, (uint32_t)k), *value = image + i * channels + k;
            *value = black + gain * (*value - black) + shift;
        }
}

static void erase(const ramify_augmentation *a, ramify_random *random, float *image) {
    double area =
        RAMIFY_AUGMENT_ERASE_LEAST +
        (RAMIFY_AUGMENT_ERASE_MOST - RAMIFY_AUGMENT_ERASE_LEAST) * ramify_random_uniform(random);
    area *= (double)a->height * a->breadth;
    double root = pow(RAMIFY_AUGMENT_ERASE_LONG, ramify_random_uniform(random) - 0.5);
    double sides[2] = {round(sqrt(area) * root), round(sqrt(area) / root)};
    uint32_t height = (uint32_t)fmin(fmax(sides[0], 1), a->height);
    uint32_t breadth = (uint32_t)fmin(fmax(sides[1], 1), a->breadth);
    uint64_t top = ramify_random_below(random, (uint64_t)a->height - height + 1);
    uint64_t left = ramify_random_below(random, (uint64_t)a->breadth - breadth + 1);
    for (uint64_t y = top; y < top + height; y++)
        for (uint64_t x = left; x < left + breadth; x++)
            put_black(a, image + (y * a->breadth + x) * a->channels);
}

void ramify_augment(const ramify_augmentation *augmentation, uint64_t seed, uint64_t pass,
                    uint64_t row, const float *from, float *to) {
    const ramify_augmentation *a = augmentation;
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_AUGMENT, pass, row);
    change c = draw(a, &random);
    if (c.whole)
        move_pixels(a, &c, from, to);
    else
        warp(a, &c, from, to);
    if (c.light != 1 || c.contrast != 1)
        relight(a, &c, to);
    if (a->erase > 0 && ramify_random_uniform(&random) < a->erase)
        erase(a, &random, to);
}
