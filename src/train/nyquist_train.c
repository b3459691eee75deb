#include "nyquist_train.h"
#include "draft.h"
#include "memory.h"
#include "progress.h"
#include "recipe.h"
#include "residency.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Terms of a chosen band at most: a fit takes 2 x rows x terms^2 operations. */
#define TERMS_MOST 1024
/* Terms with which cuts are tried on the way to choosing one. */
#define CUT_TERMS 256
/* Rows of a half on which cuts are tried. */
#define CUT_ROWS 4096
/* Levels below the root. */
#define DEPTH_MOST 20
/* Standard errors by which a cut must win, and the least gain of the mean squared error. */
#define CUT_THRESHOLD 2.0
#define CUT_GAIN      0.02
/* In the test no square counts for more than so many times their median. */
#define CAP 50.0
/* Rows of the comparison at least. */
#define LEAST_PAIRS 12
/* The error, of standardised targets, below which a box is as good as rounding allows. */
#define PERFECT 1e-13
/* A half with a smaller share of the rows than this is cut at the median instead. */
#define LEAST_SHARE 0.2
/* Inner borders are moved outwards by this share of the box: which side a row is on is decided in
 * float32. */
#define OVERLAP 1e-5
/* A fall of the error by this factor from one band to the next is a cliff. */
#define CLIFF 10.0
/* Bytes of a record and its values that are worth a model. */
#define LEAST_SERIES 2048
/* Bands that the report lists at most. */
#define LISTED_BANDS 32
/* Text of the report, with the axes. */
#define REPORT_BYTES(axes) (LISTED_BANDS * 64 + (axes)*96)

static const char *const set_names[] = {"largest", "total", "cross"};
static const char *const basis_names[] = {"fourier", "cosine", "chebyshev"};

/* ---- options ---- */

static int find_name(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* Reads the next period off a list; 0: the column has none. */
static bool next_period(const char **list, double *period) {
    const char *name;
    size_t length;
    if (!ramify_list_next(list, &name, &length))
        return false;
    char number[64], *end;
    *period = NAN;
    if (length == 1 && *name == '-')
        *period = 0;
    else if (length > 0 && length < sizeof number) {
        memcpy(number, name, length);
        number[length] = '\0';
        *period = strtod(number, &end);
        *period = *end == '\0' && *period > 0 &&
                          *period<RAMIFY_SERIES_NUMBER_MAX && * period> 1 / RAMIFY_SERIES_NUMBER_MAX
                      ? *period
                      : NAN;
    }
    return true;
}

static ramify_status check_periods(ramify_context *context, const char *list) {
    double period;
    bool any = false;
    for (const char *rest = list; rest && next_period(&rest, &period);) {
        if (isnan(period)) {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "period \"%s\" is not a list of numbers above 0: give one for all "
                               "columns, or one for each with - where there is none",
                               ramify_text_excerpt(list, strlen(list), excerpt));
        }
        any = any || period > 0;
    }
    if (list && !any)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "period names no period: leave it out");
    return RAMIFY_OK;
}

ramify_status ramify_nyquist_options_check(ramify_context *context, const ramify_train_options *o) {
    ramify_status bad = RAMIFY_ERROR_ARGUMENT;
    if (o->basis && find_name(o->basis, basis_names, 3) < 0)
        return ramify_fail(context, bad,
                           "basis \"%s\" is not known: use fourier, cosine or chebyshev", o->basis);
    if (o->index_set && find_name(o->index_set, set_names, 3) < 0)
        return ramify_fail(context, bad,
                           "index set \"%s\" is not known: use total, largest or cross",
                           o->index_set);
    if (o->precision && strcmp(o->precision, "float64") != 0 &&
        strcmp(o->precision, "float32") != 0)
        return ramify_fail(context, bad, "precision \"%s\" is not known: use float64 or float32",
                           o->precision);
    if (o->outside && strcmp(o->outside, "clamp") != 0 && strcmp(o->outside, "refuse") != 0)
        return ramify_fail(context, bad, "outside \"%s\" is not known: use clamp or refuse",
                           o->outside);
    if (o->band > RAMIFY_SERIES_BAND_MAX)
        return ramify_fail(context, bad, "band is %u: use 0 (chosen) to %d", o->band,
                           RAMIFY_SERIES_BAND_MAX);
    if (isnan(o->ridge) || o->ridge > 1e6)
        return ramify_fail(context, bad, "ridge is %g: use a negative number (chosen) or 0 to 1e6",
                           o->ridge);
    RAMIFY_TRY(check_periods(context, o->period));
    if (o->basis && strcmp(o->basis, "fourier") == 0 && !o->period)
        return ramify_fail(context, bad,
                           "a fourier basis needs to know the period, which the range of the rows "
                           "does not tell (--period)");
    return RAMIFY_OK;
}

const char *ramify_nyquist_obstacle(const ramify_problem *problem) {
    if (problem->targets == 0)
        return "the task is classification";
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        if (problem->stem.column[c].codes > 0)
            return "a column is categorical";
        if (problem->schema->columns[c].missing)
            return "a column has missing values";
    }
    return NULL;
}

/* ---- growth ---- */

typedef struct growth {
    const ramify_problem *problem;
    const ramify_train_options *options;
    ramify_series_data data;
    ramify_series_wish wish;
    const uint32_t *table_row; /* problem row -> table row: train, then select */
    size_t rows;
    uint32_t smallest;
    double deadline;
    ramify_nyquist *made;
    uint32_t capacity;
} growth;

/* The box of the table's rows: columns that vary, with their range, or their period. Rows that report
 * are inside, too: what they are scored by are predictions, not continuations beyond a border. */
static ramify_status find_box(growth *g, ramify_series_axis *axis) {
    const ramify_schema *schema = g->problem->schema;
    ramify_context *context = g->data.context;
    const char *basis = g->options->basis ? g->options->basis : "chebyshev";
    const char *periods = g->options->period;
    double period = 0, next;
    uint32_t named = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        if (next_period(&periods, &next)) {
            period = next;
            named++;
        } else if (named > 1) {
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "period lists %u numbers for %u input columns: give one for all, or "
                               "one for each",
                               named, schema->column_count);
        }
        double low = schema->columns[c].low, high = schema->columns[c].high;
        if (!(low < high))
            continue;
        if (g->made->axes == RAMIFY_SERIES_AXES_MAX)
            return ramify_fail(
                context, RAMIFY_ERROR_LIMIT,
                "a series of more than %d columns that vary: leave some out (--drop)",
                RAMIFY_SERIES_AXES_MAX);
        ramify_series_axis *to = &axis[g->made->axes++];
        uint32_t kind = (uint32_t)find_name(basis, basis_names, 3);
        if (period > 0)
            *to = (ramify_series_axis){
                .origin = low, .length = period, .column = c, .basis = RAMIFY_BASIS_FOURIER};
        else
            *to = ramify_series_axis_over(
                c, kind == RAMIFY_BASIS_FOURIER ? RAMIFY_BASIS_CHEBYSHEV : kind, low, high,
                g->rows);
    }
    if (!next_period(&periods, &next))
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                       "period lists more numbers than there are input columns, %u: give one for "
                       "all, or one for each",
                       schema->column_count);
}

/* Table rows of a node. */
static void list_rows(const growth *g, const uint32_t *row, size_t count, uint32_t *table) {
    for (size_t i = 0; i < count; i++)
        table[i] = g->table_row[row[i]];
}

/* Fits a box with these rows. error may be NULL. */
static ramify_status fit_box(const growth *g, const ramify_series_axis *axis,
                             const ramify_series_wish *like, const uint32_t *row, size_t count,
                             float *error, ramify_series_fit **fit) {
    ramify_series_wish wish = *like;
    wish.axis = axis;
    uint32_t *table = ramify_allocate(g->data.context, count, sizeof *table);
    if (!table)
        return RAMIFY_ERROR_MEMORY;
    list_rows(g, row, count, table);
    ramify_status status = ramify_series_fit_rows(&g->data, &wish, table, count, error, fit);
    ramify_release(g->data.context, table);
    return status;
}

/* A cut of a box: where, and what it gives. */
typedef struct cut {
    uint32_t axis;
    double at;
    float *prototype[2]; /* owned */
    ramify_series_axis box[2][RAMIFY_SERIES_AXES_MAX];
    uint32_t *row[2]; /* owned */
    size_t count[2];
    double squares; /* of errors on trial */
} cut;

static void cut_clear(const growth *g, cut *c) {
    for (int i = 0; i < 2; i++) {
        ramify_release(g->data.context, c->prototype[i]);
        ramify_release(g->data.context, c->row[i]);
        c->prototype[i] = NULL;
        c->row[i] = NULL;
    }
}

static double plain_of(const ramify_problem *problem, uint32_t column, double x) {
    return (x - problem->center[column]) / problem->scale[column];
}

/* Two points beside the cut and opposite each other: their middle plane is the cut. */
static ramify_status place_prototypes(const growth *g, const ramify_nyquist_node *node, cut *c) {
    const ramify_problem *problem = g->problem;
    for (int side = 0; side < 2; side++) {
        c->prototype[side] =
            ramify_allocate_zeroed(g->data.context, problem->plain_stride, sizeof(float));
        if (!c->prototype[side])
            return RAMIFY_ERROR_MEMORY;
        for (uint32_t a = 0; a < g->made->axes; a++) {
            const ramify_series_axis *axis = &node->axis[a];
            double x = axis->origin + axis->length / 2;
            if (a == c->axis)
                x = c->at + (side == 0 ? -0.25 : 0.25) * axis->length;
            c->prototype[side][problem->stem.column[axis->column].plain] =
                (float)plain_of(problem, axis->column, x);
        }
    }
    return RAMIFY_OK;
}

static void share_box(const growth *g, const ramify_nyquist_node *node, cut *c) {
    for (int side = 0; side < 2; side++) {
        memcpy(c->box[side], node->axis, g->made->axes * sizeof *node->axis);
        ramify_series_axis *axis = &c->box[side][c->axis];
        double low = axis->origin, high = axis->origin + axis->length;
        double more = OVERLAP * axis->length;
        *(side == 0 ? &high : &low) = side == 0 ? c->at + more : c->at - more;
        axis->origin = low;
        axis->length = high - low;
    }
}

/* Deals the node's rows to the sides, as prediction will. */
static ramify_status share_rows(const growth *g, const ramify_nyquist_node *node, cut *c) {
    const ramify_problem *problem = g->problem;
    ramify_context *context = g->data.context;
    size_t stride = problem->plain_stride;
    float *both = ramify_allocate(context, 2 * stride, sizeof *both);
    uint32_t *child = ramify_allocate(context, node->count, sizeof *child);
    for (int side = 0; side < 2; side++)
        c->row[side] = ramify_allocate(context, node->count, sizeof **c->row);
    ramify_status status =
        both && child && c->row[0] && c->row[1] ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        memcpy(both, c->prototype[0], stride * sizeof *both);
        memcpy(both + stride, c->prototype[1], stride * sizeof *both);
        status = ramify_prototypes_assign(problem, problem->plain, stride, problem->stem.plain,
                                          (ramify_rows){node->row, node->count}, both, 2, child);
    }
    c->count[0] = c->count[1] = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < node->count; i++)
        c->row[child[i]][c->count[child[i]]++] = node->row[i];
    ramify_release(context, both);
    ramify_release(context, child);
    return status;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle of the axis, or the median row where the middle leaves one side nearly empty. */
static ramify_status place_cut(const growth *g, const ramify_nyquist_node *node, cut *c) {
    const ramify_series_axis *axis = &node->axis[c->axis];
    ramify_context *context = g->data.context;
    uint32_t *table = ramify_allocate(context, node->count, sizeof *table);
    double *x = ramify_allocate(context, node->count, sizeof *x);
    ramify_status status = table && x ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    c->at = axis->origin + axis->length / 2;
    if (status == RAMIFY_OK) {
        size_t below = 0;
        list_rows(g, node->row, node->count, table);
        ramify_match_column(g->data.match, axis->column, table, 0, node->count, x, 1);
        for (size_t i = 0; i < node->count; i++)
            below += x[i] < c->at;
        double share = (double)below / (double)node->count;
        if (share < LEAST_SHARE || share > 1 - LEAST_SHARE) {
            qsort(x, node->count, sizeof *x, ascending);
            c->at = x[node->count / 2];
        }
    }
    ramify_release(context, table);
    ramify_release(context, x);
    return status;
}

/* Sum of squared errors of a cut's two sides, with few terms and rows. */
static ramify_status try_cut(const growth *g, const ramify_series_wish *like, cut *c) {
    ramify_series_wish wish = *like;
    wish.most_terms = wish.most_terms < CUT_TERMS ? wish.most_terms : CUT_TERMS;
    wish.ridge = 0;
    c->squares = 0;
    for (int side = 0; side < 2; side++) {
        size_t some = ramify_smaller(c->count[side], CUT_ROWS);
        uint32_t *row = ramify_allocate(g->data.context, some, sizeof *row);
        if (!row)
            return RAMIFY_ERROR_MEMORY;
        for (size_t i = 0; i < some; i++)
            row[i] = c->row[side][i * c->count[side] / some];
        ramify_series_fit *fit = NULL;
        ramify_status status = fit_box(g, c->box[side], &wish, row, some, NULL, &fit);
        ramify_release(g->data.context, row);
        RAMIFY_TRY(status);
        c->squares += (double)c->count[side] * fit->report.error * fit->report.error;
        ramify_series_fit_destroy(g->data.context, &fit);
    }
    return RAMIFY_OK;
}

/* The best cut of a node; best->row[0] NULL where none leaves enough rows on both sides. */
static ramify_status find_cut(const growth *g, const ramify_nyquist_node *node,
                              const ramify_series_wish *like, cut *best) {
    best->squares = INFINITY;
    for (uint32_t a = 0; a < g->made->axes; a++) {
        if (node->axis[a].basis == RAMIFY_BASIS_FOURIER)
            continue; /* half a period is not periodic */
        cut *c = ramify_allocate_zeroed(g->data.context, 1, sizeof *c);
        if (!c)
            return RAMIFY_ERROR_MEMORY;
        c->axis = a;
        ramify_status status = place_cut(g, node, c);
        if (status == RAMIFY_OK)
            status = place_prototypes(g, node, c);
        if (status == RAMIFY_OK)
            status = share_rows(g, node, c);
        bool enough =
            status == RAMIFY_OK && c->count[0] >= g->smallest && c->count[1] >= g->smallest;
        if (enough) {
            share_box(g, node, c);
            status = try_cut(g, like, c);
        }
        if (status == RAMIFY_OK && enough && c->squares < best->squares) {
            cut_clear(g, best);
            *best = *c;
            memset(c->row, 0, sizeof c->row);
            memset(c->prototype, 0, sizeof c->prototype);
        }
        cut_clear(g, c);
        ramify_release(g->data.context, c);
        RAMIFY_TRY(status);
    }
    return RAMIFY_OK;
}

/* The median of the node's squared errors; 0 where none was scored. */
static double median_error(const ramify_nyquist_node *node, double *room) {
    size_t count = 0;
    for (size_t i = 0; i < node->count; i++)
        if (!isnan(node->error[i]))
            room[count++] = (double)node->error[i];
    qsort(room, count, sizeof *room, ascending);
    return count > 0 ? room[count / 2] : 0;
}

/* Whether errors fall: a paired test over the rows that were scored on both sides of the cut. Rows near
 * a corner of the box may have errors far above all others; in the test they count as often as they
 * are, not as large. room[count] is scratch. */
static bool wins(const ramify_nyquist_node *node, const cut *c, float *const error[2],
                 double *room) {
    const double most = CAP * median_error(node, room);
    double sum = 0, squares = 0, fall = 0, before = 0;
    size_t count = 0, at[2] = {0, 0};
    for (size_t i = 0; i < node->count; i++) {
        /* Both lists are in the same order. */
        int side = at[1] < c->count[1] && c->row[1][at[1]] == node->row[i];
        double now = (double)error[side][at[side]++], was = (double)node->error[i];
        if (isnan(now) || isnan(was))
            continue;
        double capped = fmin(was, most) - fmin(now, most);
        sum += capped;
        squares += capped * capped;
        fall += was - now;
        before += was;
        count++;
    }
    if (count < LEAST_PAIRS || isnan(fall))
        return false;
    double mean = sum / (double)count, spread = squares / (double)count - mean * mean;
    return mean > CUT_THRESHOLD * sqrt(spread / (double)count) && fall > CUT_GAIN * before;
}

static ramify_status add_nodes(growth *g, uint32_t count) {
    ramify_nyquist *made = g->made;
    if (made->node_count + count > g->capacity) {
        uint32_t capacity = g->capacity > 0 ? 2 * g->capacity : 16;
        ramify_nyquist_node *more =
            ramify_reallocate(g->data.context, made->nodes, capacity, sizeof *more);
        if (!more)
            return RAMIFY_ERROR_MEMORY;
        made->nodes = more;
        g->capacity = capacity;
    }
    memset(made->nodes + made->node_count, 0, count * sizeof *made->nodes);
    made->node_count += count;
    return RAMIFY_OK;
}

/* Tries to cut a node; its children are at the end of the list if the cut stands. */
static ramify_status split_node(growth *g, uint32_t index) {
    ramify_context *context = g->data.context;
    const ramify_nyquist_node *node = &g->made->nodes[index];
    ramify_series_wish like = g->wish;
    like.set = (int)node->fit->report.set;
    uint64_t twice = 2 * (uint64_t)node->fit->report.terms;
    like.most_terms = twice < like.most_terms ? (uint32_t)twice : like.most_terms;
    cut best = {0};
    float *error[2] = {NULL, NULL};
    ramify_series_fit *fit[2] = {NULL, NULL};
    ramify_status status = find_cut(g, node, &like, &best);
    bool found = status == RAMIFY_OK && best.row[0];
    for (int side = 0; side < 2 && found && status == RAMIFY_OK; side++) {
        error[side] = ramify_allocate(context, best.count[side], sizeof **error);
        status = error[side] ? fit_box(g, best.box[side], &like, best.row[side], best.count[side],
                                       error[side], &fit[side])
                             : RAMIFY_ERROR_MEMORY;
    }
    g->made->tested += found && status == RAMIFY_OK;
    double *room = ramify_allocate(context, node->count, sizeof *room);
    if (status == RAMIFY_OK && !room)
        status = RAMIFY_ERROR_MEMORY;
    bool stands = status == RAMIFY_OK && found && wins(node, &best, error, room);
    ramify_release(context, room);
    if (stands) {
        uint32_t first = g->made->node_count, depth = node->depth + 1;
        status = add_nodes(g, 2);
        for (int side = 0; side < 2 && status == RAMIFY_OK; side++) {
            ramify_nyquist_node *child = &g->made->nodes[first + (uint32_t)side];
            child->depth = depth;
            child->prototype = best.prototype[side];
            child->row = best.row[side];
            child->count = best.count[side];
            memcpy(child->axis, best.box[side], sizeof child->axis);
            child->fit = fit[side];
            child->error = error[side];
            best.prototype[side] = NULL;
            best.row[side] = NULL;
            fit[side] = NULL;
            error[side] = NULL;
        }
        if (status == RAMIFY_OK) {
            ramify_nyquist_node *parent = &g->made->nodes[index];
            parent->children = 2;
            parent->first_child = first;
            ramify_release(context, parent->row);
            ramify_release(context, parent->error);
            parent->row = NULL;
            parent->error = NULL;
            g->made->leaf_count++;
        }
    }
    cut_clear(g, &best);
    for (int side = 0; side < 2; side++) {
        ramify_release(context, error[side]);
        ramify_series_fit_destroy(context, &fit[side]);
    }
    return status;
}

static bool may_split(const growth *g, const ramify_nyquist_node *node) {
    const ramify_train_options *o = g->options;
    return node->children == 0 && node->count >= 2 * (size_t)g->smallest &&
           node->depth < DEPTH_MOST && node->fit->report.error > PERFECT &&
           (o->leaves == 0 || g->made->leaf_count < o->leaves) &&
           (g->deadline <= 0 || ramify_seconds() < g->deadline);
}

static ramify_status make_root(growth *g) {
    RAMIFY_TRY(add_nodes(g, 1));
    ramify_nyquist_node *root = &g->made->nodes[0];
    root->row = ramify_allocate(g->data.context, g->rows, sizeof *root->row);
    root->error = ramify_allocate(g->data.context, g->rows, sizeof *root->error);
    if (!root->row || !root->error)
        return RAMIFY_ERROR_MEMORY;
    root->count = g->rows;
    for (size_t i = 0; i < g->rows; i++)
        root->row[i] = (uint32_t)i;
    RAMIFY_TRY(find_box(g, root->axis));
    g->wish.axes = g->made->axes;
    g->made->leaf_count = 1;
    RAMIFY_TRY(fit_box(g, root->axis, &g->wish, root->row, root->count, root->error, &root->fit));
    const ramify_series_report *report = &root->fit->report;
    ramify_log(g->data.context, RAMIFY_LOG_INFO,
               "band %u of the %s set, %u terms for %zu rows: error %.3g of rows left out",
               report->band, set_names[report->set], report->terms, g->rows, report->error);
    return RAMIFY_OK;
}

/* What the bound leaves for a record and what running it takes, beside the rest of the model; 0: there
 * is no bound. */
static ramify_status spare_bytes(const ramify_problem *problem, const ramify_train_options *options,
                                 uint32_t columns, uint64_t *spare) {
    uint64_t allowed = ramify_train_resident(options);
    *spare = 0;
    if (allowed == 0)
        return RAMIFY_OK;
    const bool tree = options->leaves != 1;
    const ramify_module_shape module = {
        .type = ramify_module_type_find("bandlimited"),
        .series = {.columns = columns, .outputs = problem->targets}};
    const uint64_t schema = ramify_schema_bytes(problem->schema);
    const ramify_need_of of = {.schema_bytes = schema,
                               .config_bytes =
                                   RAMIFY_TRAINED_CONFIG_BYTES + REPORT_BYTES(columns) + schema,
                               .stem = &problem->stem,
                               .targets = problem->targets,
                               .shape = &module,
                               .series = &module.series,
                               .depth = tree ? DEPTH_MOST / 2 : 0,
                               .arity = tree ? 2 : 0};
    uint64_t need = ramify_resident_need(&of).total;
    if (need + LEAST_SERIES > allowed)
        return ramify_fail(problem->context, RAMIFY_ERROR_LIMIT,
                           "no series of these %u columns fits in %llu resident bytes: allow at "
                           "least %llu (--resident)",
                           columns, (unsigned long long)allowed,
                           (unsigned long long)(need + LEAST_SERIES));
    *spare = allowed - need;
    return RAMIFY_OK;
}

static ramify_status open_growth(growth *g, const ramify_split *split) {
    const ramify_problem *problem = g->problem;
    const ramify_train_options *o = g->options;
    ramify_context *context = problem->context;
    const char *obstacle = ramify_nyquist_obstacle(problem);
    if (obstacle)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "series are fitted to numbers without gaps, and %s: use kind pathways",
                           obstacle);
    uint32_t *rows = ramify_allocate(context, g->rows, sizeof *rows);
    g->table_row = rows;
    if (!rows)
        return RAMIFY_ERROR_MEMORY;
    memcpy(rows, split->train, split->train_count * sizeof *rows);
    memcpy(rows + split->train_count, split->select, split->select_count * sizeof *rows);
    g->wish = (ramify_series_wish){
        .set = o->index_set ? find_name(o->index_set, set_names, 3) : -1,
        .band = o->band > 0 ? (int64_t)o->band : -1,
        .ridge = o->ridge,
        .bytes = o->precision && strcmp(o->precision, "float32") == 0 ? 4 : 8,
        .refuses = o->outside && strcmp(o->outside, "refuse") == 0,
    };
    g->wish.most_terms = TERMS_MOST;
    return spare_bytes(problem, o, g->data.columns, &g->wish.most_both);
}

ramify_status ramify_nyquist_train(const ramify_problem *problem, const ramify_match *match,
                                   const ramify_split *split, const ramify_column *weight,
                                   const ramify_train_options *options, double deadline,
                                   ramify_nyquist **trained) {
    ramify_context *context = problem->context;
    growth g = {.problem = problem,
                .options = options,
                .data = {.context = context,
                         .kernels = problem->kernels,
                         .match = match,
                         .weight = weight,
                         .columns = problem->stem.columns,
                         .targets = problem->targets,
                         .head_center = problem->head_center,
                         .head_scale = problem->head_scale},
                .rows = split->train_count + split->select_count,
                .smallest = options->smallest_node,
                .deadline = deadline};
    *trained = NULL;
    ramify_status status = open_growth(&g, split);
    g.made = status == RAMIFY_OK ? ramify_allocate_zeroed(context, 1, sizeof *g.made) : NULL;
    if (status == RAMIFY_OK && !g.made)
        status = RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        g.made->context = context;
        status = make_root(&g);
    }
    for (uint32_t i = 0; status == RAMIFY_OK && i < g.made->node_count; i++) {
        ramify_progress_report(context, "boxes", i, g.made->node_count);
        if (may_split(&g, &g.made->nodes[i]))
            status = split_node(&g, i);
    }
    ramify_release(context, (void *)g.table_row);
    bool root = g.made && g.made->node_count > 0 && g.made->nodes[0].fit;
    if (status != RAMIFY_OK && !(status == RAMIFY_STOPPED && root))
        ramify_nyquist_destroy(&g.made);
    *trained = g.made;
    if (status == RAMIFY_OK)
        ramify_log(context, RAMIFY_LOG_INFO, "%u leaves, %u cuts tried", g.made->leaf_count,
                   g.made->tested);
    return status;
}

void ramify_nyquist_destroy(ramify_nyquist **trained) {
    if (!*trained)
        return;
    ramify_context *context = (*trained)->context;
    for (uint32_t i = 0; i < (*trained)->node_count; i++) {
        ramify_nyquist_node *node = &(*trained)->nodes[i];
        ramify_release(context, node->prototype);
        ramify_release(context, node->row);
        ramify_release(context, node->error);
        ramify_series_fit_destroy(context, &node->fit);
    }
    ramify_release(context, (*trained)->nodes);
    ramify_release(context, *trained);
    *trained = NULL;
}

/* ---- report ---- */

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* Where the error falls most from one band to the next, if it falls as off a cliff; else 0. */
static uint32_t find_cliff(const ramify_series_report *report) {
    uint32_t at = 0;
    double most = CLIFF;
    for (uint32_t b = 1; b <= report->band && b < report->bands; b++) {
        double fall = report->band_error[b - 1] / report->band_error[b];
        if (fall > most) {
            most = fall;
            at = b;
        }
    }
    return at;
}

static json_t *bands_json(const ramify_series_report *report, double unit) {
    json_t *list = json_array();
    uint32_t step = (report->bands + LISTED_BANDS - 1) / LISTED_BANDS;
    for (uint32_t b = 0; b<report->bands; b += step> 0 ? step : 1)
        json_array_append_new(list, json_pack("{s:i, s:i, s:o}", "band", (int)b, "terms",
                                              (int)report->band_terms[b], "error",
                                              number(unit * report->band_error[b])));
    return list;
}

json_t *ramify_nyquist_json(const ramify_problem *problem, const ramify_nyquist *trained) {
    const ramify_series_report *root = &trained->nodes[0].fit->report;
    const double unit = problem->targets == 1 ? problem->head_scale[0] : 1;
    json_t *axes = json_array();
    for (uint32_t a = 0; a < trained->axes; a++) {
        const ramify_series_axis *axis = &trained->nodes[0].axis[a];
        json_array_append_new(axes, json_pack("{s:i, s:s, s:f, s:f}", "column", (int)axis->column,
                                              "basis", basis_names[axis->basis], "low",
                                              axis->origin, "length", axis->length));
    }
    uint32_t least = UINT32_MAX, most = 0;
    double squares = 0, rows = 0;
    for (uint32_t i = 0; i < trained->node_count; i++) {
        const ramify_series_report *report = &trained->nodes[i].fit->report;
        if (trained->nodes[i].children > 0)
            continue;
        least = report->band < least ? report->band : least;
        most = report->band > most ? report->band : most;
        squares += (double)report->rows * report->error * report->error;
        rows += (double)report->rows;
    }
    uint32_t cliff = find_cliff(root);
    json_t *report = json_pack(
        "{s:s, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "set", set_names[root->set],
        "band", (int)root->band, "terms", (int)root->terms, "rows", (json_int_t)root->rows, "error",
        number(unit * root->error), "noise", number(unit * root->noise), "ridge",
        number(root->ridge), "growth", number(root->growth), "least_norm", (int)root->least_norm,
        "axes", axes, "bands", bands_json(root, unit));
    if (report && cliff > 0)
        json_object_set_new(report, "cliff",
                            json_pack("{s:i, s:o, s:o}", "band", (int)cliff, "before",
                                      number(unit * root->band_error[cliff - 1]), "after",
                                      number(unit * root->band_error[cliff])));
    if (report)
        json_object_set_new(report, "leaves",
                            json_pack("{s:i, s:i, s:o}", "least_band", (int)least, "most_band",
                                      (int)most, "error", number(unit * sqrt(squares / rows))));
    return report;
}

/* ---- the model ---- */

ramify_status ramify_nyquist_finish(const ramify_problem *problem, const ramify_nyquist *trained,
                                    const ramify_draft_notes *notes, json_t *config,
                                    ramify_model **model) {
    ramify_context *context = problem->context;
    uint32_t count = trained->node_count, leaves = 0;
    ramify_draft_node *node = ramify_allocate_zeroed(context, count, sizeof *node);
    const ramify_series_header **record = ramify_allocate(context, count, sizeof *record);
    ramify_series_shape shape = {.columns = problem->stem.columns, .outputs = problem->targets};
    ramify_status status = node && record ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < count; i++) {
        const ramify_nyquist_node *from = &trained->nodes[i];
        node[i] = (ramify_draft_node){.children = from->children,
                                      .first_child = from->first_child,
                                      .prototype = from->prototype,
                                      .module = leaves};
        if (from->children > 0)
            continue;
        record[leaves++] = from->fit->record;
        shape.most_bytes = from->fit->record_bytes > shape.most_bytes
                               ? (uint32_t)from->fit->record_bytes
                               : shape.most_bytes;
        uint32_t numbers = from->fit->record->terms * problem->targets;
        shape.most_numbers = numbers > shape.most_numbers ? numbers : shape.most_numbers;
        shape.most_functions = from->fit->functions > shape.most_functions ? from->fit->functions
                                                                           : shape.most_functions;
    }
    void *bytes = NULL;
    size_t size;
    if (status == RAMIFY_OK) {
        const ramify_draft draft = {.kind = "nyquist",
                                    .schema = problem->schema,
                                    .stem = &problem->stem,
                                    .head_center = problem->head_center,
                                    .head_scale = problem->head_scale,
                                    .series_shape = shape,
                                    .series_count = leaves,
                                    .series = record,
                                    .node_count = count,
                                    .nodes = node,
                                    .notes = notes,
                                    .config = config};
        status = ramify_draft_write(context, &draft, &bytes, &size);
    }
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    ramify_release(context, node);
    ramify_release(context, record);
    return status;
}
