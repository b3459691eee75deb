#ifndef RAMIFY_TESTS_CMOCKA_ALL_H
#define RAMIFY_TESTS_CMOCKA_ALL_H
/* cmocka.h, after what it wants before it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
