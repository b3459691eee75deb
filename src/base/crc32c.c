#include "crc32c.h"

#include "crc32c_tables.h"

#include <stdbool.h>
#include <string.h>

/* Functions with a target attribute are compiled for that instruction whatever the build's flags,
 * and called only after the processor was asked. */
#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE_CRC         __attribute__((target("sse4.2")))
#define CRC_BYTE(crc, value) _mm_crc32_u8(crc, value)
#define CRC_WORD(crc, value) (uint32_t) _mm_crc32_u64(crc, value)
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define HARDWARE_CRC         __attribute__((target("+crc")))
#define CRC_BYTE(crc, value) __crc32cb(crc, value)
#define CRC_WORD(crc, value) __crc32cd(crc, value)
#endif

static uint32_t lookup(uint32_t crc, const unsigned char *bytes, size_t size) {
    for (; size >= 8; bytes += 8, size -= 8) {
        crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
               (uint32_t)bytes[3] << 24;
        crc = ramify_crc32c_tables[7][crc & 0xFF] ^ ramify_crc32c_tables[6][crc >> 8 & 0xFF] ^
              ramify_crc32c_tables[5][crc >> 16 & 0xFF] ^ ramify_crc32c_tables[4][crc >> 24] ^
              ramify_crc32c_tables[3][bytes[4]] ^ ramify_crc32c_tables[2][bytes[5]] ^
              ramify_crc32c_tables[1][bytes[6]] ^ ramify_crc32c_tables[0][bytes[7]];
    }
    for (; size > 0; bytes++, size--) {
        crc = crc >> 8 ^ ramify_crc32c_tables[0][(crc ^ *bytes) & 0xFF];
    }
    return crc;
}

uint32_t ramify_crc32c_portable(uint32_t crc, const void *bytes, size_t size) {
    return ~lookup(~crc, bytes, size);
}

#if defined(HARDWARE_CRC)

static bool has_instruction(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2");
#else
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}

/* One chain: 8 bytes per 3 cycles, about 10 GB/s, is faster than the memory the bytes come from. */
HARDWARE_CRC static uint32_t instruction(uint32_t crc, const unsigned char *bytes, size_t size) {
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        crc = CRC_WORD(crc, word);
    }
    for (; size > 0; bytes++, size--) {
        crc = CRC_BYTE(crc, *bytes);
    }
    return crc;
}

uint32_t ramify_crc32c(uint32_t crc, const void *bytes, size_t size) {
    return has_instruction() ? ~instruction(~crc, bytes, size)
                             : ramify_crc32c_portable(crc, bytes, size);
}

#else

uint32_t ramify_crc32c(uint32_t crc, const void *bytes, size_t size) {
    return ramify_crc32c_portable(crc, bytes, size);
}

#endif
