#include "law_select.h"
#include "memory.h"

#include <string.h>

ramify_status ramify_selection_open(ramify_context *context, const ramify_runs *from,
                                    ramify_selection *s) {
    s->ln_x = ramify_allocate(context, from->count * from->variables, sizeof *s->ln_x);
    s->ln_y = ramify_allocate(context, from->count, sizeof *s->ln_y);
    s->weight = ramify_allocate(context, from->count, sizeof *s->weight);
    s->runs = (ramify_runs){.variables = from->variables,
                            .ln_x = s->ln_x,
                            .ln_y = s->ln_y,
                            .weight = from->weight ? s->weight : NULL};
    return s->ln_x && s->ln_y && s->weight ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

void ramify_selection_close(ramify_context *context, ramify_selection *s) {
    ramify_release(context, s->ln_x);
    ramify_release(context, s->ln_y);
    ramify_release(context, s->weight);
}

void ramify_selection_add(ramify_selection *s, const ramify_runs *from, size_t run) {
    size_t at = s->runs.count++, variables = from->variables;
    memcpy(s->ln_x + at * variables, from->ln_x + run * variables, variables * sizeof *s->ln_x);
    s->ln_y[at] = from->ln_y[run];
    s->weight[at] = ramify_run_weight(from, run);
}
