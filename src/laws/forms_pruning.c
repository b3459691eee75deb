/* Laws of pruning (Rosenfeld, Frankle, Carbin, Shavit 2021): the error as a function of the density,
 * the share of weights that is left.
 *     y = dense ((d^2 + p^2 R) / (d^2 + p^2))^(gamma / 2),   R = (top / dense)^(2 / gamma)
 * dense: error without pruning; top: error when next to nothing is left; p: density at which it
 * turns. */

#include "forms.h"
#include "law_numbers.h"

/* ln of (d^2 + p^2 R) / (d^2 + p^2) to the gamma / 2, for ln d, ln p and L = ln(top / dense), and
 * its derivatives by these and gamma. ln p^2 R = 2 ln p + 2 L / gamma. */
typedef struct descent {
    double value, by_d, by_p, by_rise, by_gamma;
} descent;

static descent pruned(double ln_d, double ln_p, double rise, double gamma) {
    double above = 2 * ln_p + 2 * rise / gamma, below = 2 * ln_p;
    double top = ramify_log_add(2 * ln_d, above), bottom = ramify_log_add(2 * ln_d, below);
    double s = exp(above - top), t = exp(below - bottom); /* shares of p in each sum */
    /* For a large gamma the two sums differ by less than their last digits. */
    double ratio = above - below < 1 ? log1p(t * expm1(above - below)) : top - bottom;
    return (descent){.value = 0.5 * gamma * ratio,
                     .by_d = gamma * (t - s),
                     .by_p = gamma * (s - t),
                     .by_rise = s,
                     .by_gamma = 0.5 * ratio - s * rise / gamma};
}

/* ln d at which the error has risen by `risen` = ln (y / dense), between 0 and `rise`: with
 * K = e^(2 risen / gamma), d^2 = p^2 (R - K) / (K - 1). */
static double density_of(double risen, double ln_p, double rise, double gamma) {
    double ln_r = 2 * rise / gamma, ln_k = 2 * risen / gamma;
    return ln_p + 0.5 * (ramify_log_subtract(ln_r, ln_k) - ramify_log_subtract(ln_k, 0));
}

/* theta: dense, top, gamma, p */
static double pruning_value(const double *theta, const double *ln_x, double *gradient) {
    double rise = log(theta[1]) - log(theta[0]);
    descent at = pruned(ln_x[0], log(theta[3]), rise, theta[2]);
    if (gradient) {
        gradient[0] = (1 - at.by_rise) / theta[0];
        gradient[1] = at.by_rise / theta[1];
        gradient[2] = at.by_gamma;
        gradient[3] = at.by_p / theta[3];
    }
    return log(theta[0]) + at.value;
}

static double pruning_inverse(const double *theta, uint32_t variable, const double *ln_x,
                              double ln_y) {
    (void)variable;
    (void)ln_x;
    return density_of(ln_y - log(theta[0]), log(theta[3]), log(theta[1]) - log(theta[0]), theta[2]);
}

static bool pruning_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double tops[] = {1.1, 2, 5};
    static const double gammas[] = {0.15, 0.5, 1.5};
    static const double places[] = {0, 0.3, 0.7}; /* of the densities' range, from below */
    if (index >= 27)
        return false;
    ramify_log_range d = ramify_variable_range(runs, 0), y = ramify_errors_range(runs);
    theta[0] = exp(y.low);
    theta[1] = tops[index % 3] * exp(y.high);
    theta[2] = gammas[index / 3 % 3];
    theta[3] = exp(d.low + places[index / 9] * (d.high - d.low));
    return true;
}

const ramify_law_form ramify_form_pruning = {
    .name = "pruning",
    .formula = "dense ((d^2 + p^2 (top/dense)^(2/gamma)) / (d^2 + p^2))^(gamma/2)",
    .source = "Rosenfeld, Frankle, Carbin, Shavit 2021",
    .variables = 1,
    .role = {"density"},
    .parameters = 4,
    .parameter = {{"dense", RAMIFY_LAW_POSITIVE},
                  {"top", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE},
                  {"turn", RAMIFY_LAW_POSITIVE}},
    .log_value = pruning_value,
    .start = pruning_start,
    .floor = NULL,
    .inverse = pruning_inverse,
    .density = 1,
};

/* --- pruning-joint: d is replaced by depth^phi width^psi d ---------------------------------- */

/* Variables: depth, width, density, and the network's error without pruning, which is measured.
 * theta: top, gamma, p, phi, psi */
static double pruning_joint_value(const double *theta, const double *ln_x, double *gradient) {
    double ln_m = theta[3] * ln_x[0] + theta[4] * ln_x[1] + ln_x[2];
    double rise = log(theta[0]) - ln_x[3];
    descent at = pruned(ln_m, log(theta[2]), rise, theta[1]);
    if (gradient) {
        gradient[0] = at.by_rise / theta[0];
        gradient[1] = at.by_gamma;
        gradient[2] = at.by_p / theta[2];
        gradient[3] = at.by_d * ln_x[0];
        gradient[4] = at.by_d * ln_x[1];
    }
    return ln_x[3] + at.value;
}

/* Of depth, width or density; of the error without pruning there is none. */
static double pruning_joint_inverse(const double *theta, uint32_t variable, const double *ln_x,
                                    double ln_y) {
    const double power[3] = {theta[3], theta[4], 1};
    if (variable > 2)
        return (double)NAN;
    double ln_m = density_of(ln_y - ln_x[3], log(theta[2]), log(theta[0]) - ln_x[3], theta[1]);
    for (uint32_t v = 0; v < 3; v++)
        ln_m -= v == variable ? 0 : power[v] * ln_x[v];
    return ln_m / power[variable];
}

static bool pruning_joint_start(const ramify_runs *runs, uint32_t index, double *theta) {
    static const double tops[] = {1.1, 2};
    static const double gammas[] = {0.3, 1};
    static const double powers[] = {0.3, 1};
    static const double places[] = {0.2, 0.5, 0.8};
    if (index >= 48)
        return false;
    theta[0] = tops[index % 2] * exp(ramify_errors_range(runs).high);
    theta[1] = gammas[index / 2 % 2];
    theta[3] = powers[index / 4 % 2];
    theta[4] = powers[index / 8 % 2];
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < runs->count; i++) {
        const double *ln_x = runs->ln_x + i * runs->variables;
        double ln_m = theta[3] * ln_x[0] + theta[4] * ln_x[1] + ln_x[2];
        low = fmin(low, ln_m);
        high = fmax(high, ln_m);
    }
    theta[2] = exp(low + places[index / 16] * (high - low));
    return true;
}

const ramify_law_form ramify_form_pruning_joint = {
    .name = "pruning-joint",
    .formula = "pruning with d replaced by depth^phi width^psi d",
    .source = "Rosenfeld, Frankle, Carbin, Shavit 2021",
    .variables = 4,
    .role = {"depth", "width", "density", "error without pruning"},
    .parameters = 5,
    .parameter = {{"top", RAMIFY_LAW_POSITIVE},
                  {"exponent", RAMIFY_LAW_POSITIVE},
                  {"turn", RAMIFY_LAW_POSITIVE},
                  {"exponent_depth", RAMIFY_LAW_REAL},
                  {"exponent_width", RAMIFY_LAW_REAL}},
    .log_value = pruning_joint_value,
    .start = pruning_joint_start,
    .floor = NULL,
    .inverse = pruning_joint_inverse,
    .density = 3,
};
