#ifndef RAMIFY_CLI_DIAGNOSE_REPORT_H
#define RAMIFY_CLI_DIAGNOSE_REPORT_H
/* A diagnosis as one page of HTML that needs nothing beside it. */

#include "ramify.h"

/* Writes it whole or not at all; false, with errno, when it cannot be. hidden: the reference's
 * widths. */
bool diagnose_report_write(const char *path, const char *hidden, const ramify_diagnosis *diagnosis);

#endif
