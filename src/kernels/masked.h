#ifndef RAMIFY_KERNELS_MASKED_H
#define RAMIFY_KERNELS_MASKED_H
/* A matrix of which some numbers are zero, as it lies in memory: a bit per number says whether it is
 * there, and those that are lie one after the other. Where more than an eighth of the numbers are there,
 * of more than 256 inputs a sixteenth, this is smaller than to number their inputs (sparse.h).
 *
 * Outputs go in panels of 128, the last one perhaps fewer, input after input in a panel; for every input 16
 * bits for each 16 outputs of the panel, the lowest bit for the first. */

#include <stddef.h>
#include <stdint.h>

/* Vectors of 16 outputs in a panel. */
#define RAMIFY_PANEL_LINES 8

typedef struct ramify_masked {
    size_t k, n;           /* inputs; outputs, a multiple of 16 */
    const uint16_t *masks; /* k x n / 16, in the order above */
    const float *weights;  /* as many as there are bits */
} ramify_masked;

#endif
