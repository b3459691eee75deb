/* Dividing rows into train, select and report, and into folds. */

#include "data_support.h"
#include "random.h"
#include "split.h"

#include <stdio.h>

enum { ROWS = 1000 };

/* A table with a random number, a group of 7 or fewer rows as number and as text, a time and a
 * date. */
static ramify_table *make_table(data_world *world) {
    char *text = malloc((size_t)ROWS * 64);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "x,group,team,time,date,gap,change\n");
    for (int r = 0; r < ROWS; r++) {
        int time = (r * 389) % ROWS; /* every one once */
        used += (size_t)sprintf(text + used, "1,%d,team %d,%d,20%02d-%02d-%02dT00:00,%s,%d.5\n",
                                r * 31 % 150, r * 31 % 150, time, time / 360, time / 30 % 12 + 1,
                                time % 30 + 1, r == 17 ? "" : "1", time - 500);
    }
    ramify_table *table = data_parse_text(world, text, NULL);
    free(text);
    return table;
}

static uint32_t *all_rows(size_t count) {
    uint32_t *rows = malloc(count * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = (uint32_t)i;
    return rows;
}

static ramify_split *split(data_world *world, const ramify_table *table,
                           const ramify_split_request *request) {
    ramify_split *made = NULL;
    ramify_clear(world->context);
    if (ramify_split_create(world->context, table, request, &made) != RAMIFY_OK)
        fail_msg("%s", ramify_message(world->context));
    return made;
}

/* side[r]: 't', 's' or 'r', 0 for rows in none. Every row is in one place; lists ascend. */
static void mark(const ramify_split *made, size_t rows, char *side) {
    const uint32_t *lists[] = {made->train, made->select, made->report};
    size_t counts[] = {made->train_count, made->select_count, made->report_count};
    memset(side, 0, rows);
    for (size_t l = 0; l < 3; l++)
        for (size_t i = 0; i < counts[l]; i++) {
            uint32_t row = lists[l][i];
            assert_true(row < rows);
            assert_true(i == 0 || row > lists[l][i - 1]);
            assert_int_equal(side[row], 0);
            side[row] = "tsr"[l];
        }
}

static void test_shares_are_exact(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    static const struct {
        size_t count;
        double validation;
        size_t select, report;
    } cases[] = {{1000, 0.1, 50, 50}, {1000, 0.25, 125, 125}, {995, 0.1, 50, 50},
                 {30, 0.1, 2, 1},     {3, 0.1, 1, 1},         {3, 0.9, 1, 1},
                 {10, 0.99, 5, 4},    {7, 0.0001, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_split_request request = {
            .rows = rows, .count = cases[i].count, .validation = cases[i].validation};
        ramify_split *made = split(world, table, &request);
        assert_int_equal(made->select_count, cases[i].select);
        assert_int_equal(made->report_count, cases[i].report);
        assert_int_equal(made->train_count, cases[i].count - cases[i].select - cases[i].report);
        char side[ROWS];
        mark(made, ROWS, side);
        for (size_t r = 0; r < ROWS; r++)
            assert_int_equal(side[r] != 0, r < cases[i].count);
        ramify_split_destroy(world->context, &made);
        assert_null(made);
        ramify_split_destroy(world->context, &made);
    }
    free(rows);
    ramify_table_destroy(&table);
}

static void test_seed_decides(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    char side[4][ROWS];
    for (size_t i = 0; i < 4; i++) {
        ramify_split_request request = {
            .rows = rows, .count = ROWS, .validation = 0.2, .seed = i / 2};
        ramify_split *made = split(world, table, &request);
        mark(made, ROWS, side[i]);
        ramify_split_destroy(world->context, &made);
    }
    assert_memory_equal(side[0], side[1], ROWS);
    assert_memory_equal(side[2], side[3], ROWS);
    size_t same = 0, early = 0;
    for (size_t r = 0; r < ROWS; r++) {
        same += side[0][r] != 't' && side[2][r] != 't';
        early += r < ROWS / 2 && side[0][r] != 't';
    }
    assert_in_range(same, 20, 70);   /* 40 of 200 by chance */
    assert_in_range(early, 75, 125); /* rows are not taken from one end */
    free(rows);
    ramify_table_destroy(&table);
}

/* Row numbers mean rows of the table: leaving one row out moves no other one far. */
static void test_key_belongs_to_the_row(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    char whole[ROWS], part[ROWS];
    ramify_split_request request = {.rows = rows, .count = ROWS, .validation = 0.2};
    ramify_split *made = split(world, table, &request);
    mark(made, ROWS, whole);
    ramify_split_destroy(world->context, &made);
    request.rows = rows + 1;
    request.count = ROWS - 1;
    made = split(world, table, &request);
    mark(made, ROWS, part);
    ramify_split_destroy(world->context, &made);
    size_t moved = 0;
    for (size_t r = 1; r < ROWS; r++)
        moved += whole[r] != part[r];
    assert_in_range(moved, 0, 3);
    free(rows);
    ramify_table_destroy(&table);
}

static void test_groups_stay_together(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    for (size_t c = 1; c <= 2; c++) {
        ramify_split_request request = {
            .rows = rows, .count = ROWS, .validation = 0.2, .group = &table->columns[c]};
        ramify_split *made = split(world, table, &request);
        assert_in_range(made->select_count, 93, 107);
        assert_in_range(made->report_count, 93, 107);
        char side[ROWS], of_group[150] = {0};
        mark(made, ROWS, side);
        for (size_t r = 0; r < ROWS; r++) {
            char *known = &of_group[r * 31 % 150];
            assert_true(*known == 0 || *known == side[r]);
            *known = side[r];
        }
        ramify_split_destroy(world->context, &made);
    }
    free(rows);
    ramify_table_destroy(&table);
}

/* Group sizes that no side wants: each side still gets one. */
static void test_large_groups(void **state) {
    data_world *world = *state;
    static const double group[] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3};
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_from_doubles(world->context, group, 12, 1, 1, NULL, &table),
                     RAMIFY_OK);
    uint32_t *rows = all_rows(12);
    for (uint64_t seed = 0; seed < 20; seed++) {
        ramify_split_request request = {.rows = rows,
                                        .count = 12,
                                        .validation = 0.2,
                                        .seed = seed,
                                        .group = &table->columns[0]};
        ramify_split *made = split(world, table, &request);
        assert_int_equal(made->train_count, 5);
        char side[12];
        mark(made, 12, side);
        ramify_split_destroy(world->context, &made);
    }
    ramify_split_request two = {
        .rows = rows, .count = 9, .validation = 0.2, .group = &table->columns[0]};
    ramify_split *made = NULL;
    assert_int_equal(ramify_split_create(world->context, table, &two, &made), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(world->context),
                        "table: column \"c1\" has 2 groups, and a split needs 3 (train, select and "
                        "report)");
    free(rows);
    ramify_table_destroy(&table);
}

static void test_time_orders_the_sides(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    static const size_t times[] = {3, 4, 6}; /* whole numbers, dates, both sides of zero */
    for (size_t i = 0; i < 3; i++) {
        ramify_split_request request = {
            .rows = rows, .count = ROWS, .validation = 0.2, .time = &table->columns[times[i]]};
        ramify_split *made = split(world, table, &request);
        assert_int_equal(made->report_count, 100);
        char side[ROWS];
        mark(made, ROWS, side);
        for (size_t r = 0; r < ROWS; r++) {
            size_t time = r * 389 % ROWS;
            assert_int_equal(side[r], time >= 900 ? 'r' : time >= 800 ? 's' : 't');
        }
        ramify_split_destroy(world->context, &made);
    }
    /* Rows of one time are in table order. */
    ramify_split_request request = {
        .rows = rows, .count = ROWS, .validation = 0.2, .time = &table->columns[0]};
    ramify_split *made = split(world, table, &request);
    assert_int_equal(made->report[0], 900);
    assert_int_equal(made->select[0], 800);
    ramify_split_destroy(world->context, &made);
    free(rows);
    ramify_table_destroy(&table);
}

/* A group counts by its latest row. */
static void test_groups_in_time(void **state) {
    data_world *world = *state;
    static const double values[] = {1, 9, 2, 1, 3, 5, 4, 6, 1, 2, 5, 7};
    static const char sides[] = "rttsrs";
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_from_doubles(world->context, values, 6, 2, 2, NULL, &table),
                     RAMIFY_OK);
    uint32_t *rows = all_rows(6);
    ramify_split_request request = {.rows = rows,
                                    .count = 6,
                                    .validation = 0.5,
                                    .group = &table->columns[0],
                                    .time = &table->columns[1]};
    ramify_split *made = split(world, table, &request);
    char side[6];
    mark(made, 6, side);
    assert_memory_equal(side, sides, sizeof side);
    ramify_split_destroy(world->context, &made);
    free(rows);
    ramify_table_destroy(&table);
}

static void test_columns_that_do_not_divide(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    ramify_split *made = NULL;
    const struct {
        ramify_split_request request;
        ramify_status status;
        const char *message;
    } cases[] = {
        {{.group = &table->columns[5], .count = ROWS, .validation = 0.1},
         RAMIFY_ERROR_DATA,
         "t.csv: column \"gap\", row 18: no value, but every row needs a group"},
        {{.time = &table->columns[5], .count = ROWS, .validation = 0.1},
         RAMIFY_ERROR_DATA,
         "t.csv: column \"gap\", row 18: no value, but every row needs a time"},
        {{.time = &table->columns[2], .count = ROWS, .validation = 0.1},
         RAMIFY_ERROR_DATA,
         "t.csv: column \"team\": \"team 0\" is no time (use numbers, or dates such as "
         "2024-05-31)"},
        {{.count = 2, .validation = 0.1},
         RAMIFY_ERROR_DATA,
         "t.csv: 2 usable rows are too few (one to train, one to select, one to report)"},
        {{.count = ROWS, .validation = 1},
         RAMIFY_ERROR_ARGUMENT,
         "the share of validation rows must lie between 0 and 1"},
        {{.count = ROWS, .validation = (double)NAN},
         RAMIFY_ERROR_ARGUMENT,
         "the share of validation rows must lie between 0 and 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_split_request request = cases[i].request;
        request.rows = rows;
        ramify_clear(world->context);
        assert_int_equal(ramify_split_create(world->context, table, &request, &made),
                         cases[i].status);
        assert_string_equal(ramify_message(world->context), cases[i].message);
        assert_null(made);
    }
    free(rows);
    ramify_table_destroy(&table);
}

/* Classes of 900, 90, 9 and 1 rows. */
static void test_classes_keep_their_shares(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    double labels[ROWS];
    size_t class_of[ROWS];
    for (size_t r = 0; r < ROWS; r++) {
        class_of[r] = r < 900 ? 2 : r < 990 ? 0 : r < 999 ? 3 : 1;
        labels[r] = (double)class_of[r];
    }
    static const size_t sizes[] = {90, 1, 900, 9};
    for (uint64_t seed = 0; seed < 10; seed++) {
        ramify_split_request request = {
            .rows = rows, .count = ROWS, .validation = 0.2, .labels = labels, .seed = seed};
        ramify_split *made = split(world, table, &request);
        assert_int_equal(made->select_count, 100);
        assert_int_equal(made->report_count, 100);
        char side[ROWS];
        mark(made, ROWS, side);
        size_t held[4] = {0}, reported[4] = {0};
        for (size_t r = 0; r < ROWS; r++) {
            held[class_of[r]] += side[r] != 't';
            reported[class_of[r]] += side[r] == 'r';
        }
        for (size_t c = 0; c < 4; c++) {
            assert_true(fabs((double)held[c] - 0.2 * (double)sizes[c]) <= 1);
            assert_true(fabs((double)reported[c] - 0.1 * (double)sizes[c]) <= 1);
            assert_true(held[c] < sizes[c]);
        }
        ramify_split_destroy(world->context, &made);
    }
    /* Every class has one or two rows: each keeps one that trains. */
    for (size_t r = 0; r < 30; r++)
        labels[r] = (double)(r * 2 / 3);
    ramify_split_request request = {.rows = rows, .count = 30, .validation = 0.9, .labels = labels};
    ramify_split *made = split(world, table, &request);
    char side[ROWS], trains[20] = {0};
    mark(made, ROWS, side);
    for (size_t r = 0; r < 30; r++)
        if (side[r] == 't')
            trains[(size_t)labels[r]] = 1;
    for (size_t c = 0; c < 20; c++)
        assert_true(trains[c]);
    assert_int_equal(made->train_count, 20);
    ramify_split_destroy(world->context, &made);
    free(rows);
    ramify_table_destroy(&table);
}

/* ---- folds ---- */

static void count_folds(data_world *world, const ramify_table *table,
                        const ramify_split_request *request, uint32_t folds, uint32_t *fold,
                        size_t *counts) {
    ramify_clear(world->context);
    if (ramify_split_folds(world->context, table, request, folds, fold) != RAMIFY_OK)
        fail_msg("%s", ramify_message(world->context));
    memset(counts, 0, folds * sizeof *counts);
    for (size_t i = 0; i < request->count; i++) {
        assert_true(fold[i] < folds);
        counts[fold[i]]++;
    }
}

static void test_folds(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    static uint32_t fold[ROWS], again[ROWS];
    size_t counts[ROWS];
    ramify_split_request request = {.rows = rows, .count = ROWS, .seed = 3};
    count_folds(world, table, &request, 7, fold, counts);
    for (size_t f = 0; f < 7; f++)
        assert_in_range(counts[f], 142, 143);
    count_folds(world, table, &request, 7, again, counts);
    assert_memory_equal(fold, again, sizeof fold);
    request.seed = 4;
    count_folds(world, table, &request, 7, again, counts);
    assert_memory_not_equal(fold, again, sizeof fold);
    count_folds(world, table, &request, ROWS, fold, counts); /* leave one out */
    for (size_t f = 0; f < ROWS; f++)
        assert_int_equal(counts[f], 1);

    double labels[ROWS];
    for (size_t r = 0; r < ROWS; r++)
        labels[r] = r % 10 == 0;
    request.labels = labels;
    count_folds(world, table, &request, 5, fold, counts);
    size_t rare[5] = {0};
    for (size_t r = 0; r < ROWS; r++)
        rare[fold[r]] += labels[r] == 1;
    for (size_t f = 0; f < 5; f++) {
        assert_int_equal(counts[f], 200);
        assert_int_equal(rare[f], 20);
    }
    free(rows);
    ramify_table_destroy(&table);
}

static void test_folds_of_groups(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    static uint32_t fold[ROWS];
    size_t counts[5];
    ramify_split_request request = {.rows = rows, .count = ROWS, .group = &table->columns[2]};
    count_folds(world, table, &request, 5, fold, counts);
    for (size_t f = 0; f < 5; f++)
        assert_in_range(counts[f], 193, 207);
    for (size_t r = 150; r < ROWS; r++)
        assert_int_equal(fold[r], fold[r - 150]);
    ramify_clear(world->context);
    assert_int_equal(ramify_split_folds(world->context, table, &request, 151, fold),
                     RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(world->context),
                        "t.csv: 150 groups are too few for 151 folds");
    ramify_clear(world->context);
    assert_int_equal(ramify_split_folds(world->context, table, &request, 1, fold),
                     RAMIFY_ERROR_ARGUMENT);
    free(rows);
    ramify_table_destroy(&table);
}

static void test_folds_in_time(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    uint32_t *rows = all_rows(ROWS);
    static uint32_t fold[ROWS];
    size_t counts[ROWS];
    ramify_split_request request = {.rows = rows, .count = ROWS, .time = &table->columns[3]};
    count_folds(world, table, &request, 4, fold, counts);
    for (size_t r = 0; r < ROWS; r++)
        assert_int_equal(fold[r], r * 389 % ROWS / 250);
    count_folds(world, table, &request, ROWS, fold, counts);
    for (size_t r = 0; r < ROWS; r++)
        assert_int_equal(fold[r], r * 389 % ROWS);
    /* A large last group leaves no fold empty. */
    static const double values[] = {1, 2, 3, 4, 4, 4, 4, 4, 4};
    ramify_table *groups = NULL;
    assert_int_equal(ramify_table_from_doubles(world->context, values, 9, 1, 1, NULL, &groups),
                     RAMIFY_OK);
    ramify_split_request large = {
        .rows = rows, .count = 9, .group = &groups->columns[0], .time = &groups->columns[0]};
    count_folds(world, groups, &large, 4, fold, counts);
    for (size_t r = 0; r < 9; r++)
        assert_int_equal(fold[r], (size_t)values[r] - 1);
    ramify_table_destroy(&groups);
    free(rows);
    ramify_table_destroy(&table);
}

static ramify_status split_again(data_world *world, void *argument) {
    const ramify_table *table = argument;
    uint32_t rows[100], fold[100];
    for (uint32_t i = 0; i < 100; i++)
        rows[i] = i;
    ramify_split_request request = {.rows = rows,
                                    .count = 100,
                                    .validation = 0.3,
                                    .group = &table->columns[1],
                                    .time = &table->columns[4]};
    ramify_split *made = NULL;
    ramify_status status = ramify_split_create(world->context, table, &request, &made);
    ramify_split_destroy(world->context, &made);
    request.time = NULL;
    if (status == RAMIFY_OK)
        status = ramify_split_folds(world->context, table, &request, 3, fold);
    return status;
}

static void test_each_allocation_refused(void **state) {
    data_world *world = *state;
    ramify_table *table = make_table(world);
    data_refuse_each_allocation(world, split_again, table);
    ramify_table_destroy(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shares_are_exact, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_seed_decides, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_key_belongs_to_the_row, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_groups_stay_together, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_large_groups, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_time_orders_the_sides, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_groups_in_time, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_columns_that_do_not_divide, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_classes_keep_their_shares, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_folds, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_folds_of_groups, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_folds_in_time, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
