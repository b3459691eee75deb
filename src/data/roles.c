/* Finding the columns that a training names. */

#include "roles.h"
#include "memory.h"
#include "status.h"

#include <stdio.h>

typedef struct role_finder {
    ramify_context *context;
    const ramify_table *table;
    ramify_roles *roles;
} role_finder;

/* The first names of the table, for a message about one that is not there. */
static void list_names(const ramify_table *table, char *text, size_t room) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t c = 0; c < table->column_count; c++) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *name = table->columns[c].name;
        ramify_text_excerpt(name, strlen(name), excerpt);
        if (used + strlen(excerpt) + sizeof ", ..." > room) {
            snprintf(text + used, room - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, room - used, "%s%s", c ? ", " : "", excerpt);
    }
}

static ramify_status find_column(const role_finder *f, const char *name, size_t length,
                                 const char *role, size_t *column) {
    char excerpt[RAMIFY_EXCERPT_BYTES], known[200], copy[RAMIFY_NAME_BYTES + 1];
    *column = SIZE_MAX;
    if (length <= RAMIFY_NAME_BYTES) {
        memcpy(copy, name, length);
        copy[length] = '\0';
        *column = ramify_names_find(f->roles->names, f->table->column_count, copy);
    }
    if (*column != SIZE_MAX)
        return RAMIFY_OK;
    list_names(f->table, known, sizeof known);
    return ramify_fail(f->context, RAMIFY_ERROR_DATA,
                       "%s: there is no column \"%s\" for --%s (the columns are: %s)",
                       f->table->source, ramify_text_excerpt(name, length, excerpt), role, known);
}

static ramify_status set_aside(const role_finder *f, const char *list, const char *role) {
    const char *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length)) {
        RAMIFY_TRY(find_column(f, name, length, role, &column));
        for (uint32_t t = 0; t < f->roles->target_count; t++)
            if (f->roles->targets[t] == column)
                return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT,
                                   "column \"%s\" is a target and cannot be used for --%s too",
                                   f->table->columns[column].name, role);
        f->roles->not_inputs[column] = true;
    }
    return RAMIFY_OK;
}

static ramify_status find_targets(const role_finder *f, const char *list) {
    const char *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length)) {
        if (f->roles->target_count == RAMIFY_TARGETS_MAX)
            return ramify_fail(f->context, RAMIFY_ERROR_LIMIT, "more than %d targets are named",
                               RAMIFY_TARGETS_MAX);
        RAMIFY_TRY(find_column(f, name, length, "target", &column));
        if (f->roles->not_inputs[column])
            return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT,
                               "column \"%s\" is named twice as a target",
                               f->table->columns[column].name);
        f->roles->not_inputs[column] = true;
        f->roles->targets[f->roles->target_count++] = column;
    }
    if (f->roles->target_count == 0)
        return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT,
                           "no target column is named (use --target, or --labels with a file)");
    return RAMIFY_OK;
}

ramify_status ramify_roles_find(ramify_context *context, const ramify_table *table,
                                const ramify_schema_request *request, ramify_roles *roles) {
    size_t columns = table->column_count;
    role_finder f = {.context = context, .table = table, .roles = roles};
    *roles = (ramify_roles){0};
    roles->names = ramify_allocate(context, columns, sizeof *roles->names);
    roles->not_inputs = ramify_allocate_zeroed(context, columns, sizeof *roles->not_inputs);
    roles->targets = ramify_allocate(context, RAMIFY_TARGETS_MAX, sizeof *roles->targets);
    if (!roles->names || !roles->not_inputs || !roles->targets)
        return RAMIFY_ERROR_MEMORY;
    for (size_t c = 0; c < columns; c++)
        roles->names[c] = (ramify_name){.text = table->columns[c].name, .index = c};
    ramify_names_sort(roles->names, columns);
    RAMIFY_TRY(find_targets(&f, request->target));
    RAMIFY_TRY(set_aside(&f, request->drop, "drop"));
    RAMIFY_TRY(set_aside(&f, request->weight, "weight"));
    RAMIFY_TRY(set_aside(&f, request->group, "group"));
    return set_aside(&f, request->time, "time");
}

void ramify_roles_release(ramify_context *context, ramify_roles *roles) {
    ramify_release(context, roles->names);
    ramify_release(context, roles->targets);
    ramify_release(context, roles->not_inputs);
    *roles = (ramify_roles){0};
}
