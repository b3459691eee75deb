#ifndef BRANCH_TWIN_H
#define BRANCH_TWIN_H
/* The readable twin of a transformer branch: loops in double precision that follow the formulas in
 * branch.h, without the shortcut for the last layer. */

#include "branch.h"

/* y[width]: the class token that comes out for one image, x[width x tokens] its tokens. */
void branch_twin(const ramify_branch_shape *shape, const double *record, const double *x,
                 double *y);

/* Memory as the library wants it, not numbers: what is not written shows where it is used. Free with
 * free(). */
float *unset_floats(size_t count);

#endif
