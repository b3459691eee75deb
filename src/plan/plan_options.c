#include "plan_options.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_type {
    OPTION_TEXT,
    OPTION_COUNT,  /* uint32_t */
    OPTION_NUMBER, /* double */
    OPTION_SIZE,   /* uint64_t */
    OPTION_CHOICE  /* ramify_choice */
} option_type;

typedef struct option {
    const char *name;
    option_type type;
    size_t place;
} option;

#define PLACE(field) offsetof(ramify_train_options, field)

static const option options_known[] = {
    {"target", OPTION_TEXT, PLACE(target)},
    {"kind", OPTION_TEXT, PLACE(kind)},
    {"task", OPTION_TEXT, PLACE(task)},
    {"weight", OPTION_TEXT, PLACE(weight)},
    {"group", OPTION_TEXT, PLACE(group)},
    {"time", OPTION_TEXT, PLACE(time)},
    {"drop", OPTION_TEXT, PLACE(drop)},
    {"validation", OPTION_NUMBER, PLACE(validation)},
    {"seed", OPTION_SIZE, PLACE(seed)},
    {"resident", OPTION_SIZE, PLACE(resident_bytes)},
    {"hidden", OPTION_TEXT, PLACE(hidden)},
    {"members", OPTION_COUNT, PLACE(members)},
    {"leaves", OPTION_COUNT, PLACE(leaves)},
    {"arity", OPTION_COUNT, PLACE(arity)},
    {"smallest_node", OPTION_COUNT, PLACE(smallest_node)},
    {"tree", OPTION_TEXT, PLACE(tree)},
    {"split_test", OPTION_CHOICE, PLACE(split_test)},
    {"periodic", OPTION_CHOICE, PLACE(periodic)},
    {"bins", OPTION_CHOICE, PLACE(bins)},
    {"gradient_routing", OPTION_CHOICE, PLACE(gradient_routing)},
    {"borrow", OPTION_CHOICE, PLACE(borrow)},
    {"distillation", OPTION_CHOICE, PLACE(distillation)},
    {"averaging", OPTION_CHOICE, PLACE(averaging)},
    {"epochs", OPTION_COUNT, PLACE(epochs)},
    {"child_epochs", OPTION_COUNT, PLACE(child_epochs)},
    {"batch", OPTION_COUNT, PLACE(batch)},
    {"rate", OPTION_NUMBER, PLACE(rate)},
    {"decay", OPTION_NUMBER, PLACE(decay)},
};

#define OPTIONS (sizeof options_known / sizeof options_known[0])

static const char *const choices[] = {
    [RAMIFY_CHOICE_AUTO] = "auto", [RAMIFY_CHOICE_ON] = "on", [RAMIFY_CHOICE_OFF] = "off", NULL};

static const void *place_of(const ramify_train_options *options, const option *o) {
    return (const char *)options + o->place;
}

/* NULL where it is the usual value. */
static json_t *value_json(const option *o, const ramify_train_options *options,
                          const ramify_train_options *usual) {
    const void *at = place_of(options, o), *other = place_of(usual, o);
    switch (o->type) {
    case OPTION_TEXT: {
        const char *text = *(const char *const *)at, *was = *(const char *const *)other;
        return !text || (was && strcmp(text, was) == 0) ? NULL : json_string(text);
    }
    case OPTION_COUNT: {
        const uint32_t count = *(const uint32_t *)at;
        return count == *(const uint32_t *)other ? NULL : json_integer(count);
    }
    case OPTION_NUMBER: {
        const double number = *(const double *)at;
        return number == *(const double *)other ? NULL : json_real(number);
    }
    case OPTION_SIZE: {
        const uint64_t size = *(const uint64_t *)at;
        char digits[24]; /* JSON's numbers end where a seed may go on */
        snprintf(digits, sizeof digits, "%" PRIu64, size);
        if (size == *(const uint64_t *)other)
            return NULL;
        return size > INT64_MAX ? json_string(digits) : json_integer((json_int_t)size);
    }
    default: {
        const ramify_choice choice = *(const ramify_choice *)at;
        return choice == *(const ramify_choice *)other ? NULL : json_string(choices[choice]);
    }
    }
}

json_t *ramify_plan_options_json(const ramify_train_options *options) {
    ramify_train_options usual;
    ramify_train_options_init(&usual);
    json_t *object = json_object();
    for (size_t i = 0; object && i < OPTIONS; i++) {
        json_t *value = value_json(&options_known[i], options, &usual);
        if (value && json_object_set_new(object, options_known[i].name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static bool read_value(const json_t *value, const option *o, ramify_train_options *options) {
    void *at = (char *)options + o->place;
    const json_int_t whole = json_integer_value(value);
    switch (o->type) {
    case OPTION_TEXT:
        *(const char **)at = json_string_value(value);
        return json_is_string(value);
    case OPTION_COUNT:
        *(uint32_t *)at = (uint32_t)whole;
        return json_is_integer(value) && whole >= 0 && whole <= UINT32_MAX;
    case OPTION_NUMBER:
        *(double *)at = json_number_value(value);
        return json_is_number(value) && isfinite(json_number_value(value));
    case OPTION_SIZE: {
        char *end = NULL;
        const char *digits = json_string_value(value);
        *(uint64_t *)at = digits ? strtoull(digits, &end, 10) : (uint64_t)whole;
        return digits ? digits[0] >= '1' && digits[0] <= '9' && *end == '\0'
                      : json_is_integer(value) && whole >= 0;
    }
    default: {
        const char *text = json_string_value(value);
        const uint32_t choice = text ? ramify_word_find(text, choices) : UINT32_MAX;
        if (choice == UINT32_MAX)
            return false;
        *(ramify_choice *)at = (ramify_choice)choice;
        return true;
    }
    }
}

ramify_status ramify_plan_options_read(ramify_context *context, const char *source,
                                       const json_t *object, ramify_train_options *options) {
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return ramify_fail(context, RAMIFY_ERROR_DATA, "%s: \"choice\" is not an object", source);
    json_object_foreach((json_t *)object, key, value) {
        const option *found = NULL;
        for (size_t i = 0; !found && i < OPTIONS; i++)
            found = strcmp(options_known[i].name, key) == 0 ? &options_known[i] : NULL;
        char excerpt[RAMIFY_EXCERPT_BYTES];
        ramify_text_excerpt(key, strlen(key), excerpt);
        if (!found)
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: \"choice\" has the option \"%s\", which trainings do not have",
                               source, excerpt);
        if (!read_value(value, found, options))
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: \"choice\": \"%s\" is not what that option takes", source,
                               excerpt);
    }
    return RAMIFY_OK;
}
