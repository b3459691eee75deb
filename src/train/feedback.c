#include "feedback.h"
#include "memory.h"
#include "packed.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the mean of H's diagonal, what is added to all of it: inputs that hardly vary, or depend on others,
 * are not to take up large errors. */
#define DAMPING 0.01

/* Steps that are tried, in parts of that with which the largest weight is not clipped. */
static const float clips[] = {1.0F, 0.97F, 0.93F, 0.88F, 0.8F};
#define CLIPS (sizeof clips / sizeof clips[0])

/* Rows that are turned into float64 at a time. */
#define PIECE_ROWS 64

static size_t pad8(size_t count) {
    return (count + 7) / 8 * 8;
}

void ramify_feedback_destroy(ramify_context *context, ramify_feedback *f) {
    ramify_release(context, f->order);
    ramify_release(context, f->factor);
    *f = (ramify_feedback){0};
}

/* h[k x pad8(k)] += the scatter of the group's rows around their mean. piece: PIECE_ROWS x pad8(k). */
static void add_scatter(const ramify_kernels *kernels, size_t k, size_t rows, const float *x,
                        size_t ldx, double *mean, double *piece, double *h) {
    const size_t stride = pad8(k);
    memset(mean, 0, k * sizeof *mean);
    for (size_t i = 0; i < rows; i++)
        for (size_t p = 0; p < k; p++)
            mean[p] += (double)x[i * ldx + p] / (double)rows;
    for (size_t first = 0; first < rows; first += PIECE_ROWS) {
        const size_t count = rows - first < PIECE_ROWS ? rows - first : PIECE_ROWS;
        for (size_t i = 0; i < count; i++)
            for (size_t p = 0; p < k; p++)
                piece[i * stride + p] = (double)x[(first + i) * ldx + p] - mean[p];
        kernels->matmul_double(k, stride, count, piece, 1, stride, piece, stride, h, stride,
                               RAMIFY_PRODUCT_ADDED);
    }
}

typedef struct diagonal {
    double value;
    uint32_t input;
} diagonal;

static int compare_diagonals(const void *a, const void *b) {
    const diagonal *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->input > y->input) - (x->input < y->input);
}

/* order[] by falling diagonals of h. */
static ramify_status order_inputs(ramify_context *context, size_t k, const double *h,
                                  uint32_t *order) {
    diagonal *list = ramify_allocate(context, k, sizeof *list);
    if (!list)
        return RAMIFY_ERROR_MEMORY;
    for (size_t p = 0; p < k; p++)
        list[p] = (diagonal){h[p * pad8(k) + p], (uint32_t)p};
    qsort(list, k, sizeof *list, compare_diagonals);
    for (size_t p = 0; p < k; p++)
        order[p] = list[p].input;
    ramify_release(context, list);
    return RAMIFY_OK;
}

/* h in the order of inputs, damped, as R R^T with R upper triangular: r[k x k]. */
static void factorise(const ramify_feedback *f, const double *h, double *r) {
    const size_t k = f->k, stride = pad8(k);
    double mean = 0;
    for (size_t p = 0; p < k; p++)
        mean += h[p * stride + p] / (double)k;
    const double damping = mean > DBL_MIN ? DAMPING * mean : 1.0;
    for (size_t j = k; j-- > 0;)
        for (size_t i = 0; i <= j; i++) {
            double sum = h[f->order[i] * stride + f->order[j]] + (i == j ? damping : 0.0);
            for (size_t p = j + 1; p < k; p++)
                sum -= r[i * k + p] * r[j * k + p];
            if (i < j)
                r[i * k + j] = sum; /* divided when the diagonal is known */
            else
                r[j * k + j] = sqrt(fmax(sum, damping));
            if (i == j)
                for (size_t q = 0; q < j; q++)
                    r[q * k + j] /= r[j * k + j];
        }
}

/* to = the inverse of upper triangular r. */
static void invert(size_t k, const double *r, double *to) {
    memset(to, 0, k * k * sizeof *to);
    for (size_t i = k; i-- > 0;) {
        double *row = to + i * k;
        row[i] = 1.0;
        for (size_t p = i + 1; p < k; p++)
            for (size_t q = p; q < k; q++)
                row[q] -= r[i * k + p] * to[p * k + q];
        for (size_t q = i; q < k; q++)
            row[q] /= r[i * k + i];
    }
}

ramify_status ramify_feedback_make(ramify_context *context, const ramify_kernels *kernels, size_t k,
                                   size_t groups, size_t rows, const float *x, size_t ldx,
                                   ramify_feedback *f) {
    const size_t stride = pad8(k);
    *f = (ramify_feedback){.k = k};
    f->order = ramify_allocate(context, k, sizeof *f->order);
    f->factor = ramify_allocate(context, k * k, sizeof *f->factor);
    double *h = ramify_allocate_zeroed(context, k * stride, sizeof *h);
    double *r = ramify_allocate_zeroed(context, k * k, sizeof *r);
    double *piece = ramify_allocate_zeroed(context, (PIECE_ROWS + 1) * stride, sizeof *piece);
    ramify_status status =
        f->order && f->factor && h && r && piece ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        for (size_t g = 0; g < groups; g++)
            add_scatter(kernels, k, rows, x + g * rows * ldx, ldx, piece + PIECE_ROWS * stride,
                        piece, h);
        status = order_inputs(context, k, h, f->order);
    }
    if (status == RAMIFY_OK) {
        factorise(f, h, r);
        invert(k, r, f->factor);
    }
    ramify_release(context, h);
    ramify_release(context, r);
    ramify_release(context, piece);
    return status;
}

void ramify_feedback_correct(const ramify_feedback *f, const float *product, size_t stride,
                             float *weight, double *spare) {
    const size_t k = f->k;
    double *of = spare, *change = spare + k;
    memset(spare, 0, 2 * k * sizeof *spare);
    for (size_t i = 0; i < k; i++) {
        const double *row = f->factor + i * k;
        for (size_t q = i; q < k; q++)
            of[i] += row[q] * (double)product[f->order[q] * stride];
        for (size_t q = i; q < k; q++)
            change[q] += row[q] * of[i];
    }
    for (size_t i = 0; i < k; i++)
        if (weight[f->order[i]] != 0.0F)
            weight[f->order[i]] += (float)change[i];
}

/* Whole numbers of the step for weights in the order of inputs: whole[k]. Returns the error. left is
 * what the weights had best be now, and what is rounded, or else the weights as they were. */
static double round_with(const ramify_feedback *f, const float *weight, float step, bool compensate,
                         double *left, double *whole) {
    const size_t k = f->k;
    double error = 0;
    for (size_t i = 0; i < k; i++)
        left[i] = (double)weight[f->order[i]];
    for (size_t i = 0; i < k; i++) {
        const double *row = f->factor + i * k;
        const double was = (double)weight[f->order[i]];
        const double now = was == 0.0 ? 0.0 : compensate ? left[i] : was;
        whole[i] = fmax(-127.0, fmin(127.0, rint(now / (double)step)));
        const double off = (left[i] - whole[i] * (double)step) / row[i];
        error += off * off;
        for (size_t q = i + 1; q < k; q++)
            left[q] -= off * row[q];
    }
    return error;
}

float ramify_feedback_round(const ramify_feedback *f, float *weight, double *spare) {
    const size_t k = f->k;
    double *left = spare, *whole = spare + k, *best = spare + 2 * k;
    double least = INFINITY;
    float largest = 0.0F, chosen = 0.0F;
    for (size_t i = 0; i < k; i++)
        largest = fmaxf(largest, fabsf(weight[i]));
    /* Where many weights are gone, those to come cannot make up for errors: then nearest is best. */
    for (size_t c = 0; c < 2 * CLIPS && largest >= FLT_MIN; c++) {
        const float step = ramify_int8_step(largest * clips[c / 2]);
        const double error =
            step > 0 ? round_with(f, weight, step, c % 2 == 0, left, whole) : INFINITY;
        if (!(error < least))
            continue;
        least = error;
        chosen = step;
        memcpy(best, whole, k * sizeof *best);
    }
    for (size_t i = 0; i < k; i++)
        weight[f->order[i]] = chosen > 0 ? (float)best[i] * chosen : 0.0F;
    return chosen;
}
