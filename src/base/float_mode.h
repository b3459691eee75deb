#ifndef RAMIFY_BASE_FLOAT_MODE_H
#define RAMIFY_BASE_FLOAT_MODE_H
/* How the calling thread computes with denormal numbers: those nearer to 0 than the least normal one
 * (1.2e-38 as a float), for which processors may take a hundred times as long.
 *
 * Whoever flushes them sets the mode back before it returns and before it calls a callback: the mode
 * of a program's threads is the program's. A pool's threads compute in the mode of the thread whose job
 * they share (threads.h). */

#include <stdint.h>

/* The processor's register of rounding, exceptions and flushing; 0 where there is none that is known. */
typedef uint64_t ramify_float_mode;

ramify_float_mode ramify_float_mode_now(void);
void ramify_float_mode_set(ramify_float_mode mode);

/* From here on denormal numbers are 0, as operands and as results; everything else is as it was.
 * Returns the mode before, for ramify_float_mode_set. */
ramify_float_mode ramify_flush_denormals(void);

#endif
