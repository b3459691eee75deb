#ifndef RAMIFY_TRAIN_FITS_H
#define RAMIFY_TRAIN_FITS_H
/* Fits of experts as work that ranks share, and that a training which goes on later does not do again.
 *
 * Of several ranks each does its part of a list of fits, dealt by their cost, and all receive all results:
 * what follows is computed by every rank alike. Where there is a folder, every result is kept in it as
 * soon as its fit has ended, in a file that is named by a key of all that the result depends on: the
 * rows, the options of the fit, the weights that it starts from, the build and the instruction set. A fit whose
 * key is found there is not done. So it does not matter how many ranks began, how far they came, or whether
 * options that a fit does not depend on have changed since.
 *
 * A kept file: "ramifyFT", then uint32 format and CRC-32C of the result, uint64 key and size, the
 * result. */

#include "ramify.h"
#include "threads.h"

typedef struct ramify_fits ramify_fits;

/* folder: made if it is not there; NULL: nothing is kept. alone: lists are this rank's own, which others
 * know nothing of; then they may be run from tasks, too. Free with ramify_fits_close. */
ramify_status ramify_fits_open(ramify_context *context, const char *folder, bool alone,
                               ramify_fits **fits);
void ramify_fits_close(ramify_fits **fits);

/* A list of fits. The callbacks may be called from the pool's threads. */
typedef struct ramify_fit_list {
    size_t count;
    void *argument;
    ramify_task_run run; /* does fit `task` */
    /* Called by all ranks once rank[count] says who does which of the fits that are left, those with
     * is_left; NULL: nothing to prepare. */
    ramify_status (*prepare)(void *argument, const uint32_t *rank, const bool *is_left);
    double (*cost)(const void *argument, size_t task); /* in any unit */
    uint64_t (*key)(const void *argument, size_t task);
    size_t (*size)(const void *argument, size_t task); /* bytes of the result; 0: there is none, and
                                                           nothing to do */
    void (*pack)(const void *argument, size_t task, void *result);
    ramify_status (*unpack)(void *argument, size_t task, const void *result);
} ramify_fit_list;

/* Whether size and pack of a list are asked for at all: what they rest on must then be there before. */
bool ramify_fits_are_shared(const ramify_fits *fits, const ramify_context *context);

/* Does all fits of the list, so that all results are there on return. fits: NULL where they are neither
 * shared nor kept. After a failure some are there. */
ramify_status ramify_fits_run(ramify_fits *fits, ramify_context *context,
                              const ramify_fit_list *list);

/* Fits that were found in the folder, and that this rank did. */
void ramify_fits_count(const ramify_fits *fits, size_t *found, size_t *done);

#endif
