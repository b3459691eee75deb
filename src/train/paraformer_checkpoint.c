/* A checkpoint may be anything: sizes are compared with what the fit's shape says, which nothing in
 * the file can change, before anything is read into memory. */

#include "paraformer_checkpoint.h"
#include "crc32c.h"
#include "dealt.h"
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

uint64_t ramify_paraformer_state_bytes(const ramify_paraformer_shape *shape,
                                       const ramify_deal *deal, bool averaged) {
    size_t floats = ramify_paraformer_floats_held(shape, deal);
    return (4 + (uint64_t)averaged) * ramify_block_bytes(floats * sizeof(float)) +
           ramify_block_bytes((shape->branches + (uint64_t)1) * sizeof(uint64_t));
}

/* Of a branch; embedding and head need not travel piece by piece. */
static size_t piece_bytes(size_t branch_floats) {
    return ramify_smaller(branch_floats * sizeof(float), RAMIFY_DEALT_PIECE);
}

uint64_t ramify_paraformer_checkpoint_bytes(const ramify_paraformer_shape *shape,
                                            const ramify_deal *deal) {
    return ramify_deal_is_whole(deal)
               ? 0
               : ramify_block_bytes(piece_bytes(ramify_paraformer_parts_of(shape).branch));
}

ramify_status ramify_paraformer_state_create(ramify_context *context,
                                             const ramify_paraformer_shape *shape,
                                             const ramify_deal *deal, bool averaged,
                                             ramify_paraformer_state *state) {
    const uint32_t branches = shape->branches;
    const size_t floats = ramify_paraformer_floats_held(shape, deal);
    *state = (ramify_paraformer_state){.parts = ramify_paraformer_parts_of(shape),
                                       .branches = branches,
                                       .deal = *deal,
                                       .floats = floats,
                                       .averaged = averaged};
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

/* What is written or read: part after part of vector after vector, each from or to the rank that has it.
 * Rank 0 has the file. */
typedef struct walk {
    ramify_context *context;
    const ramify_paraformer_state *state;
    const char *path;
    const ramify_replacement *file; /* that is written, or */
    int descriptor;                 /* that is read */
    bool reads;
    uint32_t crc;
    ramify_status
        file_status; /* of writing: the other ranks are not left waiting for a full disk */
    char *room;      /* a piece of another rank's branch; rank 0 */
} walk;

static bool has_file(const walk *w) {
    return w->state->deal.rank == 0;
}

static void write_bytes(walk *w, const void *bytes, size_t size) {
    w->crc = ramify_crc32c(w->crc, bytes, size);
    if (w->file_status == RAMIFY_OK)
        w->file_status = ramify_replacement_write(w->context, w->file, bytes, size);
}

static ramify_status read_bytes(walk *w, void *bytes, size_t size);

/* at: where `holder` has it. */
static ramify_status walk_piece(walk *w, uint32_t holder, void *at, size_t size) {
    void *bytes = w->state->deal.rank == holder ? at : w->room;
    if (w->reads && has_file(w))
        RAMIFY_TRY(read_bytes(w, bytes, size));
    RAMIFY_TRY(w->reads ? ramify_dealt_hand(w->context, 0, holder, bytes, size)
                        : ramify_dealt_hand(w->context, holder, 0, bytes, size));
    if (!w->reads && has_file(w))
        write_bytes(w, bytes, size);
    return RAMIFY_OK;
}

static ramify_status walk_vector(walk *w, float *vector) {
    const ramify_paraformer_state *state = w->state;
    const ramify_deal *deal = &state->deal;
    for (uint32_t part = 0; part <= state->branches; part++) {
        uint32_t holder = part > 0 ? ramify_deal_holder(deal, part - 1) : 0;
        uint32_t place = part > 0 ? ramify_deal_place(deal, part - 1) + 1 : 0;
        size_t floats, begin = ramify_paraformer_part(&state->parts, place, &floats);
        size_t bytes = floats * sizeof *vector;
        char *at = deal->rank == holder ? (char *)(vector + begin) : NULL;
        for (size_t done = 0, size; done < bytes; done += size) {
            size = ramify_smaller(bytes - done, RAMIFY_DEALT_PIECE);
            RAMIFY_TRY(walk_piece(w, holder, at ? at + done : NULL, size));
        }
        /* Embedding and head are everybody's. */
        if (w->reads && part == 0 && !ramify_deal_is_whole(deal))
            RAMIFY_TRY(ramify_cluster_broadcast(w->context, vector, bytes, 0));
    }
    return RAMIFY_OK;
}

static ramify_status walk_vectors(walk *w) {
    const ramify_paraformer_state *state = w->state;
    float *const vectors[] = {state->weights, state->first, state->second, state->best,
                              state->average};
    ramify_status status = RAMIFY_OK;
    if (!ramify_deal_is_whole(&state->deal) && has_file(w)) {
        w->room = ramify_allocate(w->context, piece_bytes(state->parts.branch), 1);
        status = w->room ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    ramify_cluster_phase(w->context, "checkpoints");
    for (size_t i = 0; status == RAMIFY_OK && i < 4 + (size_t)state->averaged; i++)
        status = walk_vector(w, vectors[i]);
    ramify_release(w->context, w->room);
    return status;
}

ramify_status ramify_paraformer_checkpoint_write(ramify_context *context, const char *path,
                                                 uint32_t fingerprint,
                                                 const ramify_paraformer_state *state,
                                                 bool *written) {
    header head = {
        .format = FORMAT,
        .fingerprint = fingerprint,
        .floats = state->parts.floats,
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
    walk w = {.context = context, .state = state, .file = &file};
    bool begun = has_file(&w) && ramify_replacement_begin(context, path, &file) == RAMIFY_OK;
    w.file_status = begun ? RAMIFY_OK : RAMIFY_ERROR_IO;
    write_bytes(&w, &head, sizeof head);
    write_bytes(&w, state->part_steps, (state->branches + (size_t)1) * sizeof(uint64_t));
    ramify_status status = walk_vectors(&w);
    const uint32_t crc = w.crc;
    write_bytes(&w, &crc, sizeof crc);
    if (begun && status == RAMIFY_OK && w.file_status == RAMIFY_OK)
        w.file_status = ramify_replacement_commit(context, &file);
    else if (begun)
        ramify_replacement_abandon(context, &file);
    *written = w.file_status == RAMIFY_OK;
    return status == RAMIFY_OK && !ramify_deal_is_whole(&state->deal)
               ? ramify_cluster_broadcast(context, written, sizeof *written, 0)
               : status;
}

static ramify_status fail_bad(ramify_context *context, const char *path, const char *what) {
    return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                       "%s: %s; the fit cannot go on from it (remove it to start over)", path,
                       what);
}

static ramify_status read_bytes(walk *w, void *bytes, size_t size) {
    ramify_context *context = w->context;
    const char *path = w->path;
    char *to = bytes;
    for (size_t have = 0; have < size;) {
        ssize_t got = read(w->descriptor, to + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be read", path);
        if (got == 0)
            return fail_bad(context, path, "the checkpoint ends too early");
        have += (size_t)got;
    }
    w->crc = ramify_crc32c(w->crc, bytes, size);
    return RAMIFY_OK;
}

static const char *header_error(const header *head, const ramify_paraformer_state *state,
                                uint32_t fingerprint, uint64_t steps) {
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return "is no checkpoint of a Para-Former";
    if (head->format != FORMAT)
        return "is a checkpoint of another version";
    if (head->floats != state->parts.floats || head->branches != state->branches ||
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

/* The file's start: what is read before anything is taken over. */
static ramify_status read_header(walk *w, uint32_t fingerprint, uint64_t steps, header *head) {
    const ramify_paraformer_state *state = w->state;
    struct stat about;
    if (fstat(w->descriptor, &about) != 0 || !S_ISREG(about.st_mode))
        return ramify_fail(w->context, RAMIFY_ERROR_IO, "%s: is not a regular file", w->path);
    uint64_t vectors = 4 + (uint64_t)state->averaged;
    uint64_t size = sizeof *head + (state->branches + (uint64_t)1) * sizeof(uint64_t) +
                    vectors * state->parts.floats * sizeof(float) + sizeof(uint32_t);
    if ((uint64_t)about.st_size < sizeof *head)
        return fail_bad(w->context, w->path, "is too short for a checkpoint");
    RAMIFY_TRY(read_bytes(w, head, sizeof *head));
    const char *error = header_error(head, state, fingerprint, steps);
    if (error)
        return fail_bad(w->context, w->path, error);
    if ((uint64_t)about.st_size != size)
        return ramify_fail(w->context, RAMIFY_ERROR_FORMAT,
                           "%s: has %lld bytes, not the %llu of this fit's checkpoints; the fit "
                           "cannot go on from it (remove it to start over)",
                           w->path, (long long)about.st_size, (unsigned long long)size);
    return read_bytes(w, state->part_steps, (state->branches + (size_t)1) * sizeof(uint64_t));
}

static ramify_status read_all(walk *w, uint32_t fingerprint, uint64_t steps,
                              ramify_paraformer_state *state) {
    ramify_context *context = w->context;
    bool alone = ramify_deal_is_whole(&state->deal);
    header head;
    if (has_file(w))
        RAMIFY_TRY(read_header(w, fingerprint, steps, &head));
    if (!alone) {
        RAMIFY_TRY(ramify_cluster_broadcast(context, &head, sizeof head, 0));
        RAMIFY_TRY(ramify_cluster_broadcast(context, state->part_steps,
                                            (state->branches + (size_t)1) * sizeof(uint64_t), 0));
    }
    RAMIFY_TRY(walk_vectors(w));
    if (has_file(w)) {
        uint32_t stored, crc = w->crc;
        RAMIFY_TRY(read_bytes(w, &stored, sizeof stored));
        if (stored != crc)
            return fail_bad(context, w->path, "is damaged: its checksum is wrong");
    }
    state->step = head.step;
    state->branch_passes = head.branch_passes;
    state->seconds = head.seconds;
    state->criterion = head.criterion;
    state->score = (ramify_fit_score){.loss = head.loss, .error = head.error};
    state->taken = head.taken != 0;
    state->checks = head.checks;
    const char *error = contents_error(state);
    return error ? fail_bad(context, w->path, error) : RAMIFY_OK;
}

ramify_status ramify_paraformer_checkpoint_read(ramify_context *context, const char *path,
                                                uint32_t fingerprint, uint64_t steps,
                                                ramify_paraformer_state *state, bool *found) {
    walk w = {.context = context, .state = state, .path = path, .descriptor = -1, .reads = true};
    if (has_file(&w)) {
        /* A pipe would make the opening wait. */
        w.descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (w.descriptor < 0 && errno != ENOENT)
            return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be opened", path);
        *found = w.descriptor >= 0;
    }
    ramify_status status = RAMIFY_OK;
    if (!ramify_deal_is_whole(&state->deal)) {
        ramify_cluster_phase(context, "checkpoints");
        status = ramify_cluster_broadcast(context, found, sizeof *found, 0);
    }
    if (status == RAMIFY_OK && *found)
        status = read_all(&w, fingerprint, steps, state);
    if (w.descriptor >= 0)
        close(w.descriptor);
    return status;
}
