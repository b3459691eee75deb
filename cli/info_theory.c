/* ramify info MODEL --theory: orders of growth, each beside its formula and where it is from. */

#include "info.h"
#include "printing.h"

#include <inttypes.h>
#include <math.h>

static const char constants[] = "unknown";
static const char curse[] =
    "The total moves to disk, it does not vanish: only the path and one expert are in memory.";

/* Up to here numbers are printed in full, and up to there as a double. */
#define PLAIN_LOG10_MAX  6
#define DOUBLE_LOG10_MAX 308

/* 10^log10 as "1,000", "1.0e+12" or "10^1566"; log10 is -INFINITY for 0. Returns text. */
static const char *format_order(char text[PRINTING_ROOM], double log10) {
    if (log10 <= PLAIN_LOG10_MAX)
        return format_count(text, (uint64_t)llround(pow(10, log10)));
    if (log10 < DOUBLE_LOG10_MAX)
        snprintf(text, PRINTING_ROOM, "%.1e", pow(10, log10));
    else
        snprintf(text, PRINTING_ROOM, "10^%.0f", log10);
    return text;
}

static void print_line(const char *what, double log10, const char *formula, const char *source) {
    char text[PRINTING_ROOM];
    printf("  %-26s %12s  %-26s %s\n", what, format_order(text, log10), formula, source);
}

static void print_error(const char *what, double error, const char *formula) {
    printf("  %-26s %12.2g  %-26s derived\n", what, error, formula);
}

void info_print_theory(const ramify_theory *t) {
    printf("\ntheory      orders of growth; their constants are %s, so these compare and do not\n"
           "            predict (docs/theory.md)\n\n",
           constants);
    printf("For an error of e = %g, in (Lipschitz constant) x (side of the box), everywhere on the "
           "box "
           "of\nthe n = %" PRIu32 " input columns, of any Lipschitz function; v = %" PRIu32 ":\n",
           t->epsilon, t->dimension, t->arity);
    print_line("weights of one expert", t->leaf_weights_log10, "e^-1", "paper");
    print_line("leaves", t->leaves_log10, "max{1, e^(2-n)}", "derived");
    print_line("weights in all", t->total_weights_log10, "leaves x e^-1", "derived");
    print_line("numbers in prototypes", t->prototypes_log10, "n leaves v/(v-1)", "derived");
    printf("  %-26s %12.0f  %-26s derived\n", "depth of the tree", t->depth, "ceil(log_v leaves)");
    print_line("loaded for one row", t->loaded_log10, "e^-1 log2 e^-1", "paper");
    print_line("one ReLU network instead", t->network_log10, "e^(-n/2)", "paper");
    printf("%s\n", curse);

    char experts[PRINTING_ROOM], weights[PRINTING_ROOM];
    printf("\nThis model: experts L = %s, weights of each P = %s, layers J = %" PRIu32
           ", width W = %" PRIu32 ",\na tree %" PRIu32 " nodes deep. Such sizes go with an error\n",
           format_count(experts, t->experts), format_count(weights, t->weights), t->layers,
           t->width, t->tree_depth);
    print_error("at the best rate", t->error, "L^(-1/n) P^(-2/n)");
    print_error("at the rate P^(-1/n)", t->error_slow, "(L P)^(-1/n)");
    print_error("one network of the total", t->error_network, "(L P)^(-2/n)");
    printf("and with a VC dimension, up to logarithms and without what the stem learns\n");
    print_line("W read as width", t->vc_width_log10, "L max{n L, J W}", "paper");
    print_line("experts at their worst", t->vc_weights_log10, "L max{n L, P J ln(P/J)}", "derived");
    printf(
        "For L = 1 the first lies below the worst case known for plain networks, P J ln(P/J).\n");
}

/* The number, null where it is beyond a double, and its logarithm. */
static void add_order(json_t *object, const char *name, const char *log10_name, double log10) {
    json_object_set_new(object, name, json_number(pow(10, log10)));
    json_object_set_new(object, log10_name, json_number(log10));
}

json_t *info_theory_to_json(const ramify_theory *t) {
    json_t *object = json_object();
    json_object_set_new(object, "constants", json_string(constants));
    json_object_set_new(object, "epsilon", json_number(t->epsilon));
    json_object_set_new(object, "dimension", json_count(t->dimension));
    json_object_set_new(object, "arity", json_count(t->arity));
    add_order(object, "leaf_weights", "leaf_weights_log10", t->leaf_weights_log10);
    add_order(object, "leaves", "leaves_log10", t->leaves_log10);
    add_order(object, "total_weights", "total_weights_log10", t->total_weights_log10);
    add_order(object, "prototypes", "prototypes_log10", t->prototypes_log10);
    json_object_set_new(object, "depth", json_number(t->depth));
    add_order(object, "loaded", "loaded_log10", t->loaded_log10);
    add_order(object, "network_weights", "network_weights_log10", t->network_log10);
    json_object_set_new(object, "note", json_string(curse));

    json_t *model = json_object();
    json_object_set_new(model, "experts", json_count(t->experts));
    json_object_set_new(model, "weights", json_count(t->weights));
    json_object_set_new(model, "layers", json_count(t->layers));
    json_object_set_new(model, "width", json_count(t->width));
    json_object_set_new(model, "tree_depth", json_count(t->tree_depth));
    json_object_set_new(model, "error", json_number(t->error));
    json_object_set_new(model, "error_slow", json_number(t->error_slow));
    json_object_set_new(model, "error_network", json_number(t->error_network));
    add_order(model, "vc_width", "vc_width_log10", t->vc_width_log10);
    add_order(model, "vc_weights", "vc_weights_log10", t->vc_weights_log10);
    json_object_set_new(object, "model", model);
    return object;
}
