#ifndef RAMIFY_TESTS_RANDOM_MODEL_H
#define RAMIFY_TESTS_RANDOM_MODEL_H
/* Random models of any shape, and what they should predict, computed the slow and readable way. */

#include "draft.h"
#include "model.h"
#include "random.h"

typedef struct random_model_options {
    uint32_t numeric, categorical; /* input columns */
    bool missing;                  /* numeric columns know missing values */
    bool bins, route;
    uint32_t frequencies;
    ramify_task task;
    uint32_t outputs;       /* targets, or classes */
    uint32_t arity, levels; /* most children, most nodes on a path; levels 0: one module */
    uint32_t hidden[3];     /* widths; 0: no such layer */
    uint32_t members;
    uint32_t
        packed; /* 0: networks as they are; 1 to 3: packed with weights of type packed - 1; 4 to 6:
                           sparse (float32: masked), of type packed - 4; 7: sparse, of float32 */
    uint32_t modules; /* shared by the leaves at random; 0: one per leaf */
    uint32_t series;  /* of a regression: one leaf in so many has a series; 1: all; 0: none */
    bool notes;
    uint64_t seed;
} random_model_options;

/* Two numeric columns, one category, a tree of two levels, everything small. */
random_model_options random_model_defaults(void);

#define RANDOM_MODEL_PACKINGS 7

/* Random options: every feature on or off, all sizes small. */
random_model_options random_model_any(uint64_t seed);

typedef struct random_model {
    ramify_context *context;
    ramify_random random;
    ramify_schema schema;
    ramify_stem stem;
    ramify_stem_column *columns;
    double *center, *scale, *head_center, *head_scale;
    float *knots, *table, *frequency, *route, *prototypes;
    float **modules; /* packed ones as they are unpacked */
    void **packed;   /* their records; NULL: none */
    uint32_t *packed_bytes, *packed_numbers;
    uint32_t module_count;
    ramify_series_header **series; /* draft.series_count */
    ramify_draft_node *nodes;
    uint32_t leaves;
    uint32_t *leaf;           /* number of every node that is one */
    ramify_draft_notes notes; /* of the next five */
    ramify_note *residuals, *distances;
    float *note_center, *reach, *spread;
    ramify_draft draft;
} random_model;

random_model *random_model_create(ramify_context *context, const random_model_options *options);
void random_model_destroy(random_model *model);

/* The file's content; free with ramify_release. */
void *random_model_bytes(random_model *model, size_t *size);
/* A model opened from it. */
ramify_model *random_model_open(random_model *model);

/* A raw row, with missing values, unseen codes and values far outside now and then. */
void random_model_row(random_model *model, double *x /* columns */);

/* What the model should predict: y[outputs]. Returns the module that the row is sent to. */
uint32_t random_model_predict(const random_model *model, const double *x, double *y);

/* Interval and novelty of a row, in a model with notes. Returns the novelty; low and high [targets]
 * lie around y, and are left alone in a classification. */
double random_model_note(const random_model *model, const double *x, const double *y, double level,
                         double *low, double *high);

/* The same with up to top_k experts per row, from the weights of all leaves; none may weigh the
 * same as another (blend.h says what is computed). */
void random_model_blend(const random_model *model, const double *x, uint32_t top_k, double band,
                        double *y);

#endif
