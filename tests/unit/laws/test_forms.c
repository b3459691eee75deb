/* Every form of a law: gradients against finite differences, values against numbers from elsewhere,
 * starts that can be begun from. */

#include "law_form.h"
#include "law_support.h"
#include "random.h"

#include <math.h>
#include <string.h>

static const ramify_law_form *find(const char *name) {
    const ramify_law_form *form = ramify_law_form_find(name);
    if (!form)
        fail_msg("no form %s", name);
    return form;
}

static double value(const char *name, const double *theta, const double *x) {
    const ramify_law_form *form = find(name);
    double ln_x[RAMIFY_LAW_VARIABLES_MAX];
    for (uint32_t v = 0; v < form->variables; v++)
        ln_x[v] = log(x[v]);
    return exp(form->log_value(theta, ln_x, NULL));
}

/* By hand, and where a paper gives numbers by these. */
static void test_values(void **state) {
    (void)state;
    const double ten = 10;
    near(value("m1", (const double[]){3, 0.5}, &ten), 3 / sqrt(10), 1e-14);
    near(value("pow2", (const double[]){3, 0.5}, &ten), 3 / sqrt(10), 1e-14);
    near(value("m2", (const double[]){0.2, 3, 0.5}, &ten), 0.2 + 3 / sqrt(10), 1e-14);
    near(value("m3", (const double[]){3, 0.5, 0.4}, &ten), 3 * sqrt(0.1 + 0.4), 1e-14);
    near(value("pow3", (const double[]){1, -0.5, -0.1}, &ten), 1 - 0.5 * pow(10, 0.1), 1e-14);
    near(value("pow4", (const double[]){0.1, 3, 0.5, 6}, &ten), 0.1 + 3 / 4.0, 1e-14);
    near(value("exp3", (const double[]){0.1, 2, 0.3}, &ten), 0.1 + 2 * exp(-3), 1e-14);
    near(value("mmf4", (const double[]){0.9, 4, 0.1, 1}, &ten), (0.9 * 4 + 0.1 * 10) / 14, 1e-14);
    near(value("wbl4", (const double[]){0.1, 2, 0.3, 0.5}, &ten), 0.1 + 2 * exp(-0.3 * sqrt(10)),
         1e-14);
    near(value("ilog2", (const double[]){0.1, 2}, &ten), 0.1 + 2 / log(10), 1e-14);
    near(value("bnsl0", (const double[]){0.1, 2, 0.5}, &ten), 0.1 + 2 / sqrt(10), 1e-14);
    near(value("bnsl1", (const double[]){0.1, 2, 0.5, 0.3, 5, 0.2}, &ten),
         0.1 + 2 / sqrt(10) * pow(1 + pow(2, 5), -0.06), 1e-14);
    near(value("bnsl2", (const double[]){0.1, 2, 0.5, 0.3, 5, 0.2, -0.1, 100, 0.5}, &ten),
         0.1 + 2 / sqrt(10) * pow(1 + pow(2, 5), -0.06) * pow(1.01, 0.05), 1e-14);
    /* Hoffmann's numbers for Chinchilla, and Muennighoff's two worked examples. */
    const double gopher[] = {280e9, 300e9};
    near(value("additive", (const double[]){1.69, 406.4, 0.34, 410.7, 0.28}, gopher),
         1.69 + 406.4 / pow(280e9, 0.34) + 410.7 / pow(300e9, 0.28), 1e-14);
    const double constrained[] = {exp(0.6254804), exp(6.255414), 0.3526596, exp(7.3049974),
                                  0.3526596,      5.309743,      15.387756};
    near(value("data-constrained", constrained, (const double[]){6.34e9, 242e9, 25e9}),
         2.2256440889984477, 1e-12);
    near(value("data-constrained", constrained, (const double[]){8.67e9, 178e9, 25e9}),
         2.2269634075087867, 1e-12);
    /* Without repeats it is the additive law. */
    near(value("data-constrained", constrained, (const double[]){1e8, 20e9, 25e9}),
         value("additive", constrained, (const double[]){1e8, 20e9}), 1e-14);
    const double joint[] = {6, 0.2, 40, 0.3, 90, 0.25}, small[] = {1e6, 1e7};
    double s = 0.2 + 40 / pow(1e6, 0.3) + 90 / pow(1e7, 0.25);
    near(value("joint", joint, small), 6 * s / sqrt(1 + s * s), 1e-14);
    near(find("joint")->floor(joint), 6 * 0.2 / sqrt(1.04), 1e-14);
    const double pruning[] = {0.2, 0.8, 0.5, 0.1}, density = 0.3;
    near(value("pruning", pruning, &density),
         0.2 * pow((0.09 + 0.01 * pow(4, 4)) / (0.09 + 0.01), 0.25), 1e-14);
    near(value("pruning-joint", (const double[]){0.8, 0.5, 0.1, 1, 2},
               (const double[]){2, 0.5, 0.6, 0.2}),
         value("pruning", pruning, &density), 1e-14);
}

/* (y - floor) / (floor + gap - y)^a = b x^-c, put in again. */
static void test_m4_solves_its_equation(void **state) {
    (void)state;
    const ramify_law_form *form = find("m4");
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    for (int i = 0; i < 2000; i++) {
        double theta[5] = {
            0.3 * ramify_random_uniform(&random), 0.1 + ramify_random_uniform(&random),
            exp(2 * ramify_random_normal(&random)), exp(2 * ramify_random_normal(&random)),
            0.02 + ramify_random_uniform(&random)};
        double ln_x = 20 * ramify_random_uniform(&random);
        double y = exp(form->log_value(theta, &ln_x, NULL));
        assert_true(y >= theta[0] * (1 - 1e-14));
        assert_true(y <= (theta[0] + theta[1]) * (1 + 1e-14));
        if (y - theta[0] < 1e-6 * theta[0] || theta[0] + theta[1] - y < 1e-9 * theta[1])
            continue; /* rounding of y alone moves the equation */
        double left = log(y - theta[0]) - theta[2] * log(theta[0] + theta[1] - y);
        double right = log(theta[3]) - theta[4] * ln_x;
        assert_true(fabs(left - right) < 1e-6 * (1 + fabs(right)));
    }
}

/* Parameters that each form may have, from a stream. */
static void draw(const ramify_law_form *form, ramify_random *random, double *theta, double *ln_x) {
    for (uint32_t j = 0; j < form->parameters; j++)
        theta[j] = form->parameter[j].range == RAMIFY_LAW_POSITIVE
                       ? exp(ramify_random_normal(random) - 0.5)
                       : ramify_random_normal(random);
    for (uint32_t v = 0; v < form->variables; v++)
        ln_x[v] = 0.1 + 2 * ramify_random_uniform(random);
    if (strcmp(form->name, "pruning") == 0)
        theta[1] = theta[0] * 3; /* top above dense */
}

static void test_gradients(void **state) {
    (void)state;
    size_t count;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    assert_int_equal(count, 24);
    for (size_t f = 0; f < count; f++) {
        const ramify_law_form *form = forms[f];
        if (form->combine)
            continue;
        ramify_random random = ramify_random_stream(7, RAMIFY_PURPOSE_SHUFFLE, f, 0);
        size_t compared = 0;
        for (int i = 0; i < 300; i++) {
            double theta[RAMIFY_LAW_PARAMETERS_MAX], ln_x[RAMIFY_LAW_VARIABLES_MAX];
            double gradient[RAMIFY_LAW_PARAMETERS_MAX];
            draw(form, &random, theta, ln_x);
            double here = form->log_value(theta, ln_x, gradient);
            for (uint32_t j = 0; j < form->parameters; j++) {
                double step = 1e-6 * fmax(fabs(theta[j]), 1e-2), at = theta[j];
                theta[j] = at + step;
                double above = form->log_value(theta, ln_x, NULL);
                theta[j] = at - step;
                double below = form->log_value(theta, ln_x, NULL);
                theta[j] = at;
                if (!isfinite(here) || !isfinite(above) || !isfinite(below))
                    continue;
                double difference = (above - below) / (2 * step);
                if (fabs(difference - gradient[j]) > 1e-5 * (1 + fabs(difference)))
                    fail_msg("%s, %s: %.9g by differences, %.9g", form->name,
                             form->parameter[j].name, difference, gradient[j]);
                compared++;
            }
        }
        assert_true(compared > 100 * form->parameters);
    }
}

/* Far out, where powers overflow, there are still numbers, and floors are what they approach. */
static void test_far_out(void **state) {
    (void)state;
    size_t count;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    for (size_t f = 0; f < count; f++) {
        const ramify_law_form *form = forms[f];
        double theta[RAMIFY_LAW_PARAMETERS_MAX], ln_x[RAMIFY_LAW_VARIABLES_MAX];
        for (uint32_t j = 0; j < form->parameters; j++)
            theta[j] = 0.5;
        if (!form->floor)
            continue;
        for (uint32_t v = 0; v < form->variables; v++)
            ln_x[v] = 5000;
        double gradient[RAMIFY_LAW_PARAMETERS_MAX], far = form->log_value(theta, ln_x, gradient);
        assert_true(isfinite(far));
        double floor = form->floor(theta);
        if (floor > 0 && strcmp(form->name, "ilog2") != 0 &&
            strcmp(form->name, "data-constrained") != 0)
            near(exp(far), floor, 1e-9);
    }
}

/* Starts end, and each is a set of parameters with a value at the runs. */
static void test_starts(void **state) {
    (void)state;
    size_t count;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    enum { RUNS = 24 };
    double ln_x[RUNS * RAMIFY_LAW_VARIABLES_MAX], ln_y[RUNS];
    for (size_t f = 0; f < count; f++) {
        const ramify_law_form *form = forms[f];
        if (form->combine)
            continue;
        ramify_random random = ramify_random_stream(2, RAMIFY_PURPOSE_SHUFFLE, f, 0);
        for (size_t i = 0; i < RUNS; i++) {
            double sum = 0;
            for (uint32_t v = 0; v < form->variables; v++)
                sum += ln_x[i * form->variables + v] = 1 + 8 * ramify_random_uniform(&random);
            ln_y[i] = -0.2 * sum / form->variables + 0.01 * ramify_random_normal(&random);
        }
        ramify_runs runs = {
            .count = RUNS, .variables = form->variables, .ln_x = ln_x, .ln_y = ln_y};
        double theta[RAMIFY_LAW_PARAMETERS_MAX];
        if (form->solve) {
            assert_null(form->start);
            assert_true(form->solve(&runs, theta));
            assert_true(isfinite(form->log_value(theta, ln_x, NULL)));
            continue;
        }
        uint32_t index = 0, usable = 0;
        for (; index < 10000 && form->start(&runs, index, theta); index++) {
            bool good = true;
            for (size_t i = 0; i < RUNS; i++)
                good = good && isfinite(form->log_value(theta, ln_x + i * form->variables, NULL));
            usable += good;
        }
        assert_true(index > 0 && index < 10000);
        assert_true(usable > 0);
        /* Of no runs, and of one, there may be no start, but there is an end. */
        runs.count = 1;
        for (index = 0; index < 10000 && form->start(&runs, index, theta);)
            index++;
        assert_true(index < 10000);
    }
}

/* The damped law by its definition, with sums as they stand, and what it does at the ends. */
static void test_damped(void **state) {
    (void)state;
    const ramify_law_form *form = find("damped");
    enum { RUNS = 12 };
    double ln_x[RUNS], ln_y[RUNS], weight[RUNS], theta[3];
    for (int i = 0; i < RUNS; i++) {
        ln_x[i] = 3 + 0.4 * i;
        ln_y[i] = -0.3 * ln_x[i] + 0.02 * ((i * 7) % 5 - 2);
        weight[i] = 1 + i % 3;
    }
    ramify_runs runs = {
        .count = RUNS, .variables = 1, .ln_x = ln_x, .ln_y = ln_y, .weight = weight};
    assert_true(form->solve(&runs, theta));
    double w = 0, z = 0, y = 0, zz = 0, zy = 0;
    for (int i = 0; i < RUNS; i++) {
        double u = ln_x[i] - ln_x[RUNS - 1], at = (1 - exp(-0.35 * u)) / 0.35;
        double share = weight[i] * exp(u / 0.3);
        w += share;
        z += share * at;
        y += share * ln_y[i];
        zz += share * at * at;
        zy += share * at * ln_y[i];
    }
    double slope = (zy - z * y / w) / (zz - z * z / w);
    near(theta[1], slope, 1e-12);
    near(log(theta[0]), (y - slope * z) / w, 1e-12);
    near(theta[2], exp(ln_x[RUNS - 1]), 1e-14);
    /* A curve that rises, and one run, are continued by a level. */
    for (int i = 0; i < RUNS; i++)
        ln_y[i] = ln_x[i];
    assert_true(form->solve(&runs, theta) && theta[1] == 0);
    runs.count = 1;
    assert_true(form->solve(&runs, theta) && theta[1] == 0);
    near(theta[0], exp(3), 1e-14);
    /* The error of the largest runs. */
    const double sizes[] = {1, 5, 5, 2}, errors[] = {0.1, 0.4, 0.6, 0.2};
    runs = (ramify_runs){.count = 4, .variables = 1, .ln_x = sizes, .ln_y = errors};
    assert_true(find("last")->solve(&runs, theta));
    near(theta[0], exp(0.5), 1e-14);
}

/* Where a form has an inverse, the value at what it gives is what was asked for. */
static void test_inverses(void **state) {
    (void)state;
    size_t count, inverses = 0;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    for (size_t f = 0; f < count; f++) {
        const ramify_law_form *form = forms[f];
        ramify_random random = ramify_random_stream(9, RAMIFY_PURPOSE_SHUFFLE, f, 0);
        if (!form->inverse)
            continue;
        inverses++;
        uint32_t variables = form->variables < 3 ? form->variables : 3;
        for (int i = 0; i < 200; i++) {
            double theta[RAMIFY_LAW_PARAMETERS_MAX], ln_x[RAMIFY_LAW_VARIABLES_MAX];
            draw(form, &random, theta, ln_x);
            if (form == find("damped"))
                theta[1] = -fabs(theta[1]);
            if (form->variables == 4)
                theta[0] = exp(ln_x[3]) * 3; /* top above the error without pruning */
            double ln_y = form->log_value(theta, ln_x, NULL);
            for (uint32_t v = 0; v < variables; v++) {
                double wanted = ln_x[v];
                ln_x[v] = 0.7; /* is not looked at */
                double found = form->inverse(theta, v, ln_x, ln_y);
                ln_x[v] = found;
                if (isfinite(found) && !(fabs(form->log_value(theta, ln_x, NULL) - ln_y) < 1e-9))
                    fail_msg("%s: the inverse of variable %u is %.17g, was %.17g", form->name, v,
                             found, wanted);
                if (i == 0)
                    assert_true(isfinite(found));
                ln_x[v] = wanted;
            }
        }
    }
    assert_int_equal(inverses, 10);
    /* Below the floor, and above the level, there is none. */
    const double m2[] = {0.2, 3, 0.5}, joint[] = {6, 0.2, 40, 0.3, 90, 0.25}, ln_x[] = {9, 9};
    assert_true(isnan(find("m2")->inverse(m2, 0, ln_x, log(0.19))));
    assert_true(isnan(find("joint")->inverse(joint, 1, ln_x, log(6.1))));
}

static void test_names(void **state) {
    (void)state;
    size_t count;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    for (size_t f = 0; f < count; f++) {
        assert_ptr_equal(ramify_law_form_find_for(forms[f]->name, forms[f]->variables), forms[f]);
        assert_true(forms[f]->parameters <= RAMIFY_LAW_PARAMETERS_MAX);
        for (uint32_t j = 0; j < forms[f]->parameters; j++)
            for (uint32_t k = 0; k < j; k++)
                assert_string_not_equal(forms[f]->parameter[j].name, forms[f]->parameter[k].name);
        for (uint32_t v = 0; v < forms[f]->variables; v++)
            assert_non_null(forms[f]->role[v]);
    }
    assert_null(ramify_law_form_find("m5"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_m4_solves_its_equation),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_far_out),
        cmocka_unit_test(test_starts),    cmocka_unit_test(test_damped),
        cmocka_unit_test(test_inverses),  cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
