/* ramify: the command-line tool. It uses nothing of the library but ramify.h. */

#include "arguments.h"
#include "ranks.h"
#include "verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    bool is_shared; /* the processes of an MPI job divide it among them */
} verb;

static const verb verbs[] = {
    {"train", verb_train, true},        {"predict", verb_predict, true},
    {"evaluate", verb_evaluate, true},  {"info", verb_info, false},
    {"export", verb_export, false},     {"law", verb_law, false},
    {"import", verb_import, false},     {"prune", verb_prune, false},
    {"quantize", verb_quantize, false}, {"diagnose", verb_diagnose, false},
    {"plan", verb_plan, false},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static const char explanation[] =
    "ramify: models made of small independent networks. A tree of prototypes sends each row to "
    "one\n"
    "of them, and only that one is loaded: the model stays on disk, a row needs a few kilobytes.\n"
    "\n"
    "  ramify train cars.csv --target price -o cars.ramify   learn a column from the others\n"
    "  ramify predict cars.ramify new.csv -o prices.csv      fill it in for new rows\n"
    "  ramify evaluate cars.ramify test.csv                  compare predictions with the truth\n"
    "  ramify info cars.ramify                               what the model is and what it needs\n"
    "  ramify export cars.ramify --c cars.c                  the model as plain C, or as --onnx\n"
    "  ramify import vit.safetensors --image 224x224x3 ...   a model of other tools' weights\n"
    "  ramify prune cars.ramify cars.csv --density 20% -o small.ramify   fewer weights\n"
    "  ramify prune vit.ramify --branches 4 -o small.ramify  fewer branches of a Para-Former\n"
    "  ramify quantize cars.ramify cars.csv -o small.ramify  the same with 8-bit weights\n"
    "  ramify law fit runs.csv --form m4 --x rows --y error  what larger runs will give\n"
    "  ramify diagnose cars.csv --target price               where the error comes from\n"
    "  ramify plan cars.csv --target price -o PLAN.json      the error before it is paid for, or "
    "--runs\n"
    "\n"
    "DATA is CSV (any delimiter, header or not, numbers, words and gaps), NPY or IDX, also "
    "gzipped,\n"
    "or - for standard input. A target of words is a classification, of numbers a regression.\n"
    "\n"
    "  --resident 32KiB   bound the memory that predicting one row needs\n"
    "  --controls         train plain networks of the same cost beside it, and compare\n"
    "  --json             print results as JSON\n"
    "\n"
    "`ramify VERB --help` lists all options with their defaults.\n";

static int run_verb(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        fputs(explanation, stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ramify %s\n", ramify_version());
        return EXIT_OK;
    }
    const char *names[VERB_COUNT];
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            if (!verbs[i].is_shared && ranks_launched() > 1)
                return arguments_refuse(argv[1], "is not divided among processes: start one, "
                                                 "without the launcher");
            return verbs[i].run(argc - 2, argv + 2);
        }
        names[i] = verbs[i].name;
    }
    const char *nearest = arguments_nearest(argv[1], names, VERB_COUNT);
    if (nearest)
        return arguments_refuse(NULL, "unknown verb \"%s\"; did you mean %s?", argv[1], nearest);
    return arguments_refuse(NULL,
                            "unknown verb \"%s\"; known are train, predict, evaluate, info, "
                            "export, law, import, prune, "
                            "quantize, diagnose and plan",
                            argv[1]);
}

int main(int argc, char **argv) {
    /* A write beyond the limit on file sizes is to fail like any other, not to end the program. */
    signal(SIGXFSZ, SIG_IGN);
    int exit_status = run_verb(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_status;
    if (exit_status == EXIT_OK)
        fprintf(stderr, "ramify: standard output: cannot be written (%s)\n", strerror(errno));
    return exit_status == EXIT_OK ? EXIT_FAILED : exit_status;
}
