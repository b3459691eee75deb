#include "temperature.h"
#include "memory.h"
#include "status.h"

#include <math.h>

/* Fewer select rows than this say less about sureness than the training did: the temperature's
 * standard error is then about 0.1. */
#define LEAST_ROWS 100

/* Bounds of the factor: beyond, every probability would be alike, or 0 and 1. */
#define LEAST_FACTOR 0.1
#define MOST_FACTOR  10.0

/* First and second derivative by the factor of one row's loss: how far the expected output lies
 * above the label's, and the outputs' variance. */
static void derivatives(const float *z, uint32_t classes, uint32_t label, double factor,
                        double *first, double *second) {
    double most = -HUGE_VAL, sum = 0, mean = 0, square = 0;
    for (uint32_t j = 0; j < classes; j++)
        most = z[j] > most ? z[j] : most;
    for (uint32_t j = 0; j < classes; j++) {
        double below = z[j] - most, p = exp(factor * below);
        sum += p;
        mean += p * below;
        square += p * below * below;
    }
    mean /= sum;
    *first = mean - (z[label] - most);
    *second = square / sum - mean * mean;
}

double ramify_temperature_factor(const float *z, size_t stride, uint32_t classes,
                                 const uint32_t *label, const float *weight, size_t rows) {
    double low = LEAST_FACTOR, high = MOST_FACTOR, factor = 1;
    /* Newton's steps, and bisection where they leave what is known. */
    for (int round = 0; round < 60 && high - low > 1e-6 * high; round++) {
        double slope = 0, curvature = 0;
        for (size_t i = 0; i < rows; i++) {
            double first, second, w = weight ? weight[i] : 1;
            derivatives(z + i * stride, classes, label[i], factor, &first, &second);
            slope += w * first;
            curvature += w * second;
        }
        if (slope > 0)
            high = factor;
        else
            low = factor;
        double next = curvature > 0 ? factor - slope / curvature : 0;
        if (!(next > low && next < high))
            next = sqrt(low * high);
        if (fabs(next - factor) < 1e-7 * factor)
            return next;
        factor = next;
    }
    return factor;
}

typedef struct answers {
    float *output; /* rows x stride */
    uint32_t *label;
    float *weight; /* NULL: all 1 */
    size_t rows, stride;
} answers;

/* Adds the outputs of one expert on some select rows. */
static ramify_status add_answers(const ramify_problem *problem, const ramify_root *root,
                                 const float *record, ramify_rows rows, answers *a) {
    RAMIFY_TRY(ramify_expert_outputs(problem, &root->shape, root->encoder, NULL, record, rows,
                                     a->output + a->rows * a->stride));
    for (size_t i = 0; i < rows.count; i++) {
        a->label[a->rows + i] = problem->label[rows.row[i]];
        if (a->weight)
            a->weight[a->rows + i] = problem->weight[rows.row[i]];
    }
    a->rows += rows.count;
    return RAMIFY_OK;
}

static ramify_status gather_answers(const ramify_problem *problem, const ramify_root *root,
                                    const ramify_grown *grown, answers *a) {
    if (!grown)
        return add_answers(problem, root, root->record, problem->select, a);
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0)
            continue;
        ramify_rows select = {node->rows + node->train_count, node->select_count};
        RAMIFY_TRY(add_answers(problem, root, grown->modules[node->module], select, a));
    }
    return RAMIFY_OK;
}

ramify_status ramify_temperature_fit(const ramify_problem *problem, const ramify_root *root,
                                     const ramify_grown *grown, double *temperature) {
    ramify_context *context = problem->context;
    *temperature = 1;
    size_t rows = problem->select.count, stride = ramify_pad(problem->outputs);
    if (!problem->label || rows < LEAST_ROWS)
        return RAMIFY_OK;
    answers a = {.output = ramify_allocate(context, rows * stride, sizeof *a.output),
                 .label = ramify_allocate(context, rows, sizeof *a.label),
                 .stride = stride};
    if (problem->weight)
        a.weight = ramify_allocate(context, rows, sizeof *a.weight);
    ramify_status status =
        a.output && a.label && (a.weight || !problem->weight) ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = gather_answers(problem, root, grown, &a);
    if (status == RAMIFY_OK)
        *temperature = 1 / ramify_temperature_factor(a.output, stride, problem->outputs, a.label,
                                                     a.weight, a.rows);
    ramify_release(context, a.output);
    ramify_release(context, a.label);
    ramify_release(context, a.weight);
    return status;
}
