/* The readable twin of every kernel: loops that follow the formulas in kernels.h. The fast sets
 * are tested against these. Sums that a fast set splits over vector lanes run here in double, so
 * that the twin is the more exact of the two. */

#include "reflector.h"
#include "sets.h"
#include "sine.h"

#include <math.h>
#include <string.h>

static float prelu(float t, float slope) {
    return t > 0.0F ? t : slope * t;
}

static void matmul(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                   const float *b, size_t ldb, float *c, size_t ldc, bool accumulate) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = accumulate ? c[i * ldc + j] : 0.0F;
            for (size_t p = 0; p < k; p++) {
                sum = fmaf(a[i * a_row + p * a_col], b[p * ldb + j], sum);
            }
            c[i * ldc + j] = sum;
        }
    }
}

static void matmul_double(size_t m, size_t n, size_t k, const double *a, size_t a_row, size_t a_col,
                          const double *b, size_t ldb, double *c, size_t ldc,
                          ramify_product product) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = product == RAMIFY_PRODUCT_ALONE ? 0.0 : c[i * ldc + j];
            for (size_t p = 0; p < k; p++) {
                double left = a[i * a_row + p * a_col];
                sum = fma(product == RAMIFY_PRODUCT_SUBTRACTED ? -left : left, b[p * ldb + j], sum);
            }
            c[i * ldc + j] = sum;
        }
    }
}

static void eliminate(size_t rows, size_t steps, double *a, size_t lda, double *r, size_t ldr,
                      double *t) {
    for (size_t j = 0; j < steps; j++) {
        double dot[RAMIFY_PANEL] = {0.0}, factor[RAMIFY_PANEL], scale;
        for (size_t i = 0; i < rows; i++) {
            for (size_t l = 0; l < RAMIFY_PANEL; l++) {
                dot[l] += a[i * lda + j] * a[i * lda + l];
            }
        }
        ramify_reflector(j, dot, r + j * ldr, t, factor, &scale);
        for (size_t i = 0; i < rows; i++) {
            const double left = a[i * lda + j];
            for (size_t l = 0; l < RAMIFY_PANEL; l++) {
                a[i * lda + l] = (l == j ? scale : 1.0) * a[i * lda + l] - factor[l] * left;
            }
        }
    }
}

/* The sum over the terms that begin with the functions of the axes before, of which `product` is the
 * product; *next: number of the first of them. */
static double sum_terms(const ramify_series_at *at, const double *doubles, const float *floats,
                        size_t point, uint32_t axis, uint32_t left, double product, size_t *next) {
    if (axis == at->axes) {
        const double coefficient = doubles ? doubles[*next] : (double)floats[*next];
        ++*next;
        return coefficient * product;
    }
    double sum = 0.0;
    for (uint32_t f = 0; f < ramify_functions(left, at->pairs[axis]); f++) {
        const double value = at->values[axis][f * RAMIFY_SERIES_ROWS + point];
        const uint32_t k = ramify_frequency(f, at->pairs[axis]);
        sum += sum_terms(at, doubles, floats, point, axis + 1, ramify_set_left(at->set, left, k),
                         product * value, next);
    }
    return sum;
}

static void series(const ramify_series_at *at, const double *doubles, const float *floats,
                   double *y) {
    for (size_t i = 0; i < RAMIFY_SERIES_ROWS; i++) {
        size_t next = 0;
        y[i] = sum_terms(at, doubles, floats, i, 0, at->band, 1.0, &next);
    }
}

static void affine(size_t rows, size_t n, size_t k, const float *x, size_t ldx, const float *w,
                   size_t ldw, const float *bias, const float *slope, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = bias ? bias[j] : 0.0F;
            for (size_t p = 0; p < k; p++) {
                sum = fmaf(x[i * ldx + p], w[p * ldw + j], sum);
            }
            y[i * ldy + j] = slope ? prelu(sum, slope[j]) : sum;
        }
    }
}

static void dots(size_t rows, size_t n, size_t k, const float *x, size_t ldx, const float *w,
                 size_t ldw, const float *bias, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = bias ? bias[j] : 0.0;
            for (size_t p = 0; p < k; p++) {
                sum += (double)x[i * ldx + p] * w[j * ldw + p];
            }
            y[i * ldy + j] = (float)sum;
        }
    }
}

static float from_bfloat16(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float sparse_weight(const ramify_sparse *w, size_t at) {
    if (w->type == RAMIFY_WEIGHTS_INT8) {
        return ((const int8_t *)w->weights)[at];
    }
    if (w->type == RAMIFY_WEIGHTS_FLOAT32) {
        return ((const float *)w->weights)[at];
    }
    return from_bfloat16(((const uint16_t *)w->weights)[at]);
}

static void sparse_columns(const ramify_sparse *w, size_t columns, const float *x, size_t ldx,
                           const float *gain, const float *bias, const float *slope, float *y,
                           size_t ldy) {
    const bool wide = ramify_sparse_input_bytes(w->k) == 2;
    for (size_t i = 0; i < columns; i++) {
        size_t begin = 0;
        for (size_t j = 0; j < w->n; j++) {
            const size_t steps = w->steps[j / RAMIFY_SLICE];
            const float start = bias ? bias[j] : 0.0F;
            float sum = gain ? 0.0F : start;
            for (size_t step = 0; step < steps; step++) {
                const size_t at = begin + step * RAMIFY_SLICE + j % RAMIFY_SLICE;
                const size_t input =
                    wide ? ((const uint16_t *)w->inputs)[at] : ((const uint8_t *)w->inputs)[at];
                sum = fmaf(sparse_weight(w, at), x[input * ldx + i], sum);
            }
            sum = gain ? fmaf(sum, gain[j], start) : sum;
            y[j * ldy + i] = slope ? prelu(sum, slope[j]) : sum;
            begin += j % RAMIFY_SLICE == RAMIFY_SLICE - 1 ? steps * RAMIFY_SLICE : 0;
        }
    }
}

static void sparse_row(const ramify_sparse *w, const float *x, const float *gain, const float *bias,
                       const float *slope, float *y) {
    sparse_columns(w, 1, x, 1, gain, bias, slope, y, 1);
}

static void widen(size_t count, const uint16_t *from, float *to) {
    for (size_t i = 0; i < count; i++) {
        to[i] = from_bfloat16(from[i]);
    }
}

static void round_rows(size_t rows, size_t k, const float *x, size_t ldx, const float *gain,
                       int16_t *to, size_t ldto, float *step) {
    const float limit = (float)ramify_round_most(k);
    for (size_t i = 0; i < rows; i++) {
        float most = 0.0F;
        bool good = true;
        for (size_t p = 0; p < k; p++) {
            const float value = fabsf(x[i * ldx + p] * (gain ? gain[p] : 1.0F));
            good = good && isfinite(value);
            most = value > most ? value : most;
        }
        const bool some = good && most > RAMIFY_ROUND_LEAST;
        const float inverse = some ? limit / most : 0.0F;
        for (size_t p = 0; p < ldto; p++) {
            const float value = some && p < k ? x[i * ldx + p] * (gain ? gain[p] : 1.0F) : 0.0F;
            /* Adding 1.5 * 2^23 rounds to a whole number. */
            to[i * ldto + p] = (int16_t)(fmaf(value, inverse, 12582912.0F) - 12582912.0F);
        }
        step[i] = some ? most / limit : good ? 0.0F : NAN;
    }
}

static void affine_int8(size_t members, size_t rows, size_t n, size_t k, const int16_t *x,
                        size_t ldx, const float *step, const int8_t *w, const float *gain,
                        const float *bias, const float *slope, float *y, size_t ldy) {
    for (size_t i = 0; i < members * rows; i++) {
        const size_t of = i / rows * n; /* the member's */
        for (size_t j = 0; j < n; j++) {
            int32_t sum = 0;
            for (size_t p = 0; p < k; p++) {
                sum += x[i * ldx + p] * w[ramify_pair_at(k, p, j)];
            }
            const float h = fmaf((float)sum * step[i], gain[of + j], bias ? bias[of + j] : 0.0F);
            y[i * ldy + j] = slope ? prelu(h, slope[j]) : h;
        }
    }
}

static void affine_bfloat16(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                            const uint16_t *w, const float *bias, const float *slope, float *y,
                            size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            float h = bias ? bias[j] : 0.0F;
            for (size_t p = 0; p < k; p++) {
                h = fmaf(x[i * ldx + p], from_bfloat16(w[ramify_pair_at(k, p, j)]), h);
            }
            y[i * ldy + j] = slope ? prelu(h, slope[j]) : h;
        }
    }
}

/* The weight from an input to an output, or 0; *next: number of the first weight of their line. */
static float masked_weight(const ramify_masked *w, uint16_t mask, size_t bit, size_t next) {
    for (size_t b = 0; b < bit; b++) {
        next += mask >> b & 1;
    }
    return mask >> bit & 1 ? w->weights[next] : 0.0F;
}

static void unmask(const ramify_masked *w, float *dense) {
    size_t place = 0, next = 0;
    for (size_t first = 0; first < w->n; first += (size_t)16 * RAMIFY_PANEL_LINES) {
        for (size_t input = 0; input < w->k; input++) {
            for (size_t j = first; j < w->n && j < first + (size_t)16 * RAMIFY_PANEL_LINES;
                 j += 16, place++) {
                for (size_t bit = 0; bit < 16; bit++) {
                    dense[input * w->n + j + bit] = masked_weight(w, w->masks[place], bit, next);
                }
                next += (size_t)__builtin_popcount(w->masks[place]);
            }
        }
    }
}

static void masked_rows(const ramify_masked *w, size_t rows, const float *x, size_t ldx,
                        const float *bias, const float *slope, float *y, size_t ldy) {
    for (size_t row = 0; row < rows; row++) {
        for (size_t j = 0; j < w->n; j++) {
            y[row * ldy + j] = bias ? bias[j] : 0.0F;
        }
    }
    size_t place = 0, next = 0;
    for (size_t first = 0; first < w->n; first += (size_t)16 * RAMIFY_PANEL_LINES) {
        for (size_t input = 0; input < w->k; input++) {
            for (size_t j = first; j < w->n && j < first + (size_t)16 * RAMIFY_PANEL_LINES;
                 j += 16, place++) {
                for (size_t bit = 0; bit < 16; bit++) {
                    const float weight = masked_weight(w, w->masks[place], bit, next);
                    for (size_t row = 0; row < rows; row++) {
                        float *to = &y[row * ldy + j + bit];
                        *to = fmaf(x[row * ldx + input], weight, *to);
                    }
                }
                next += (size_t)__builtin_popcount(w->masks[place]);
            }
        }
    }
    for (size_t row = 0; row < rows; row++) {
        for (size_t j = 0; slope && j < w->n; j++) {
            y[row * ldy + j] = prelu(y[row * ldy + j], slope[j]);
        }
    }
}

static void transpose(size_t m, size_t n, const float *a, size_t lda, float *b, size_t ldb) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            b[j * ldb + i] = a[i * lda + j];
        }
    }
}

static void scale_columns(size_t rows, size_t n, const float *x, size_t ldx, const float *r,
                          float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            y[i * ldy + j] = x[i * ldx + j] * r[j];
        }
    }
}

static void scale_columns_backward(size_t rows, size_t n, const float *g, size_t ldg,
                                   const float *x, size_t ldx, const float *r, float *dr, float *dx,
                                   size_t lddx, bool accumulate) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            float gradient = g[i * ldg + j];
            dr[j] = fmaf(gradient, x[i * ldx + j], dr[j]);
            if (dx) {
                dx[i * lddx + j] = fmaf(gradient, r[j], accumulate ? dx[i * lddx + j] : 0.0F);
            }
        }
    }
}

static void activate(size_t rows, size_t n, const float *z, size_t ldz, const float *s,
                     const float *b, const float *slope, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            float h = fmaf(z[i * ldz + j], s ? s[j] : 1.0F, b[j]);
            y[i * ldy + j] = slope ? prelu(h, slope[j]) : h;
        }
    }
}

static void activate_backward(size_t rows, size_t n, const float *dy, size_t lddy, const float *z,
                              size_t ldz, const float *s, const float *b, const float *slope,
                              float *dz, size_t lddz, float *db, float *ds, float *dslope) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            float gradient = dy[i * lddy + j];
            float input = z[i * ldz + j];
            float scale = s ? s[j] : 1.0F;
            float h = fmaf(input, scale, b[j]);
            float dh = gradient;
            if (slope && !(h > 0.0F)) {
                dslope[j] = fmaf(gradient, h, dslope[j]);
                dh = gradient * slope[j];
            }
            db[j] += dh;
            if (s) {
                ds[j] = fmaf(dh, input, ds[j]);
            }
            dz[i * lddz + j] = dh * scale;
        }
    }
}

static void distances(size_t rows, size_t count, size_t dims, const float *x, size_t ldx,
                      const float *prototypes, size_t ldp, float *out, size_t ldout) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < count; j++) {
            double sum = 0.0;
            for (size_t p = 0; p < dims; p++) {
                double difference = (double)x[i * ldx + p] - prototypes[j * ldp + p];
                sum += difference * difference;
            }
            out[i * ldout + j] = (float)sum;
        }
    }
}

/* The largest value of a row: subtracted before exp, so that nothing overflows. */
static float row_maximum(size_t classes, const float *x) {
    float maximum = x[0];
    for (size_t j = 1; j < classes; j++) {
        if (x[j] > maximum) {
            maximum = x[j];
        }
    }
    return maximum;
}

static double exp_sum(size_t classes, const float *x, double maximum) {
    double sum = 0.0;
    for (size_t j = 0; j < classes; j++) {
        sum += exp(x[j] - maximum);
    }
    return sum;
}

static void softmax(size_t rows, size_t classes, const float *x, size_t ldx, float *y, size_t ldy) {
    if (classes == 0) {
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        const float *in = x + i * ldx;
        double maximum = row_maximum(classes, in);
        double sum = exp_sum(classes, in, maximum);
        for (size_t j = 0; j < classes; j++) {
            y[i * ldy + j] = (float)(exp(in[j] - maximum) / sum);
        }
    }
}

static void cross_entropy(size_t rows, size_t classes, const float *x, size_t ldx,
                          const uint32_t *labels, float smoothing, const float *weight, float *loss,
                          float *dx, size_t lddx) {
    if (classes == 0) {
        return;
    }
    double share = (double)smoothing / (double)classes;
    for (size_t i = 0; i < rows; i++) {
        const float *in = x + i * ldx;
        double maximum = row_maximum(classes, in);
        double sum = exp_sum(classes, in, maximum);
        double cross = 0.0;
        for (size_t j = 0; j < classes; j++) {
            double logit = in[j] - maximum;
            double target = share + (j == labels[i] ? 1.0 - smoothing : 0.0);
            /* A target of 0 adds nothing even where the logit is minus infinity. */
            cross += target != 0.0 ? target * (log(sum) - logit) : 0.0;
            if (dx) {
                double gradient = exp(logit) / sum - target;
                dx[i * lddx + j] = (float)(gradient * (weight ? weight[i] : 1.0F));
            }
        }
        loss[i] = (float)cross;
    }
}

static void cross_entropy_soft(size_t rows, size_t classes, const float *x, size_t ldx,
                               const float *target, size_t ldt, const float *weight, float *loss,
                               float *dx, size_t lddx) {
    for (size_t i = 0; i < rows && classes > 0; i++) {
        const float *in = x + i * ldx;
        double maximum = row_maximum(classes, in);
        double sum = exp_sum(classes, in, maximum);
        double cross = 0.0;
        for (size_t j = 0; j < classes; j++) {
            double logit = in[j] - maximum;
            double wanted = target[i * ldt + j];
            cross += wanted != 0.0 ? wanted * (log(sum) - logit) : 0.0;
            if (dx) {
                double gradient = exp(logit) / sum - wanted;
                dx[i * lddx + j] = (float)(gradient * (weight ? weight[i] : 1.0F));
            }
        }
        loss[i] = (float)cross;
    }
}

static float without_dust(float x) {
    return fabsf(x) < RAMIFY_ADAMW_LEAST ? 0.0F : x;
}

static void adamw(size_t n, float *p, const float *g, float *m, float *v, float rate, float beta1,
                  float beta2, float epsilon, float decay, float correction1, float correction2) {
    for (size_t i = 0; i < n; i++) {
        m[i] = without_dust(beta1 * m[i] + (1.0F - beta1) * g[i]);
        v[i] = without_dust(beta2 * v[i] + (1.0F - beta2) * g[i] * g[i]);
        float step = (m[i] / correction1) / (sqrtf(v[i] / correction2) + epsilon);
        p[i] = without_dust(p[i] * (1.0F - rate * decay) - rate * step);
    }
}

static void average(size_t n, float *average, const float *p, float keep) {
    for (size_t i = 0; i < n; i++) {
        average[i] += (1.0F - keep) * (p[i] - average[i]);
    }
}

static void standardise(size_t rows, size_t columns, const double *x, size_t ldx,
                        const double *center, const double *scale, double clip, float *z,
                        size_t ldz) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            double value = (x[i * ldx + j] - center[j]) / scale[j];
            if (isnan(value)) {
                z[i * ldz + j] = 0.0F;
            } else {
                z[i * ldz + j] = (float)fmax(-clip, fmin(clip, value));
            }
        }
    }
}

static void waves(size_t count, const float *turns, float *waves) {
    for (size_t i = 0; i < count; i++) {
        float t = ramify_part_of_turn(turns[i]); /* a wave may be written over turns[i] */
        waves[2 * i] = ramify_sine_turns(t);
        waves[2 * i + 1] = ramify_sine_turns(t + 0.25F);
    }
}

static void normalise_columns(size_t d, size_t n, const float *x, size_t ldx, float epsilon,
                              float *y, size_t ldy, float *inverse) {
    for (size_t j = 0; j < n; j++) {
        double mean = 0.0, variance = 0.0;
        for (size_t i = 0; i < d; i++) {
            mean += (double)x[i * ldx + j] / (double)d;
        }
        for (size_t i = 0; i < d; i++) {
            variance += pow(x[i * ldx + j] - mean, 2.0) / (double)d;
        }
        double scale = 1.0 / sqrt(variance + epsilon);
        for (size_t i = 0; i < d; i++) {
            y[i * ldy + j] = (float)((x[i * ldx + j] - mean) * scale);
        }
        inverse[j] = (float)scale;
    }
}

static void normalise_columns_backward(size_t d, size_t n, const float *dy, size_t lddy,
                                       const float *y, size_t ldy, const float *inverse, float *dx,
                                       size_t lddx, bool accumulate) {
    for (size_t j = 0; j < n; j++) {
        double mean = 0.0, slope = 0.0;
        for (size_t i = 0; i < d; i++) {
            mean += (double)dy[i * lddy + j] / (double)d;
            slope += (double)dy[i * lddy + j] * y[i * ldy + j] / (double)d;
        }
        for (size_t i = 0; i < d; i++) {
            double part = inverse[j] * (dy[i * lddy + j] - mean - y[i * ldy + j] * slope);
            dx[i * lddx + j] = (float)((accumulate ? dx[i * lddx + j] : 0.0F) + part);
        }
    }
}

static void scale_rows(size_t d, size_t n, const float *x, size_t ldx, const float *gain,
                       const float *bias, float *y, size_t ldy) {
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j < n; j++) {
            float shift = bias ? bias[i] : 0.0F;
            y[i * ldy + j] = x ? fmaf(x[i * ldx + j], gain ? gain[i] : 1.0F, shift) : shift;
        }
    }
}

static void scale_rows_backward(size_t d, size_t n, const float *g, size_t ldg, const float *x,
                                size_t ldx, const float *gain, float *dgain, float *dbias,
                                float *dx, size_t lddx, bool accumulate) {
    for (size_t i = 0; i < d; i++) {
        double sum = 0.0, product = 0.0;
        for (size_t j = 0; j < n; j++) {
            float gradient = g[i * ldg + j];
            sum += gradient;
            product += dgain ? (double)gradient * x[i * ldx + j] : 0.0;
            if (dx) {
                float *to = &dx[i * lddx + j];
                *to = fmaf(gradient, gain ? gain[i] : 1.0F, accumulate ? *to : 0.0F);
            }
        }
        if (dbias) {
            dbias[i] = (float)(dbias[i] + sum);
        }
        if (dgain) {
            dgain[i] = (float)(dgain[i] + product);
        }
    }
}

static void softmax_columns(size_t keys, size_t n, float *x, size_t ldx, float scale) {
    for (size_t j = 0; j < n && keys > 0; j++) {
        double sum = 0.0;
        float most = x[j];
        for (size_t i = 1; i < keys; i++) {
            if (x[i * ldx + j] > most) {
                most = x[i * ldx + j];
            }
        }
        for (size_t i = 0; i < keys; i++) {
            sum += exp(((double)x[i * ldx + j] - most) * scale);
        }
        for (size_t i = 0; i < keys; i++) {
            x[i * ldx + j] = (float)(exp(((double)x[i * ldx + j] - most) * scale) / sum);
        }
    }
}

static void softmax_columns_backward(size_t keys, size_t n, const float *p, size_t ldp, float *dp,
                                     size_t lddp, float scale) {
    for (size_t j = 0; j < n; j++) {
        double mean = 0.0;
        for (size_t i = 0; i < keys; i++) {
            mean += (double)p[i * ldp + j] * dp[i * lddp + j];
        }
        for (size_t i = 0; i < keys; i++) {
            dp[i * lddp + j] = (float)(scale * p[i * ldp + j] * (dp[i * lddp + j] - mean));
        }
    }
}

static double normal_share(double x) {
    return 0.5 + 0.5 * erf(x * M_SQRT1_2);
}

static void gelu(size_t rows, size_t n, const float *x, size_t ldx, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            y[i * ldy + j] = (float)(x[i * ldx + j] * normal_share(x[i * ldx + j]));
        }
    }
}

static void gelu_backward(size_t rows, size_t n, const float *dy, size_t lddy, const float *x,
                          size_t ldx, float *dx, size_t lddx) {
    const double peak = 0.5 * M_2_SQRTPI * M_SQRT1_2; /* 1 / sqrt(2 pi) */
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            double value = x[i * ldx + j];
            double slope = normal_share(value) + value * peak * exp(-0.5 * value * value);
            dx[i * lddx + j] = (float)(dy[i * lddy + j] * slope);
        }
    }
}

const ramify_kernels ramify_kernels_reference_set = {
    .name = "reference",
    .matmul = matmul,
    .matmul_double = matmul_double,
    .eliminate = eliminate,
    .series = series,
    .affine = affine,
    .dots = dots,
    .sparse_row = sparse_row,
    .sparse_columns = sparse_columns,
    .masked_rows = masked_rows,
    .unmask = unmask,
    .widen = widen,
    .round_rows = round_rows,
    .affine_int8 = affine_int8,
    .affine_bfloat16 = affine_bfloat16,
    .transpose = transpose,
    .scale_columns = scale_columns,
    .scale_columns_backward = scale_columns_backward,
    .activate = activate,
    .activate_backward = activate_backward,
    .distances = distances,
    .standardise = standardise,
    .waves = waves,
    .softmax = softmax,
    .cross_entropy = cross_entropy,
    .cross_entropy_soft = cross_entropy_soft,
    .adamw = adamw,
    .average = average,
    .normalise_columns = normalise_columns,
    .normalise_columns_backward = normalise_columns_backward,
    .scale_rows = scale_rows,
    .scale_rows_backward = scale_rows_backward,
    .softmax_columns = softmax_columns,
    .softmax_columns_backward = softmax_columns_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
};
