#ifndef RAMIFY_TRAIN_TEACHER_H
#define RAMIFY_TRAIN_TEACHER_H
/* Distillation (Hinton, Vinyals, Dean 2015). Networks that need not fit the memory bound learn the
 * rows first, then answer as many more rows, made up between the table's, as the experts can use: a
 * small expert is short of memory, and those of a tree, each with a part of the rows, are short of
 * rows too. */

#include "recipe.h"
#include "root.h"

typedef struct ramify_teachers {
    uint32_t count;
    ramify_root *root[RAMIFY_TEACHERS_MAX]; /* all with the same stem but for its weights */
    double criterion;                       /* of their mean answer on select rows */
} ramify_teachers;

/* Trains recipe->teacher_count teachers with the given stem. seconds: their share of a time limit,
 * or 0. Free with ramify_teachers_destroy. */
ramify_status ramify_teachers_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                                  const ramify_encoder_options *encoder, double seconds,
                                  ramify_teachers **teachers);
void ramify_teachers_destroy(ramify_context *context, ramify_teachers **teachers);

/* Seconds that all of it takes without a time limit: training the teachers with the root's stem, making
 * and answering rows, and training the root on them. Measured on a few rows and steps with untrained
 * teachers, so that those that there is no time to learn from need not be trained. Measuring ends as
 * soon as they are more than `most`; *seconds is then a part of them. */
ramify_status ramify_teachers_estimate(const ramify_problem *problem, const ramify_recipe *recipe,
                                       const ramify_root_request *root, double most,
                                       double *seconds);

/* Who answers made-up rows: answer[count x outputs], standardised targets or class probabilities, to
 * plain[count x plain_stride] rows of the problem. Any number of threads. */
typedef struct ramify_answerer {
    ramify_status (*answer)(const void *argument, const ramify_problem *problem, const float *plain,
                            size_t count, float *answer);
    const void *argument;
} ramify_answerer;

/* The mean answer of teachers. */
ramify_answerer ramify_teachers_answerer(const ramify_teachers *teachers);

/* The problem with made-up rows. Each lies between a training row a and a near one b, a share u of
 * the way (columns of few values, categories and gaps take either's value; after MUNGE in Bucila,
 * Caruana, Niculescu-Mizil 2006). Its target is
 *     answer + (1 - trust) ((1 - u) (y_a - answer_a) + u (y_b - answer_b)),
 * for a training row u = 0: what the teachers missed of the table's rows is not all noise. In a
 * classification y is one-hot, and the result is cut to [0, 1] and scaled to sum 1.
 *
 * seconds: what is left of a time limit for it, or 0. Where one block shows that the rows would take
 * longer none are made, and *enlarged is NULL.
 *
 * The problem's rows keep their numbers, and the select and report rows their targets. Borrows the
 * problem's schema; free with ramify_problem_destroy. */
ramify_status ramify_teachers_enlarge(const ramify_problem *problem,
                                      const ramify_answerer *answerer, const ramify_recipe *recipe,
                                      double seconds, ramify_problem **enlarged);

#endif
