#ifndef RAMIFY_TEST_LAW_SUPPORT_H
#define RAMIFY_TEST_LAW_SUPPORT_H
/* What the tests of laws share: a context, and how near numbers have to lie. */

#include "ramify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Of all tests of a program; open_context and close_context are its group's set-up and tear-down. */
extern ramify_context *context;

int open_context(void **state);
int close_context(void **state);

/* Fails unless `found` is within a share `relative` of `wanted`. */
void near(double found, double wanted, double relative);

#endif
