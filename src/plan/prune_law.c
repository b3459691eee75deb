/* ramify_prune: rounds of pruning, and after each the law of the rounds so far, which says how far to go.
 * What a round is, src/train/prune.c knows; of laws it knows nothing. */

#include "crc32c.h"
#include "memory.h"
#include "progress.h"
#include "prune.h"
#include "save.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The law has four parameters. */
#define LAW_ROUNDS 5
#define LAW_LEVEL  0.9
/* Rounds of a prediction. */
#define PREDICTION_ROUNDS 8
/* Rounds in which measure and law may disagree before it ends: errors of validation rows are noisy. */
#define DISAGREEMENTS 2
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
    ramify_pruning *pruning;
    ramify_storage storage;
    ramify_prune_result *result;
    ramify_law *law;         /* of the rounds so far; NULL: there are too few */
    double wanted;           /* density; 0: not known */
    double limit;            /* of the error; NaN: none */
    double started, longest; /* seconds: of the pruning, and of a round */
    uint32_t identity;       /* of model and options, for a folder that a pruning goes on from */
    bool kept;               /* a state that meets the request is remembered */
} driver;

void ramify_prune_options_init(ramify_prune_options *options) {
    *options = (ramify_prune_options){.max_error_increase = -1,
                                      .step = 0.2,
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
    const int asked = (o->density != 0) + !(o->max_error_increase < 0) + (o->max_bytes > 0);
    if (asked != 1)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "one of density, max error increase and max bytes says how far to prune, "
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
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "weights rewind, or are tuned further as they are: use one of the two");
    if (o->rate < 0 || !(o->rate < 1) || o->validation < 0 || !(o->validation < 1) ||
        o->time_limit < 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a rate, a share of validation rows or a time limit is out of range");
    return RAMIFY_OK;
}

/* --- The folder that a pruning goes on from ---------------------------------------------------- */

typedef char path_text[4096];

static ramify_status name_file(const driver *d, const char *file, path_text path) {
    const int length = snprintf(path, sizeof(path_text), "%s/%s", d->options->resume, file);
    if (length > 0 && (size_t)length < sizeof(path_text))
        return RAMIFY_OK;
    return ramify_fail(d->context, RAMIFY_ERROR_ARGUMENT,
                       "the folder to resume has too long a name");
}

static uint32_t identify(const driver *d) {
    const ramify_prune_options *o = d->options;
    ramify_model_info info;
    char text[160];
    ramify_model_get_info(d->model, &info);
    uint32_t crc = ramify_crc32c(0, info.config, strlen(info.config));
    crc = ramify_crc32c(crc, &d->model->root, sizeof d->model->root);
    if (o->rewind)
        crc = ramify_crc32c(crc, &o->rewind->root, sizeof o->rewind->root);
    snprintf(text, sizeof text, "%s %s %d %u %.17g %.17g %d %llu %d", o->first, o->scope,
             o->fine_tune, o->epochs, o->rate, o->validation, o->own_seed,
             (unsigned long long)o->seed, (int)o->distillation);
    return ramify_crc32c(crc, text, strlen(text));
}

static json_t *describe(const driver *d) {
    char print[16];
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    snprintf(print, sizeof print, "%08x", d->identity);
    return json_pack("{s:f, s:f, s:I, s:s, s:s, s:s}", "density", now.density, "error", now.error,
                     "rounds", (json_int_t)(d->result->round_count - 1), "first", d->options->first,
                     "scope", d->options->scope, "of", print);
}

/* The model of the round, and all rounds as runs that a law can be fitted to. */
static ramify_status write_round(const driver *d) {
    path_text path;
    char line[160];
    ramify_model *state = NULL;
    ramify_replacement file;
    if (!d->options->resume)
        return RAMIFY_OK;
    RAMIFY_TRY(name_file(d, "round.ramify", path));
    json_t *about = describe(d);
    if (!about)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_pruning_give(d->pruning, about, &state);
    json_decref(about);
    if (status == RAMIFY_OK)
        status = ramify_save(d->context, state, path);
    ramify_close(&state);
    RAMIFY_TRY(status);
    RAMIFY_TRY(name_file(d, "runs.csv", path));
    RAMIFY_TRY(ramify_replacement_begin(d->context, path, &file));
    static const char head[] = "density,error,seconds\n";
    status = ramify_replacement_write(d->context, &file, head, sizeof head - 1);
    for (uint32_t i = 0; status == RAMIFY_OK && i < d->result->round_count; i++) {
        const ramify_prune_round *round = &d->result->rounds[i];
        const int length = snprintf(line, sizeof line, "%.17g,%.17g,%.3f\n", round->density,
                                    round->error, round->seconds);
        status = ramify_replacement_write(d->context, &file, line, (size_t)length);
    }
    if (status == RAMIFY_OK)
        return ramify_replacement_commit(d->context, &file);
    ramify_replacement_abandon(d->context, &file);
    return status;
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

static ramify_status read_runs(driver *d, const char *path) {
    ramify_table *table = NULL;
    RAMIFY_TRY(ramify_table_read(d->context, path, NULL, &table));
    static const char *const names[] = {"density", "error", "seconds"};
    size_t column[3];
    ramify_status status = RAMIFY_OK;
    for (size_t c = 0; c < 3; c++) {
        column[c] = ramify_table_find(table, names[c], strlen(names[c]));
        if (status == RAMIFY_OK && (column[c] == SIZE_MAX || table->columns[column[c]].text))
            status =
                ramify_fail(d->context, RAMIFY_ERROR_DATA,
                            "%s: no column \"%s\" of numbers: take another folder", path, names[c]);
    }
    for (size_t row = 0; status == RAMIFY_OK && row < table->rows; row++)
        status = add_round(d, (ramify_prune_round){
                                  .density = ramify_column_value(&table->columns[column[0]], row),
                                  .error = ramify_column_value(&table->columns[column[1]], row),
                                  .predicted = NAN,
                                  .low = NAN,
                                  .high = NAN,
                                  .seconds = ramify_column_value(&table->columns[column[2]], row)});
    ramify_table_destroy(&table);
    return status;
}

static ramify_status check_belongs(const driver *d, const ramify_model *state, const char *path) {
    char print[16];
    ramify_model_info info;
    ramify_model_get_info(state, &info);
    json_t *config = json_loads(info.config, 0, NULL);
    const char *of = json_string_value(json_object_get(json_object_get(config, "pruning"), "of"));
    snprintf(print, sizeof print, "%08x", d->identity);
    const bool same = of && strcmp(of, print) == 0;
    json_decref(config);
    return same ? RAMIFY_OK
                : ramify_fail(d->context, RAMIFY_ERROR_DATA,
                              "%s: of another model, or pruned with other options: take another "
                              "folder, or remove what is in it",
                              path);
}

/* Goes on from the folder, if a round is in it. */
static ramify_status read_round(driver *d, bool *found) {
    path_text path, runs;
    ramify_model *state = NULL;
    *found = false;
    if (!d->options->resume)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_checkpoint_folder(d->context, d->options->resume));
    RAMIFY_TRY(name_file(d, "round.ramify", path));
    RAMIFY_TRY(name_file(d, "runs.csv", runs));
    FILE *there = fopen(path, "rb");
    if (!there)
        return RAMIFY_OK;
    fclose(there);
    RAMIFY_TRY(ramify_open(d->context, path, NULL, &state));
    ramify_status status = check_belongs(d, state, path);
    if (status == RAMIFY_OK)
        status = ramify_pruning_take(d->pruning, state);
    ramify_close(&state);
    if (status == RAMIFY_OK)
        status = read_runs(d, runs);
    *found = status == RAMIFY_OK && d->result->round_count > 0;
    if (*found) {
        const ramify_pruned now = ramify_pruning_state(d->pruning);
        ramify_log(d->context, RAMIFY_LOG_INFO, "going on from %s: density %.4g, %u rounds", path,
                   now.density, d->result->round_count - 1);
    }
    return status;
}

/* --- The law ---------------------------------------------------------------------------------- */

/* Fits the law anew. Rounds that no law can be fitted to are none's fault. */
static void fit_law(driver *d) {
    const ramify_prune_result *result = d->result;
    static const char *const names[] = {"density", "error"};
    ramify_law_options options;
    ramify_table *table = NULL;
    ramify_law_destroy(&d->law);
    if (result->round_count < LAW_ROUNDS)
        return;
    double *runs = ramify_allocate(d->context, (size_t)2 * result->round_count, sizeof *runs);
    if (!runs) {
        ramify_clear(d->context);
        return;
    }
    for (uint32_t i = 0; i < result->round_count; i++) {
        runs[2 * i] = result->rounds[i].density;
        runs[2 * i + 1] = result->rounds[i].error;
    }
    ramify_law_options_init(&options);
    options.form = "pruning";
    options.x = "density";
    options.y = "error";
    options.bootstrap = 0;
    ramify_status status =
        ramify_table_from_doubles(d->context, runs, result->round_count, 2, 2, names, &table);
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

static ramify_status make_round(driver *d, double density) {
    const ramify_law_estimate said = law_error(d, density);
    const double began = ramify_seconds();
    RAMIFY_TRY(ramify_pruning_round(d->pruning, density));
    const ramify_pruned now = ramify_pruning_state(d->pruning);
    const double seconds = ramify_seconds() - began;
    d->longest = seconds > d->longest ? seconds : d->longest;
    RAMIFY_TRY(add_round(
        d, (ramify_prune_round){now.density, now.error, said.value, said.low, said.high, seconds}));
    ramify_log(d->context, RAMIFY_LOG_INFO, "round %u: density %.4g, %s %.6g (%+.2f %%)",
               d->result->round_count - 1, now.density, d->result->error_name, now.error,
               100 * (now.error / d->result->dense_error - 1));
    fit_law(d);
    return write_round(d);
}

/* Down to a density that is known. */
static ramify_status go_to(driver *d, double density) {
    for (;;) {
        const ramify_pruned state = ramify_pruning_state(d->pruning);
        const double now = state.density;
        /* A density is met to the nearest weight. */
        if (now - density < now / (double)state.weights)
            return RAMIFY_OK;
        if (out_of_time(d) || rounds_are_over(d))
            return RAMIFY_OK;
        double next = d->options->one_shot ? density : now * (1 - d->options->step);
        /* A last step that would be a small one is taken with the one before. */
        if (next < density || next * CLOSE < density)
            next = density;
        RAMIFY_TRY(make_round(d, next));
        if (ramify_pruning_state(d->pruning).density < now)
            continue;
        /* Units and branches go as wholes, and one of each stays: what was learned is not thrown away. */
        ramify_log(d->context, RAMIFY_LOG_WARNING,
                   "%s: no more can be pruned: the density is %.4g, and %.4g was asked for",
                   d->model->source.name, now, density);
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
        const double before = ramify_pruning_state(d->pruning).density;
        RAMIFY_TRY(make_round(d, before * (1 - d->options->step)));
        const double now = ramify_pruning_state(d->pruning).density;
        if (now >= before)
            return RAMIFY_OK;
        if (met(d)) {
            RAMIFY_TRY(ramify_pruning_keep(d->pruning));
            disagreed = 0;
            *beyond = 0;
            continue;
        }
        if (*beyond == 0)
            *beyond = now;
        const bool enough = d->result->round_count >= LAW_ROUNDS || !d->options->predict_only;
        if (enough && (failed(d) || ++disagreed >= DISAGREEMENTS))
            return RAMIFY_OK;
    }
    return RAMIFY_OK;
}

/* Too far, and then between that and what was met, where the law says. */
static ramify_status go_by_error(driver *d) {
    double beyond;
    RAMIFY_TRY(ramify_pruning_keep(d->pruning));
    d->kept = true;
    RAMIFY_TRY(go_too_far(d, &beyond));
    RAMIFY_TRY(ramify_pruning_go_back(d->pruning));
    for (uint32_t i = 0; i < CLOSER_ROUNDS && beyond > 0; i++) {
        const double best = ramify_pruning_state(d->pruning).density;
        double between = law_density(d, d->limit);
        if (d->options->predict_only || beyond > best * CLOSE || rounds_are_over(d) ||
            out_of_time(d))
            return RAMIFY_OK;
        if (!(between > beyond / CLOSE && between < best * CLOSE))
            between = sqrt(beyond * best);
        RAMIFY_TRY(make_round(d, between));
        const double now = ramify_pruning_state(d->pruning).density;
        const bool coarse = now <= beyond; /* units and branches go as wholes */
        if (met(d)) {
            RAMIFY_TRY(ramify_pruning_keep(d->pruning));
        } else {
            beyond = now;
            RAMIFY_TRY(ramify_pruning_go_back(d->pruning));
        }
        if (coarse)
            return RAMIFY_OK;
    }
    return RAMIFY_OK;
}

/* The largest density at which the file is small enough, as weights are now. */
static ramify_status density_of_bytes(driver *d, double *density) {
    const uint64_t most = d->options->max_bytes;
    const double now = ramify_pruning_state(d->pruning).density;
    double low = 0, high = now;
    uint64_t bytes;
    RAMIFY_TRY(ramify_pruning_bytes(d->pruning, now, d->storage, &bytes));
    *density = now;
    if (bytes <= most)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_pruning_bytes(d->pruning, DENSITY_LEAST, d->storage, &bytes));
    if (bytes > most)
        return ramify_fail(d->context, RAMIFY_ERROR_LIMIT,
                           "%s: without any weights its file would still have some %llu bytes, and "
                           "%llu are allowed: allow more, or train a smaller model",
                           d->model->source.name, (unsigned long long)bytes,
                           (unsigned long long)most);
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = (low + high) / 2;
        RAMIFY_TRY(ramify_pruning_bytes(d->pruning, middle, d->storage, &bytes));
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
    if (o->max_bytes > 0)
        RAMIFY_TRY(go_by_bytes(d));
    else
        d->wanted = o->density;
    if (o->predict_only)
        return go_to(d, d->wanted);
    return o->max_bytes > 0 ? RAMIFY_OK : go_to(d, d->wanted);
}

/* --- The whole -------------------------------------------------------------------------------- */

static ramify_prune_plan make_plan(const driver *d) {
    const ramify_prune_options *o = d->options;
    return (ramify_prune_plan){
        .weight = o->weight,
        .group = o->group,
        .time = o->time,
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

/* What the law said before each round that was made before. */
static void predict_again(driver *d) {
    const uint32_t all = d->result->round_count;
    for (uint32_t i = 1; i < all; i++) {
        ramify_prune_round *round = &d->result->rounds[i];
        d->result->round_count = i;
        fit_law(d);
        const ramify_law_estimate said = law_error(d, round->density);
        round->predicted = said.value;
        round->low = said.low;
        round->high = said.high;
    }
    d->result->round_count = all;
}

static ramify_status run(driver *d, const ramify_table *table, ramify_model **pruned) {
    const ramify_prune_plan plan = make_plan(d);
    bool resumed = false;
    RAMIFY_TRY(
        ramify_pruning_open(d->context, d->model, d->options->rewind, table, &plan, &d->pruning));
    d->result->error_name = d->model->targets > 0 ? "rmse" : "error";
    d->result->dense_error = ramify_pruning_state(d->pruning).error;
    d->result->validation_rows = ramify_pruning_validation_rows(d->pruning);
    d->identity = identify(d);
    if (!(d->result->dense_error > 0))
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: the model makes no error on the %llu validation rows: laws are of "
                           "errors above 0, so hold more rows out (--validation)",
                           table->source, (unsigned long long)d->result->validation_rows);
    RAMIFY_TRY(read_round(d, &resumed));
    if (resumed) {
        d->result->dense_error = d->result->rounds[0].error;
        predict_again(d);
    } else {
        const ramify_pruned dense = ramify_pruning_state(d->pruning);
        RAMIFY_TRY(
            add_round(d, (ramify_prune_round){dense.density, dense.error, NAN, NAN, NAN, 0}));
    }
    fit_law(d);
    ramify_status went = go(d);
    if (went != RAMIFY_OK && went != RAMIFY_STOPPED)
        return went;
    if (went == RAMIFY_STOPPED && d->kept)
        RAMIFY_TRY(ramify_pruning_go_back(d->pruning));
    if (went == RAMIFY_STOPPED && ramify_late(plan.deadline) && !ramify_cancelled(d->context)) {
        ramify_clear(d->context);
        d->result->time_limit_struck = true;
        went = RAMIFY_OK;
    }
    conclude(d);
    if (d->options->predict_only)
        return went;
    json_t *about = describe(d);
    if (!about)
        return ramify_fail(d->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    ramify_status status = ramify_pruning_model(d->pruning, d->storage, about, pruned);
    json_decref(about);
    return status == RAMIFY_OK ? went : status;
}

ramify_status ramify_prune(ramify_context *context, ramify_model *model, const ramify_table *table,
                           const ramify_prune_options *options, ramify_model **pruned,
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
                .limit = NAN,
                .started = ramify_seconds(),
                .storage = (ramify_storage)ramify_word_find(options->store, ramify_storage_words)};
    if (options->max_bytes > 0 && d.storage == RAMIFY_STORAGE_FASTEST)
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
