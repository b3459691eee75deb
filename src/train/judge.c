#include "judge.h"
#include "expert.h"
#include "memory.h"
#include "status.h"

#include <math.h>

ramify_verdict ramify_verdict_of(double sum, double squares, size_t count) {
    if (count < 2)
        return (ramify_verdict){0};
    double n = (double)count, variance = (squares - sum * sum / n) * n / (n - 1);
    return (ramify_verdict){.gain = sum, .variance = variance > 0 ? variance : 0};
}

void ramify_verdict_add(ramify_verdict *sum, ramify_verdict v) {
    sum->gain += v.gain;
    sum->variance += v.variance;
}

bool ramify_verdict_wins(ramify_verdict v, double threshold) {
    return v.gain > 0 && v.gain > threshold * sqrt(v.variance);
}

ramify_status ramify_row_losses(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                const float *features, const float *record, ramify_rows rows,
                                double *loss) {
    ramify_context *context = problem->context;
    float *outputs =
        ramify_allocate(context, rows.count * ramify_pad(problem->outputs), sizeof *outputs);
    float *parts = ramify_allocate(context, 2 * rows.count, sizeof *parts);
    ramify_status status = outputs && parts ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_expert_outputs(problem, shape, NULL, features, record, rows, outputs);
    if (status == RAMIFY_OK) {
        ramify_expert_losses(problem, rows, outputs, parts, parts + rows.count);
        for (size_t i = 0; i < rows.count; i++) {
            ramify_fit_score score = {.loss = parts[i], .error = parts[rows.count + i]};
            /* Experts that learn the teachers' soft answers do not grow overconfident, and the loss
             * tells of a gain from far fewer rows than wrong classes do (study). */
            loss[i] = problem->soft ? score.loss : ramify_fit_criterion(problem, score);
            if (problem->weight)
                loss[i] *= problem->weight[rows.row[i]];
        }
    }
    ramify_release(context, outputs);
    ramify_release(context, parts);
    return status;
}

ramify_status ramify_compare_experts(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                     const float *features, const float *one, const float *other,
                                     ramify_rows rows, double *gain) {
    double *loss = ramify_allocate(problem->context, rows.count, sizeof *loss);
    ramify_status status =
        loss ? ramify_row_losses(problem, shape, features, one, rows, gain) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_row_losses(problem, shape, features, other, rows, loss);
    for (size_t i = 0; status == RAMIFY_OK && i < rows.count; i++)
        gain[i] -= loss[i];
    ramify_release(problem->context, loss);
    return status;
}
