/* Transfers and failures of ranks that are forked processes (shared_engine.h), and of one process alone.
 * Arguments: the folder of plug-ins; then "long" for what takes minutes. */

#include "cluster.h"
#include "context.h"
#include "engine.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "shared_engine.h"
#include "status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Within which ranks learn that one of them is lost, on a machine that is busy with other things. */
#define DEADLINE 60.0

static char plugin[512], no_plugin[512], old_plugin[512];

/* ---- ranks ---- */

typedef struct member {
    ramify_context *context;
    shared_memory *memory;
    uint32_t rank, ranks;
    ramify_status joined;
    bool is_cancelled;
} member;

/* cmocka's checks are of the process that runs the tests. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "rank %u, line %d: not %s (%s)\n", r->rank, __LINE__, #condition,      \
                    ramify_message(r->context));                                                   \
            _exit(9);                                                                              \
        }                                                                                          \
    } while (0)

static bool cancel(void *user) {
    return ((const member *)user)->is_cancelled;
}

static void on_broken(void *user, const char *why, bool speaks, bool gone) {
    (void)why;
    (void)gone;
    const member *r = user;
    atomic_fetch_add(&r->memory->told, 1);
    atomic_fetch_add(&r->memory->speakers, speaks);
}

typedef struct job {
    void (*run)(member *r);
    uint32_t ranks;
    const char *isa;      /* of the last rank; NULL: as the others */
    uint64_t fingerprint; /* likewise */
    uint64_t stuck_at, failed_at;
    uint32_t lost; /* ranks of which another exit status than 0 is awaited, as bits */
} job;

static void be_rank(const job *j, shared_memory *memory, uint32_t number) {
    char text[32];
    member own = {.memory = memory, .rank = number, .ranks = j->ranks}, *r = &own;
    const bool last = number + 1 == j->ranks;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = r;
    options.threads = 1;
    options.cancel = cancel;
    options.isa = last && j->isa ? j->isa : NULL;
    snprintf(text, sizeof text, "%llx", (unsigned long long)(uintptr_t)memory);
    setenv(SHARED_MEMORY, text, 1);
    snprintf(text, sizeof text, "%u", number);
    setenv(SHARED_RANK, text, 1);
    MUST(ramify_context_create(&options, &r->context) == RAMIFY_OK);
    ramify_cluster_options cluster;
    ramify_cluster_options_init(&cluster);
    cluster.plugin = plugin;
    cluster.broken = on_broken;
    cluster.fingerprint = last ? j->fingerprint : 0;
    r->joined = ramify_cluster_join(r->context, &cluster);
    MUST(r->joined != RAMIFY_OK || (ramify_cluster_rank(r->context) == number &&
                                    ramify_cluster_size(r->context) == j->ranks));
    j->run(r);
    ramify_context_destroy(&r->context);
    MUST(r->joined == RAMIFY_OK || !r->context);
    exit(0); /* with what looks for leaks at the end */
}

static shared_memory *run_job(job j) {
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), sizeof(shared_memory)), 0);
    shared_memory *memory =
        mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    fclose(file);
    assert_true(memory != MAP_FAILED);
    memory->ranks = j.ranks;
    memory->stuck_at = j.stuck_at;
    memory->failed_at = j.failed_at;
    memory->most = RAMIFY_ENGINE_BYTES_MAX;
    pid_t process[SHARED_RANKS];
    fflush(NULL);
    for (uint32_t r = 0; r < j.ranks; r++) {
        process[r] = fork();
        assert_true(process[r] >= 0);
        if (process[r] == 0)
            be_rank(&j, memory, r);
    }
    uint32_t failed = 0;
    for (uint32_t r = 0; r < j.ranks; r++) {
        int status;
        assert_int_equal(waitpid(process[r], &status, 0), process[r]);
        failed |= (uint32_t)(!WIFEXITED(status) || WEXITSTATUS(status) != 0) << r;
    }
    assert_int_equal(failed, j.lost);
    return memory;
}

static void run_ranks(job j) {
    munmap(run_job(j), sizeof(shared_memory));
}

/* ---- transfers ---- */

/* Byte `i` of what a rank has. */
static unsigned char byte_of(uint32_t rank, size_t i) {
    return (unsigned char)(rank * 57 + i * 31 + i / 251);
}

static unsigned char *bytes_of(uint32_t rank, size_t size) {
    unsigned char *made = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        made[i] = byte_of(rank, i);
    return made;
}

static void check_bytes(member *r, uint32_t of, const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        MUST(bytes[i] == byte_of(of, i));
}

static const size_t sizes[] = {0, 1, 7, 1000, 3000, 9999, 60001};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void transfer_all(member *r) {
    MUST(r->joined == RAMIFY_OK);
    ramify_cluster_phase(r->context, "tests");
    for (size_t k = 0; k < SIZES; k++) {
        const size_t size = sizes[k];
        for (uint32_t from = 0; from < r->ranks; from++) {
            unsigned char *bytes = bytes_of(r->rank, size);
            MUST(ramify_cluster_broadcast(r->context, bytes, size, from) == RAMIFY_OK);
            check_bytes(r, from, bytes, size);
            free(bytes);
        }
        unsigned char *mine = bytes_of(r->rank, size), *all = malloc(r->ranks * size + 1);
        MUST(ramify_cluster_gather(r->context, mine, size, all) == RAMIFY_OK);
        for (uint32_t of = 0; of < r->ranks; of++)
            check_bytes(r, of, all + of * size, size);
        free(mine);
        free(all);

        uint64_t *values = calloc(size + 1, sizeof *values);
        for (size_t i = 0; i < size; i++)
            values[i] = (i + 1) << (20 * r->rank);
        MUST(ramify_cluster_sum(r->context, values, size) == RAMIFY_OK);
        for (size_t i = 0; i < size; i++) {
            uint64_t wanted = 0;
            for (uint32_t of = 0; of < r->ranks; of++)
                wanted += (i + 1) << (20 * of);
            MUST(values[i] == wanted);
        }
        free(values);
    }
    MUST(ramify_cluster_meet(r->context) == RAMIFY_OK);
}

static size_t uneven_size(uint32_t rank, size_t turn) {
    return sizes[(rank * 3 + turn) % SIZES];
}

static void gather_uneven(member *r) {
    for (size_t turn = 0; turn < SIZES; turn++) {
        const size_t size = uneven_size(r->rank, turn);
        unsigned char *mine = bytes_of(r->rank, size);
        void *all = NULL;
        size_t offset[SHARED_RANKS + 1];
        MUST(ramify_cluster_gather_uneven(r->context, mine, size, &all, offset) == RAMIFY_OK);
        for (uint32_t of = 0; of < r->ranks; of++) {
            MUST(offset[of + 1] - offset[of] == uneven_size(of, turn));
            check_bytes(r, of, (unsigned char *)all + offset[of], uneven_size(of, turn));
        }
        ramify_release(r->context, all);
        free(mine);
    }
}

/* What rank a sends to rank b. */
static size_t parcel(uint32_t a, uint32_t b) {
    return (a * 5 + b * 3) % 7 * 100;
}

static void exchange(member *r) {
    size_t out_size[SHARED_RANKS], out_at[SHARED_RANKS], in_size[SHARED_RANKS], in_at[SHARED_RANKS],
        out_bytes = 0, in_bytes = 0;
    for (uint32_t k = 0; k < r->ranks; k++) {
        out_size[k] = parcel(r->rank, k);
        in_size[k] = parcel(k, r->rank);
        out_at[k] = out_bytes + k;
        in_at[k] = in_bytes + 2 * k;
        out_bytes += out_size[k];
        in_bytes += in_size[k];
    }
    unsigned char *out = calloc(out_bytes + 8, 1), *in = calloc(in_bytes + 16, 1);
    for (uint32_t k = 0; k < r->ranks; k++)
        memset(out + out_at[k], (int)(16 * r->rank + k + 1), out_size[k]);
    MUST(ramify_cluster_exchange(r->context, out, out_size, out_at, in, in_size, in_at) ==
         RAMIFY_OK);
    for (uint32_t k = 0; k < r->ranks; k++)
        for (size_t i = 0; i < in_size[k]; i++)
            MUST(in[in_at[k] + i] == 16 * k + r->rank + 1);
    out_at[0] = RAMIFY_ENGINE_BYTES_MAX;
    out_size[0] = 1;
    MUST(ramify_cluster_exchange(r->context, out, out_size, out_at, in, in_size, in_at) ==
         RAMIFY_ERROR_LIMIT);
    ramify_clear(r->context);
    free(out);
    free(in);
}

static void test_transfers(void **state) {
    (void)state;
    static void (*const runs[])(member *) = {transfer_all, gather_uneven, exchange};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        for (uint32_t ranks = 1; ranks <= SHARED_RANKS; ranks++)
            run_ranks((job){.run = runs[i], .ranks = ranks});
}

static void count_traffic(member *r) {
    uint64_t value = r->rank;
    unsigned char all[SHARED_RANKS * 10], mine[10] = {0};
    ramify_cluster_phase(r->context, "sums");
    MUST(ramify_cluster_sum(r->context, &value, 1) == RAMIFY_OK);
    ramify_cluster_phase(r->context, "gathers");
    MUST(ramify_cluster_gather(r->context, mine, sizeof mine, all) == RAMIFY_OK);
    ramify_cluster_phase(r->context, "sums");
    MUST(ramify_cluster_sum(r->context, &value, 1) == RAMIFY_OK);
    ramify_cluster_traffic traffic;
    uint32_t count = 0, sums = 0;
    for (; ramify_cluster_get_traffic(r->context, count, &traffic); count++) {
        if (strcmp(traffic.phase, "sums") == 0) {
            sums++;
            MUST(traffic.bytes == 16 && traffic.messages == 2);
        }
        if (strcmp(traffic.phase, "gathers") == 0)
            MUST(traffic.bytes == 10 * (r->ranks - 1));
    }
    MUST(count == 3 && sums == 1); /* and joining */
    MUST(ramify_cluster_add_traffic(r->context) == RAMIFY_OK);
    MUST(ramify_cluster_get_traffic(r->context, 2, &traffic));
    MUST(traffic.bytes == 10 * (r->ranks - 1) * r->ranks);
}

static void test_traffic(void **state) {
    (void)state;
    run_ranks((job){.run = count_traffic, .ranks = 3});
}

/* ---- a file ---- */

static char scratch[64];

static void write_together(member *r) {
    ramify_cluster_file *file = NULL;
    MUST(ramify_cluster_file_open(r->context, scratch, "the file", &file) == RAMIFY_OK);
    for (size_t piece = r->rank; piece < 100; piece += r->ranks) {
        unsigned char *bytes = bytes_of((uint32_t)piece, 777);
        MUST(ramify_cluster_file_write(file, piece * 777, bytes, 777) == RAMIFY_OK);
        free(bytes);
    }
    MUST(ramify_cluster_file_close(&file) == RAMIFY_OK);
    MUST(!file);
    MUST(ramify_cluster_file_close(&file) == RAMIFY_OK);
    MUST(ramify_cluster_meet(r->context) == RAMIFY_OK);
    FILE *whole = fopen(scratch, "rb");
    for (size_t i = 0; i < 77700; i++)
        MUST(getc(whole) == byte_of((uint32_t)(i / 777), i % 777));
    MUST(getc(whole) == EOF);
    fclose(whole);
    MUST(ramify_cluster_file_open(r->context, "/nowhere/at/all", "the file", &file) ==
         RAMIFY_ERROR_IO);
    MUST(strstr(ramify_message(r->context),
                "the file: cannot open the file to write it: No such file"));
    ramify_clear(r->context);
}

static void test_file(void **state) {
    (void)state;
    for (uint32_t ranks = 1; ranks <= SHARED_RANKS; ranks++) {
        strcpy(scratch, "/tmp/ramify-cluster-XXXXXX");
        close(mkstemp(scratch));
        run_ranks((job){.run = write_together, .ranks = ranks});
        unlink(scratch);
    }
}

static void test_full_file(void **state) {
    (void)state;
    ramify_context *context = NULL;
    ramify_cluster_file *file = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    assert_int_equal(ramify_cluster_file_open(context, "/dev/full", "the file", &file), RAMIFY_OK);
    assert_int_equal(ramify_cluster_file_write(file, 0, "bytes", 5), RAMIFY_ERROR_IO);
    assert_string_equal(ramify_message(context),
                        "the file: cannot write the file: No space left on device");
    ramify_cluster_file_close(&file);
    assert_null(file);
    ramify_context_destroy(&context);
}

/* ---- tasks ---- */

static void deal(member *r) {
    ramify_random random = ramify_random_stream(4, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    double cost[50], load[SHARED_RANKS] = {0}, most = 0, all = 0;
    uint32_t dealt[50], others[50 * SHARED_RANKS];
    for (int i = 0; i < 50; i++) {
        cost[i] = i % 5 == 0 ? 2 : ramify_random_uniform(&random);
        all += cost[i];
    }
    MUST(ramify_cluster_deal(r->context, cost, 50, dealt) == RAMIFY_OK);
    for (int i = 0; i < 50; i++) {
        MUST(dealt[i] < r->ranks);
        load[dealt[i]] += cost[i];
    }
    for (uint32_t k = 0; k < r->ranks; k++)
        most = load[k] > most ? load[k] : most;
    MUST(most <= 1.1 * all / r->ranks);
    MUST(ramify_cluster_gather(r->context, dealt, sizeof dealt, others) == RAMIFY_OK);
    for (uint32_t k = 0; k < r->ranks; k++)
        MUST(memcmp(others + 50 * k, dealt, sizeof dealt) == 0);
    MUST(ramify_cluster_deal(r->context, cost, 0, dealt) == RAMIFY_OK);
}

static void test_deal(void **state) {
    (void)state;
    for (uint32_t ranks = 1; ranks <= SHARED_RANKS; ranks++)
        run_ranks((job){.run = deal, .ranks = ranks});
}

/* ---- what ranks find together ---- */

static void agree(member *r) {
    MUST(ramify_cluster_agree(r->context, 5, "table") == RAMIFY_OK);
    MUST(ramify_cluster_agree(r->context, r->rank == 1 ? 0 : 5, "table") == RAMIFY_OK);
    MUST(ramify_cluster_agree(r->context, r->rank == 2 ? 6 : 5, "table") == RAMIFY_ERROR_CLUSTER);
    MUST(strncmp(ramify_message(r->context),
                 "table: is not the same for rank 2 of 3 as for rank 0: ", 54) == 0);
    ramify_clear(r->context);
}

static void fail_somewhere(member *r) {
    MUST(ramify_cluster_first_failure(r->context, RAMIFY_OK, r->rank) == RAMIFY_OK);
    /* Ranks 1 and 2 fail, the latter earlier in what they do. */
    ramify_status status = RAMIFY_OK;
    if (r->rank == 1)
        status = ramify_fail(r->context, RAMIFY_ERROR_IO, "at place %d", 70);
    if (r->rank == 2)
        status = ramify_fail(r->context, RAMIFY_ERROR_DATA, "at place %d", 60);
    status = ramify_cluster_first_failure(r->context, status, r->rank == 2 ? 60 : 70);
    MUST(status == RAMIFY_ERROR_DATA);
    MUST(strcmp(ramify_message(r->context), "at place 60") == 0);
    ramify_clear(r->context);
}

static void test_what_ranks_find_together(void **state) {
    (void)state;
    run_ranks((job){.run = agree, .ranks = 3});
    run_ranks((job){.run = fail_somewhere, .ranks = 3});
}

/* ---- joining ---- */

static void find_other_isa(member *r) {
    MUST(r->joined == RAMIFY_ERROR_CLUSTER);
    MUST(strstr(ramify_message(r->context), "rank 2 (") &&
         strstr(ramify_message(r->context), "computes with baseline, rank 0 ("));
}

static void find_other_arguments(member *r) {
    MUST(r->joined == RAMIFY_ERROR_CLUSTER);
    MUST(strstr(ramify_message(r->context), "rank 1 (") &&
         strstr(ramify_message(r->context), "was started with other arguments than rank 0 ("));
}

static void test_ranks_that_differ(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    const bool has_others = strcmp(ramify_isa(context), "baseline") != 0;
    ramify_context_destroy(&context);
    if (has_others)
        run_ranks((job){.run = find_other_isa, .ranks = 3, .isa = "baseline"});
    run_ranks((job){.run = find_other_arguments, .ranks = 2, .fingerprint = 7});
}

static void join_with(const char *path, ramify_status expected, const char *message) {
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    ramify_cluster_options options;
    ramify_cluster_options_init(&options);
    options.plugin = path;
    assert_int_equal(ramify_cluster_join(context, &options), expected);
    if (!strstr(ramify_message(context), message))
        fail_msg("%s", ramify_message(context));
    /* As if nothing had been joined. */
    assert_int_equal(ramify_cluster_size(context), 1);
    assert_int_equal(ramify_cluster_meet(context), RAMIFY_OK);
    ramify_context_destroy(&context);
}

static void test_plugins_that_are_none(void **state) {
    (void)state;
    join_with(NULL, RAMIFY_ERROR_ARGUMENT, "is NULL");
    join_with("/nowhere/ramify-mpi.so", RAMIFY_ERROR_UNSUPPORTED,
              "/nowhere/ramify-mpi.so: cannot be loaded (");
    join_with(no_plugin, RAMIFY_ERROR_UNSUPPORTED, "is not the MPI plug-in of ramify");
    join_with(old_plugin, RAMIFY_ERROR_UNSUPPORTED, "is not the MPI plug-in of ramify");
    unsetenv(SHARED_MEMORY);
    join_with(plugin, RAMIFY_ERROR_CLUSTER, "MPI does not start: nobody has started ranks");
}

static void join_again(member *r) {
    ramify_cluster_options options;
    ramify_cluster_options_init(&options);
    options.plugin = plugin;
    MUST(ramify_cluster_join(r->context, &options) == RAMIFY_ERROR_ARGUMENT);
    ramify_clear(r->context);
    MUST(ramify_cluster_meet(r->context) == RAMIFY_OK);
}

static void test_join_once(void **state) {
    (void)state;
    run_ranks((job){.run = join_again, .ranks = 2});
}

/* ---- failures ---- */

/* Waits in vain for the rank that does not come. */
static void wait_for_failure(member *r, const char *message) {
    const double began = ramify_seconds();
    ramify_status status = RAMIFY_OK;
    while (status == RAMIFY_OK && !ramify_late(began + DEADLINE))
        status = ramify_cluster_meet(r->context);
    MUST(status == RAMIFY_ERROR_CLUSTER);
    MUST(strstr(ramify_message(r->context), message));
    MUST(!ramify_late(began + DEADLINE));
    /* From now on every transfer fails, at once. */
    MUST(ramify_cluster_meet(r->context) == RAMIFY_ERROR_CLUSTER);
    MUST(ramify_cluster_tell(r->context, RAMIFY_ERROR_CLUSTER) == RAMIFY_ERROR_CLUSTER);
}

static void lose_last(member *r) {
    MUST(r->joined == RAMIFY_OK);
    if (r->rank + 1 == r->ranks)
        _exit(3);
    wait_for_failure(r, "has ended before its work was done");
}

static void lose_first(member *r) {
    MUST(r->joined == RAMIFY_OK);
    if (r->rank == 0)
        _exit(3);
    wait_for_failure(r, "rank 0 of 3 (process ");
}

static void test_a_rank_that_ends(void **state) {
    (void)state;
    shared_memory *memory = run_job((job){.run = lose_last, .ranks = 3, .lost = 1 << 2});
    assert_int_equal(memory->speakers, 1);
    assert_int_equal(memory->told, 2);
    munmap(memory, sizeof *memory);
    memory = run_job((job){.run = lose_first, .ranks = 3, .lost = 1});
    assert_int_equal(memory->speakers, 1);
    assert_int_equal(memory->told, 2);
    munmap(memory, sizeof *memory);
}

static void tell(member *r) {
    MUST(r->joined == RAMIFY_OK);
    if (r->rank == 1) {
        const ramify_status status = ramify_fail(r->context, RAMIFY_ERROR_DATA, "no good");
        MUST(ramify_cluster_tell(r->context, status) == RAMIFY_ERROR_DATA);
        MUST(strcmp(ramify_message(r->context), "no good") == 0);
    } else {
        wait_for_failure(r, "): no good");
    }
}

static void tell_first(member *r) {
    MUST(r->joined == RAMIFY_OK);
    if (r->rank == 0)
        ramify_cluster_fail(r->context, "no good");
    else
        wait_for_failure(r, "no good");
}

/* All find the same, and nobody is said to have been first. */
static void tell_all(member *r) {
    MUST(r->joined == RAMIFY_OK);
    const ramify_status status = ramify_fail(r->context, RAMIFY_ERROR_DATA, "no good");
    ramify_cluster_tell(r->context, status);
    MUST(strcmp(ramify_message(r->context), "no good") == 0);
}

static void test_a_rank_that_fails(void **state) {
    (void)state;
    static void (*const runs[])(member *) = {tell, tell_first, tell_all};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        shared_memory *memory = run_job((job){.run = runs[i], .ranks = 3});
        /* Rank 0 may leave before it is told of its own failure. */
        if (i == 0)
            assert_int_equal(memory->speakers, 1);
        assert_true(memory->speakers <= 1);
        munmap(memory, sizeof *memory);
    }
}

static void break_cable(member *r) {
    uint64_t value = 1;
    ramify_status status = RAMIFY_OK;
    for (int i = 0; status == RAMIFY_OK && i < 50; i++)
        status = ramify_cluster_sum(r->context, &value, 1);
    MUST(status == RAMIFY_ERROR_CLUSTER);
    ramify_cluster_tell(r->context, status);
    MUST(strstr(ramify_message(r->context), "a cable has come loose"));
}

static void test_a_transfer_that_fails(void **state) {
    (void)state;
    run_ranks((job){.run = break_cable, .ranks = 3, .failed_at = 9});
}

static void stop(member *r) {
    if (r->rank == 0)
        r->is_cancelled = true;
    const ramify_status status = ramify_cluster_meet(r->context);
    if (r->rank == 0) {
        MUST(status == RAMIFY_STOPPED);
        ramify_cluster_tell(r->context, status);
    } else {
        MUST(status == RAMIFY_ERROR_CLUSTER);
        MUST(strcmp(ramify_message(r->context), "stopped") == 0);
    }
}

static void test_a_rank_that_is_stopped(void **state) {
    (void)state;
    run_ranks((job){.run = stop, .ranks = 2, .stuck_at = 2});
}

static void wait_in_vain(member *r) {
    const double began = ramify_seconds();
    const ramify_status status = ramify_cluster_meet(r->context);
    MUST(status == RAMIFY_ERROR_CLUSTER);
    MUST(ramify_seconds() - began >= RAMIFY_CLUSTER_STALL);
    MUST(strstr(ramify_message(r->context), "has not come to its end in 120 s"));
    ramify_cluster_tell(r->context, status);
}

/* Takes two minutes. */
static void test_a_transfer_that_hangs(void **state) {
    (void)state;
    run_ranks((job){.run = wait_in_vain, .ranks = 2, .stuck_at = 2});
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_traffic),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_full_file),
        cmocka_unit_test(test_deal),
        cmocka_unit_test(test_what_ranks_find_together),
        cmocka_unit_test(test_ranks_that_differ),
        cmocka_unit_test(test_plugins_that_are_none),
        cmocka_unit_test(test_join_once),
        cmocka_unit_test(test_a_rank_that_ends),
        cmocka_unit_test(test_a_rank_that_fails),
        cmocka_unit_test(test_a_transfer_that_fails),
        cmocka_unit_test(test_a_rank_that_is_stopped),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(test_a_transfer_that_hangs),
    };
    const char *folder = argc > 1 ? argv[1] : ".";
    snprintf(plugin, sizeof plugin, "%s/shared_engine.so", folder);
    snprintf(no_plugin, sizeof no_plugin, "%s/no_engine.so", folder);
    snprintf(old_plugin, sizeof old_plugin, "%s/old_engine.so", folder);
    if (argc > 2 && strcmp(argv[2], "long") == 0)
        return cmocka_run_group_tests(slow, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
