/* Means of laws and their intervals: auto against a plain twin of docs/laws.md, what the intervals of
 * made-up curves hold. */

#include "law_mix.h"
#include "law_solve.h"
#include "law_support.h"
#include "random.h"

#include <math.h>
#include <string.h>

#define RUNS_MAX 64

typedef struct curve {
    double ln_x[RUNS_MAX], ln_y[RUNS_MAX];
    ramify_runs runs;
} curve;

static void plant(curve *c, size_t count, double spacing, double floor, double noise,
                  uint64_t seed) {
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 1, 0);
    for (size_t i = 0; i < count; i++) {
        c->ln_x[i] = 5 + spacing * (double)i;
        c->ln_y[i] =
            log(floor + 8 * exp(-0.35 * c->ln_x[i])) + noise * ramify_random_normal(&random);
    }
    c->runs = (ramify_runs){.count = count, .variables = 1, .ln_x = c->ln_x, .ln_y = c->ln_y};
}

static void fit(const char *name, const ramify_runs *runs, ramify_law_mix *mix) {
    const ramify_law_problem problem = {.form = ramify_law_form_find_for(name, runs->variables),
                                        .runs = runs,
                                        .loss = {.kind = RAMIFY_LAW_LOSS_LOG, .above = 1}};
    double loss;
    if (ramify_law_mix_fit(context, &problem, mix, &loss) != RAMIFY_OK ||
        ramify_law_mix_judge(context, &problem, mix) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
}

/* --- the twin: steps 1 to 5 as they are written in docs/laws.md, without a thought for speed or for
 * sums that cancel ----------------------------------------------------------------------------- */

static double twin(const curve *c, double at) {
    size_t n = c->runs.count;
    double end = c->ln_x[n - 1], sum = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || c->ln_x[i] != c->ln_x[i - 1])
            sum += exp((c->ln_x[i] - end) / 0.30);
    double delta = sum - 1 < 1e-15 ? 2 : fmin(-0.30 * log(1 - 1 / sum), 2);
    double h = sqrt(0.30 * 0.30 + 0.30 * delta * 0.30 * delta);
    double w = 0, z = 0, s = 0, zz = 0, zs = 0;
    for (size_t i = 0; i < n; i++) {
        double u = c->ln_x[i] - end, v = (1 - exp(-0.35 * u)) / 0.35, k = exp(u / h);
        w += k;
        z += k * v;
        s += k * c->ln_y[i];
        zz += k * v * v;
        zs += k * v * c->ln_y[i];
    }
    double slope = fmin((zs - z * s / w) / (zz - z * z / w), 0), level = s / w - slope * z / w;
    double lowest = INFINITY, o = (at - end) / log(2), g = 0.3 * fmin(1, fmax(0, o - 1));
    for (size_t i = 0; i < n; i++)
        lowest = fmin(lowest, exp(c->ln_y[i]));
    double evidence = 0, mean = 0, badness[20], value[20], least = INFINITY;
    for (int k = 0; k < 20; k++) {
        double e = k / 20.0 * lowest, m = 0, x = 0, y = 0, xx = 0, xy = 0, sw = 0, sww = 0, sd = 0;
        for (size_t i = 0; i < n; i++) {
            double u = c->ln_x[i] - end, yy = exp(c->ln_y[i]);
            double weight = exp(u / 0.5) * (yy - e) / yy * (yy - e) / yy;
            m += weight;
            x += weight * u;
            y += weight * log(yy - e);
            xx += weight * u * u;
            xy += weight * u * log(yy - e);
        }
        double b = fmin((xy - x * y / m) / (xx - x * x / m), 0), a = y / m - b * x / m;
        for (size_t i = 0; i < n; i++) {
            double u = c->ln_x[i] - end, weight = exp(u / 0.5);
            double d = log(e + exp(a + b * u)) - c->ln_y[i];
            sw += weight;
            sww += weight * weight;
            sd += weight * d * d;
        }
        badness[k] = sw * sw / sww / 2 * log(sd / sw + 0.005 * 0.005);
        value[k] = log(e + exp(a + b * (at - end)));
        least = fmin(least, badness[k]);
    }
    for (int k = 0; k < 20; k++) {
        evidence += exp(least - badness[k]);
        mean += exp(least - badness[k]) * value[k];
    }
    return (1 - g) * (level + slope * (1 - exp(-0.35 * (at - end))) / 0.35) + g * mean / evidence;
}

static void test_auto_is_what_the_study_says(void **state) {
    (void)state;
    curve c;
    for (uint64_t seed = 0; seed < 40; seed++) {
        double spacing = seed % 4 == 0 ? 0.7 : seed % 4 == 1 ? 0.1 : seed % 4 == 2 ? 0.35 : 2.3;
        plant(&c, 5 + seed, spacing, 0.02 * (double)(seed % 5), 0.003 * (double)(seed % 3), seed);
        ramify_law_mix mix;
        fit("auto", &c.runs, &mix);
        for (double o = -1; o < 4; o += 0.37) {
            double at = mix.box.ln_high[0] + o * log(2);
            double found = ramify_law_mix_value(&mix, &at), wanted = twin(&c, at);
            if (!(fabs(found - wanted) < 1e-5))
                fail_msg("seed %d, %g octaves: %.9g, twin %.9g", (int)seed, o, found, wanted);
        }
    }
}

/* Each form's 90 % intervals on the continuation of curves that it can describe, by an octave. */
static void test_intervals_hold(void **state) {
    (void)state;
    static const char *const forms[] = {"auto", "m2", "damped"};
    for (size_t f = 0; f < 3; f++) {
        double inside = 0, count = 0;
        for (uint64_t seed = 0; seed < 60; seed++) {
            curve c;
            plant(&c, 40, 0.15, 0.05, 0.01, 100 + seed);
            ramify_runs shorter = c.runs;
            shorter.count = 35;
            ramify_law_mix mix;
            fit(forms[f], &shorter, &mix);
            for (size_t i = 35; i < 40; i++) {
                double off = fabs(ramify_law_mix_value(&mix, &c.ln_x[i]) - c.ln_y[i]);
                inside += off <= ramify_law_mix_width(&mix, &c.ln_x[i], 0.9);
                count++;
            }
        }
        if (!(inside / count > 0.80 && inside / count < 0.995))
            fail_msg("%s: %.3g of the held-out runs are inside", forms[f], inside / count);
    }
}

static void test_widths(void **state) {
    (void)state;
    curve c;
    plant(&c, 30, 0.2, 0.05, 0.01, 7);
    ramify_law_mix mix;
    fit("auto", &c.runs, &mix);
    double end = mix.box.ln_high[0], last = 0;
    for (double o = 0; o < 5; o += 0.5) { /* further is less sure */
        double at = end + o * log(2), width = ramify_law_mix_width(&mix, &at, 0.9);
        assert_true(width > last);
        last = width;
    }
    /* Student's quantiles with 4 degrees of freedom: 0.7407, 2.1318, 4.6041. */
    double half = ramify_law_mix_width(&mix, &end, 0.5);
    assert_true(fabs(ramify_law_mix_width(&mix, &end, 0.9) / half - 2.13185 / 0.740697) < 1e-4);
    assert_true(fabs(ramify_law_mix_width(&mix, &end, 0.99) / half - 4.60409 / 0.740697) < 1e-4);
    /* Three runs tell no interval of a law with three parameters. */
    plant(&c, 3, 0.7, 0, 0, 1);
    fit("m2", &c.runs, &mix);
    assert_true(isnan(ramify_law_mix_width(&mix, &end, 0.9)));
}

static void test_refusals(void **state) {
    (void)state;
    curve c;
    plant(&c, 2, 0.7, 0, 0, 1);
    const ramify_law_problem problem = {.form = ramify_law_form_find("auto"), .runs = &c.runs};
    ramify_law_mix mix;
    double loss;
    assert_int_equal(ramify_law_mix_fit(context, &problem, &mix, &loss), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context),
                        "auto needs runs of 3 sizes to see how a curve ends, there are 2: add runs "
                        "of other sizes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auto_is_what_the_study_says),
        cmocka_unit_test(test_intervals_hold),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
