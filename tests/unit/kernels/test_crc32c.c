#include "crc32c.h"
#include "kernel_matrix.h"

/* The definition, bit by bit. */
static uint32_t bitwise(uint32_t crc, const unsigned char *bytes, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
        }
    }
    return ~crc;
}

static void test_known_values(void **state) {
    (void)state;
    /* RFC 3720, appendix B.4. */
    unsigned char bytes[32] = {0};
    assert_int_equal(ramify_crc32c(0, "123456789", 9), 0xE3069283U);
    assert_int_equal(ramify_crc32c(0, bytes, sizeof bytes), 0x8A9136AAU);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(ramify_crc32c(0, bytes, sizeof bytes), 0x46DD794EU);
    assert_int_equal(ramify_crc32c(7, NULL, 0), 7);
    assert_int_equal(ramify_crc32c_portable(7, NULL, 0), 7);
}

static void test_ways_agree(void **state) {
    (void)state;
    random_state random = {.state = 1};
    /* Long enough for every entry of every table to be used. */
    static unsigned char bytes[20011];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)random_bits(&random);
    }
    uint32_t whole = bitwise(0, bytes, sizeof bytes);
    assert_int_equal(ramify_crc32c(0, bytes, sizeof bytes), whole);
    assert_int_equal(ramify_crc32c_portable(0, bytes, sizeof bytes), whole);
    for (int round = 0; round < 300; round++) {
        size_t start = random_below(&random, 40);
        size_t size = random_below(&random, 60);
        size_t cut = random_below(&random, size + 1);
        const unsigned char *from = bytes + start;
        uint32_t crc = random_bits(&random);
        uint32_t want = bitwise(crc, from, size);
        assert_int_equal(ramify_crc32c(crc, from, size), want);
        assert_int_equal(ramify_crc32c_portable(crc, from, size), want);
        assert_int_equal(ramify_crc32c(ramify_crc32c(crc, from, cut), from + cut, size - cut),
                         want);
    }
}

int run_crc32c_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_ways_agree),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
