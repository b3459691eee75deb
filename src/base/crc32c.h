#ifndef RAMIFY_BASE_CRC32C_H
#define RAMIFY_BASE_CRC32C_H
/* CRC-32C, the checksum of modules and node blocks in a model file. */

#include <stddef.h>
#include <stdint.h>

/* The CRC-32C of `size` bytes that follow bytes whose CRC is `crc` (0 at the start), so calls
 * chain. Castagnoli polynomial, reflected, as in RFC 3720 appendix B.4: the nine bytes "123456789"
 * give 0xE3069283. Uses the processor's instruction where there is one. bytes may be NULL when
 * size is 0. Thread-safe. */
uint32_t ramify_crc32c(uint32_t crc, const void *bytes, size_t size);

/* The same by tables, on any processor: what ramify_crc32c falls back to, and is tested with. */
uint32_t ramify_crc32c_portable(uint32_t crc, const void *bytes, size_t size);

#endif
