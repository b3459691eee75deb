#include "prune_folder.h"

#include "crc32c.h"
#include "memory.h"
#include "model.h"
#include "save.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef char path_text[4096];

static ramify_status name_file(const ramify_prune_folder *folder, const char *file,
                               path_text path) {
    const int length = snprintf(path, sizeof(path_text), "%s/%s", folder->path, file);
    if (length > 0 && (size_t)length < sizeof(path_text))
        return RAMIFY_OK;
    return ramify_fail(folder->context, RAMIFY_ERROR_ARGUMENT,
                       "the folder to resume has too long a name");
}

static ramify_status name_round(const ramify_prune_folder *folder, uint32_t way, path_text path) {
    char file[32];
    snprintf(file, sizeof file, "round-%08x.ramify", (unsigned)way);
    return name_file(folder, file, path);
}

static ramify_status is_there(const ramify_prune_folder *folder, const char *path, bool *there) {
    FILE *file = fopen(path, "rb");
    *there = file != NULL;
    if (file)
        fclose(file);
    else if (errno != ENOENT) {
        char reason[RAMIFY_REASON_BYTES], excerpt[RAMIFY_EXCERPT_BYTES];
        const char *why = ramify_system_reason(errno, reason);
        return ramify_fail(folder->context, RAMIFY_ERROR_IO, "%s: cannot be read: %s",
                           ramify_text_excerpt(path, strlen(path), excerpt), why);
    }
    return RAMIFY_OK;
}

/* --- Whose rounds they are -------------------------------------------------------------------- */

static uint32_t add_column(uint32_t crc, const ramify_column *column, size_t rows) {
    double values[512];
    crc = ramify_crc32c(crc, column->name, strlen(column->name) + 1);
    if (column->text) {
        for (uint32_t t = 0; t < column->text_count; t++)
            crc = ramify_crc32c(crc, column->texts[t], strlen(column->texts[t]) + 1);
        return ramify_crc32c(crc, column->codes, rows * sizeof *column->codes);
    }
    for (size_t from = 0; from < rows; from += 512) {
        const size_t count = rows - from < 512 ? rows - from : 512;
        for (size_t i = 0; i < count; i++)
            values[i] = ramify_column_value(column, from + i);
        crc = ramify_crc32c(crc, values, count * sizeof *values);
    }
    return crc;
}

static uint32_t add_text(uint32_t crc, const char *text) {
    return text ? ramify_crc32c(crc, text, strlen(text) + 1) : ramify_crc32c(crc, "\1", 1);
}

/* The step is not among them: it shows in the densities. */
static uint32_t identify(const ramify_model *model, const ramify_table *table,
                         const ramify_prune_options *o) {
    ramify_model_info info;
    char text[160];
    ramify_model_get_info(model, &info);
    uint32_t crc = ramify_crc32c(0, info.config, strlen(info.config));
    crc = ramify_crc32c(crc, &model->root, sizeof model->root);
    if (o->rewind)
        crc = ramify_crc32c(crc, &o->rewind->root, sizeof o->rewind->root);
    snprintf(text, sizeof text, "%s %s %d %u %.17g %.17g %d %llu %d", o->first, o->scope,
             o->fine_tune, o->epochs, o->rate, o->validation, o->own_seed,
             (unsigned long long)o->seed, (int)o->distillation);
    crc = add_text(crc, text);
    crc = add_text(crc, o->weight);
    crc = add_text(crc, o->group);
    crc = add_text(crc, o->time);
    for (size_t c = 0; c < table->column_count; c++)
        crc = add_column(crc, &table->columns[c], table->rows);
    return crc;
}

static ramify_status write_whole(ramify_context *context, const char *path, const char *text,
                                 size_t length) {
    ramify_replacement file;
    RAMIFY_TRY(ramify_replacement_begin(context, path, &file));
    const ramify_status status = ramify_replacement_write(context, &file, text, length);
    if (status == RAMIFY_OK)
        return ramify_replacement_commit(context, &file);
    ramify_replacement_abandon(context, &file);
    return status;
}

ramify_status ramify_prune_folder_open(ramify_context *context, const char *path,
                                       const ramify_model *model, const ramify_table *table,
                                       const ramify_prune_options *options,
                                       ramify_prune_folder *folder) {
    path_text owner, runs;
    char text[64];
    bool there;
    *folder = (ramify_prune_folder){.context = context, .path = path};
    if (!path)
        return RAMIFY_OK;
    folder->start = identify(model, table, options);
    RAMIFY_TRY(ramify_checkpoint_folder(context, path));
    RAMIFY_TRY(name_file(folder, "pruning.json", owner));
    RAMIFY_TRY(name_file(folder, "runs.csv", runs));
    RAMIFY_TRY(is_there(folder, owner, &there));
    if (there) {
        json_t *json = json_load_file(owner, 0, NULL);
        const char *of = json_string_value(json_object_get(json, "of"));
        snprintf(text, sizeof text, "%08x", (unsigned)folder->start);
        const bool same = of && strcmp(of, text) == 0;
        json_decref(json);
        return same ? RAMIFY_OK
                    : ramify_fail(context, RAMIFY_ERROR_DATA,
                                  "%s: of another model or other rows, or pruned with other "
                                  "options: take another folder, or remove what is in it",
                                  owner);
    }
    RAMIFY_TRY(is_there(folder, runs, &there));
    if (there)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: is there already, and is not of a pruning: take another folder",
                           runs);
    const int length = snprintf(text, sizeof text, "{\"of\": \"%08x\"}\n", (unsigned)folder->start);
    return write_whole(context, owner, text, (size_t)length);
}

/* --- Rounds ----------------------------------------------------------------------------------- */

uint32_t ramify_prune_way(uint32_t way, double density) {
    return ramify_crc32c(way, &density, sizeof density);
}

ramify_status ramify_prune_folder_take(const ramify_prune_folder *folder, uint32_t way,
                                       ramify_pruning *pruning, double *seconds, bool *found) {
    path_text path;
    ramify_model *state = NULL;
    ramify_model_info info;
    *found = false;
    if (!folder->path)
        return RAMIFY_OK;
    RAMIFY_TRY(name_round(folder, way, path));
    RAMIFY_TRY(is_there(folder, path, found));
    if (!*found)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_open(folder->context, path, NULL, &state));
    ramify_model_get_info(state, &info);
    json_t *config = json_loads(info.config, 0, NULL);
    const json_t *about = json_object_get(config, "pruning");
    *seconds = json_number_value(json_object_get(about, "seconds"));
    json_decref(config);
    const ramify_status status = ramify_pruning_take(pruning, state);
    ramify_close(&state);
    return status;
}

ramify_status ramify_prune_folder_keep(const ramify_prune_folder *folder, uint32_t way,
                                       ramify_pruning *pruning, double seconds, json_t *about) {
    path_text path;
    ramify_model *state = NULL;
    if (!folder->path)
        return RAMIFY_OK;
    RAMIFY_TRY(name_round(folder, way, path));
    if (json_object_set_new(about, "seconds", json_real(seconds)) != 0)
        return ramify_fail(folder->context, RAMIFY_ERROR_MEMORY, "out of memory for a round");
    ramify_status status = ramify_pruning_give(pruning, about, &state);
    if (status == RAMIFY_OK)
        status = ramify_save(folder->context, state, path);
    ramify_close(&state);
    return status;
}

ramify_status ramify_prune_folder_list(const ramify_prune_folder *folder,
                                       const ramify_prune_round *rounds, uint32_t count) {
    static const char head[] = "density,error,seconds\n";
    enum { LINE = 96 };
    path_text path;
    if (!folder->path)
        return RAMIFY_OK;
    RAMIFY_TRY(name_file(folder, "runs.csv", path));
    const size_t most = sizeof head + (size_t)count * LINE;
    char *text = ramify_allocate(folder->context, most, 1);
    if (!text)
        return RAMIFY_ERROR_MEMORY;
    size_t length = sizeof head - 1;
    memcpy(text, head, length);
    for (uint32_t i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, most - length, "%.17g,%.17g,%.3f\n",
                                   rounds[i].density, rounds[i].error, rounds[i].seconds);
    const ramify_status status = write_whole(folder->context, path, text, length);
    ramify_release(folder->context, text);
    return status;
}
