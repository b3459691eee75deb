#include "status.h"
#include "context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {
    [RAMIFY_OK] = "OK",
    [RAMIFY_STOPPED] = "STOPPED",
    [RAMIFY_ERROR_ARGUMENT] = "ERROR_ARGUMENT",
    [RAMIFY_ERROR_MEMORY] = "ERROR_MEMORY",
    [RAMIFY_ERROR_LIMIT] = "ERROR_LIMIT",
    [RAMIFY_ERROR_IO] = "ERROR_IO",
    [RAMIFY_ERROR_FORMAT] = "ERROR_FORMAT",
    [RAMIFY_ERROR_DATA] = "ERROR_DATA",
    [RAMIFY_ERROR_UNSUPPORTED] = "ERROR_UNSUPPORTED",
    [RAMIFY_ERROR_CLUSTER] = "ERROR_CLUSTER",
};

const char *ramify_status_name(ramify_status status) {
    size_t index = (size_t)status;
    if (index >= sizeof status_names / sizeof status_names[0])
        return "UNKNOWN";
    return status_names[index];
}

const char *ramify_version(void) {
    return RAMIFY_VERSION;
}

/* A message that did not fit ends in an ellipsis, so that nobody takes it for whole. */
static void mark_cut(char *message, size_t size, int wanted) {
    static const char ellipsis[] = "...";
    if (wanted >= 0 && (size_t)wanted >= size)
        memcpy(message + size - sizeof ellipsis, ellipsis, sizeof ellipsis);
}

ramify_status ramify_fail(ramify_context *context, ramify_status status, const char *format, ...) {
    pthread_mutex_lock(&context->lock);
    if (context->status == RAMIFY_OK) {
        context->status = status;
        va_list arguments;
        va_start(arguments, format);
        int wanted = vsnprintf(context->message, sizeof context->message, format, arguments);
        va_end(arguments);
        mark_cut(context->message, sizeof context->message, wanted);
    }
    pthread_mutex_unlock(&context->lock);
    return status;
}

void ramify_clear(ramify_context *context) {
    pthread_mutex_lock(&context->lock);
    context->status = RAMIFY_OK;
    context->message[0] = '\0';
    pthread_mutex_unlock(&context->lock);
    atomic_store(&context->cancelled, false);
    atomic_store(&context->next_progress, 0.0);
}

ramify_status ramify_recorded_status(const ramify_context *context) {
    return context->status;
}

const char *ramify_message(const ramify_context *context) {
    return context->message;
}

void ramify_log(ramify_context *context, ramify_log_level level, const char *format, ...) {
    if (!context->options.log)
        return;
    char line[RAMIFY_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    mark_cut(line, sizeof line, wanted);
    pthread_mutex_lock(&context->lock);
    context->options.log(context->options.user, level, line);
    pthread_mutex_unlock(&context->lock);
}

const char *ramify_system_reason(int error, char reason[RAMIFY_REASON_BYTES]) {
    if (strerror_r(error, reason, RAMIFY_REASON_BYTES) != 0)
        snprintf(reason, RAMIFY_REASON_BYTES, "error %d", error);
    return reason;
}

ramify_status ramify_fail_io(ramify_context *context, const char *name, const char *what,
                             int error) {
    char reason[RAMIFY_REASON_BYTES];
    return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot %s: %s", name, what,
                       ramify_system_reason(error, reason));
}
