/* Files read in parts: whatever the cuts, the parts together are what reading the whole file gives, or
 * fail with its sentence. */

#include "data_support.h"

#include "parts.h"
#include "random.h"
#include "summary.h"

#include <stdio.h>
#include <unistd.h>

#define PARTS_MOST 6

/* A file with these bytes, gone when the test ends. */
typedef struct scratch_file {
    char path[64];
} scratch_file;

static scratch_file write_file(const void *bytes, size_t size) {
    scratch_file file = {"/tmp/ramify-parts-XXXXXX"};
    int descriptor = mkstemp(file.path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, size), size);
    close(descriptor);
    return file;
}

/* ---- schemas ---- */

#define REQUESTS_MOST 12

/* What is asked for, and what comes of it. */
typedef struct wish {
    ramify_schema_request request;
    ramify_status status;
    char *json; /* malloc's; NULL: `sentence` says why */
    char sentence[1024];
    char log[4096];
} wish;

/* True if the numbers of a column rise from row to row, or fall. */
static bool is_monotone(const ramify_table *table, size_t c) {
    bool rising = true, falling = true;
    for (size_t r = 1; r < table->rows; r++) {
        double before = data_value(table, c, r - 1), now = data_value(table, c, r);
        rising = rising && now > before;
        falling = falling && now < before;
    }
    return rising || falling;
}

/* Takes out of the log what no part can see: numbers that differ in all rows, in no order. */
static void forget_disorder(const ramify_table *table, char *log) {
    for (size_t c = 0; c < table->column_count; c++) {
        char line[512];
        const char *name = table->columns[c].name;
        if (table->columns[c].text || is_monotone(table, c))
            continue;
        snprintf(
            line, sizeof line,
            "%s: column \"%s\" has a different value in every row (if it identifies rows, leave "
            "it out with --drop %s)\n",
            table->source, name, name);
        char *at = strstr(log, line);
        if (at)
            memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
    }
}

static char *dump(data_world *world, ramify_schema **schema) {
    json_t *json = NULL;
    assert_int_equal(ramify_schema_to_json(world->context, *schema, true, &json), RAMIFY_OK);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    json_decref(json);
    ramify_schema_destroy(world->context, schema);
    return text;
}

/* Asks for each column as a target, with and without a task, and with another one set aside. */
static size_t make_wishes(data_world *world, const ramify_table *whole, wish *wishes) {
    size_t count = 0, columns = whole->column_count;
    for (size_t c = 0; c < columns && c < 3; c++)
        for (size_t k = 0; k < 3; k++)
            wishes[count++].request = (ramify_schema_request){
                .target = whole->columns[c].name,
                .task = k == 1 ? "classification" : NULL,
                .drop = k == 2 ? whole->columns[(c + 1) % columns].name : NULL};
    wishes[count++].request = (ramify_schema_request){.target = "nowhere"};
    for (size_t i = 0; i < count; i++) {
        ramify_schema *schema = NULL;
        world->log[0] = '\0';
        wishes[i].status = ramify_schema_infer(world->context, whole, &wishes[i].request, &schema);
        snprintf(wishes[i].sentence, sizeof wishes[i].sentence, "%s",
                 ramify_message(world->context));
        snprintf(wishes[i].log, sizeof wishes[i].log, "%s", world->log);
        forget_disorder(whole, wishes[i].log);
        wishes[i].json = wishes[i].status == RAMIFY_OK ? dump(world, &schema) : NULL;
        ramify_clear(world->context);
    }
    return count;
}

/* The merged summary of the parts; NULL after a failure. */
static ramify_summary *summarise(data_world *world, ramify_table *const *tables, size_t count,
                                 const ramify_schema_request *request) {
    uint8_t *blocks = NULL;
    size_t offset[PARTS_MOST + 1] = {0};
    ramify_summary *summary = NULL;
    ramify_status status = RAMIFY_OK;
    for (size_t p = 0; p < count; p++) {
        void *bytes;
        size_t size;
        ramify_clear(world->context);
        ramify_status created = ramify_summary_create(world->context, tables[p], request, &summary);
        assert_true(p == 0 || created == status); /* all parts fail, or none does */
        status = created;
        offset[p + 1] = offset[p];
        if (status != RAMIFY_OK)
            continue;
        assert_int_equal(ramify_summary_pack(world->context, summary, &bytes, &size), RAMIFY_OK);
        ramify_summary_destroy(world->context, &summary);
        blocks = realloc(blocks, offset[p] + size);
        assert_non_null(blocks);
        memcpy(blocks + offset[p], bytes, size);
        offset[p + 1] += size;
        ramify_release(world->context, bytes);
    }
    if (status == RAMIFY_OK)
        assert_int_equal(ramify_summary_merge(world->context, tables[count - 1], blocks, offset,
                                              count, &summary),
                         RAMIFY_OK);
    free(blocks);
    return summary;
}

static void check_wish(data_world *world, ramify_table *const *tables, size_t count,
                       const wish *wished) {
    ramify_schema *schema = NULL;
    world->log[0] = '\0';
    ramify_summary *summary = summarise(world, tables, count, &wished->request);
    ramify_status status = ramify_recorded_status(world->context);
    if (summary)
        status =
            ramify_summary_infer(world->context, tables[0], &wished->request, summary, &schema);
    assert_string_equal(ramify_message(world->context), wished->sentence);
    assert_int_equal(status, wished->status);
    assert_string_equal(world->log, wished->log);
    if (schema) {
        char *json = dump(world, &schema);
        assert_string_equal(json, wished->json);
        free(json);
    }
    ramify_summary_destroy(world->context, &summary);
    ramify_clear(world->context);
}

/* Gives all parts the codes of the whole table. */
static void check_codes(data_world *world, const ramify_table *whole, ramify_table *const *tables,
                        size_t count) {
    const ramify_schema_request request = {.target = whole->columns[0].name};
    ramify_summary *summary = summarise(world, tables, count, &request);
    assert_non_null(summary);
    for (size_t p = 0; p < count; p++)
        assert_int_equal(ramify_summary_recode(world->context, summary, tables[p]), RAMIFY_OK);
    ramify_summary_destroy(world->context, &summary);
    for (size_t c = 0; c < whole->column_count; c++) {
        const ramify_column *column = &whole->columns[c];
        for (size_t p = 0; p < count && column->text; p++) {
            const ramify_column *found = &tables[p]->columns[c];
            assert_int_equal(found->text_count, column->text_count);
            for (uint32_t i = 0; i < column->text_count; i++)
                assert_string_equal(found->texts[i], column->texts[i]);
            if (tables[p]->rows > 0)
                assert_memory_equal(found->codes, column->codes + tables[p]->first_row,
                                    tables[p]->rows * sizeof *found->codes);
        }
    }
}

/* ---- one division of one file ---- */

typedef struct division {
    data_world *world;
    const char *path;
    const ramify_table_options *options;
    const ramify_schema *schema;
    ramify_table *whole; /* NULL: reading it fails */
    char sentence[1024];
    ramify_status status;
    char log[4096];
    wish wishes[REQUESTS_MOST];
    size_t wish_count;
} division;

static void read_whole(division *d) {
    d->world->log[0] = '\0';
    ramify_clear(d->world->context);
    d->status =
        ramify_table_read_for_schema(d->world->context, d->path, d->options, d->schema, &d->whole);
    snprintf(d->sentence, sizeof d->sentence, "%s", ramify_message(d->world->context));
    snprintf(d->log, sizeof d->log, "%s", d->world->log);
    ramify_clear(d->world->context);
    if (d->whole && d->whole->rows > 0)
        d->wish_count = make_wishes(d->world, d->whole, d->wishes);
}

static void forget_whole(division *d) {
    for (size_t i = 0; i < d->wish_count; i++)
        free(d->wishes[i].json);
    ramify_table_destroy(&d->whole);
}

static void check_column(const ramify_table *whole, const ramify_table *part, size_t c) {
    const ramify_column *expected = &whole->columns[c], *found = &part->columns[c];
    assert_string_equal(expected->name, found->name);
    assert_int_equal(expected->text, found->text);
    for (size_t r = 0; r < part->rows; r++) {
        size_t row = part->first_row + r;
        if (!expected->text) {
            double a = ramify_column_value(expected, row), b = ramify_column_value(found, r);
            assert_memory_equal(&a, &b, sizeof a);
            continue;
        }
        assert_int_equal(ramify_column_missing(expected, row), ramify_column_missing(found, r));
        if (!ramify_column_missing(found, r))
            assert_string_equal(expected->texts[expected->codes[row]],
                                found->texts[found->codes[r]]);
    }
}

static void check_tables(const division *d, ramify_table *const *tables, size_t count) {
    size_t rows = 0;
    for (size_t p = 0; p < count; p++) {
        if (tables[p]->rows > 0)
            assert_int_equal(tables[p]->first_row, rows);
        rows += tables[p]->rows;
        assert_int_equal(tables[p]->column_count, d->whole->column_count);
        assert_int_equal(tables[p]->named, d->whole->named);
        assert_memory_equal(tables[p]->image, d->whole->image, sizeof d->whole->image);
        for (size_t c = 0; c < d->whole->column_count; c++)
            check_column(d->whole, tables[p], c);
    }
    assert_int_equal(rows, d->whole->rows);
}

/* Reads the parts and merges them. */
static void read_parts(const division *d, const ramify_parts *parts, const ramify_place *from,
                       const size_t *rows, size_t count) {
    ramify_context *context = d->world->context;
    ramify_table *tables[PARTS_MOST] = {NULL};
    uint8_t *reports = NULL;
    size_t offset[PARTS_MOST + 1] = {0};
    for (size_t p = 0; p < count; p++) {
        void *report;
        size_t size;
        ramify_status status =
            ramify_parts_read(parts, &from[p], rows[p], &tables[p], &report, &size);
        assert_int_equal(status == RAMIFY_OK, tables[p] != NULL);
        assert_non_null(report);
        reports = realloc(reports, offset[p] + size);
        assert_non_null(reports);
        memcpy(reports + offset[p], report, size);
        offset[p + 1] = offset[p] + size;
        ramify_release(context, report);
        /* As in another process, which knows nothing of this part's failure. */
        if (p + 1 < count)
            ramify_clear(context);
    }
    ramify_part_kind *kinds = calloc(ramify_parts_head(parts)->column_count, sizeof *kinds);
    assert_non_null(kinds);
    ramify_status status = ramify_parts_merge(parts, reports, offset, count, kinds);
    assert_string_equal(ramify_message(context), d->sentence);
    assert_int_equal(status, d->status);
    if (status == RAMIFY_OK) {
        for (size_t p = 0; p < count; p++)
            assert_int_equal(ramify_parts_adopt(parts, kinds, tables[p]), RAMIFY_OK);
        check_tables(d, tables, count);
        assert_string_equal(d->world->log, d->log);
        for (size_t i = 0; i < d->wish_count; i++)
            check_wish(d->world, tables, count, &d->wishes[i]);
        if (d->whole->column_count > 1 && d->whole->rows > 0)
            check_codes(d->world, d->whole, tables, count);
        check_tables(d, tables, count);
    }
    for (size_t p = 0; p < count; p++)
        ramify_table_destroy(&tables[p]);
    ramify_clear(context);
    free(kinds);
    free(reports);
}

/* Divides at cuts[1 .. count-1]; cuts[0] and cuts[count] are the ends. With `even`, the rows are divided
 * evenly, and looked for in the ranges where they were counted. */
static void divide(const division *d, const uint64_t *cuts, size_t count, bool even) {
    ramify_context *context = d->world->context;
    ramify_parts *parts = NULL;
    d->world->log[0] = '\0';
    assert_int_equal(ramify_parts_open(context, d->path, d->options, d->schema, &parts), RAMIFY_OK);
    assert_true(ramify_parts_divisible(parts, NULL));
    ramify_place begin[PARTS_MOST + 1], from[PARTS_MOST];
    size_t rows[PARTS_MOST];
    begin[0] = ramify_parts_first(parts);
    for (size_t p = 0; p < count; p++) {
        ramify_part_count counted;
        assert_int_equal(ramify_parts_count(parts, cuts[p], cuts[p + 1], &counted), RAMIFY_OK);
        begin[p + 1] = (ramify_place){.offset = cuts[p + 1],
                                      .row = begin[p].row + counted.rows,
                                      .line = begin[p].line + counted.lines};
    }
    uint64_t total = begin[count].row;
    if (d->whole)
        assert_int_equal(total, d->whole->rows);
    for (size_t p = 0; p < count; p++) {
        uint64_t first = even ? total * p / count : begin[p].row;
        uint64_t next = even ? total * (p + 1) / count : begin[p + 1].row;
        rows[p] = next - first;
        size_t owner = 0;
        while (owner + 1 < count && begin[owner + 1].row <= first)
            owner++;
        if (rows[p] > 0)
            assert_int_equal(ramify_parts_seek(parts, &begin[owner], first, &from[p]), RAMIFY_OK);
    }
    if (total > 0 || d->schema) {
        assert_int_equal(ramify_parts_check_rows(parts, total), RAMIFY_OK);
        read_parts(d, parts, from, rows, count);
    } else {
        assert_int_equal(ramify_parts_check_rows(parts, total), d->status);
        assert_string_equal(ramify_message(context), d->sentence);
        ramify_clear(context);
    }
    ramify_parts_close(&parts);
}

static void sort_cuts(uint64_t *cuts, size_t count) {
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && cuts[j - 1] > cuts[j]; j--) {
            uint64_t cut = cuts[j];
            cuts[j] = cuts[j - 1];
            cuts[j - 1] = cut;
        }
}

/* All divisions by one cut and by two, and some by more. */
static void divide_everywhere(division *d) {
    ramify_parts *parts = NULL;
    assert_int_equal(ramify_parts_open(d->world->context, d->path, d->options, d->schema, &parts),
                     RAMIFY_OK);
    uint64_t first = ramify_parts_first(parts).offset, size = ramify_parts_size(parts);
    uint64_t cuts[PARTS_MOST + 1] = {first, size};
    divide(d, cuts, 1, false);
    for (uint64_t a = first; a <= size; a++)
        for (uint64_t b = a; b <= size; b++) {
            memcpy(cuts, (const uint64_t[]){first, a, b, size}, 4 * sizeof *cuts);
            divide(d, cuts, 3, false);
            if (b == a) /* one cut */
                divide(d, (const uint64_t[]){first, a, size}, 2, true);
        }
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_CONTROL, 0, 0);
    for (size_t i = 0; i < 60; i++) {
        size_t count = 4 + i % (PARTS_MOST - 3);
        cuts[0] = first;
        cuts[count] = size;
        for (size_t p = 1; p < count; p++)
            cuts[p] = first + ramify_random_below(&random, size - first + 1);
        sort_cuts(cuts, count + 1);
        divide(d, cuts, count, i % 2 == 0);
        for (size_t p = 0; p < count; p++)
            ramify_parts_range(parts, (uint32_t)p, (uint32_t)count, &cuts[p], &cuts[p + 1]);
        assert_int_equal(cuts[0], first);
        assert_int_equal(cuts[count], size);
        divide(d, cuts, count, true);
    }
    ramify_parts_close(&parts);
}

static void divide_bytes(data_world *world, const void *bytes, size_t size,
                         const ramify_table_options *options, const ramify_schema *schema) {
    scratch_file file = write_file(bytes, size);
    division d = {.world = world, .path = file.path, .options = options, .schema = schema};
    read_whole(&d);
    divide_everywhere(&d);
    forget_whole(&d);
    unlink(file.path);
}

static void divide_text(data_world *world, const char *text, const ramify_table_options *options) {
    divide_bytes(world, text, strlen(text), options, NULL);
}

/* ---- text ---- */

static void test_numbers(void **state) {
    static const char *const texts[] = {
        "a,b\n1,2\n3,4\n5,-6e1\n7,8\n",
        "a,b\r\n1,2\r\n,4\r\n5,NA\r\n7,8\r\n",
        "a,b\n1,2\n3,4\n5,6",
        "\xEF\xBB\xBF"
        "a,b\n1,2\n3,4\n5,6\r",
        "1,2\n3,4\n5,6\n7,8\n",
        "x\n1\n\n2\n \t\n\r\n  \r\n3\n\n\n",
        "\n\na b\n 1  2\n\n\t\n3\t4 \n5 6",
        "a\tb\n1\t2\n\t\n \n\t4\n5\t\n",
        "x\n1\n \n   ",
        "x\n1\n  \r",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        divide_text(*state, texts[i], NULL);
}

static void test_texts(void **state) {
    divide_text(*state, "a,b,c\n,Rome,1\n,Oslo,\n2,Rome,3\n4,,5\n", NULL);
    divide_text(*state, "a,b\n\"x,y\",1\n\"say \"\"hi\"\"\",2\n \"\" ,3\n\"x,y\",4\n", NULL);
    divide_text(*state, "a,b\n,NA\n,?\nNA,\nx,\n,\n", NULL);
    divide_text(*state, "a,b\n,\n,?\nNA,\n", NULL);
    divide_text(*state, "a,b\n1,\nNA,2\n,2.0\n3,\n", &(ramify_table_options){.categorical = "b,a"});
    divide_text(*state, "a,b\nc,d\ne,c\n", &(ramify_table_options){.header = RAMIFY_HEADER_NO});
    divide_text(*state, "a;b\n1,5;x\n;y\n2,5;x\n", NULL); /* a warning */
    divide_text(*state, "a|b\n1|x\n |\n|y\n2|x\n", &(ramify_table_options){.delimiter = "|"});
    divide_text(*state, "a,b,c\n1,2,x\n3,4,y\n", &(ramify_table_options){.image = "1x2"});
}

static void test_schemas(void **state) {
    static const char *const texts[] = {
        "id,x\n1,a\n2,b\n3,a\n4,c\n5,b\n", /* rising */
        "id,x\n9,a\n7,b\n5,c\n3,d\n2,e\n", /* falling; texts that all differ */
        "id,x\n1,0\n3,-0\n2,0\n5,-0\n",    /* disorder; zeros of both signs */
        "x,y\n-0,1\n0,2\n,3\n1.5,4\n",     /* a zero that comes first */
        "x,y\n1,a\n2,\n,b\n2,a\n1,b\n",     "x,y,z\n,1,\n,1,\n,1,\n", /* no values; one class */
        "x,y\n10,b\n9,b\n10,a\n9,c\n8,c\n", "x,y\n1e300,a\n-1e300,b\n9007199254740993,c\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        divide_text(*state, texts[i], NULL);
    divide_text(*state, "x,y\n10,1\n9,2\n10,2\n1,1\n9,1\n",
                &(ramify_table_options){.categorical = "x"});
}

static void test_disagreement(void **state) {
    static const char *const texts[] = {
        "a\n1\n2\nx\n3\ny\n",         /* numbers, then texts */
        "a\n\nx\n\ny\n1\nz\n2\n",     /* texts, then numbers */
        "a,b\n,\n1,2\n,x\ny,3\n",     /* two columns, the later one first */
        "a,b\n1,x\n,\n2,3\ny,4\n",    /* of a column of texts, before another */
        "a,b\n1,\n2,x\nz,1\n",        /* both in one line */
        "a,b\n1,2\n3\nx,4\n",         /* a short line first */
        "a,b\n1,2\nx,4\n3\n",         /* a short line last */
        "a,b\n1,2\n3,4,5\nx\n",       /* a long line */
        "a,b\n1,2\nx,4,5\n3,4\n",     /* the cell comes first in the line */
        "a\n1\n2\n-inf\n1e999\n",     /* not finite */
        "a;b\n1;2\n1,5;3\n2;4\n",     /* a decimal comma */
        "a\n1\n\xFF\n2\n",            /* a text that is bad too */
        "a,b\nx,1\n\xFF,2\n1,3\n",    /* bad before the disagreement */
        "a,b\nx,1\n1,2\n\xFF,3\n",    /* and behind it */
        "a\n1\n2\r3\nx\n",            /* a carriage return */
        "x,2\n1,3\n2,4\n",            /* line 1 is no header */
        "a,b\n1,2\n3,\"4\" 5\nx,6\n", /* behind a quote */
        "a,b\n1,2\n3,\"4",            /* a quote at the end */
        "a,b\n",                      /* no rows */
        "a,b\n \n\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        divide_text(*state, texts[i], NULL);
    static const char zero[] = "a,b\n1,2\nx\0y,3\n4,5\n";
    divide_bytes(*state, zero, sizeof zero - 1, NULL, NULL);
}

static void test_for_model(void **state) {
    ramify_schema_column columns[] = {{.name = "a"}, {.name = "b", .categorical = true}};
    ramify_schema schema = {.named = true, .columns = columns, .column_count = 2};
    static const char *const texts[] = {"a,b\n", "a,b\n1,2\nx,3\n", "a,b\n1,x\n2,3\n"};
    for (size_t i = 0; i < 3; i++)
        divide_bytes(*state, texts[i], strlen(texts[i]), NULL, &schema);
}

static void test_break_in_cell(void **state) {
    static const struct {
        const char *text;
        int line;
    } cases[] = {{"a,b\n1,\"x\ny\"\n2,z\n", 2},
                 {"a,b\n1,u\n\n2,\"x\"\"\n\n,\n\"\n3,v\n", 4},
                 {"a,b\r\n1,2\r\n3,\"4\r\n\"\r\n", 3},
                 {"\"a\nb\",c\n1,2\n3,\"\n\"\n", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scratch_file file = write_file(cases[i].text, strlen(cases[i].text));
        division d = {.world = *state, .path = file.path, .status = RAMIFY_ERROR_DATA};
        snprintf(d.sentence, sizeof d.sentence,
                 "%s:%d: the quote that opens here is not closed in this line (a file with line "
                 "breaks inside cells is read by one process alone)",
                 file.path, cases[i].line);
        divide_everywhere(&d);
        unlink(file.path);
    }
}

/* Rows and lines of a long file, whose empty lines and blanks are anywhere. */
static void test_counts(void **state) {
    data_world *world = *state;
    static const size_t size = 700000;
    ramify_random random = ramify_random_stream(5, RAMIFY_PURPOSE_CONTROL, 0, 0);
    char *text = malloc(size);
    uint8_t *begins = calloc(size + 1, 1); /* 1: a line, 2: a row */
    assert_non_null(text);
    assert_non_null(begins);
    memcpy(text, "a\n", 2);
    for (size_t i = 2; i < size; i++) {
        uint64_t what = ramify_random_below(&random, i < size / 2 ? 8 : 30);
        text[i] = what == 0 ? '\n' : what == 1 && i > size / 4 && i < size / 4 * 3 ? ' ' : '7';
    }
    for (size_t i = 2, start = 2; i < size; i++) {
        if (i == start)
            begins[i] = 1;
        if (text[i] == '7')
            begins[start] = 2;
        if (text[i] == '\n')
            start = i + 1;
    }
    scratch_file file = write_file(text, size);
    ramify_parts *parts = NULL;
    assert_int_equal(ramify_parts_open(world->context, file.path, NULL, NULL, &parts), RAMIFY_OK);
    for (size_t i = 0; i < 300; i++) {
        uint64_t begin = 2 + ramify_random_below(&random, size - 2);
        uint64_t end = begin + ramify_random_below(&random, size - begin + 1);
        uint64_t target = ramify_random_below(&random, size / 100);
        ramify_part_count counted, expected = {0};
        ramify_place place, from = {.offset = begin, .row = 1000, .line = 7};
        uint64_t row_at = 0, line_at = 0;
        for (uint64_t at = begin; at < end; at++) {
            if (begins[at] == 2 && expected.rows == target) {
                row_at = at;
                line_at = expected.lines;
            }
            expected.lines += begins[at] > 0;
            expected.rows += begins[at] == 2;
        }
        assert_int_equal(ramify_parts_count(parts, begin, end, &counted), RAMIFY_OK);
        assert_int_equal(counted.rows, expected.rows);
        assert_int_equal(counted.lines, expected.lines);
        if (row_at == 0)
            continue;
        assert_int_equal(ramify_parts_seek(parts, &from, 1000 + target, &place), RAMIFY_OK);
        assert_int_equal(place.offset, row_at);
        assert_int_equal(place.row, 1000 + target);
        assert_int_equal(place.line, 7 + line_at);
    }
    ramify_place place, from = ramify_parts_first(parts);
    assert_int_equal(ramify_parts_seek(parts, &from, size, &place), RAMIFY_ERROR_IO);
    ramify_parts_close(&parts);
    unlink(file.path);
    free(text);
    free(begins);
}

/* ---- arrays ---- */

static size_t make_npy(uint8_t *file, const char *descr, bool columns_first, const char *shape,
                       const void *numbers, size_t bytes) {
    int length =
        snprintf((char *)file + 10, 118, "{'descr': '%s', 'fortran_order': %s, 'shape': %s}", descr,
                 columns_first ? "True" : "False", shape);
    memcpy(file, "\x93NUMPY\1\0\x76\0", 10);
    memset(file + 10 + length, ' ', (size_t)(117 - length));
    file[127] = '\n';
    memcpy(file + 128, numbers, bytes);
    return 128 + bytes;
}

static void test_arrays(void **state) {
    static const struct {
        const char *descr, *shape;
        size_t bytes;
    } cases[] = {{"<f8", "(4, 2)", 64}, {"<f4", "(3, 3)", 36},      {"<i4", "(5,)", 20},
                 {"<i8", "(2, 3)", 48}, {"|u1", "(7, 3)", 21},      {">f8", "(4, 2)", 64},
                 {">i4", "(4, 3)", 48}, {"|u1", "(3, 2, 3, 1)", 18}};
    uint8_t numbers[64], file[256];
    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = (uint8_t)(i * 37 % 113);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size =
            make_npy(file, cases[i].descr, false, cases[i].shape, numbers, cases[i].bytes);
        divide_bytes(*state, file, size, NULL, NULL);
        divide_bytes(*state, file, size, &(ramify_table_options){.categorical = "c1"}, NULL);
    }
    double values[] = {1, 2, 3, 4, NAN, 6, 7, NAN};
    divide_bytes(*state, file, make_npy(file, "<f8", false, "(4, 2)", values, sizeof values), NULL,
                 NULL);
    divide_bytes(*state, file, make_npy(file, "<f8", false, "(8,)", values, sizeof values),
                 &(ramify_table_options){.categorical = "c1"}, NULL);
    values[3] = values[6] = (double)INFINITY; /* of the later row, but the first column */
    divide_bytes(*state, file, make_npy(file, "<f8", false, "(4, 2)", values, sizeof values), NULL,
                 NULL);
}

/* ---- opening ---- */

static void check_reason(data_world *world, const char *path, const ramify_table_options *options,
                         const char *expected) {
    ramify_parts *parts = NULL;
    const char *reason = NULL;
    assert_int_equal(ramify_parts_open(world->context, path, options, NULL, &parts), RAMIFY_OK);
    assert_false(ramify_parts_divisible(parts, &reason));
    assert_string_equal(reason, expected);
    ramify_parts_close(&parts);
}

static void test_not_divisible(void **state) {
    data_world *world = *state;
    check_reason(world, "-", NULL, "it is standard input");
    check_reason(world, "/dev/null", NULL, "it is no regular file");
    check_reason(world, "x", &(ramify_table_options){.labels = "y"},
                 "its labels are in a file of their own");
    uint8_t *packed, file[256] = {0};
    size_t size = data_gzip("a\n1\n", 4, &packed);
    scratch_file scratch = write_file(packed, size);
    check_reason(world, scratch.path, NULL, "it is compressed");
    unlink(scratch.path);
    free(packed);
    scratch = write_file("\0\0\x08\1\0\0\0\1\7", 9);
    check_reason(world, scratch.path, NULL, "it is an IDX file");
    unlink(scratch.path);
    scratch = write_file(file, make_npy(file, "<f8", true, "(2, 2)", file + 128, 32));
    check_reason(world, scratch.path, NULL, "its array is in Fortran order");
    unlink(scratch.path);
}

/* A file that reading it whole refuses at its head is refused with the same sentence. */
static void test_refused(void **state) {
    data_world *world = *state;
    static const struct {
        const char *text;
        ramify_table_options options;
    } cases[] = {{"", {0}},
                 {"PK\3\4", {0}},
                 {"\n \n", {0}},
                 {"a,a\n1,2\n", {.header = RAMIFY_HEADER_YES}},
                 {"a,b\n1,2\n", {.categorical = "c"}},
                 {"a,b\n1,2\n", {.delimiter = "xy"}},
                 {"a,b\n1,2\n", {.image = "3x3"}},
                 {"\x93NUMPY\1\0\5\0 ", {0}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scratch_file file = write_file(cases[i].text, strlen(cases[i].text));
        division d = {.world = world, .path = file.path, .options = &cases[i].options};
        read_whole(&d);
        ramify_parts *parts = NULL;
        assert_int_equal(
            ramify_parts_open(world->context, file.path, &cases[i].options, NULL, &parts),
            d.status);
        assert_string_equal(ramify_message(world->context), d.sentence);
        assert_string_not_equal(d.sentence, "");
        assert_null(parts);
        unlink(file.path);
    }
    uint8_t file[256] = {0};
    for (size_t extra = 0; extra < 2; extra++) { /* too short, too long */
        size_t size = make_npy(file, "<f8", false, "(2, 2)", file + 128, extra ? 33 : 31);
        scratch_file scratch = write_file(file, size);
        division d = {.world = world, .path = scratch.path};
        read_whole(&d);
        ramify_parts *parts = NULL;
        assert_int_equal(ramify_parts_open(world->context, scratch.path, NULL, NULL, &parts),
                         d.status);
        assert_string_equal(ramify_message(world->context), d.sentence);
        assert_int_equal(d.status, RAMIFY_ERROR_FORMAT);
        unlink(scratch.path);
    }
}

/* ---- memory ---- */

typedef struct whole_road {
    const char *path;
} whole_road;

/* Opens, reads two parts, merges and adopts. */
static ramify_status take_road(data_world *world, void *argument) {
    const whole_road *road = argument;
    ramify_context *context = world->context;
    ramify_parts *parts = NULL;
    ramify_table *tables[2] = {NULL};
    void *reports[2] = {NULL};
    size_t sizes[2] = {0};
    ramify_part_kind kinds[3];
    ramify_place middle;
    ramify_status status = ramify_parts_open(context, road->path, NULL, NULL, &parts);
    ramify_place first = status == RAMIFY_OK ? ramify_parts_first(parts) : (ramify_place){0};
    if (status == RAMIFY_OK)
        status = ramify_parts_seek(parts, &first, 2, &middle);
    if (status == RAMIFY_OK)
        status = ramify_parts_read(parts, &first, 2, &tables[0], &reports[0], &sizes[0]);
    if (status == RAMIFY_OK)
        status = ramify_parts_read(parts, &middle, 1, &tables[1], &reports[1], &sizes[1]);
    if (status == RAMIFY_OK) {
        size_t offset[] = {0, sizes[0], sizes[0] + sizes[1]};
        uint8_t *all = malloc(offset[2]);
        assert_non_null(all);
        memcpy(all, reports[0], sizes[0]);
        memcpy(all + sizes[0], reports[1], sizes[1]);
        status = ramify_parts_merge(parts, all, offset, 2, kinds);
        free(all);
    }
    for (size_t p = 0; p < 2 && status == RAMIFY_OK; p++)
        status = ramify_parts_adopt(parts, kinds, tables[p]);
    for (size_t p = 0; p < 2; p++) {
        ramify_table_destroy(&tables[p]);
        ramify_release(context, reports[p]);
    }
    ramify_parts_close(&parts);
    return status;
}

static void test_each_allocation(void **state) {
    static const char text[] = "a,b,c\n1,x,\n2,y,\n3,,z\n";
    scratch_file file = write_file(text, sizeof text - 1);
    data_refuse_each_allocation(*state, take_road, &(whole_road){file.path});
    unlink(file.path);
}

/* The limit and the peak are of a part, not of the file. */
static void test_part_of_memory(void **state) {
    data_world *world = *state;
    enum { ROWS = 200000, COLUMNS = 5, PARTS = 20 };
    char *text = malloc(ROWS * COLUMNS * 2 + 16);
    assert_non_null(text);
    size_t size = (size_t)sprintf(text, "a,b,c,d,e\n");
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++) {
            text[size++] = (char)('0' + (r * 7 + c) % 10);
            text[size++] = c + 1 < COLUMNS ? ',' : '\n';
        }
    scratch_file file = write_file(text, size);
    free(text);
    uint64_t part = (uint64_t)ROWS / PARTS * COLUMNS * sizeof(double);
    data_world_limit(world, part + part / 4);
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_read(world->context, file.path, NULL, &table),
                     RAMIFY_ERROR_LIMIT);
    ramify_clear(world->context);
    ramify_parts *parts = NULL;
    assert_int_equal(ramify_parts_open(world->context, file.path, NULL, NULL, &parts), RAMIFY_OK);
    ramify_place first = ramify_parts_first(parts), place;
    world->peak = world->live;
    assert_int_equal(ramify_parts_seek(parts, &first, ROWS / PARTS, &place), RAMIFY_OK);
    void *report;
    size_t report_size;
    assert_int_equal(ramify_parts_read(parts, &place, ROWS / PARTS, &table, &report, &report_size),
                     RAMIFY_OK);
    assert_true(world->peak < (int64_t)(part + (1 << 20))); /* buffers */
    assert_true(data_value(table, 0, 1) == (ROWS / PARTS + 1) * 7 % 10);
    ramify_release(world->context, report);
    ramify_table_destroy(&table);
    assert_int_equal(
        ramify_parts_read(parts, &place, 2 * (ROWS / PARTS), &table, &report, &report_size),
        RAMIFY_ERROR_LIMIT);
    assert_null(table);
    ramify_release(world->context, report);
    ramify_parts_close(&parts);
    unlink(file.path);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, data_world_setup, data_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_numbers),       TEST(test_texts),           TEST(test_disagreement),
        TEST(test_for_model),     TEST(test_schemas),         TEST(test_counts),
        TEST(test_break_in_cell), TEST(test_arrays),          TEST(test_refused),
        TEST(test_not_divisible), TEST(test_each_allocation), TEST(test_part_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
