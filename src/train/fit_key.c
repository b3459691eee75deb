#include "fit_key.h"
#include "crc32c.h"

#include <string.h>

/* The finaliser of splitmix64: every bit of the sum decides on every bit of the key. */
static uint64_t mix(uint64_t key, uint64_t word) {
    key += word + UINT64_C(0x9E3779B97F4A7C15);
    key = (key ^ (key >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94D049BB133111EB);
    return key ^ (key >> 31);
}

uint64_t ramify_fit_key_count(uint64_t key, uint64_t count) {
    return mix(key, count);
}

uint64_t ramify_fit_key_bytes(uint64_t key, const void *bytes, size_t size) {
    return mix(mix(key, size), bytes ? ramify_crc32c(0, bytes, size) : UINT64_MAX);
}

uint64_t ramify_fit_key_number(uint64_t key, double number) {
    uint64_t word;
    memcpy(&word, &number, sizeof word);
    return mix(key, word);
}

uint64_t ramify_fit_key(const ramify_context *context, const char *purpose) {
    const char *const texts[] = {RAMIFY_VERSION, ramify_isa(context), purpose};
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        key = ramify_fit_key_bytes(key, texts[i], strlen(texts[i]));
    return key;
}

uint64_t ramify_fit_key_plan(uint64_t key, const ramify_expert_plan *plan) {
    const double numbers[] = {plan->rate,      plan->warm_up, plan->decay,
                              plan->smoothing, plan->average, plan->rewind_at};
    const uint64_t counts[] = {plan->epochs, plan->batch, plan->cosine, plan->keep_last,
                               plan->checks, plan->seed,  plan->node,   plan->train_slope};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        key = ramify_fit_key_number(key, numbers[i]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        key = ramify_fit_key_count(key, counts[i]);
    return plan->mask ? ramify_fit_key_count(key, 1) : key;
}

uint64_t ramify_fit_key_shape(uint64_t key, const ramify_mlp_shape *shape) {
    key = ramify_fit_key_count(key, shape->layers);
    key = ramify_fit_key_count(key, shape->members);
    for (uint32_t l = 0; l <= shape->layers; l++)
        key = ramify_fit_key_count(key, shape->width[l]);
    return key;
}

uint64_t ramify_fit_key_encoder(uint64_t key, const ramify_encoder_options *options) {
    key = ramify_fit_key_count(key, options->bins);
    key = ramify_fit_key_count(key, options->bin_count);
    key = ramify_fit_key_count(key, options->frequencies);
    key = ramify_fit_key_number(key, options->frequency_deviation);
    return ramify_fit_key_count(key, options->seed);
}

static uint64_t add_rows(uint64_t key, ramify_rows rows) {
    return ramify_fit_key_bytes(key, rows.row, rows.count * sizeof *rows.row);
}

uint64_t ramify_fit_key_problem(uint64_t key, const ramify_problem *problem) {
    const size_t rows = problem->rows, columns = problem->stem.columns;
    key = ramify_fit_key_bytes(key, problem->plain, rows * problem->plain_stride * sizeof(float));
    key = ramify_fit_key_bytes(key, problem->target, rows * problem->targets * sizeof(float));
    key = ramify_fit_key_bytes(key, problem->label, rows * sizeof *problem->label);
    key = ramify_fit_key_bytes(key, problem->soft, rows * problem->outputs * sizeof(float));
    key = ramify_fit_key_bytes(key, problem->weight, rows * sizeof(float));
    for (size_t c = 0; c < columns; c++) {
        key = ramify_fit_key_count(key, problem->column[c].codes);
        key = ramify_fit_key_count(key, problem->column[c].missing);
    }
    key = add_rows(add_rows(add_rows(key, problem->train), problem->select), problem->report);
    return ramify_fit_key_count(key, problem->observed.count);
}
