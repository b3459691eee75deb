/* Finding a schema's columns in a table, and turning rows of the table into raw rows. */

#include "memory.h"
#include "number.h"
#include "schema.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>

/* Rows that are turned over at a time: each column's values lie together, each raw row too, and
 * a block of both stays in the first cache. */
#define BLOCK_ROWS ((size_t)64)

/* ---- which column is which ---- */

/* k of a name ck that we gave to a column, from 1; 0 for any other name. */
static size_t position_of_name(const char *name) {
    size_t position = 0;
    if (name[0] != 'c' || name[1] < '1' || name[1] > '9')
        return 0;
    for (name++; *name >= '0' && *name <= '9'; name++)
        if (position <= RAMIFY_COLUMNS_MAX)
            position = position * 10 + (size_t)(*name - '0');
    return *name == '\0' && position <= RAMIFY_COLUMNS_MAX ? position : 0;
}

typedef struct finder {
    const ramify_schema *schema;
    const ramify_table *table;
    ramify_name *names; /* the table's, sorted */
} finder;

static size_t find(const finder *f, const char *name) {
    size_t column = ramify_names_find(f->names, f->table->column_count, name);
    if (column == SIZE_MAX && !f->schema->named && f->table->named) {
        size_t position = position_of_name(name);
        if (position > 0 && position <= f->table->column_count)
            column = position - 1;
    }
    return column;
}

/* By name; returns the first input column that is not there, or column_count. */
static uint32_t find_by_name(const finder *f, ramify_match *match) {
    const ramify_schema *schema = f->schema;
    for (uint32_t t = 0; t < schema->target_count; t++)
        match->targets[t] = find(f, schema->targets[t]);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        match->columns[c] = find(f, schema->columns[c].name);
        if (match->columns[c] == SIZE_MAX)
            return c;
    }
    return schema->column_count;
}

/* By order: the table has the input columns and nothing else, or besides them targets that were
 * added under their names. False if the numbers of columns do not agree. */
static bool find_by_order(const finder *f, ramify_match *match) {
    const ramify_schema *schema = f->schema;
    const ramify_table *table = f->table;
    bool exact = table->column_count == schema->column_count;
    uint32_t used = 0, targets = 0;
    for (uint32_t t = 0; t < schema->target_count; t++) {
        match->targets[t] =
            exact ? SIZE_MAX : ramify_names_find(f->names, table->column_count, schema->targets[t]);
        targets += match->targets[t] != SIZE_MAX;
    }
    if (table->column_count != (size_t)schema->column_count + targets)
        return false;
    for (size_t c = 0; c < table->column_count; c++) {
        bool target = false;
        for (uint32_t t = 0; t < schema->target_count && targets > 0; t++)
            target = target || match->targets[t] == c;
        if (!target)
            match->columns[used++] = c;
    }
    return true;
}

static void warn_about_extra_columns(ramify_context *context, const finder *f,
                                     const ramify_match *match, bool *used) {
    size_t extra = 0, first = 0;
    for (uint32_t c = 0; c < f->schema->column_count; c++)
        used[match->columns[c]] = true;
    for (uint32_t t = 0; t < f->schema->target_count; t++)
        if (match->targets[t] != SIZE_MAX)
            used[match->targets[t]] = true;
    for (size_t c = f->table->column_count; c-- > 0;)
        if (!used[c]) {
            extra++;
            first = c;
        }
    if (extra == 0)
        return;
    char excerpt[RAMIFY_EXCERPT_BYTES];
    const char *name = f->table->columns[first].name;
    ramify_log(context, RAMIFY_LOG_WARNING,
               "%s: %zu column%s the model does not use %s ignored (\"%s\"%s)", f->table->source,
               extra, extra == 1 ? " that" : "s that", extra == 1 ? "is" : "are",
               ramify_text_excerpt(name, strlen(name), excerpt), extra == 1 ? "" : ", ...");
}

static ramify_status find_columns(ramify_context *context, const finder *f, ramify_match *match,
                                  bool warns) {
    uint32_t missing = find_by_name(f, match);
    if (missing < f->schema->column_count) {
        if (f->schema->named && f->table->named) {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            const char *name = f->schema->columns[missing].name;
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: column \"%s\", which the model needs, is missing",
                               f->table->source, ramify_text_excerpt(name, strlen(name), excerpt));
        }
        if (!find_by_order(f, match))
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: the table has %zu columns and the model takes %" PRIu32
                               " (without names in both, columns are taken in their order)",
                               f->table->source, f->table->column_count, f->schema->column_count);
    }
    if (!warns)
        return RAMIFY_OK;
    bool *used = ramify_allocate_zeroed(context, f->table->column_count, sizeof *used);
    if (!used)
        return RAMIFY_ERROR_MEMORY;
    warn_about_extra_columns(context, f, match, used);
    ramify_release(context, used);
    return RAMIFY_OK;
}

/* ---- what a column's cells mean ---- */

/* First row of a text column that has a text; rows if none has. */
static size_t first_text(const ramify_table *table, const ramify_column *column) {
    size_t r = 0;
    while (r < table->rows && column->codes[r] == RAMIFY_TEXT_MISSING)
        r++;
    return r;
}

/* The model takes numbers here: a column of texts will do only if it is empty. */
static ramify_status refuse_texts(ramify_context *context, const ramify_table *table,
                                  const ramify_column *column, const char *name) {
    size_t r = first_text(table, column);
    if (r == table->rows)
        return RAMIFY_OK;
    char excerpt[RAMIFY_EXCERPT_BYTES], quoted[RAMIFY_EXCERPT_BYTES];
    const char *text = column->texts[column->codes[r]];
    double value;
    bool number = ramify_number_parse(text, strlen(text), &value);
    return ramify_fail(
        context, RAMIFY_ERROR_DATA,
        "%s: column \"%s\", row %" PRIu64 ": \"%s\" is %s, and the model takes numbers here",
        table->source, ramify_text_excerpt(name, strlen(name), quoted),
        ramify_table_row_number(table, r), ramify_text_excerpt(text, strlen(text), excerpt),
        number ? "read as a category" : "not a number");
}

static ramify_status make_numbers(ramify_context *context, char *const *texts, uint32_t count,
                                  double **numbers) {
    *numbers = ramify_allocate(context, count, sizeof **numbers);
    if (!*numbers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        if (!ramify_number_parse(texts[i], strlen(texts[i]), &(*numbers)[i]))
            (*numbers)[i] = (double)NAN;
    return RAMIFY_OK;
}

static uint32_t find_number(const double *numbers, uint32_t count, double value) {
    uint32_t i = 0;
    while (i < count && numbers[i] != value)
        i++;
    return i;
}

/* A column with more categories than fit has "others" in training too. */
static void warn_of_unseen(ramify_context *context, const ramify_schema *schema, const char *source,
                           uint32_t c, uint64_t unseen, uint64_t rows) {
    const ramify_schema_column *wanted = &schema->columns[c];
    char excerpt[RAMIFY_EXCERPT_BYTES];
    if (unseen > 0 && wanted->category_count < RAMIFY_CATEGORIES)
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: column \"%s\": %" PRIu64 " of %" PRIu64
                   " rows hold a category that the model has not "
                   "seen; they are treated as \"other\"",
                   source, ramify_text_excerpt(wanted->name, strlen(wanted->name), excerpt), unseen,
                   rows);
}

/* Maps the categories of one column and counts cells that hold unseen ones. */
static ramify_status match_categories(ramify_context *context, ramify_match *match, uint32_t c,
                                      uint64_t *cells) {
    const ramify_schema_column *wanted = &match->schema->columns[c];
    const ramify_table *table = match->table;
    const ramify_column *column = &table->columns[match->columns[c]];
    size_t unseen = 0;
    if (column->text) {
        match->codes[c] = ramify_allocate(context, column->text_count, sizeof **match->codes);
        if (!match->codes[c])
            return RAMIFY_ERROR_MEMORY;
        for (uint32_t i = 0; i < column->text_count; i++)
            match->codes[c][i] = ramify_schema_category(wanted, column->texts[i]);
        for (size_t r = 0; r < table->rows; r++)
            unseen += column->codes[r] != RAMIFY_TEXT_MISSING &&
                      match->codes[c][column->codes[r]] == wanted->category_count;
    } else {
        RAMIFY_TRY(
            make_numbers(context, wanted->categories, wanted->category_count, &match->numbers[c]));
        for (size_t r = 0; r < table->rows; r++) {
            double value = ramify_column_value(column, r);
            unseen += !isnan(value) && find_number(match->numbers[c], wanted->category_count,
                                                   value) == wanted->category_count;
        }
    }
    *cells = unseen;
    return RAMIFY_OK;
}

/* ---- targets ---- */

static ramify_status fail_unknown_class(ramify_context *context, const ramify_match *match,
                                        size_t row, const char *text) {
    char excerpt[RAMIFY_EXCERPT_BYTES], name[RAMIFY_EXCERPT_BYTES];
    const char *target = match->schema->targets[0];
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: target \"%s\", row %" PRIu64
                       ": \"%s\" is no class of the model (train it on "
                       "all classes, or leave such rows out)",
                       match->table->source, ramify_text_excerpt(target, strlen(target), name),
                       ramify_table_row_number(match->table, row),
                       ramify_text_excerpt(text, strlen(text), excerpt));
}

/* Index of the class that is this number; class_count if none is. Numeric classes are sorted. */
static uint32_t find_class(const ramify_match *match, const double *numbers, double value) {
    uint32_t low = 0, high = match->schema->class_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < match->schema->class_count && numbers[low] == value)
        return low;
    return find_number(numbers, match->schema->class_count, value);
}

static ramify_status match_classes(ramify_context *context, ramify_match *match, bool known) {
    const ramify_schema *schema = match->schema;
    const ramify_table *table = match->table;
    const ramify_column *column = &table->columns[match->targets[0]];
    uint32_t slot = schema->column_count;
    if (column->text) {
        match->codes[slot] = ramify_allocate(context, column->text_count, sizeof **match->codes);
        if (!match->codes[slot])
            return RAMIFY_ERROR_MEMORY;
        for (uint32_t i = 0; i < column->text_count; i++)
            match->codes[slot][i] = ramify_schema_class(schema, column->texts[i]);
    } else {
        RAMIFY_TRY(
            make_numbers(context, schema->classes, schema->class_count, &match->numbers[slot]));
    }
    for (size_t r = 0; r < table->rows && known; r++) {
        if (ramify_column_missing(column, r) || !isnan(ramify_match_target(match, 0, r)))
            continue;
        if (column->text)
            return fail_unknown_class(context, match, r, column->texts[column->codes[r]]);
        char text[RAMIFY_NUMBER_BYTES];
        ramify_number_format(ramify_column_value(column, r), text);
        return fail_unknown_class(context, match, r, text);
    }
    return RAMIFY_OK;
}

static ramify_status match_targets(ramify_context *context, ramify_match *match, bool needed) {
    const ramify_schema *schema = match->schema;
    for (uint32_t t = 0; t < schema->target_count; t++) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *name = schema->targets[t];
        if (match->targets[t] == SIZE_MAX) {
            if (!needed)
                continue;
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: the target column \"%s\" is missing", match->table->source,
                               ramify_text_excerpt(name, strlen(name), excerpt));
        }
        const ramify_column *column = &match->table->columns[match->targets[t]];
        if (schema->task == RAMIFY_TASK_CLASSIFICATION)
            RAMIFY_TRY(match_classes(context, match, needed));
        else if (column->text && needed)
            RAMIFY_TRY(refuse_texts(context, match->table, column, name));
    }
    return RAMIFY_OK;
}

/* ---- the calls ---- */

/* What a match is for. */
typedef struct purpose {
    bool need_targets, training;
    uint64_t *unseen; /* columns: of a part; else NULL */
} purpose;

static ramify_status fill_match(ramify_context *context, ramify_match *match, const purpose *of) {
    const ramify_schema *schema = match->schema;
    const ramify_table *table = match->table;
    size_t slots = (size_t)schema->column_count + 1;
    match->columns = ramify_allocate(context, schema->column_count, sizeof *match->columns);
    match->targets = ramify_allocate(context, schema->target_count, sizeof *match->targets);
    match->codes = ramify_allocate_zeroed(context, slots, sizeof *match->codes);
    match->numbers = ramify_allocate_zeroed(context, slots, sizeof *match->numbers);
    finder f = {.schema = schema, .table = table};
    f.names = ramify_allocate(context, table->column_count, sizeof *f.names);
    if (!match->columns || !match->targets || !match->codes || !match->numbers || !f.names) {
        ramify_release(context, f.names);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t c = 0; c < table->column_count; c++)
        f.names[c] = (ramify_name){.text = table->columns[c].name, .index = c};
    ramify_names_sort(f.names, table->column_count);
    /* What the schema of a training left out, it left out on purpose. Of parts, the first warns. */
    ramify_status status =
        find_columns(context, &f, match, !of->training && (!of->unseen || table->first_row == 0));
    ramify_release(context, f.names);
    RAMIFY_TRY(status);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const ramify_column *column = &table->columns[match->columns[c]];
        uint64_t unseen = 0;
        if (schema->columns[c].categorical)
            RAMIFY_TRY(match_categories(context, match, c, &unseen));
        else if (column->text)
            RAMIFY_TRY(refuse_texts(context, table, column, schema->columns[c].name));
        if (of->unseen)
            of->unseen[c] += unseen;
        else
            warn_of_unseen(context, schema, table->source, c, unseen, table->rows);
    }
    return match_targets(context, match, of->need_targets);
}

static ramify_status create(ramify_context *context, const ramify_schema *schema,
                            const ramify_table *table, const purpose *of, ramify_match **match) {
    ramify_match *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->schema = schema;
    made->table = table;
    ramify_status status = fill_match(context, made, of);
    if (status == RAMIFY_OK)
        *match = made;
    else
        ramify_match_destroy(context, &made);
    return status;
}

ramify_status ramify_match_create(ramify_context *context, const ramify_schema *schema,
                                  const ramify_table *table, bool need_targets,
                                  ramify_match **match) {
    return create(context, schema, table, &(purpose){.need_targets = need_targets}, match);
}

ramify_status ramify_match_create_training(ramify_context *context, const ramify_schema *schema,
                                           const ramify_table *table, ramify_match **match) {
    return create(context, schema, table, &(purpose){.need_targets = true, .training = true},
                  match);
}

ramify_status ramify_match_create_part(ramify_context *context, const ramify_schema *schema,
                                       const ramify_table *table, bool need_targets,
                                       uint64_t *unseen, ramify_match **match) {
    return create(context, schema, table,
                  &(purpose){.need_targets = need_targets, .unseen = unseen}, match);
}

void ramify_match_warn_unseen(ramify_context *context, const ramify_schema *schema,
                              const char *source, const uint64_t *unseen, uint64_t rows) {
    for (uint32_t c = 0; c < schema->column_count; c++)
        warn_of_unseen(context, schema, source, c, unseen[c], rows);
}

static ramify_status number_codes(ramify_context *context, uint32_t count, double **numbers) {
    *numbers = ramify_allocate(context, count, sizeof **numbers);
    for (uint32_t i = 0; *numbers && i < count; i++)
        (*numbers)[i] = i;
    return *numbers ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

/* What categories and classes are as numbers: their codes. */
static ramify_status fill_coded(ramify_context *context, ramify_match *match) {
    const ramify_schema *schema = match->schema;
    const size_t slots = (size_t)schema->column_count + 1;
    match->columns = ramify_allocate(context, schema->column_count, sizeof *match->columns);
    match->targets = ramify_allocate(context, schema->target_count, sizeof *match->targets);
    match->codes = ramify_allocate_zeroed(context, slots, sizeof *match->codes);
    match->numbers = ramify_allocate_zeroed(context, slots, sizeof *match->numbers);
    if (!match->columns || !match->targets || !match->codes || !match->numbers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        match->columns[c] = c;
        if (schema->columns[c].categorical)
            RAMIFY_TRY(
                number_codes(context, schema->columns[c].category_count, &match->numbers[c]));
    }
    for (uint32_t t = 0; t < schema->target_count; t++)
        match->targets[t] = (size_t)schema->column_count + t;
    return schema->task == RAMIFY_TASK_CLASSIFICATION
               ? number_codes(context, schema->class_count, &match->numbers[schema->column_count])
               : RAMIFY_OK;
}

ramify_status ramify_match_create_coded(ramify_context *context, const ramify_schema *schema,
                                        const ramify_table *table, ramify_match **match) {
    ramify_match *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->schema = schema;
    made->table = table;
    ramify_status status = fill_coded(context, made);
    if (status == RAMIFY_OK)
        *match = made;
    else
        ramify_match_destroy(context, &made);
    return status;
}

void ramify_match_destroy(ramify_context *context, ramify_match **match) {
    if (!match || !*match)
        return;
    ramify_match *gone = *match;
    for (uint32_t c = 0; c <= gone->schema->column_count; c++) {
        if (gone->codes)
            ramify_release(context, gone->codes[c]);
        if (gone->numbers)
            ramify_release(context, gone->numbers[c]);
    }
    ramify_release(context, gone->codes);
    ramify_release(context, gone->numbers);
    ramify_release(context, gone->columns);
    ramify_release(context, gone->targets);
    ramify_release(context, gone);
    *match = NULL;
}

/* Value of schema column c at table row r. */
static double raw_value(const ramify_match *match, uint32_t c, const ramify_column *column,
                        size_t r) {
    const ramify_schema_column *wanted = &match->schema->columns[c];
    if (column->text) {
        uint32_t code = column->codes[r];
        if (!wanted->categorical)
            return (double)NAN;
        return code == RAMIFY_TEXT_MISSING ? wanted->category_count : match->codes[c][code];
    }
    double value = ramify_column_value(column, r);
    if (!wanted->categorical)
        return value;
    return find_number(match->numbers[c], wanted->category_count, value);
}

void ramify_match_column(const ramify_match *match, uint32_t column, const uint32_t *rows,
                         size_t first, size_t count, double *out, size_t stride) {
    const ramify_column *from = &match->table->columns[match->columns[column]];
    for (size_t i = 0; i < count; i++)
        out[i * stride] = raw_value(match, column, from, rows ? rows[i] : first + i);
}

void ramify_match_rows(const ramify_match *match, const uint32_t *rows, size_t first, size_t count,
                       double *out) {
    uint32_t columns = match->schema->column_count;
    for (size_t begin = 0; begin < count; begin += BLOCK_ROWS) {
        size_t left = count - begin < BLOCK_ROWS ? count - begin : BLOCK_ROWS;
        for (uint32_t c = 0; c < columns; c++)
            ramify_match_column(match, c, rows ? rows + begin : NULL, first + begin, left,
                                out + begin * columns + c, columns);
    }
}

double ramify_match_target(const ramify_match *match, uint32_t target, size_t row) {
    const ramify_schema *schema = match->schema;
    if (match->targets[target] == SIZE_MAX)
        return (double)NAN;
    const ramify_column *column = &match->table->columns[match->targets[target]];
    if (ramify_column_missing(column, row))
        return (double)NAN;
    if (schema->task == RAMIFY_TASK_REGRESSION)
        return column->text ? (double)NAN : ramify_column_value(column, row);
    uint32_t slot = schema->column_count;
    uint32_t index =
        column->text ? match->codes[slot][column->codes[row]]
                     : find_class(match, match->numbers[slot], ramify_column_value(column, row));
    return index < schema->class_count ? index : (double)NAN;
}

ramify_status ramify_match_check_targets(ramify_context *context, const ramify_match *match,
                                         size_t row) {
    for (uint32_t t = 0; t < match->schema->target_count; t++) {
        double value = ramify_match_target(match, t, row);
        const char *name = match->schema->targets[t];
        char excerpt[RAMIFY_EXCERPT_BYTES];
        if (fabs(value) > RAMIFY_TARGET_MAX)
            return ramify_fail(
                context, RAMIFY_ERROR_DATA,
                "%s: target \"%s\", row %" PRIu64 ": %g is beyond %g, and its square beyond "
                "what can be computed with: divide the column, or leave the row out",
                match->table->source, ramify_text_excerpt(name, strlen(name), excerpt),
                ramify_table_row_number(match->table, row), value, RAMIFY_TARGET_MAX);
    }
    return RAMIFY_OK;
}
