#include "arguments.h"
#include "ranks.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer words are not mistyped names. */
#define NEAREST_LENGTH_MAX 40

/* Experts per row at most, as ramify_open_options has it. */
#define TOP_K_MAX 16

/* Where explanations begin in the help; longer options have theirs on a line of its own. */
#define HELP_COLUMN 30

/* Longer numbers are none that anybody writes: a double has 17 digits. */
#define NUMBER_ROOM 64

typedef struct unit {
    const char *name;
    double factor;
} unit;

static const unit size_units[] = {
    {"", 1.0}, {"B", 1.0}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {NULL, 0.0}};
static const unit time_units[] = {{"", 1.0}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}, {NULL, 0.0}};
static const unit share_units[] = {{"", 1.0}, {"%", 0.01}, {NULL, 0.0}};
static const unit no_units[] = {{"", 1.0}, {NULL, 0.0}};

static const char *const header_names[] = {
    [RAMIFY_HEADER_AUTO] = "auto", [RAMIFY_HEADER_YES] = "yes", [RAMIFY_HEADER_NO] = "no", NULL};

static const char *const access_names[] = {
    [RAMIFY_ACCESS_READ] = "read", [RAMIFY_ACCESS_MMAP] = "mmap", NULL};

/* What a good argument of each kind looks like, for messages. */
static const char *const kind_examples[] = {
    [ARGUMENT_INTEGER] = "a whole number from 0 to 18446744073709551615",
    [ARGUMENT_SIZE] = "a size (bytes, or with KiB, MiB or GiB, as in 32KiB)",
    [ARGUMENT_TIME] = "a time (seconds, or with s, m or h, as in 90s)",
    [ARGUMENT_SHARE] = "a share (as in 0.1 or 10%)",
    [ARGUMENT_NUMBER] = "a number",
};

int arguments_refuse(const char *verb, const char *format, ...) {
    if (ranks_place() > 0) /* all ranks have the same arguments */
        return EXIT_USAGE;
    va_list values;
    va_start(values, format);
    fprintf(stderr, "ramify%s%s: ", verb ? " " : "", verb ? verb : "");
    vfprintf(stderr, format, values);
    fprintf(stderr, "\n");
    va_end(values);
    return EXIT_USAGE;
}

void arguments_add(arguments *list, argument_option option) {
    if (list->option_count < ARGUMENT_OPTIONS_MAX)
        list->options[list->option_count++] = option;
}

void arguments_add_all(arguments *list, const argument_option *options, size_t count) {
    for (size_t i = 0; i < count; i++)
        arguments_add(list, options[i]);
}

void arguments_add_model(arguments *list, model_arguments *model) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    *model = (model_arguments){
        .resident_bytes = options.resident_bytes, .access = (int)options.access, .top_k = 1};
    arguments_add(list, (argument_option){.help = "How the model is held"});
    arguments_add(list, (argument_option){.name = "resident",
                                          .kind = ARGUMENT_SIZE,
                                          .value = &model->resident_bytes,
                                          .placeholder = "SIZE",
                                          .unset = "no bound",
                                          .help = "bound on all bytes held of the model"});
    arguments_add(list, (argument_option){.name = "access",
                                          .kind = ARGUMENT_NAME,
                                          .value = &model->access,
                                          .names = access_names,
                                          .help = "read parts when needed, or map the file"});
    arguments_add(list, (argument_option){.name = "top-k",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &model->top_k,
                                          .placeholder = "K",
                                          .most = TOP_K_MAX,
                                          .help = "experts that blend into one another, up to 16"});
    arguments_add(list, (argument_option){.name = "branches",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &model->branches,
                                          .placeholder = "K",
                                          .unset = "all",
                                          .help = "of a Para-Former, run the first K only"});
}

void arguments_add_table(arguments *list, table_arguments *table) {
    ramify_table_options_init(&table->options);
    table->categorical = NULL;
    table->header = (int)table->options.header;
    arguments_add(list, (argument_option){.help = "How tables are read"});
    arguments_add(list, (argument_option){.name = "delimiter",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &table->options.delimiter,
                                          .placeholder = "CHAR",
                                          .unset = "the first of tab , ; blanks in line 1",
                                          .help = "what stands between cells"});
    arguments_add(list, (argument_option){.name = "header",
                                          .kind = ARGUMENT_NAME,
                                          .value = &table->header,
                                          .names = header_names,
                                          .help = "whether line 1 holds names"});
    arguments_add(list, (argument_option){.name = "categorical",
                                          .kind = ARGUMENT_LIST,
                                          .value = &table->categorical,
                                          .placeholder = "COL,..",
                                          .unset = "none",
                                          .help = "read these columns as categories"});
    arguments_add(list, (argument_option){.name = "labels",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &table->options.labels,
                                          .placeholder = "FILE",
                                          .unset = "none",
                                          .help = "the target, in a file of its own"});
    arguments_add(list, (argument_option){.name = "image",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &table->options.image,
                                          .placeholder = "HxWxC",
                                          .unset = "not an image",
                                          .help = "shape of the images in CSV or NPY rows"});
}

void arguments_finish_table(table_arguments *table) {
    table->options.header = (ramify_header)table->header;
    table->options.categorical = table->categorical;
}

void arguments_add_held(arguments *list, held_arguments held) {
    const argument_option options[] = {
        {.help = "Rows, as in the training"},
        {.name = "weight",
         .kind = ARGUMENT_TEXT,
         .value = held.weight,
         .placeholder = "COL",
         .unset = "none",
         .help = "weight of every row"},
        {.name = "group",
         .kind = ARGUMENT_TEXT,
         .value = held.group,
         .placeholder = "COL",
         .unset = "none",
         .help = "rows that belong together"},
        {.name = "time",
         .kind = ARGUMENT_TEXT,
         .value = held.time,
         .placeholder = "COL",
         .unset = "none",
         .help = "hold out the latest rows by this"},
        {.name = "validation",
         .kind = ARGUMENT_SHARE,
         .value = held.validation,
         .placeholder = "SHARE",
         .unset = "the training's",
         .help = "rows held out, by which errors are told"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = held.seed,
         .placeholder = "N",
         .unset = "the training's",
         .help = "another one holds other rows out"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
}

const char *const argument_choice_names[] = {
    [RAMIFY_CHOICE_AUTO] = "auto", [RAMIFY_CHOICE_ON] = "on", [RAMIFY_CHOICE_OFF] = "off", NULL};
const char *const argument_store_names[] = {"fastest", "smallest", "dense", NULL};

void arguments_add_context(arguments *list, context_arguments *context) {
    *context = (context_arguments){0};
    arguments_add(list, (argument_option){.help = "How it is computed"});
    arguments_add(list, (argument_option){.name = "threads",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &context->threads,
                                          .placeholder = "N",
                                          .unset = "one per processor",
                                          .help = "threads to use"});
    arguments_add(list, (argument_option){.name = "isa",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &context->isa,
                                          .placeholder = "NAME",
                                          .unset = "the best there is",
                                          .help = "baseline, avx2, avx512 or neon"});
    arguments_add(list, (argument_option){.name = "memory",
                                          .kind = ARGUMENT_SIZE,
                                          .value = &context->memory_bytes,
                                          .placeholder = "SIZE",
                                          .unset = "what the machine has free",
                                          .help = "bound on a table that is read"});
    arguments_add(list, (argument_option){.name = "verbose",
                                          .kind = ARGUMENT_NONE,
                                          .value = &context->verbose,
                                          .help = "say on stderr what is being done"});
}

/* FNV-1a over the words, each with its end. */
static uint64_t hash_words(int argc, char **argv) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (int i = 0; i < argc; i++)
        for (const char *p = argv[i];; p++) {
            hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
            if (!*p)
                break;
        }
    return hash;
}

void arguments_add_ranks(arguments *list, context_arguments *context, int argc, char **argv) {
    arguments_add_context(list, context);
    context->may_join = true;
    context->words = hash_words(argc, argv);
    arguments_add(list, (argument_option){.name = "mpi",
                                          .kind = ARGUMENT_NONE,
                                          .value = &context->mpi,
                                          .help = "be one of several processes; mpirun and srun "
                                                  "need no saying"});
}

bool arguments_good_interval(const char *verb, double level) {
    if (level < 0 || (level > 0 && level < 1))
        return true;
    arguments_refuse(verb, "--interval %g: must lie between 0 and 1 (as 0.9 or 90%% does)", level);
    return false;
}

void arguments_free(arguments *list) {
    for (size_t i = 0; i < list->option_count; i++) {
        if (list->options[i].name && list->options[i].kind == ARGUMENT_LIST) {
            char **text = list->options[i].value;
            free(*text);
            *text = NULL;
        }
    }
}

/* Edits (insert, delete, replace, swap neighbours) from a to b; both at most NEAREST_LENGTH_MAX. */
static size_t edit_distance(const char *a, const char *b) {
    size_t m = strlen(a), n = strlen(b);
    size_t rows[3][NEAREST_LENGTH_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; i <= m; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n];
}

const char *arguments_nearest(const char *word, const char *const *names, size_t count) {
    size_t length = strlen(word);
    if (length == 0 || length > NEAREST_LENGTH_MAX)
        return NULL;
    const char *nearest = NULL;
    /* A third of the letters wrong, at least two, is still a slip; more is another word. */
    size_t best = (length / 3 > 2 ? length / 3 : 2) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t name_length = strlen(names[i]);
        if (name_length > NEAREST_LENGTH_MAX)
            continue;
        size_t distance = edit_distance(word, names[i]);
        if (distance < best && distance < name_length) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

static const argument_option *find_option(const arguments *list, const char *name, size_t length) {
    for (size_t i = 0; i < list->option_count; i++) {
        const char *known = list->options[i].name;
        if (known && strlen(known) == length && memcmp(known, name, length) == 0)
            return &list->options[i];
    }
    return NULL;
}

static const argument_option *find_letter(const arguments *list, char letter) {
    for (size_t i = 0; i < list->option_count; i++) {
        if (list->options[i].name && list->options[i].letter == letter)
            return &list->options[i];
    }
    return NULL;
}

static int refuse_unknown(const arguments *list, const char *word, size_t length) {
    const char *names[ARGUMENT_OPTIONS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < list->option_count; i++) {
        if (list->options[i].name)
            names[count++] = list->options[i].name;
    }
    names[count++] = "help";
    char bare[NEAREST_LENGTH_MAX + 2] = "";
    snprintf(bare, sizeof bare, "%.*s", (int)(length < sizeof bare ? length : sizeof bare), word);
    const char *nearest = arguments_nearest(bare, names, count);
    if (nearest)
        return arguments_refuse(list->verb, "unknown option --%.*s; did you mean --%s?",
                                (int)length, word, nearest);
    return arguments_refuse(list->verb, "unknown option --%.*s; `ramify %s --help` lists them",
                            (int)length, word, list->verb);
}

/* Reads a finite decimal number at least 0, or below 0 too if `negative`, with one of the units. */
static bool read_number(const char *text, const unit *units, bool negative, double *value) {
    /* strtod also takes hexadecimal, "inf" and "nan", which are slips here. */
    size_t digits = strspn(text, "+-.0123456789eE");
    if (digits == 0 || (text[0] == '-' && !negative))
        return false;
    char *end;
    double number = strtod(text, &end);
    if (end == text || end > text + digits || !isfinite(number))
        return false;
    for (const unit *u = units; u->name; u++) {
        if (strcmp(end, u->name) == 0) {
            *value = number * u->factor;
            return isfinite(*value);
        }
    }
    return false;
}

bool arguments_number(const char *text, size_t length, double *value) {
    char copy[NUMBER_ROOM];
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return read_number(copy, no_units, true, value);
}

const char *arguments_name(const char *text, const char *stops, const char **name, size_t *length) {
    text += strspn(text, " ");
    const char *quote = text[0] == '"' ? strchr(text + 1, '"') : NULL;
    const char *behind = quote ? quote + 1 + strspn(quote + 1, " ") : NULL;
    if (quote && (*behind == '\0' || strchr(stops, *behind))) {
        *name = text + 1;
        *length = (size_t)(quote - *name);
        return behind;
    }
    *name = text;
    *length = strcspn(text, stops);
    const char *stop = text + *length;
    while (*length > 0 && text[*length - 1] == ' ')
        --*length;
    return stop;
}

static bool read_integer(const char *text, uint64_t low, uint64_t high, uint64_t *value) {
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number < low || number > high)
        return false;
    *value = number;
    return true;
}

static bool join(char **list, const char *text) {
    size_t old = *list ? strlen(*list) + 1 : 0;
    char *grown = realloc(*list, old + strlen(text) + 1);
    if (!grown)
        return false;
    if (old)
        grown[old - 1] = ',';
    memcpy(grown + old, text, strlen(text) + 1);
    *list = grown;
    return true;
}

static bool refuse_name(const arguments *list, const argument_option *option, const char *text) {
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; option->names[i] && used < sizeof known; i++) {
        const char *between = i == 0 ? "" : (option->names[i + 1] ? ", " : " or ");
        int wrote = snprintf(known + used, sizeof known - used, "%s%s", between, option->names[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    arguments_refuse(list->verb, "--%s \"%s\": must be %s", option->name, text, known);
    return false;
}

/* A bound of nothing is a slip; the word for no bound is "none". */
static bool is_bound(const arguments *list, const argument_option *option, const char *text,
                     double number) {
    if (strcmp(text, "none") == 0 || number > 0)
        return true;
    arguments_refuse(list->verb, "--%s \"%s\": must be above 0, or none", option->name, text);
    return false;
}

static bool set_option(const arguments *list, const argument_option *option, const char *text) {
    double number;
    uint64_t integer;
    switch (option->kind) {
    case ARGUMENT_NONE:
        *(bool *)option->value = true;
        return true;
    case ARGUMENT_TEXT:
        *(const char **)option->value = text;
        return true;
    case ARGUMENT_LIST:
        if (join(option->value, text))
            return true;
        arguments_refuse(list->verb, "out of memory");
        return false;
    case ARGUMENT_TEXTS: {
        argument_texts *texts = option->value;
        if (texts->count == ARGUMENT_TEXTS_MAX) {
            arguments_refuse(list->verb, "--%s: %d times are the most", option->name,
                             ARGUMENT_TEXTS_MAX);
            return false;
        }
        texts->text[texts->count++] = text;
        return true;
    }
    case ARGUMENT_NAME:
        for (int i = 0; option->names[i]; i++) {
            if (strcmp(option->names[i], text) == 0) {
                *(int *)option->value = i;
                return true;
            }
        }
        return refuse_name(list, option, text);
    case ARGUMENT_COUNT: {
        uint32_t most = option->most ? option->most : UINT32_MAX;
        if (!read_integer(text, 1, most, &integer)) {
            arguments_refuse(list->verb, "--%s \"%s\": must be a whole number from 1 to %u",
                             option->name, text, (unsigned)most);
            return false;
        }
        *(uint32_t *)option->value = (uint32_t)integer;
        return true;
    }
    case ARGUMENT_INTEGER:
        if (!read_integer(text, 0, UINT64_MAX, &integer))
            break;
        *(uint64_t *)option->value = integer;
        return true;
    case ARGUMENT_SIZE:
        number = 0;
        /* 2^63 bytes: beyond every machine, and exact in both types. */
        if (strcmp(text, "none") != 0 &&
            (!read_number(text, size_units, false, &number) || number >= 0x1p63 ||
             (number > 0 && number < 1))) /* a part of a byte */
            break;
        if (!is_bound(list, option, text, number))
            return false;
        *(uint64_t *)option->value = (uint64_t)number;
        return true;
    case ARGUMENT_TIME:
        number = 0;
        if (strcmp(text, "none") != 0 && !read_number(text, time_units, false, &number))
            break;
        if (!is_bound(list, option, text, number))
            return false;
        *(double *)option->value = number;
        return true;
    case ARGUMENT_SHARE:
        if (!read_number(text, share_units, false, option->value))
            break;
        return true;
    case ARGUMENT_NUMBER:
        if (!read_number(text, no_units, true, option->value))
            break;
        return true;
    }
    arguments_refuse(list->verb, "--%s \"%s\": must be %s", option->name, text,
                     kind_examples[option->kind]);
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Help
 * --------------------------------------------------------------------------------------------- */

static void print_size(char *text, size_t room, uint64_t bytes) {
    if (bytes != 0 && bytes % 1048576 == 0)
        snprintf(text, room, "%lluMiB", (unsigned long long)(bytes / 1048576));
    else if (bytes != 0 && bytes % 1024 == 0)
        snprintf(text, room, "%lluKiB", (unsigned long long)(bytes / 1024));
    else
        snprintf(text, room, "%llu", (unsigned long long)bytes);
}

/* The default of an option as text; "" when there is nothing to say. */
static void print_default(const argument_option *option, char *text, size_t room) {
    const char *unset = option->unset ? option->unset : "";
    text[0] = '\0';
    double number;
    uint64_t integer;
    switch (option->kind) {
    case ARGUMENT_NONE:
        snprintf(text, room, "off");
        return;
    case ARGUMENT_TEXT:
    case ARGUMENT_LIST: {
        const char *value = *(const char *const *)option->value;
        snprintf(text, room, "%s", value ? value : unset);
        return;
    }
    case ARGUMENT_TEXTS:
        snprintf(text, room, "%s", unset);
        return;
    case ARGUMENT_NAME:
        snprintf(text, room, "%s", option->names[*(const int *)option->value]);
        return;
    case ARGUMENT_COUNT:
    case ARGUMENT_INTEGER:
        integer = option->kind == ARGUMENT_COUNT ? *(const uint32_t *)option->value
                                                 : *(const uint64_t *)option->value;
        if ((integer == 0 || integer == UINT64_MAX) && option->unset)
            snprintf(text, room, "%s", unset);
        else
            snprintf(text, room, "%llu", (unsigned long long)integer);
        return;
    case ARGUMENT_SIZE:
        if (*(const uint64_t *)option->value == 0 ||
            *(const uint64_t *)option->value == RAMIFY_RESIDENT_USUAL)
            snprintf(text, room, "%s", unset);
        else
            print_size(text, room, *(const uint64_t *)option->value);
        return;
    case ARGUMENT_TIME:
    case ARGUMENT_SHARE:
    case ARGUMENT_NUMBER:
        number = *(const double *)option->value;
        if (number <= 0.0)
            snprintf(text, room, "%s", unset);
        else
            snprintf(text, room, "%g", number);
        return;
    }
}

static void print_option(const argument_option *option) {
    char left[96], names[64] = "", value[96];
    if (option->kind == ARGUMENT_NAME) {
        for (size_t i = 0; option->names[i]; i++) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", i ? "|" : "", option->names[i]);
        }
    }
    const char *argument = option->kind == ARGUMENT_NAME ? names : option->placeholder;
    char letter[8] = "";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, argument ? " " : "",
             argument ? argument : "");
    print_default(option, value, sizeof value);
    if (strlen(left) > HELP_COLUMN) {
        printf("  %s\n", left);
        left[0] = '\0';
    }
    printf("  %-*s %s%s%s%s\n", HELP_COLUMN, left, option->help, value[0] ? " [" : "", value,
           value[0] ? "]" : "");
}

static void print_help(const arguments *list) {
    printf("Usage: ramify %s %s [option ...]\n\n%s\n", list->verb, list->usage, list->summary);
    printf("\nOptions [default]\n");
    for (size_t i = 0; i < list->option_count; i++) {
        const argument_option *option = &list->options[i];
        if (option->name)
            print_option(option);
        else
            printf("\n%s\n", option->help);
    }
    printf("  %-*s %s\n", HELP_COLUMN, "--help", "print this");
}

/* ------------------------------------------------------------------------------------------------
 * Reading
 * --------------------------------------------------------------------------------------------- */

/* Sets the option at argv[*at], with its argument in the same word or the next. */
static bool read_option(arguments *list, int argc, char **argv, int *at) {
    const char *word = argv[*at];
    const argument_option *option;
    const char *text = NULL;
    if (word[1] == '-') {
        const char *name = word + 2;
        size_t length = strcspn(name, "=");
        option = find_option(list, name, length);
        if (!option) {
            refuse_unknown(list, name, length);
            return false;
        }
        if (name[length] == '=')
            text = name + length + 1;
    } else {
        option = find_letter(list, word[1]);
        if (!option) {
            arguments_refuse(list->verb, "unknown option %s; `ramify %s --help` lists them", word,
                             list->verb);
            return false;
        }
        if (word[2] != '\0')
            text = word + 2;
    }
    if (option->kind == ARGUMENT_NONE) {
        if (text) {
            arguments_refuse(list->verb, "--%s takes no argument", option->name);
            return false;
        }
    } else if (!text) {
        if (*at + 1 >= argc) {
            arguments_refuse(list->verb, "--%s needs an argument", option->name);
            return false;
        }
        text = argv[++*at];
    }
    list->given[option - list->options] = true;
    return set_option(list, option, text);
}

bool arguments_read(arguments *list, int argc, char **argv, int *exit_status) {
    bool options_ended = false;
    size_t found = 0;
    for (int at = 0; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            arguments_free(list); /* so that the help shows the defaults */
            print_help(list);
            *exit_status = EXIT_OK;
            return false;
        }
        if (strcmp(argv[at], "--") == 0)
            break;
    }
    *exit_status = EXIT_USAGE;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && word[0] == '-' && word[1] != '\0') {
            if (!read_option(list, argc, argv, &at))
                return false;
        } else if (found < list->positional_count) {
            list->positional[found++] = word;
        } else {
            arguments_refuse(list->verb, "\"%s\" is one argument too many (usage: ramify %s %s)",
                             word, list->verb, list->usage);
            return false;
        }
    }
    if (found + list->optional_count < list->positional_count) {
        arguments_refuse(list->verb, "an argument is missing (usage: ramify %s %s)", list->verb,
                         list->usage);
        return false;
    }
    return true;
}

bool arguments_given(const arguments *list, const char *name) {
    for (size_t i = 0; i < list->option_count; i++)
        if (list->given[i] && strcmp(list->options[i].name, name) == 0)
            return true;
    return false;
}

const char *arguments_beside(const arguments *list, const char *const *names) {
    for (size_t i = 0; i < list->option_count; i++) {
        bool named = false;
        for (size_t k = 0; names[k] && list->given[i]; k++)
            named = named || strcmp(names[k], list->options[i].name) == 0;
        if (list->given[i] && !named)
            return list->options[i].name;
    }
    return NULL;
}
