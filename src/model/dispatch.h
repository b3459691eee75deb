#ifndef RAMIFY_MODEL_DISPATCH_H
#define RAMIFY_MODEL_DISPATCH_H
/* Rows of several ranks, each predicted by the rank that owns the row's expert.
 *
 * A rank owns a stretch of the file's modules, as many bytes as every other; it loads these alone. Nodes
 * of the tree are read by all. Every rank takes rows of its own down the tree, sends them to the owners
 * of their modules, and gets back what these make of them: the bits that it would have computed itself,
 * since no arithmetic mixes rows.
 *
 * Rows go in blocks. For a row that another rank's expert answers, there leave this rank
 *     min(4 x plain features, 8 x columns) bytes, 8 x columns where the model has series,
 * and 64 bytes for every expert of a block; back come 4 x outputs bytes, 8 x outputs where there are
 * series. With several experts per row this holds for every one of them. */

#include "predict.h"

typedef struct ramify_dispatch ramify_dispatch;

/* Whether a model's modules are divided: there are several ranks, and no fewer modules. A Para-Former's
 * branches are not, as every row needs them all. */
bool ramify_dispatch_divides(const ramify_context *context, const ramify_model *model);

/* rows: of all ranks, as far as known, else 0: a block is at most 5 % of them. Every rank calls this and
 * what follows; a model that is not divided is run by each rank whole. Free with
 * ramify_dispatch_destroy. */
ramify_status ramify_dispatch_create(ramify_context *context, ramify_model *model, uint64_t rows,
                                     ramify_dispatch **dispatch);
void ramify_dispatch_destroy(ramify_dispatch **dispatch);

/* Rows of a rank between two meetings of all. */
size_t ramify_dispatch_block(const ramify_dispatch *dispatch);

/* Predicts this rank's rows first .. first + rows of a matched table; ranks may have different numbers
 * of them, or none. Results are dense and begin at wanted's pointers. match may be NULL with 0 rows. */
ramify_status ramify_dispatch_rows(ramify_dispatch *dispatch, const ramify_match *match,
                                   size_t first, size_t rows, const ramify_wanted *wanted);

/* Warns of all ranks' values outside the training range, of what has been predicted so far. */
ramify_status ramify_dispatch_warn(ramify_dispatch *dispatch, const char *source);

#endif
