#include "loss.h"
#include "progress.h"

#include <math.h>
#include <string.h>

void ramify_loss_gradient(const ramify_problem *problem, const uint32_t *rows,
                          const float *row_weight, size_t count, float share, double smoothing,
                          const float *y, float *dy, size_t ld, const ramify_loss_room *room) {
    const ramify_kernels *kernels = problem->kernels;
    size_t classes = problem->outputs, targets = problem->targets;
    for (size_t i = 0; i < count; i++) {
        room->weight[i] = share * (problem->weight ? problem->weight[rows[i]] : 1.0f) *
                          (row_weight ? row_weight[i] : 1.0f);
        if (problem->soft)
            memcpy(room->soft + i * classes, problem->soft + rows[i] * classes,
                   classes * sizeof *room->soft);
        else if (problem->label)
            room->label[i] = problem->label[rows[i]];
    }
    if (problem->soft) {
        kernels->cross_entropy_soft(count, classes, y, ld, room->soft, classes, room->weight,
                                    room->loss, dy, ld);
        return;
    }
    if (problem->label) {
        kernels->cross_entropy(count, classes, y, ld, room->label, (float)smoothing, room->weight,
                               room->loss, dy, ld);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (size_t t = 0; t < targets; t++) {
            float off = y[i * ld + t] - problem->target[rows[i] * targets + t];
            dy[i * ld + t] = room->weight[i] * off;
            sum += off * off;
        }
        room->loss[i] = sum / (float)targets;
    }
}

double ramify_schedule_done(uint64_t step, uint64_t steps, double started, double deadline) {
    double done = (double)step / (double)steps;
    if (deadline <= 0)
        return done;
    if (started >= deadline)
        return 1; /* what came before has used up the time */
    double passed = (ramify_seconds() - started) / (deadline - started);
    passed = passed < 1 ? passed : 1;
    return done > passed ? done : passed;
}

double ramify_schedule_rate(double rate, double warm_up, bool cosine, double done, uint64_t step,
                            uint64_t steps) {
    if (done < warm_up)
        return rate * ((double)step + 1) / (warm_up * (double)steps + 1);
    if (!cosine)
        return rate;
    double part = (done - warm_up) / (1.0 - warm_up);
    return rate * 0.5 * (1.0 + cos(3.14159265358979323846 * part));
}
