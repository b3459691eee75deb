/* A checkpoint may be anything: sizes are compared with what the fit's shape says, which nothing in
 * the file can change, before anything is read into memory. */

#include "paraformer_checkpoint.h"
#include "crc32c.h"
#include "memory.h"
#include "residency.h"
#include "save.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1

/* As in the file; there are no holes. */
typedef struct header {
    char magic[8];
    uint32_t format, fingerprint;
    uint64_t floats;
    uint32_t branches, averaged;
    uint64_t step;
    double branch_passes, seconds, criterion, loss, error;
    uint32_t taken, checks;
} header;

static const char magic[8] = {'r', 'a', 'm', 'i', 'f', 'y', 'P', 'F'};

uint64_t ramify_paraformer_state_bytes(size_t floats, uint32_t branches, bool averaged) {
    return (4 + (uint64_t)averaged) * ramify_block_bytes(floats * sizeof(float)) +
           ramify_block_bytes((branches + (uint64_t)1) * sizeof(uint64_t));
}

ramify_status ramify_paraformer_state_create(ramify_context *context, size_t floats,
                                             uint32_t branches, bool averaged,
                                             ramify_paraformer_state *state) {
    *state =
        (ramify_paraformer_state){.floats = floats, .branches = branches, .averaged = averaged};
    state->weights = ramify_allocate_zeroed(context, floats, sizeof(float));
    state->first = ramify_allocate_zeroed(context, floats, sizeof(float));
    state->second = ramify_allocate_zeroed(context, floats, sizeof(float));
    state->best = ramify_allocate_zeroed(context, floats, sizeof(float));
    if (averaged)
        state->average = ramify_allocate_zeroed(context, floats, sizeof(float));
    state->part_steps = ramify_allocate_zeroed(context, branches + (size_t)1, sizeof(uint64_t));
    if (state->weights && state->first && state->second && state->best && state->part_steps &&
        (state->average || !averaged))
        return RAMIFY_OK;
    ramify_paraformer_state_destroy(context, state);
    return RAMIFY_ERROR_MEMORY;
}

void ramify_paraformer_state_destroy(ramify_context *context, ramify_paraformer_state *state) {
    ramify_release(context, state->weights);
    ramify_release(context, state->first);
    ramify_release(context, state->second);
    ramify_release(context, state->best);
    ramify_release(context, state->average);
    ramify_release(context, state->part_steps);
    *state = (ramify_paraformer_state){0};
}

/* The blocks after the header, in order. */
typedef struct block {
    void *bytes;
    size_t size;
} block;

static size_t list_blocks(const ramify_paraformer_state *state, block blocks[6]) {
    size_t bytes = state->floats * sizeof(float), count = 0;
    blocks[count++] = (block){state->part_steps, (state->branches + (size_t)1) * sizeof(uint64_t)};
    blocks[count++] = (block){state->weights, bytes};
    blocks[count++] = (block){state->first, bytes};
    blocks[count++] = (block){state->second, bytes};
    blocks[count++] = (block){state->best, bytes};
    if (state->averaged)
        blocks[count++] = (block){state->average, bytes};
    return count;
}

static ramify_status write_block(ramify_context *context, const ramify_replacement *file,
                                 const void *bytes, size_t size, uint32_t *crc) {
    *crc = ramify_crc32c(*crc, bytes, size);
    return ramify_replacement_write(context, file, bytes, size);
}

static ramify_status write_all(ramify_context *context, const ramify_replacement *file,
                               const header *head, const ramify_paraformer_state *state) {
    uint32_t crc = 0;
    block blocks[6];
    size_t count = list_blocks(state, blocks);
    RAMIFY_TRY(write_block(context, file, head, sizeof *head, &crc));
    for (size_t i = 0; i < count; i++)
        RAMIFY_TRY(write_block(context, file, blocks[i].bytes, blocks[i].size, &crc));
    return ramify_replacement_write(context, file, &crc, sizeof crc);
}

ramify_status ramify_paraformer_checkpoint_write(ramify_context *context, const char *path,
                                                 uint32_t fingerprint,
                                                 const ramify_paraformer_state *state) {
    header head = {
        .format = FORMAT,
        .fingerprint = fingerprint,
        .floats = state->floats,
        .branches = state->branches,
        .averaged = state->averaged,
        .step = state->step,
        .branch_passes = state->branch_passes,
        .seconds = state->seconds,
        .criterion = state->criterion,
        .loss = state->score.loss,
        .error = state->score.error,
        .taken = state->taken,
        .checks = state->checks,
    };
    memcpy(head.magic, magic, sizeof magic);
    ramify_replacement file;
    RAMIFY_TRY(ramify_replacement_begin(context, path, &file));
    ramify_status status = write_all(context, &file, &head, state);
    if (status == RAMIFY_OK)
        return ramify_replacement_commit(context, &file);
    ramify_replacement_abandon(context, &file);
    return status;
}

static ramify_status fail_bad(ramify_context *context, const char *path, const char *what) {
    return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                       "%s: %s; the fit cannot go on from it (remove it to start over)", path,
                       what);
}

static ramify_status read_block(ramify_context *context, const char *path, int descriptor,
                                void *bytes, size_t size, uint32_t *crc) {
    char *to = bytes;
    for (size_t have = 0; have < size;) {
        ssize_t got = read(descriptor, to + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be read", path);
        if (got == 0)
            return fail_bad(context, path, "the checkpoint ends too early");
        have += (size_t)got;
    }
    *crc = ramify_crc32c(*crc, bytes, size);
    return RAMIFY_OK;
}

static const char *header_error(const header *head, const ramify_paraformer_state *state,
                                uint32_t fingerprint, uint64_t steps) {
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return "is no checkpoint of a Para-Former";
    if (head->format != FORMAT)
        return "is a checkpoint of another version";
    if (head->floats != state->floats || head->branches != state->branches ||
        head->averaged != (uint32_t)state->averaged || head->fingerprint != fingerprint)
        return "is of a fit with other data, options or weights";
    if (head->step > steps || head->taken > 1 || !(head->branch_passes >= 0) ||
        !isfinite(head->branch_passes) || !(head->seconds >= 0) || !isfinite(head->seconds) ||
        isnan(head->criterion) || isnan(head->loss) || isnan(head->error))
        return "is damaged: its header has numbers out of range";
    return NULL;
}

static bool are_finite(const float *values, size_t count, bool negative) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]) || (!negative && values[i] < 0))
            return false;
    return true;
}

static const char *contents_error(const ramify_paraformer_state *state) {
    size_t floats = state->floats;
    for (uint32_t i = 0; i <= state->branches; i++)
        if (state->part_steps[i] > state->step)
            return "is damaged: a part has more steps than the fit";
    if (!are_finite(state->weights, floats, true) || !are_finite(state->first, floats, true) ||
        !are_finite(state->second, floats, false) || !are_finite(state->best, floats, true) ||
        (state->averaged && !are_finite(state->average, floats, true)))
        return "holds numbers that are not finite";
    return NULL;
}

static ramify_status read_all(ramify_context *context, const char *path, int descriptor,
                              uint32_t fingerprint, uint64_t steps,
                              ramify_paraformer_state *state) {
    struct stat about;
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode))
        return ramify_fail(context, RAMIFY_ERROR_IO, "%s: is not a regular file", path);
    block blocks[6];
    size_t count = list_blocks(state, blocks);
    uint64_t size = sizeof(header) + sizeof(uint32_t);
    for (size_t i = 0; i < count; i++)
        size += blocks[i].size;
    if ((uint64_t)about.st_size < sizeof(header))
        return fail_bad(context, path, "is too short for a checkpoint");
    header head;
    uint32_t crc = 0;
    RAMIFY_TRY(read_block(context, path, descriptor, &head, sizeof head, &crc));
    const char *error = header_error(&head, state, fingerprint, steps);
    if (error)
        return fail_bad(context, path, error);
    if ((uint64_t)about.st_size != size)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: has %lld bytes, not the %llu of this fit's checkpoints; the fit "
                           "cannot go on from it (remove it to start over)",
                           path, (long long)about.st_size, (unsigned long long)size);
    for (size_t i = 0; i < count; i++)
        RAMIFY_TRY(read_block(context, path, descriptor, blocks[i].bytes, blocks[i].size, &crc));
    uint32_t stored, rest = 0;
    RAMIFY_TRY(read_block(context, path, descriptor, &stored, sizeof stored, &rest));
    if (stored != crc)
        return fail_bad(context, path, "is damaged: its checksum is wrong");
    state->step = head.step;
    state->branch_passes = head.branch_passes;
    state->seconds = head.seconds;
    state->criterion = head.criterion;
    state->score = (ramify_fit_score){.loss = head.loss, .error = head.error};
    state->taken = head.taken != 0;
    state->checks = head.checks;
    error = contents_error(state);
    return error ? fail_bad(context, path, error) : RAMIFY_OK;
}

ramify_status ramify_paraformer_checkpoint_read(ramify_context *context, const char *path,
                                                uint32_t fingerprint, uint64_t steps,
                                                ramify_paraformer_state *state, bool *found) {
    /* A pipe would make the opening wait. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *found = descriptor >= 0;
    if (descriptor < 0)
        return errno == ENOENT
                   ? RAMIFY_OK
                   : ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be opened", path);
    ramify_status status = read_all(context, path, descriptor, fingerprint, steps, state);
    close(descriptor);
    return status;
}
