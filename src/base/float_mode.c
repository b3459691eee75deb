/* Functions, not inline: no compiler moves arithmetic past a call that it cannot look into. */

#include "float_mode.h"

#if defined(__SSE2__)
#include <xmmintrin.h>

/* MXCSR: results that are denormal become 0 (bit 15), operands too (bit 6). */
#define FLUSH (1U << 15 | 1U << 6)

ramify_float_mode ramify_float_mode_now(void) {
    return _mm_getcsr();
}

void ramify_float_mode_set(ramify_float_mode mode) {
    _mm_setcsr((unsigned)mode);
}

#elif defined(__aarch64__)

/* FPCR.FZ: both, of floats and doubles. */
#define FLUSH (UINT64_C(1) << 24)

ramify_float_mode ramify_float_mode_now(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

void ramify_float_mode_set(ramify_float_mode mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}

#else

#define FLUSH 0U

ramify_float_mode ramify_float_mode_now(void) {
    return 0;
}

void ramify_float_mode_set(ramify_float_mode mode) {
    (void)mode;
}

#endif

ramify_float_mode ramify_flush_denormals(void) {
    const ramify_float_mode before = ramify_float_mode_now();
    ramify_float_mode_set(before | FLUSH);
    return before;
}
