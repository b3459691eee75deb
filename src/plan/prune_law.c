/* ramify_prune: rounds of pruning, and after each the law of the rounds so far, which says how far to go.
 * What a round is, src/train/prune.c knows; of laws it knows nothing. */

#include "prune_law.h"
#include "memory.h"
#include "progress.h"
#include "prune.h"
#include "prune_folder.h"
#include "repack.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LAW_LEVEL 0.9
/* Rounds of a prediction. */
#define PREDICTION_ROUNDS 8
/* Rounds in which measure and law may disagree before it ends: errors of validation rows are noisy. */
#define DISAGREEMENTS 2
/* An error this many times the limit needs no law to be too large. */
#define FAR 1.25
/* A density within this factor of another is as good. */
#define CLOSE 0.97
/* Rounds between what was met and what was too far. */
#define CLOSER_ROUNDS 3
/* A density that is found by halving, in powers of 2 below 1. */
#define HALVINGS      24
#define DENSITY_LEAST 1e-6
/* Rounds that make a file as small as asked for, whose size is known after training only. */
#define SIZE_ROUNDS 4

typedef struct driver {
    ramify_context *context;
    const ramify_prune_options *options;
    ramify_model *model;
    const ramify_split *divided; /* rows, by the caller; NULL: as in the training */
    ramify_pruning *pruning;
    ramify_storage storage;
    ramify_prune_result *result;
    ramify_law *law;         /* of the rounds so far; NULL: there are too few */
    double wanted;           /* density; 0: not known */
    double limit;            /* of the error; NaN: none */
    double started, longest; /* seconds: of the pruning, and of a round made now */
    ramify_prune_folder folder;
    uint32_t way, kept_way; /* to how it stands, and to the state that is remembered */
    bool kept;              /* a state that meets the request is remembered */
} driver;

void ramify_prune_options_init(ramify_prune_options *options) {
    *options = (ramify_prune_options){.max_error_increase = -1,
                                      .step = RAMIFY_PRUNE_STEP,
                                      .first = "magnitude",
                                      .scope = "global",
                                      .store = "fastest"};
}

void ramify_prune_result_destroy(ramify_prune_result **result) {
    if (!result || !*result)
        return;
    ramify_prune_result *old = *result;
    *result = NULL;
    ramify_release(old->context, old->rounds);
    ramify_release(old->context, old);
}

static const char *const scores[] = {"magnitude", "random", "neurons", "branches", NULL};
static const char *const scopes[] = {"global", "module", NULL};

static ramify_status check_options(ramify_context *context, const ramify_prune_options *o) {
    const int asked = (o->density != 0) + !(o->max_error_increase < 0) + (o->max_bytes > 0) +
                      (o->max_resident > 0);
    if (asked != 1)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "one of density, max error increase, max bytes and max resident says how far to prune, "
            "and %s given",
            asked == 0 ? "none is" : "more are");
    if (o->density != 0 && !(o->density >= DENSITY_LEAST && o->density < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "density is %g, expected a share of the weights from 1e-6 to below 1",
                           o->density);
    if (!(o->max_error_increase < 100))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "max error increase is %g, expected a share such as 0.01",
                           o->max_error_increase);
    if (!(o->step > 0 && o->step < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "step is %g, expected a share of the weights above 0 and below 1",
                           o->step);
    if (ramify_word_find(o->first, scores) == UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "first is \"%s\", expected magnitude, random, neurons or branches",
                           o->first);
    if (ramify_word_find(o->scope, scopes) == UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "scope is \"%s\", expected global or module", o->scope);
    if (ramify_word_find(o->store, ramify_storage_words) == UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "store is \"%s\", expected fastest, smallest or dense", o->store);
    if (o->one_shot && !(o->max_error_increase < 0))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "one shot takes all weights at once, and a max error increase is found "
                           "by rounds: give a density, or leave one shot out");
    if (o->one_shot && o->predict_only)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "one shot leaves nothing to predict from: leave it out");
    if (o->rewind && o->fine_tune)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "rewind and fine tune exclude each other: weights go back, or are tuned as they are");
    if (o->rate < 0 || !(o->rate < 1) || o->validation < 0 || !(o->validation < 1) ||
        o->time_limit < 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a rate, a share of validation rows or a time limit is out of range");
    return RAMIFY_OK;
}

/* What a pruned model's config says of it: a new reference, or NULL and a message. */
static json_t *describe(const driver *d, double density, double error, uint32_t rounds) {
    json_t *about =
        json_pack("{s:f, s:f, s:I, s:s, s:s}", "density", density, "error", error, "rounds",
                  (json_int_t)rounds, "first", d->options->first, "scope", d->options->scope);
    if (!about)
        ramify_fail(d->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    return about;
}

static json_t *describe_now(const driver *d) {
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    return describe(d, now.density, now.error, d->result->round_count - 1);
}

static ramify_status add_round(driver *d, ramify_prune_round round) {
    ramify_prune_result *result = d->result;
    ramify_prune_round *grew = ramify_reallocate(d->context, result->rounds,
                                                 (size_t)result->round_count + 1, sizeof *grew);
    if (!grew)
        return RAMIFY_ERROR_MEMORY;
    result->rounds = grew;
    result->rounds[result->round_count++] = round;
    return RAMIFY_OK;
}

/* --- The law ---------------------------------------------------------------------------------- */

/* Fits the law anew. Rounds that no law can be fitted to are none's fault. */
static void fit_law(driver *d) {
    const ramify_prune_result *result = d->result;
    static const char *const names[] = {"density", "error"};
    ramify_law_options options;
    ramify_table *table = NULL;
    ramify_law_destroy(&d->law);
    if (result->round_count < RAMIFY_PRUNE_LAW_ROUNDS)
        return;
    double *runs = ramify_allocate(d->context, (size_t)2 * result->round_count, sizeof *runs);
    if (!runs) {
        ramify_clear(d->context);
        return;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < result->round_count; i++) {
        const ramify_prune_round *round = &result->rounds[i];
        bool known = false; /* a round that could take no more is not a second measurement */
        for (uint32_t k = 0; k < count; k++)
            known = known || (runs[2 * k] == round->density && runs[2 * k + 1] == round->error);
        if (known)
            continue;
        runs[2 * count] = round->density;
        runs[2 * count++ + 1] = round->error;
    }
    ramify_law_options_init(&options);
    options.form = "pruning";
    options.x = "density";
    options.y = "error";
    options.bootstrap = 0;
    ramify_status status = ramify_table_from_doubles(d->context, runs, count, 2, 2, names, &table);
    if (status == RAMIFY_OK)
        status = ramify_law_fit(d->context, table, &options, &d->law);
    if (status != RAMIFY_OK) {
        ramify_log(d->context, RAMIFY_LOG_INFO, "no law yet: %s", ramify_message(d->context));
        ramify_law_destroy(&d->law);
        ramify_clear(d->context);
    }
    ramify_table_destroy(&table);
    ramify_release(d->context, runs);
}

static const ramify_law_estimate none = {NAN, NAN, NAN};

/* The law's error at a density, or NaN. */
static ramify_law_estimate law_error(const driver *d, double density) {
    ramify_law_estimate estimate = none;
    if (!d->law || ramify_law_predict(d->law, 0, 1, &density, LAW_LEVEL, &estimate) != RAMIFY_OK) {
        ramify_clear(d->context);
        return none;
    }
    return estimate;
}

/* The density at which the law reaches an error: 1 where it never is below it; 0 where it always is; NaN
 * without a law. */
static double law_density(const driver *d, double error) {
    if (!d->law)
        return NAN;
    if (law_error(d, 1).value > error)
        return 1;
    double low = log(DENSITY_LEAST), high = 0;
    if (law_error(d, DENSITY_LEAST).value <= error)
        return 0;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (law_error(d, exp(middle)).value > error)
            low = middle;
        else
            high = middle;
    }
    return exp(high);
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static bool out_of_time(driver *d) {
    const double limit = d->options->time_limit;
    if (!(limit > 0) || ramify_seconds() + d->longest <= d->started + limit)
        return false;
    d->result->time_limit_struck = true;
    return true;
}

static bool rounds_are_over(const driver *d) {
    uint32_t most = d->options->most_rounds;
    if (most == 0 && d->options->predict_only)
        most = PREDICTION_ROUNDS;
    return most > 0 && d->result->round_count > most;
}

/* A round is made, or taken from the folder where it was made before. */
static ramify_status make_round(driver *d, double density) {
    const ramify_law_estimate said = law_error(d, density);
    const uint32_t way = ramify_prune_way(d->way, density);
    const double began = ramify_seconds();
    double seconds = 0;
    bool found;
    RAMIFY_TRY(ramify_prune_folder_take(&d->folder, way, d->pruning, &seconds, &found));
    if (!found) {
        RAMIFY_TRY(ramify_pruning_round(d->pruning, density));
        seconds = ramify_seconds() - began;
        d->longest = seconds > d->longest ? seconds : d->longest;
    }
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    d->way = way;
    RAMIFY_TRY(add_round(d, (ramify_prune_round){now.density, now.error, said.value, said.low,
                                                 said.high, seconds, NAN}));
    char rise[32] = "";
    if (d->result->dense_error > 0)
        snprintf(rise, sizeof rise, " (%+.2f %%)", 100 * (now.error / d->result->dense_error - 1));
    ramify_log(d->context, RAMIFY_LOG_INFO, "round %u%s: density %.4g, %s %.6g%s",
               d->result->round_count - 1, found ? ", made before" : "", now.density,
               d->result->error_name, now.error, rise);
    fit_law(d);
    d->result->rounds[d->result->round_count - 1].fitted = law_error(d, now.density).value;
    if (!found) {
        json_t *about = describe_now(d);
        const ramify_status status =
            about ? ramify_prune_folder_keep(&d->folder, way, d->pruning, seconds, about)
                  : RAMIFY_ERROR_MEMORY;
        json_decref(about);
        RAMIFY_TRY(status);
    }
    return ramify_prune_folder_list(&d->folder, d->result->rounds, d->result->round_count);
}

static ramify_status keep(driver *d) {
    d->kept = true;
    d->kept_way = d->way;
    return ramify_pruning_keep(d->pruning);
}

static ramify_status go_back(driver *d) {
    d->way = d->kept_way;
    return ramify_pruning_go_back(d->pruning);
}

/* The density of the next round: a step down, but not below `least`, and lower where so small a step takes
 * nothing, as units and branches go as wholes. 0: nothing can be taken. */
static ramify_status find_next(const driver *d, double least, double *next) {
    const double now = ramify_pruning_state(d->pruning).density;
    double share = d->options->one_shot ? 0 : 1 - d->options->step, reached;
    do {
        *next = now * share;
        /* A last step that would be a small one is taken with the one before. */
        if (*next * CLOSE < least)
            *next = least;
        RAMIFY_TRY(ramify_pruning_reach(d->pruning, *next, &reached));
        if (reached < now)
            return RAMIFY_OK;
        share *= share;
    } while (*next > least);
    *next = 0;
    return RAMIFY_OK;
}

/* Down to a density that is known. */
static ramify_status go_to(driver *d, double density) {
    for (;;) {
        const ramify_pruned state = ramify_pruning_state(d->pruning);
        double next;
        /* A density is met to the nearest weight. */
        if (state.density - density < state.density / (double)state.weights)
            return RAMIFY_OK;
        if (out_of_time(d) || rounds_are_over(d))
            return RAMIFY_OK;
        RAMIFY_TRY(find_next(d, density, &next));
        if (next > 0) {
            RAMIFY_TRY(make_round(d, next));
            continue;
        }
        /* One unit and branch of each stays: what was learned is not thrown away. */
        ramify_log(d->context, RAMIFY_LOG_WARNING,
                   "%s: no more can be pruned: the density is %.4g, and %.4g was asked for",
                   d->model->source.name, state.density, density);
        return RAMIFY_OK;
    }
}

/* Whether measure and law agree that the request is met as it stands. */
static bool met(const driver *d) {
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    const double said = law_error(d, now.density).value;
    return now.error <= d->limit && !(said > d->limit);
}

static bool failed(const driver *d) {
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    const double said = law_error(d, now.density).value;
    return now.error > d->limit && !(said <= d->limit);
}

/* Rounds until measure and law agree that it is too far; *beyond is the largest density at which one of
 * them found it so, 0: none. What was met last is kept. */
static ramify_status go_too_far(driver *d, double *beyond) {
    uint32_t disagreed = 0;
    *beyond = 0;
    while (!rounds_are_over(d) && !out_of_time(d)) {
        double next;
        RAMIFY_TRY(find_next(d, DENSITY_LEAST, &next));
        if (next == 0)
            return RAMIFY_OK;
        RAMIFY_TRY(make_round(d, next));
        const ramify_pruned now = ramify_pruning_state(d->pruning);
        if (met(d)) {
            RAMIFY_TRY(keep(d));
            disagreed = 0;
            *beyond = 0;
            continue;
        }
        if (*beyond == 0)
            *beyond = now.density;
        /* One round's error is noisy: without a law only a large one counts. */
        const bool enough = d->result->round_count >= RAMIFY_PRUNE_LAW_ROUNDS ||
                            (!d->options->predict_only && now.error > FAR * d->limit);
        if (enough && (failed(d) || ++disagreed >= DISAGREEMENTS))
            return RAMIFY_OK;
    }
    return RAMIFY_OK;
}

/* Too far, and then between that and what was met, where the law says. */
static ramify_status go_by_error(driver *d) {
    double beyond;
    RAMIFY_TRY(keep(d));
    RAMIFY_TRY(go_too_far(d, &beyond));
    RAMIFY_TRY(go_back(d));
    for (uint32_t i = 0; i < CLOSER_ROUNDS && beyond > 0; i++) {
        const double best = ramify_pruning_state(d->pruning).density;
        double between = law_density(d, d->limit);
        if (d->options->predict_only || beyond > best * CLOSE || rounds_are_over(d) ||
            out_of_time(d))
            return RAMIFY_OK;
        if (!(between > beyond / CLOSE && between < best * CLOSE))
            between = sqrt(beyond * best);
        double reached;
        RAMIFY_TRY(ramify_pruning_reach(d->pruning, between, &reached));
        if (reached <= beyond || reached >= best) /* units and branches go as wholes */
            return RAMIFY_OK;
        RAMIFY_TRY(make_round(d, between));
        if (met(d)) {
            RAMIFY_TRY(keep(d));
        } else {
            beyond = ramify_pruning_state(d->pruning).density;
            RAMIFY_TRY(go_back(d));
        }
    }
    return RAMIFY_OK;
}

/* What is bounded of a model's sizes, if one is. */
static uint64_t bounded(const driver *d, ramify_sizes sizes) {
    return d->options->max_resident > 0 ? sizes.resident : sizes.file;
}

static uint64_t bound_of(const driver *d) {
    return d->options->max_resident > 0 ? d->options->max_resident : d->options->max_bytes;
}

/* Bytes at most of what is bounded at this density, before any training. */
static ramify_status foretell_bytes(const driver *d, double density, uint64_t *bytes) {
    json_t *longest = describe(d, RAMIFY_LONGEST_NUMBER, RAMIFY_LONGEST_NUMBER, UINT32_MAX);
    if (!longest)
        return RAMIFY_ERROR_MEMORY;
    ramify_sizes sizes = {0};
    const ramify_status status =
        ramify_pruning_size(d->pruning, density, d->storage, longest, &sizes);
    json_decref(longest);
    *bytes = bounded(d, sizes);
    return status;
}

/* The largest density at which file or memory are small enough, as weights are now. */
static ramify_status density_of_bytes(driver *d, double *density) {
    const uint64_t most = bound_of(d);
    const double now = ramify_pruning_state(d->pruning).density;
    double low = 0, high = now;
    uint64_t bytes;
    RAMIFY_TRY(foretell_bytes(d, now, &bytes));
    *density = now;
    if (bytes <= most)
        return RAMIFY_OK;
    RAMIFY_TRY(foretell_bytes(d, DENSITY_LEAST, &bytes));
    if (bytes > most)
        return ramify_fail(
            d->context, RAMIFY_ERROR_LIMIT,
            "%s: without any weights %s some %llu bytes, and %llu are allowed: allow "
            "more, or train a smaller model",
            d->model->source.name,
            d->options->max_resident > 0 ? "predicting a row would still hold"
                                         : "its file would still have",
            (unsigned long long)bytes, (unsigned long long)most);
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = (low + high) / 2;
        RAMIFY_TRY(foretell_bytes(d, middle, &bytes));
        if (bytes > most)
            high = middle;
        else
            low = middle;
        if (high - low < 1e-4 * high)
            break;
    }
    *density = low;
    return RAMIFY_OK;
}

static ramify_status go_by_bytes(driver *d) {
    for (uint32_t i = 0; i < SIZE_ROUNDS; i++) {
        double density = 1;
        RAMIFY_TRY(density_of_bytes(d, &density));
        d->wanted = density;
        if (ramify_pruning_state(d->pruning).density <= density || d->options->predict_only)
            return RAMIFY_OK;
        /* What training changes is made up for beforehand. */
        RAMIFY_TRY(go_to(d, density * (1 - 0.002 * i)));
        if (rounds_are_over(d) || out_of_time(d))
            return RAMIFY_OK;
    }
    return RAMIFY_OK;
}

static ramify_status go(driver *d) {
    const ramify_prune_options *o = d->options;
    if (!(o->max_error_increase < 0)) {
        const double errors = d->result->dense_error * (double)d->result->validation_rows;
        d->limit = d->result->dense_error * (1 + o->max_error_increase);
        if (d->model->targets == 0 && o->max_error_increase * errors < 1)
            ramify_log(
                d->context, RAMIFY_LOG_WARNING,
                "%s: of %llu validation rows %.0f are wrong: an increase of %g %% is less than "
                "one row, so allow more, or hold more rows out (--validation)",
                d->model->source.name, (unsigned long long)d->result->validation_rows, errors,
                100 * o->max_error_increase);
        return go_by_error(d);
    }
    const bool by_bytes = o->max_bytes > 0 || o->max_resident > 0;
    if (by_bytes)
        RAMIFY_TRY(go_by_bytes(d));
    else
        d->wanted = o->density;
    if (o->predict_only)
        return go_to(d, d->wanted);
    return by_bytes ? RAMIFY_OK : go_to(d, d->wanted);
}

/* --- The whole -------------------------------------------------------------------------------- */

static ramify_prune_plan make_plan(const driver *d) {
    const ramify_prune_options *o = d->options;
    return (ramify_prune_plan){
        .weight = o->weight,
        .group = o->group,
        .time = o->time,
        .divided = d->divided,
        .validation = o->validation,
        .seed = o->seed,
        .own_seed = o->own_seed,
        .epochs = o->epochs,
        .rate = o->rate,
        .per_module = strcmp(o->scope, "module") == 0,
        .teach = o->distillation != RAMIFY_CHOICE_OFF,
        .score = (ramify_prune_score)ramify_word_find(o->first, scores),
        .restart = o->fine_tune ? RAMIFY_PRUNE_FINE_TUNE : RAMIFY_PRUNE_REWIND,
        .deadline = o->time_limit > 0 ? d->started + o->time_limit : 0,
    };
}

static void conclude(driver *d) {
    ramify_prune_result *result = d->result;
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    result->density = now.density;
    result->error = now.error;
    result->law_density = isnan(d->limit) ? NAN : law_density(d, d->limit);
    if (d->options->predict_only)
        result->density = isnan(d->limit) ? d->wanted : result->law_density;
    ramify_law_estimate said = law_error(d, result->density);
    if (d->options->predict_only)
        result->error = said.value;
    else
        said = none;
    for (uint32_t i = 0; i < result->round_count && !d->options->predict_only; i++) {
        const ramify_prune_round *round = &result->rounds[i];
        if (round->density == now.density && round->error == now.error)
            said = (ramify_law_estimate){round->predicted, round->low, round->high};
    }
    result->predicted = said.value;
    result->low = said.low;
    result->high = said.high;
}

/* Errors that laws are of are above 0; to a density that is given there is no need of a law. */
static ramify_status check_error(const driver *d, const char *table) {
    const ramify_prune_options *o = d->options;
    const double error = d->result->dense_error;
    const bool law = o->predict_only || !(o->max_error_increase < 0);
    if (error > 0 || (error == 0 && !law))
        return RAMIFY_OK;
    if (error == 0)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: the model makes no error on the %llu validation rows, and laws "
                           "are of errors above 0: ask for a density, or take other rows",
                           table, (unsigned long long)d->result->validation_rows);
    return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                       "%s: the model's error on the %llu validation rows is not a number: hold "
                       "more rows out (--validation), or take other rows",
                       table, (unsigned long long)d->result->validation_rows);
}

/* What has been made when it ended early: nothing, or the best so far. */
static ramify_status end_early(driver *d) {
    const double limit = d->options->time_limit;
    const bool late =
        limit > 0 && ramify_seconds() >= d->started + limit && !ramify_cancelled(d->context);
    d->result->time_limit_struck = late;
    if (late)
        ramify_clear(d->context);
    if (d->kept)
        RAMIFY_TRY(go_back(d));
    return late ? RAMIFY_OK : RAMIFY_STOPPED;
}

/* What is larger than was asked for comes out of what ended early only, and with a warning. */
static ramify_status check_bytes(const driver *d, ramify_status went, ramify_model **pruned) {
    const unsigned long long size = bounded(d, ramify_sizes_of(*pruned)), most = bound_of(d);
    const bool resident = d->options->max_resident > 0;
    if (most == 0 || size <= most)
        return RAMIFY_OK;
    if (went == RAMIFY_STOPPED || d->result->time_limit_struck || rounds_are_over(d)) {
        ramify_log(d->context, RAMIFY_LOG_WARNING,
                   "%s: %s %llu bytes, and %llu were asked for: it ended before",
                   d->model->source.name, resident ? "predicting a row holds" : "its file has",
                   size, most);
        return RAMIFY_OK;
    }
    ramify_close(pruned);
    return ramify_fail(d->context, RAMIFY_ERROR_LIMIT,
                       "%s: pruned, %s %llu bytes, and %llu are allowed: allow more, or ask for "
                       "a --density below %.4g",
                       d->model->source.name,
                       resident ? "predicting a row would hold" : "its file would have", size, most,
                       d->result->density);
}

static ramify_status run(driver *d, const ramify_table *table, ramify_model **pruned) {
    const ramify_prune_plan plan = make_plan(d);
    RAMIFY_TRY(
        ramify_pruning_open(d->context, d->model, d->options->rewind, table, &plan, &d->pruning));
    const ramify_pruned dense = ramify_pruning_state(d->pruning);
    d->result->error_name = d->model->targets > 0 ? "rmse" : "error";
    d->result->dense_error = dense.error;
    d->result->validation_rows = ramify_pruning_validation_rows(d->pruning);
    RAMIFY_TRY(check_error(d, table->source));
    RAMIFY_TRY(ramify_prune_folder_open(d->context, d->options->resume, d->model, table, d->options,
                                        &d->folder));
    d->way = d->folder.start;
    RAMIFY_TRY(
        add_round(d, (ramify_prune_round){dense.density, dense.error, NAN, NAN, NAN, 0, NAN}));
    ramify_status went = go(d);
    if (went == RAMIFY_STOPPED)
        went = end_early(d);
    if (went != RAMIFY_OK && went != RAMIFY_STOPPED)
        return went;
    conclude(d);
    if (d->options->predict_only || (went == RAMIFY_STOPPED && d->result->round_count <= 1))
        return went;
    json_t *about = describe_now(d);
    if (!about)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_pruning_model(d->pruning, d->storage, about, pruned);
    json_decref(about);
    if (status == RAMIFY_OK)
        status = check_bytes(d, went, pruned);
    if (status == RAMIFY_OK)
        status = ramify_pruning_score(d->pruning, *pruned, &d->result->score);
    return status == RAMIFY_OK ? went : status;
}

ramify_status ramify_prune(ramify_context *context, ramify_model *model, const ramify_table *table,
                           const ramify_prune_options *options, ramify_model **pruned,
                           ramify_prune_result **result) {
    return ramify_prune_on(context, model, table, options, NULL, pruned, result);
}

ramify_status ramify_prune_on(ramify_context *context, ramify_model *model,
                              const ramify_table *table, const ramify_prune_options *options,
                              const ramify_split *divided, ramify_model **pruned,
                              ramify_prune_result **result) {
    ramify_clear(context);
    if (!model || !table || !options || !pruned)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_prune: model, table, options or pruned is NULL");
    *pruned = NULL;
    if (result)
        *result = NULL;
    RAMIFY_TRY(check_options(context, options));
    driver d = {.context = context,
                .options = options,
                .model = model,
                .divided = divided,
                .limit = NAN,
                .started = ramify_seconds(),
                .storage = (ramify_storage)ramify_word_find(options->store, ramify_storage_words)};
    if (bound_of(&d) > 0 && d.storage == RAMIFY_STORAGE_FASTEST)
        d.storage = RAMIFY_STORAGE_SMALLEST;
    d.result = ramify_allocate_zeroed(context, 1, sizeof *d.result);
    if (!d.result)
        return RAMIFY_ERROR_MEMORY;
    d.result->context = context;
    ramify_status status = run(&d, table, pruned);
    ramify_pruning_close(&d.pruning);
    ramify_law_destroy(&d.law);
    if (result && (status == RAMIFY_OK || status == RAMIFY_STOPPED))
        *result = d.result;
    else
        ramify_prune_result_destroy(&d.result);
    return status;
}
