#include "watch.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Seconds between two signs of life, and in which all must have connected. */
#define BEAT    1.0
#define CONNECT 20.0
/* Seconds for one address: others may be the right one. */
#define TRY 3.0
/* The thread looks around so often, in milliseconds. */
#define TICK 100
/* Who was not looking for so many seconds has been stopped itself, and has no right to complain. */
#define ASLEEP 3.0
/* Seconds that a rank waits for rank 0 to take note of its failure. */
#define NOTICE 2.0
/* Seconds in which rank 0 may find the same failure that another rank has told of, and tell it itself:
 * nobody need know then which rank was first. */
#define PATIENCE 0.3
/* Seconds that a rank whose work is done waits for the others' good-bye. */
#define LINGER 5.0

typedef enum kind { HELLO = 1, BEAT_OF, ENTERED, FAILED, GOODBYE } kind;

/* A message: this, then `size` bytes. Ranks are of one build (cluster.c), so bytes lie alike. */
typedef struct message {
    uint32_t kind, size;
    uint64_t value;
} message;

typedef struct peer {
    int socket; /* -1: none, or gone */
    bool said_goodbye;
    double heard;
    uint64_t entered;
    size_t have; /* bytes of what follows */
    uint8_t bytes[sizeof(message) + RAMIFY_WATCH_TEXT_BYTES];
} peer;

struct ramify_watch {
    ramify_context *context;
    uint32_t rank, ranks;
    int listener;
    ramify_watch_place own;
    ramify_watch_place *places; /* ranks */
    peer *peers;                /* ranks; of rank 0 all others, of the others rank 0 alone */
    pthread_t thread;
    bool started;
    atomic_bool is_leaving; /* its work is done: others may end as they like */
    atomic_bool alone;      /* all others have said good-bye, or ended */
    atomic_bool leave;
    atomic_ullong entered, all_entered;
    double failed_at;                     /* of rank 0: a rank has told of a failure; 0: none has */
    char failed[RAMIFY_WATCH_TEXT_BYTES]; /* how */
    pthread_mutex_t lock;                 /* of writing to sockets, and of `why` */
    char why[RAMIFY_WATCH_TEXT_BYTES];
    atomic_bool is_broken, is_told; /* told: by rank 0 itself, and the callback is due */
    ramify_watch_broken broken;
    void *argument;
};

static void pause_for(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* ---- places ---- */

static void find_addresses(ramify_watch_place *place) {
    struct ifaddrs *list = NULL;
    size_t count = 0;
    if (getifaddrs(&list) != 0)
        return;
    /* Those that other hosts can reach come first. */
    for (int loopback = 0; loopback < 2; loopback++)
        for (const struct ifaddrs *at = list; at && count < RAMIFY_WATCH_ADDRESSES;
             at = at->ifa_next) {
            if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
                continue;
            struct sockaddr_in address;
            memcpy(&address, at->ifa_addr, sizeof address);
            if ((ntohl(address.sin_addr.s_addr) >> 24 == 127) == (loopback == 1))
                place->address[count++] = address.sin_addr.s_addr;
        }
    freeifaddrs(list);
}

static ramify_status fail_socket(ramify_watch *watch, const char *what) {
    char reason[RAMIFY_REASON_BYTES];
    return ramify_fail(watch->context, RAMIFY_ERROR_CLUSTER,
                       "rank %u of %u: %s (%s), and ranks watch over one another by TCP",
                       watch->rank, watch->ranks, what, ramify_system_reason(errno, reason));
}

static bool fill_token(uint8_t *token, size_t size) {
    int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool filled = random >= 0 && read(random, token, size) == (ssize_t)size;
    if (random >= 0)
        close(random);
    return filled;
}

/* Opens a port of the system's choice. */
static ramify_status start_listening(ramify_watch *watch) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    watch->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (watch->listener < 0 ||
        bind(watch->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(watch->listener, 1024) != 0 ||
        getsockname(watch->listener, (struct sockaddr *)&address, &length) != 0 ||
        !fill_token(watch->own.token, sizeof watch->own.token))
        return fail_socket(watch, "no port can be opened");
    fcntl(watch->listener, F_SETFD, FD_CLOEXEC);
    watch->own.port = ntohs(address.sin_port);
    find_addresses(&watch->own);
    return RAMIFY_OK;
}

ramify_status ramify_watch_open(ramify_context *context, uint32_t rank, uint32_t ranks,
                                ramify_watch_place *place, ramify_watch **watch) {
    ramify_watch *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->rank = rank;
    made->ranks = ranks;
    made->listener = -1;
    made->own.process = (uint32_t)getpid();
    pthread_mutex_init(&made->lock, NULL);
    if (gethostname(made->own.host, sizeof made->own.host - 1) != 0)
        snprintf(made->own.host, sizeof made->own.host, "unknown host");
    *watch = made;
    made->places = ramify_allocate_zeroed(context, ranks, sizeof *made->places);
    made->peers = ramify_allocate_zeroed(context, ranks, sizeof *made->peers);
    if (!made->places || !made->peers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t r = 0; r < ranks; r++)
        made->peers[r].socket = -1;
    if (rank == 0 && ranks > 1)
        RAMIFY_TRY(start_listening(made));
    *place = made->own;
    return RAMIFY_OK;
}

/* ---- messages ---- */

/* Small messages: what a socket does not take at once is lost with its rank. */
static bool send_message(ramify_watch *watch, int to, kind what, uint64_t value, const void *bytes,
                         size_t size) {
    uint8_t buffer[sizeof(message) + RAMIFY_WATCH_TEXT_BYTES];
    message head = {.kind = what, .size = (uint32_t)size, .value = value};
    memcpy(buffer, &head, sizeof head);
    if (size > 0)
        memcpy(buffer + sizeof head, bytes, size);
    size += sizeof head;
    pthread_mutex_lock(&watch->lock);
    ssize_t sent = to >= 0 ? send(to, buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
    pthread_mutex_unlock(&watch->lock);
    return sent == (ssize_t)size;
}

/* Takes the next whole message out of what was received; its text, if any, ends with '\0'. False: there
 * is none yet. *bad: what came is no message. */
static bool take_message(peer *from, message *head, char *text, bool *bad) {
    *bad = false;
    if (from->have < sizeof *head)
        return false;
    memcpy(head, from->bytes, sizeof *head);
    *bad = head->size >= RAMIFY_WATCH_TEXT_BYTES || head->kind < HELLO || head->kind > GOODBYE;
    size_t whole = sizeof *head + head->size;
    if (*bad || from->have < whole)
        return false;
    memcpy(text, from->bytes + sizeof *head, head->size);
    text[head->size] = '\0';
    from->have -= whole;
    memmove(from->bytes, from->bytes + whole, from->have);
    return true;
}

/* False: the connection has ended. */
static bool receive(peer *from) {
    ssize_t count =
        recv(from->socket, from->bytes + from->have, sizeof from->bytes - from->have, MSG_DONTWAIT);
    if (count > 0)
        from->have += (size_t)count;
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- connecting ---- */

static void prepare_socket(int socket) {
    int on = 1;
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A connection to an address, within TRY seconds; -1: none. */
static int connect_to(uint32_t address, uint32_t port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = address};
    int made = socket(AF_INET, SOCK_STREAM, 0), error = 0;
    if (made < 0)
        return -1;
    prepare_socket(made);
    int flags = fcntl(made, F_GETFL);
    fcntl(made, F_SETFL, flags | O_NONBLOCK);
    bool good = connect(made, (const struct sockaddr *)&to, sizeof to) == 0;
    if (!good && errno == EINPROGRESS) {
        struct pollfd wait = {.fd = made, .events = POLLOUT};
        socklen_t length = sizeof error;
        good = poll(&wait, 1, (int)(TRY * 1000)) == 1 &&
               getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
    }
    if (good) {
        fcntl(made, F_SETFL, flags);
        return made;
    }
    close(made);
    return -1;
}

/* Waits for a message of rank 0's, which says that it knows us. */
static bool is_welcomed(peer *from, double deadline) {
    char text[RAMIFY_WATCH_TEXT_BYTES];
    while (!ramify_late(deadline)) {
        struct pollfd wait = {.fd = from->socket, .events = POLLIN};
        message head;
        bool bad;
        if (poll(&wait, 1, TICK) == 1 && !receive(from))
            return false;
        if (take_message(from, &head, text, &bad))
            return head.kind == HELLO;
        if (bad)
            return false;
    }
    return false;
}

static ramify_status find_first(ramify_watch *watch) {
    const ramify_watch_place *place = &watch->places[0];
    double deadline = ramify_seconds() + CONNECT;
    peer *first = &watch->peers[0];
    do {
        for (int i = 0; i < RAMIFY_WATCH_ADDRESSES && place->address[i] != 0; i++) {
            first->socket = connect_to(place->address[i], place->port);
            first->have = 0;
            if (first->socket < 0)
                continue;
            if (send_message(watch, first->socket, HELLO, watch->rank, place->token,
                             sizeof place->token) &&
                is_welcomed(first, ramify_seconds() + TRY))
                return RAMIFY_OK;
            close(first->socket);
            first->socket = -1;
        }
        pause_for(0.1);
    } while (!ramify_late(deadline) && !ramify_cancelled(watch->context));
    return ramify_fail(
        watch->context, RAMIFY_ERROR_CLUSTER,
        "rank %u of %u (%s) cannot reach port %u of rank 0 (%s) within %.0f s: ranks "
        "watch over one another by TCP, so let hosts connect to one another",
        watch->rank, watch->ranks, watch->own.host, place->port, place->host, CONNECT);
}

/* Takes one connection, if it is of a rank that was not there yet. */
static bool accept_rank(ramify_watch *watch) {
    peer guest = {.socket = accept(watch->listener, NULL, NULL)};
    if (guest.socket < 0)
        return false;
    prepare_socket(guest.socket);
    double deadline = ramify_seconds() + TRY;
    char text[RAMIFY_WATCH_TEXT_BYTES];
    message head = {0};
    bool bad = false, whole = false;
    while (!whole && !bad && !ramify_late(deadline)) {
        struct pollfd wait = {.fd = guest.socket, .events = POLLIN};
        bad = poll(&wait, 1, TICK) == 1 && !receive(&guest);
        if (!bad)
            whole = take_message(&guest, &head, text, &bad);
    }
    bool known = whole && head.kind == HELLO && head.size == sizeof watch->own.token &&
                 memcmp(text, watch->own.token, head.size) == 0 && head.value > 0 &&
                 head.value < watch->ranks && watch->peers[head.value].socket < 0;
    if (known && send_message(watch, guest.socket, HELLO, 0, NULL, 0)) {
        watch->peers[head.value] = guest;
        return true;
    }
    close(guest.socket);
    return false;
}

static ramify_status await_ranks(ramify_watch *watch) {
    double deadline = ramify_seconds() + CONNECT + TRY;
    uint32_t there = 1;
    while (there < watch->ranks && !ramify_late(deadline) && !ramify_cancelled(watch->context)) {
        struct pollfd wait = {.fd = watch->listener, .events = POLLIN};
        if (poll(&wait, 1, TICK) == 1)
            there += accept_rank(watch);
    }
    for (uint32_t r = 1; r < watch->ranks; r++)
        if (watch->peers[r].socket < 0)
            return ramify_fail(watch->context, RAMIFY_ERROR_CLUSTER,
                               "rank %u of %u (%s) has not connected to rank 0 (%s) within %.0f s: "
                               "ranks watch over one another by TCP, so let hosts connect to one "
                               "another",
                               r, watch->ranks, watch->places[r].host, watch->own.host, CONNECT);
    return RAMIFY_OK;
}

/* ---- watching ---- */

/* The first reason counts. */
/* Returns whether this is what breaks the cluster. */
static bool mark_broken(ramify_watch *watch, const char *why) {
    pthread_mutex_lock(&watch->lock);
    bool first = !atomic_load(&watch->is_broken);
    if (first) {
        snprintf(watch->why, sizeof watch->why, "%s", why);
        atomic_store(&watch->is_broken, true);
    }
    pthread_mutex_unlock(&watch->lock);
    for (uint32_t r = 1; first && watch->rank == 0 && r < watch->ranks; r++)
        send_message(watch, watch->peers[r].socket, FAILED, 0, why,
                     strnlen(why, RAMIFY_WATCH_TEXT_BYTES - 1));
    return first;
}

static void break_off(ramify_watch *watch, const char *why, bool speaks, bool gone) {
    if (mark_broken(watch, why) && watch->broken)
        watch->broken(watch->argument, why, speaks, gone);
}

/* Rank `of` is gone: rank 0 speaks of others, and rank 1 of rank 0. */
static void lose(ramify_watch *watch, uint32_t of, const char *how) {
    char why[RAMIFY_WATCH_TEXT_BYTES];
    const ramify_watch_place *place = &watch->places[of];
    if (watch->failed_at > 0) /* which is why it has ended */
        break_off(watch, watch->failed, true, false);
    close(watch->peers[of].socket);
    watch->peers[of].socket = -1;
    if (atomic_load(&watch->is_leaving))
        return;
    snprintf(why, sizeof why, "rank %u of %u (process %u on %s) %s", of, watch->ranks,
             place->process, place->host, how);
    break_off(watch, why, watch->rank == (of == 0 ? 1 : 0), true);
}

static void take(ramify_watch *watch, uint32_t of, const message *head, const char *text) {
    peer *from = &watch->peers[of];
    switch (head->kind) {
    case BEAT_OF:
        from->entered = head->value;
        break;
    case ENTERED:
        atomic_store(&watch->all_entered, head->value);
        break;
    case FAILED:
        if (watch->rank != 0) {
            break_off(watch, text, false, false);
            break;
        }
        if (watch->failed_at > 0)
            break;
        snprintf(watch->failed, sizeof watch->failed, "rank %u of %u (%s): %.900s", of,
                 watch->ranks, watch->places[of].host, text);
        watch->failed_at = ramify_seconds();
        break;
    default:
        from->said_goodbye = from->said_goodbye || head->kind == GOODBYE;
    }
}

static void listen_to(ramify_watch *watch, uint32_t of) {
    peer *from = &watch->peers[of];
    char text[RAMIFY_WATCH_TEXT_BYTES];
    message head;
    bool bad = false, there = receive(from);
    from->heard = ramify_seconds();
    while (take_message(from, &head, text, &bad))
        take(watch, of, &head, text);
    if (there && !bad)
        return;
    if (from->said_goodbye) {
        close(from->socket);
        from->socket = -1;
    } else {
        lose(watch, of, "has ended before its work was done");
    }
}

/* Tells of oneself; rank 0 tells what all have come to. */
static void beat(ramify_watch *watch) {
    uint64_t least = atomic_load(&watch->entered);
    if (watch->rank != 0) {
        send_message(watch, watch->peers[0].socket, BEAT_OF, least, NULL, 0);
        return;
    }
    for (uint32_t r = 1; r < watch->ranks; r++)
        if (watch->peers[r].entered < least)
            least = watch->peers[r].entered;
    atomic_store(&watch->all_entered, least);
    for (uint32_t r = 1; r < watch->ranks; r++)
        send_message(watch, watch->peers[r].socket, ENTERED, least, NULL, 0);
}

/* Of what may have been heard long ago: only ranks that are still there. */
static void find_silent(ramify_watch *watch, double now) {
    char how[64];
    snprintf(how, sizeof how, "has been silent for %.0f s", RAMIFY_WATCH_SILENCE);
    for (uint32_t r = 0; r < watch->ranks; r++)
        if (watch->peers[r].socket >= 0 && !watch->peers[r].said_goodbye &&
            now - watch->peers[r].heard > RAMIFY_WATCH_SILENCE)
            lose(watch, r, how);
}

static bool is_alone(const ramify_watch *watch) {
    for (uint32_t r = 0; r < watch->ranks; r++)
        if (watch->peers[r].socket >= 0 && !watch->peers[r].said_goodbye)
            return false;
    return true;
}

static void *run(void *argument) {
    ramify_watch *watch = argument;
    uint32_t first = watch->rank == 0 ? 1 : 0, count = watch->rank == 0 ? watch->ranks - 1 : 1;
    struct pollfd *wait = ramify_allocate(watch->context, count, sizeof *wait);
    double looked = ramify_seconds(), beaten = 0;
    for (uint32_t i = 0; i < count; i++)
        watch->peers[first + i].heard = looked;
    while (wait && !atomic_load(&watch->leave)) {
        for (uint32_t i = 0; i < count; i++)
            wait[i] = (struct pollfd){.fd = watch->peers[first + i].socket, .events = POLLIN};
        poll(wait, count, TICK);
        double now = ramify_seconds();
        for (uint32_t i = 0; now - looked > ASLEEP && i < count; i++)
            watch->peers[first + i].heard = now;
        looked = now;
        for (uint32_t i = 0; i < count; i++)
            if (wait[i].revents != 0 && wait[i].fd >= 0)
                listen_to(watch, first + i);
        if (atomic_exchange(&watch->is_told, false) && watch->broken)
            watch->broken(watch->argument, watch->why, true, false);
        if (watch->failed_at > 0 && now - watch->failed_at >= PATIENCE)
            break_off(watch, watch->failed, true, false);
        find_silent(watch, now);
        if (now - beaten >= BEAT) {
            beat(watch);
            beaten = now;
        }
        atomic_store(&watch->alone, is_alone(watch));
    }
    ramify_release(watch->context, wait);
    return NULL;
}

ramify_status ramify_watch_begin(ramify_watch *watch, const ramify_watch_place *places,
                                 ramify_watch_broken broken, void *argument) {
    memcpy(watch->places, places, watch->ranks * sizeof *places);
    watch->broken = broken;
    watch->argument = argument;
    if (watch->ranks == 1)
        return RAMIFY_OK;
    RAMIFY_TRY(watch->rank == 0 ? await_ranks(watch) : find_first(watch));
    /* Signals are for the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&watch->thread, NULL, run, watch);
    watch->started = errno == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return watch->started ? RAMIFY_OK : fail_socket(watch, "no thread can be started");
}

void ramify_watch_enter(ramify_watch *watch, uint64_t transfer) {
    atomic_store(&watch->entered, transfer);
}

uint64_t ramify_watch_entered(const ramify_watch *watch) {
    return atomic_load(&watch->all_entered);
}

const char *ramify_watch_why(const ramify_watch *watch) {
    return atomic_load(&watch->is_broken) ? watch->why : NULL;
}

void ramify_watch_tell(ramify_watch *watch, const char *why) {
    if (watch->ranks == 1 || !watch->started || ramify_watch_why(watch))
        return;
    if (watch->rank == 0) {
        /* The callback may end the process, and the caller has things to put in order. */
        if (mark_broken(watch, why))
            atomic_store(&watch->is_told, true);
        return;
    }
    send_message(watch, watch->peers[0].socket, FAILED, 0, why,
                 strnlen(why, RAMIFY_WATCH_TEXT_BYTES - 1));
    for (double deadline = ramify_seconds() + NOTICE;
         !ramify_watch_why(watch) && !ramify_late(deadline);)
        pause_for(0.01);
}

void ramify_watch_close(ramify_watch **watch) {
    if (!*watch)
        return;
    ramify_watch *old = *watch;
    *watch = NULL;
    if (old->started) {
        atomic_store(&old->is_leaving, true);
        for (uint32_t r = 0; r < old->ranks; r++)
            send_message(old, old->peers[r].socket, GOODBYE, 0, NULL, 0);
        /* A socket that is closed while there is something to read takes back what it sent last: on a bad
         * network the good-bye, without which others hold this rank for lost. */
        for (double deadline = ramify_seconds() + LINGER;
             !atomic_load(&old->alone) && !ramify_watch_why(old) && !ramify_late(deadline);)
            pause_for(0.01);
        atomic_store(&old->leave, true);
        pthread_join(old->thread, NULL);
    }
    for (uint32_t r = 0; old->peers && r < old->ranks; r++)
        if (old->peers[r].socket >= 0)
            close(old->peers[r].socket);
    if (old->listener >= 0)
        close(old->listener);
    pthread_mutex_destroy(&old->lock);
    ramify_release(old->context, old->places);
    ramify_release(old->context, old->peers);
    ramify_release(old->context, old);
}
