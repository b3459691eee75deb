/* Statistical claims on kin40k (data/SOURCES.md), with one seed and short trainings; the margins are
 * several times what other seeds and instruction sets change. Argument: the folder of the data. */

#include "ramify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;
static ramify_context *context;
static ramify_table *train_table, *test_table;

static void read_table(const char *name, ramify_table **table) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ramify_table_read(context, path, NULL, table) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
}

static int set_up(void **state) {
    (void)state;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    read_table("kin40k-train.csv.gz", &train_table);
    read_table("kin40k-test.csv.gz", &test_table);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ramify_table_destroy(&train_table);
    ramify_table_destroy(&test_table);
    ramify_context_destroy(&context);
    return 0;
}

/* One shape and stem, so that nothing is spent on choosing. */
static ramify_train_options options_of(const char *kind, uint32_t epochs) {
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.kind = kind;
    options.target = "distance";
    options.hidden = "32,32";
    options.members = 1;
    options.bins = RAMIFY_CHOICE_OFF;
    options.periodic = RAMIFY_CHOICE_OFF;
    options.gradient_routing = RAMIFY_CHOICE_OFF;
    options.epochs = epochs;
    options.child_epochs = epochs;
    options.resident_bytes = 32 * 1024;
    return options;
}

static double test_error(const ramify_train_options *options, ramify_model_info *info) {
    ramify_model *model = NULL;
    if (ramify_train(context, train_table, options, NULL, &model, NULL) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    ramify_score score;
    assert_int_equal(ramify_evaluate(context, model, test_table, &score, NULL), RAMIFY_OK);
    assert_int_equal(score.rows, 4000);
    ramify_model_get_info(model, info);
    info->kind = info->config = NULL; /* they end with the model */
    ramify_close(&model);
    return score.rmse;
}

/* The target's standard deviation is 1: a network of 32 units, trained for seconds, explains most of
 * it, and experts below it some more, in no more resident bytes than were allowed. */
static void test_experts_beat_their_root(void **state) {
    (void)state;
    ramify_model_info info;
    ramify_train_options options = options_of("mlp", 6);
    double root = test_error(&options, &info);
    assert_true(root < 0.3);
    assert_int_equal(info.modules, 1);
    options = options_of("pathways", 6);
    double tree = test_error(&options, &info);
    print_message("root %.4f, tree %.4f, %d modules, %d bytes\n", root, tree, (int)info.modules,
                  (int)info.resident_bytes);
    assert_true(info.modules > 4);
    assert_true(info.resident_bytes <= 32 * 1024);
    assert_true(tree < 0.85 * root);
}

/* A target without any relation to the inputs is left to its mean. */
static void test_noise_gains_nothing(void **state) {
    (void)state;
    size_t rows = ramify_table_rows(train_table);
    double *noise = malloc(rows * sizeof *noise);
    assert_non_null(noise);
    uint64_t word = 1;
    for (size_t row = 0; row < rows; row++) {
        double sum = 0; /* of 12 uniform numbers: normal enough, variance 1 */
        for (int i = 0; i < 12; i++) {
            word = word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (double)(word >> 11) * 0x1p-53;
        }
        noise[row] = sum - 6;
    }
    assert_int_equal(ramify_table_add_doubles(context, train_table, "noise", noise), RAMIFY_OK);
    free(noise);
    ramify_train_options options = options_of("pathways", 2);
    options.target = "noise";
    options.drop = "distance";
    ramify_model *model = NULL;
    ramify_training *training = NULL;
    assert_int_equal(ramify_train(context, train_table, &options, NULL, &model, &training),
                     RAMIFY_OK);
    /* 1800 report rows: the standard error of their rmse is 0.017. */
    assert_true(training->score.rmse > 0.93 && training->score.rmse < 1.07);
    assert_true(training->score.r2 < 0.03 && training->score.r2 > -0.05);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    print_message("%d leaves\n", (int)info.leaves);
    assert_true(info.leaves <= 8);
    ramify_training_destroy(&training);
    ramify_close(&model);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experts_beat_their_root),
        cmocka_unit_test(test_noise_gains_nothing),
    };
    folder = argc > 1 ? argv[1] : "data";
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
