/* How much memory a table may take. */

#include "build.h"
#include "context.h"
#include "status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The number that follows `key` in a small system file, times `unit`; UINT64_MAX if there is none.
 * An empty key stands for the file's start. */
static uint64_t read_system_number(const char *path, const char *key, uint64_t unit) {
    uint64_t value = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (!file)
        return value;
    char line[128];
    size_t length = strlen(key);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0) {
            const char *digits = line + length + strspn(line + length, " ");
            if (isdigit((unsigned char)*digits))
                value = strtoull(digits, NULL, 10);
            value = value > UINT64_MAX / unit ? UINT64_MAX : value * unit;
            break;
        }
    fclose(file);
    return value;
}

/* What the machine, or the container around us, can give without swapping. */
static uint64_t free_memory(void) {
    uint64_t available = read_system_number("/proc/meminfo", "MemAvailable:", 1024);
    if (available == UINT64_MAX) {
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        if (pages > 0 && page > 0)
            available = (uint64_t)pages * (uint64_t)page;
    }
    uint64_t most = read_system_number("/sys/fs/cgroup/memory.max", "", 1);
    uint64_t now = read_system_number("/sys/fs/cgroup/memory.current", "", 1);
    if (most != UINT64_MAX && now != UINT64_MAX) {
        uint64_t left = most > now ? most - now : 0;
        if (left < available)
            available = left;
    }
    return available;
}

uint64_t ramify_memory_limit(const ramify_context *context) {
    return context->options.memory_limit ? context->options.memory_limit : free_memory();
}

ramify_budget ramify_budget_make(ramify_context *context, const char *source, uint64_t used) {
    uint64_t limit = ramify_memory_limit(context);
    if (context->options.memory_limit == 0) /* what is free now comes on top of what is taken */
        limit = limit > UINT64_MAX - used ? UINT64_MAX : limit + used;
    return (ramify_budget){.context = context, .source = source, .limit = limit, .used = used};
}

static void format_size(uint64_t bytes, char text[32]) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        size /= 1024;
        unit++;
    }
    uint64_t tenths = (uint64_t)(size * 10 + 0.5); /* printf would ask the locale for its point */
    if (unit == 0)
        snprintf(text, 32, "%" PRIu64 " bytes", bytes);
    else
        snprintf(text, 32, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, units[unit]);
}

ramify_status ramify_budget_refuse(const ramify_budget *budget, uint64_t bytes) {
    char need[32], limit[32];
    format_size(bytes, need);
    format_size(budget->limit, limit);
    return ramify_fail(budget->context, RAMIFY_ERROR_LIMIT,
                       "%s: the table needs about %s of memory and the limit is %s (raise the "
                       "memory limit, or use fewer rows or columns)",
                       budget->source, need, limit);
}

ramify_status ramify_budget_take(ramify_budget *budget, uint64_t bytes) {
    if (bytes > budget->limit || budget->used > budget->limit - bytes) {
        uint64_t need = bytes > UINT64_MAX - budget->used ? UINT64_MAX : budget->used + bytes;
        return ramify_budget_refuse(budget, need);
    }
    budget->used += bytes;
    return RAMIFY_OK;
}
