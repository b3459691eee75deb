#ifndef RAMIFY_CLI_PLAN_REPORT_H
#define RAMIFY_CLI_PLAN_REPORT_H
/* A plan as one page of HTML that needs nothing beside it. */

#include <jansson.h>
#include <stdbool.h>

/* How a plan's stage is called where people read it: a training tests every split of a tree, and keeps one
 * expert where none is earned. */
const char *plan_stage_text(const char *stage);

/* plan: as ramify_plan_text has it. Writes it whole or not at all; false, with errno, when it cannot be. */
bool plan_report_write(const char *path, const json_t *plan);

#endif
