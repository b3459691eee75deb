#ifndef RAMIFY_CLI_INFO_H
#define RAMIFY_CLI_INFO_H
/* What `ramify info` tells beyond the model itself. Each part is computed first, printed later: what
 * fails must not leave half of an answer on stdout. */

#include "session.h"

#include <jansson.h>

typedef struct info_rank {
    double increase;
    uint32_t column;
} info_rank;

/* What columns are worth, by permutation on the rows of DATA. */
typedef struct info_importance {
    const char *data; /* NULL: not asked for */
    ramify_importance_options options;
    table_arguments table;

    ramify_score score;
    info_rank *ranks;                  /* columns, the most important first */
    ramify_column_importance *columns; /* columns */
    ramify_column_importance *targets; /* columns x targets */
} info_importance;

void info_add_importance(arguments *list, info_importance *importance);

/* Reads the table and measures. Returns EXIT_OK, or the exit status after one sentence. */
int info_measure_importance(session *run, ramify_model *model, info_importance *importance);
void info_print_importance(const ramify_model *model, const info_importance *importance);
void info_importance_to_json(const ramify_model *model, const info_importance *importance,
                             json_t *object);
void info_free_importance(info_importance *importance);

/* The report of a Nyquist learner, from its config. */
void info_print_nyquist(const ramify_model *model, const ramify_model_info *info);

void info_print_theory(const ramify_theory *theory);
json_t *info_theory_to_json(const ramify_theory *theory);

#endif
