#ifndef RAMIFY_TESTS_PUBLIC_H
#define RAMIFY_TESTS_PUBLIC_H
/* What the tests of whole trainings share; only ramify.h is used. */

#include "ramify.h"

/* A context whose log is counted, and that stops at the `stop_at`-th question (0: never). */
typedef struct desk {
    ramify_context *context;
    uint64_t questions, stop_at;
    uint64_t warnings;
    char last_warning[1024];
} desk;

desk *desk_open(uint32_t threads);
void desk_close(desk *d);

/* Training in well under a second: few epochs, target "y". */
ramify_train_options quick_options(void);

/* Trains, and fails the test with the message unless the status is as expected. */
ramify_model *train(desk *d, const ramify_table *table, const ramify_train_options *options,
                    ramify_status expected, ramify_training **training);

/* The table's predictions; free with free(). All are finite, or the test fails. */
double *predictions(desk *d, ramify_model *model, const ramify_table *table);

/* A new empty file; free the name with scratch_remove. */
char *scratch_file(void);
void scratch_remove(char *path);

/* The bytes that saving writes; free with free(). */
unsigned char *saved_bytes(desk *d, const ramify_model *model, size_t *size);

#endif
