/* Numbers marked "study" come from the comparison in docs/recipe.md, made on rows held out of
 * training rows. */

#include "recipe.h"
#include "folds.h"
#include "tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Study: 60 passes; small tables need a least number of steps, large ones are done after fewer
 * passes. */
#define ROOT_EPOCHS       60
#define LEAST_STEPS       15000
#define MOST_STEPS        90000
#define CHILD_EPOCHS      30
#define USUAL_BATCH       64
#define CHILD_LEAST_STEPS 600
/* Periodic features are two numbers per column and frequency; with more columns than this they
 * crowd out the rest. */
#define PERIODIC_COLUMNS_MAX 40
#define FREQUENCIES          2
#define FREQUENCY_DEVIATION  0.1
/* Bins cost about 500 bytes of resident memory per column. */
#define BINS_COLUMNS_MAX 256
#define BINS             16
/* A normal deviate exceeds 1.5 in 6.7 of a hundred cases, 2 in 2.3: together they bound the share of
 * permuted partitions that pass (measured in tests/unit/train/test_grow.c). */
#define LEVEL_THRESHOLD 1.5
#define SPLIT_THRESHOLD 2.0
/* Of the resident bytes, for the directions of gradient routing. */
#define ROUTING_SHARE_MAX 0.15
/* Trials this long rank stems and shapes as full fits do, but for near ties (study). */
#define TRIAL_SHARE 0.15
/* Distillation (study). Ensembles of small nets teach better than one large net in the same time;
 * members help where the target is noisy and cost where it is not, so there are both kinds. */
#define TEACHER_EPOCHS_SHARE 0.32
#define MADE_ROWS_SHARE      6.0
#define LEAST_MADE_ROWS      20000.0 /* or for few rows: */
#define MADE_ROWS_SHARE_MAX  24.0
#define MOST_MADE_ROWS       400000.0
#define MADE_FLOATS_MAX      2.5e8 /* 1 GiB of plain features, features, points and targets */
/* Fewer rows than this are not worth teachers: nothing changes beyond noise (study). */
#define LEAST_TAUGHT_ROWS 1500
#define TRUST             0.5
#define SPREAD            0.5
/* As RAMIFY_DISTILLED_ROOT_VISITS, for a level of the tree. */
#define DISTILLED_LEVEL_VISITS 1.3
/* Slope of a PReLU at the start (He and others 2015). */
#define PRELU_SLOPE 0.25f
/* Optimiser: AdamW with a linear rise and a cosine fall (study). */
#define RATE      0.006
#define WARM_UP   0.1
#define DECAY     0.1
#define SMOOTHING 0.05 /* of labels */
/* Children: the part of the root's rate that their first level has, its share from level to level, the average of
 * weights kept per step, and what a row borrowed from a sibling counts beside an own one (study). */
#define CHILD_RATE_PART 3
#define RATE_SHARE      0.5
#define AVERAGE         0.99
#define BORROW_WEIGHT   0.3
/* Leaves of the default depth: three levels of arity 4. */
#define USUAL_LEAVES 64
/* A fully grown tree of nodes that halve their rows does not get deeper than this. */
#define DEPTH_MAX 12

bool ramify_hidden_parse(const char *text, uint32_t *widths, uint32_t *count) {
    *count = 0;
    for (;;) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        unsigned long width = strtoul(text, &end, 10);
        if (width < 1 || width > RAMIFY_MLP_WIDTH_MAX || *count >= RAMIFY_MLP_LAYERS_MAX - 1)
            return false;
        widths[(*count)++] = (uint32_t)width;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

static uint32_t epochs_for(size_t rows, uint32_t batch, uint32_t epochs, double least,
                           double most) {
    double steps = (double)((rows + batch - 1) / batch);
    if (epochs * steps < least)
        epochs = (uint32_t)(least / steps + 0.5);
    if (epochs * steps > most)
        epochs = (uint32_t)(most / steps + 0.5);
    return epochs > 0 ? epochs : 1;
}

uint32_t ramify_recipe_epochs(size_t rows, const ramify_train_options *options) {
    const uint32_t batch = options->batch ? options->batch : USUAL_BATCH;
    return options->epochs ? options->epochs
                           : epochs_for(rows, batch, ROOT_EPOCHS, LEAST_STEPS, MOST_STEPS);
}

static uint32_t usual_child_epochs(size_t rows, const ramify_train_options *options) {
    const uint32_t batch = options->batch ? options->batch : USUAL_BATCH;
    return epochs_for(rows, batch, CHILD_EPOCHS, CHILD_LEAST_STEPS, MOST_STEPS / 2.0);
}

uint32_t ramify_recipe_child_epochs(size_t rows, const ramify_train_options *options) {
    return options->child_epochs ? options->child_epochs : usual_child_epochs(rows, options);
}

bool ramify_recipe_teaches(size_t rows, const ramify_train_options *options) {
    return options->distillation == RAMIFY_CHOICE_ON ||
           (options->distillation == RAMIFY_CHOICE_AUTO && rows >= LEAST_TAUGHT_ROWS);
}

static void choose_stems(const ramify_problem *problem, const ramify_train_options *options,
                         ramify_recipe *recipe) {
    uint32_t columns = problem->stem.columns;
    bool may_bin = options->bins == RAMIFY_CHOICE_ON ||
                   (options->bins == RAMIFY_CHOICE_AUTO && columns <= BINS_COLUMNS_MAX);
    bool may_wave = options->periodic == RAMIFY_CHOICE_ON ||
                    (options->periodic == RAMIFY_CHOICE_AUTO && columns <= PERIODIC_COLUMNS_MAX);
    for (int bins = may_bin; bins >= (options->bins == RAMIFY_CHOICE_ON); bins--)
        for (int periodic = may_wave; periodic >= (options->periodic == RAMIFY_CHOICE_ON);
             periodic--)
            recipe->stem[recipe->stem_count++] = (ramify_encoder_options){
                .bins = bins,
                .bin_count = BINS,
                .frequencies = periodic ? FREQUENCIES : 0,
                .frequency_deviation = FREQUENCY_DEVIATION,
                .seed = options->seed,
            };
}

static void choose_shapes(const ramify_train_options *options, ramify_recipe *recipe) {
    static const ramify_shape_choice shapes[RAMIFY_SHAPES_MAX] = {{3, 2}, {3, 4}, {3, 1}, {2, 1}};
    uint32_t layers = 0;
    if (options->hidden)
        ramify_hidden_parse(options->hidden, recipe->widths, &layers);
    for (size_t i = 0; i < RAMIFY_SHAPES_MAX; i++) {
        ramify_shape_choice shape = {
            .hidden_layers = layers ? layers : shapes[i].hidden_layers,
            .members = options->members ? options->members : shapes[i].members,
        };
        bool known = false;
        for (uint32_t k = 0; k < recipe->shape_count; k++)
            known = known || (recipe->shape[k].hidden_layers == shape.hidden_layers &&
                              recipe->shape[k].members == shape.members);
        if (!known)
            recipe->shape[recipe->shape_count++] = shape;
    }
}

static void plan_distillation(const ramify_problem *problem, const ramify_train_options *options,
                              ramify_recipe *recipe) {
    static const ramify_teacher_shape shapes[RAMIFY_TEACHERS_MAX] = {
        {3, 128, 1}, {3, 96, 2}, {3, 128, 1}, {3, 96, 2}};
    recipe->distillation = ramify_recipe_teaches(problem->train.count, options)
                               ? options->distillation
                               : RAMIFY_CHOICE_OFF;
    memcpy(recipe->teacher, shapes, sizeof shapes);
    recipe->teacher_count = RAMIFY_TEACHERS_MAX;
    recipe->teaching = recipe->root;
    recipe->teaching.rewind_at = 0;
    recipe->teaching.epochs = (uint32_t)ceil(recipe->root.epochs * TEACHER_EPOCHS_SHARE);
    double least = LEAST_MADE_ROWS / (double)problem->train.count;
    recipe->made_rows_share = least > MADE_ROWS_SHARE ? least : MADE_ROWS_SHARE;
    if (recipe->made_rows_share > MADE_ROWS_SHARE_MAX)
        recipe->made_rows_share = MADE_ROWS_SHARE_MAX;
    double floats = 3.0 * problem->stem.plain + problem->outputs;
    recipe->most_made_rows =
        MOST_MADE_ROWS * floats < MADE_FLOATS_MAX ? MOST_MADE_ROWS : MADE_FLOATS_MAX / floats;
    recipe->trust = TRUST;
    recipe->spread = SPREAD;
}

static uint32_t epochs_of_visits(double visits, const ramify_problem *problem) {
    double epochs = visits / (double)problem->train.count + 0.5;
    return epochs < 1 ? 1 : (uint32_t)epochs;
}

ramify_distilled_plans ramify_recipe_distilled(const ramify_recipe *recipe,
                                               const ramify_problem *enlarged) {
    ramify_distilled_plans plans = {.root = recipe->root, .grow = recipe->grow};
    double own = (double)enlarged->observed.count, all = (double)enlarged->train.count;
    double visits = recipe->root.epochs * own;
    plans.root.epochs = epochs_of_visits(RAMIFY_DISTILLED_ROOT_VISITS * visits, enlarged);
    plans.root.smoothing = 0; /* the teachers' answers are smooth */
    ramify_grow_plan *grow = &plans.grow;
    double child =
        visits * DISTILLED_LEVEL_VISITS * recipe->grow.expert.epochs / recipe->usual_child_epochs;
    grow->expert.epochs = epochs_of_visits(child, enlarged);
    grow->expert.smoothing = 0;
    grow->expert.cosine = true;
    grow->expert.rate = recipe->root.rate / 2;
    /* There are rows enough: none need be borrowed, and the last weights are the best. */
    grow->borrow = 0;
    grow->expert.keep_last = true;
    grow->smallest_node = (uint32_t)(recipe->grow.smallest_node * all / own);
    return plans;
}

void ramify_recipe_make(const ramify_problem *problem, const ramify_train_options *options,
                        ramify_recipe *recipe) {
    *recipe = (ramify_recipe){0};
    bool classes = problem->label != NULL;
    uint32_t batch = options->batch ? options->batch : USUAL_BATCH;
    size_t rows = problem->train.count;
    recipe->slope = options->activation == RAMIFY_ACTIVATION_PRELU ? PRELU_SLOPE : 0.0f;
    recipe->resident_bytes = ramify_train_resident(options);
    recipe->gradient_routing = options->gradient_routing;
    /* The directions take a matrix that must be held too: not at the cost of the experts. */
    double matrix = (double)problem->stem.plain * (double)problem->plain_stride * sizeof(float);
    if (options->gradient_routing == RAMIFY_CHOICE_AUTO && recipe->resident_bytes > 0 &&
        matrix > ROUTING_SHARE_MAX * (double)recipe->resident_bytes)
        recipe->gradient_routing = RAMIFY_CHOICE_OFF;
    recipe->trial_share = TRIAL_SHARE;
    recipe->one_fold = options->group || options->time;
    recipe->tree = strcmp(options->kind, "pathways") == 0 && options->leaves != 1;
    recipe->root = (ramify_expert_plan){
        .epochs = ramify_recipe_epochs(rows, options),
        .batch = batch,
        .rate = options->rate > 0 ? options->rate : RATE,
        .warm_up = WARM_UP,
        .cosine = true,
        .decay = options->decay >= 0 ? options->decay : DECAY,
        .smoothing = classes ? SMOOTHING : 0.0,
        .checks = 15,
        /* Few rows cannot tell an annealed fit from an earlier snapshot of it. Classifiers get
         * overconfident towards the end, and gain by it (study). */
        .keep_last = !classes && problem->select.count < RAMIFY_SELECT_ENOUGH,
        .train_slope = options->activation == RAMIFY_ACTIVATION_PRELU,
        .rewind_at = options->rewind_at,
        .seed = options->seed,
    };
    ramify_grow_plan *grow = &recipe->grow;
    *grow = (ramify_grow_plan){
        .partition = RAMIFY_PARTITION_KMEANS,
        .arity = options->arity,
        .leaves = options->leaves,
        .smallest_node = options->smallest_node,
        .untested_levels = options->split_test == RAMIFY_CHOICE_OFF ? UINT32_MAX : 0,
        .level_threshold = LEVEL_THRESHOLD,
        .split_threshold = SPLIT_THRESHOLD,
        .borrow = options->borrow == RAMIFY_CHOICE_OFF ? 0.0 : 1.0,
        .borrow_weight = BORROW_WEIGHT,
        .rate_share = RATE_SHARE,
    };
    if (strcmp(options->tree, "dyadic") == 0)
        grow->partition = RAMIFY_PARTITION_DYADIC;
    else if (strcmp(options->tree, "random") == 0)
        grow->partition = RAMIFY_PARTITION_RANDOM;
    /* As deep as the default arity's three levels would reach, or as the leaves asked for need. */
    uint32_t arity = grow->partition == RAMIFY_PARTITION_DYADIC ? 2 : options->arity;
    uint32_t leaves = options->leaves ? options->leaves : USUAL_LEAVES;
    uint32_t depth = 0;
    for (double reach = 1; reach < leaves && depth < DEPTH_MAX; reach *= arity)
        depth++;
    grow->depth = depth;
    grow->expert = recipe->root;
    grow->expert.rate = recipe->root.rate / CHILD_RATE_PART;
    grow->expert.warm_up = 0;
    grow->expert.cosine = false;
    grow->expert.keep_last = false;
    grow->expert.average = options->averaging == RAMIFY_CHOICE_OFF ? 0.0 : AVERAGE;
    grow->expert.checks = 10;
    recipe->usual_child_epochs = usual_child_epochs(rows / arity, options);
    grow->expert.epochs = ramify_recipe_child_epochs(rows / arity, options);
    plan_distillation(problem, options, recipe);
    choose_stems(problem, options, recipe);
    choose_shapes(options, recipe);
}
