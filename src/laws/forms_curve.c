/* Laws of one variable: learning curves. */

#include "forms.h"
#include "law_numbers.h"

/* Starts with a floor at these shares of the least error; the first is none. */
static const double floor_shares[] = {1e-6, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99};
#define FLOOR_SHARES (sizeof floor_shares / sizeof floor_shares[0])

/* A line through the errors above a floor: theta of floor + e^intercept x^slope. */
static bool start_above_floor(const ramify_runs *runs, uint32_t index, double *floor,
                              double *intercept, double *slope) {
    if (index >= FLOOR_SHARES)
        return false;
    *floor = floor_shares[index] * exp(ramify_errors_range(runs).low);
    return ramify_law_line(runs, log(*floor), intercept, slope);
}

/* --- m1, pow2: b x^-c --------------------------------------------------------------------- */

static double power_value(const double *theta, const double *ln_x, double *gradient) {
    if (gradient) {
        gradient[0] = 1 / theta[0];
        gradient[1] = -ln_x[0];
    }
    return log(theta[0]) - theta[1] * ln_x[0];
}

static bool power_start(const ramify_runs *runs, uint32_t index, double *theta) {
    double intercept, slope;
    if (index > 0 || !ramify_law_line(runs, -INFINITY, &intercept, &slope))
        return false;
    theta[0] = exp(intercept);
    theta[1] = -slope;
    return true;
}

static double power_inverse(const double *theta, uint32_t variable, const double *ln_x,
                            double ln_y) {
    (void)variable;
    (void)ln_x;
    return (log(theta[0]) - ln_y) / theta[1];
}

static double power_floor(const double *theta) {
    (void)theta;
    return 0;
}

const ramify_law_form ramify_form_m1 = {
    .name = "m1",
    .formula = "b x^-c",
    .source = "Alabdulmohsin, Neyshabur, Zhai 2022, M1",
    .variables = 1,
    .role = {"size"},
    .parameters = 2,
    .parameter = {{"coefficient", RAMIFY_LAW_POSITIVE}, {"exponent", RAMIFY_LAW_REAL}},
    .log_value = power_value,
    .start = power_start,
    .floor = power_floor,
    .inverse = power_inverse,
};

const ramify_law_form ramify_form_pow2 = {
    .name = "pow2",
    .formula = "b x^-c",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022; the same as m1",
    .variables = 1,
    .role = {"size"},
    .parameters = 2,
    .parameter = {{"coefficient", RAMIFY_LAW_POSITIVE}, {"exponent", RAMIFY_LAW_REAL}},
    .log_value = power_value,
    .start = power_start,
    .floor = power_floor,
    .inverse = power_inverse,
};

/* --- m2: floor + b x^-c ------------------------------------------------------------------- */

static double floored_value(const double *theta, const double *ln_x, double *gradient) {
    double ln_floor = log(theta[0]), ln_power = log(theta[1]) - theta[2] * ln_x[0];
    double value = ramify_log_add(ln_floor, ln_power);
    if (gradient) {
        double share = exp(ln_power - value);
        gradient[0] = exp(-value);
        gradient[1] = share / theta[1];
        gradient[2] = -share * ln_x[0];
    }
    return value;
}

static bool floored_start(const ramify_runs *runs, uint32_t index, double *theta) {
    double intercept, slope;
    if (!start_above_floor(runs, index, &theta[0], &intercept, &slope))
        return false;
    theta[1] = exp(intercept);
    theta[2] = slope < -1e-3 ? -slope : 1e-3;
    return true;
}

static double floored_inverse(const double *theta, uint32_t variable, const double *ln_x,
                              double ln_y) {
    (void)variable;
    (void)ln_x;
    return (log(theta[1]) - ramify_log_subtract(ln_y, log(theta[0]))) / theta[2];
}

const ramify_law_form ramify_form_m2 = {
    .name = "m2",
    .formula = "floor + b x^-c",
    .source = "Alabdulmohsin, Neyshabur, Zhai 2022, M2; Hestness and others 2017",
    .variables = 1,
    .role = {"size"},
    .parameters = 3,
    .parameter = {{"floor", RAMIFY_LAW_POSITIVE},
                  {"coefficient", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE}},
    .log_value = floored_value,
    .start = floored_start,
    .floor = ramify_form_first,
    .inverse = floored_inverse,
};

/* --- m3: b (1/x + g)^c -------------------------------------------------------------------- */

static double shifted_value(const double *theta, const double *ln_x, double *gradient) {
    double inside = ramify_log_add(-ln_x[0], log(theta[2]));
    if (gradient) {
        gradient[0] = 1 / theta[0];
        gradient[1] = inside;
        gradient[2] = theta[1] * exp(-inside);
    }
    return log(theta[0]) + theta[1] * inside;
}

static bool shifted_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double shares[] = {1e-3, 0.1, 0.3, 1, 3}; /* of 1 / largest x */
    double intercept, slope;
    if (index >= sizeof shares / sizeof shares[0] ||
        !ramify_law_line(runs, -INFINITY, &intercept, &slope))
        return false;
    theta[0] = exp(intercept);
    theta[1] = slope < -1e-3 ? -slope : 1e-3;
    theta[2] = shares[index] * exp(-ramify_variable_range(runs, 0).high);
    return true;
}

static double shifted_inverse(const double *theta, uint32_t variable, const double *ln_x,
                              double ln_y) {
    (void)variable;
    (void)ln_x;
    return -ramify_log_subtract((ln_y - log(theta[0])) / theta[1], log(theta[2]));
}

static double shifted_floor(const double *theta) {
    return exp(log(theta[0]) + theta[1] * log(theta[2]));
}

const ramify_law_form ramify_form_m3 = {
    .name = "m3",
    .formula = "b (1/x + g)^c",
    .source = "Alabdulmohsin, Neyshabur, Zhai 2022, M3",
    .variables = 1,
    .role = {"size"},
    .parameters = 3,
    .parameter = {{"coefficient", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE},
                  {"shift", RAMIFY_LAW_POSITIVE}},
    .log_value = shifted_value,
    .start = shifted_start,
    .floor = shifted_floor,
    .inverse = shifted_inverse,
};

/* --- m4: (y - floor) / (top - y)^a = b x^-c ----------------------------------------------- */

/* theta: floor, gap, a, b, c with top = floor + gap. y = floor + gap p, p in (0, 1), solves
 *     ln p - a ln(1 - p) = t,  t = ln b - c ln x - (1 - a) ln gap;
 * the left side rises in the logit q of p from -infinity to infinity:
 *     h(q) = a q + (1 - a) ln p(q),  h' = a + (1 - a) (1 - p) >= min(1, a). */
typedef struct logit {
    double q, ln_p, ln_rest, rest; /* of p and 1 - p */
} logit;

static logit logit_at(double q) {
    double e = exp(-fabs(q)), l = log(1 + e); /* absolute errors are what counts: no log1p */
    return (logit){.q = q,
                   .ln_p = q > 0 ? -l : q - l,
                   .ln_rest = q > 0 ? -q - l : -l,
                   .rest = (q > 0 ? e : 1) / (1 + e)};
}

/* Halley's steps: h is between its asymptotes, one of which is the beginning. The error after a step
 * goes with the third power of it. */
static logit solve_logit(double a, double t) {
    logit at = logit_at(t / (t < 0 ? 1 : a));
    for (int round = 0; round < 100; round++) {
        double off = a * at.q + (1 - a) * at.ln_p - t;
        double slope = a + (1 - a) * at.rest, bend = (a - 1) * at.rest * (1 - at.rest);
        double newton = off / slope, turn = 1 - 0.5 * newton * bend / slope;
        double step = turn > 0.5 ? newton / turn : newton;
        at = logit_at(at.q - step);
        if (fabs(step) <= 1e-6 * (1 + fabs(at.q)))
            break;
    }
    return at;
}

static double sigmoid_value(const double *theta, const double *ln_x, double *gradient) {
    double ln_gap = log(theta[1]), a = theta[2];
    double t = log(theta[3]) - theta[4] * ln_x[0] - (1 - a) * ln_gap;
    logit at = solve_logit(a, t);
    double power = exp(ln_gap + at.ln_p), value = log(theta[0] + power);
    if (gradient) {
        double slope = a + (1 - a) * at.rest, least = 1 / (theta[0] + power);
        /* d y / d q = gap p (1 - p); d q = (dt - (q - ln p) da) / slope, and q - ln p = -ln(1 - p) */
        double by_q = power * at.rest * least / slope;
        gradient[0] = least;
        gradient[1] = (power - by_q * (1 - a) / least) / theta[1] * least;
        gradient[2] = by_q * (ln_gap + at.ln_rest);
        gradient[3] = by_q / theta[3];
        gradient[4] = -by_q * ln_x[0];
    }
    return value;
}

static bool sigmoid_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double tops[] = {1.02, 1.2, 2};
    static const double bends[] = {0.3, 1, 3};
    uint32_t floors = FLOOR_SHARES;
    double intercept, slope;
    if (index >= floors * 9)
        return false;
    ramify_log_range y = ramify_errors_range(runs);
    if (!start_above_floor(runs, index % floors, &theta[0], &intercept, &slope))
        return false;
    theta[1] = tops[index / floors % 3] * exp(y.high) - theta[0];
    theta[2] = bends[index / floors / 3];
    /* A line through the left side of the equation. */
    double n = 0, x = 0, z = 0, xx = 0, xz = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double error = exp(runs->ln_y[i]), ln_x = runs->ln_x[i * runs->variables];
        double left = log(error - theta[0]) - theta[2] * log(theta[0] + theta[1] - error);
        if (!isfinite(left))
            continue;
        n++;
        double dx = ln_x - x, dz = left - z;
        x += dx / n;
        z += dz / n;
        xx += dx * (ln_x - x);
        xz += dx * (left - z);
    }
    if (n < 2 || !(xx > 0))
        return false;
    slope = xz / xx < -1e-3 ? xz / xx : -1e-3;
    theta[3] = exp(z - slope * x);
    theta[4] = -slope;
    return isfinite(theta[3]) && theta[3] > 0;
}

static double sigmoid_inverse(const double *theta, uint32_t variable, const double *ln_x,
                              double ln_y) {
    (void)variable;
    (void)ln_x;
    double above = ramify_log_subtract(ln_y, log(theta[0]));
    double below = ramify_log_subtract(log(theta[0] + theta[1]), ln_y);
    return (log(theta[3]) - above + theta[2] * below) / theta[4];
}

const ramify_law_form ramify_form_m4 = {
    .name = "m4",
    .formula = "(y - floor) / (floor + gap - y)^a = b x^-c",
    .source = "Alabdulmohsin, Neyshabur, Zhai 2022, M4",
    .variables = 1,
    .role = {"size"},
    .parameters = 5,
    .parameter = {{"floor", RAMIFY_LAW_POSITIVE},
                  {"gap", RAMIFY_LAW_POSITIVE},
                  {"bend", RAMIFY_LAW_POSITIVE},
                  {"coefficient", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE}},
    .log_value = sigmoid_value,
    .start = sigmoid_start,
    .floor = ramify_form_first,
    .inverse = sigmoid_inverse,
};

/* --- pow3: a + b x^-c with any signs, pow4: a + b (x + d)^-c ------------------------------ */

/* ln of a value and the gradient of the logarithm from that of the value; NaN if not positive. */
static double log_of(double value, double *gradient, uint32_t parameters) {
    if (!(value > 0))
        return (double)NAN;
    for (uint32_t i = 0; gradient && i < parameters; i++)
        gradient[i] /= value;
    return log(value);
}

static double offset_power_value(const double *theta, const double *ln_x, double *gradient) {
    double power = exp(-theta[2] * ln_x[0]);
    if (gradient) {
        gradient[0] = 1;
        gradient[1] = power;
        gradient[2] = -theta[1] * power * ln_x[0];
    }
    return log_of(theta[0] + theta[1] * power, gradient, 3);
}

static double offset_power_floor(const double *theta) {
    return theta[2] > 0 ? theta[0] : 0;
}

const ramify_law_form ramify_form_pow3 = {
    .name = "pow3",
    .formula = "a + b x^-c",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022",
    .variables = 1,
    .role = {"size"},
    .parameters = 3,
    .parameter = {{"floor", RAMIFY_LAW_REAL},
                  {"coefficient", RAMIFY_LAW_REAL},
                  {"exponent", RAMIFY_LAW_REAL}},
    .log_value = offset_power_value,
    .start = floored_start,
    .floor = offset_power_floor,
};

static double moved_power_value(const double *theta, const double *ln_x, double *gradient) {
    double ln_moved = ramify_log_add(ln_x[0], log(theta[3]));
    double power = exp(-theta[2] * ln_moved);
    if (gradient) {
        gradient[0] = 1;
        gradient[1] = power;
        gradient[2] = -theta[1] * power * ln_moved;
        gradient[3] = -theta[1] * theta[2] * exp(-(theta[2] + 1) * ln_moved);
    }
    return log_of(theta[0] + theta[1] * power, gradient, 4);
}

static bool moved_power_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double shares[] = {0.01, 1}; /* of the least x */
    if (!floored_start(runs, index / 2, theta))
        return false;
    theta[3] = shares[index % 2] * exp(ramify_variable_range(runs, 0).low);
    return true;
}

const ramify_law_form ramify_form_pow4 = {
    .name = "pow4",
    .formula = "a + b (x + d)^-c",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022",
    .variables = 1,
    .role = {"size"},
    .parameters = 4,
    .parameter = {{"floor", RAMIFY_LAW_REAL},
                  {"coefficient", RAMIFY_LAW_REAL},
                  {"exponent", RAMIFY_LAW_REAL},
                  {"shift", RAMIFY_LAW_POSITIVE}},
    .log_value = moved_power_value,
    .start = moved_power_start,
    .floor = offset_power_floor,
};

/* --- exp3: a + b e^(-c x) ------------------------------------------------------------------ */

static double exponential_value(const double *theta, const double *ln_x, double *gradient) {
    double x = exp(ln_x[0]), decay = exp(-theta[2] * x);
    if (gradient) {
        gradient[0] = 1;
        gradient[1] = decay;
        gradient[2] = -theta[1] * x * decay;
    }
    return log_of(theta[0] + theta[1] * decay, gradient, 3);
}

static bool exponential_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double rates[] = {0.3, 1, 3, 10}; /* decays over the range of x */
    if (index >= sizeof rates / sizeof rates[0])
        return false;
    ramify_log_range x = ramify_variable_range(runs, 0), y = ramify_errors_range(runs);
    theta[0] = 0.95 * exp(y.low);
    theta[1] = exp(y.high) - theta[0];
    theta[2] = rates[index] / exp(x.high);
    return true;
}

const ramify_law_form ramify_form_exp3 = {
    .name = "exp3",
    .formula = "a + b e^(-c x)",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022",
    .variables = 1,
    .role = {"size"},
    .parameters = 3,
    .parameter = {{"floor", RAMIFY_LAW_REAL},
                  {"coefficient", RAMIFY_LAW_REAL},
                  {"rate", RAMIFY_LAW_POSITIVE}},
    .log_value = exponential_value,
    .start = exponential_start,
    .floor = ramify_form_first,
};

/* --- mmf4: (a b + c x^d) / (b + x^d) ------------------------------------------------------ */

/* From a at x = 0 to c at infinity: y = a s + c (1 - s), s = b / (b + x^d). */
static double mmf_value(const double *theta, const double *ln_x, double *gradient) {
    double z = log(theta[1]) - theta[3] * ln_x[0], s = ramify_logistic(z);
    if (gradient) {
        double slope = (theta[0] - theta[2]) * s * (1 - s);
        gradient[0] = s;
        gradient[1] = slope / theta[1];
        gradient[2] = 1 - s;
        gradient[3] = -slope * ln_x[0];
    }
    return log_of(theta[0] * s + theta[2] * (1 - s), gradient, 4);
}

static bool mmf_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double slopes[] = {0.5, 1, 2};
    if (index >= 6)
        return false;
    ramify_log_range x = ramify_variable_range(runs, 0), y = ramify_errors_range(runs);
    theta[0] = (index % 2 ? 3 : 1.1) * exp(y.high);
    theta[2] = (index % 2 ? 0.5 : 0.9) * exp(y.low);
    theta[3] = slopes[index / 2];
    theta[1] = exp(theta[3] * (x.low + x.high) / 2);
    return true;
}

static double mmf_floor(const double *theta) {
    return theta[2];
}

const ramify_law_form ramify_form_mmf4 = {
    .name = "mmf4",
    .formula = "(a b + c x^d) / (b + x^d)",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022 (Morgan, Mercer, Flodin)",
    .variables = 1,
    .role = {"size"},
    .parameters = 4,
    .parameter = {{"top", RAMIFY_LAW_REAL},
                  {"half", RAMIFY_LAW_POSITIVE},
                  {"floor", RAMIFY_LAW_REAL},
                  {"exponent", RAMIFY_LAW_POSITIVE}},
    .log_value = mmf_value,
    .start = mmf_start,
    .floor = mmf_floor,
};

/* --- wbl4: c + b e^(-a x^d) --------------------------------------------------------------- */

static double weibull_value(const double *theta, const double *ln_x, double *gradient) {
    double power = exp(log(theta[2]) + theta[3] * ln_x[0]), decay = exp(-power);
    if (gradient) {
        double slope = -theta[1] * decay * power;
        gradient[0] = 1;
        gradient[1] = decay;
        gradient[2] = slope / theta[2];
        gradient[3] = slope * ln_x[0];
    }
    return log_of(theta[0] + theta[1] * decay, gradient, 4);
}

static bool weibull_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double slopes[] = {0.1, 0.3, 1};
    static const double decays[] = {1, 4};
    if (index >= 6)
        return false;
    ramify_log_range x = ramify_variable_range(runs, 0), y = ramify_errors_range(runs);
    theta[0] = 0.8 * exp(y.low);
    theta[1] = 2 * (exp(y.high) - theta[0]);
    theta[3] = slopes[index / 2];
    theta[2] = decays[index % 2] * exp(-theta[3] * x.high);
    return true;
}

const ramify_law_form ramify_form_wbl4 = {
    .name = "wbl4",
    .formula = "c + b e^(-a x^d)",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022 (Weibull)",
    .variables = 1,
    .role = {"size"},
    .parameters = 4,
    .parameter = {{"floor", RAMIFY_LAW_REAL},
                  {"coefficient", RAMIFY_LAW_REAL},
                  {"rate", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE}},
    .log_value = weibull_value,
    .start = weibull_start,
    .floor = ramify_form_first,
};

/* --- ilog2: b + a / ln x ------------------------------------------------------------------ */

static double inverse_log_value(const double *theta, const double *ln_x, double *gradient) {
    if (!(ln_x[0] > 0))
        return (double)NAN;
    if (gradient) {
        gradient[0] = 1;
        gradient[1] = 1 / ln_x[0];
    }
    return log_of(theta[0] + theta[1] / ln_x[0], gradient, 2);
}

static bool inverse_log_start(const ramify_runs *runs, uint32_t index, double *theta) {
    ramify_log_range x = ramify_variable_range(runs, 0), y = ramify_errors_range(runs);
    if (index > 0 || !(x.low > 0) || !(x.high > x.low))
        return false;
    theta[1] = (exp(y.high) - exp(y.low)) / (1 / x.low - 1 / x.high);
    theta[0] = exp(y.low) - theta[1] / x.high;
    return true;
}

const ramify_law_form ramify_form_ilog2 = {
    .name = "ilog2",
    .formula = "b + a / ln x",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022",
    .variables = 1,
    .role = {"size"},
    .parameters = 2,
    .parameter = {{"floor", RAMIFY_LAW_REAL}, {"coefficient", RAMIFY_LAW_REAL}},
    .log_value = inverse_log_value,
    .start = inverse_log_start,
    .floor = ramify_form_first,
};
