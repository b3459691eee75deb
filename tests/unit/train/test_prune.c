/* Pruning from inside: states that belong to other models, deadlines, and what is foretold of a round. */

#include "progress.h"
#include "prune.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static double wave(const double *x) {
    return x[0] * x[0] - x[1];
}

static toy table;

static int open_table(void **state) {
    toy_open_context(state);
    table = toy_create(toy_context, 400, 2, wave, 0.1, 1);
    return 0;
}

static int close_table(void **state) {
    toy_destroy(&table);
    return toy_close_context(state);
}

static ramify_model *train(const char *kind, const char *hidden, uint32_t heads) {
    ramify_train_options options;
    ramify_model *model = NULL;
    ramify_train_options_init(&options);
    options.kind = kind;
    options.epochs = 2;
    options.validation = 0.2;
    if (hidden) {
        options.hidden = hidden;
        options.members = 1;
        options.distillation = RAMIFY_CHOICE_OFF;
    } else {
        options.branches = 3;
        options.depth = 1;
        options.width = 32;
        options.heads = heads;
    }
    options.target = "y";
    if (ramify_train(toy_context, table.table, &options, NULL, &model, NULL) != RAMIFY_OK)
        fail_msg("%s", ramify_message(toy_context));
    return model;
}

static ramify_pruning *open_pruning(ramify_model *model, const ramify_prune_plan *plan) {
    ramify_pruning *pruning = NULL;
    assert_int_equal(ramify_pruning_open(toy_context, model, NULL, table.table, plan, &pruning),
                     RAMIFY_OK);
    return pruning;
}

static void check_taken(ramify_model *own, ramify_model *other, bool good) {
    const ramify_prune_plan plan = {.epochs = 1};
    ramify_pruning *pruning = open_pruning(own, &plan);
    const ramify_pruned before = ramify_pruning_state(pruning);
    assert_int_equal(ramify_pruning_take(pruning, other), good ? RAMIFY_OK : RAMIFY_ERROR_DATA);
    if (!good)
        assert_non_null(strstr(ramify_message(toy_context), "does not belong to this model"));
    assert_true(good || ramify_pruning_state(pruning).error == before.error);
    ramify_pruning_close(&pruning);
    ramify_clear(toy_context);
}

/* Records of 20 and 24 hidden units are as long as each other. */
static void test_states_of_other_models(void **state) {
    (void)state;
    ramify_model *a = train("mlp", "20", 0), *b = train("mlp", "24", 0);
    ramify_model *c = train("paraformer", NULL, 2), *d = train("paraformer", NULL, 4);
    check_taken(a, a, true);
    check_taken(a, b, false);
    check_taken(c, c, true);
    check_taken(c, d, false);
    ramify_close(&a);
    ramify_close(&b);
    ramify_close(&c);
    ramify_close(&d);
}

static void check_stops(ramify_model *model) {
    const ramify_prune_plan plan = {.epochs = 1000000, .deadline = ramify_seconds() + 0.05};
    ramify_pruning *pruning = open_pruning(model, &plan);
    const ramify_pruned before = ramify_pruning_state(pruning);
    assert_int_equal(ramify_pruning_round(pruning, 0.5), RAMIFY_STOPPED);
    const ramify_pruned after = ramify_pruning_state(pruning);
    assert_true(after.weights == before.weights && after.error == before.error);
    assert_true(ramify_late(plan.deadline));
    ramify_pruning_close(&pruning);
    ramify_clear(toy_context);
}

static void check_foretold(ramify_model *model, ramify_prune_score score) {
    const ramify_prune_plan plan = {.epochs = 1, .score = score};
    ramify_pruning *pruning = open_pruning(model, &plan);
    double reached;
    ramify_sizes sizes;
    ramify_model *made = NULL;
    assert_int_equal(ramify_pruning_reach(pruning, 0.6, &reached), RAMIFY_OK);
    assert_int_equal(ramify_pruning_round(pruning, 0.6), RAMIFY_OK);
    const ramify_pruned now = ramify_pruning_state(pruning);
    assert_true(fabs(now.density - reached) < 1e-3);
    assert_int_equal(ramify_pruning_reach(pruning, now.density, &reached), RAMIFY_OK);
    assert_true(fabs(now.density - reached) < 1e-3);
    json_t *about = json_pack("{s:f}", "density", now.density);
    assert_int_equal(
        ramify_pruning_size(pruning, now.density, RAMIFY_STORAGE_SMALLEST, about, &sizes),
        RAMIFY_OK);
    assert_int_equal(ramify_pruning_model(pruning, RAMIFY_STORAGE_SMALLEST, about, &made),
                     RAMIFY_OK);
    json_decref(about);
    assert_true(sizes.file >= made->source.size && sizes.file <= made->source.size + 4096);
    assert_true(sizes.resident >= made->need.total && sizes.resident <= made->need.total + 4096);
    ramify_close(&made);
    ramify_pruning_close(&pruning);
}

static void test_rounds(void **state) {
    (void)state;
    ramify_model *network = train("mlp", "16,16", 0), *branches = train("paraformer", NULL, 2);
    check_stops(network);
    check_stops(branches);
    for (int score = RAMIFY_PRUNE_MAGNITUDE; score <= RAMIFY_PRUNE_BRANCHES; score++) {
        if (score != RAMIFY_PRUNE_BRANCHES)
            check_foretold(network, (ramify_prune_score)score);
        check_foretold(branches, (ramify_prune_score)score);
    }
    ramify_close(&network);
    ramify_close(&branches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_of_other_models),
        cmocka_unit_test(test_rounds),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
