/* ramify_train: table -> schema, split, problem -> root -> tree -> model, and the controls
 * beside it. */

#include "train.h"
#include "annotate.h"
#include "cluster.h"
#include "controls.h"
#include "divided_sample.h"
#include "divided_tree.h"
#include "finish.h"
#include "fits.h"
#include "leaf_series.h"
#include "memory.h"
#include "nyquist_options.h"
#include "nyquist_train.h"
#include "paraformer_train.h"
#include "progress.h"
#include "score.h"
#include "search.h"
#include "space.h"
#include "status.h"
#include "temperature.h"
#include "train_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of a time limit, what the search for a root may take; the tree has the rest. */
#define ROOT_SHARE 0.7

/* Everything one training holds; cleared by session_clear. */
typedef struct session {
    ramify_context *context;
    const ramify_table *table;
    const ramify_train_options *options;
    double started, deadline;
    ramify_train_rows rows;
    ramify_divided *divided; /* a table too large for one network; NULL: all rows are `problem` */
    ramify_divided_sample *sample; /* of it: what the model is judged by */
    ramify_problem *problem;       /* of a divided table: the sample that the root is found on */
    ramify_problem *enlarged;      /* with rows that teachers answered; NULL: not used */
    ramify_recipe recipe;
    ramify_grow_plan grow; /* for learned_from() */
    ramify_root *root;
    ramify_paraformer_trained *paraformer; /* in the place of root and tree */
    ramify_nyquist *nyquist;               /* likewise */
    ramify_leaf_series *series;            /* at some of the tree's leaves; NULL: none */
    float *features;                       /* problem rows x pad(features) */
    ramify_space space;
    ramify_grown *grown;
    uint32_t fingerprint; /* of the problem */
    bool constant;        /* the targets of the training rows do not differ */
    bool stopped;
    ramify_fits *fits; /* shared among ranks, kept in options->resume */
} session;

static void session_clear(session *s) {
    ramify_context *context = s->context;
    ramify_grown_destroy(context, &s->grown);
    ramify_space_clear(context, &s->space);
    ramify_release(context, s->features);
    ramify_root_destroy(context, &s->root);
    ramify_paraformer_trained_destroy(context, &s->paraformer);
    ramify_nyquist_destroy(&s->nyquist);
    ramify_leaf_series_destroy(&s->series);
    ramify_problem_destroy(context, &s->enlarged);
    ramify_problem_destroy(context, &s->problem);
    ramify_divided_sample_destroy(&s->sample);
    ramify_divided_close(&s->divided);
    ramify_train_rows_close(&s->rows);
    ramify_fits_close(&s->fits);
}

static bool is_paraformer(const session *s) {
    return strcmp(s->options->kind, "paraformer") == 0;
}

static bool is_nyquist(const session *s) {
    return strcmp(s->options->kind, "nyquist") == 0;
}

/* True where every target is the same in all training rows: one number is the whole model. */
static bool targets_are_constant(const ramify_problem *problem) {
    for (size_t i = 0; i < problem->train.count; i++)
        for (uint32_t t = 0; t < problem->targets; t++)
            if (problem->target[(size_t)problem->train.row[i] * problem->targets + t] != 0)
                return false;
    return problem->targets > 0;
}

/* The smallest recipe: one network, one pass, nothing compared. */
static void plan_constant(session *s) {
    ramify_recipe *recipe = &s->recipe;
    recipe->tree = false;
    recipe->distillation = RAMIFY_CHOICE_OFF;
    recipe->stem[0] = recipe->stem[recipe->stem_count - 1];
    recipe->stem_count = recipe->shape_count = 1;
    recipe->root.epochs = 1;
    recipe->one_fold = true;
    ramify_log(s->context, RAMIFY_LOG_WARNING,
               "%s: the target is the same in all training rows: so is every prediction",
               s->table->source);
}

/* Tables of more rows than a network learns from; not where all rows are to be looked at together, as images
 * and times are. */
static bool is_divided(const session *s) {
    return !is_paraformer(s) && !is_nyquist(s) && !s->options->time &&
           (s->table->all_rows > 0 ||
            s->table->rows > ramify_divided_node_rows(s->options, s->table->column_count));
}

static ramify_status open_divided(session *s) {
    const ramify_train_options *options = s->options;
    const char *unfit = NULL;
    if (options->controls)
        unfit = "controls";
    else if (options->module && strcmp(options->module, "mlp") != 0)
        unfit = "series";
    else if (options->distillation == RAMIFY_CHOICE_ON && strcmp(options->kind, "pathways") == 0)
        unfit = "teachers";
    if (unfit)
        return ramify_fail(
            s->context, RAMIFY_ERROR_ARGUMENT,
            "%s: a table of %llu rows is learned in parts, without %s: leave them "
            "out, or let one network learn from all rows (--node-rows)",
            s->table->source,
            (unsigned long long)(s->table->all_rows > 0 ? s->table->all_rows : s->table->rows),
            unfit);
    RAMIFY_TRY(ramify_divided_open(&s->rows, &s->divided));
    RAMIFY_TRY(ramify_divided_sample_create(s->divided, &s->sample));
    if (s->table->for_training) /* what is packed need not be held twice */
        ramify_table_empty((ramify_table *)s->table);
    return ramify_divided_root_problem(
        s->divided, (double)ramify_divided_node_rows(options, s->rows.schema->column_count),
        &s->problem);
}

/* divided: by the caller; NULL: as the options say, of the rows given (NULL: the first count). */
static ramify_status open_rows(session *s, const ramify_split *divided, const uint32_t *given,
                               size_t count) {
    RAMIFY_TRY(ramify_train_rows_open(s->context, s->table, s->options, &s->rows));
    if (!divided && !given && is_divided(s))
        return open_divided(s);
    if (s->table->all_rows > 0)
        return ramify_fail(s->context, RAMIFY_ERROR_ARGUMENT,
                           "%s: this rank holds %zu of %llu rows, and this training needs all of "
                           "them: read the table with ramify_table_read",
                           s->table->source, s->table->rows,
                           (unsigned long long)s->table->all_rows);
    return divided ? ramify_train_rows_adopt(&s->rows, divided)
                   : ramify_train_rows_divide(&s->rows, given, count);
}

static ramify_status make_problem(session *s) {
    const ramify_split *split = s->rows.split;
    ramify_rows train = {split->train, split->train_count};
    ramify_rows select = {split->select, split->select_count};
    ramify_rows report = {split->report, split->report_count};
    bool alike = is_paraformer(s) && s->table->image[0] > 0;
    return ramify_problem_create(s->context, s->rows.match, train, select, report, s->rows.weight,
                                 alike, &s->problem);
}

/* Rows that train, select and report, of the whole table. */
static void count_rows(const session *s, uint64_t counts[3]) {
    if (s->divided) {
        memcpy(counts, s->divided->in_role, 3 * sizeof *counts);
        return;
    }
    counts[0] = s->problem->train.count;
    counts[1] = s->problem->select.count;
    counts[2] = s->problem->report.count;
}

static ramify_status prepare(session *s) {
    const ramify_train_options *options = s->options;
    if (!s->divided) {
        RAMIFY_TRY(make_problem(s));
        s->fingerprint = ramify_problem_fingerprint(s->problem);
        RAMIFY_TRY(
            ramify_cluster_agree(s->context, UINT64_C(1) << 32 | s->fingerprint, s->table->source));
    } else {
        s->fingerprint = (uint32_t)(s->divided->print >> 32);
        s->problem->far = s->divided->far;
    }
    if (is_nyquist(s))
        RAMIFY_TRY(ramify_nyquist_prepare(s->problem, options));
    ramify_recipe_make(s->problem, options, &s->recipe);
    if (!is_paraformer(s))
        RAMIFY_TRY(ramify_fits_open(s->context, options->resume, false, &s->fits));
    s->recipe.fits = s->recipe.grow.fits = s->fits;
    if (s->divided && s->recipe.tree) /* its lower parts have no teachers' rows */
        s->recipe.distillation = RAMIFY_CHOICE_OFF;
    if (s->table->image[0] == 0) /* pixels in corners often do not vary */
        ramify_schema_warn_of_constants(s->context, s->table, s->rows.schema);
    ramify_problem_warn_of_far(s->problem, s->table->source);
    char room[RAMIFY_OBSTACLE_BYTES];
    const char *obstacle = ramify_nyquist_obstacle(s->problem, room);
    if (options->module && strcmp(options->module, "nyquist") == 0 && obstacle)
        return ramify_fail(
            s->context, RAMIFY_ERROR_DATA,
            "%s: series are fitted to numbers without gaps, and %s: leave --module out",
            s->table->source, obstacle);
    s->constant = !is_paraformer(s) && !is_nyquist(s) && targets_are_constant(s->problem);
    if (s->constant)
        plan_constant(s);
    uint64_t counts[3];
    count_rows(s, counts);
    ramify_log(s->context, RAMIFY_LOG_INFO, "%llu rows train, %llu choose, %llu report",
               (unsigned long long)counts[0], (unsigned long long)counts[1],
               (unsigned long long)counts[2]);
    return RAMIFY_OK;
}

/* The problem that root and tree are trained on. */
static const ramify_problem *learned_from(const session *s) {
    return s->enlarged ? s->enlarged : s->problem;
}

/* On all rows; of those that the root was found on, what follows needs to know at which leaves they are. */
static ramify_status grow_divided(session *s) {
    const ramify_divided_plan plan = {
        .options = s->options,
        .grow = &s->grow,
        .shape = &s->root->shape,
        .stem = &s->root->encoder->stem,
        .route = s->space.route,
        .routes = s->space.routes,
        .root = s->root->record,
        .node_rows = ramify_divided_node_rows(s->options, s->table->column_count),
        .keep_apart = s->options->output != NULL && s->options->rewind_at == 0,
        .fits = s->fits,
    };
    ramify_release(s->context, s->features);
    s->features = NULL;
    RAMIFY_TRY(ramify_divided_grow(s->divided, &plan, &s->grown));
    return ramify_grown_place(s->problem, s->space.points, s->space.routes, s->grown);
}

static ramify_status grow_tree(session *s) {
    const ramify_problem *problem = learned_from(s);
    bool gradient;
    s->grow = s->enlarged ? ramify_recipe_distilled(&s->recipe, s->enlarged).grow : s->recipe.grow;
    s->grow.expert.started = ramify_seconds();
    s->grow.expert.deadline = s->deadline;
    RAMIFY_TRY(ramify_space_features(problem, s->root, &s->features));
    RAMIFY_TRY(ramify_space_choose(problem, s->root, &s->recipe, &s->grow, s->features, &gradient));
    RAMIFY_TRY(ramify_space_make(problem, s->root, gradient, s->options->seed, &s->space));
    RAMIFY_TRY(s->divided
                   ? grow_divided(s)
                   : ramify_grow(problem, &s->root->shape, &s->grow, s->features, s->space.points,
                                 s->space.routes, s->root->record, &s->grown));
    ramify_log(s->context, RAMIFY_LOG_INFO, "%u of %u splits stand: %u leaves, %u experts",
               s->grown->accepted, s->grown->tested, s->grown->leaf_count, s->grown->module_count);
    return RAMIFY_OK;
}

/* Root and tree, or branches; on a stop, what there is so far. */
static ramify_status learn(session *s) {
    double root_deadline = 0;
    if (is_paraformer(s)) {
        ramify_status status = ramify_paraformer_train(
            s->problem, s->options, s->table->image, ramify_seconds(), s->deadline, &s->paraformer);
        s->stopped = status == RAMIFY_STOPPED && s->paraformer;
        return s->stopped ? RAMIFY_OK : status;
    }
    if (is_nyquist(s)) {
        ramify_status status =
            ramify_nyquist_train(s->problem, s->rows.match, s->rows.split, s->rows.weight,
                                 s->options, s->deadline, &s->nyquist);
        s->stopped = status == RAMIFY_STOPPED && s->nyquist;
        return s->stopped ? RAMIFY_OK : status;
    }
    if (s->deadline > 0)
        root_deadline =
            s->recipe.tree ? s->started + ROOT_SHARE * (s->deadline - s->started) : s->deadline;
    ramify_status status = ramify_search_root(s->problem, &s->recipe, ramify_seconds(),
                                              root_deadline, &s->root, &s->enlarged);
    if (s->root && s->constant)
        ramify_mlp_scale_outputs(&s->root->shape, 0, s->root->record);
    if (status == RAMIFY_OK && s->recipe.tree)
        status = grow_tree(s);
    if (status == RAMIFY_STOPPED && s->root) {
        s->stopped = true;
        return RAMIFY_OK;
    }
    return status;
}

/* How root and tree were trained. */
static json_t *recipe_json(const session *s) {
    const ramify_train_options *options = s->options;
    const ramify_design *design = &s->root->design;
    return json_pack("{s:{s:s, s:b, s:i, s:b, s:i, s:i, s:f, s:f, s:f, s:s}}", "recipe", "isa",
                     ramify_isa(s->context), "bins", (int)design->encoder.bins, "frequencies",
                     (int)design->encoder.frequencies, "distilled", s->enlarged != NULL, "epochs",
                     (int)s->root->plan.epochs, "batch", (int)s->root->plan.batch, "rate",
                     s->root->plan.rate, "decay", s->root->plan.decay, "validation",
                     options->validation, "tree", options->tree);
}

/* The keys of ramify.config that training adds. NULL when out of memory. */
static json_t *config_json(const session *s, double temperature, const ramify_score *score) {
    json_t *json = s->paraformer ? ramify_paraformer_recipe_json(s->problem, s->paraformer)
                   : s->nyquist
                       ? json_pack("{s:{s:s}, s:o}", "recipe", "isa", ramify_isa(s->context),
                                   "nyquist", ramify_nyquist_json(s->problem, s->nyquist))
                       : recipe_json(s);
    char print[16];
    uint64_t counts[3];
    count_rows(s, counts);
    snprintf(print, sizeof print, "%08x", (unsigned)s->fingerprint);
    json_t *rest = json_pack("{s:I, s:s, s:{s:I, s:I, s:I}}", "seed",
                             (json_int_t)(s->options->seed & INT64_MAX), "fingerprint", print,
                             "rows", "train", (json_int_t)counts[0], "select",
                             (json_int_t)counts[1], "report", (json_int_t)counts[2]);
    bool made = json && rest && json_object_update(json, rest) == 0;
    json_decref(rest);
    if (!made) {
        json_decref(json);
        return NULL;
    }
    if (s->problem->label)
        json_object_set_new(json, "temperature", json_real(temperature));
    if (s->grown)
        json_object_set_new(json, "splits",
                            json_pack("{s:i, s:i}", "tested", (int)s->grown->tested, "accepted",
                                      (int)s->grown->accepted));
    if (score)
        json_object_set_new(json, "report", ramify_score_json(score));
    return json;
}

static ramify_status finish_networks(session *s, double temperature,
                                     const ramify_draft_notes *notes, json_t *config, bool rewound,
                                     ramify_model **model) {
    const ramify_parts parts = {
        .kind = s->options->kind,
        .problem = s->problem,
        .root = s->root,
        .route = s->space.route,
        .routes = s->space.routes,
        .grown = s->grown,
        .series = s->series,
        .notes = notes,
        .temperature = temperature,
        .rewound = rewound,
        .config = config,
    };
    return s->options->output && !rewound
               ? ramify_finish_shared(s->context, &parts, s->options->output, notes != NULL, model)
               : ramify_finish(s->context, &parts, model);
}

static ramify_status finish_model(session *s, double temperature, const ramify_score *score,
                                  const ramify_draft_notes *notes, ramify_model **model) {
    json_t *config = config_json(s, temperature, score);
    if (!config)
        return ramify_fail(s->context, RAMIFY_ERROR_MEMORY, "out of memory for the model's config");
    ramify_status status;
    if (s->paraformer)
        status = ramify_paraformer_finish(s->problem, s->paraformer, notes, config, model);
    else if (s->nyquist)
        status = ramify_nyquist_finish(s->problem, s->nyquist, notes, config, model);
    else
        status = finish_networks(s, temperature, notes, config, false, model);
    json_decref(config);
    return status;
}

/* The networks as they were early in their training. */
static ramify_status finish_rewound(session *s, ramify_model **model) {
    json_t *config = config_json(s, 1, NULL);
    if (!config)
        return ramify_fail(s->context, RAMIFY_ERROR_MEMORY, "out of memory for the model's config");
    json_object_set_new(config, "rewind_at", json_real(s->options->rewind_at));
    ramify_status status = finish_networks(s, 1, NULL, config, true, model);
    json_decref(config);
    return status;
}

/* Series in the place of networks, where they are asked for and better (leaf_series.h): a tree of
 * boxes of their own first, then leaf by leaf. *model is made anew if there are any. */
static ramify_status choose_modules(session *s, bool all, double temperature,
                                    ramify_model **model) {
    const ramify_train_options *options = s->options;
    bool better = false;
    if (!all) {
        RAMIFY_TRY(ramify_nyquist_train(s->problem, s->rows.match, s->rows.split, s->rows.weight,
                                        options, s->deadline, &s->nyquist));
        RAMIFY_TRY(ramify_nyquist_beats(s->problem, s->nyquist, *model, s->rows.match,
                                        s->rows.split, &better));
    }
    if (!better) {
        ramify_nyquist_destroy(&s->nyquist);
        RAMIFY_TRY(ramify_leaf_series_choose(s->problem, *model, s->rows.match, s->rows.split,
                                             s->rows.weight, options, s->deadline, all,
                                             &s->series));
        ramify_log(s->context, RAMIFY_LOG_INFO, "series at %u of %u leaves", s->series->taken,
                   s->series->leaves);
        if (s->series->taken == 0)
            return RAMIFY_OK;
    }
    ramify_close(model);
    return finish_model(s, temperature, NULL, NULL, model);
}

static bool wants_module(const session *s, const char *name) {
    return s->options->module && strcmp(s->options->module, name) == 0;
}

/* The networks are there: a stop, or series that cannot be had, cost no more than the series. */
static ramify_status try_modules(session *s, double temperature, ramify_model **model) {
    const bool all = wants_module(s, "nyquist") && !is_nyquist(s);
    char room[RAMIFY_OBSTACLE_BYTES];
    const char *obstacle = ramify_nyquist_obstacle(s->problem, room);
    if (!(all || wants_module(s, "auto")) || !s->root || s->constant || s->stopped)
        return RAMIFY_OK;
    if (obstacle) {
        ramify_log(s->context, RAMIFY_LOG_INFO, "no series: %s", obstacle);
        return RAMIFY_OK;
    }
    ramify_status status = choose_modules(s, all, temperature, model);
    if (status == RAMIFY_OK || !*model || status == RAMIFY_ERROR_MEMORY)
        return status;
    ramify_nyquist_destroy(&s->nyquist);
    ramify_leaf_series_destroy(&s->series);
    s->stopped = status == RAMIFY_STOPPED;
    if (!s->stopped)
        ramify_log(s->context, RAMIFY_LOG_WARNING, "no series: %s", ramify_message(s->context));
    ramify_clear(s->context);
    return RAMIFY_OK;
}

/* The model is written twice: its scores on report rows and the notes on its leaves, which the file
 * states, are of its own predictions. */
static ramify_status make_model(session *s, ramify_model **model, ramify_score *score) {
    const ramify_train_rows *judge = s->sample ? &s->sample->rows : &s->rows;
    ramify_model *blank = NULL;
    ramify_annotation *annotation = NULL;
    double temperature;
    if (s->paraformer)
        temperature = s->paraformer->temperature;
    else if (s->nyquist)
        temperature = 1;
    else
        RAMIFY_TRY(ramify_temperature_fit(s->problem, s->root, s->grown, &temperature));
    RAMIFY_TRY(finish_model(s, temperature, NULL, NULL, &blank));
    ramify_status status = try_modules(s, temperature, &blank);
    if (status == RAMIFY_OK)
        status = ramify_score_model(s->context, blank, judge->match, judge->split->report,
                                    judge->split->report_count, score, NULL);
    if (status == RAMIFY_OK)
        status = ramify_annotate(s->sample ? s->sample->problem : s->problem, blank, judge->match,
                                 judge->split, &annotation);
    ramify_close(&blank);
    if (status == RAMIFY_OK)
        status = finish_model(s, temperature, score, &annotation->notes, model);
    ramify_annotation_destroy(s->context, &annotation);
    RAMIFY_TRY(status);
    ramify_model_info info;
    ramify_model_get_info(*model, &info);
    uint64_t allowed = ramify_train_resident(s->options);
    if (allowed == 0 || info.resident_bytes <= allowed)
        return RAMIFY_OK;
    status = ramify_fail(s->context, RAMIFY_ERROR_LIMIT,
                         "the trained model needs %llu resident bytes and %llu are allowed: allow "
                         "as much (--resident), or make it smaller",
                         (unsigned long long)info.resident_bytes, (unsigned long long)allowed);
    ramify_close(model);
    return status;
}

/* One line of the comparison. */
static ramify_status describe(session *s, const char *name, ramify_model *model,
                              const ramify_table *test, double seconds, ramify_control *line) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    *line = (ramify_control){
        .name = name,
        .parameters = info.parameters,
        .active_parameters = info.active_parameters,
        .resident_bytes = info.resident_bytes,
        .seconds = seconds,
    };
    if (test)
        return ramify_evaluate(s->context, model, test, &line->score, NULL);
    return ramify_score_model(s->context, model, s->rows.match, s->rows.split->report,
                              s->rows.split->report_count, &line->score, NULL);
}

static ramify_status run_controls(session *s, ramify_model *model, const ramify_table *test,
                                  double seconds, ramify_training *training) {
    ramify_context *context = s->context;
    training->controls =
        ramify_allocate_zeroed(context, 1 + RAMIFY_CONTROLS, sizeof *training->controls);
    if (!training->controls)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(describe(s, s->options->kind[0] == 'p' ? "pathways" : "mlp", model, test, seconds,
                        &training->controls[0]));
    training->control_count = 1;
    ramify_control_request request = {
        .problem = s->problem,
        .enlarged = s->enlarged,
        .recipe = &s->recipe,
        .grow = &s->grow,
        .root = s->root,
        .grown = s->grown,
        .features = s->features,
        .points = s->space.points,
        .routes = s->space.routes,
        .route = s->space.route,
    };
    for (uint32_t c = 0; c < RAMIFY_CONTROLS; c++) {
        ramify_progress_report(context, "controls", c, RAMIFY_CONTROLS);
        double started = ramify_seconds();
        ramify_model *control = NULL;
        RAMIFY_TRY(ramify_control_train(context, &request, c, &control));
        ramify_status status = describe(s, ramify_control_names[c], control, test,
                                        ramify_seconds() - started, &training->controls[c + 1]);
        ramify_close(&control);
        RAMIFY_TRY(status);
        training->control_count++;
    }
    ramify_progress_report(context, "controls", RAMIFY_CONTROLS, RAMIFY_CONTROLS);
    return RAMIFY_OK;
}

/* Trains on the rows of a split, or of those given as the options divide them. *model may be set on
 * RAMIFY_STOPPED too. */
static ramify_status train_rows(ramify_context *context, const ramify_table *table,
                                const ramify_train_options *options, const ramify_split *divided,
                                const uint32_t *rows, size_t row_count, const ramify_table *test,
                                ramify_model **model, ramify_training *training) {
    session s = {.context = context, .table = table, .options = options};
    s.started = ramify_seconds();
    s.deadline = options->time_limit > 0 ? s.started + options->time_limit : 0;
    ramify_status status = open_rows(&s, divided, rows, row_count);
    if (status == RAMIFY_OK)
        status = prepare(&s);
    if (status == RAMIFY_OK && test) {
        /* A test table that does not fit is found before the training, not after it. */
        ramify_match *match = NULL;
        status = ramify_table_check_image(context, test, table->image);
        if (status == RAMIFY_OK)
            status = ramify_match_create(context, s.rows.schema, test, true, &match);
        ramify_match_destroy(context, &match);
    }
    if (status == RAMIFY_OK)
        status = learn(&s);
    if (status == RAMIFY_OK)
        status = make_model(&s, model, &training->score);
    if (status == RAMIFY_OK && options->rewind_at > 0 && s.root && !s.nyquist)
        status = finish_rewound(&s, &training->rewind);
    if (status == RAMIFY_OK) {
        training->rows = s.divided ? s.divided->all : row_count;
        uint64_t counts[3];
        count_rows(&s, counts);
        training->train_rows = counts[0];
        training->select_rows = counts[1];
        training->report_rows = counts[2];
        training->skipped_rows = s.divided ? s.divided->skipped : s.rows.skipped;
        training->seconds = ramify_seconds() - s.started;
        training->training_bytes = s.paraformer ? s.paraformer->result.need.bytes : 0;
        training->time_limit_struck =
            s.paraformer ? s.paraformer->result.late : ramify_late(s.deadline);
        if (options->controls && !s.stopped)
            status = run_controls(&s, *model, test, training->seconds, training);
        if (status != RAMIFY_OK && status != RAMIFY_STOPPED && training->control_count > 0) {
            /* A control that fails is no reason to lose the model. */
            ramify_log(context, RAMIFY_LOG_WARNING, "the other controls are left out: %s",
                       ramify_message(context));
            ramify_clear(context);
            status = RAMIFY_OK;
        }
        if (s.stopped)
            status = RAMIFY_STOPPED;
        else if (status != RAMIFY_OK && status != RAMIFY_STOPPED)
            ramify_close(model);
    }
    session_clear(&s);
    return status;
}

void ramify_training_destroy(ramify_training **training) {
    if (!training || !*training)
        return;
    ramify_training *old = *training;
    *training = NULL;
    ramify_close(&old->rewind);
    ramify_release(old->context, old->controls);
    ramify_release(old->context, old);
}

ramify_status ramify_train(ramify_context *context, const ramify_table *table,
                           const ramify_train_options *options, const ramify_table *test,
                           ramify_model **model, ramify_training **training) {
    ramify_clear(context);
    *model = NULL;
    ramify_training *made = NULL;
    ramify_status status = ramify_train_options_check(context, options);
    if (status == RAMIFY_OK) {
        made = ramify_allocate_zeroed(context, 1, sizeof *made);
        status = made ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    if (status == RAMIFY_OK) {
        made->context = context;
        made->score = ramify_score_none();
        status = train_rows(context, table, options, NULL, NULL, ramify_table_rows(table), test,
                            model, made);
    }
    if (training && *model)
        *training = made;
    else
        ramify_training_destroy(&made);
    return ramify_cluster_tell(context, status);
}

ramify_status ramify_train_on(ramify_context *context, const ramify_table *table,
                              const ramify_train_options *options, const ramify_split *split,
                              ramify_model **model, ramify_training *training) {
    const size_t count = split->train_count + split->select_count + split->report_count;
    *model = NULL;
    return train_rows(context, table, options, split, NULL, count, NULL, model, training);
}

static ramify_status cross_validate(ramify_context *context, const ramify_table *table,
                                    const ramify_train_options *options, uint32_t folds,
                                    ramify_score *scores) {
    RAMIFY_TRY(ramify_train_options_check(context, options));
    ramify_train_rows r = {.context = context};
    size_t rows = ramify_table_rows(table);
    if (folds < 2 || folds > rows)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "%u folds of %zu rows: use 2 folds or more, and at most one per row",
                           folds, rows);
    uint32_t *usable = ramify_allocate(context, rows, sizeof *usable);
    uint32_t *fold = ramify_allocate(context, rows, sizeof *fold);
    uint32_t *part = ramify_allocate(context, rows, sizeof *part);
    double *labels = ramify_allocate(context, rows, sizeof *labels);
    ramify_split_request split = {0};
    ramify_status status = usable && fold && part && labels ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_train_rows_open(context, table, options, &r);
    if (status == RAMIFY_OK)
        status = ramify_train_rows_request(&r, usable, labels, 0, &split);
    if (status == RAMIFY_OK)
        status = ramify_train_rows_find(&r, NULL, rows, usable, labels, &split.count);
    if (status == RAMIFY_OK)
        status = ramify_split_folds(context, table, &split, folds, fold);
    for (uint32_t f = 0; status == RAMIFY_OK && f < folds; f++) {
        scores[f] = ramify_score_none();
        /* In time order the first fold has nothing before it to learn from. */
        if (split.time && f == 0)
            continue;
        size_t count = 0;
        for (size_t i = 0; i < split.count; i++)
            if (split.time ? fold[i] < f : fold[i] != f)
                part[count++] = usable[i];
        ramify_model *model = NULL;
        ramify_training training = {0};
        ramify_train_options plain = *options;
        plain.controls = false;
        plain.rewind_at = 0;
        status = train_rows(context, table, &plain, NULL, part, count, NULL, &model, &training);
        count = 0;
        for (size_t i = 0; i < split.count; i++)
            if (fold[i] == f)
                part[count++] = usable[i];
        if (status == RAMIFY_OK)
            status = ramify_score_model(context, model, r.match, part, count, &scores[f], NULL);
        ramify_close(&model);
    }
    ramify_train_rows_close(&r);
    ramify_release(context, usable);
    ramify_release(context, fold);
    ramify_release(context, part);
    ramify_release(context, labels);
    return status;
}

ramify_status ramify_cross_validate(ramify_context *context, const ramify_table *table,
                                    const ramify_train_options *options, uint32_t folds,
                                    ramify_score *scores) {
    ramify_clear(context);
    return ramify_cluster_tell(context, cross_validate(context, table, options, folds, scores));
}
