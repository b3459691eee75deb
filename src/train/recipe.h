#ifndef RAMIFY_TRAIN_RECIPE_H
#define RAMIFY_TRAIN_RECIPE_H
/* The recipe: what training does where the caller left a choice open, with the reason for every
 * number. */

#include "grow.h"
#include "problem.h"

/* One way of building experts: what the stem does, and the shape. */
typedef struct ramify_design {
    ramify_encoder_options encoder;
    uint32_t hidden_layers;
    uint32_t widths[RAMIFY_MLP_LAYERS_MAX]; /* widths[0] 0: chosen */
    uint32_t members;
} ramify_design;

/* Text of a trained model's ramify.config without the schema: options, scores, counts. An estimate;
 * the finished model is held against the bound again. */
#define RAMIFY_TRAINED_CONFIG_BYTES 3072

/* Stems and shapes that are compared at most. */
#define RAMIFY_STEMS_MAX  4
#define RAMIFY_SHAPES_MAX 4

/* Hidden layers and members of a shape; its width is what fits. */
typedef struct ramify_shape_choice {
    uint32_t hidden_layers, members;
} ramify_shape_choice;

/* Hidden layers, their width, and members of a teacher. */
typedef struct ramify_teacher_shape {
    uint32_t hidden_layers, width, members;
} ramify_teacher_shape;

#define RAMIFY_TEACHERS_MAX 4

typedef struct ramify_recipe {
    ramify_encoder_options stem[RAMIFY_STEMS_MAX];
    uint32_t stem_count;
    ramify_shape_choice shape[RAMIFY_SHAPES_MAX]; /* the first is tried with every stem */
    uint32_t shape_count;
    uint32_t widths[RAMIFY_MLP_LAYERS_MAX]; /* given by the caller; widths[0] 0: chosen */
    float slope;                            /* initial slope: PReLU's, or 0 */
    ramify_expert_plan root;                /* seed, schedule, regularisation */
    double trial_share; /* share of the epochs for which stems, shapes and routings are tried */
    bool one_fold;      /* rows must not be mixed: compare designs on select rows only */
    ramify_grow_plan grow;
    uint32_t usual_child_epochs; /* without the caller's wish */

    /* Distillation (teacher.h). */
    ramify_choice distillation; /* AUTO: select rows choose between roots with and without */
    ramify_teacher_shape teacher[RAMIFY_TEACHERS_MAX];
    uint32_t teacher_count;
    ramify_expert_plan teaching; /* how teachers are trained */
    double made_rows_share;      /* rows made up per training row */
    double most_made_rows;
    double trust;  /* share of the teachers' misses on training rows that is taken for noise */
    double spread; /* how far towards its neighbour a made-up row lies at most; 0 .. 1 */

    struct ramify_fits *fits; /* fits.h; NULL: neither shared nor kept */
    bool tree;                /* grow a tree */
    ramify_choice gradient_routing;
    uint64_t resident_bytes; /* bound; 0: none */
} ramify_recipe;

/* The bound on the trained model's resident bytes, 0: none. The default is for experts: a Para-Former
 * has none unless another is given. */
uint64_t ramify_train_resident(const ramify_train_options *options);

/* Whether training images are to be changed. */
bool ramify_train_augments(const ramify_train_options *options);

/* Parses "64,64,64" into widths; false when it is not a list of whole numbers in range. */
bool ramify_hidden_parse(const char *text, uint32_t *widths /* RAMIFY_MLP_LAYERS_MAX - 1 */,
                         uint32_t *count);

/* Rows that a root with teachers sees, in those of a root on the table alone (study). */
#define RAMIFY_DISTILLED_ROOT_VISITS 1.5

/* Plans for an enlarged problem. */
typedef struct ramify_distilled_plans {
    ramify_expert_plan root;
    ramify_grow_plan grow;
} ramify_distilled_plans;

/* How root and tree are trained on a problem with the teachers' rows. */
ramify_distilled_plans ramify_recipe_distilled(const ramify_recipe *recipe,
                                               const ramify_problem *enlarged);

/* Passes over so many training rows that the root of a recipe takes. */
uint32_t ramify_recipe_epochs(size_t rows, const ramify_train_options *options);

/* The same of an expert below it that has so many rows of its own. */
uint32_t ramify_recipe_child_epochs(size_t rows, const ramify_train_options *options);

/* Whether a training on so many rows has teachers, or tries them. */
bool ramify_recipe_teaches(size_t rows, const ramify_train_options *options);

/* Turns checked options into a recipe for the problem. */
void ramify_recipe_make(const ramify_problem *problem, const ramify_train_options *options,
                        ramify_recipe *recipe);

#endif
