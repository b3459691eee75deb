/* From a tree of boxes to a report and a model. */

#include "draft.h"
#include "memory.h"
#include "nyquist_options.h"
#include "nyquist_train.h"

#include <math.h>

/* A fall of the error by this factor from one band to the next is a cliff. */
#define CLIFF 10.0

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* Where the error falls most from one band to the next, if it falls as off a cliff; else 0. */
static uint32_t find_cliff(const ramify_series_report *report) {
    uint32_t at = 0;
    double most = CLIFF;
    for (uint32_t b = 1; b <= report->bands_best && b < report->bands; b++) {
        double fall = report->band_error[b - 1] / report->band_error[b];
        if (fall > most) {
            most = fall;
            at = b;
        }
    }
    return at;
}

/* Bands in even steps, and every one beside the band that was taken. */
static json_t *bands_json(const ramify_series_report *report, double unit) {
    json_t *list = json_array();
    const uint32_t step = report->bands / RAMIFY_NYQUIST_LISTED_BANDS + 1, beside = 2;
    for (uint32_t b = 0; b < report->bands; b++) {
        if (b % step != 0 && (b + beside < report->bands_best || b > report->bands_best + beside))
            continue;
        json_array_append_new(list, json_pack("{s:i, s:i, s:o}", "band", (int)b, "terms",
                                              (int)report->band_terms[b], "error",
                                              number(unit * report->band_error[b])));
    }
    return list;
}

json_t *ramify_nyquist_json(const ramify_problem *problem, const ramify_nyquist *trained) {
    const ramify_series_report *root = &trained->nodes[0].fit->report;
    const double unit = problem->targets == 1 ? problem->head_scale[0] : 1;
    json_t *axes = json_array();
    for (uint32_t a = 0; a < trained->axes; a++) {
        const ramify_series_axis *axis = &trained->nodes[0].axis[a];
        json_array_append_new(axes, json_pack("{s:i, s:s, s:f, s:f}", "column", (int)axis->column,
                                              "basis", ramify_basis_names[axis->basis], "low",
                                              axis->origin, "length", axis->length));
    }
    uint32_t least = UINT32_MAX, most = 0;
    double squares = 0, rows = 0;
    for (uint32_t i = 0; i < trained->node_count; i++) {
        const ramify_series_report *report = &trained->nodes[i].fit->report;
        if (trained->nodes[i].children > 0)
            continue;
        least = report->band < least ? report->band : least;
        most = report->band > most ? report->band : most;
        squares += (double)report->rows * report->error * report->error;
        rows += (double)report->rows;
    }
    uint32_t cliff = find_cliff(root);
    json_t *report = json_pack(
        "{s:s, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "set",
        ramify_set_names[root->set], "band", (int)root->band, "terms", (int)root->terms, "rows",
        (json_int_t)root->rows, "error", number(unit * root->error), "noise",
        number(unit * root->noise), "ridge", number(root->ridge), "growth", number(root->growth),
        "least_norm", (int)root->least_norm, "axes", axes, "bands", bands_json(root, unit));
    if (report)
        json_object_set_new(report, "bands_set", json_string(ramify_set_names[root->bands_set]));
    if (report && cliff > 0)
        json_object_set_new(report, "cliff",
                            json_pack("{s:i, s:o, s:o}", "band", (int)cliff, "before",
                                      number(unit * root->band_error[cliff - 1]), "after",
                                      number(unit * root->band_error[cliff])));
    if (report)
        json_object_set_new(report, "leaves",
                            json_pack("{s:i, s:i, s:o}", "least_band", (int)least, "most_band",
                                      (int)most, "error", number(unit * sqrt(squares / rows))));
    return report;
}

/* ---- the model ---- */

ramify_status ramify_nyquist_finish(const ramify_problem *problem, const ramify_nyquist *trained,
                                    const ramify_draft_notes *notes, json_t *config,
                                    ramify_model **model) {
    ramify_context *context = problem->context;
    uint32_t count = trained->node_count, leaves = 0;
    ramify_draft_node *node = ramify_allocate_zeroed(context, count, sizeof *node);
    const ramify_series_header **record = ramify_allocate(context, count, sizeof *record);
    ramify_series_shape shape = {.columns = problem->stem.columns, .outputs = problem->targets};
    ramify_status status = node && record ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < count; i++) {
        const ramify_nyquist_node *from = &trained->nodes[i];
        node[i] = (ramify_draft_node){.children = from->children,
                                      .first_child = from->first_child,
                                      .prototype = from->prototype,
                                      .module = leaves};
        if (from->children > 0)
            continue;
        record[leaves++] = from->fit->record;
        shape.most_bytes = from->fit->record_bytes > shape.most_bytes
                               ? (uint32_t)from->fit->record_bytes
                               : shape.most_bytes;
        uint32_t numbers = from->fit->record->terms * problem->targets;
        shape.most_numbers = numbers > shape.most_numbers ? numbers : shape.most_numbers;
        shape.most_functions = from->fit->functions > shape.most_functions ? from->fit->functions
                                                                           : shape.most_functions;
    }
    void *bytes = NULL;
    size_t size;
    if (status == RAMIFY_OK) {
        const ramify_draft draft = {.kind = "nyquist",
                                    .schema = problem->schema,
                                    .stem = &problem->stem,
                                    .head_center = problem->head_center,
                                    .head_scale = problem->head_scale,
                                    .series_shape = shape,
                                    .series_count = leaves,
                                    .series = record,
                                    .node_count = count,
                                    .nodes = node,
                                    .notes = notes,
                                    .config = config};
        status = ramify_draft_write(context, &draft, &bytes, &size);
    }
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    ramify_release(context, node);
    ramify_release(context, record);
    return status;
}
