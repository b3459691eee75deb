/* Files cut short at every byte, and files with a flipped bit: each either fails with a sentence or
 * predicts finite numbers. One bit per byte of header and always resident part; with the argument
 * "all", every bit of the whole file. */

#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool all_bits;

typedef struct subject {
    ramify_context *context;
    random_model *twin;
    unsigned char *bytes; /* size, 64-byte aligned */
    size_t size;
} subject;

static int set_up(void **state) {
    static subject s;
    assert_int_equal(ramify_context_create(NULL, &s.context), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    options.bins = options.route = options.missing = options.notes = true;
    options.series = 2;
    s.twin = random_model_create(s.context, &options);
    s.bytes = random_model_bytes(s.twin, &s.size);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    subject *s = *state;
    ramify_release(s->context, s->bytes);
    random_model_destroy(s->twin);
    ramify_context_destroy(&s->context);
    return 0;
}

/* Opens and predicts a few rows. Returns whether that succeeded. */
static bool use(const subject *s, const unsigned char *bytes, size_t size) {
    ramify_model *model = NULL;
    ramify_status status = ramify_open_buffer(s->context, bytes, size, &model);
    if (status == RAMIFY_OK) {
        ramify_predictor *predictor = NULL;
        ramify_model_info info;
        ramify_model_get_info(model, &info);
        assert_int_equal(ramify_predictor_create(s->context, model, 4, &predictor), RAMIFY_OK);
        assert_int_equal(info.columns, 3);
        assert_int_equal(info.outputs, 1);
        double x[8 * 3], y[8];
        for (size_t i = 0; i < 24; i++)
            x[i] = (double)(i * 7 % 5) - 2.0;
        status = ramify_predict_double(predictor, 8, x, 3, y, 1);
        for (size_t i = 0; i < 8 && status == RAMIFY_OK; i++)
            assert_true(isfinite(y[i]));
        double low[8], high[8], novelty[8];
        if (status == RAMIFY_OK)
            status = ramify_predict_interval(predictor, 8, x, 3, 0.5, y, low, high, 1);
        for (size_t i = 0; i < 8 && status == RAMIFY_OK; i++)
            assert_true(isfinite(low[i]) && isfinite(high[i]) && low[i] <= high[i]);
        if (status == RAMIFY_OK)
            status = ramify_predict_novelty(predictor, 8, x, 3, novelty);
        for (size_t i = 0; i < 8 && status == RAMIFY_OK; i++)
            assert_true(novelty[i] >= 0 && novelty[i] <= 1);
        ramify_predictor_destroy(&predictor);
        ramify_close(&model);
    }
    if (status != RAMIFY_OK) {
        assert_true(status == RAMIFY_ERROR_FORMAT || status == RAMIFY_ERROR_UNSUPPORTED);
        assert_true(strlen(ramify_message(s->context)) > 10);
    }
    return status == RAMIFY_OK;
}

static void test_cut_short(void **state) {
    subject *s = *state;
    for (size_t size = 1; size < s->size; size++)
        assert_false(use(s, s->bytes, size));
    assert_true(use(s, s->bytes, s->size));
}

static void test_flipped_bits(void **state) {
    subject *s = *state;
    ramify_model *model = NULL;
    assert_int_equal(ramify_open_buffer(s->context, s->bytes, s->size, &model), RAMIFY_OK);
    size_t data = (size_t)model->data_start;
    size_t lazy = data + (size_t)model->resident_bytes;
    ramify_close(&model);
    size_t end = all_bits ? s->size : lazy;
    size_t survived = 0, flipped = 0;
    for (size_t i = 0; i < end; i++) {
        /* A long run of the header's padding is one case. */
        if (!all_bits && i > 16 && s->bytes[i] == ' ' && s->bytes[i - 1] == ' ' && i % 64 != 0)
            continue;
        for (unsigned bit = all_bits ? 0 : i % 8; bit < 8; bit += all_bits ? 1 : 8) {
            s->bytes[i] ^= (unsigned char)(1U << bit);
            bool good = use(s, s->bytes, s->size);
            s->bytes[i] ^= (unsigned char)(1U << bit);
            survived += good;
            flipped++;
            /* What may survive: the version, case or name of a key that is not read, nodes and
             * modules that no row led to. Stem, head and root never do. */
            assert_false(good && i >= data && i < lazy);
        }
    }
    assert_true(survived < flipped / 2);
}

int main(int count, char **arguments) {
    all_bits = count > 1 && strcmp(arguments[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_flipped_bits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
