/* The model as C source: the way through it. See export.h. */

#include "export.h"
#include "memory.h"
#include "text.h"

#include <string.h>

/* Stored bytes of a model beyond which it is refused: 16 million numbers make a source of 250 MB,
 * for which compilers take gigabytes. */
#define EXPORT_BYTES_MAX ((uint64_t)64 << 20)

/* C99 tells names apart by their first 63 characters; ours are at most 12 longer than the
 * caller's. */
#define EXPORT_NAME_MAX 48

static const char *const reserved[] = {"alignas",      "alignof",
                                       "asm",          "auto",
                                       "bool",         "break",
                                       "case",         "char",
                                       "const",        "constexpr",
                                       "continue",     "default",
                                       "do",           "double",
                                       "else",         "enum",
                                       "extern",       "false",
                                       "float",        "for",
                                       "goto",         "if",
                                       "inline",       "int",
                                       "long",         "main",
                                       "nullptr",      "register",
                                       "restrict",     "return",
                                       "short",        "signed",
                                       "sizeof",       "static",
                                       "struct",       "switch",
                                       "true",         "typedef",
                                       "typeof",       "typeof_unqual",
                                       "union",        "unsigned",
                                       "void",         "static_assert",
                                       "thread_local", "volatile",
                                       "while",        "isfinite",
                                       "isnan",        "isinf",
                                       "isnormal",     "isgreater",
                                       "isless",       "islessequal",
                                       "signbit",      "fpclassify",
                                       "isunordered",  "islessgreater",
                                       "NAN",          "INFINITY",
                                       "HUGE_VAL",     "float_t",
                                       "double_t",     "isgreaterequal"};

/* With the endings f and l too. */
static const char *const functions[] = {
    "acos",    "acosh",     "asin",       "asinh",     "atan",   "atan2",  "atanh",   "cbrt",
    "ceil",    "copysign",  "cos",        "cosh",      "erf",    "erfc",   "exp",     "exp2",
    "expm1",   "fabs",      "fdim",       "floor",     "fma",    "fmax",   "fmin",    "fmod",
    "frexp",   "hypot",     "ilogb",      "ldexp",     "lgamma", "llrint", "llround", "log",
    "log10",   "log1p",     "log2",       "logb",      "lrint",  "lround", "modf",    "nan",
    "pow",     "nearbyint", "nextafter",  "remainder", "remquo", "rint",   "round",   "scalbn",
    "scalbln", "sin",       "nexttoward", "sinh",      "sqrt",   "tan",    "tanh",    "tgamma",
    "trunc"};

static bool taken(const char *name) {
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(name, reserved[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        size_t length = strlen(functions[i]);
        if (strncmp(name, functions[i], length) != 0)
            continue;
        const char *end = name + length;
        if (end[0] == '\0' || ((end[0] == 'f' || end[0] == 'l') && end[1] == '\0'))
            return true;
    }
    return false;
}

static bool letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static ramify_status check_name(ramify_context *context, const char *name) {
    char excerpt[RAMIFY_EXCERPT_BYTES];
    size_t length = strlen(name);
    bool good = length > 0 && length <= EXPORT_NAME_MAX && letter(name[0]);
    for (size_t i = 0; good && i < length; i++)
        good = letter(name[i]) || (name[i] >= '0' && name[i] <= '9') || name[i] == '_';
    if (!good)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "\"%s\" cannot be the name of an exported function: use letters, digits "
                           "and underscores, a letter first, at most %d in all",
                           ramify_text_excerpt(name, length, excerpt), EXPORT_NAME_MAX);
    if (taken(name))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "\"%s\" cannot be the name of an exported function: C or math.h uses "
                           "it; choose another",
                           name);
    return RAMIFY_OK;
}

static ramify_status write_source(ramify_exporter *e, const char *path) {
    for (uint32_t l = 0; l < e->mlp->layers; l++) {
        uint64_t k = e->layer[l].k, n = e->layer[l].n, members = e->mlp->members;
        e->packed += k * n + members * n + (members > 1 ? members * (k + n) : 0);
        e->packed += e->layer[l].last ? 0 : n;
    }
    e->buffer = ramify_allocate(e->context, RAMIFY_EXPORT_BUFFER, 1);
    if (!e->buffer)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_export_tree_walk(e->context, e->model, &e->traffic, &e->tree));
    ramify_export_list(e);
    RAMIFY_TRY(ramify_replacement_begin(e->context, path, &e->file));
    ramify_export_comment(e);
    ramify_export_arrays(e);
    ramify_export_functions(e);
    ramify_export_flush(e);
    if (e->status == RAMIFY_OK)
        return ramify_replacement_commit(e->context, &e->file);
    ramify_replacement_abandon(e->context, &e->file);
    return e->status;
}

ramify_status ramify_export_c(ramify_context *context, ramify_model *model, const char *path,
                              const char *name) {
    ramify_clear(context);
    if (!model || !path || !name)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_export_c: model, path or name is NULL");
    RAMIFY_TRY(check_name(context, name));
    uint64_t bytes = model->resident_bytes + model->limits.node_bytes +
                     model->limits.modules * model->limits.module_bytes;
    RAMIFY_TRY(ramify_export_check(context, model, "C", bytes, EXPORT_BYTES_MAX, "C source"));
    ramify_exporter *e = ramify_allocate_zeroed(context, 1, sizeof *e);
    if (!e)
        return RAMIFY_ERROR_MEMORY;
    e->context = context;
    e->model = model;
    e->stem = &model->stem;
    e->mlp = &model->shape.mlp;
    e->name = name;
    ramify_mlp_layout(e->mlp, e->layer);
    ramify_status status = write_source(e, path);
    ramify_export_tree_release(context, &e->tree);
    ramify_release(context, e->buffer);
    ramify_release(context, e);
    return status;
}
