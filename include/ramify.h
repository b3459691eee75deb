/* ramify: networks made of independent modules.
 *
 * This header is the manual. It goes from simple to advanced:
 *
 *   1. Status codes and the context      what every call needs
 *   2. Opening a model and predicting    what a program that ships a model needs (libramify-run)
 *   3. Tables                            CSV, NPY, IDX or arrays
 *   4. Training, evaluating, saving      what makes a model
 *   5. Looking into a model              which columns it rests on, what theory says of its kind
 *   6. Exporting                         a model as C source or as an ONNX file
 *   7. Scaling laws                      the error of runs that were not made
 *   8. Where the error comes from        noise, size, rows or training
 *   9. Pruning                           fewer weights, and what that costs
 *  10. Quantising                        fewer bits for every weight
 *  11. Planning                          the error of a training that was not made
 *  12. Planning from runs                which run to make, and when to stop
 *  13. Several processes                 the same model trained and run by the ranks of an MPI job
 *
 * A model sends each row down a tree of prototypes to one small multilayer perceptron, its expert,
 * and only that expert is read. The file format is described in docs/model-format.md, the command
 * line in docs/cli.md.
 *
 * Conventions
 *   - Every call that can fail returns ramify_status; results come through the last parameters and
 *     are set only on RAMIFY_OK. The sentence that says what went wrong is ramify_message().
 *   - Handles are destroyed with the function named beside their creator; destroying takes the
 *     address of the handle, sets it to NULL, and accepts NULL.
 *   - A context and what was made with it may be used by one thread at a time, except that any
 *     number of threads may predict from one ramify_model, each with a ramify_predictor (and a
 *     context) of its own. A context outlives everything made with it.
 *   - Strings are UTF-8. Arrays are row-major; strides are counted in elements.
 *   - The library never prints, exits, aborts, reads the environment or keeps global state.
 *     Rounding and denormal numbers are the calling thread's own: they are as they were when a call
 *     returns and in callbacks.
 */
#ifndef RAMIFY_H
#define RAMIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RAMIFY_VERSION_MAJOR 0
#define RAMIFY_VERSION_MINOR 1
#define RAMIFY_VERSION_PATCH 0
#define RAMIFY_VERSION       "0.1.0"

#if defined(__GNUC__)
#define RAMIFY_API __attribute__((visibility("default")))
#else
#define RAMIFY_API
#endif

/* ------------------------------------------------------------------------------------------------
 * 1. Status codes and the context
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_status {
    RAMIFY_OK = 0,
    RAMIFY_STOPPED = 1,        /* the cancel callback asked to stop */
    RAMIFY_ERROR_ARGUMENT = 2, /* an option or argument is out of its range */
    RAMIFY_ERROR_MEMORY = 3,   /* an allocation was refused */
    RAMIFY_ERROR_LIMIT =
        4, /* more memory is needed than the caller allows; the message says how much */
    RAMIFY_ERROR_IO = 5,          /* a file cannot be opened, read or written */
    RAMIFY_ERROR_FORMAT = 6,      /* a file is not what its kind says: damaged or hostile */
    RAMIFY_ERROR_DATA = 7,        /* a table does not fit the request, say by a missing column */
    RAMIFY_ERROR_UNSUPPORTED = 8, /* this build, processor or model kind cannot do that */
    RAMIFY_ERROR_CLUSTER = 9 /* another rank failed or is gone, or ranks cannot reach each other */
} ramify_status;

/* A short name for a status, such as "ERROR_FORMAT"; never NULL. */
RAMIFY_API const char *ramify_status_name(ramify_status status);

/* The version of the library that is running, such as "0.1.0". */
RAMIFY_API const char *ramify_version(void);

typedef enum ramify_log_level { RAMIFY_LOG_INFO = 0, RAMIFY_LOG_WARNING = 1 } ramify_log_level;

/* What a long call is doing. `total` is 0 when it is not known. */
typedef struct ramify_progress {
    const char *stage; /* "reading", "training", ...; valid during the callback */
    double done;       /* units finished */
    double total;      /* units in all */
} ramify_progress;

/* How a context is set up. Fill with ramify_context_options_init, then change what matters. The
 * struct and the string `isa` are copied. */
typedef struct ramify_context_options {
    void *user; /* passed to every callback */

    /* Memory. Both NULL (malloc and free) or both set; called from several threads at once. `bytes`
     * is at least 1; the result must be aligned as malloc's; NULL refuses. The blocks that the JSON
     * library takes for itself do not come from here. */
    void *(*allocate)(void *user, size_t bytes);
    void (*release)(void *user, void *memory);

    /* Never called by two threads at once. */
    void (*log)(void *user, ramify_log_level level, const char *message);
    void (*progress)(void *user, const ramify_progress *progress);

    /* Return true to stop the running call with RAMIFY_STOPPED; asked often, by several threads. */
    bool (*cancel)(void *user);

    uint32_t threads;      /* threads a call may use, its own included; 0: one per processor */
    const char *isa;       /* "baseline", "avx2", "avx512", "neon"; NULL: the best there is */
    uint64_t memory_limit; /* bytes that a table may take; 0: what is free. Training
                              needs about its rows as float32 again, with teachers seven times
                              that, at most 1 GiB more */
} ramify_context_options;

RAMIFY_API void ramify_context_options_init(ramify_context_options *options);

typedef struct ramify_context ramify_context;

/* Creates a context. `options` may be NULL for the defaults. Fails with RAMIFY_ERROR_MEMORY,
 * RAMIFY_ERROR_ARGUMENT (callbacks half set) or RAMIFY_ERROR_UNSUPPORTED (an instruction set that
 * this processor lacks); there is no message then. Free with ramify_context_destroy. */
RAMIFY_API ramify_status ramify_context_create(const ramify_context_options *options,
                                               ramify_context **context);

/* Destroys a context, after everything made with it. */
RAMIFY_API void ramify_context_destroy(ramify_context **context);

/* The sentence about the last failure, or "" if the last call succeeded. Valid until the next call
 * with this context. */
RAMIFY_API const char *ramify_message(const ramify_context *context);

/* The instruction set in use: "baseline", "avx2", ... Lives as long as the library. */
RAMIFY_API const char *ramify_isa(const ramify_context *context);

/* Threads that a call may use, its own included; at least 1. */
RAMIFY_API uint32_t ramify_threads(const ramify_context *context);

/* ------------------------------------------------------------------------------------------------
 * 2. Opening a model and predicting
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_task { RAMIFY_TASK_REGRESSION = 0, RAMIFY_TASK_CLASSIFICATION = 1 } ramify_task;

typedef enum ramify_access {
    RAMIFY_ACCESS_READ = 0, /* parts are read into memory when a row first needs them */
    RAMIFY_ACCESS_MMAP = 1  /* the file is mapped: trusts whoever can write or truncate it while the
                               model is open (a part is checked when it is mapped, and used after) */
} ramify_access;

typedef struct ramify_open_options {
    ramify_access access; /* default RAMIFY_ACCESS_READ */

    /* Bound on all bytes that the model and its predictors hold once it is open; 0: none, what was
     * read is kept. Opening itself parses the file's header (4 KiB for a few columns, 1 MiB at most) and
     * takes up to some eight times its size for a moment. What the bound leaves beside one row's path is a cache of tree nodes and experts. With RAMIFY_ACCESS_MMAP, records
     * are mapped one by one and whole pages are counted. */
    uint64_t resident_bytes;

    /* Under a bound: predictors that will be alive at the same time, one per thread; 0: 1. Where the
     * bound has no room for so many, fewer can be created. */
    uint32_t predictors;

    /* Experts per row, up to 16; 0 or 1: the row's own. With more, experts near a border of their
     * cells answer together, so that the prediction is continuous across borders (but where more
     * cells meet than experts are asked). Class probabilities are blended likewise. */
    uint32_t top_k;

    /* Intervals or novelty will be asked for: under a bound, what they take is part of it. */
    bool notes;

    /* Of a Para-Former, run only so many branches, the first ones: less work, and after progressive
     * training a model of its own. 0: all. */
    uint32_t branches;
} ramify_open_options;

RAMIFY_API void ramify_open_options_init(ramify_open_options *options);

typedef struct ramify_model ramify_model;

/* Opens a model file. `options` may be NULL. The header, schema and root are checked now, every
 * other part when it is first read. Fails with RAMIFY_ERROR_IO, RAMIFY_ERROR_FORMAT, or
 * RAMIFY_ERROR_LIMIT when the largest path does not fit in resident_bytes (the message says what is
 * needed). Close with ramify_close. */
RAMIFY_API ramify_status ramify_open(ramify_context *context, const char *path,
                                     const ramify_open_options *options, ramify_model **model);

/* The same, from bytes in memory (a file's content). The buffer is borrowed: it must stay unchanged
 * until ramify_close. It should be 64-byte aligned; if it is not, it is copied. */
RAMIFY_API ramify_status ramify_open_buffer(ramify_context *context, const void *bytes, size_t size,
                                            ramify_model **model);

/* Closes a model, after all its predictors are destroyed. */
RAMIFY_API void ramify_close(ramify_model **model);

/* What a model is. Strings and arrays belong to the model and live as long as it. */
typedef struct ramify_model_info {
    const char *kind; /* "pathways", "mlp", "nyquist" or "paraformer" */
    ramify_task task;
    uint32_t columns;    /* input columns, in the order that predictions take them */
    uint32_t targets;    /* target columns */
    uint32_t classes;    /* classes of a classification, else 0 */
    uint32_t outputs;    /* numbers per predicted row: targets, or classes */
    uint64_t leaves;     /* ends of routes */
    uint64_t modules;    /* different experts; several leaves may share one; or branches */
    uint32_t branches;   /* of a Para-Former: how many of them are run, all for a row; else 0 */
    uint64_t parameters; /* numbers learned, in all */
    uint64_t active_parameters; /* one row needs at most: stem, prototypes on its path, an expert */

    /* What must be held to predict one row: handle, schema, stem, largest path of node blocks,
     * largest expert, head, scratch. */
    uint64_t resident_bytes;
    uint64_t path_bytes;   /* of these, the path */
    uint64_t module_bytes; /* of these, the expert */
    uint64_t file_bytes;   /* size of the file or buffer */

    /* Whether the file has the notes that these are made of. Classes have no intervals; neither have
     * models that were trained with fewer than three report rows. */
    bool intervals;
    bool novelty;
    bool float64;       /* some experts compute in float64: predictions have its digits */
    const char *config; /* JSON text of `ramify.config`: schema, recipe, seed, scores */
} ramify_model_info;

RAMIFY_API void ramify_model_get_info(const ramify_model *model, ramify_model_info *info);

/* Name of input column `column` (0 .. columns-1), or NULL out of range. */
RAMIFY_API const char *ramify_model_column(const ramify_model *model, uint32_t column);

/* Name of target `target`, or NULL out of range. */
RAMIFY_API const char *ramify_model_target(const ramify_model *model, uint32_t target);

/* Name of class `index` (0 .. classes-1), or NULL out of range. */
RAMIFY_API const char *ramify_model_class(const ramify_model *model, uint32_t index);

/* The number by which predictions know a category: for a categorical input column, the code of
 * `text` (the code of "other" for a text not seen in training); for a numeric column -1. */
RAMIFY_API int64_t ramify_model_category(const ramify_model *model, uint32_t column,
                                         const char *text);

/* Reads and checks the whole file: every node and module, that each node is reached once, and that
 * no bytes are unused. RAMIFY_ERROR_FORMAT with the first thing that is wrong. */
RAMIFY_API ramify_status ramify_model_check(ramify_context *context, ramify_model *model);

/* One thread's working memory for one model. After its creation, predicting allocates nothing. */
typedef struct ramify_predictor ramify_predictor;

/* Creates a predictor for up to `rows` rows at a time (larger requests are cut into such pieces); 0
 * = 1 row. Rows of a piece that lead to the same expert are predicted together, so that each expert
 * is read at most once per piece (with top_k above 1 it may be more often). Under a resident bound the pieces are as large as it allows, and
 * RAMIFY_ERROR_LIMIT says that it has no room for a further predictor. Destroy with
 * ramify_predictor_destroy, before ramify_close. */
RAMIFY_API ramify_status ramify_predictor_create(ramify_context *context, ramify_model *model,
                                                 size_t rows, ramify_predictor **predictor);
RAMIFY_API void ramify_predictor_destroy(ramify_predictor **predictor);

/* Predicts `rows` rows.
 *   x  rows x columns, raw values in the units of the training table, row r at x + r * x_stride. A
 *      missing value is NaN; a category is its code (ramify_model_category).
 *   y  rows x outputs: the targets in their units, or the probability of each class; row r at
 *      y + r * y_stride.
 * A row's prediction does not depend on the rows beside it. Fails with RAMIFY_ERROR_IO or
 * RAMIFY_ERROR_FORMAT when a part that is first needed now cannot be read. */
RAMIFY_API ramify_status ramify_predict(ramify_predictor *predictor, size_t rows, const float *x,
                                        size_t x_stride, float *y, size_t y_stride);
RAMIFY_API ramify_status ramify_predict_double(ramify_predictor *predictor, size_t rows,
                                               const double *x, size_t x_stride, double *y,
                                               size_t y_stride);

/* Gradient of one output (a target, or a class's log-probability) with respect to the raw inputs,
 * in output units per input unit.
 *   x         rows x columns, as above
 *   gradient  rows x columns; 0 for categorical columns and where a value is missing or clipped
 * The function is piecewise smooth: on a border between cells or at a kink it is the gradient of
 * one side. The first call allocates its scratch, which predicting alone does without; under a
 * resident bound that comes on top, for one row at a time. RAMIFY_ERROR_UNSUPPORTED with several
 * experts per row (top_k). */
RAMIFY_API ramify_status ramify_predict_gradient(ramify_predictor *predictor, size_t rows,
                                                 const double *x, size_t x_stride, uint32_t output,
                                                 double *gradient, size_t gradient_stride);

/* Intervals in which targets lie with a given probability: [low, high] per target.
 *   level    0 < level < 1, such as 0.9
 *   y        rows x targets: the predictions themselves; NULL: not wanted
 *   low, high  rows x targets; row r of all three at r * stride
 * They are made of residuals of report rows (split conformal prediction), each divided by the spread
 * of residuals at its leaf: an interval is the prediction plus the row's own spread times two
 * quantiles of these. Rows like those of the training table are covered with the given probability,
 * on average over all of them; nothing is said of other rows (ramify_predict_novelty tells them) or of
 * each leaf alone. Report rows have a part in accepting splits, so that intervals may be narrow by a
 * little. A tail needs at least one report row: of n rows the highest level is (n - 1) / (n + 1), and
 * the message of RAMIFY_ERROR_ARGUMENT tells it. With several experts per row (top_k) intervals lie
 * around their blend, as wide as at the row's own leaf.
 * RAMIFY_ERROR_UNSUPPORTED without the notes for it (ramify_model_info).
 *
 * The first call of a predictor for intervals or novelty allocates: tables of some 3 KiB per target
 * and as much for novelty, and a few bytes per row of a piece. Predicting alone does without. Under
 * a resident bound that comes on top, unless the model was opened for it (notes). Nothing of it grows
 * with the number of leaves: a leaf's record is read when it is needed, and not kept. */
RAMIFY_API ramify_status ramify_predict_interval(ramify_predictor *predictor, size_t rows,
                                                 const double *x, size_t x_stride, double level,
                                                 double *y, double *low, double *high,
                                                 size_t stride);

/* How far rows are from the training rows, 0 to 1: novelty[rows]. A row's distance to the prototype
 * of its leaf, divided by that of the leaf's training rows (root mean square), as the share of all
 * training rows for which this is less; 1 is farther than all of them. Distances are those by which
 * rows are routed: with gradient routing, in directions in which predictions change. A missing value
 * counts as the column's mean, and numbers beyond ten standard deviations as if they were there. */
RAMIFY_API ramify_status ramify_predict_novelty(ramify_predictor *predictor, size_t rows,
                                                const double *x, size_t x_stride,
                                                double *novelty /* rows */);

/* What predicting has cost since the model was opened. */
typedef struct ramify_residency {
    uint64_t resident_bytes; /* held now */
    uint64_t peak_bytes;     /* the most that was held */
    uint64_t hits, misses;   /* parts found resident, parts that had to be read */
    uint64_t bytes_read;
} ramify_residency;

RAMIFY_API void ramify_model_get_residency(const ramify_model *model, ramify_residency *residency);

/* ------------------------------------------------------------------------------------------------
 * 3. Tables
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_header {
    RAMIFY_HEADER_AUTO = 0, /* a header if no cell of row 1 is a number or empty and all differ */
    RAMIFY_HEADER_YES = 1,
    RAMIFY_HEADER_NO = 2
} ramify_header;

typedef struct ramify_table_options {
    /* Between cells: "," or "\t" or another character, or " " for runs of blanks. NULL: the first of
     * tab, comma, semicolon and blanks that line 1 has. */
    const char *delimiter;
    ramify_header header;
    const char *categorical; /* names, comma between: categories even if numbers; NULL: none */
    const char *labels;      /* file of one column, added as the column "label"; NULL: none */
    const char *image;       /* "HxW" or "HxWxC": checked against the column count; NULL: none */
} ramify_table_options;

RAMIFY_API void ramify_table_options_init(ramify_table_options *options);

typedef struct ramify_table ramify_table;

/* Reads a table. The kind of file is found from its content: IDX and NPY by their magic numbers,
 * everything else is text; gzip is undone. "-" reads standard input. Fails with RAMIFY_ERROR_IO,
 * RAMIFY_ERROR_FORMAT, RAMIFY_ERROR_DATA or, before allocating, RAMIFY_ERROR_LIMIT. Free with
 * ramify_table_destroy. */
RAMIFY_API ramify_status ramify_table_read(ramify_context *context, const char *path,
                                           const ramify_table_options *options,
                                           ramify_table **table);

/* The same for a table that a model is to predict: messages say what the model takes, and a header
 * without rows is a table of no rows. */
RAMIFY_API ramify_status ramify_table_read_for_model(ramify_context *context,
                                                     const ramify_model *model, const char *path,
                                                     const ramify_table_options *options,
                                                     ramify_table **table);

/* A table over numbers in memory, which are borrowed: they must stay until the table is destroyed.
 *   values  rows x columns, row r at values + r * stride
 *   names   columns names, copied; NULL = c1, c2, ... */
RAMIFY_API ramify_status ramify_table_from_floats(ramify_context *context, const float *values,
                                                  size_t rows, size_t columns, size_t stride,
                                                  const char *const *names, ramify_table **table);
RAMIFY_API ramify_status ramify_table_from_doubles(ramify_context *context, const double *values,
                                                   size_t rows, size_t columns, size_t stride,
                                                   const char *const *names, ramify_table **table);

/* Adds a column of texts (for categories and class names); copied. NULL = missing. */
RAMIFY_API ramify_status ramify_table_add_texts(ramify_context *context, ramify_table *table,
                                                const char *name,
                                                const char *const *texts /* rows */);

/* Adds a column of numbers; copied. NaN = missing. */
RAMIFY_API ramify_status ramify_table_add_doubles(ramify_context *context, ramify_table *table,
                                                  const char *name,
                                                  const double *values /* rows */);

RAMIFY_API void ramify_table_destroy(ramify_table **table);
RAMIFY_API size_t ramify_table_rows(const ramify_table *table);
RAMIFY_API size_t ramify_table_columns(const ramify_table *table);

/* Name of column `column`, or NULL out of range. */
RAMIFY_API const char *ramify_table_column(const ramify_table *table, size_t column);

/* ------------------------------------------------------------------------------------------------
 * 4. Training, evaluating, saving
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_choice {
    RAMIFY_CHOICE_AUTO = 0, /* chosen on validation rows */
    RAMIFY_CHOICE_ON = 1,
    RAMIFY_CHOICE_OFF = 2
} ramify_choice;

typedef enum ramify_activation {
    RAMIFY_ACTIVATION_PRELU = 0,
    RAMIFY_ACTIVATION_RELU = 1
} ramify_activation;

/* How weights of another tool become a model. Fill with ramify_import_options_init. */
typedef struct ramify_import_options {
    const char *image; /* "HxW" or "HxWxC": height, width and channels of the images; required */
    uint32_t heads;    /* of attention; required: no shape tells it */
    uint32_t depth;   /* layers of a branch that timm's blocks are dealt to; 0: one branch of all */
    const char *skip; /* "normalised" or "plain"; NULL: as the file's tool has it */
    double epsilon;   /* of the normalisation; 0: as the file's tool has it */
    double center, scale; /* a pixel x goes in as (x - center) / scale; default 0 and 1 */
    ramify_task task;     /* RAMIFY_TASK_REGRESSION: the outputs as they are (logits) */
    const char *names;    /* of classes or targets, separated by commas; NULL: "0", "1", ... */
} ramify_import_options;

RAMIFY_API void ramify_import_options_init(ramify_import_options *options);

/* Makes a model of kind paraformer from a safetensors file of float32 weights: of the Para-Former
 * that its authors released (pos_embedding, paraformerbranches.branches.*, mlp_head.*), or of a
 * vision transformer of timm (pos_embed, blocks.*, norm, head), whose blocks become one branch, or
 * branches of options->depth layers each. Tensors of other names are ignored with a warning. The
 * model takes images as rows of numbers, row by row, channels of a pixel side by side. It is in
 * memory: save it with ramify_save, close it with ramify_close. Errors: a file that is none
 * (RAMIFY_ERROR_FORMAT), a tensor that is missing or of another shape than the others ask for
 * (RAMIFY_ERROR_DATA), options that do not fit (RAMIFY_ERROR_ARGUMENT). */
RAMIFY_API ramify_status ramify_import(ramify_context *context, const char *path,
                                       const ramify_import_options *options, ramify_model **model);

/* The first `branches` branches of a Para-Former as a model of its own. It is without notes for
 * intervals and novelty, which would be the whole model's, unless all branches are kept. It is in memory: save it with ramify_save, close it
 * with ramify_close. */
RAMIFY_API ramify_status ramify_keep_branches(ramify_context *context, ramify_model *model,
                                              uint32_t branches, ramify_model **kept);

/* The usual bound on resident bytes: 128 KiB, and none for kind "paraformer". */
#define RAMIFY_RESIDENT_USUAL UINT64_MAX

/* How to train. Fill with ramify_train_options_init, then change what matters. Strings are borrowed
 * during the call. Column lists are names separated by commas; a name that holds a comma stands in
 * double quotes. */
typedef struct ramify_train_options {
    const char *kind;   /* "pathways" (default), "mlp": one expert, no tree, "nyquist" or
                           "paraformer" */
    const char *target; /* target column, or several separated by commas; required */
    const char *task;   /* "regression", "classification"; NULL: classification if target is text */
    const char *weight; /* column of row weights, >= 0; NULL: all 1 */
    const char *group;  /* column whose equal values stay on one side of a split; NULL: none */
    const char *time;   /* column that orders rows: the latest validate; NULL: at random */
    const char *drop;   /* columns not to be used; NULL: none */
    double validation;  /* share of rows held out for choices, 0 < v < 1; default 0.1 */
    uint64_t seed;      /* default 0 */

    /* Seconds; 0: none. When it strikes, the best model so far is returned, which then depends on
     * the machine. */
    double time_limit;

    /* Bound on the trained model's resident bytes (ramify_model_info); 0: none. Default
     * RAMIFY_RESIDENT_USUAL. */
    uint64_t resident_bytes;

    /* Shape of the experts. */
    const char *hidden; /* widths of the hidden layers, such as "64,64,64"; NULL: as they fit */
    ramify_activation activation;
    uint32_t members; /* members that share an expert's weights, averaged; 0: chosen */

    /* The tree. */
    uint32_t leaves; /* most leaves; 0: as many as the rows support; 1: no tree, as in kind mlp */
    uint32_t arity;  /* children per node, 2 .. 64; default 4 */
    uint32_t smallest_node; /* nodes with fewer training rows are leaves; default 400 */
    uint32_t
        node_rows; /* most rows that one network learns from. A table of more rows is *divided*: root and
                            upper levels learn from samples of their rows, each lower part of the tree
                            from all of its own; what is held in memory beside the table are packed
                            rows (float32) and one part at a time. Of several ranks each holds its
                            range of the rows. 0: 2^20, of more than 64 columns fewer, down to
                            2^16 */
    const char
        *output; /* file that the trained model is written to and opened from, by all ranks together
                           where there are several: it need not fit in memory, and ramify_save is not
                           needed. What stood there is replaced when the model is whole. Kinds
                           pathways and mlp, without series. NULL: the model is held in memory */
    const char *tree;         /* "kmeans" (default), "dyadic", or "random" prototypes: a control */
    ramify_choice split_test; /* ON, AUTO: a split must win on report rows; OFF: all stand */

    /* Parts of the recipe (docs/recipe.md). */
    ramify_choice periodic;         /* sines and cosines of every column; AUTO: chosen */
    ramify_choice bins;             /* quantile bins, two numbers per column; AUTO: chosen */
    ramify_choice gradient_routing; /* cells along the root's gradients; AUTO: chosen */
    ramify_choice borrow;           /* children also see siblings' nearest rows; AUTO: on */
    ramify_choice distillation;     /* experts learn also from larger nets; AUTO: chosen,
                                       from 1,500 training rows on */
    ramify_choice averaging;        /* averages of weights in fine-tuning; AUTO: on */
    uint32_t epochs;                /* passes over the rows for the root; 0: by the recipe */
    uint32_t child_epochs;          /* passes for each expert below; 0: by the recipe. With
                                       distillation both scale how long all parts are trained */
    uint32_t batch;                 /* rows per optimiser step; 0: 64 */
    double rate;                    /* largest learning rate; 0: by the recipe */
    double decay;                   /* decoupled weight decay; negative: by the recipe */

    double rewind_at; /* share of every network's training after which its weights are noted, for
                         pruning that rewinds to them (ramify_training.rewind), below 1; 0: they are not */
    bool controls;    /* also train the controls and report them */

    /* A Para-Former (kind "paraformer"): a token per patch of an image, where the table has images
     * (IDX, or ramify_table_options.image), else per column. Of the options above it takes those of
     * rows, time, epochs, batch, rate, decay and resident_bytes. */
    uint32_t branches;   /* side by side; 0: 4 */
    uint32_t depth;      /* layers of a branch; 0: 2 */
    uint32_t width;      /* of a token, a multiple of 16; 0: 64 */
    uint32_t heads;      /* of attention; 0: 4 */
    uint32_t patch;      /* pixels on a side; 0: the smallest that gives at most 64 patches */
    const char *skip;    /* "normalised", as released, or "plain"; NULL: normalised */
    bool progressive;    /* every prefix of branches is taught, then all together, in every epoch */
    bool prefixes_only;  /* the first of these two passes alone */
    bool freeze;         /* in that pass, the step for a prefix changes its last branch only */
    const char *augment; /* how images are changed at random in training: names of "crop", "flip",
                            "randaugment" and "erase", separated by commas; NULL or "off": not */
    uint64_t
        training_bytes; /* bound on what the fit allocates, of several ranks on each; 0: none */
    const char *weights_from; /* path of a Para-Former to start from, whose layers are dealt to the
                                 branches in their order; NULL: a fresh start. Sizes that are not
                                 given are that model's */
    const char *resume; /* folder, made if it is not there, for what a training that is ended early
                                 has finished: a checkpoint of a Para-Former, from which a
                                 training with the same options and rows goes on, or every network
                                 of a tree, which no later training on these rows does again;
                                 NULL: none. Not with series */

    /* Band-limited series (kind "nyquist"): regression on columns of numbers without gaps, in float64.
     * Of the options above they take those of rows, time, leaves (boxes here), smallest_node and
     * resident_bytes. */
    const char *module; /* kinds pathways and mlp, where series may stand in the place of networks:
                              "mlp" (default), nowhere; "nyquist", at every leaf; "auto", where they
                              are better by validation rows: at leaves, or in a tree of boxes, which
                              gives a model of kind nyquist */
    const char *basis;  /* of columns without a period, "chebyshev" or "cosine"; NULL: chebyshev.
                              Those with one have fourier; "fourier" asks that all columns have */
    const char *period; /* after which columns repeat themselves, in their units: one number for
                              all, or a list with "-" for columns without; NULL: none */
    const char *index_set; /* of the frequencies k of a term, what is at most the band: "total" (sum
                              of k), "largest" or "cross" (product of k + 1, minus 1); NULL: chosen */
    uint32_t band;         /* 1 to 16384; 0: chosen by the errors of rows left out */
    double ridge;          /* weight of squared coefficients per row, 0 to 1e6; negative: chosen by
                              generalised cross-validation where rows have noise (the default) */
    const char *precision; /* of stored coefficients: "float64" (default) or "float32" */
    const char *outside;   /* rows outside the box of the training rows are taken to its border,
                              "clamp" (default), or "refuse"d */
} ramify_train_options;

RAMIFY_API void ramify_train_options_init(ramify_train_options *options);

/* How well something predicts some rows. Errors are in the target's units; for several targets rmse
 * is the root mean square over targets, mae and r2 are means. The fields of the other task are NaN,
 * which tells the task of a score. */
typedef struct ramify_score {
    uint64_t rows;
    double rmse, mae, r2;
    double accuracy;          /* 0..1 */
    double log_loss;          /* nats */
    double brier;             /* mean over rows of the sum over classes of (p - truth)^2, 0..2 */
    double calibration_error; /* of the likeliest class: mean distance between probability and
                                 share of right answers over 15 equal bins of the probability,
                                 weighted by their rows (Guo and others 2017) */
    double error_low, error_high; /* 90 % bootstrap interval over rows of rmse, or of 1 - accuracy;
                                     NaN if not computed, or of less than 20 rows */
} ramify_score;

/* One line of the table that compares a model with its controls. */
typedef struct ramify_control {
    const char *name; /* "pathways", "one expert", "equal total", "random partition" */
    uint64_t parameters, active_parameters;
    uint64_t resident_bytes;
    ramify_score score; /* on report rows, or on those of the test table */
    double seconds;
} ramify_control;

/* What training did. Owned by the caller; free with ramify_training_destroy. */
typedef struct ramify_training {
    ramify_context *context; /* whose memory this is */
    uint64_t rows, train_rows, select_rows, report_rows;
    uint64_t skipped_rows; /* rows whose target is missing */
    ramify_score score;    /* on report rows */
    double seconds;
    bool time_limit_struck;
    uint64_t
        training_bytes; /* that the fit of a Para-Former allocated at most, of several ranks the one that
                                needed most; else 0 */
    ramify_model
        *rewind; /* with options.rewind_at, the networks as they were then; owned, in memory,
                                to be saved. NULL: without, and where series took every leaf */
    uint32_t control_count;
    ramify_control *controls; /* control_count: the model first, then its controls; NULL without
                                 options.controls */
} ramify_training;

RAMIFY_API void ramify_training_destroy(ramify_training **training);

/* Checks options: RAMIFY_OK, or RAMIFY_ERROR_ARGUMENT and a sentence. */
RAMIFY_API ramify_status ramify_train_options_check(ramify_context *context,
                                                    const ramify_train_options *options);

/* Trains a model from a table. With the same table, options, seed, build and instruction set the
 * model has the same bytes for any number of threads. `test` may be NULL; else controls are scored
 * on it instead of on the report rows (nothing is chosen on it). When cancelled, RAMIFY_STOPPED is
 * returned and *model is the best model so far, or NULL. The model is in memory: save it with
 * ramify_save, close it with ramify_close. `training` may be NULL. */
RAMIFY_API ramify_status ramify_train(ramify_context *context, const ramify_table *table,
                                      const ramify_train_options *options, const ramify_table *test,
                                      ramify_model **model, ramify_training **training);

/* Cross-validation: trains `folds` models (2 .. rows), each scored on the fold it did not see;
 * scores[folds] is the caller's. Honours group and time (with time, fold k is trained on what comes
 * before it). */
RAMIFY_API ramify_status ramify_cross_validate(ramify_context *context, const ramify_table *table,
                                               const ramify_train_options *options, uint32_t folds,
                                               ramify_score *scores /* folds */);

/* Writes a model to a file: into a temporary file beside it, which then takes its place. A reader
 * sees the old file or the new one, never a part. */
RAMIFY_API ramify_status ramify_save(ramify_context *context, const ramify_model *model,
                                     const char *path);

/* Predicts all rows of a table whose columns are matched by name (by order if the table or the
 * model has no names of its own).
 *   y  rows x outputs, dense, the caller's
 * Warnings about extra columns, unseen categories and values outside the training range go to the
 * log. */
RAMIFY_API ramify_status ramify_predict_table(ramify_context *context, ramify_model *model,
                                              const ramify_table *table, double *y);

/* The same with intervals and novelty (ramify_predict_interval, ramify_predict_novelty), each expert
 * read once for all of them.
 *   y          rows x outputs, dense
 *   low, high  rows x targets, dense; NULL: no intervals, and level is not looked at
 *   novelty    rows; NULL: not wanted */
RAMIFY_API ramify_status ramify_predict_table_notes(ramify_context *context, ramify_model *model,
                                                    const ramify_table *table, double *y,
                                                    double level, double *low, double *high,
                                                    double *novelty);

/* Predicts all rows of a table and compares them with its target columns. `targets` may be NULL, or
 * has a score for every target. Rows whose target is missing are skipped. */
RAMIFY_API ramify_status ramify_evaluate(ramify_context *context, ramify_model *model,
                                         const ramify_table *table, ramify_score *score,
                                         ramify_score *targets /* targets of the model */);

/* How intervals do on some rows. */
typedef struct ramify_interval_score {
    double coverage; /* share of the rows whose target lies inside, 0 .. 1 */
    double width;    /* mean, in the target's units */
} ramify_interval_score;

/* The same with intervals of a level: intervals has a score for every target. */
RAMIFY_API ramify_status ramify_evaluate_interval(ramify_context *context, ramify_model *model,
                                                  const ramify_table *table, double level,
                                                  ramify_score *score,
                                                  ramify_score *targets /* or NULL */,
                                                  ramify_interval_score *intervals /* targets */);

/* ------------------------------------------------------------------------------------------------
 * 5. Looking into a model
 * --------------------------------------------------------------------------------------------- */

/* How to measure what columns are worth. Fill with ramify_importance_options_init, then change what
 * matters. */
typedef struct ramify_importance_options {
    uint32_t repeats; /* permutations of every column, at least 1; default 5 */
    uint64_t seed;    /* default 0 */
} ramify_importance_options;

RAMIFY_API void ramify_importance_options_init(ramify_importance_options *options);

/* How much worse a model predicts when the cells of one input column are dealt out anew among the
 * rows: means and standard deviations over the repeats (the latter NaN where there is but one). */
typedef struct ramify_column_importance {
    double increase; /* of rmse, or of log_loss; about 0: the model does without the column */
    double sd;
    double accuracy_drop, accuracy_sd; /* classification, in 0..1; else NaN */
} ramify_column_importance;

/* Permutation importance (Breiman 2001) of every input column, on the rows of a table whose target
 * is not missing; errors are those of ramify_evaluate. Columns that tell the same share what they
 * are worth: a model that can read a thing off either of two hardly misses one. `options` may be
 * NULL for the defaults.
 *   score       NULL, or how the rows are predicted as they are: rows, and rmse or accuracy and
 *               log_loss; its other fields are NaN
 *   importance  columns of the model
 *   targets     NULL, or columns x targets: by the rmse of each target
 * Predicts the table columns x repeats + 1 times; holds 4 bytes per row, and as much again per
 * thread. The numbers depend on the seed, not on the number of threads. */
RAMIFY_API ramify_status ramify_importance(ramify_context *context, ramify_model *model,
                                           const ramify_table *table,
                                           const ramify_importance_options *options,
                                           ramify_score *score,
                                           ramify_column_importance *importance,
                                           ramify_column_importance *targets);

/* What theory says of pathways: ORDERS OF GROWTH, WITHOUT THEIR CONSTANTS, which nobody knows. They
 * compare, they do not predict; docs/theory.md says what they mean. [paper]: "Breaking the Curse of
 * Dimensionality with Distributed Neural Computation", arXiv 2402.03460; [derived]: follows from
 * it and standard results. Numbers that may be beyond a double are base-10 logarithms.
 *
 * The first part is about every function on a box of n sides that is Lipschitz, known to an error
 * epsilon everywhere; epsilon is counted in (Lipschitz constant) x (side of the box). */
typedef struct ramify_theory {
    double epsilon;
    uint32_t dimension; /* n: the model's input columns */
    uint32_t arity;     /* v: most children of a node of the model; 2, a dyadic tree, without any */

    double leaf_weights_log10;  /* epsilon^-1, weights of one expert [paper] */
    double leaves_log10;        /* epsilon^(2-n), at least 1 leaf: with so many weights a cell must
                                   have the side epsilon^(1-2/n) [derived] */
    double total_weights_log10; /* the product: epsilon^(1-n) from n = 2 on [derived] */
    double depth;               /* of a complete tree: ceil(log_v leaves) [derived] */
    double prototypes_log10;    /* numbers in its prototypes: n leaves v / (v - 1); -INFINITY of
                                   one leaf, which has none [derived] */
    double loaded_log10;        /* epsilon^-1 log2 epsilon^-1, numbers loaded for one row [paper] */
    double network_log10;       /* epsilon^(-n/2), weights of one ReLU network [paper] */

    /* The model at hand. */
    uint64_t experts;    /* L */
    uint64_t weights;    /* P: of one expert */
    uint32_t layers;     /* J: its weight matrices */
    uint32_t width;      /* W: of its widest hidden layer; without any, its outputs */
    uint32_t tree_depth; /* nodes on the longest path */

    /* What error such sizes go with, in the units of epsilon [derived]: cells of side L^(-1/n)
     * whose experts have the best rate there is, P^(-2/n); the rate P^(-1/n), which does not care
     * how L P weights are shared out; and one network of L P weights at the best rate. */
    double error, error_slow, error_network;

    /* VC dimension of all models of these sizes, up to factors of logarithms: L max{n L, J W} with W
     * the width [paper]. For L = 1 that lies below the worst case known for plain networks, P J
     * ln(P / J) (Bartlett, Harvey, Liaw, Mehrabian 2019); so also the reading with that in place of
     * J W [derived]. Of experts on n numbers: what a stem learns is not counted. */
    double vc_width_log10, vc_weights_log10;
} ramify_theory;

/* Fills *theory for a model and an error, 0 < epsilon <= 0.5. Fails with RAMIFY_ERROR_ARGUMENT. */
RAMIFY_API ramify_status ramify_model_get_theory(ramify_context *context, const ramify_model *model,
                                                 double epsilon, ramify_theory *theory);

/* ------------------------------------------------------------------------------------------------
 * 6. Exporting
 * --------------------------------------------------------------------------------------------- */

/* Writes the model as C source: static const arrays and one function
 *     void NAME(const float *x, float *y)      x: columns values, y: outputs values
 * that needs only math.h, allocates nothing and reads no file. The file is replaced whole, as by
 * ramify_save. */
RAMIFY_API ramify_status ramify_export_c(ramify_context *context, ramify_model *model,
                                         const char *path, const char *name);

/* Writes the model as an ONNX file (opset 17), for ONNX Runtime and other readers. Its input is
 *     x              rows x columns, float: what ramify_predict takes, any number of rows
 * Its outputs, for a regression:
 *     y              rows x targets, float
 * and for a classification:
 *     label          rows: int64 if all classes are whole numbers, else string
 *     probabilities  rows x classes, float
 * The metadata ramify.schema is JSON with the names of columns, categories (in the order of their
 * codes), targets and classes. The file is replaced whole, as by ramify_save. Fails with
 * RAMIFY_ERROR_UNSUPPORTED if the file would come near 2 GiB, the most that its readers take. */
RAMIFY_API ramify_status ramify_export_onnx(ramify_context *context, ramify_model *model,
                                            const char *path);

/* ------------------------------------------------------------------------------------------------
 * 7. Scaling laws
 *
 * A law gives the error of training runs as a function of their sizes: data, weights, density. It is
 * fitted to a table of runs, of any framework, and read where no run was made. Sizes and errors are
 * above 0, and all arithmetic is in logarithms.
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_law_loss_kind {
    RAMIFY_LAW_LOSS_LOG = 0,      /* (ln prediction - ln y)^2 */
    RAMIFY_LAW_LOSS_RELATIVE = 1, /* ((prediction - y) / y)^2 */
    RAMIFY_LAW_LOSS_HUBER = 2     /* Huber's, of ln prediction - ln y, summed (not averaged) */
} ramify_law_loss_kind;

/* How to fit a law. Fill with ramify_law_options_init, then change what matters. Strings are borrowed
 * during the call; lists of columns as in ramify_train_options. */
typedef struct ramify_law_options {
    const char *form;   /* "m4", "additive", ...: see ramify_law_form_name; required */
    const char *x;      /* columns of sizes, in the form's order; required */
    const char *y;      /* column of the error; required */
    const char *by;     /* columns: one law for every combination of their values; NULL: one law */
    const char *weight; /* column of weights, 0 or more; NULL: all 1 */
    /* Conditions that runs must meet to be fitted ("params<=1e8", with = < <= > >=); the others are
     * held out and scored. */
    const char *const *where;
    uint32_t where_count;
    ramify_law_loss_kind loss;
    double delta; /* Huber's, default 1e-3 */
    /* Weight of runs above the law, in 0..1: below 1 for runs that may be under-tuned, which lie
     * above; default 1. */
    double above;
    const char *fix;    /* parameters that are known, such as "level=0.9,floor=0.1"; NULL: none */
    uint32_t folds;     /* cross-validation; 0: none */
    uint32_t bootstrap; /* resamples for the parameters' intervals; default 200, 0: none */
    double level;       /* of these intervals, default 0.9 */
    /* The same fit is made to runs that end earlier, to tell how far it is off beyond the runs:
     * intervals of predictions rest on it; default true. "auto" over one size needs no such fits. */
    bool rolling;
    uint64_t seed;
} ramify_law_options;

RAMIFY_API void ramify_law_options_init(ramify_law_options *options);

/* Name of form `index`, its formula and source (either may be NULL to skip it); NULL beyond the last
 * form. */
RAMIFY_API const char *ramify_law_form_name(uint32_t index, const char **formula,
                                            const char **source);

typedef struct ramify_law ramify_law;

/* Fits a law to the runs of a table. Fails with RAMIFY_ERROR_ARGUMENT (options), RAMIFY_ERROR_DATA
 * (columns; a size or an error that is not above 0; too few runs; sizes that never vary, or never
 * vary apart) with what to add. Of several groups, one that cannot be fitted says so in its place.
 * Runs that repeat another exactly are left out with a warning. Free with ramify_law_destroy. */
RAMIFY_API ramify_status ramify_law_fit(ramify_context *context, const ramify_table *table,
                                        const ramify_law_options *options, ramify_law **law);
RAMIFY_API void ramify_law_destroy(ramify_law **law);

/* The law as JSON text (docs/cli.md); lives as long as the law. */
RAMIFY_API const char *ramify_law_text(const ramify_law *law);

/* Reads a law from a file that holds such a text, or from the text (size bytes; name: for messages, may
 * be NULL). Everything is checked. Fails with RAMIFY_ERROR_DATA, or RAMIFY_ERROR_UNSUPPORTED for
 * a newer format. Free with ramify_law_destroy. */
RAMIFY_API ramify_status ramify_law_open(ramify_context *context, const char *path,
                                         ramify_law **law);
RAMIFY_API ramify_status ramify_law_open_text(ramify_context *context, const char *text,
                                              size_t size, const char *name, ramify_law **law);

/* Most sizes that a law takes. */
#define RAMIFY_LAW_VARIABLES_MAX 4

/* Sizes that the law takes, in the order of its form, and their names; name of the error. */
RAMIFY_API uint32_t ramify_law_variables(const ramify_law *law);
RAMIFY_API const char *ramify_law_variable(const ramify_law *law, uint32_t variable);
RAMIFY_API const char *ramify_law_error_name(const ramify_law *law);

/* Groups, each with a law of its own; 1 without `by`. Of column `column` of those that tell groups
 * apart: its name (may be NULL to skip it) and value; NULL beyond the last column. */
RAMIFY_API uint32_t ramify_law_group_count(const ramify_law *law);
RAMIFY_API const char *ramify_law_group_value(const ramify_law *law, uint32_t group,
                                              uint32_t column, const char **name);

/* True for a variable whose law is read towards small values, as a density is. */
RAMIFY_API bool ramify_law_is_density(const ramify_law *law, uint32_t variable);

/* The runs of a group, which live as long as the law. Of a law that was read from a file there are
 * none. */
typedef struct ramify_law_points {
    size_t count;
    const double *x;    /* count x variables, in the order of the first */
    const double *y;    /* count */
    const bool *fitted; /* count; false: held out */
} ramify_law_points;

RAMIFY_API ramify_law_points ramify_law_points_of(const ramify_law *law, uint32_t group);

/* A number with its interval. Ends that the runs do not tell are NaN. */
typedef struct ramify_law_estimate {
    double value, low, high;
} ramify_law_estimate;

/* Errors at x (count x variables). The interval holds a share `level` of new runs, as far as the
 * runs that were fitted tell: from their scatter, and beyond them from how far the same fit to
 * fewer of them was off (docs/laws.md). A place beyond what the form is good for gets a warning.
 * Fails with RAMIFY_ERROR_DATA for a group without a law, where the form has no value, and where a law
 * of a curve's end ("auto", "damped") misses the smaller runs. */
RAMIFY_API ramify_status ramify_law_predict(const ramify_law *law, uint32_t group, size_t count,
                                            const double *x, double level,
                                            ramify_law_estimate *estimates);

/* The size of variable `variable` at which the law gives `error`, the other sizes being those of
 * x[variables]. The interval: where the ends of the prediction's interval reach the error. Fails
 * with RAMIFY_ERROR_DATA where no size does: below the law's floor, or beyond what it is good for. */
RAMIFY_API ramify_status ramify_law_invert(const ramify_law *law, uint32_t group, uint32_t variable,
                                           const double *x, double error, double level,
                                           ramify_law_estimate *size);

/* What a run costs: factor x model^model_power x data^data_power. Training of transformers takes
 * about 6 model data floating-point operations. */
typedef struct ramify_law_cost {
    double factor, model_power, data_power; /* above 0 */
} ramify_law_cost;

/* The best model and data for a budget, of a law whose first two sizes are these; x[variables]: the
 * other sizes. Intervals of both sizes come from the resamples that the law was fitted to, that of
 * the error is the prediction's. Fails with RAMIFY_ERROR_DATA where the error keeps falling with
 * one of the two: then there is no best. */
typedef struct ramify_law_split {
    ramify_law_estimate model, data, error;
} ramify_law_split;

RAMIFY_API ramify_status ramify_law_frontier(const ramify_law *law, uint32_t group,
                                             const ramify_law_cost *cost, const double *x,
                                             double budget, double level, ramify_law_split *split);

/* The smallest pruned network for an error, of a law of depth, width and density: among networks
 * whose error without pruning is known, the one with the fewest weights. ends: 0: networks have
 * depth x width^2 weights but for a factor; else they are plain, with so many inputs and outputs and
 * depth hidden layers: ends x width + (depth - 1) x width^2. networks: count x 3, depth, width, error
 * without pruning; NULL: those of the runs. Fails with RAMIFY_ERROR_DATA where none reaches the error. */
typedef struct ramify_law_network {
    double depth, width, dense_error;
    ramify_law_estimate density;
    double weights; /* that are left, in the unit that `ends` sets */
} ramify_law_network;

RAMIFY_API ramify_status ramify_law_optimum(const ramify_law *law, uint32_t group,
                                            const double *networks, size_t count, double ends,
                                            double error, double level,
                                            ramify_law_network *network);

/* ------------------------------------------------------------------------------------------------
 * 8. Where the error comes from
 *
 * The expected squared error of a network on new rows, told apart into four sources. The terms are
 * OUR RECONSTRUCTION of those of the thesis behind this project (docs/cli.md, "diagnose"). With n
 * rows, noise of variance v, and networks of a reference size trained in a reference way:
 *     irreducible    v: what no function of the columns tells
 *     approximation  what the best network of that size still misses, with rows and training
 *                    without end
 *     estimation     what n rows add to that, with training without end
 *     optimisation   what the reference training adds to that
 * --------------------------------------------------------------------------------------------- */

typedef enum ramify_error_source {
    RAMIFY_SOURCE_IRREDUCIBLE = 0,
    RAMIFY_SOURCE_APPROXIMATION = 1,
    RAMIFY_SOURCE_ESTIMATION = 2,
    RAMIFY_SOURCE_OPTIMISATION = 3,
    RAMIFY_SOURCE_UNDETERMINED = 4 /* the rows do not tell which is largest */
} ramify_error_source;

#define RAMIFY_ERROR_SOURCES 4

/* "irreducible", ..., "undetermined"; never NULL. */
RAMIFY_API const char *ramify_error_source_name(ramify_error_source source);

/* What is diagnosed: the error of such a network, on columns as they are (scaled, categories as zeros
 * and a one: no bins, no periodic features, no teachers). Fill with ramify_diagnose_options_init,
 * then change what matters. Strings are borrowed during the call. */
typedef struct ramify_diagnose_options {
    const char *target; /* one column of numbers; required */
    const char *drop;   /* columns not to be used; NULL: none */
    const char *hidden; /* widths of the hidden layers; default "64,64" */
    ramify_activation activation;
    uint32_t epochs; /* passes over the rows; 0: what ramify_train would take */
    uint32_t batch;  /* rows per optimiser step; 0: 64 */
    double rate;     /* largest learning rate; 0: that of ramify_train */
    double decay;    /* decoupled weight decay; negative: that of ramify_train */
    uint64_t seed;   /* default 0 */
    /* Length of all trainings but the reference's, 0.01 .. 100; default 1. Less is for a first look:
     * longer trainings that are not long enough hide what training would gain. */
    double effort;
    /* Seconds; 0: none. Fits that are short of time end early and annealed; the result then depends
     * on the machine. */
    double time_limit;
} ramify_diagnose_options;

RAMIFY_API void ramify_diagnose_options_init(ramify_diagnose_options *options);

/* A share of the expected squared error, 0 .. 1, with a 90 % interval. */
typedef struct ramify_error_share {
    double share, low, high;
} ramify_error_share;

/* One network that was trained. Errors are root mean squares in the target's units. */
typedef struct ramify_diagnosis_fit {
    const char
        *stage;      /* what it is for: "reference", "longer", ...; lives as long as the library */
    char hidden[64]; /* widths, shortened to what fits */
    uint32_t fold;   /* whose rows were held out; the same number: the same rows */
    uint64_t rows;   /* that trained it */
    uint32_t epochs, batch;
    double rate;
    double train_error, test_error; /* against the target; of a "student" against what it learned
                                       from, and test_error NaN */
} ramify_diagnosis_fit;

/* A number that the shares rest on, as a root mean square in the target's units; ends of its
 * interval that are not known are NaN. */
typedef struct ramify_diagnosis_evidence {
    const char *name; /* such as "noise, nearest rows (at most)"; lives as long as the library */
    double value, low, high;
} ramify_diagnosis_evidence;

/* Owned by the caller; free with ramify_diagnosis_destroy. */
typedef struct ramify_diagnosis {
    ramify_context *context;             /* whose memory this is */
    uint64_t rows, skipped_rows;         /* skipped: their target is missing */
    double deviation;                    /* standard deviation of the target */
    double error, error_low, error_high; /* rmse of the reference network on rows held out, with a
                                            90 % interval; NaN where nothing was trained */
    /* By source; they sum to 1. Where nothing can be told the shares are NaN, between 0 and 1. */
    ramify_error_share shares[RAMIFY_ERROR_SOURCES];
    ramify_error_source dominant;
    double certainty;   /* 0 .. 1, that the dominant source is the largest; NaN if undetermined */
    const char *advice; /* one paragraph: what dominates and what would help most; owned */
    bool time_limit_struck;
    uint32_t evidence_count, fit_count;
    ramify_diagnosis_evidence *evidence; /* evidence_count */
    ramify_diagnosis_fit *fits;          /* fit_count */
} ramify_diagnosis;

RAMIFY_API void ramify_diagnosis_destroy(ramify_diagnosis **diagnosis);

/* Checks options: RAMIFY_OK, or RAMIFY_ERROR_ARGUMENT and a sentence. */
RAMIFY_API ramify_status ramify_diagnose_options_check(ramify_context *context,
                                                       const ramify_diagnose_options *options);

/* Attributes the error on a table's rows to its sources. The reference network is trained and held
 * against: longer and warm-started trainings of the same size (optimisation); networks of the
 * same size on rows without end, which the best predictor answers (approximation); noise between
 * rows that are the same, from a Gaussian process's evidence, and from where the errors of
 * larger networks go as rows are added (irreducible); estimation is the rest. Trains some 50 to 150
 * networks. The result depends on the seed, not on the number of threads.
 *
 * Fewer than 40 rows, or a target that does not vary, are undetermined without any fit. Fails with
 * RAMIFY_ERROR_UNSUPPORTED for a classification or several targets, RAMIFY_ERROR_ARGUMENT, RAMIFY_ERROR_DATA as
 * ramify_train does, and RAMIFY_STOPPED, without a result. */
RAMIFY_API ramify_status ramify_diagnose(ramify_context *context, const ramify_table *table,
                                         const ramify_diagnose_options *options,
                                         ramify_diagnosis **diagnosis);

/* ------------------------------------------------------------------------------------------------
 * 9. Pruning
 *
 * Weights of a model's networks are taken away in rounds, the smallest first; after each round the others
 * begin again and learn without those (Frankle, Dziugaite, Roy, Carbin 2020). The error as a function
 * of the density, the share of weights that is left, follows a law (Rosenfeld, Frankle, Carbin, Shavit
 * 2021; form "pruning"), which says after a few rounds how far to go.
 * --------------------------------------------------------------------------------------------- */

/* What is asked for, one of density, max_error_increase, max_bytes and max_resident, and how. Fill with
 * ramify_prune_options_init, then change what matters. Strings are borrowed during the call. */
typedef struct ramify_prune_options {
    double density; /* share of weights to be left, from 1e-6 to below 1; 0: not asked for */
    double
        max_error_increase; /* 0.01: validation rows' error at most 1 % above the model's own, and as
                                  few weights as that allows; below 100; negative: not asked for */
    uint64_t max_bytes;     /* of the file; 0: not asked for */
    uint64_t max_resident;  /* bytes that predicting a row holds; 0: not asked for */

    ramify_model
        *rewind;    /* the rewind point that training noted (ramify_training.rewind): there weights
                             begin every round. NULL: they stay as they are, and the schedule of the
                             learning rate begins anew (Renda, Frankle, Carbin 2020). Borrowed */
    double step;    /* share of the weights that a round takes, default 0.2 */
    bool one_shot;  /* one round takes all of them */
    bool fine_tune; /* weights stay as they are and learn on with a tenth of the rate */
    const char *first; /* which weights go first: "magnitude" (default), the smallest; "random", a
                             control; "neurons", whole hidden units with small weights; "branches",
                             of a Para-Former, those without which errors are least */
    const char *scope; /* "global" (default): of all networks together; "module": of each alike */
    const char *store; /* how layers are stored: "fastest" (default), sparse where a row is answered
                             faster then; "smallest", where they take fewer bytes; "dense", zeros and
                             all, which other tools read too */

    uint32_t epochs;    /* passes over the rows in a round; 0: as many as training took */
    double rate;        /* largest learning rate; 0: that of the training */
    const char *weight; /* columns of row weights, groups and times, as in the training */
    const char *group;
    const char *time;
    double validation; /* share of rows held out; 0: as in the training */
    bool own_seed;     /* false: the training's seed, so that the same rows are held out */
    uint64_t seed;
    ramify_choice
        distillation; /* the model answers made-up rows too; AUTO: if it was trained on such */

    const char *
        resume; /* folder, made if it is not there, in which every round is kept as a model file, and
                    from which a pruning of the same model and rows takes the rounds that were made
                    before: the outcome is as without a stop. NULL: none */
    uint32_t most_rounds; /* 0: as many as it takes; for a prediction, 8 */
    double
        time_limit; /* seconds; 0: none. When it strikes, the best so far is returned: the model as it
                             was, if no round was finished */
    bool predict_only; /* makes rounds as it would, most_rounds at the most, and no model */
} ramify_prune_options;

RAMIFY_API void ramify_prune_options_init(ramify_prune_options *options);

/* A round: round 0 is the model as it was. */
typedef struct ramify_prune_round {
    double density;
    double error; /* on validation rows: root mean square error in the target's units (of several
                           targets, in standard deviations), or the share of wrong classes */
    double predicted, low,
        high; /* what the law of the rounds before said of this density, with a 90 %
                                    interval; NaN: there was none yet */
    double seconds;
    double fitted; /* what the law of the rounds up to this one says of it; NaN: none. A round meets
                      max_error_increase where error and fitted do */
} ramify_prune_round;

/* Rounds that a law is fitted to at the least. */
#define RAMIFY_PRUNE_LAW_ROUNDS 5

/* Owned by the caller; free with ramify_prune_result_destroy. */
typedef struct ramify_prune_result {
    ramify_context *context; /* whose memory this is */
    uint32_t round_count;
    ramify_prune_round *rounds; /* in the order in which they were made */
    double density, error;      /* of the model that was made; of a prediction those predicted */
    double dense_error;
    /* What the law says, or NaN where there were too few rounds for one. */
    double law_density; /* at which max_error_increase is reached */
    double predicted, low,
        high;               /* of the error at the density of the model, before that was measured;
                                    of a prediction, by all rounds */
    const char *error_name; /* "rmse" or "error"; lives as long as the library */
    uint64_t validation_rows;
    ramify_score
        score; /* of the model that was made, on those validation rows that the training chose nothing
                           by; of a prediction zeros */
    bool time_limit_struck;
} ramify_prune_result;

RAMIFY_API void ramify_prune_result_destroy(ramify_prune_result **result);

/* Prunes a model with the rows of a table, as a rule those that it was trained on. *pruned is in memory:
 * save it with ramify_save, close it with ramify_close; NULL for a prediction. `result` may be NULL.
 * Errors: RAMIFY_ERROR_ARGUMENT (options; a rewind point of another model), RAMIFY_ERROR_DATA (rows; a
 * request that no density meets), RAMIFY_ERROR_UNSUPPORTED (no networks in the model),
 * RAMIFY_ERROR_LIMIT (max_bytes or max_resident is less than what is left without any weights). On RAMIFY_STOPPED
 * *pruned is the best so far, or NULL if no round was finished. */
RAMIFY_API ramify_status ramify_prune(ramify_context *context, ramify_model *model,
                                      const ramify_table *table,
                                      const ramify_prune_options *options, ramify_model **pruned,
                                      ramify_prune_result **result);

/* ------------------------------------------------------------------------------------------------
 * 10. Quantising
 *
 * The weights of a model's networks are stored with fewer bits, and run as they are stored: as 8-bit whole
 * numbers with a step per output, or as bfloat16 numbers, the upper halves of float32. int8 weights are
 * rounded one after the other so that those to come make up for each one's error on rows of the table
 * (Frantar, Ashkboos, Hoefler, Alistarh 2022). Inputs of such layers become 16-bit whole numbers, row by
 * row, by the largest of them. A last layer of at most 8 outputs is bfloat16 at the least.
 * --------------------------------------------------------------------------------------------- */

/* Fill with ramify_quantize_options_init, then change what matters. Strings are borrowed during the call. */
typedef struct ramify_quantize_options {
    const char *type; /* "int8" (default) or "bf16" */
    const char
        *store; /* how layers of a pruned model are stored: "fastest" (default), sparse where a
                            row is answered faster then; "smallest", where they take fewer bytes;
                            "dense" */
    uint32_t
        calibration_rows; /* most rows by which a network is rounded, of those that train, default
                                  2048; with fewer than 32, weights become the nearest numbers */
    const char
        *weight; /* columns of row weights (of the errors that are told), groups and times, as in
                            the training */
    const char *group;
    const char *time;
    double validation; /* share of rows held out; 0: as in the training */
    bool own_seed;     /* false: the training's seed, so that the same rows are held out */
    uint64_t seed;
} ramify_quantize_options;

RAMIFY_API void ramify_quantize_options_init(ramify_quantize_options *options);

typedef struct ramify_quantize_result {
    double error,
        error_before;       /* on validation rows: root mean square error in the target's units (of
                                   several targets, in standard deviations), or the share of wrong
                                   classes */
    const char *error_name; /* "rmse" or "error"; lives as long as the library */
    uint64_t validation_rows;
} ramify_quantize_result;

/* Quantises a model, pruned or not, with the rows of a table, as a rule those that it was trained on.
 * *quantized is in memory: save it with ramify_save, close it with ramify_close. `result` may be NULL.
 * Errors: RAMIFY_ERROR_ARGUMENT (options), RAMIFY_ERROR_DATA (rows), RAMIFY_ERROR_UNSUPPORTED (no networks
 * in the model, as in those of kinds nyquist and paraformer). */
RAMIFY_API ramify_status ramify_quantize(ramify_context *context, ramify_model *model,
                                         const ramify_table *table,
                                         const ramify_quantize_options *options,
                                         ramify_model **quantized, ramify_quantize_result *result);

/* ------------------------------------------------------------------------------------------------
 * 11. Planning
 *
 * What a training will bring, before it is paid for. Small runs of it are made, on nested parts of its
 * rows, of smaller experts, over fewer passes; all are judged by rows that none of them sees. Laws of
 * these runs tell the error of the whole training, of the ways in which it could be done, and the
 * cheapest that meets what is asked for is chosen. docs/plan.md says how, and how well it does.
 * --------------------------------------------------------------------------------------------- */

/* What is asked for. Fill with ramify_plan_options_init, then change what matters. */
typedef struct ramify_plan_options {
    /* The training that is planned: kind "pathways" or "mlp"; borrowed during the call. Of what it leaves
     * open, a plan chooses passes (epochs), widths (hidden), teachers (distillation) and the tree (leaves);
     * what it sets stays. Its resident_bytes bound every candidate. Its time_limit is not looked at. */
    const ramify_train_options *train;
    double
        error; /* as much error as may be, in the units of the prediction; 0: as little as can be */
    double latency; /* seconds that a row alone may take, its weights in the caches; 0: any */
    double budget;  /* seconds that small runs and training may take together; 0: any */
    double
        share; /* of the whole training, what small runs may take; above 0, at most 1; default 0.1 */
    double level; /* of intervals, above 0 and below 1; default 0.9 */
} ramify_plan_options;

RAMIFY_API void ramify_plan_options_init(ramify_plan_options *options);

typedef struct ramify_plan ramify_plan;

/* Plans a training on the rows of a table. When cancelled, the plan is made of the runs there are; RAMIFY_STOPPED
 * without a plan where these are too few. Fails with RAMIFY_ERROR_ARGUMENT (options), RAMIFY_ERROR_UNSUPPORTED
 * (another kind), RAMIFY_ERROR_DATA as ramify_train does, and where small runs tell nothing of a large one:
 * too few rows, or errors that rise with the rows. Times and latencies are this machine's. Free with
 * ramify_plan_destroy. */
RAMIFY_API ramify_status ramify_plan_make(ramify_context *context, const ramify_table *table,
                                          const ramify_plan_options *options, ramify_plan **plan);
RAMIFY_API void ramify_plan_destroy(ramify_plan **plan);

/* The plan as JSON text (docs/cli.md); lives as long as the plan, or until ramify_plan_add_obtained. */
RAMIFY_API const char *ramify_plan_text(const ramify_plan *plan);

/* Reads a plan from a file that holds such a text, or from the text (size bytes; name: for messages, may be
 * NULL). Fails with RAMIFY_ERROR_DATA, or RAMIFY_ERROR_UNSUPPORTED for a newer format. Free with
 * ramify_plan_destroy. */
RAMIFY_API ramify_status ramify_plan_open(ramify_context *context, const char *path,
                                          ramify_plan **plan);
RAMIFY_API ramify_status ramify_plan_open_text(ramify_context *context, const char *text,
                                               size_t size, const char *name, ramify_plan **plan);

/* Fills *options with what the plan chose; texts live as long as the plan. */
RAMIFY_API ramify_status ramify_plan_choice(const ramify_plan *plan, ramify_train_options *options);

/* What the choice does to the model once it is trained: options->max_resident, 0 where it prunes nothing, and the
 * density that is expected, then 1. Texts live as long as the plan. */
RAMIFY_API ramify_status ramify_plan_pruning(const ramify_plan *plan, ramify_prune_options *options,
                                             double *density);

/* The error that was predicted for the choice, as a root mean square in the target's units or a share of
 * wrong classes, and the level of its interval. */
RAMIFY_API ramify_law_estimate ramify_plan_predicted(const ramify_plan *plan, double *level);

/* Adds what the choice brought: its score, on rows that nothing was chosen by; seconds of the training, and of
 * pruning; the density, 1 where nothing was pruned. */
RAMIFY_API ramify_status ramify_plan_add_obtained(ramify_plan *plan, const ramify_score *score,
                                                  double seconds, uint64_t resident_bytes,
                                                  double density);

/* ------------------------------------------------------------------------------------------------
 * 12. Planning from runs
 *
 * From a table of runs, of any framework: what a budget buys, or what an error costs, how sure that is,
 * which further run would make it surest for its cost, and when to stop. The law is one of part 7; a run
 * costs factor x model^a x data^b, or factor x size^a, fitted to a column of costs.
 * --------------------------------------------------------------------------------------------- */

/* Most sizes that a plan divides a budget between. */
#define RAMIFY_PLAN_SIZES 2

/* Fill with ramify_runs_plan_options_init, then change what matters. Strings are borrowed during the call; lists
 * of columns as in ramify_train_options. */
typedef struct ramify_runs_plan_options {
    const char *x; /* column of the size, or of model size and data; required */
    const char *y; /* column of the error; required */
    /* Column of what a run cost, in any unit, above 0 or empty; NULL: the product of the sizes is the
     * cost. */
    const char *cost;
    const char *form; /* of the law, with as many sizes; default "auto" */
    /* Conditions that runs must meet, as in ramify_law_options; the others are left out. */
    const char *const *where;
    uint32_t where_count;
    /* One of two questions. Neither: ten times what the dearest run cost. */
    double budget; /* the least error for this cost; 0: not asked */
    double error;  /* the least cost for this error; 0: not asked */

    double most_cost; /* of the next run, which always costs less than the one that is planned;
                         0: no other bound */
    double
        tolerance; /* half the width of the answer's interval, as a share of the answer, at which it is
                         known well enough, in 0..1; default 0.05 */
    double level;       /* of intervals, default 0.9 */
    uint32_t bootstrap; /* resamples, and refits to other noise, 20 .. 100000; default 200 */
    uint64_t seed;
} ramify_runs_plan_options;

RAMIFY_API void ramify_runs_plan_options_init(ramify_runs_plan_options *options);

/* A run that was not made. */
typedef struct ramify_planned_run {
    double cost, x[RAMIFY_PLAN_SIZES]; /* sizes in the order of options.x */
    ramify_law_estimate error;
} ramify_planned_run;

typedef enum ramify_plan_stop {
    RAMIFY_PLAN_GO_ON = 0,        /* the next run is worth its cost */
    RAMIFY_PLAN_KNOWN = 1,        /* the answer's interval lies within the tolerance */
    RAMIFY_PLAN_NO_RUN_HELPS = 2, /* no run that may be made narrows it by a tenth */
} ramify_plan_stop;

/* Owned by the caller; free with ramify_runs_plan_destroy. */
typedef struct ramify_runs_plan {
    ramify_context *context;  /* whose memory this is */
    ramify_law *law;          /* of all runs; owned */
    uint32_t sizes;           /* 1 or 2 */
    ramify_law_cost cost;     /* of one size: model_power is 0, data_power that of the size */
    bool cost_fitted;         /* false: the product of the sizes */
    double cost_deviation;    /* of runs' ln cost about the product; 0: not fitted */
    uint64_t cost_runs;       /* whose cost is known; 0: not fitted */
    double cheapest, dearest; /* cost of runs that were made */

    /* The best run for a few costs, the last being the answer. */
    uint32_t frontier_count;
    ramify_planned_run *frontier; /* frontier_count */

    /* The run that was asked for. What was given, the budget or the error, has no interval: NaN. */
    bool for_error; /* the error was given */
    ramify_law_estimate answer_cost, answer_error, answer_x[RAMIFY_PLAN_SIZES];
    double width; /* half of the answer's interval, as a share of the answer; NaN: it has no end */

    /* The run to make next, by how much it is expected to narrow the answer's interval (in logarithms): a
     * share, 0.1 or more. has_next false: no run does; `narrowing` is then the most that one would. */
    bool has_next;
    ramify_planned_run next;
    double narrowing;

    ramify_plan_stop stop;
    const char *advice; /* what to do, one paragraph; owned */
} ramify_runs_plan;

/* Plans from the runs of a table. Intervals come from how far laws of runs cut short by cost were off on dearer
 * ones; of one size, and where such runs are too few, from the law's own intervals (docs/laws.md); with what the
 * scatter of the runs leaves open about the law, and that of a new run. What a next run narrows follows from
 * the same variances, by normal conditioning (docs/plan.md). The result depends on the seed, not on the number
 * of threads.
 *
 * Fails with RAMIFY_ERROR_ARGUMENT (options), RAMIFY_ERROR_DATA: all that ramify_law_fit refuses; errors that do
 * not fall with a size; sizes of fewer than three values; costs that follow no such product; too few runs to say
 * how sure the answer is; a budget below the cheapest run or beyond a million times the dearest; an error
 * that is reached by the cheapest or by no cost; no best division of the budget. Free with
 * ramify_runs_plan_destroy. */
RAMIFY_API ramify_status ramify_plan_runs(ramify_context *context, const ramify_table *table,
                                          const ramify_runs_plan_options *options,
                                          ramify_runs_plan **plan);
RAMIFY_API void ramify_runs_plan_destroy(ramify_runs_plan **plan);

/* ------------------------------------------------------------------------------------------------
 * 13. Several processes
 * --------------------------------------------------------------------------------------------- */

/* How a context joins the processes (ranks) that an MPI launcher started. Fill with
 * ramify_cluster_options_init. */
typedef struct ramify_cluster_options {
    const char *plugin; /* path of ramify-mpi.so, which comes with the library; required */

    /* Called once, from a thread of the library's own, where a rank has failed, is gone or has been
     * silent for ten seconds: the work of all ranks is lost but for what --resume keeps, and calls
     * return RAMIFY_ERROR_CLUSTER. `speaks` is true on one rank alone: the one to tell the user, before
     * the launcher ends its process. NULL: nobody is told. user: the context's. */
    void (*broken)(void *user, const char *why, bool speaks);

    /* A number that must be the same on all ranks, say of what they were asked to do; 0: of nothing. */
    uint64_t fingerprint;
} ramify_cluster_options;

RAMIFY_API void ramify_cluster_options_init(ramify_cluster_options *options);

/* Joins the ranks: from here on every rank makes the same calls with this context, with the same
 * arguments, and what they return is the same on every rank, as if there were one process. Ranks share
 * a file system. Fails with RAMIFY_ERROR_UNSUPPORTED (the plug-in cannot be loaded) or
 * RAMIFY_ERROR_CLUSTER (MPI does not start; ranks of different versions, instruction sets or
 * fingerprints; hosts that cannot connect to one another by TCP). ramify_context_destroy leaves the ranks, and waits for
 * the others to do the same unless something failed. MPI can be joined once in a process's life. */
RAMIFY_API ramify_status ramify_cluster_join(ramify_context *context,
                                             const ramify_cluster_options *options);

/* Which rank this process is, 0 .. ranks - 1, and how many there are; 0 and 1 of a process alone. */
RAMIFY_API uint32_t ramify_cluster_rank(const ramify_context *context);
RAMIFY_API uint32_t ramify_cluster_size(const ramify_context *context);

/* Tells the other ranks that this one fails, with `message`, which ends their calls. What the library
 * finds out for itself it has told already. */
RAMIFY_API void ramify_cluster_fail(ramify_context *context, const char *message);

/* Reads a table that ramify_train is to learn from with these options: as ramify_table_read does, but
 * where several ranks read one that is to be divided (node_rows of ramify_train_options), an
 * uncompressed CSV file without line breaks in its cells or an NPY file in C order, each rank reads its
 * range of the rows, and what it receives can only be trained on. All ranks make the call. A column of
 * numbers whose values all differ is warned of where they rise or fall. Free with ramify_table_destroy. */
RAMIFY_API ramify_status ramify_table_read_for_training(ramify_context *context, const char *path,
                                                        const ramify_table_options *options,
                                                        const ramify_train_options *training,
                                                        ramify_table **table);

/* What this rank has sent to others in one phase of the work, as docs/cluster.md counts it. */
typedef struct ramify_cluster_traffic {
    const char *phase;
    uint64_t bytes, messages;
    double seconds; /* until the transfers were done, waiting for other ranks included */
} ramify_cluster_traffic;

/* Of phase `index`, in the order in which they began; false where there are not so many. */
RAMIFY_API bool ramify_cluster_get_traffic(const ramify_context *context, uint32_t index,
                                           ramify_cluster_traffic *traffic);

/* Makes the bytes and messages of every phase their sums over all ranks, which all make the call; seconds stay
 * this rank's. */
RAMIFY_API ramify_status ramify_cluster_add_traffic(ramify_context *context);

#ifdef __cplusplus
}
#endif

#endif
