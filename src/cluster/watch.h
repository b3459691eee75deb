#ifndef RAMIFY_CLUSTER_WATCH_H
#define RAMIFY_CLUSTER_WATCH_H
/* Ranks that watch over one another, beside what carries their bytes: MPI says nothing when a rank is
 * gone or a link is cut, it waits.
 *
 * Rank 0 holds a TCP connection to every other rank. Each second ranks tell it which transfer they have
 * come to, and it tells them which one all have come to. A connection that ends, or a rank that has
 * been silent for RAMIFY_WATCH_SILENCE seconds, breaks the cluster; so does a rank that tells of a
 * failure. Rank 0 passes on why, and everybody's `broken` callback is called, once, from the watching
 * thread. */

#include "ramify.h"

#define RAMIFY_WATCH_SILENCE 10.0

#define RAMIFY_WATCH_HOST_BYTES 64
#define RAMIFY_WATCH_ADDRESSES  16
#define RAMIFY_WATCH_TEXT_BYTES 1024

/* How a rank can be found, and what it is called in messages. Bytes that ranks exchange. */
typedef struct ramify_watch_place {
    uint8_t token[16];                        /* of rank 0: what those who connect must know */
    uint32_t address[RAMIFY_WATCH_ADDRESSES]; /* IPv4, as the network has them; 0: none */
    uint32_t port;
    uint32_t process;
    char host[RAMIFY_WATCH_HOST_BYTES];
} ramify_watch_place;

typedef struct ramify_watch ramify_watch;

/* speaks: this rank is the one that should tell the user. gone: a rank is gone or silent; else one failed
 * and `why` is its sentence. */
typedef void (*ramify_watch_broken)(void *argument, const char *why, bool speaks, bool gone);

/* Fills in this rank's place; rank 0 begins to listen. */
ramify_status ramify_watch_open(ramify_context *context, uint32_t rank, uint32_t ranks,
                                ramify_watch_place *place, ramify_watch **watch);

/* Connects, by places[ranks], and begins to watch. Free with ramify_watch_close. */
ramify_status ramify_watch_begin(ramify_watch *watch, const ramify_watch_place *places,
                                 ramify_watch_broken broken, void *argument);

/* This rank has come to transfer number `transfer`, from 1. */
void ramify_watch_enter(ramify_watch *watch, uint64_t transfer);

/* The number of the transfer that all ranks have come to, as far as is known here. */
uint64_t ramify_watch_entered(const ramify_watch *watch);

/* NULL, or why the cluster is broken. */
const char *ramify_watch_why(const ramify_watch *watch);

/* Tells of a failure of this rank, and waits a moment for rank 0 to take note. */
void ramify_watch_tell(ramify_watch *watch, const char *why);

/* Says good-bye and stops watching; NULL is harmless. */
void ramify_watch_close(ramify_watch **watch);

#endif
