#include "random.h"

#include <math.h>

/* splitmix64 (Steele, Lea, Flood 2014): fills states from keys; also a good mixer of one word. */
static uint64_t mix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t combine(uint64_t hash, uint64_t word) {
    uint64_t state = hash ^ (word * 0xff51afd7ed558ccdu + 0x2545f4914f6cdd1du);
    return mix(&state);
}

ramify_random ramify_random_stream(uint64_t seed, ramify_purpose purpose, uint64_t node,
                                   uint64_t row) {
    uint64_t hash = combine(0, seed);
    hash = combine(hash, (uint64_t)purpose);
    hash = combine(hash, node);
    hash = combine(hash, row);
    ramify_random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = mix(&hash);
    return random;
}

uint64_t ramify_random_child(uint64_t node, uint32_t index) {
    return combine(combine(node, 0x6368696c64u), (uint64_t)index + 1);
}

static uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

uint64_t ramify_random_bits(ramify_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double ramify_random_uniform(ramify_random *random) {
    return (double)(ramify_random_bits(random) >> 11) * 0x1p-53;
}

double ramify_random_normal(ramify_random *random) {
    for (;;) {
        double u = 2.0 * ramify_random_uniform(random) - 1.0;
        double v = 2.0 * ramify_random_uniform(random) - 1.0;
        double square = u * u + v * v;
        if (square > 0.0 && square < 1.0)
            return u * sqrt(-2.0 * log(square) / square);
    }
}

uint64_t ramify_random_below(ramify_random *random, uint64_t bound) {
    /* Values below 2^64 mod bound would make small results likelier: draw again. */
    uint64_t reject = (0 - bound) % bound;
    uint64_t bits;
    do {
        bits = ramify_random_bits(random);
    } while (bits < reject);
    return bits % bound;
}

void ramify_random_shuffle(ramify_random *random, uint32_t *rows, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)ramify_random_below(random, i);
        uint32_t swap = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = swap;
    }
}
