/* ramify law: scaling laws. Its own first word says what to do. */

#include "arguments.h"
#include "law_verbs.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

/* --- law forms -------------------------------------------------------------------------------- */

static int law_forms(int argc, char **argv) {
    arguments list = {.verb = "law forms",
                      .usage = "",
                      .summary = "Lists the forms of laws: name, formula, source."};
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    const char *name, *formula, *source;
    for (uint32_t i = 0; (name = ramify_law_form_name(i, &formula, &source)); i++)
        printf("%-17s %s\n%-17s   %s\n", name, formula, "", source);
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} acts[] = {{"fit", law_fit},       {"compare", law_compare},   {"predict", law_predict},
            {"invert", law_invert}, {"frontier", law_frontier}, {"optimum", law_optimum},
            {"forms", law_forms}};
#define ACTS (sizeof acts / sizeof acts[0])

static const char explanation[] =
    "ramify law: the error of training runs as a function of their sizes.\n"
    "\n"
    "  ramify law fit runs.csv --form auto --x rows --y error -o law.json   fit a law to runs\n"
    "  ramify law compare runs.csv --forms auto,m4 --x rows --y error \\\n"
    "      --fit-where 'rows<=1e6'                           rank forms by held-out runs\n"
    "  ramify law predict law.json --at rows=4e6             the error of a run that was not made\n"
    "  ramify law invert law.json --error 0.05               the rows that an error takes\n"
    "  ramify law frontier law.json --budget 1e22            best model and data for a budget\n"
    "  ramify law optimum law.json --error 0.08              smallest pruned network for an error\n"
    "  ramify law forms                                      the formulas\n"
    "\n"
    "`ramify law fit --help` and so on list the options.\n";

int verb_law(int argc, char **argv) {
    if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        fputs(explanation, stdout);
        return EXIT_OK;
    }
    const char *names[ACTS];
    for (size_t i = 0; i < ACTS; i++) {
        names[i] = acts[i].name;
        if (strcmp(argv[0], acts[i].name) == 0)
            return acts[i].run(argc - 1, argv + 1);
    }
    const char *nearest = arguments_nearest(argv[0], names, ACTS);
    if (nearest)
        return arguments_refuse("law", "unknown word \"%s\"; did you mean %s?", argv[0], nearest);
    return arguments_refuse("law",
                            "unknown word \"%s\"; known are fit, compare, predict, invert, "
                            "frontier, optimum and forms",
                            argv[0]);
}
