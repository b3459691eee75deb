/* Laws of model size and data. Variables: 0 model size, 1 data, 2 unique data. */

#include "forms.h"
#include "law_numbers.h"
#include "law_projection.h"

/* Exponents that the starts try, for model and data each. */
static const double exponents[] = {0.05, 0.15, 0.3, 0.5, 0.8, 1.2};
#define EXPONENTS (sizeof exponents / sizeof exponents[0])

/* The projection with the index-th pair of exponents. A coefficient that it sets to 0 begins small
 * instead, as its logarithm is what moves: a hundredth of the scale at the least x. */
static bool start_from(const ramify_runs *runs, uint32_t index, ramify_law_target *target,
                       double level, double coefficient[3], double *alpha, double *beta) {
    *alpha = exponents[index % EXPONENTS];
    *beta = exponents[index / EXPONENTS % EXPONENTS];
    if (!ramify_law_project(runs, target, level, *alpha, *beta, coefficient))
        return false;
    double scale = target(ramify_errors_range(runs).low, level);
    const double ln_least[3] = {0, *alpha * ramify_variable_range(runs, 0).low,
                                *beta * ramify_variable_range(runs, 1).low};
    for (int a = 0; a < 3; a++)
        if (!(coefficient[a] > 0))
            coefficient[a] = 0.01 * scale * exp(ln_least[a]);
    return true;
}

/* --- additive: floor + A / N^alpha + B / D^beta ------------------------------------------- */

/* theta: floor, A, alpha, B, beta */
static double additive_value(const double *theta, const double *ln_x, double *gradient) {
    double ln_model = log(theta[1]) - theta[2] * ln_x[0];
    double ln_data = log(theta[3]) - theta[4] * ln_x[1];
    double value = ramify_log_add(log(theta[0]), ramify_log_add(ln_model, ln_data));
    if (gradient) {
        double model = exp(ln_model - value), data = exp(ln_data - value);
        gradient[0] = exp(-value);
        gradient[1] = model / theta[1];
        gradient[2] = -model * ln_x[0];
        gradient[3] = data / theta[3];
        gradient[4] = -data * ln_x[1];
    }
    return value;
}

/* ln of the size at which its term is what the other term and the floor leave of e^ln_y. */
static double additive_inverse(const double *theta, uint32_t variable, const double *ln_x,
                               double ln_y) {
    const double *own = theta + 1 + 2 * variable, *other = theta + 3 - 2 * variable;
    double rest = ramify_log_add(log(theta[0]), log(other[0]) - other[1] * ln_x[1 - variable]);
    return (log(own[0]) - ramify_log_subtract(ln_y, rest)) / own[1];
}

static double plain_target(double ln_y, double level) {
    (void)level;
    return exp(ln_y);
}

static bool additive_start(const ramify_runs *runs, uint32_t index, double *theta) {
    double c[3];
    if (index >= EXPONENTS * EXPONENTS ||
        !start_from(runs, index, plain_target, 0, c, &theta[2], &theta[4]))
        return false;
    theta[0] = c[0];
    theta[1] = c[1];
    theta[3] = c[2];
    return true;
}

const ramify_law_form ramify_form_additive = {
    .name = "additive",
    .formula = "floor + A / N^alpha + B / D^beta",
    .source = "Hoffmann and others 2022, approach 3",
    .variables = 2,
    .role = {"model size", "data"},
    .parameters = 5,
    .parameter = {{"floor", RAMIFY_LAW_POSITIVE},
                  {"coefficient_model", RAMIFY_LAW_POSITIVE},
                  {"exponent_model", RAMIFY_LAW_POSITIVE},
                  {"coefficient_data", RAMIFY_LAW_POSITIVE},
                  {"exponent_data", RAMIFY_LAW_POSITIVE}},
    .log_value = additive_value,
    .start = additive_start,
    .floor = ramify_form_first,
    .inverse = additive_inverse,
};

/* --- joint: level s / sqrt(1 + s^2), s = C + A / N^alpha + B / D^beta ---------------------- */

/* Rosenfeld's envelope with eta = 1: of his a, b, c and eta only the ratios count. theta: level, C,
 * A, alpha, B, beta. ln y = ln level + l - ln(1 + e^(2 l)) / 2 with l = ln s. */
static double joint_value(const double *theta, const double *ln_x, double *gradient) {
    double inner = additive_value(theta + 1, ln_x, gradient ? gradient + 1 : NULL);
    if (gradient) {
        double slope = ramify_logistic(-2 * inner);
        for (int i = 1; i < 6; i++)
            gradient[i] *= slope;
        gradient[0] = 1 / theta[0];
    }
    return log(theta[0]) + inner - 0.5 * ramify_log_one_plus(2 * inner);
}

/* The envelope undone: s = y / sqrt(level^2 - y^2). */
static double joint_target(double ln_y, double level) {
    double share = exp(ln_y) / level;
    return share < 1 ? share / sqrt(1 - share * share) : (double)NAN;
}

static bool joint_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double levels[] = {1.02, 1.2, 2, 10}; /* of the largest error */
    uint32_t pairs = EXPONENTS * EXPONENTS;
    double c[3];
    if (index >= pairs * 4)
        return false;
    theta[0] = levels[index / pairs] * exp(ramify_errors_range(runs).high);
    if (!start_from(runs, index % pairs, joint_target, theta[0], c, &theta[3], &theta[5]))
        return false;
    theta[1] = c[0];
    theta[2] = c[1];
    theta[4] = c[2];
    return true;
}

static double joint_inverse(const double *theta, uint32_t variable, const double *ln_x,
                            double ln_y) {
    return additive_inverse(theta + 1, variable, ln_x, log(joint_target(ln_y, theta[0])));
}

static double joint_floor(const double *theta) {
    return theta[0] * theta[1] / sqrt(1 + theta[1] * theta[1]);
}

#define JOINT_PARAMETERS                                                                           \
    {                                                                                              \
        {"level", RAMIFY_LAW_POSITIVE}, {"offset", RAMIFY_LAW_POSITIVE},                           \
            {"coefficient_model", RAMIFY_LAW_POSITIVE}, {"exponent_model", RAMIFY_LAW_POSITIVE},   \
            {"coefficient_data", RAMIFY_LAW_POSITIVE}, {"exponent_data", RAMIFY_LAW_POSITIVE},     \
    }

const ramify_law_form ramify_form_joint = {
    .name = "joint",
    .formula = "level s / sqrt(1 + s^2), s = offset + A / N^alpha + B / D^beta",
    .source = "Rosenfeld, Rosenfeld, Belinkov, Shavit 2020",
    .variables = 2,
    .role = {"model size", "data"},
    .parameters = 6,
    .parameter = JOINT_PARAMETERS,
    .log_value = joint_value,
    .start = joint_start,
    .floor = joint_floor,
    .inverse = joint_inverse,
};

/* --- data-constrained ----------------------------------------------------------------------- */

/* A size that repeats lose value of (Muennighoff, equation 5):
 *     e = u (1 + r* (1 - e^(-r / r*))),   r = x / u - 1 repeats. */
typedef struct effective {
    double ln_size;
    double by_unique;  /* d ln e / d ln u, x given */
    double by_repeats; /* d ln e / d r* */
} effective;

static effective effective_size(double ln_x, double ln_unique, double repeats) {
    double r = expm1(ln_x - ln_unique), decay = exp(-r / repeats);
    double inside = 1 + repeats * (1 - decay);
    return (effective){.ln_size = ln_unique + log(inside),
                       .by_unique = 1 - (r + 1) * decay / inside,
                       .by_repeats = (1 - decay - decay * r / repeats) / inside};
}

/* theta: floor, A, alpha, B, beta, r*_model, r*_data. The model's unique size is at most the best one
 * for the unique data, (U G)^(beta / alpha) G with G = (alpha A / (beta B))^(1 / (alpha + beta)). */
static double constrained_value(const double *theta, const double *ln_x, double *gradient) {
    double alpha = theta[2], beta = theta[4];
    double ln_unique_data = fmin(ln_x[1], ln_x[2]);
    double ln_g = (log(alpha * theta[1]) - log(beta * theta[3])) / (alpha + beta);
    double ln_best = beta / alpha * (ln_unique_data + ln_g) + ln_g;
    bool past = ln_x[0] > ln_best;
    effective model = {.ln_size = ln_x[0]}, data = {.ln_size = ln_x[1]};
    if (past)
        model = effective_size(ln_x[0], ln_best, theta[5]);
    if (ln_x[1] > ln_unique_data)
        data = effective_size(ln_x[1], ln_unique_data, theta[6]);
    const double sizes[2] = {model.ln_size, data.ln_size};
    double value = additive_value(theta, sizes, gradient);
    if (gradient) {
        /* gradient[2] / -ln N_e is the model term's share of y, and so for the data. */
        double model_share = exp(log(theta[1]) - alpha * sizes[0] - value);
        double data_share = exp(log(theta[3]) - beta * sizes[1] - value);
        gradient[5] = -model_share * alpha * model.by_repeats;
        gradient[6] = -data_share * beta * data.by_repeats;
        if (past) {
            double by_best = -model_share * alpha * model.by_unique;
            double by_g = by_best * (beta / alpha + 1), sum = alpha + beta;
            gradient[1] += by_g / (sum * theta[1]);
            gradient[2] += by_g * (1 / alpha - ln_g) / sum -
                           by_best * beta / (alpha * alpha) * (ln_unique_data + ln_g);
            gradient[3] -= by_g / (sum * theta[3]);
            gradient[4] +=
                by_g * (-1 / beta - ln_g) / sum + by_best / alpha * (ln_unique_data + ln_g);
        }
    }
    return value;
}

static bool constrained_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double repeats[] = {3, 15};
    if (!additive_start(runs, index / 2, theta))
        return false;
    theta[5] = theta[6] = repeats[index % 2];
    return true;
}

const ramify_law_form ramify_form_constrained = {
    .name = "data-constrained",
    .formula = "floor + A / N_e^alpha + B / D_e^beta, N_e and D_e discounted for repeats",
    .source = "Muennighoff and others 2023",
    .variables = 3,
    .role = {"model size", "data", "unique data"},
    .parameters = 7,
    .parameter = {{"floor", RAMIFY_LAW_POSITIVE},
                  {"coefficient_model", RAMIFY_LAW_POSITIVE},
                  {"exponent_model", RAMIFY_LAW_POSITIVE},
                  {"coefficient_data", RAMIFY_LAW_POSITIVE},
                  {"exponent_data", RAMIFY_LAW_POSITIVE},
                  {"repeats_model", RAMIFY_LAW_POSITIVE},
                  {"repeats_data", RAMIFY_LAW_POSITIVE}},
    .log_value = constrained_value,
    .start = constrained_start,
    .floor = ramify_form_first,
};
