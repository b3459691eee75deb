#include "printing.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *format_size(char text[PRINTING_ROOM], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    /* 1023.95 would be printed as 1024.0. */
    while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024.0;
        unit++;
    }
    snprintf(text, PRINTING_ROOM, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

const char *format_count(char text[PRINTING_ROOM], uint64_t count) {
    char digits[PRINTING_ROOM];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

const char *format_level(char text[PRINTING_ROOM], double level) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, PRINTING_ROOM, "%.*g", digits, 100 * level);
        if (!(level < 1) || strcmp(text, "100") != 0)
            break;
    }
    return text;
}

void print_cell(FILE *file, const char *text) {
    if (text[0] != '\0' && strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

void print_name(const char *name) {
    const unsigned char *c = (const unsigned char *)name;
    for (; *c; c++) {
        /* C2 80 to C2 9F are the controls U+0080 to U+009F; names are UTF-8. */
        bool second = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0;
        c += second;
        putchar(second || *c < 0x20 || *c == 0x7F ? '?' : *c);
    }
}

const char *format_number_of(char text[PRINTING_ROOM + 32], uint64_t count, const char *one,
                             const char *several) {
    char number[PRINTING_ROOM];
    snprintf(text, PRINTING_ROOM + 32, "%s %s", format_count(number, count),
             count == 1 ? one : several);
    return text;
}

json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_count(uint64_t value) {
    return json_integer((json_int_t)value);
}

double number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

uint64_t count_of(const json_t *object, const char *key) {
    const json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

void json_add_score(json_t *object, ramify_task task, const ramify_score *score) {
    if (task == RAMIFY_TASK_REGRESSION) {
        json_object_set_new(object, "rmse", json_number(score->rmse));
        json_object_set_new(object, "mae", json_number(score->mae));
        json_object_set_new(object, "r2", json_number(score->r2));
    } else {
        json_object_set_new(object, "accuracy", json_number(score->accuracy));
        json_object_set_new(object, "log_loss", json_number(score->log_loss));
        json_object_set_new(object, "brier", json_number(score->brier));
        json_object_set_new(object, "calibration_error", json_number(score->calibration_error));
    }
    if (isfinite(score->error_low) && isfinite(score->error_high)) {
        json_object_set_new(object, "error_low", json_number(score->error_low));
        json_object_set_new(object, "error_high", json_number(score->error_high));
    }
}

void print_score(ramify_task task, const ramify_score *score) {
    if (task == RAMIFY_TASK_REGRESSION)
        printf(isnan(score->r2) ? "rmse %.6g, mae %.6g" : "rmse %.6g, mae %.6g, r2 %.6g",
               score->rmse, score->mae, score->r2);
    else
        printf("accuracy %.4f, log loss %.6g, Brier score %.6g, calibration error %.4f",
               score->accuracy, score->log_loss, score->brier, score->calibration_error);
}

bool print_json(json_t *object) {
    errno = ENOMEM;
    if (!object)
        return false;
    bool printed = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0 &&
                   fputs("\n", stdout) >= 0 && fflush(stdout) == 0;
    int reason = errno;
    json_decref(object);
    errno = reason;
    return printed;
}
