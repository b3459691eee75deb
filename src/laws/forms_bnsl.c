/* Broken neural scaling laws (Caballero, Gupta, Rish, Krueger 2023): a power law whose slope changes
 * smoothly at up to three places,
 *     y = floor + b x^-c0 prod_i (1 + (x / d_i)^(1 / f_i))^(-c_i f_i).
 * theta: floor, b, c0, then c, d, f of every break. */

#include "forms.h"
#include "law_numbers.h"

#include <string.h>

static double broken_value(const double *theta, uint32_t breaks, const double *ln_x,
                           double *gradient) {
    double ln_power = log(theta[1]) - theta[2] * ln_x[0];
    for (uint32_t i = 0; i < breaks; i++) {
        const double *at = theta + 3 + 3 * (size_t)i; /* c, d, f */
        ln_power -= at[0] * at[2] * ramify_log_one_plus((ln_x[0] - log(at[1])) / at[2]);
    }
    double value = ramify_log_add(log(theta[0]), ln_power);
    if (!gradient)
        return value;
    double share = exp(ln_power - value);
    gradient[0] = exp(-value);
    gradient[1] = share / theta[1];
    gradient[2] = -share * ln_x[0];
    for (uint32_t i = 0; i < breaks; i++) {
        const double *at = theta + 3 + 3 * (size_t)i;
        double *slope = gradient + 3 + 3 * (size_t)i;
        double z = (ln_x[0] - log(at[1])) / at[2], beyond = ramify_logistic(z);
        double softplus = ramify_log_one_plus(z);
        slope[0] = -share * at[2] * softplus;
        slope[1] = share * at[0] * beyond / at[1];
        slope[2] = -share * at[0] * (softplus - z * beyond);
    }
    return value;
}

static double broken_0(const double *theta, const double *ln_x, double *gradient) {
    return broken_value(theta, 0, ln_x, gradient);
}
static double broken_1(const double *theta, const double *ln_x, double *gradient) {
    return broken_value(theta, 1, ln_x, gradient);
}
static double broken_2(const double *theta, const double *ln_x, double *gradient) {
    return broken_value(theta, 2, ln_x, gradient);
}
static double broken_3(const double *theta, const double *ln_x, double *gradient) {
    return broken_value(theta, 3, ln_x, gradient);
}

/* Floors times places of the breaks times slopes behind them. */
static bool start_broken(const ramify_runs *runs, uint32_t breaks, uint32_t index, double *theta) {
    static const double floors[] = {1e-6, 0.5, 0.9};
    static const double turns[] = {-0.1, 0.1, 0.4}; /* c_i: how much steeper it becomes */
    uint32_t places = breaks > 0 ? 3 : 1, slopes = breaks > 0 ? 3 : 1;
    if (index >= 3 * places * slopes)
        return false;
    ramify_log_range x = ramify_variable_range(runs, 0);
    double intercept, slope;
    theta[0] = floors[index % 3] * exp(ramify_errors_range(runs).low);
    if (!ramify_law_line(runs, log(theta[0]), &intercept, &slope))
        return false;
    theta[1] = exp(intercept);
    theta[2] = -slope;
    for (uint32_t i = 0; i < breaks; i++) {
        double *at = theta + 3 + 3 * (size_t)i;
        double share = (i + 0.25 + 0.25 * (index / 3 % 3)) / breaks;
        at[0] = turns[index / 9 % 3];
        at[1] = exp(x.low + share * (x.high - x.low));
        at[2] = 0.3;
    }
    return true;
}

static bool start_0(const ramify_runs *runs, uint32_t index, double *theta) {
    return start_broken(runs, 0, index, theta);
}
static bool start_1(const ramify_runs *runs, uint32_t index, double *theta) {
    return start_broken(runs, 1, index, theta);
}
static bool start_2(const ramify_runs *runs, uint32_t index, double *theta) {
    return start_broken(runs, 2, index, theta);
}
static bool start_3(const ramify_runs *runs, uint32_t index, double *theta) {
    return start_broken(runs, 3, index, theta);
}

#define BROKEN(number)                                                                             \
    {                                                                                              \
        .name = "bnsl" #number, .formula = "floor + b x^-c0 prod (1 + (x/d)^(1/f))^(-c f)",        \
        .source = "Caballero, Gupta, Rish, Krueger 2023", .variables = 1, .role = {"size"},        \
        .parameters = 3 + 3 * (number),                                                            \
        .parameter =                                                                               \
            {{"floor", RAMIFY_LAW_POSITIVE},        {"coefficient", RAMIFY_LAW_POSITIVE},          \
             {"exponent", RAMIFY_LAW_REAL},         {"break1_exponent", RAMIFY_LAW_REAL},          \
             {"break1_place", RAMIFY_LAW_POSITIVE}, {"break1_width", RAMIFY_LAW_POSITIVE},         \
             {"break2_exponent", RAMIFY_LAW_REAL},  {"break2_place", RAMIFY_LAW_POSITIVE},         \
             {"break2_width", RAMIFY_LAW_POSITIVE}, {"break3_exponent", RAMIFY_LAW_REAL},          \
             {"break3_place", RAMIFY_LAW_POSITIVE}, {"break3_width", RAMIFY_LAW_POSITIVE}},        \
        .log_value = broken_##number, .start = start_##number, .floor = ramify_form_first          \
    }

const ramify_law_form ramify_form_bnsl0 = BROKEN(0);
const ramify_law_form ramify_form_bnsl1 = BROKEN(1);
const ramify_law_form ramify_form_bnsl2 = BROKEN(2);
const ramify_law_form ramify_form_bnsl3 = BROKEN(3);
