/* Defaults and checks of the options of training. */

#include "augment.h"
#include "cluster.h"
#include "nyquist_options.h"
#include "recipe.h"
#include "status.h"
#include "text.h"
#include "tree.h"

#include <math.h>
#include <string.h>

/* Enough for the study's experts with all their features, and what small devices have. */
#define RESIDENT_BYTES (128 * 1024)

void ramify_train_options_init(ramify_train_options *options) {
    *options = (ramify_train_options){
        .kind = "pathways",
        .validation = 0.1,
        .resident_bytes = RAMIFY_RESIDENT_USUAL,
        .arity = 4,
        .smallest_node = 400,
        .tree = "kmeans",
        .decay = -1,
        .ridge = -1,
    };
}

uint64_t ramify_train_resident(const ramify_train_options *options) {
    if (options->resident_bytes != RAMIFY_RESIDENT_USUAL)
        return options->resident_bytes;
    return strcmp(options->kind, "paraformer") == 0 ? 0 : RESIDENT_BYTES;
}

bool ramify_train_augments(const ramify_train_options *options) {
    return options->augment && strcmp(options->augment, "off") != 0;
}

static bool one_of(const char *text, const char *const *names) {
    return ramify_word_find(text, names) != UINT32_MAX;
}

static bool in_range(double value, double low, double high) {
    return value >= low && value <= high;
}

static bool choice_known(ramify_choice choice) {
    return choice == RAMIFY_CHOICE_AUTO || choice == RAMIFY_CHOICE_ON ||
           choice == RAMIFY_CHOICE_OFF;
}

#define CHOICES 7

/* The parts of the recipe that may be chosen. */
static void list_choices(const ramify_train_options *o, ramify_choice choices[CHOICES]) {
    const ramify_choice all[CHOICES] = {o->split_test,       o->periodic, o->bins,
                                        o->gradient_routing, o->borrow,   o->averaging,
                                        o->distillation};
    memcpy(choices, all, sizeof all);
}

/* A Para-Former has neither experts nor a tree: what shapes these would do nothing. */
static ramify_status check_no_tree(ramify_context *context, const ramify_train_options *options) {
    const ramify_train_options *o = options;
    ramify_train_options usual;
    ramify_train_options_init(&usual);
    ramify_choice choices[CHOICES];
    list_choices(o, choices);
    bool set = o->hidden || o->activation != usual.activation || o->members > 0 || o->leaves > 0 ||
               o->arity != usual.arity || o->smallest_node != usual.smallest_node ||
               strcmp(o->tree, usual.tree) != 0 || o->child_epochs > 0;
    for (size_t i = 0; i < CHOICES; i++)
        set = set || choices[i] != RAMIFY_CHOICE_AUTO;
    if (o->rewind_at > 0)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "a rewind point is of networks, and the kind is paraformer: leave it out");
    if (set)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "hidden, activation, members, leaves, arity, smallest node, tree, child "
            "epochs, split test, periodic, bins, gradient routing, borrow, averaging "
            "and distillation shape experts and trees, and the kind is paraformer: "
            "leave them out");
    if (o->prefixes_only && o->progressive)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "progressive training teaches the prefixes and the whole, prefixes only "
                           "the first alone: use one of the two");
    if (o->freeze && !o->progressive && !o->prefixes_only)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "freeze is about steps for prefixes: use it with progressive or prefixes "
            "only");
    return RAMIFY_OK;
}

/* Series have neither experts' shapes nor their optimiser, and nothing else has what series have. */
static ramify_status check_series(ramify_context *context, const ramify_train_options *o) {
    ramify_train_options usual;
    ramify_train_options_init(&usual);
    static const char *const modules[] = {"mlp", "nyquist", "auto", NULL};
    if (o->module && !one_of(o->module, modules))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "module \"%s\" is not known: use mlp, nyquist or auto", o->module);
    if (o->module && strcmp(o->kind, "pathways") != 0 && strcmp(o->kind, "mlp") != 0 &&
        strcmp(o->module, o->kind) != 0)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "modules are chosen at the leaves of kinds pathways and mlp, and the kind "
            "is %s: leave module out",
            o->kind);
    if (strcmp(o->kind, "nyquist") != 0) {
        if (!o->basis && !o->period && !o->index_set && o->band == usual.band &&
            o->ridge == usual.ridge && !o->precision && !o->outside)
            return RAMIFY_OK;
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "basis, period, index set, band, ridge, precision and outside are "
                           "options of kind nyquist, and the kind is %s",
                           o->kind);
    }
    if (o->task && strcmp(o->task, "regression") != 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "kind nyquist is for regression, and the task is classification");
    ramify_choice choices[CHOICES];
    list_choices(o, choices);
    bool set = o->hidden || o->activation != usual.activation || o->members > 0 ||
               o->arity != usual.arity || strcmp(o->tree, usual.tree) != 0 || o->child_epochs > 0 ||
               o->epochs > 0 || o->batch > 0 || o->rate > 0 || o->decay >= 0 || o->controls ||
               o->rewind_at > 0;
    for (size_t i = 0; i < CHOICES; i++)
        set = set || choices[i] != RAMIFY_CHOICE_AUTO;
    if (set)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "hidden, activation, members, arity, tree, epochs, child epochs, batch, rate, decay, "
            "split test, periodic, bins, gradient routing, borrow, averaging, distillation, rewind "
            "and controls are about networks, and the kind is nyquist: leave them out");
    return ramify_nyquist_options_check(context, o);
}

static ramify_status check_names(ramify_context *context, const ramify_train_options *o) {
    static const char *const kinds[] = {"pathways", "mlp", "nyquist", "paraformer", NULL};
    static const char *const tasks[] = {"regression", "classification", NULL};
    static const char *const trees[] = {"kmeans", "dyadic", "random", NULL};
    ramify_status bad = RAMIFY_ERROR_ARGUMENT;
    if (!o->kind || !one_of(o->kind, kinds))
        return ramify_fail(context, bad,
                           "kind \"%s\" is not known: use pathways, mlp, nyquist or paraformer",
                           o->kind ? o->kind : "");
    if (!o->target || o->target[0] == '\0')
        return ramify_fail(context, bad, "no target column is named: say which with --target");
    if (o->task && !one_of(o->task, tasks))
        return ramify_fail(context, bad,
                           "task \"%s\" is not known: use regression or classification", o->task);
    if (!o->tree || !one_of(o->tree, trees))
        return ramify_fail(context, bad, "tree \"%s\" is not known: use kmeans, dyadic or random",
                           o->tree ? o->tree : "");
    return RAMIFY_OK;
}

static ramify_status check_numbers(ramify_context *context, const ramify_train_options *o) {
    ramify_status bad = RAMIFY_ERROR_ARGUMENT;
    uint32_t widths[RAMIFY_MLP_LAYERS_MAX], count;
    if (!(o->rewind_at >= 0 && o->rewind_at < 1))
        return ramify_fail(context, bad, "rewind at is %g: it must be a share from 0 to below 1",
                           o->rewind_at);
    if (!(o->validation > 0 && o->validation < 1))
        return ramify_fail(context, bad, "validation is %g: it must be a share above 0 and below 1",
                           o->validation);
    if (!in_range(o->time_limit, 0, 1e9))
        return ramify_fail(context, bad, "time limit is %g seconds: use 0 (none) or more",
                           o->time_limit);
    if (o->hidden && !ramify_hidden_parse(o->hidden, widths, &count))
        return ramify_fail(context, bad,
                           "hidden widths \"%s\" are not a list such as 64,64: use 1 to %d whole "
                           "numbers from 1 to %d",
                           o->hidden, RAMIFY_MLP_LAYERS_MAX - 1, RAMIFY_MLP_WIDTH_MAX);
    if (o->activation != RAMIFY_ACTIVATION_PRELU && o->activation != RAMIFY_ACTIVATION_RELU)
        return ramify_fail(context, bad, "activation %d is not known", (int)o->activation);
    if (o->members > RAMIFY_MLP_MEMBERS_MAX)
        return ramify_fail(context, bad, "members is %u: use 0 (chosen) to %d", o->members,
                           RAMIFY_MLP_MEMBERS_MAX);
    if (strcmp(o->kind, "mlp") == 0 && o->leaves > 1)
        return ramify_fail(context, bad,
                           "leaves is %u, and kind mlp is one network without a tree: leave leaves "
                           "out, or use kind pathways",
                           o->leaves);
    if (o->arity < 2 || o->arity > RAMIFY_ARITY_MAX)
        return ramify_fail(context, bad, "arity is %u: use 2 to %d", o->arity, RAMIFY_ARITY_MAX);
    if (o->rate != 0 && !in_range(o->rate, 1e-9, 1))
        return ramify_fail(context, bad, "rate is %g: use 0 (by the recipe) or 1e-9 to 1", o->rate);
    if (isnan(o->decay) || o->decay > 10)
        return ramify_fail(context, bad,
                           "decay is %g: use a negative number (by the recipe) or 0 to 10",
                           o->decay);
    ramify_choice choices[CHOICES];
    list_choices(o, choices);
    for (size_t i = 0; i < CHOICES; i++)
        if (!choice_known(choices[i]))
            return ramify_fail(context, bad, "choice %d is neither auto, on nor off",
                               (int)choices[i]);
    return RAMIFY_OK;
}

static ramify_status check_branches(ramify_context *context, const ramify_train_options *o) {
    static const char *const skips[] = {"normalised", "plain", NULL};
    ramify_status bad = RAMIFY_ERROR_ARGUMENT;
    if (o->skip && !one_of(o->skip, skips))
        return ramify_fail(context, bad, "skip \"%s\" is not known: use normalised or plain",
                           o->skip);
    ramify_augmentation augmentation = {0};
    bool changes = ramify_train_augments(o);
    if (changes && !ramify_augmentation_read(o->augment, &augmentation))
        return ramify_fail(context, bad,
                           "augment \"%s\" is not known: use off, or some of crop, flip, "
                           "randaugment and erase, separated by commas",
                           o->augment);
    if (strcmp(o->kind, "paraformer") == 0) {
        if (o->controls)
            return ramify_fail(context, bad,
                               "there are no controls of a paraformer: compare it with a serial "
                               "one (1 branch), or with kind mlp");
        return check_no_tree(context, o);
    }
    if (o->branches > 0 || o->depth > 0 || o->width > 0 || o->heads > 0 || o->patch > 0 ||
        o->skip || o->progressive || o->prefixes_only || o->freeze || changes ||
        o->training_bytes > 0 || o->weights_from)
        return ramify_fail(
            context, bad,
            "branches, depth, width, heads, patch, skip, progressive, prefixes only, "
            "freeze, augment, a bound on training and weights to start from are options of "
            "kind paraformer, and the kind is %s",
            o->kind);
    return RAMIFY_OK;
}

/* What is kept in a folder of fits, or shared among ranks, must not depend on a clock. */
static ramify_status check_resume(ramify_context *context, const ramify_train_options *o) {
    const bool series =
        strcmp(o->kind, "nyquist") == 0 || (o->module && strcmp(o->module, "mlp") != 0);
    const bool branches = strcmp(o->kind, "paraformer") == 0;
    if (o->resume && series)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "series are fitted anew each time: there is nothing to resume, so "
                           "leave the folder out");
    if (o->resume && !branches && o->time_limit > 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a time limit cuts fits short, and only whole ones can be kept in a "
                           "folder: leave the limit out, and stop the training when it is time");
    if (ramify_cluster_size(context) == 1)
        return RAMIFY_OK;
    if (series)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "series are not fitted by several processes together: start one");
    if (o->time_limit > 0 && !branches)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a time limit cannot be kept by %u processes together, whose clocks "
                           "differ: leave it out, and stop the job when it is time",
                           ramify_cluster_size(context));
    return RAMIFY_OK;
}

ramify_status ramify_train_options_check(ramify_context *context,
                                         const ramify_train_options *options) {
    RAMIFY_TRY(check_names(context, options));
    RAMIFY_TRY(check_numbers(context, options));
    RAMIFY_TRY(check_branches(context, options));
    RAMIFY_TRY(check_resume(context, options));
    return check_series(context, options);
}
