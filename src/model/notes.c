/* Where notes lie, reading and checking them. predict_notes.c makes intervals and novelty of them. */

#include "notes.h"
#include "crc32c.h"
#include "memory.h"
#include "model.h"
#include "predict.h"
#include "progress.h"

#include <math.h>
#include <string.h>

uint64_t ramify_notes_record_bytes(const ramify_notes_shape *shape, uint32_t targets) {
    uint64_t spreads = shape->residuals > 0 ? targets : 0;
    return (1 + spreads) * sizeof(float) + sizeof(uint32_t);
}

void ramify_notes_layout(const ramify_notes_shape *shape, uint32_t targets, uint32_t plain,
                         uint64_t nodes, uint64_t leaves, ramify_layout *layout, uint64_t *tables,
                         uint64_t *records) {
    *tables = *records = layout->bytes;
    if (shape->distances == 0)
        return;
    ramify_layout_add(layout, "notes.residuals", RAMIFY_DTYPE_F64, 2,
                      (uint64_t)targets * shape->residuals, 2);
    ramify_layout_add(layout, "notes.distances", RAMIFY_DTYPE_F64, 2, shape->distances, 2);
    ramify_layout_add(layout, "notes.center", RAMIFY_DTYPE_F32, 1,
                      nodes == 0 ? ramify_pad(plain) : 0, 0);
    *records = ramify_layout_add(layout, "notes.leaves", RAMIFY_DTYPE_U8, 2, leaves,
                                 ramify_notes_record_bytes(shape, targets));
}

/* Continues a checksum over some bytes and the pad after them. */
static uint32_t crc_padded(uint32_t crc, const void *bytes, uint64_t size) {
    static const unsigned char zeros[RAMIFY_ALIGNMENT];
    crc = ramify_crc32c(crc, bytes, (size_t)size);
    return ramify_crc32c(crc, zeros, (size_t)(ramify_align(size) - size));
}

uint32_t ramify_notes_crc(const ramify_draft_notes *notes, uint32_t targets, uint32_t plain) {
    uint64_t residuals = (uint64_t)targets * notes->shape.residuals;
    uint32_t crc = crc_padded(0, notes->residuals, residuals * sizeof(ramify_note));
    crc = crc_padded(crc, notes->distances, notes->shape.distances * sizeof(ramify_note));
    if (notes->center)
        crc = crc_padded(crc, notes->center, ramify_pad(plain) * sizeof(float));
    return crc;
}

/* The leaf's number goes first, so that no record passes for another's. */
static uint32_t record_crc(uint32_t leaf, const void *record, uint64_t bytes) {
    uint32_t crc = ramify_crc32c(0, &leaf, sizeof leaf);
    return ramify_crc32c(crc, record, (size_t)bytes - sizeof crc);
}

void ramify_notes_write_leaves(const ramify_draft_notes *notes, uint32_t targets, uint64_t leaves,
                               unsigned char *records) {
    uint64_t bytes = ramify_notes_record_bytes(&notes->shape, targets);
    uint32_t spreads = notes->shape.residuals > 0 ? targets : 0;
    for (uint64_t leaf = 0; leaf < leaves; leaf++) {
        unsigned char *record = records + leaf * bytes;
        memcpy(record, &notes->reach[leaf], sizeof(float));
        if (spreads > 0)
            memcpy(record + sizeof(float), notes->spread + leaf * spreads, spreads * sizeof(float));
        uint32_t crc = record_crc((uint32_t)leaf, record, bytes);
        memcpy(record + bytes - sizeof crc, &crc, sizeof crc);
    }
}

/* Parts of a predictor's block. */
typedef struct notes_sizes {
    uint64_t self, tables, nearness, quantile, record; /* bytes */
} notes_sizes;

static notes_sizes measure(const ramify_model *model, size_t rows) {
    return (notes_sizes){
        .self = ramify_align(sizeof(ramify_notes)),
        .tables = model->notes_records - model->notes_tables,
        .nearness = ramify_align(rows * sizeof(float)),
        .quantile = ramify_align(2 * (uint64_t)model->targets * sizeof(double)),
        .record = ramify_align(ramify_notes_record_bytes(&model->notes, model->targets)),
    };
}

static uint64_t block_bytes(const notes_sizes *sizes) {
    return sizes->self + sizes->tables + sizes->nearness + sizes->quantile + sizes->record;
}

uint64_t ramify_notes_bytes(const ramify_model *model, size_t rows) {
    if (model->notes.distances == 0)
        return 0;
    notes_sizes sizes = measure(model, rows);
    return ramify_block_bytes(block_bytes(&sizes));
}

/* A table's shares ascend from above 0, or with distances from 0 on, to below 1; its values do not
 * descend. */
static ramify_status check_entries(ramify_context *context, const ramify_model *model,
                                   const char *tensor, const ramify_note *notes, uint32_t first,
                                   uint32_t count, bool distances) {
    for (uint32_t i = 0; i < count; i++) {
        const ramify_note *note = &notes[i];
        bool above = i > 0       ? note->share > note[-1].share
                     : distances ? note->share >= 0
                                 : note->share > 0;
        if (!above || !(note->share < 1))
            return ramify_damaged(context, &model->source,
                                  "tensor \"%s\": share %u is %g, expected one below 1 that is %s",
                                  tensor, first + i, note->share,
                                  i > 0       ? "above the one before it"
                                  : distances ? "0 or above"
                                              : "above 0");
        bool good = fabs(note->value) <= RAMIFY_NOTES_NUMBER_MAX &&
                    (!distances || note->value >= 0) && (i == 0 || note->value >= note[-1].value);
        if (!good)
            return ramify_damaged(context, &model->source,
                                  "tensor \"%s\": value %u is %g, expected a number at most %g in "
                                  "size%s",
                                  tensor, first + i, note->value, RAMIFY_NOTES_NUMBER_MAX,
                                  i > 0       ? ", not below the one before it"
                                  : distances ? ", not below 0"
                                              : "");
    }
    return RAMIFY_OK;
}

static ramify_status check_pad(ramify_context *context, const ramify_model *model,
                               const char *tensor, const void *from, uint64_t bytes) {
    const unsigned char *pad = from;
    for (uint64_t i = 0; i < bytes; i++)
        if (pad[i] != 0)
            return ramify_damaged(context, &model->source,
                                  "tensor \"%s\": the pad after it is not 0", tensor);
    return RAMIFY_OK;
}

/* The tables as they lie in the file, in memory that is aligned. */
typedef struct notes_tables {
    const ramify_note *residuals, *distances;
    const float *center;
} notes_tables;

static notes_tables find_tables(const ramify_model *model, const unsigned char *bytes) {
    uint64_t residuals = (uint64_t)model->targets * model->notes.residuals;
    uint64_t distances_at = ramify_align(residuals * sizeof(ramify_note));
    uint64_t center_at = distances_at + ramify_align(model->notes.distances * sizeof(ramify_note));
    return (notes_tables){
        .residuals = (const ramify_note *)bytes,
        .distances = (const ramify_note *)(bytes + distances_at),
        .center = model->limits.nodes == 0 ? (const float *)(bytes + center_at) : NULL,
    };
}

static ramify_status check_center(ramify_context *context, const ramify_model *model,
                                  const float *center) {
    for (size_t i = 0; i < ramify_pad(model->stem.plain); i++) {
        double most = i < model->stem.plain ? RAMIFY_NOTES_NUMBER_MAX : 0;
        if (!(fabs((double)center[i]) <= most))
            return ramify_damaged(context, &model->source,
                                  "tensor \"notes.center\": number %zu is %g, expected at most %g "
                                  "in size",
                                  i, (double)center[i], most);
    }
    return RAMIFY_OK;
}

static ramify_status check_tables(ramify_context *context, const ramify_model *model,
                                  const unsigned char *bytes) {
    const ramify_notes_shape *shape = &model->notes;
    uint32_t crc = ramify_crc32c(0, bytes, (size_t)(model->notes_records - model->notes_tables));
    if (crc != shape->crc)
        return ramify_damaged(context, &model->source,
                              "tables of notes: checksum %08x, expected %08x", crc, shape->crc);
    notes_tables tables = find_tables(model, bytes);
    for (uint32_t t = 0; t < model->targets; t++)
        RAMIFY_TRY(check_entries(context, model, "notes.residuals",
                                 tables.residuals + (size_t)t * shape->residuals,
                                 t * shape->residuals, shape->residuals, false));
    RAMIFY_TRY(check_entries(context, model, "notes.distances", tables.distances, 0,
                             shape->distances, true));
    const ramify_note *end = tables.residuals + (size_t)model->targets * shape->residuals;
    RAMIFY_TRY(check_pad(context, model, "notes.residuals", end,
                         (uint64_t)((const char *)tables.distances - (const char *)end)));
    end = tables.distances + shape->distances;
    uint64_t pad = ramify_align(shape->distances * sizeof *end) - shape->distances * sizeof *end;
    RAMIFY_TRY(check_pad(context, model, "notes.distances", end, pad));
    return tables.center ? check_center(context, model, tables.center) : RAMIFY_OK;
}

static ramify_status read_tables(ramify_context *context, const ramify_model *model,
                                 unsigned char *bytes) {
    RAMIFY_TRY(ramify_source_read(context, &model->source, model->data_start + model->notes_tables,
                                  (size_t)(model->notes_records - model->notes_tables), bytes));
    return check_tables(context, model, bytes);
}

ramify_status ramify_notes_take(ramify_predictor *p) {
    const ramify_model *model = p->model;
    if (p->notes)
        return RAMIFY_OK;
    notes_sizes sizes = measure(model, p->rows);
    unsigned char *memory = ramify_allocate(p->context, (size_t)block_bytes(&sizes), 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    unsigned char *bytes = memory + sizes.self;
    ramify_status status = read_tables(p->context, model, bytes);
    if (status != RAMIFY_OK) {
        ramify_release(p->context, memory);
        return status;
    }
    notes_tables tables = find_tables(model, bytes);
    bytes += sizes.tables;
    p->notes = (ramify_notes *)memory;
    *p->notes = (ramify_notes){
        .residuals = tables.residuals,
        .distances = tables.distances,
        .center = tables.center,
        .quantile = (double *)(bytes + sizes.nearness),
        .record = (float *)(bytes + sizes.nearness + sizes.quantile),
    };
    p->nearness = (float *)bytes;
    uint64_t held = ramify_block_bytes(block_bytes(&sizes));
    p->bytes += held;
    ramify_model_hold(p->model, &p->model->predictor_bytes, (int64_t)held);
    return RAMIFY_OK;
}

ramify_status ramify_notes_read(ramify_context *context, const ramify_model *model, uint32_t leaf,
                                float *record) {
    uint64_t bytes = ramify_notes_record_bytes(&model->notes, model->targets);
    RAMIFY_TRY(ramify_source_read(context, &model->source,
                                  model->data_start + model->notes_records + leaf * bytes,
                                  (size_t)bytes, record));
    uint32_t crc = record_crc(leaf, record, bytes), expected;
    size_t numbers = (size_t)bytes / sizeof(float) - 1;
    memcpy(&expected, record + numbers, sizeof expected);
    if (crc != expected)
        return ramify_damaged(context, &model->source,
                              "tensor \"notes.leaves\", leaf %u: checksum %08x, expected %08x",
                              leaf, crc, expected);
    for (size_t i = 0; i < numbers; i++) {
        double number = (double)record[i];
        if (!(number >= 1 / RAMIFY_NOTES_NUMBER_MAX && number <= RAMIFY_NOTES_NUMBER_MAX))
            return ramify_damaged(context, &model->source,
                                  "tensor \"notes.leaves\", leaf %u: number %zu is %g, expected %g "
                                  "to %g",
                                  leaf, i, number, 1 / RAMIFY_NOTES_NUMBER_MAX,
                                  RAMIFY_NOTES_NUMBER_MAX);
    }
    return RAMIFY_OK;
}

static ramify_status check_leaves(ramify_context *context, const ramify_model *model,
                                  float *record) {
    uint64_t bytes = ramify_notes_record_bytes(&model->notes, model->targets);
    for (uint64_t leaf = 0; leaf < model->limits.leaves; leaf++) {
        if (ramify_cancelled(context))
            return RAMIFY_STOPPED;
        RAMIFY_TRY(ramify_notes_read(context, model, (uint32_t)leaf, record));
    }
    /* The file's last bytes. */
    unsigned char pad[RAMIFY_ALIGNMENT];
    uint64_t end = model->data_start + model->notes_records + model->limits.leaves * bytes;
    RAMIFY_TRY(
        ramify_source_read(context, &model->source, end, (size_t)(model->source.size - end), pad));
    return check_pad(context, model, "notes.leaves", pad, model->source.size - end);
}

ramify_status ramify_notes_check(ramify_context *context, const ramify_model *model) {
    if (model->notes.distances == 0)
        return RAMIFY_OK;
    notes_sizes sizes = measure(model, 0);
    unsigned char *memory = ramify_allocate(context, (size_t)(sizes.tables + sizes.record), 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = read_tables(context, model, memory);
    if (status == RAMIFY_OK)
        status = check_leaves(context, model, (float *)(memory + sizes.tables));
    ramify_release(context, memory);
    return status;
}

/* The number of entries whose share, or value, is below a number. */
static uint32_t count_below(const ramify_note *notes, uint32_t count, double number, bool shares) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((shares ? notes[middle].share : notes[middle].value) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double ramify_note_value(const ramify_note *notes, uint32_t count, double share) {
    uint32_t above = count_below(notes, count, share, true);
    if (above == 0)
        return notes[0].value;
    if (above == count)
        return notes[count - 1].value;
    const ramify_note *a = &notes[above - 1], *b = &notes[above];
    return a->value + (b->value - a->value) * ((share - a->share) / (b->share - a->share));
}

double ramify_note_share(const ramify_note *notes, uint32_t count, double value) {
    if (!(value <= notes[count - 1].value))
        return 1; /* not-a-number, too */
    uint32_t above = count_below(notes, count, value, false);
    const ramify_note *b = &notes[above];
    if (above == 0 || b->value == value)
        return above == 0 ? 0 : b->share;
    const ramify_note *a = b - 1;
    return a->share + (b->share - a->share) * ((value - a->value) / (b->value - a->value));
}
