#ifndef RAMIFY_TRAIN_ROUTING_H
#define RAMIFY_TRAIN_ROUTING_H
/* The space in which rows are compared with prototypes: the plain features, or the directions in
 * which the root's output changes. */

#include "encoder.h"
#include "mlp.h"
#include "problem.h"

/* Most plain features for which gradient routing is tried: its eigenproblem grows with their cube.
 */
#define RAMIFY_ROUTING_PLAIN_MAX 256

/* route[dims x pad(plain)] = diag(sqrt(w / w_max)) V^T, where V diag(w) V^T is the mean outer
 * product of the gradient of the root's outputs by the plain features over training rows (the
 * expected gradient outer product; Trivedi et al. 2014). Directions with w < 1e-4 w_max are left
 * out. The caller frees *route with ramify_release. *dims is 0, and *route NULL, when the output
 * does not change. */
ramify_status ramify_routing_gradient(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                      const ramify_encoder *encoder, const float *record,
                                      uint64_t seed, float **route, uint32_t *dims);

/* points[problem rows x pad(dims)]: route x plain features, or a copy of the plain features when
 * route is NULL. The caller frees them with ramify_release. */
ramify_status ramify_routing_points(const ramify_problem *problem, const float *route,
                                    uint32_t dims, float **points);

/* Eigenvalues (descending) and eigenvectors (rows of `vectors`) of a symmetric matrix[n x n], by
 * cyclic Jacobi rotations (Golub, Van Loan, section 8.5); the matrix is overwritten. */
void ramify_eigen_symmetric(size_t n, double *matrix, double *values, double *vectors);

#endif
