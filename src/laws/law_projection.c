#include "law_projection.h"
#include "law_numbers.h"

typedef struct normal_equations {
    double gram[3][3], right[3], total;
} normal_equations;

/* Gauss with pivots on the chosen rows and columns; false where they are dependent. */
static bool solve(const normal_equations *e, const int *index, int count, double *value) {
    double m[3][4];
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++)
            m[a][b] = e->gram[index[a]][index[b]];
        m[a][count] = e->right[index[a]];
    }
    for (int p = 0; p < count; p++) {
        int pivot = p;
        for (int a = p + 1; a < count; a++)
            pivot = fabs(m[a][p]) > fabs(m[pivot][p]) ? a : pivot;
        if (!(fabs(m[pivot][p]) > 0))
            return false;
        for (int b = 0; b <= count; b++) {
            double swap = m[p][b];
            m[p][b] = m[pivot][b];
            m[pivot][b] = swap;
        }
        for (int a = p + 1; a < count; a++) {
            double factor = m[a][p] / m[p][p];
            for (int b = p; b <= count; b++)
                m[a][b] -= factor * m[p][b];
        }
    }
    for (int p = count - 1; p >= 0; p--) {
        value[p] = m[p][count];
        for (int b = p + 1; b < count; b++)
            value[p] -= m[p][b] * value[b];
        value[p] /= m[p][p];
    }
    return true;
}

bool ramify_law_project(const ramify_runs *runs, ramify_law_target *target, double level,
                        double alpha, double beta, double coefficient[3]) {
    normal_equations e = {{{0}}, {0}, 0};
    /* Powers of x over its least value: 1 at most, and the equations stay solvable. */
    double low0 = ramify_variable_range(runs, 0).low, low1 = ramify_variable_range(runs, 1).low;
    for (size_t i = 0; i < runs->count; i++) {
        const double *ln_x = runs->ln_x + i * runs->variables;
        double weight = runs->weight ? runs->weight[i] : 1;
        double wanted = target(runs->ln_y[i], level);
        if (!(wanted > 0))
            return false;
        double column[3] = {1 / wanted, exp(-alpha * (ln_x[0] - low0)) / wanted,
                            exp(-beta * (ln_x[1] - low1)) / wanted};
        for (int a = 0; a < 3; a++) {
            e.right[a] += weight * column[a];
            for (int b = 0; b < 3; b++)
                e.gram[a][b] += weight * column[a] * column[b];
        }
        e.total += weight;
    }
    double least = INFINITY;
    for (int chosen = 1; chosen < 8; chosen++) {
        int index[3], count = 0;
        double value[3], error = e.total;
        for (int a = 0; a < 3; a++)
            if (chosen >> a & 1)
                index[count++] = a;
        if (!solve(&e, index, count, value))
            continue;
        bool good = true;
        for (int a = 0; a < count; a++) {
            good = good && value[a] > 0;
            error -= value[a] * e.right[index[a]];
        }
        if (!good || !(error < least))
            continue;
        least = error;
        coefficient[0] = coefficient[1] = coefficient[2] = 0;
        for (int a = 0; a < count; a++)
            coefficient[index[a]] = value[a];
    }
    coefficient[1] *= exp(alpha * low0);
    coefficient[2] *= exp(beta * low1);
    return least < INFINITY;
}
