#include "temperature.h"
#include "cluster.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

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

bool ramify_temperature_wanted(const ramify_problem *problem) {
    return problem->label && problem->select.count >= LEAST_ROWS;
}

ramify_status ramify_temperature_of(const ramify_problem *problem, ramify_rows rows,
                                    const float *output, double *temperature) {
    ramify_context *context = problem->context;
    uint32_t *label = ramify_allocate(context, rows.count, sizeof *label);
    float *weight = problem->weight ? ramify_allocate(context, rows.count, sizeof *weight) : NULL;
    ramify_status status = label && (weight || !problem->weight) ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < rows.count; i++) {
        label[i] = problem->label[rows.row[i]];
        if (weight)
            weight[i] = problem->weight[rows.row[i]];
    }
    if (status == RAMIFY_OK)
        *temperature = 1 / ramify_temperature_factor(output, ramify_pad(problem->outputs),
                                                     problem->outputs, label, weight, rows.count);
    ramify_release(context, label);
    ramify_release(context, weight);
    return status;
}

/* Which rank computes the outputs at a leaf: the one that has the expert. */
static uint32_t rank_of(const ramify_context *context, const ramify_grown *grown, uint32_t index) {
    const uint32_t module = grown->nodes[index].module;
    if (grown->owner && grown->owner[module] != UINT32_MAX)
        return grown->owner[module];
    return grown->owner ? index % ramify_cluster_size(context) : ramify_cluster_rank(context);
}

/* Outputs of the experts on the select rows of their leaves, leaf after leaf: output[count x
 * pad(outputs)] of row[count]. */
static ramify_status gather_answers(const ramify_problem *problem, const ramify_root *root,
                                    const ramify_grown *grown, uint32_t *row, float *output,
                                    size_t *count) {
    ramify_context *context = problem->context;
    size_t stride = ramify_pad(problem->outputs);
    *count = 0;
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0)
            continue;
        ramify_rows select = {node->rows + node->train_count, node->select_count};
        float *to = output + *count * stride;
        if (rank_of(context, grown, i) == ramify_cluster_rank(context))
            RAMIFY_TRY(ramify_expert_outputs(problem, &root->shape, root->encoder, NULL,
                                             grown->modules[node->module], select, to));
        else
            memset(to, 0, select.count * stride * sizeof *to);
        memcpy(row + *count, select.row, select.count * sizeof *row);
        *count += select.count;
    }
    if (!grown->owner)
        return RAMIFY_OK;
    ramify_cluster_phase(context, "outputs for the temperature");
    return ramify_cluster_join_floats(context, output, *count * stride);
}

ramify_status ramify_temperature_fit(const ramify_problem *problem, const ramify_root *root,
                                     const ramify_grown *grown, double *temperature) {
    ramify_context *context = problem->context;
    ramify_rows select = problem->select;
    *temperature = 1;
    if (!ramify_temperature_wanted(problem))
        return RAMIFY_OK;
    float *output =
        ramify_allocate(context, select.count * ramify_pad(problem->outputs), sizeof *output);
    uint32_t *row = ramify_allocate(context, select.count, sizeof *row);
    size_t count = select.count;
    ramify_status status = output && row ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK && grown)
        status = gather_answers(problem, root, grown, row, output, &count);
    else if (status == RAMIFY_OK)
        status = ramify_expert_outputs(problem, &root->shape, root->encoder, NULL, root->record,
                                       select, output);
    if (status == RAMIFY_OK)
        status = ramify_temperature_of(problem, (ramify_rows){grown ? row : select.row, count},
                                       output, temperature);
    ramify_release(context, output);
    ramify_release(context, row);
    return status;
}
