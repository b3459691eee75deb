#include "folds.h"
#include "memory.h"
#include "random.h"

#include <string.h>

/* Rows that are held out in all; of one fold as many as would be enough at most, for designs are to
 * be trained on nearly all rows. */
#define HELD_OUT 1000

/* Rows that weigh nothing would choose nothing. */
static bool weigh(const ramify_problem *problem, ramify_rows rows) {
    if (!problem->weight)
        return true;
    for (size_t i = 0; i < rows.count; i++)
        if (problem->weight[rows.row[i]] > 0)
            return true;
    return false;
}

ramify_status ramify_folds_create(const ramify_problem *problem, uint64_t seed, bool one,
                                  ramify_folds *folds) {
    *folds = (ramify_folds){.count = 1};
    folds->fold[0] = *problem;
    size_t rows = problem->train.count + problem->select.count;
    if (one || problem->select.count >= RAMIFY_SELECT_ENOUGH)
        return RAMIFY_OK;
    size_t held = rows / RAMIFY_FOLDS_MAX;
    if (held > RAMIFY_SELECT_ENOUGH)
        held = RAMIFY_SELECT_ENOUGH;
    if (held == 0)
        return RAMIFY_OK;
    size_t count = (HELD_OUT + held - 1) / held;
    if (count > RAMIFY_FOLDS_MAX)
        count = RAMIFY_FOLDS_MAX;
    ramify_context *context = problem->context;
    uint32_t *order = ramify_allocate(context, rows, sizeof *order);
    folds->memory = ramify_allocate(context, count * rows, sizeof *folds->memory);
    if (!order || !folds->memory) {
        ramify_release(context, order);
        ramify_folds_destroy(context, folds);
        return RAMIFY_ERROR_MEMORY;
    }
    memcpy(order, problem->train.row, problem->train.count * sizeof *order);
    memcpy(order + problem->train.count, problem->select.row,
           problem->select.count * sizeof *order);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_FOLDS, 0, 0);
    ramify_random_shuffle(&random, order, rows);
    for (size_t f = 0; f < count; f++) {
        /* Training rows in front, the held-out ones behind. */
        uint32_t *row = folds->memory + f * rows;
        size_t before = f * held, after = rows - held - before;
        memcpy(row, order, before * sizeof *row);
        memcpy(row + before, order + before + held, after * sizeof *row);
        memcpy(row + before + after, order + before, held * sizeof *row);
        ramify_problem *fold = &folds->fold[f];
        *fold = *problem;
        fold->train = (ramify_rows){row, rows - held};
        fold->observed = fold->train;
        fold->select = (ramify_rows){row + rows - held, held};
    }
    folds->count = (uint32_t)count;
    for (size_t f = 0; f < count; f++)
        if (!weigh(problem, folds->fold[f].train) || !weigh(problem, folds->fold[f].select)) {
            folds->fold[0] = *problem;
            folds->count = 1;
        }
    ramify_release(context, order);
    return RAMIFY_OK;
}

void ramify_folds_destroy(ramify_context *context, ramify_folds *folds) {
    ramify_release(context, folds->memory);
    *folds = (ramify_folds){0};
}
