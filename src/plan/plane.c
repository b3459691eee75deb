#include "plane.h"

#include <math.h>

/* A determinant below this share of the product of its diagonal is none. */
#define SINGULAR 1e-9

/* Sums of products about the means, for one variable or two. */
typedef struct moments {
    size_t points;
    double y, x[2];
    double xx[2][2], xy[2];
} moments;

/* Running means: sums of squares of large logarithms would cancel. */
static void add_point(moments *m, uint32_t variables, const double *x, double y) {
    double dx[2] = {0, 0}, dy = y - m->y;
    m->points++;
    const double share = 1 / (double)m->points;
    for (uint32_t v = 0; v < variables; v++)
        dx[v] = x[v] - m->x[v];
    for (uint32_t v = 0; v < variables; v++)
        m->x[v] += share * dx[v];
    m->y += share * dy;
    for (uint32_t v = 0; v < variables; v++) {
        for (uint32_t w = 0; w < variables; w++)
            m->xx[v][w] += dx[v] * (x[w] - m->x[w]);
        m->xy[v] += dx[v] * (y - m->y);
    }
}

static bool invert(const moments *m, uint32_t variables, double inverse[2][2]) {
    if (variables == 1) {
        inverse[0][0] = 1 / m->xx[0][0];
        return m->xx[0][0] > 0;
    }
    double diagonal = m->xx[0][0] * m->xx[1][1];
    double determinant = diagonal - m->xx[0][1] * m->xx[1][0];
    if (!(determinant > SINGULAR * diagonal))
        return false;
    inverse[0][0] = m->xx[1][1] / determinant;
    inverse[1][1] = m->xx[0][0] / determinant;
    inverse[0][1] = inverse[1][0] = -m->xx[0][1] / determinant;
    return true;
}

static void judge(ramify_plane *plane, size_t count, const double *x, const double *y) {
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double off = isnan(y[i]) ? 0 : y[i] - ramify_plane_at(plane, x + i * plane->variables);
        squares += off * off;
    }
    size_t used = plane->variables + 1;
    plane->deviation =
        plane->points > used ? sqrt(squares / (double)(plane->points - used)) : (double)NAN;
    for (uint32_t v = 0; v < plane->variables; v++)
        plane->error[v] = plane->deviation * sqrt(plane->inverse[v][v]);
}

bool ramify_plane_fit(size_t count, uint32_t variables, const double *x, const double *y,
                      ramify_plane *plane) {
    moments m = {0};
    *plane = (ramify_plane){.variables = variables};
    for (size_t i = 0; i < count; i++)
        if (!isnan(y[i]))
            add_point(&m, variables, x + i * variables, y[i]);
    if (m.points <= variables || !invert(&m, variables, plane->inverse))
        return false;
    plane->points = m.points;
    plane->mean = m.y;
    for (uint32_t v = 0; v < variables; v++) {
        plane->center[v] = m.x[v];
        for (uint32_t w = 0; w < variables; w++)
            plane->slope[v] += plane->inverse[v][w] * m.xy[w];
    }
    judge(plane, count, x, y);
    return true;
}

double ramify_plane_at(const ramify_plane *plane, const double *x) {
    double y = plane->mean;
    for (uint32_t v = 0; v < plane->variables; v++)
        y += plane->slope[v] * (x[v] - plane->center[v]);
    return y;
}

double ramify_plane_deviation(const ramify_plane *plane, const double *x) {
    double leverage = 1 / (double)plane->points;
    for (uint32_t v = 0; v < plane->variables; v++)
        for (uint32_t w = 0; w < plane->variables; w++)
            leverage +=
                (x[v] - plane->center[v]) * plane->inverse[v][w] * (x[w] - plane->center[w]);
    return plane->deviation * sqrt(1 + leverage);
}
