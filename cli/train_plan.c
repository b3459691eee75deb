#include "train_plan.h"
#include "output.h"
#include "plan_report.h"
#include "printing.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What may stand beside --plan: all else shapes the model, and is the plan's. */
static const char *const beside[] = {
    "plan",       "report",  "output",    "test",      "test-labels", "json",        "controls",
    "time-limit", "rewind",  "rewind-at", "delimiter", "header",      "categorical", "labels",
    "image",      "threads", "isa",       "memory",    "verbose",     NULL};

void train_plan_add_options(arguments *list, train_plan *from) {
    const argument_option options[] = {
        {.help = "With a plan (ramify plan)"},
        {.name = "plan",
         .kind = ARGUMENT_TEXT,
         .value = &from->path,
         .placeholder = "PLAN",
         .unset = "none",
         .help = "options as it has them; the outcome is added to it"},
        {.name = "report",
         .kind = ARGUMENT_TEXT,
         .value = &from->report,
         .placeholder = "FILE",
         .unset = "none",
         .help = "a page of HTML: the plan and its outcome"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
}

int train_plan_check(const arguments *list, const train_plan *from) {
    if (!from->path)
        return from->report
                   ? arguments_refuse("train", "--report needs --plan: a plan to report of")
                   : EXIT_OK;
    const char *other = arguments_beside(list, beside);
    return other
               ? arguments_refuse("train",
                                  "--%s and --plan: the plan holds what shapes the model; give it "
                                  "to ramify plan",
                                  other)
               : EXIT_OK;
}

int train_plan_open(session *run, train_plan *from, ramify_train_options *options) {
    if (!from->path)
        return EXIT_OK;
    ramify_train_options planned;
    ramify_status status = ramify_plan_open(run->context, from->path, &from->plan);
    if (status == RAMIFY_OK)
        status = ramify_plan_choice(from->plan, &planned);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    planned.controls = options->controls;
    planned.time_limit = options->time_limit;
    planned.rewind_at = options->rewind_at;
    *options = planned;
    from->density = 1;
    from->time_limit = planned.time_limit;
    status = ramify_plan_pruning(from->plan, &from->prune, &from->foretold);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    return from->prune.max_resident > 0 && planned.controls
               ? session_error(run,
                               "%s: its model is pruned, and --controls are not: leave --controls "
                               "out",
                               from->path)
               : EXIT_OK;
}

ramify_status train_plan_prune(session *run, train_plan *from, const ramify_table *table,
                               ramify_model **model, ramify_training *training) {
    if (!from->plan || from->prune.max_resident == 0 || training->time_limit_struck)
        return RAMIFY_OK;
    ramify_prune_options options = from->prune;
    ramify_model *pruned = NULL;
    ramify_prune_result *result = NULL;
    const double started = session_seconds();
    if (from->time_limit > 0)
        options.time_limit = fmax(from->time_limit - training->seconds, 1e-3);
    const ramify_status status =
        ramify_prune(run->context, *model, table, &options, &pruned, &result);
    from->pruning = session_seconds() - started;
    training->seconds += from->pruning;
    if (pruned && result) {
        ramify_close(model);
        *model = pruned;
        training->score = result->score;
        training->time_limit_struck = result->time_limit_struck;
        from->density = result->density;
    }
    ramify_prune_result_destroy(&result);
    return status;
}

void train_plan_warn(session *run, const train_plan *from, const ramify_model *model) {
    char holds[PRINTING_ROOM], planned[PRINTING_ROOM];
    ramify_model_info info;
    if (!from->plan || from->prune.max_resident == 0)
        return;
    ramify_model_get_info(model, &info);
    if (info.resident_bytes > from->prune.max_resident)
        session_warning(run,
                        "a row needs %s of memory where %s were planned: it ended before the model "
                        "was pruned so far",
                        format_size(holds, info.resident_bytes),
                        format_size(planned, from->prune.max_resident));
}

static json_t *plan_json(const train_plan *from) {
    return json_loads(ramify_plan_text(from->plan), 0, NULL);
}

static bool rewrite(const train_plan *from) {
    output to;
    if (!output_open(&to, from->path))
        return false;
    fprintf(to.file, "%s\n", ramify_plan_text(from->plan));
    return output_close(&to);
}

/* A table that grew, or was changed, since is a table of its own. */
static void warn_of_other_rows(session *run, const train_plan *from,
                               const ramify_training *training, const ramify_model_info *info) {
    json_t *plan = plan_json(from), *config = json_loads(info->config, 0, NULL);
    const uint64_t rows = count_of(json_object_get(plan, "rows"), "train");
    const char *planned = text_of(plan, "fingerprint"), *trained = text_of(config, "fingerprint");
    if (rows > 0 && rows != training->train_rows)
        session_warning(run,
                        "%s was made for %llu training rows, and these are %llu: what it predicts "
                        "is of those",
                        from->path, (unsigned long long)rows,
                        (unsigned long long)training->train_rows);
    else if (planned[0] != '\0' && trained[0] != '\0' && strcmp(planned, trained) != 0)
        session_warning(run,
                        "%s was made for other rows, or the same in another order: what it "
                        "predicts is of those",
                        from->path);
    json_decref(plan);
    json_decref(config);
}

int train_plan_close(session *run, train_plan *from, const ramify_training *training,
                     const ramify_score *score, const ramify_model_info *info) {
    if (!from->plan)
        return EXIT_OK;
    const ramify_status status = ramify_plan_add_obtained(from->plan, score, training->seconds,
                                                          info->resident_bytes, from->density);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    warn_of_other_rows(run, from, training, info);
    if (training->time_limit_struck)
        session_warning(run,
                        "the time limit struck: what was obtained is of a shorter training than "
                        "was planned");
    if (!rewrite(from))
        return session_error(run, "%s: cannot be written (%s)", from->path, strerror(errno));
    json_t *plan = from->report ? plan_json(from) : NULL;
    errno = ENOMEM; /* of a plan that is NULL */
    const bool written = !from->report || (plan && plan_report_write(from->report, plan));
    json_decref(plan);
    return written
               ? EXIT_OK
               : session_error(run, "%s: cannot be written (%s)", from->report, strerror(errno));
}

void train_plan_print(const train_plan *from, const ramify_score *score) {
    double level;
    if (from->prune.max_resident > 0)
        printf("pruned      to a density of %.3g, %.3g was predicted; in %.1f seconds\n",
               from->density, from->foretold, from->pruning);
    const ramify_law_estimate said = ramify_plan_predicted(from->plan, &level);
    const bool classes = isnan(score->rmse);
    const double error = classes ? 1 - score->accuracy : score->rmse;
    char percent[PRINTING_ROOM];
    printf("predicted   %s %.6g (%s %%: %.6g to %.6g)\n", classes ? "error" : "rmse", said.value,
           format_level(percent, level), said.low, said.high);
    printf("obtained    %.6g, %+.1f %%", error, 100 * (error / said.value - 1));
    if (isfinite(score->error_low))
        printf(" (by these %llu rows alone 90 %%: %.6g to %.6g)", (unsigned long long)score->rows,
               score->error_low, score->error_high);
    printf("\n");
}

json_t *train_plan_json(const train_plan *from) {
    json_t *plan = plan_json(from);
    json_t *object = json_pack("{s:O, s:O}", "predicted", json_object_get(plan, "predicted"),
                               "obtained", json_object_get(plan, "obtained"));
    json_decref(plan);
    return object;
}
