#ifndef RAMIFY_MODEL_MODEL_H
#define RAMIFY_MODEL_MODEL_H
/* The inside of an open model; for src/model, src/train and the exporter. */

#include "module.h"
#include "notes.h"
#include "paraformer_file.h"
#include "ramify.h"
#include "residency.h"
#include "safetensors.h"
#include "schema.h"
#include "source.h"
#include "stem.h"
#include "tree.h"

/* The file format that this code writes, and the only one that it reads. */
#define RAMIFY_FORMAT 1

/* Size of the numbers of head.center and head.scale: what training takes for a target is below, and a
 * module's output times it is finite. */
#define RAMIFY_HEAD_NUMBER_MAX 1e150

struct ramify_model {
    ramify_context *context; /* that opened it; predictors may have others */
    ramify_source source;
    const char *kind;           /* a constant */
    char *config;               /* text of ramify.config; owned */
    ramify_schema *schema;      /* owned */
    uint32_t targets;           /* of a regression; 0 for a classification */
    uint32_t outputs;           /* targets or classes */
    ramify_stem stem;           /* its arrays lie in `resident` or in the source */
    const double *head_center;  /* targets */
    const double *head_scale;   /* targets, finite */
    ramify_module_shape shape;  /* of the modules of group 0; a branch of a Para-Former */
    ramify_series_shape series; /* of the series among the modules; outputs 0: there are none */
    uint32_t series_group;      /* their group */
    ramify_paraformer_shape paraformer; /* branches 0: the model is a tree, or a tree's leaf */
    uint32_t branches;                  /* of these, how many are run: the first ones */
    const float *embedding, *head;      /* records; in `resident` or in the source */
    const ramify_reference *branch;     /* paraformer.branches: where each lies; likewise */
    uint32_t
        *plain_column; /* plain features: the column that each is of; NULL: not needed; owned */
    ramify_tree_limits limits;
    ramify_reference root;
    ramify_notes_shape notes;
    uint64_t notes_tables, notes_records; /* where they begin, from data_start on */
    bool notes_wanted;                    /* predictors have them from the start */
    ramify_store nodes, experts;
    ramify_need need;             /* of one row */
    uint64_t data_start;          /* first byte of the data */
    uint64_t resident_bytes;      /* of the tensors that are always resident, from data_start on */
    unsigned char *resident;      /* our copy of them, or NULL where they are used in place */
    uint64_t bound;               /* options.resident_bytes; 0: none */
    bool maps_records;            /* with a bound: mapped, not read */
    uint32_t top_k;               /* experts per row; 1: its own */
    uint32_t predictors;          /* with a bound: how many it counts */
    uint32_t kept_levels;         /* of the tree, from the root: nodes that stay in the cache */
    uint64_t predictor_allowance; /* with a bound: bytes that each of them may take */
    uint64_t
        fixed_bytes; /* held since open: everything but predictors and parts filled on demand */

    pthread_mutex_t lock;        /* guards the stores where they need it */
    pthread_cond_t changed;      /* a record was read or is no longer used */
    uint32_t predictors_alive;   /* with a bound; under the lock */
    _Atomic uint64_t part_bytes; /* filled on demand, or of a borrowed buffer or map, touched */
    _Atomic uint64_t predictor_bytes; /* of all predictors alive */
    _Atomic uint64_t peak_bytes, hits, misses, bytes_read;
};

/* Adds to what is held (parts or predictors; negative: gives back) and keeps the peak. */
void ramify_model_hold(ramify_model *model, _Atomic uint64_t *what, int64_t bytes);

/* What the tensors of a model depend on. */
typedef struct ramify_layout_of {
    const ramify_stem *stem;                    /* counts, and whether it has a route */
    uint32_t targets;                           /* of a regression, else 0 */
    const ramify_paraformer_shape *paraformer;  /* NULL: a tree, and what follows */
    uint64_t node_bytes, modules, module_bytes; /* modules of one length */
    uint64_t packed_bytes;                      /* of all packed modules, in their place */
    uint64_t series_bytes;                      /* of all series */
} ramify_layout_of;

/* Where parts begin, and the always resident ones end, counted from the start of the data. */
typedef struct ramify_layout_places {
    uint64_t resident, nodes, modules;
    uint64_t series; /* `modules` where there are no others */
} ramify_layout_places;

/* Adds the tensors of a model, without notes, in the order of their bytes. */
void ramify_model_layout(const ramify_layout_of *of, ramify_layout *layout,
                         ramify_layout_places *places);

/* True where the modules of group 0 are networks of different lengths. */
bool ramify_model_is_packed(const ramify_model *model);

static inline const ramify_paraformer_shape *ramify_model_paraformer(const ramify_model *model) {
    return model->paraformer.branches > 0 ? &model->paraformer : NULL;
}

/* Shape of the series among a model's modules, or NULL. */
static inline const ramify_series_shape *ramify_model_series(const ramify_model *model) {
    return model->series.outputs > 0 ? &model->series : NULL;
}

/* Checks everything about a stem that is later used as an index or divided by: the columns' codes
 * against the schema, indices in their canonical order, finite numbers, ascending knots. */
ramify_status ramify_stem_check(ramify_context *context, const ramify_source *source,
                                const ramify_stem *stem, const ramify_schema *schema);

/* Checks a module record as it comes from the source: checksum, then its type's check. */
ramify_status ramify_module_check(ramify_context *context, const ramify_model *model,
                                  const ramify_reference *reference, const void *record);

/* Reads the config into the model: schema, stem counts, module shape, tree limits. */
ramify_status ramify_config_read(ramify_context *context, ramify_model *model);

/* What a predictor's size depends on. */
typedef struct ramify_predictor_of {
    const ramify_stem *stem;
    const ramify_module_shape *shape;          /* of the modules of group 0 */
    const ramify_series_shape *series;         /* of series among them; NULL: none */
    const ramify_paraformer_shape *paraformer; /* NULL: a tree */
    uint32_t arity, top_k;                     /* of a tree */
    uint32_t workers; /* of a Para-Former: branches that are run side by side */
} ramify_predictor_of;

/* Reads the whole number object[key] in [low, high]; where: what messages call the object. */
ramify_status ramify_config_count(ramify_context *context, const ramify_source *source,
                                  const json_t *object, const char *where, const char *key,
                                  uint32_t low, uint32_t high, uint32_t *count);

/* Bytes of a predictor for pieces of `rows` rows, block header included. */
uint64_t ramify_predictor_bytes(const ramify_predictor_of *of, size_t rows);

/* The same of this model's predictors, with notes where they are wanted from the start. */
uint64_t ramify_model_predictor_bytes(const ramify_model *model, size_t rows);

/* Fails for models whose rows do not go down a tree. what: "gradients", ... */
ramify_status ramify_model_need_tree(ramify_context *context, const ramify_model *model,
                                     const char *what);

/* As ramify_open, for calls that are not over: it keeps what failed before. */
ramify_status ramify_open_inside(ramify_context *context, const char *path,
                                 const ramify_open_options *options, ramify_model **model);

#endif
