/* Every kernel of every set that this processor can run, and the checksum. */

#include "kernel_matrix.h"

static void test_selection(void **state) {
    (void)state;
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    assert_true(count >= 2);
    assert_ptr_equal(list[0], ramify_kernels_reference());
    for (size_t i = 0; i < count; i++) {
        /* Of sets with one name the last, which is the fastest. */
        const ramify_kernels *chosen = ramify_kernels_select(list[i]->name);
        assert_string_equal(chosen->name, list[i]->name);
        assert_true(chosen == list[i] || (i + 1 < count && chosen == list[i + 1]));
    }
    assert_ptr_equal(ramify_kernels_select(NULL), list[count - 1]);
    assert_ptr_equal(ramify_kernels_select(""), list[count - 1]);
    assert_null(ramify_kernels_select("abacus"));
}

int main(void) {
    const struct CMUnitTest selection_tests[] = {cmocka_unit_test(test_selection)};
    int failed = cmocka_run_group_tests_name("selection", selection_tests, NULL, NULL);
    failed += run_product_tests() + run_sparse_tests() + run_quantised_tests() +
              run_elementwise_tests() + run_column_tests() + run_double_tests() +
              run_crc32c_tests();
    return failed != 0;
}
