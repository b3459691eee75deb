#include "search.h"
#include "folds.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "teacher.h"

#include <math.h>
#include <string.h>

/* Widths are tried in steps of whole vectors. */
#define WIDTH_STEP  16
#define WIDTH_LEAST 16
/* Full fits after the trials. */
#define FINALISTS 2

static void set_widths(ramify_mlp_shape *shape, uint32_t layers, uint32_t width) {
    for (uint32_t l = 1; l <= layers; l++)
        shape->width[l] = width;
}

bool ramify_search_shape(const ramify_problem *problem, const ramify_recipe *recipe,
                         const ramify_design *design, const ramify_encoder *encoder,
                         ramify_mlp_shape *shape, uint64_t *least) {
    *shape = (ramify_mlp_shape){.layers = design->hidden_layers + 1, .members = design->members};
    shape->width[0] = encoder->stem.features;
    shape->width[shape->layers] = problem->outputs;
    bool given = design->widths[0] > 0;
    if (given)
        memcpy(shape->width + 1, design->widths, design->hidden_layers * sizeof(uint32_t));
    for (uint32_t width = RAMIFY_SEARCH_WIDTH_MAX;; width -= WIDTH_STEP) {
        if (!given)
            set_widths(shape, design->hidden_layers, width);
        if (ramify_mlp_record_bytes(shape) > 0) {
            uint64_t need = ramify_root_resident(problem, recipe, encoder, shape);
            if (need < *least)
                *least = need;
            if (recipe->resident_bytes == 0 || need <= recipe->resident_bytes)
                return true;
        }
        if (given || width <= WIDTH_LEAST)
            return false;
    }
}

/* Designs that are tried at most. */
#define TRIALS_MAX (RAMIFY_STEMS_MAX + RAMIFY_SHAPES_MAX)

/* Shares of the search's time limit; the full fits have what is left. */
#define TRIALS_SHARE   0.2
#define TEACHERS_SHARE 0.45
/* Share of what is then left that the teachers may take to make rows: with more, the root that is to
 * learn from them has no time to. */
#define ANSWERS_SHARE 0.3
/* Estimates of what teachers and a root take without a limit that must fit into what is left, for the
 * root to gain by them. The estimate is of rows in the processor's cache, about half of what it takes in
 * the end; with less, all the time is better spent on the table's rows (measured on kin40k). */
#define LEAST_TIME 2.0
/* A finalist's criterion over a trial's from which on it was not trained but cut short: more than the
 * noise between two ends of training, less than what a quarter of the epochs costs. */
#define CUT_SHORT 1.2

typedef struct search {
    const ramify_problem *problem;
    ramify_recipe *recipe;
    ramify_folds folds;
    ramify_root_request trial[TRIALS_MAX * RAMIFY_FOLDS_MAX]; /* a design's folds side by side */
    uint32_t count;                                           /* designs */
    uint64_t least;                                           /* smallest need of any design */
    ramify_root_request final[FINALISTS];
    uint32_t finals;
    ramify_problem *enlarged; /* with the teachers' rows, or NULL */
    double teachers;          /* their criterion */
} search;

static void search_clear(search *s) {
    ramify_context *context = s->problem->context;
    for (uint32_t i = 0; i < s->count * s->folds.count; i++)
        ramify_root_destroy(context, &s->trial[i].root);
    for (uint32_t i = 0; i < s->finals; i++)
        ramify_root_destroy(context, &s->final[i].root);
    ramify_problem_destroy(context, &s->enlarged);
    ramify_folds_destroy(context, &s->folds);
}

/* What the first fold's fit of a design asks for. */
static const ramify_root_request *design_at(const search *s, uint32_t i) {
    return &s->trial[i * s->folds.count];
}

/* The criterion of a design on the held-out rows of all folds; infinite when one was not fitted. */
static double criterion_of(const search *s, uint32_t i) {
    double sum = 0;
    for (uint32_t f = 0; f < s->folds.count; f++) {
        const ramify_root *root = design_at(s, i)[f].root;
        if (!root || !root->usable)
            return INFINITY;
        sum += root->criterion;
    }
    return sum / s->folds.count;
}

/* The best design of the first `count` that is not marked, or UINT32_MAX. */
static uint32_t best_design(const search *s, uint32_t count, const bool *marked) {
    uint32_t best = UINT32_MAX;
    double least = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double criterion = marked && marked[i] ? INFINITY : criterion_of(s, i);
        if (criterion < least) {
            least = criterion;
            best = i;
        }
    }
    return best;
}

/* Fits designs from..to-1 on all folds. */
static ramify_status fit_designs(search *s, uint32_t from, uint32_t to, const char *stage,
                                 double seconds) {
    uint32_t folds = s->folds.count;
    ramify_context *context = s->problem->context;
    RAMIFY_TRY(ramify_root_fit_all(context, s->recipe, s->trial + from * folds, (to - from) * folds,
                                   stage, seconds));
    for (uint32_t i = from; folds > 1 && i < to; i++) {
        const ramify_design *design = &design_at(s, i)->design;
        ramify_log(context, RAMIFY_LOG_INFO,
                   "%s: %s, %u hidden layers, %u members: mean loss of %u folds %.4g", stage,
                   ramify_design_stem(design), design->hidden_layers, design->members, folds,
                   criterion_of(s, i));
    }
    return RAMIFY_OK;
}

/* Adds the design of a stem and a shape if it fits the bound. */
static ramify_status add_trial(search *s, const ramify_encoder_options *stem,
                               const ramify_shape_choice *shape, bool *fits) {
    const ramify_recipe *recipe = s->recipe;
    ramify_root_request *t = &s->trial[s->count * s->folds.count];
    *t = (ramify_root_request){
        .problem = &s->folds.fold[0],
        .design = {.encoder = *stem,
                   .hidden_layers = shape->hidden_layers,
                   .members = shape->members},
        .plan = recipe->root,
    };
    t->plan.epochs = (uint32_t)(recipe->root.epochs * recipe->trial_share);
    t->plan.epochs = t->plan.epochs > 0 ? t->plan.epochs : 1;
    t->plan.checks = 4;
    memcpy(t->design.widths, recipe->widths, sizeof t->design.widths);
    ramify_encoder *encoder;
    RAMIFY_TRY(ramify_encoder_create(s->problem, stem, &encoder));
    *fits = ramify_search_shape(s->problem, recipe, &t->design, encoder, &t->shape, &s->least);
    ramify_encoder_destroy(s->problem->context, &encoder);
    for (uint32_t f = 1; f < s->folds.count; f++) {
        t[f] = *t;
        t[f].problem = &s->folds.fold[f];
    }
    if (*fits)
        s->count++;
    return RAMIFY_OK;
}

static ramify_status no_root(const search *s) {
    return ramify_fail(s->problem->context, RAMIFY_ERROR_DATA,
                       "no expert could be trained: every loss is infinite or not a number; lower "
                       "--rate, or scale the targets");
}

/* Every stem with the first shape that fits beside it. */
static ramify_status add_stems(search *s) {
    const ramify_recipe *recipe = s->recipe;
    for (uint32_t i = 0; i < recipe->stem_count; i++) {
        bool fits = false;
        for (uint32_t k = 0; k < recipe->shape_count && !fits; k++)
            RAMIFY_TRY(add_trial(s, &recipe->stem[i], &recipe->shape[k], &fits));
    }
    return RAMIFY_OK;
}

/* The stems; then the best stem with the other shapes. */
static ramify_status try_designs(search *s, double seconds) {
    const ramify_recipe *recipe = s->recipe;
    ramify_context *context = s->problem->context;
    RAMIFY_TRY(add_stems(s));
    if (s->count == 0 && recipe->gradient_routing == RAMIFY_CHOICE_AUTO) {
        /* Not at the price of the model. */
        s->recipe->gradient_routing = RAMIFY_CHOICE_OFF;
        RAMIFY_TRY(add_stems(s));
    }
    if (s->count == 0)
        return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                           "no expert for these %u columns and %u outputs fits in %llu resident "
                           "bytes: allow at least %llu (--resident)",
                           s->problem->stem.columns, s->problem->outputs,
                           (unsigned long long)recipe->resident_bytes,
                           (unsigned long long)s->least);
    if (s->count == 1 && recipe->shape_count == 1)
        return RAMIFY_OK;
    uint32_t stems = s->count;
    RAMIFY_TRY(fit_designs(s, 0, stems, "trying stems", seconds / 2));
    uint32_t index = best_design(s, stems, NULL);
    if (index == UINT32_MAX)
        return no_root(s);
    ramify_design best = design_at(s, index)->design;
    for (uint32_t k = 0; k < recipe->shape_count; k++) {
        bool same = recipe->shape[k].hidden_layers == best.hidden_layers &&
                    recipe->shape[k].members == best.members;
        bool fits;
        if (!same)
            RAMIFY_TRY(add_trial(s, &best.encoder, &recipe->shape[k], &fits));
    }
    return fit_designs(s, stems, s->count, "trying shapes", seconds / 2);
}

/* Whether a time limit leaves the teachers enough for a root to gain by them. */
static ramify_status have_time(const search *s, const ramify_root_request *best, double deadline,
                               bool *enough) {
    *enough = true;
    if (deadline <= 0 || s->recipe->distillation == RAMIFY_CHOICE_ON)
        return RAMIFY_OK;
    double left = deadline - ramify_seconds(), needed = 0;
    if (left > 0)
        RAMIFY_TRY(
            ramify_teachers_estimate(s->problem, s->recipe, best, left / LEAST_TIME, &needed));
    *enough = left > LEAST_TIME * needed;
    ramify_log(s->problem->context, RAMIFY_LOG_INFO,
               *enough ? "time for teachers: %.2g s at least, %.2g s are left"
                       : "no time for teachers: %.2g s at least, %.2g s are left",
               LEAST_TIME * needed, left);
    return RAMIFY_OK;
}

/* Trains the teachers with the stem of the best trial and has them answer. */
static ramify_status ask_teachers(search *s, double seconds, double deadline) {
    ramify_context *context = s->problem->context;
    uint32_t index = best_design(s, s->count, NULL);
    const ramify_root_request *best = design_at(s, index == UINT32_MAX ? 0 : index);
    const ramify_encoder_options *stem = &best->design.encoder;
    bool enough;
    RAMIFY_TRY(have_time(s, best, deadline, &enough));
    if (!enough)
        return RAMIFY_OK;
    ramify_teachers *teachers = NULL;
    RAMIFY_TRY(ramify_teachers_fit(s->problem, s->recipe, stem, seconds, &teachers));
    ramify_status status = RAMIFY_OK;
    if (teachers->count > 0) {
        ramify_log(context, RAMIFY_LOG_INFO, "%u teachers: select loss %.4g", teachers->count,
                   teachers->criterion);
        s->teachers = teachers->criterion;
        double left = deadline > 0 ? ANSWERS_SHARE * (deadline - ramify_seconds()) : 0;
        const ramify_answerer answerer = ramify_teachers_answerer(teachers);
        status = ramify_teachers_enlarge(s->problem, &answerer, s->recipe, left, &s->enlarged);
    }
    ramify_teachers_destroy(context, &teachers);
    return status;
}

/* The best designs; beside teachers the best one, to be trained on their rows and on the table's. */
static void choose_finalists(search *s) {
    const ramify_recipe *recipe = s->recipe;
    bool tried[TRIALS_MAX] = {false};
    uint32_t designs = s->enlarged ? 1 : FINALISTS;
    for (uint32_t f = 0; f < designs; f++) {
        bool lone = s->count == 1 && !tried[0]; /* there was nothing to try */
        uint32_t best = lone ? 0 : best_design(s, s->count, tried);
        if (best == UINT32_MAX)
            break;
        tried[best] = true;
        ramify_root_request request = *design_at(s, best);
        request.root = NULL;
        if (s->enlarged) {
            request.problem = s->enlarged;
            request.plan = ramify_recipe_distilled(recipe, s->enlarged).root;
            s->final[s->finals++] = request;
        }
        if (!s->enlarged || recipe->distillation == RAMIFY_CHOICE_AUTO) {
            request.problem = s->problem; /* not a fold of it */
            request.plan = recipe->root;
            s->final[s->finals++] = request;
        }
    }
}

static ramify_status run(search *s, double started, double deadline) {
    const ramify_recipe *recipe = s->recipe;
    double whole = deadline > 0 ? deadline - started : 0;
    RAMIFY_TRY(ramify_folds_create(s->problem, recipe->root.seed, recipe->one_fold, &s->folds));
    RAMIFY_TRY(try_designs(s, whole * TRIALS_SHARE));
    if (recipe->distillation != RAMIFY_CHOICE_OFF)
        RAMIFY_TRY(ask_teachers(s, whole * TEACHERS_SHARE, deadline));
    choose_finalists(s);
    return ramify_root_fit_all(s->problem->context, recipe, s->final, s->finals,
                               "training the root", deadline > 0 ? deadline - ramify_seconds() : 0);
}

/* Index of the root to take, or UINT32_MAX. Teachers that are better than the best root of the
 * table's rows alone decide for roots that learned from them, even where those are not better yet:
 * it is the tree that gains most. */
static uint32_t choose_root(const search *s) {
    uint32_t best = ramify_root_best(s->final, s->finals);
    if (best == UINT32_MAX || !s->enlarged || !s->recipe->tree ||
        s->final[best].problem == s->enlarged || s->teachers > s->final[best].root->criterion)
        return best;
    /* The finalist that learned from them comes first; it may have failed. */
    return ramify_root_best(s->final, 1) == 0 ? 0 : best;
}

/* True where a time limit left the finalists so little that a trial, short as it was, is far better. */
static bool is_cut_short(const search *s, uint32_t best, uint32_t trial) {
    return best == UINT32_MAX ||
           s->final[best].root->criterion > CUT_SHORT * s->trial[trial].root->criterion;
}

ramify_status ramify_search_root(const ramify_problem *problem, ramify_recipe *recipe,
                                 double started, double deadline, ramify_root **root,
                                 ramify_problem **enlarged) {
    *root = NULL;
    *enlarged = NULL;
    search s = {.problem = problem, .recipe = recipe, .least = UINT64_MAX};
    ramify_status status = run(&s, started, deadline);
    /* A stop leaves the best that there is, be it a trial. */
    ramify_root_request *from = s.final;
    uint32_t best = choose_root(&s);
    uint32_t trial = ramify_root_best(s.trial, s.count * s.folds.count);
    bool stopped = best == UINT32_MAX && status == RAMIFY_STOPPED;
    if (trial != UINT32_MAX && (stopped || (deadline > 0 && is_cut_short(&s, best, trial)))) {
        from = s.trial;
        best = trial;
    }
    if (best != UINT32_MAX && (status == RAMIFY_OK || status == RAMIFY_STOPPED)) {
        *root = from[best].root;
        from[best].root = NULL;
        if (from[best].problem == s.enlarged) {
            *enlarged = s.enlarged;
            s.enlarged = NULL;
        }
    }
    if (status == RAMIFY_OK && !*root)
        status = no_root(&s);
    search_clear(&s);
    return status;
}
