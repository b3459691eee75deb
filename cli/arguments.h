#ifndef RAMIFY_CLI_ARGUMENTS_H
#define RAMIFY_CLI_ARGUMENTS_H
/* Reading the arguments of a verb. A verb lists its options, each bound to a variable that holds
 * the default; the same list reads the arguments and prints the help, so the help cannot be wrong.
 */

#include "ramify.h"

/* Exit statuses, as promised in docs/cli.md; a stop by signal N is 128 + N. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

/* What an option's argument is, and the type of the variable that it sets. */
typedef enum argument_kind {
    ARGUMENT_NONE,    /* bool: true when the option is given */
    ARGUMENT_TEXT,    /* const char * */
    ARGUMENT_LIST,    /* char *: repeated options are joined by commas; see arguments_free */
    ARGUMENT_TEXTS,   /* argument_texts: repeated options side by side */
    ARGUMENT_COUNT,   /* uint32_t, at least 1 */
    ARGUMENT_INTEGER, /* uint64_t */
    ARGUMENT_SIZE,    /* uint64_t bytes: 4096, 32KiB, 1.5MiB, 2GiB; 0 is written "none" */
    ARGUMENT_TIME,    /* double seconds: 90, 90s, 1.5m, 2h; 0 is written "none" */
    ARGUMENT_SHARE,   /* double: 0.01 or 1% */
    ARGUMENT_NUMBER,  /* double */
    ARGUMENT_NAME     /* int: the place of the argument in `names` */
} argument_kind;

#define ARGUMENT_TEXTS_MAX 16

typedef struct argument_texts {
    const char *text[ARGUMENT_TEXTS_MAX];
    uint32_t count;
} argument_texts;

typedef struct argument_option {
    const char *name; /* without its two dashes; NULL starts a section of the help, named by help */
    char letter;      /* short form, or 0 */
    argument_kind kind;
    void *value;
    const char *placeholder;  /* "COL", in the help */
    const char *unset;        /* how the help calls a default of 0, NULL or below 0 */
    const char *const *names; /* ARGUMENT_NAME: NULL-terminated */
    uint32_t most;            /* ARGUMENT_COUNT: largest number; 0: any */
    const char *help;
} argument_option;

/* A verb's longest list is train's, 65 with its sections; what does not fit would go missing. */
#define ARGUMENT_OPTIONS_MAX 96

typedef struct arguments {
    const char *verb;
    const char *usage;   /* positional arguments, as in "MODEL DATA" */
    const char *summary; /* what the verb does; lines of at most 80 characters */
    size_t positional_count;
    size_t optional_count; /* of these, how many at the end need not be given */
    const char *positional[2];
    size_t option_count;
    argument_option options[ARGUMENT_OPTIONS_MAX];
    bool given[ARGUMENT_OPTIONS_MAX]; /* set by arguments_read */
} arguments;

/* What all verbs that read tables have in common. */
typedef struct table_arguments {
    ramify_table_options options;
    char *categorical;
    int header;
} table_arguments;

/* What all verbs that compute have in common. */
typedef struct context_arguments {
    uint32_t threads;
    const char *isa;
    uint64_t memory_bytes;
    bool verbose;
    bool mpi;      /* join the processes of an MPI job, whatever the launcher's name */
    bool may_join; /* not an option: the verb is divided among them */
    uint64_t
        words; /* not an option: a hash of all arguments, which must be the same for all of them */
} context_arguments;

/* What the verbs that predict have in common. */
typedef struct model_arguments {
    uint64_t resident_bytes;
    int access;
    uint32_t top_k;
    uint32_t branches; /* 0: all */
    bool notes;        /* not an option: intervals or novelty are asked for */
} model_arguments;

void arguments_add(arguments *list, argument_option option);
void arguments_add_all(arguments *list, const argument_option *options, size_t count);
void arguments_add_model(arguments *list, model_arguments *model);
void arguments_add_table(arguments *list, table_arguments *table);
void arguments_add_context(arguments *list, context_arguments *context);
/* The same for verbs that the processes of an MPI job share: argv[0 .. argc) as given to arguments_read. */
void arguments_add_ranks(arguments *list, context_arguments *context, int argc, char **argv);

/* Which rows of a model's training learn and which are held out, for verbs that go on from a model. A
 * seed of UINT64_MAX, which the verb sets before, stands for the training's. */
typedef struct held_arguments {
    const char **weight, **group, **time; /* columns */
    double *validation;
    uint64_t *seed;
} held_arguments;

void arguments_add_held(arguments *list, held_arguments held);

/* Words of a ramify_choice, and for how layers with zeros are stored; both end with NULL. */
extern const char *const argument_choice_names[], *const argument_store_names[];

/* Reads argv[0 .. argc), the words after the verb. Returns true when the verb is to run; else
 * *exit_status is what the tool is to exit with: help was asked for and is printed, or one sentence
 * about what is wrong is. */
bool arguments_read(arguments *list, int argc, char **argv, int *exit_status);

/* Whether an option was given. */
bool arguments_given(const arguments *list, const char *name);

/* The name of an option that was given and is not among `names` (ends with NULL), or NULL. */
const char *arguments_beside(const arguments *list, const char *const *names);

/* Completes table->options after arguments_read. The texts stay the arguments'. */
void arguments_finish_table(table_arguments *table);

/* False after one sentence where a level of intervals lies outside 0 .. 1; below 0 none was given. */
bool arguments_good_interval(const char *verb, double level);

/* Reads the number that is all of text[0 .. length). */
bool arguments_number(const char *text, size_t length, double *value);

/* Reads the name at `text`, up to one of the bytes `stops` or the end; one that holds a stop stands in
 * double quotes, as in lists of columns. The name is not terminated. Returns where the stop or the end
 * is. */
const char *arguments_name(const char *text, const char *stops, const char **name, size_t *length);

/* Frees the texts of ARGUMENT_LIST options and sets them to NULL. */
void arguments_free(arguments *list);

/* Prints "ramify VERB: sentence" and where to read more; returns EXIT_USAGE. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int arguments_refuse(const char *verb, const char *format, ...);

/* The name nearest to `word` among names[0 .. count), or NULL when none is near. */
const char *arguments_nearest(const char *word, const char *const *names, size_t count);

#endif
