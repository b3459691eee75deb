/* Things dealt to ranks: everything has one holder and one place, and dealt order has no hole. */

#include "cmocka_all.h"
#include "deal.h"

static void check(uint32_t ranks, uint32_t count) {
    uint32_t given = 0, fewest = UINT32_MAX, most = 0;
    bool taken[64] = {false};
    for (uint32_t r = 0; r < (ranks > 0 ? ranks : 1); r++) {
        const ramify_deal deal = {.rank = r, .ranks = ranks};
        uint32_t own = ramify_deal_own(&deal, count);
        assert_int_equal(ramify_deal_before(&deal, r, count), given);
        for (uint32_t place = 0; place < own; place++) {
            uint32_t thing = ramify_deal_thing(&deal, place);
            assert_true(thing < count);
            assert_int_equal(ramify_deal_holder(&deal, thing), r);
            assert_int_equal(ramify_deal_place(&deal, thing), place);
            assert_int_equal(ramify_deal_index(&deal, thing, count), given + place);
            assert_false(taken[thing]);
            taken[thing] = true;
        }
        given += own;
        fewest = own < fewest ? own : fewest;
        most = own > most ? own : most;
    }
    assert_int_equal(given, count);
    assert_true(most - fewest <= 1);
}

static void test_everything_is_dealt_once(void **state) {
    (void)state;
    for (uint32_t ranks = 0; ranks <= 9; ranks++)
        for (uint32_t count = 0; count <= 20; count++)
            check(ranks, count);
}

static void test_alone(void **state) {
    (void)state;
    const ramify_deal zeros = {0}, one = {.ranks = 1}, two = {.ranks = 2};
    assert_true(ramify_deal_is_whole(&zeros) && ramify_deal_is_whole(&one));
    assert_false(ramify_deal_is_whole(&two));
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(ramify_deal_index(&zeros, i, 5), i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_dealt_once),
        cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
