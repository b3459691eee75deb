/* Softmax, alone and with its loss. A row is read three times (maximum, sum of exponentials,
 * result), all from cache. */

#include "vector.h"

#include <math.h>

RAMIFY_INLINE size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The largest value of a row, subtracted before exp so that nothing overflows. */
static float row_maximum(size_t classes, const float *x) {
    vec most = splat(-INFINITY);
    for (size_t j = 0; j < classes; j += LANES) {
        vec value = load_some(x + j, smaller(LANES, classes - j), -INFINITY);
        most = choose(value > most, value, most);
    }
    float lanes[LANES];
    store_unaligned(lanes, most);
    RAMIFY_UNROLL
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
        }
    }
    return lanes[0];
}

/* y = exp(x - maximum); returns the sum. */
static float exponentials(size_t classes, const float *x, float maximum, float *y) {
    vec sum = splat(0.0F);
    for (size_t j = 0; j < classes; j += LANES) {
        size_t count = smaller(LANES, classes - j);
        vec value = exp_negative(load_some(x + j, count, -INFINITY) - maximum);
        if (y) {
            store_some(y + j, count, value);
        }
        sum += value;
    }
    vec none = splat(0.0F);
    return sum_lanes(sum, none, none, none)[0];
}

void RAMIFY_KERNEL(softmax)(size_t rows, size_t classes, const float *x, size_t ldx, float *y,
                            size_t ldy) {
    for (size_t i = 0; i < rows && classes > 0; i++) {
        float *out = y + i * ldy;
        float maximum = row_maximum(classes, x + i * ldx);
        float sum = exponentials(classes, x + i * ldx, maximum, out);
        float inverse = 1.0F / sum;
        for (size_t j = 0; j < classes; j += LANES) {
            size_t count = smaller(LANES, classes - j);
            store_some(out + j, count, load_some(out + j, count, 0.0F) * inverse);
        }
    }
}

/* Sum of x - maximum: what label smoothing adds to the loss, and only then. */
static float sum_below(size_t classes, const float *x, float maximum) {
    vec sum = splat(0.0F);
    for (size_t j = 0; j < classes; j += LANES) {
        sum += load_some(x + j, smaller(LANES, classes - j), maximum) - maximum;
    }
    vec none = splat(0.0F);
    return sum_lanes(sum, none, none, none)[0];
}

void RAMIFY_KERNEL(cross_entropy)(size_t rows, size_t classes, const float *x, size_t ldx,
                                  const uint32_t *labels, float smoothing, const float *weight,
                                  float *loss, float *dx, size_t lddx) {
    const float share = classes > 0 ? smoothing / (float)classes : 0.0F;
    const float sharp = 1.0F - smoothing;
    for (size_t i = 0; i < rows && classes > 0; i++) {
        const float *in = x + i * ldx;
        float *out = dx ? dx + i * lddx : NULL;
        float maximum = row_maximum(classes, in);
        float logit = in[labels[i]] - maximum;
        float below = smoothing != 0.0F ? sum_below(classes, in, maximum) : 0.0F;
        /* From here `in` may be overwritten: dx may be x. */
        float sum = exponentials(classes, in, maximum, out);
        /* Targets sum to 1, so - sum target*(z - log sum) = log sum - sum target*z. A target of 0
         * adds nothing even where the logit is minus infinity. */
        float cross = logf(sum);
        if (sharp != 0.0F) {
            cross -= sharp * logit;
        }
        if (smoothing != 0.0F) {
            cross -= share * below;
        }
        loss[i] = cross;
        if (out) {
            float scale = weight ? weight[i] : 1.0F;
            float inverse = 1.0F / sum;
            float label = (out[labels[i]] * inverse - share - sharp) * scale;
            for (size_t j = 0; j < classes; j += LANES) {
                size_t count = smaller(LANES, classes - j);
                vec value = load_some(out + j, count, 0.0F) * inverse - share;
                store_some(out + j, count, value * scale);
            }
            out[labels[i]] = label;
        }
    }
}

/* Sum of target * (x - maximum). A target of 0 adds nothing even where x is minus infinity. */
static float expected_below(size_t classes, const float *x, const float *target, float maximum) {
    vec sum = splat(0.0F);
    for (size_t j = 0; j < classes; j += LANES) {
        size_t count = smaller(LANES, classes - j);
        vec share = load_some(target + j, count, 0.0F);
        vec below = load_some(x + j, count, maximum) - maximum;
        sum += choose(share != 0.0F, share * below, splat(0.0F));
    }
    vec none = splat(0.0F);
    return sum_lanes(sum, none, none, none)[0];
}

void RAMIFY_KERNEL(cross_entropy_soft)(size_t rows, size_t classes, const float *x, size_t ldx,
                                       const float *target, size_t ldt, const float *weight,
                                       float *loss, float *dx, size_t lddx) {
    for (size_t i = 0; i < rows && classes > 0; i++) {
        const float *in = x + i * ldx, *wanted = target + i * ldt;
        float *out = dx ? dx + i * lddx : NULL;
        float maximum = row_maximum(classes, in);
        float below = expected_below(classes, in, wanted, maximum);
        /* From here `in` may be overwritten: dx may be x. */
        float sum = exponentials(classes, in, maximum, out);
        loss[i] = logf(sum) - below;
        if (!out) {
            continue;
        }
        float scale = weight ? weight[i] : 1.0F, inverse = 1.0F / sum;
        for (size_t j = 0; j < classes; j += LANES) {
            size_t count = smaller(LANES, classes - j);
            vec value = load_some(out + j, count, 0.0F) * inverse;
            store_some(out + j, count, (value - load_some(wanted + j, count, 0.0F)) * scale);
        }
    }
}
