#ifndef RAMIFY_MODEL_NOTES_H
#define RAMIFY_MODEL_NOTES_H
/* Notes on leaves: how far off predictions are at a leaf, and how far its training rows lie from its
 * prototype. Intervals and novelty are made of them. They lie at the end of the file:
 *
 *     notes.residuals  F64 [targets x residuals, 2]  shares and values, a table for every target
 *     notes.distances  F64 [distances, 2]            shares and values
 *     notes.center     F32 [pad(plain)]              only without a tree: the prototype of the one
 *                                                    leaf, in plain features
 *     notes.leaves     U8 [leaves, record bytes]     a reach and a spread for every target, float32,
 *                                                    and a CRC-32C
 *
 * A share is a place in a distribution; between two of them, values are interpolated. Residuals are
 * counted in spreads of their leaf, distances in its reach.
 *
 * They are read when intervals or novelty are asked for, the tables once, a leaf's record each time:
 * what a predictor holds does not grow with the number of leaves. */

#include "ramify.h"
#include "safetensors.h"

/* Entries of one table. */
#define RAMIFY_NOTES_ENTRIES_MAX 1024
/* Sizes of stored numbers, so that products of a few are finite. Reaches and spreads, which are
 * divided by, are not below its inverse. */
#define RAMIFY_NOTES_NUMBER_MAX 1e18

/* What the config says of notes. */
typedef struct ramify_notes_shape {
    uint32_t residuals; /* entries of a target's table; 0: no intervals */
    uint32_t distances; /* entries; 0: no notes at all */
    uint32_t rows;      /* report rows that the residuals are of */
    uint32_t crc;       /* CRC-32C of the tables, pads included */
} ramify_notes_shape;

typedef struct ramify_note {
    double share, value;
} ramify_note;

/* Notes to be written. Everything is borrowed. */
typedef struct ramify_draft_notes {
    ramify_notes_shape shape;     /* without crc */
    const ramify_note *residuals; /* targets x shape.residuals */
    const ramify_note *distances; /* shape.distances */
    const float *center;          /* pad(plain); NULL with a tree */
    const float *reach;           /* leaves, numbered depth-first */
    const float *spread;          /* leaves x targets */
} ramify_draft_notes;

/* What a predictor holds once notes were asked for; one block. */
typedef struct ramify_notes {
    const ramify_note *residuals; /* targets x residuals */
    const ramify_note *distances;
    const float *center; /* pad(plain), or NULL */
    double *quantile;    /* targets x 2: of the level that is being computed */
    float *record;       /* of the leaf that is being computed: reach, spreads, CRC-32C */
} ramify_notes;

/* Bytes of a leaf's record. targets: of a regression, else 0. */
uint64_t ramify_notes_record_bytes(const ramify_notes_shape *shape, uint32_t targets);

/* Adds the tensors of notes behind all others; nothing where there are none. *tables and *records:
 * where the first of them and notes.leaves begin, counted from the start of the data. */
void ramify_notes_layout(const ramify_notes_shape *shape, uint32_t targets, uint32_t plain,
                         uint64_t nodes, uint64_t leaves, ramify_layout *layout, uint64_t *tables,
                         uint64_t *records);

/* The checksum of the tables as they will lie in the file. */
uint32_t ramify_notes_crc(const ramify_draft_notes *notes, uint32_t targets, uint32_t plain);

/* Writes the records of all leaves. */
void ramify_notes_write_leaves(const ramify_draft_notes *notes, uint32_t targets, uint64_t leaves,
                               unsigned char *records);

/* Bytes that a predictor for pieces of `rows` rows takes for notes, block header included; 0 where
 * the model has none. */
uint64_t ramify_notes_bytes(const ramify_model *model, size_t rows);

/* Sets predictor->notes, if they are not there yet: allocates, reads the tables and checks them. The
 * model has notes. */
ramify_status ramify_notes_take(ramify_predictor *predictor);

/* Reads the record of a leaf of a good number, and checks it. */
ramify_status ramify_notes_read(ramify_context *context, const ramify_model *model, uint32_t leaf,
                                float *record);

/* Reads and checks all notes. */
ramify_status ramify_notes_check(ramify_context *context, const ramify_model *model);

/* The value at a share, which must not lie outside the table; of count entries, at least 1. */
double ramify_note_value(const ramify_note *notes, uint32_t count, double share);

/* The share of a value: 0 up to the first one, 1 beyond the last. */
double ramify_note_share(const ramify_note *notes, uint32_t count, double value);

#endif
