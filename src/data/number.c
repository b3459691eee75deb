/* Reading: three ways from (decimal digits, power of ten) to the nearest double, fastest first.
 *
 *   1. up to 15 digits and |power| <= 22: both are doubles without error, so one multiplication or
 *      division rounds once (W. Clinger, "How to read floating point numbers accurately", 1990);
 *   2. up to 19 digits and |power| <= 27: the exact product or quotient in 128-bit integers;
 *   3. everything else: strtod, told of the locale's decimal point.
 *
 * The first two see nearly every number in a table; the third is the readable twin that the tests
 * compare them with. */

#include "number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits that always fit in 64 bits. */
#define DIGITS_MAX 19
/* Any power beyond this is zero or too large, whatever digits stand before it (RAMIFY_NUMBER_TEXT
 * of them at most); clamping keeps the sum from overflowing. */
#define POWER_CLAMP 100000

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
static bool convert_exactly(uint64_t digits, int64_t power, double *value) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (digits > UINT64_C(1) << DBL_MANT_DIG || power < -22 || power > 22)
        return false;
    *value = power < 0 ? (double)digits / powers[-power] : (double)digits * powers[power];
    return true;
}
#else
/* Wider registers (x87) would round twice. */
static bool convert_exactly(uint64_t digits, int64_t power, double *value) {
    (void)digits, (void)power, (void)value;
    return false;
}
#endif

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 uint128;

static int highest_bit(uint128 v) {
    uint64_t high = (uint64_t)(v >> 64);
    return high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)v);
}

/* The double nearest to v * 2^power, v > 0; `more` says that the true value is a little above v. */
static double round_to_double(uint128 v, bool more, int power) {
    int drop = highest_bit(v) - (DBL_MANT_DIG - 1);
    if (drop <= 0)
        return ldexp((double)(uint64_t)v, power);
    uint64_t keep = (uint64_t)(v >> drop);
    uint128 rest = v & (((uint128)1 << drop) - 1);
    uint128 half = (uint128)1 << (drop - 1);
    if (rest > half || (rest == half && (more || (keep & 1))))
        keep++;
    return ldexp((double)keep, power + drop);
}

static bool convert_wide(uint64_t digits, int64_t power, double *value) {
    /* 10^p = 5^p * 2^p, and 5^27 is the largest power of five below 2^63. */
    static const uint64_t fives[] = {UINT64_C(1),
                                     UINT64_C(5),
                                     UINT64_C(25),
                                     UINT64_C(125),
                                     UINT64_C(625),
                                     UINT64_C(3125),
                                     UINT64_C(15625),
                                     UINT64_C(78125),
                                     UINT64_C(390625),
                                     UINT64_C(1953125),
                                     UINT64_C(9765625),
                                     UINT64_C(48828125),
                                     UINT64_C(244140625),
                                     UINT64_C(1220703125),
                                     UINT64_C(6103515625),
                                     UINT64_C(30517578125),
                                     UINT64_C(152587890625),
                                     UINT64_C(762939453125),
                                     UINT64_C(3814697265625),
                                     UINT64_C(19073486328125),
                                     UINT64_C(95367431640625),
                                     UINT64_C(476837158203125),
                                     UINT64_C(2384185791015625),
                                     UINT64_C(11920928955078125),
                                     UINT64_C(59604644775390625),
                                     UINT64_C(298023223876953125),
                                     UINT64_C(1490116119384765625),
                                     UINT64_C(7450580596923828125)};
    if (power < -27 || power > 27)
        return false;
    if (digits == 0) {
        *value = 0.0;
        return true;
    }
    if (power >= 0) {
        *value = round_to_double((uint128)digits * fives[power], false, (int)power);
        return true;
    }
    /* The quotient of a dividend of 128 bits has at least 65: more than enough to round. */
    int shift = 64 + __builtin_clzll(digits);
    uint128 dividend = (uint128)digits << shift;
    uint128 quotient = dividend / fives[-power];
    bool more = quotient * fives[-power] != dividend;
    *value = round_to_double(quotient, more, (int)power - shift);
    return true;
}
#else
static bool convert_wide(uint64_t digits, int64_t power, double *value) {
    (void)digits, (void)power, (void)value;
    return false;
}
#endif

/* strtod reads the decimal point of the program's locale, so it is given that one. */
static bool convert_by_library(const char *text, size_t length, double *value) {
    char copy[RAMIFY_NUMBER_TEXT + 16];
    if (length > RAMIFY_NUMBER_TEXT)
        return false;
    const char *point = memchr(text, '.', length);
    size_t before = point ? (size_t)(point - text) : length;
    memcpy(copy, text, before);
    size_t used = before;
    if (point) {
        const char *local = localeconv()->decimal_point;
        size_t local_length = strlen(local);
        if (local_length > 15)
            return false;
        memcpy(copy + used, local, local_length);
        used += local_length;
        memcpy(copy + used, point + 1, length - before - 1);
        used += length - before - 1;
    }
    copy[used] = '\0';
    *value = strtod(copy, NULL);
    return isfinite(*value);
}

const char *ramify_number_scan(const char *text, double *value) {
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;

    const char *first = p;
    uint64_t digits = 0; /* wraps when there are too many; not used then */
    while (is_digit(*p))
        digits = digits * 10 + (uint64_t)(*p++ - '0');
    int64_t power = 0;
    ptrdiff_t count = p - first;
    if (*p == '.') {
        const char *fraction = ++p;
        while (is_digit(*p))
            digits = digits * 10 + (uint64_t)(*p++ - '0');
        power = fraction - p;
        count += p - fraction;
    }
    if (count == 0)
        return NULL;
    const char *last = p;

    if (*p == 'e' || *p == 'E') {
        const char *e = p + 1;
        bool below = *e == '-';
        if (*e == '-' || *e == '+')
            e++;
        if (is_digit(*e)) {
            int64_t given = 0;
            for (; is_digit(*e); e++)
                if (given < POWER_CLAMP)
                    given = given * 10 + (*e - '0');
            power += below ? -given : given;
            p = e;
        }
    }

    if (count > DIGITS_MAX)
        for (const char *z = first; z < last && (*z == '0' || *z == '.'); z++)
            count -= *z == '0';
    double magnitude;
    if (count <= DIGITS_MAX &&
        (convert_exactly(digits, power, &magnitude) || convert_wide(digits, power, &magnitude)))
        *value = negative ? -magnitude : magnitude;
    else if (!convert_by_library(text, (size_t)(p - text), value))
        return NULL;
    return p;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool ramify_number_parse(const char *text, size_t length, double *value) {
    const char *end = text + length;
    while (text < end && is_blank(*text))
        text++;
    while (end > text && is_blank(end[-1]))
        end--;
    return text < end && ramify_number_scan(text, value) == end;
}

bool ramify_number_missing(const char *text, size_t length) {
    static const char *const words[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"};
    if (length > 4)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0)
            return true;
    return false;
}

/* printf writes the locale's decimal point, which may be several bytes; this puts '.' there. */
static void restore_point(char *text) {
    const char *local = localeconv()->decimal_point;
    size_t length = strlen(local);
    char *at = length ? strstr(text, local) : NULL;
    if (!at)
        return;
    *at = '.';
    memmove(at + 1, at + length, strlen(at + length) + 1);
}

void ramify_number_format(double value, char text[RAMIFY_NUMBER_BYTES]) {
    if (value == 0) /* also of -0.0, which is no other number */
        value = 0;
    for (int precision = 15; precision <= 17; precision++) {
        double again;
        snprintf(text, RAMIFY_NUMBER_BYTES, "%.*g", precision, value);
        restore_point(text);
        if (ramify_number_scan(text, &again) && again == value)
            return;
    }
}
