/* Rows are first gathered into units that must stay together: the groups, or single rows. Units get
 * a key and are dealt in the order of their keys:
 *
 *     time     the time (of a group: its latest)
 *     group    random, by the hash of its value
 *     class    by class, then random by row
 *     plain    random by row
 *
 * All sorting is stable and by 64-bit integers, so the order is the same everywhere. */

#include "split.h"
#include "memory.h"
#include "random.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>

/* ---- sorting ---- */

/* Stable radix sort of order[0 .. count) by key[order[i]]; `scratch` has room for count. */
static void sort_by_key(uint32_t *order, const uint64_t *key, uint32_t *scratch, size_t count) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t place[257] = {0};
        for (size_t i = 0; i < count; i++)
            place[((key[order[i]] >> shift) & 255) + 1]++;
        bool all_equal = false;
        for (size_t digit = 1; digit < 257; digit++)
            all_equal = all_equal || place[digit] == count;
        if (all_equal)
            continue;
        for (size_t digit = 1; digit < 257; digit++)
            place[digit] += place[digit - 1];
        for (size_t i = 0; i < count; i++)
            scratch[place[(key[order[i]] >> shift) & 255]++] = order[i];
        memcpy(order, scratch, count * sizeof *order);
    }
}

/* An integer that sorts as the number does; -0 as 0. */
static uint64_t key_of_number(double value) {
    uint64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* ---- units ---- */

typedef struct units {
    ramify_context *context;
    const ramify_table *table;
    const ramify_split_request *request;
    size_t count;      /* of units */
    uint32_t *unit_of; /* request->count: the unit of each row */
    uint32_t *sizes;   /* count: rows of each unit */
    uint64_t *keys;    /* count, or request->count while they are made */
    uint32_t *order;   /* count: units in the order in which they are dealt */
    uint32_t *scratch; /* request->count */
} units;

static ramify_status fail_missing(const units *u, const ramify_column *column, size_t row,
                                  const char *what) {
    return ramify_fail(u->context, RAMIFY_ERROR_DATA,
                       "%s: column \"%s\", row %" PRIu64 ": no value, but every row needs a %s",
                       u->table->source, column->name, ramify_table_row_number(u->table, row),
                       what);
}

/* Rank of every distinct text in bytewise order, which for dates is their order in time. */
static ramify_status rank_dates(const units *u, const ramify_column *column, uint64_t *rank) {
    static const char shape[] = "dddd-dd-dd";
    for (uint32_t i = 0; i < column->text_count; i++) {
        const char *text = column->texts[i];
        size_t at = 0;
        while (shape[at] &&
               (shape[at] == 'd' ? text[at] >= '0' && text[at] <= '9' : text[at] == shape[at]))
            at++;
        if (shape[at] != '\0') {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            return ramify_fail(u->context, RAMIFY_ERROR_DATA,
                               "%s: column \"%s\": \"%s\" is no time (use numbers, or dates such "
                               "as 2024-05-31)",
                               u->table->source, column->name,
                               ramify_text_excerpt(text, strlen(text), excerpt));
        }
    }
    ramify_name *names = ramify_allocate(u->context, column->text_count, sizeof *names);
    if (!names)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < column->text_count; i++)
        names[i] = (ramify_name){.text = column->texts[i], .index = i};
    ramify_names_sort(names, column->text_count);
    for (uint32_t i = 0; i < column->text_count; i++)
        rank[names[i].index] = i;
    ramify_release(u->context, names);
    return RAMIFY_OK;
}

/* keys[i] = an integer that sorts as row i's time. */
static ramify_status time_keys(const units *u, uint64_t *keys) {
    const ramify_column *time = u->request->time;
    uint64_t *rank = NULL;
    if (time->text) {
        rank = ramify_allocate(u->context, time->text_count, sizeof *rank);
        if (!rank)
            return RAMIFY_ERROR_MEMORY;
        ramify_status status = rank_dates(u, time, rank);
        if (status != RAMIFY_OK) {
            ramify_release(u->context, rank);
            return status;
        }
    }
    ramify_status status = RAMIFY_OK;
    for (size_t i = 0; i < u->request->count && status == RAMIFY_OK; i++) {
        uint32_t row = u->request->rows[i];
        if (ramify_column_missing(time, row))
            status = fail_missing(u, time, row, "time");
        else
            keys[i] = rank ? rank[time->codes[row]] : key_of_number(ramify_column_value(time, row));
    }
    ramify_release(u->context, rank);
    return status;
}

uint64_t ramify_split_hash(const ramify_column *group, size_t row) {
    if (!group->text)
        return key_of_number(ramify_column_value(group, row));
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (const char *p = group->texts[group->codes[row]]; *p; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001B3);
    return hash;
}

static uint64_t random_key(const units *u, uint64_t node, uint64_t row) {
    ramify_random random = ramify_random_stream(u->request->seed, RAMIFY_PURPOSE_SPLIT, node, row);
    return ramify_random_bits(&random);
}

/* Units are the different values of the group column, in the order of these values. */
static ramify_status gather_groups(units *u) {
    const ramify_column *group = u->request->group;
    size_t rows = u->request->count;
    for (size_t i = 0; i < rows; i++) {
        uint32_t row = u->request->rows[i];
        if (ramify_column_missing(group, row))
            return fail_missing(u, group, row, "group");
        u->keys[i] =
            group->text ? group->codes[row] : key_of_number(ramify_column_value(group, row));
        u->order[i] = (uint32_t)i;
    }
    sort_by_key(u->order, u->keys, u->scratch, rows);
    u->count = 0;
    for (size_t i = 0; i < rows; i++) {
        if (i == 0 || u->keys[u->order[i]] != u->keys[u->order[i - 1]])
            u->sizes[u->count++] = 0;
        u->sizes[u->count - 1]++;
        u->unit_of[u->order[i]] = (uint32_t)(u->count - 1);
    }
    return RAMIFY_OK;
}

static void single_rows(units *u) {
    u->count = u->request->count;
    for (size_t i = 0; i < u->count; i++) {
        u->unit_of[i] = (uint32_t)i;
        u->sizes[i] = 1;
    }
}

/* Makes the keys of the units from those of the rows. */
static ramify_status set_keys(units *u) {
    const ramify_split_request *request = u->request;
    if (!request->time) {
        for (size_t i = 0; i < request->count; i++) {
            uint32_t row = request->rows[i];
            u->keys[u->unit_of[i]] = request->group
                                         ? random_key(u, ramify_split_hash(request->group, row), 0)
                                         : random_key(u, 0, row);
        }
        return RAMIFY_OK;
    }
    uint64_t *times = ramify_allocate(u->context, request->count, sizeof *times);
    if (!times)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = time_keys(u, times);
    memset(u->keys, 0, u->count * sizeof *u->keys);
    for (size_t i = 0; i < request->count && status == RAMIFY_OK; i++)
        if (u->keys[u->unit_of[i]] < times[i])
            u->keys[u->unit_of[i]] = times[i];
    ramify_release(u->context, times);
    return status;
}

static bool stratified(const ramify_split_request *request) {
    return request->labels && !request->group && !request->time;
}

/* Sorts by class on top of the random order; classes come out one after the other. */
static void sort_by_label(units *u) {
    for (size_t i = 0; i < u->count; i++)
        u->keys[i] = key_of_number(u->request->labels[i]);
    sort_by_key(u->order, u->keys, u->scratch, u->count);
}

static ramify_status gather(units *u) {
    size_t rows = u->request->count;
    u->unit_of = ramify_allocate(u->context, rows, sizeof *u->unit_of);
    u->sizes = ramify_allocate(u->context, rows, sizeof *u->sizes);
    u->keys = ramify_allocate(u->context, rows, sizeof *u->keys);
    u->order = ramify_allocate(u->context, rows, sizeof *u->order);
    u->scratch = ramify_allocate(u->context, rows, sizeof *u->scratch);
    if (!u->unit_of || !u->sizes || !u->keys || !u->order || !u->scratch)
        return RAMIFY_ERROR_MEMORY;
    if (u->request->group)
        RAMIFY_TRY(gather_groups(u));
    else
        single_rows(u);
    RAMIFY_TRY(set_keys(u));
    for (size_t i = 0; i < u->count; i++)
        u->order[i] = (uint32_t)i;
    sort_by_key(u->order, u->keys, u->scratch, u->count);
    if (stratified(u->request))
        sort_by_label(u);
    return RAMIFY_OK;
}

static void release(units *u) {
    ramify_release(u->context, u->unit_of);
    ramify_release(u->context, u->sizes);
    ramify_release(u->context, u->keys);
    ramify_release(u->context, u->order);
    ramify_release(u->context, u->scratch);
}

/* ---- three sides ---- */

typedef enum side { SIDE_TRAIN, SIDE_SELECT, SIDE_REPORT, SIDES } side;

typedef struct quota {
    size_t select, report; /* rows wanted */
} quota;

static quota make_quota(const ramify_split_request *request) {
    size_t validation = (size_t)(request->validation * (double)request->count + 0.5);
    if (validation < 2)
        validation = 2;
    if (validation > request->count - 1)
        validation = request->count - 1;
    return (quota){.report = validation / 2, .select = validation - validation / 2};
}

/* Units in order, from the end, so that the latest report; a unit goes to a side while it brings the
 * side nearer to its quota. sides[] is zeroed: what is not taken trains. */
static void deal_units(const units *u, quota wanted, uint8_t *sides) {
    size_t taken[SIDES] = {0}, units_taken = 0;
    size_t wants[SIDES] = {[SIDE_SELECT] = wanted.select, [SIDE_REPORT] = wanted.report};
    for (size_t i = u->count; i-- > 0;) {
        uint32_t unit = u->order[i];
        for (int s = SIDE_REPORT; s > SIDE_TRAIN; s--) {
            size_t room = wants[s] > taken[s] ? wants[s] - taken[s] : 0;
            if (2 * room < u->sizes[unit] || room == 0 || units_taken + 1 == u->count)
                continue;
            sides[unit] = (uint8_t)s;
            taken[s] += u->sizes[unit];
            units_taken++;
            break;
        }
    }
    /* Groups larger than a whole side: the smallest of those left fills an empty side. */
    for (int s = SIDE_REPORT; s > SIDE_TRAIN; s--) {
        uint32_t smallest = UINT32_MAX;
        for (size_t i = u->count; i-- > 0 && taken[s] == 0;) {
            uint32_t unit = u->order[i];
            if (sides[unit] == SIDE_TRAIN &&
                (smallest == UINT32_MAX || u->sizes[unit] < u->sizes[smallest]))
                smallest = unit;
        }
        if (smallest != UINT32_MAX)
            sides[smallest] = (uint8_t)s;
    }
}

/* Rows of one class lie together, at random; each class gives its share of the quota. Shares are
 * cut so that they add up: class by class, what is due so far less what was given so far. */
static void deal_classes(const units *u, quota wanted, uint8_t *sides) {
    const double *labels = u->request->labels;
    size_t validation = wanted.select + wanted.report;
    size_t seen = 0, due_before = 0, given = 0, reported = 0, debt = 0;
    for (size_t begin = 0, end; begin < u->count; begin = end) {
        for (end = begin + 1; end < u->count && labels[u->order[end]] == labels[u->order[begin]];)
            end++;
        size_t rows = end - begin;
        seen += rows;
        /* validation * seen < 2^64: both are counts of rows. */
        size_t due = (size_t)((uint64_t)validation * seen / u->count);
        size_t share = due - due_before + debt;
        due_before = due;
        size_t take = share < rows - 1 ? share : rows - 1;
        debt = share - take;
        given += take;
        size_t report = (size_t)((uint64_t)given * wanted.report / validation) - reported;
        if (report > take)
            report = take;
        reported += report;
        for (size_t i = 0; i < take; i++)
            sides[u->order[begin + i]] = i < report ? SIDE_REPORT : SIDE_SELECT;
    }
}

static ramify_status copy_sides(ramify_context *context, const units *u, const uint8_t *sides,
                                ramify_split **split) {
    ramify_split *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    size_t count[SIDES] = {0};
    for (size_t i = 0; i < u->request->count; i++)
        count[sides[u->unit_of[i]]]++;
    made->train = ramify_allocate(context, count[SIDE_TRAIN], sizeof *made->train);
    made->select = ramify_allocate(context, count[SIDE_SELECT], sizeof *made->select);
    made->report = ramify_allocate(context, count[SIDE_REPORT], sizeof *made->report);
    ramify_status status = RAMIFY_OK;
    if (!made->train || !made->select || !made->report)
        status = RAMIFY_ERROR_MEMORY;
    else if (count[SIDE_TRAIN] == 0 || count[SIDE_SELECT] == 0 || count[SIDE_REPORT] == 0)
        status = ramify_fail(context, RAMIFY_ERROR_DATA,
                             "%s: %zu rows in %zu groups or classes cannot be divided into rows "
                             "that train, select and report (use more rows, or another group)",
                             u->table->source, u->request->count, u->count);
    if (status != RAMIFY_OK) {
        ramify_split_destroy(context, &made);
        return status;
    }
    for (size_t i = 0; i < u->request->count; i++) {
        uint32_t row = u->request->rows[i];
        switch (sides[u->unit_of[i]]) {
        case SIDE_TRAIN:
            made->train[made->train_count++] = row;
            break;
        case SIDE_SELECT:
            made->select[made->select_count++] = row;
            break;
        default:
            made->report[made->report_count++] = row;
        }
    }
    *split = made;
    return RAMIFY_OK;
}

ramify_status ramify_split_create(ramify_context *context, const ramify_table *table,
                                  const ramify_split_request *request, ramify_split **split) {
    if (!(request->validation > 0 && request->validation < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the share of validation rows must lie between 0 and 1");
    if (request->count < 3)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %zu usable rows are too few (one to train, one to select, one to "
                           "report)",
                           table->source, request->count);
    units u = {.context = context, .table = table, .request = request};
    uint8_t *sides = NULL;
    ramify_status status = gather(&u);
    if (status == RAMIFY_OK && u.count < 3)
        status = ramify_fail(context, RAMIFY_ERROR_DATA,
                             "%s: column \"%s\" has %zu groups, and a split needs 3 (train, select "
                             "and report)",
                             table->source, request->group->name, u.count);
    if (status == RAMIFY_OK) {
        sides = ramify_allocate_zeroed(context, u.count, sizeof *sides);
        status = sides ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    if (status == RAMIFY_OK) {
        if (stratified(request))
            deal_classes(&u, make_quota(request), sides);
        else
            deal_units(&u, make_quota(request), sides);
        status = copy_sides(context, &u, sides, split);
    }
    ramify_release(context, sides);
    release(&u);
    return status;
}

void ramify_split_destroy(ramify_context *context, ramify_split **split) {
    if (!split || !*split)
        return;
    ramify_release(context, (*split)->train);
    ramify_release(context, (*split)->select);
    ramify_release(context, (*split)->report);
    ramify_release(context, *split);
    *split = NULL;
}

/* ---- folds ---- */

/* Consecutive units fill a fold until it has its share of the rows, or until each fold that is left
 * has just one unit to take. */
static void fill_in_order(const units *u, uint32_t folds, uint32_t *fold_of_unit) {
    uint32_t fold = 0;
    uint64_t rows = 0;
    for (size_t i = 0; i < u->count; i++) {
        bool last_chance = u->count - i <= (size_t)(folds - 1 - fold);
        if (i > 0 && fold + 1 < folds &&
            (last_chance || rows * folds >= (uint64_t)u->request->count * (fold + 1)))
            fold++;
        fold_of_unit[u->order[i]] = fold;
        rows += u->sizes[u->order[i]];
    }
}

/* Each unit goes to the fold with the fewest rows; with units of one row that deals them in turn. */
static ramify_status fill_evenly(const units *u, uint32_t folds, uint32_t *fold_of_unit) {
    if (!u->request->group) {
        for (size_t i = 0; i < u->count; i++)
            fold_of_unit[u->order[i]] = (uint32_t)(i % folds);
        return RAMIFY_OK;
    }
    size_t *rows = ramify_allocate_zeroed(u->context, folds, sizeof *rows);
    if (!rows)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < u->count; i++) {
        uint32_t least = 0;
        for (uint32_t f = 1; f < folds; f++)
            if (rows[f] < rows[least])
                least = f;
        fold_of_unit[u->order[i]] = least;
        rows[least] += u->sizes[u->order[i]];
    }
    ramify_release(u->context, rows);
    return RAMIFY_OK;
}

ramify_status ramify_split_folds(ramify_context *context, const ramify_table *table,
                                 const ramify_split_request *request, uint32_t folds,
                                 uint32_t *fold) {
    if (folds < 2)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "cross-validation needs 2 folds or more, not %" PRIu32, folds);
    units u = {.context = context, .table = table, .request = request};
    ramify_status status = gather(&u);
    if (status == RAMIFY_OK && u.count < folds)
        status =
            ramify_fail(context, RAMIFY_ERROR_DATA, "%s: %zu %s are too few for %" PRIu32 " folds",
                        table->source, u.count, request->group ? "groups" : "rows", folds);
    if (status == RAMIFY_OK) {
        if (request->time)
            fill_in_order(&u, folds, u.scratch);
        else
            status = fill_evenly(&u, folds, u.scratch);
    }
    for (size_t i = 0; i < request->count && status == RAMIFY_OK; i++)
        fold[i] = u.scratch[u.unit_of[i]];
    release(&u);
    return status;
}
