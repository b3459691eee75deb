/* The rows of folds. */

#include "folds.h"
#include "toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double flat(const double *x) {
    return x[0];
}

/* Every fold has each training and select row once, no report row, and holds out rows that no
 * other fold holds out. */
static void check_folds(size_t rows, uint32_t count, size_t held) {
    toy t = toy_create(toy_context, rows, 1, flat, 0, 1);
    size_t select = rows / 20, train = rows - 2 * select;
    toy_problem(&t, train, select, NULL, NULL);
    ramify_folds folds;
    assert_int_equal(ramify_folds_create(t.problem, 5, false, &folds), RAMIFY_OK);
    assert_int_equal(folds.count, count);
    unsigned char *seen = calloc(rows, 1), *out = calloc(rows, 1);
    assert_true(seen && out);
    for (uint32_t f = 0; f < count; f++) {
        const ramify_problem *fold = &folds.fold[f];
        assert_int_equal(fold->select.count, held);
        assert_int_equal(fold->train.count, train + select - held);
        assert_ptr_equal(fold->observed.row, fold->train.row);
        memset(seen, 0, rows);
        for (size_t i = 0; i < fold->train.count; i++)
            seen[fold->train.row[i]]++;
        for (size_t i = 0; i < held; i++) {
            seen[fold->select.row[i]]++;
            out[fold->select.row[i]]++;
        }
        for (size_t row = 0; row < rows; row++)
            assert_int_equal(seen[row], row < train + select);
    }
    for (size_t row = 0; row < rows; row++)
        assert_true(out[row] <= 1);
    free(seen);
    free(out);
    ramify_folds_destroy(toy_context, &folds);
    toy_destroy(&t);
}

static void test_rows_of_folds(void **state) {
    (void)state;
    check_folds(40, 5, 7);      /* 38 rows to train and to choose */
    check_folds(1000, 5, 190);  /* 950 of them */
    check_folds(3000, 2, 500);  /* 2,850: enough after two */
    check_folds(12000, 1, 600); /* the select rows are enough */
}

/* Folds that are not wanted, or would choose by nothing. */
static void test_one_fold(void **state) {
    (void)state;
    toy t = toy_create(toy_context, 100, 1, flat, 0, 1);
    double weight[100] = {0};
    weight[3] = weight[85] = weight[95] = 1;
    assert_int_equal(ramify_table_add_doubles(toy_context, t.table, "w", weight), RAMIFY_OK);
    toy_problem(&t, 80, 10, NULL, "w");
    for (int wanted = 0; wanted < 2; wanted++) {
        ramify_folds folds;
        assert_int_equal(ramify_folds_create(t.problem, 5, wanted == 0, &folds), RAMIFY_OK);
        assert_int_equal(folds.count, 1);
        assert_ptr_equal(folds.fold[0].train.row, t.problem->train.row);
        assert_ptr_equal(folds.fold[0].select.row, t.problem->select.row);
        ramify_folds_destroy(toy_context, &folds);
    }
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_folds),
        cmocka_unit_test(test_one_fold),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}
