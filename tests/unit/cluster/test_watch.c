/* Ranks that watch over one another: this process is one, the others are forked and behave well or badly.
 * With the argument "long": a rank that falls silent. */

#include "progress.h"
#include "status.h"
#include "watch.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RANKS 3

/* Seconds in which anything happens that is to happen, on a machine that is busy. */
#define DEADLINE 60.0

/* As in watch.c: what ranks say to one another. */
enum { HELLO = 1, BEAT_OF, ENTERED, FAILED, GOODBYE };
typedef struct message {
    uint32_t kind, size;
    uint64_t value;
} message;

/* What a watch has told of. */
typedef struct news {
    pthread_mutex_t lock;
    int count;
    bool speaks, gone;
    char why[RAMIFY_WATCH_TEXT_BYTES];
} news;

static void on_broken(void *argument, const char *why, bool speaks, bool gone) {
    news *n = argument;
    pthread_mutex_lock(&n->lock);
    n->count++;
    n->speaks = speaks;
    n->gone = gone;
    snprintf(n->why, sizeof n->why, "%s", why);
    pthread_mutex_unlock(&n->lock);
}

static void sleep_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* False: it has not come in time. */
static bool wait_for_news(news *n) {
    for (double deadline = ramify_seconds() + DEADLINE; !ramify_late(deadline); sleep_a_little()) {
        pthread_mutex_lock(&n->lock);
        const bool come = n->count > 0;
        pthread_mutex_unlock(&n->lock);
        if (come)
            return true;
    }
    return false;
}

/* ---- the table around which ranks sit ---- */

typedef struct meeting {
    ramify_context *context;
    ramify_watch *watch; /* of rank 0 */
    ramify_watch_place places[RANKS];
    uint32_t ranks;
    news heard;
    pid_t process[RANKS];
    int go[2]; /* a pipe that ends when children are to do what they are to do */
} meeting;

typedef void child_run(const meeting *r, uint32_t rank);

static ramify_context *new_context(void) {
    ramify_context *context = NULL;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = 1;
    if (ramify_context_create(&options, &context) != RAMIFY_OK)
        abort();
    return context;
}

/* Returns when the parent says so. */
static void await_go(const meeting *r) {
    char nothing;
    close(r->go[1]);
    if (read(r->go[0], &nothing, 1) != 0)
        _exit(8);
}

static void start_child(meeting *r, uint32_t rank, child_run *run) {
    fflush(NULL);
    r->process[rank] = fork();
    assert_true(r->process[rank] >= 0);
    if (r->process[rank] == 0) {
        run(r, rank);
        _exit(0);
    }
}

/* This process is rank 0, and its port is open; runs[rank - 1] are the others. */
static meeting *sit_down(uint32_t ranks, child_run *const *runs) {
    meeting *r = calloc(1, sizeof *r);
    r->context = new_context();
    r->ranks = ranks;
    pthread_mutex_init(&r->heard.lock, NULL);
    assert_int_equal(pipe(r->go), 0);
    assert_int_equal(ramify_watch_open(r->context, 0, ranks, &r->places[0], &r->watch), RAMIFY_OK);
    for (uint32_t k = 1; k < ranks; k++) {
        snprintf(r->places[k].host, sizeof r->places[k].host, "host%u", k);
        r->places[k].process = 1000 + k;
    }
    for (uint32_t k = 1; k < ranks; k++)
        start_child(r, k, runs[k - 1]);
    if (ramify_watch_begin(r->watch, r->places, on_broken, &r->heard) != RAMIFY_OK)
        fail_msg("%s", ramify_message(r->context));
    return r;
}

static void go(meeting *r) {
    close(r->go[1]);
}

/* Exit statuses of children, but for those that are killed (-1). */
static void stand_up(meeting *r, const int *expected) {
    ramify_watch_close(&r->watch);
    assert_null(r->watch);
    for (uint32_t k = 1; k < r->ranks; k++) {
        int status;
        assert_int_equal(waitpid(r->process[k], &status, 0), r->process[k]);
        if (expected[k - 1] >= 0)
            assert_int_equal(WEXITSTATUS(status), expected[k - 1]);
        else
            assert_true(WIFSIGNALED(status));
    }
    close(r->go[0]);
    pthread_mutex_destroy(&r->heard.lock);
    ramify_context_destroy(&r->context);
    free(r);
}

/* ---- children that are ranks ---- */

typedef struct child {
    ramify_context *context;
    ramify_watch *watch;
    news heard;
} child;

/* Connects as a rank does. */
static void join(child *c, const meeting *r, uint32_t rank) {
    ramify_watch_place own;
    *c = (child){.context = new_context()};
    pthread_mutex_init(&c->heard.lock, NULL);
    if (ramify_watch_open(c->context, rank, r->ranks, &own, &c->watch) != RAMIFY_OK ||
        ramify_watch_begin(c->watch, r->places, on_broken, &c->heard) != RAMIFY_OK) {
        fprintf(stderr, "%s\n", ramify_message(c->context));
        _exit(7);
    }
}

static void leave(child *c) {
    ramify_watch_close(&c->watch);
    ramify_context_destroy(&c->context);
}

static void behave(const meeting *r, uint32_t rank) {
    child c;
    join(&c, r, rank);
    await_go(r);
    leave(&c);
    _exit(c.heard.count == 0 ? 0 : 1);
}

static void end_without_a_word(const meeting *r, uint32_t rank) {
    child c;
    join(&c, r, rank);
    await_go(r);
    _exit(3);
}

static void tell_of_failure(const meeting *r, uint32_t rank) {
    child c;
    join(&c, r, rank);
    await_go(r);
    ramify_watch_tell(c.watch, "a file is full");
    const char *why = ramify_watch_why(c.watch);
    const bool good = why && strstr(why, "a file is full") && !c.heard.speaks;
    leave(&c);
    _exit(good ? 4 : 1);
}

/* The exit status says whether it has heard why. */
static void hear(const meeting *r, uint32_t rank) {
    child c;
    join(&c, r, rank);
    await_go(r);
    const bool heard = wait_for_news(&c.heard);
    const bool good = heard && ramify_watch_why(c.watch) &&
                      strcmp(ramify_watch_why(c.watch), c.heard.why) == 0 && !c.heard.speaks;
    leave(&c);
    _exit(good && c.heard.count == 1 ? 5 : 1);
}

static void enter_some(const meeting *r, uint32_t rank) {
    child c;
    join(&c, r, rank);
    ramify_watch_enter(c.watch, 10 + rank);
    for (double deadline = ramify_seconds() + DEADLINE;
         ramify_watch_entered(c.watch) < 11 && !ramify_late(deadline);)
        sleep_a_little();
    const bool good = ramify_watch_entered(c.watch) == 11;
    await_go(r);
    leave(&c);
    _exit(good ? 0 : 1);
}

/* ---- children that speak the language badly ---- */

static int connect_raw(const meeting *r) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)r->places[0].port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (made < 0 || connect(made, (const struct sockaddr *)&to, sizeof to) != 0)
        _exit(6);
    return made;
}

static void say(int to, uint32_t kind, uint64_t value, const void *bytes, uint32_t size) {
    const message head = {kind, size, value};
    if (send(to, &head, sizeof head, MSG_NOSIGNAL) != (ssize_t)sizeof head ||
        (size > 0 && send(to, bytes, size, MSG_NOSIGNAL) != (ssize_t)size))
        _exit(6);
}

/* Whether the other side ends the connection without having greeted. */
static void must_be_refused(int guest) {
    char bytes[64];
    if (recv(guest, bytes, sizeof bytes, 0) > 0)
        _exit(6);
    close(guest);
}

/* What knocks at the port before the rank itself does. */
static void knock_badly(const meeting *r, uint32_t rank) {
    const uint8_t *token = r->places[0].token;
    uint8_t wrong[16];
    memcpy(wrong, token, sizeof wrong);
    wrong[15] ^= 1;
    int guest = connect_raw(r);
    close(guest);
    guest = connect_raw(r);
    if (send(guest, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) != 18)
        _exit(6);
    must_be_refused(guest);
    guest = connect_raw(r);
    say(guest, HELLO, rank, wrong, sizeof wrong);
    must_be_refused(guest);
    guest = connect_raw(r);
    say(guest, HELLO, rank, token, 15); /* part of it */
    must_be_refused(guest);
    guest = connect_raw(r);
    say(guest, BEAT_OF, rank, token, 16);
    must_be_refused(guest);
    static const uint64_t numbers[] = {0, RANKS, UINT64_C(1) << 32 | 1};
    for (int i = 0; i < 3; i++) {
        guest = connect_raw(r);
        say(guest, HELLO, numbers[i], token, 16);
        must_be_refused(guest);
    }
    guest = connect_raw(r);
    const message endless = {HELLO, UINT32_MAX, 1};
    if (send(guest, &endless, sizeof endless, MSG_NOSIGNAL) != (ssize_t)sizeof endless)
        _exit(6);
    must_be_refused(guest);
    guest = connect_raw(r); /* half a message */
    if (send(guest, &endless, 5, MSG_NOSIGNAL) != 5)
        _exit(6);
    shutdown(guest, SHUT_WR);
    must_be_refused(guest);
    behave(r, rank);
}

static int greet(const meeting *r, uint32_t rank) {
    const int rank_0 = connect_raw(r);
    message head;
    say(rank_0, HELLO, rank, r->places[0].token, 16);
    if (recv(rank_0, &head, sizeof head, MSG_WAITALL) != (ssize_t)sizeof head || head.kind != HELLO)
        _exit(6);
    return rank_0;
}

static void talk_nonsense(const meeting *r, uint32_t rank) {
    const int rank_0 = greet(r, rank);
    await_go(r);
    say(rank_0, 99, 0, NULL, 0);
    char bytes[64];
    while (recv(rank_0, bytes, sizeof bytes, 0) > 0)
        ;
}

/* Messages that arrive byte by byte are messages. */
static void talk_slowly(const meeting *r, uint32_t rank) {
    const int rank_0 = greet(r, rank);
    await_go(r);
    struct {
        message head;
        char text[16];
    } said = {{FAILED, 16, 0}, "sixteen letters"};
    for (size_t i = 0; i < sizeof said; i++)
        if (send(rank_0, (const char *)&said + i, 1, MSG_NOSIGNAL) != 1)
            _exit(6);
    char bytes[64];
    while (recv(rank_0, bytes, sizeof bytes, 0) > 0)
        ;
}

/* ---- tests ---- */

static void test_good_bye(void **state) {
    (void)state;
    child_run *const runs[] = {behave, behave};
    meeting *r = sit_down(RANKS, runs);
    go(r);
    /* Children that are gone in order are no news. */
    ramify_watch_close(&r->watch);
    assert_int_equal(r->heard.count, 0);
    stand_up(r, (const int[]){0, 0});
}

static void test_alone(void **state) {
    (void)state;
    meeting *r = sit_down(1, NULL);
    ramify_watch_tell(r->watch, "nobody hears");
    assert_null(ramify_watch_why(r->watch));
    go(r);
    stand_up(r, NULL);
    ramify_watch *none = NULL;
    ramify_watch_close(&none);
}

static void test_a_rank_that_ends(void **state) {
    (void)state;
    child_run *const runs[] = {hear, end_without_a_word};
    meeting *r = sit_down(RANKS, runs);
    assert_null(ramify_watch_why(r->watch));
    go(r);
    assert_true(wait_for_news(&r->heard));
    assert_string_equal(r->heard.why,
                        "rank 2 of 3 (process 1002 on host2) has ended before its work was done");
    assert_string_equal(ramify_watch_why(r->watch), r->heard.why);
    assert_true(r->heard.speaks && r->heard.gone && r->heard.count == 1);
    stand_up(r, (const int[]){5, 3});
}

static void test_a_rank_that_fails(void **state) {
    (void)state;
    child_run *const runs[] = {tell_of_failure, hear};
    meeting *r = sit_down(RANKS, runs);
    go(r);
    assert_true(wait_for_news(&r->heard));
    assert_string_equal(r->heard.why, "rank 1 of 3 (host1): a file is full");
    assert_true(r->heard.speaks && !r->heard.gone);
    stand_up(r, (const int[]){4, 5});
}

static void test_rank_0_fails(void **state) {
    (void)state;
    child_run *const runs[] = {hear, hear};
    meeting *r = sit_down(RANKS, runs);
    go(r);
    ramify_watch_tell(r->watch, "a file is full");
    ramify_watch_tell(r->watch, "something else"); /* the first failure counts */
    assert_string_equal(ramify_watch_why(r->watch), "a file is full");
    assert_true(wait_for_news(&r->heard));
    assert_string_equal(r->heard.why, "a file is full");
    assert_true(r->heard.speaks && !r->heard.gone && r->heard.count == 1);
    stand_up(r, (const int[]){5, 5});
}

static void test_transfers_are_counted(void **state) {
    (void)state;
    child_run *const runs[] = {enter_some, enter_some};
    meeting *r = sit_down(RANKS, runs);
    ramify_watch_enter(r->watch, 12);
    for (double deadline = ramify_seconds() + DEADLINE;
         ramify_watch_entered(r->watch) < 11 && !ramify_late(deadline);)
        sleep_a_little();
    assert_int_equal(ramify_watch_entered(r->watch), 11); /* where rank 1 is */
    go(r);
    stand_up(r, (const int[]){0, 0});
}

static void test_guests(void **state) {
    (void)state;
    child_run *const runs[] = {knock_badly, behave};
    meeting *r = sit_down(RANKS, runs);
    assert_int_equal(r->heard.count, 0);
    go(r);
    stand_up(r, (const int[]){0, 0});
}

static void test_nonsense(void **state) {
    (void)state;
    child_run *const runs[] = {talk_nonsense, hear};
    meeting *r = sit_down(RANKS, runs);
    go(r);
    assert_true(wait_for_news(&r->heard));
    assert_non_null(strstr(r->heard.why, "rank 1 of 3 (process 1001 on host1) has ended"));
    stand_up(r, (const int[]){0, 5});
}

static void test_byte_by_byte(void **state) {
    (void)state;
    child_run *const runs[] = {talk_slowly, behave};
    meeting *r = sit_down(RANKS, runs);
    go(r);
    assert_true(wait_for_news(&r->heard));
    assert_string_equal(r->heard.why, "rank 1 of 3 (host1): sixteen letters");
    ramify_watch_close(&r->watch);
    for (uint32_t k = 1; k < RANKS; k++)
        waitpid(r->process[k], NULL, 0);
    close(r->go[0]);
    pthread_mutex_destroy(&r->heard.lock);
    ramify_context_destroy(&r->context);
    free(r);
}

/* Rank 0 ends: of the others rank 1 speaks. This process is rank 1. */
static void test_rank_0_ends(void **state) {
    (void)state;
    meeting *r = calloc(1, sizeof *r);
    int places[2];
    r->ranks = 2;
    assert_int_equal(pipe(r->go), 0);
    assert_int_equal(pipe(places), 0);
    fflush(NULL);
    const pid_t rank_0 = fork();
    if (rank_0 == 0) {
        ramify_watch *watch = NULL;
        news heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
        ramify_context *context = new_context();
        if (ramify_watch_open(context, 0, 2, &r->places[0], &watch) != RAMIFY_OK ||
            write(places[1], &r->places[0], sizeof r->places[0]) != sizeof r->places[0] ||
            ramify_watch_begin(watch, r->places, on_broken, &heard) != RAMIFY_OK)
            _exit(7);
        await_go(r);
        _exit(3);
    }
    assert_int_equal(read(places[0], &r->places[0], sizeof r->places[0]), sizeof r->places[0]);
    child c;
    join(&c, r, 1);
    go(r);
    assert_true(wait_for_news(&c.heard));
    assert_non_null(strstr(c.heard.why, "rank 0 of 2 (process "));
    assert_non_null(strstr(c.heard.why, "has ended before its work was done"));
    assert_true(c.heard.speaks && c.heard.gone);
    leave(&c);
    assert_int_equal(waitpid(rank_0, NULL, 0), rank_0);
    close(places[0]);
    close(places[1]);
    close(r->go[0]);
    free(r);
}

/* Ten seconds, as the product has it. */
static void test_silence(void **state) {
    (void)state;
    child_run *const runs[] = {behave, behave};
    meeting *r = sit_down(RANKS, runs);
    const double began = ramify_seconds();
    assert_int_equal(kill(r->process[2], SIGSTOP), 0);
    assert_true(wait_for_news(&r->heard));
    assert_true(ramify_seconds() - began >= RAMIFY_WATCH_SILENCE - 2);
    assert_string_equal(r->heard.why,
                        "rank 2 of 3 (process 1002 on host2) has been silent for 10 s");
    assert_true(r->heard.speaks && r->heard.gone);
    kill(r->process[2], SIGKILL);
    go(r);
    stand_up(r, (const int[]){1, -1}); /* rank 1 has heard of it */
}

/* Nobody comes: twenty seconds, and a name. */
static void test_nobody_comes(void **state) {
    (void)state;
    ramify_context *context = new_context();
    ramify_watch *watch = NULL;
    ramify_watch_place places[2] = {0};
    assert_int_equal(ramify_watch_open(context, 0, 2, &places[0], &watch), RAMIFY_OK);
    strcpy(places[1].host, "elsewhere");
    assert_int_equal(ramify_watch_begin(watch, places, NULL, NULL), RAMIFY_ERROR_CLUSTER);
    assert_non_null(strstr(ramify_message(context), "rank 1 of 2 (elsewhere) has not connected"));
    ramify_watch_close(&watch);
    ramify_clear(context);
    assert_int_equal(ramify_watch_open(context, 1, 2, &places[1], &watch), RAMIFY_OK);
    assert_int_equal(ramify_watch_begin(watch, places, NULL, NULL), RAMIFY_ERROR_CLUSTER);
    assert_non_null(strstr(ramify_message(context), "cannot reach port"));
    ramify_watch_close(&watch);
    ramify_context_destroy(&context);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_bye),         cmocka_unit_test(test_alone),
        cmocka_unit_test(test_a_rank_that_ends), cmocka_unit_test(test_a_rank_that_fails),
        cmocka_unit_test(test_rank_0_fails),     cmocka_unit_test(test_transfers_are_counted),
        cmocka_unit_test(test_guests),           cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_byte_by_byte),     cmocka_unit_test(test_rank_0_ends),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_nobody_comes),
    };
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        return cmocka_run_group_tests(slow, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
