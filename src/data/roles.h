#ifndef RAMIFY_DATA_ROLES_H
#define RAMIFY_DATA_ROLES_H
/* What the columns of a training table are there for, by their names alone. */

#include "schema.h"
#include "text.h"

typedef struct ramify_roles {
    ramify_name *names; /* the table's columns, sorted */
    size_t *targets;    /* target_count table columns, in the order in which they are named */
    uint32_t target_count;
    bool *not_inputs; /* table columns: targets, and those with another role */
} ramify_roles;

/* Refuses names that are not there, and columns with two roles. Free with ramify_roles_release, also
 * after a failure. */
ramify_status ramify_roles_find(ramify_context *context, const ramify_table *table,
                                const ramify_schema_request *request, ramify_roles *roles);
void ramify_roles_release(ramify_context *context, ramify_roles *roles);

#endif
