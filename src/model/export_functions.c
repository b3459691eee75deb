/* The opening comment and the functions of the source. What a model lacks is left out, so that the
 * source compiles without warnings about what is never used. */

#include "export.h"
#include "schema.h"

static unsigned long long wide(uint64_t count) {
    return (unsigned long long)count;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* Most units of a layer whose results are kept: all but the last. */
static uint32_t widest_hidden(const ramify_exporter *e) {
    uint32_t widest = 1;
    for (uint32_t l = 1; l < e->mlp->layers; l++)
        widest = larger(widest, e->mlp->width[l]);
    return widest;
}

static uint32_t widest_input(const ramify_exporter *e) {
    return larger(e->mlp->width[0], widest_hidden(e));
}

/* Buffers of hidden units, where there is one member: one layer reads what the one before wrote. */
static uint32_t hidden_buffers(const ramify_exporter *e) {
    return e->mlp->layers > 2 ? 2 : e->mlp->layers - 1;
}

static uint64_t stack_bytes(const ramify_exporter *e) {
    uint64_t floats = e->stem->features;
    floats += e->tables ? e->stem->plain : 0;
    floats += e->directions ? e->stem->routes : 0;
    if (e->mlp->members > 1)
        floats += widest_input(e) + widest_hidden(e);
    else
        floats += (uint64_t)hidden_buffers(e) * widest_hidden(e);
    return floats * sizeof(float);
}

static void comment_columns(ramify_exporter *e) {
    const ramify_schema *schema = e->model->schema;
    ramify_export_put(e, " * Values of x: %lu\n", (unsigned long)schema->column_count);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const ramify_schema_column *column = &schema->columns[c];
        ramify_export_put(e, " *   x[%lu] ", (unsigned long)c);
        ramify_export_quote(e, column->name);
        ramify_export_put(e, column->categorical ? ", a category, by its code:\n" : "\n");
        for (uint32_t i = 0; column->categorical && i < column->category_count; i++) {
            ramify_export_put(e, " *       %lu ", (unsigned long)i);
            ramify_export_quote(e, column->categories[i]);
            ramify_export_put(e, "\n");
        }
        if (column->categorical)
            ramify_export_put(e, " *       %lu any other, or missing\n",
                              (unsigned long)column->category_count);
    }
}

static void comment_outputs(ramify_exporter *e) {
    const ramify_schema *schema = e->model->schema;
    bool classes = schema->task == RAMIFY_TASK_CLASSIFICATION;
    ramify_export_put(e, " * Values of y: %lu%s\n", (unsigned long)e->model->outputs,
                      classes ? ", the probabilities of the classes of" : "");
    if (classes) {
        ramify_export_put(e, " *   ");
        ramify_export_quote(e, schema->targets[0]);
        ramify_export_put(e, "\n");
    }
    for (uint32_t i = 0; i < e->model->outputs; i++) {
        ramify_export_put(e, " *   y[%lu] ", (unsigned long)i);
        ramify_export_quote(e, classes ? schema->classes[i] : schema->targets[i]);
        ramify_export_put(e, "\n");
    }
}

static void comment_sizes(ramify_exporter *e) {
    uint64_t total = 0;
    ramify_export_put(e, " * Bytes of constants:\n");
    for (uint32_t i = 0; i < e->array_count; i++) {
        uint64_t bytes = e->arrays[i].count * e->arrays[i].bytes;
        ramify_export_put(e, " *   %12llu  %s\n", wide(bytes), e->arrays[i].name);
        total += bytes;
    }
    ramify_export_put(e, " *   %12llu  in all\n", wide(total));
    ramify_export_put(e, " * Bytes of stack: %llu for arrays, and what the calls take.\n *\n",
                      wide(stack_bytes(e)));
}

void ramify_export_comment(ramify_exporter *e) {
    const ramify_model *model = e->model;
    bool classes = model->schema->task == RAMIFY_TASK_CLASSIFICATION;
    ramify_export_put(e, "/* A model as C source (C99 or later), written by ramify " RAMIFY_VERSION
                         ".\n *\n");
    ramify_export_put(e, " *     void @(const float *x, float *y);\n *\n");
    ramify_export_put(e, " * Kind: %s, %s. Inner nodes: %lu. Modules: %lu.\n *\n", model->kind,
                      classes ? "classification" : "regression", (unsigned long)e->tree.nodes,
                      (unsigned long)e->tree.modules);
    comment_columns(e);
    ramify_export_put(e, " * NaN stands for a missing value.\n *\n");
    comment_outputs(e);
    ramify_export_put(e, " *\n");
    comment_sizes(e);
    ramify_export_put(
        e,
        " * Nothing is allocated or kept between calls: any number of threads may call it. */\n\n"
        "#include <math.h>\n\n"
        "#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)\n"
        "#error \"compile this file without -ffast-math: it would not see NaN\"\n"
        "#endif\n\n"
        "void @(const float *x, float *y);\n\n");
    uint64_t most = larger(e->stem->features, e->stem->plain);
    for (uint32_t i = 0; i < e->array_count; i++)
        most = e->arrays[i].count > most ? e->arrays[i].count : most;
    ramify_export_put(e, "typedef unsigned %s @_index;\n\n", most > 65535 ? "long" : "int");
}

/* A loop over the columns, up to where numbers are handled; `skip` is done for a category. */
static void put_column_loop(ramify_exporter *e, const char *skip) {
    ramify_export_put(e, "    for (@_index c = 0; c < %lu; c++) {\n",
                      (unsigned long)e->stem->columns);
    if (e->categories)
        ramify_export_put(e, "        const @_index codes = @_codes[c];\n"
                             "        if (codes > 0) {\n");
    if (e->categories)
        ramify_export_put(e, "%s        }\n", skip);
}

static void put_plain(ramify_exporter *e) {
    ramify_export_put(e, "/* Numbers scaled and clipped, 0 where missing; categories one-hot. */\n"
                         "static void @_plain(const float *x, float *plain) {\n");
    if (e->numbers)
        ramify_export_put(e, "    const double *center = @_center, *scale = @_scale;\n");
    put_column_loop(e, "            /* What is no code is \"other\", the last. */\n"
                       "            @_index code = codes - 1;\n"
                       "            if (x[c] >= 0.0f && x[c] < (float)code && x[c] == "
                       "floorf(x[c]))\n"
                       "                code = (@_index)x[c];\n"
                       "            for (@_index i = 0; i < codes; i++)\n"
                       "                *plain++ = i == code ? 1.0f : 0.0f;\n"
                       "            continue;\n");
    if (e->numbers)
        ramify_export_put(e,
                          "        const int missing = isnan(x[c]) ? 1 : 0;\n"
                          "        double z = ((double)x[c] - *center++) / *scale++;\n"
                          "        z = z > %d.0 ? %d.0 : z;\n"
                          "        z = z < -%d.0 ? -%d.0 : z;\n"
                          "        *plain++ = missing ? 0.0f : (float)z;\n",
                          (int)RAMIFY_STEM_CLIP, (int)RAMIFY_STEM_CLIP, (int)RAMIFY_STEM_CLIP,
                          (int)RAMIFY_STEM_CLIP);
    if (e->missing)
        ramify_export_put(e, "        if (@_missing[c])\n"
                             "            *plain++ = missing ? 1.0f : 0.0f;\n");
    ramify_export_put(e, "    }\n}\n\n");
}

static void put_bins(ramify_exporter *e) {
    ramify_export_put(e, "        if (@_bins[c] > 0) {\n"
                         "            const @_index bins = @_bins[c];\n"
                         "            @_index below = 0;\n"
                         "            while (below < bins && knots[below] <= plain[0])\n"
                         "                below++;\n"
                         "            const float *line = table + 4 * below;\n"
                         "            float offset = plain[0] - knots[below > 0 ? below - 1 : 0];\n"
                         "            knots += bins;\n"
                         "            table += 4 * (bins + 1);\n"
                         "            plain++;\n");
    if (e->missing)
        ramify_export_put(e, "            if (@_missing[c]) {\n"
                             "                if (*plain++ != 0.0f) {\n"
                             "                    line = table;\n"
                             "                    offset = 0.0f;\n"
                             "                }\n"
                             "                table += 4;\n"
                             "            }\n");
    ramify_export_put(e, "            *features++ = line[0] + line[1] * offset;\n"
                         "            *features++ = line[2] + line[3] * offset;\n"
                         "            continue;\n"
                         "        }\n");
}

static void put_features(ramify_exporter *e) {
    ramify_export_put(e, "/* Two numbers per category or number with bins, from its table. */\n"
                         "static void @_features(const float *plain, float *features) {\n"
                         "    const float *table = @_table;\n");
    if (e->stem->knot_count > 0)
        ramify_export_put(e, "    const float *knots = @_knots;\n");
    put_column_loop(e, "            @_index code = 0;\n"
                       "            while (code + 1 < codes && plain[code] == 0.0f)\n"
                       "                code++;\n"
                       "            *features++ = table[4 * code];\n"
                       "            *features++ = table[4 * code + 2];\n"
                       "            plain += codes;\n"
                       "            table += 4 * codes;\n"
                       "            continue;\n");
    if (e->stem->knot_count > 0)
        put_bins(e);
    if (e->numbers)
        ramify_export_put(e, "        *features++ = *plain++;\n");
    if (e->missing)
        ramify_export_put(e, "        if (@_missing[c])\n"
                             "            *features++ = *plain++;\n");
    ramify_export_put(e, "    }\n}\n\n");
}

/* The polynomial of ramify_sine_turns, digit for digit. */
static void put_waves(ramify_exporter *e) {
    ramify_export_put(e, "/* sin(2 pi t), to 3e-7. */\n"
                         "static float @_sine(float t) {\n"
                         "    /* Adding 1.5 * 2^23 rounds to a whole number. */\n"
                         "    float whole = t + 12582912.0f;\n"
                         "    whole -= 12582912.0f;\n"
                         "    const float r = t - whole;\n"
                         "    const float folded = 0.25f - fabsf(fabsf(r) - 0.25f);\n"
                         "    const float q = folded * folded;\n"
                         "    float p = 3.81995258f;\n"
                         "    p = p * q - 15.09464258f;\n"
                         "    p = p * q + 42.05869394f;\n"
                         "    p = p * q - 76.70585975f;\n"
                         "    p = p * q + 81.60524928f;\n"
                         "    p = p * q - 41.34170224f;\n"
                         "    p = p * q + 6.28318531f;\n"
                         "    return copysignf(folded * p, r);\n"
                         "}\n\n"
                         "/* Sine and cosine of every number, per frequency. */\n"
                         "static void @_waves(const float *plain, float *features) {\n"
                         "    const float *frequency = @_frequency;\n");
    put_column_loop(e, "            plain += codes;\n"
                       "            continue;\n");
    ramify_export_put(e,
                      "        for (@_index f = 0; f < %lu; f++) {\n"
                      "            const float turns = *frequency++ * *plain;\n"
                      "            *features++ = @_sine(turns);\n"
                      "            *features++ = @_sine(turns + 0.25f);\n"
                      "        }\n"
                      "        plain += %s;\n"
                      "    }\n}\n\n",
                      (unsigned long)e->stem->frequencies, e->missing ? "1 + @_missing[c]" : "1");
}

static void put_directions(ramify_exporter *e) {
    ramify_export_put(e,
                      "/* The point in the space of the prototypes. */\n"
                      "static void @_point(const float *plain, float *point) {\n"
                      "    const float *direction = @_directions;\n"
                      "    for (@_index i = 0; i < %lu; i++) {\n"
                      "        float sum = 0.0f;\n"
                      "        for (@_index j = 0; j < %lu; j++)\n"
                      "            sum += plain[j] * *direction++;\n"
                      "        point[i] = sum;\n"
                      "    }\n}\n\n",
                      (unsigned long)e->stem->routes, (unsigned long)e->stem->plain);
}

static void put_tree(ramify_exporter *e) {
    ramify_export_put(
        e,
        "/* The module at the end of the way down: at every node to the child whose prototype is\n"
        " * nearest. Children from %lu on are modules. */\n"
        "static @_index @_module(const float *point) {\n"
        "    @_index node = 0;\n"
        "    do {\n"
        "        const @_index end = @_first[node + 1];\n"
        "        @_index best = @_first[node];\n"
        "        float least = 0.0f;\n"
        "        for (@_index i = best; i < end; i++) {\n"
        "            const float *prototype = @_prototypes + i * %lu;\n"
        "            float distance = 0.0f;\n"
        "            for (@_index j = 0; j < %lu; j++) {\n"
        "                const float difference = point[j] - prototype[j];\n"
        "                distance += difference * difference;\n"
        "            }\n"
        "            if (i == @_first[node] || distance < least) {\n"
        "                least = distance;\n"
        "                best = i;\n"
        "            }\n"
        "        }\n"
        "        node = @_child[best];\n"
        "    } while (node < %lu);\n"
        "    return node - %lu;\n"
        "}\n\n",
        (unsigned long)e->tree.nodes, (unsigned long)e->stem->routes,
        (unsigned long)e->stem->routes, (unsigned long)e->tree.nodes, (unsigned long)e->tree.nodes);
}

static void put_expert(ramify_exporter *e) {
    unsigned long layers = e->mlp->layers;
    uint32_t buffers = hidden_buffers(e);
    ramify_export_put(
        e, "/* A record is, layer after layer: weights, output by output; biases; slopes below 0,\n"
           " * not in the last layer. */\n"
           "static void @_expert(const float *record, const float *x, float *y) {\n");
    if (layers > 1)
        ramify_export_put(e, "    float hidden[%lu][%lu];\n", (unsigned long)buffers,
                          (unsigned long)widest_hidden(e));
    ramify_export_put(e,
                      "    for (@_index l = 0; l < %lu; l++) {\n"
                      "        const @_index k = @_widths[l], n = @_widths[l + 1];\n"
                      "        const int last = l == %lu;\n"
                      "        const float *weight = record;\n"
                      "        const float *bias = record + k * n, *slope = bias + n;\n",
                      layers, layers - 1);
    ramify_export_put(e, "        float *to = %s;\n",
                      buffers == 0   ? "y"
                      : buffers == 1 ? "last ? y : hidden[0]"
                                     : "last ? y : hidden[l % 2]");
    ramify_export_put(e, "        for (@_index j = 0; j < n; j++) {\n"
                         "            float sum = bias[j];\n"
                         "            for (@_index i = 0; i < k; i++)\n"
                         "                sum += x[i] * *weight++;\n"
                         "            to[j] = last || sum > 0.0f ? sum : slope[j] * sum;\n"
                         "        }\n"
                         "        record = last ? slope : slope + n;\n"
                         "        x = to;\n"
                         "    }\n}\n\n");
}

static void put_members(ramify_exporter *e) {
    unsigned long layers = e->mlp->layers, members = e->mlp->members;
    ramify_export_put(
        e,
        "/* The mean over %lu members that share weights. A record is, layer after layer: "
        "weights,\n"
        " * output by output; for every member scales of inputs, scales of outputs, biases; "
        "slopes\n"
        " * below 0, not in the last layer. */\n"
        "static void @_expert(const float *record, const float *x, float *y) {\n"
        "    float scaled[%lu], hidden[%lu];\n"
        "    for (@_index m = 0; m < %lu; m++) {\n"
        "        const float *from = x, *layer = record;\n"
        "        for (@_index l = 0; l < %lu; l++) {\n"
        "            const @_index k = @_widths[l], n = @_widths[l + 1];\n"
        "            const int last = l == %lu;\n"
        "            const float *weight = layer;\n"
        "            const float *r = layer + k * n + m * (k + n + n), *s = r + k, *bias = s + n;\n"
        "            const float *slope = layer + k * n + %lu * (k + n + n);\n",
        members, (unsigned long)widest_input(e), (unsigned long)widest_hidden(e), members, layers,
        layers - 1, members);
    ramify_export_put(e,
                      "            for (@_index i = 0; i < k; i++)\n"
                      "                scaled[i] = from[i] * r[i];\n"
                      "            for (@_index j = 0; j < n; j++) {\n"
                      "                float sum = 0.0f;\n"
                      "                for (@_index i = 0; i < k; i++)\n"
                      "                    sum += scaled[i] * *weight++;\n"
                      "                sum = sum * s[j] + bias[j];\n"
                      "                if (last)\n"
                      "                    y[j] = m > 0 ? y[j] + sum : sum;\n"
                      "                else\n"
                      "                    hidden[j] = sum > 0.0f ? sum : slope[j] * sum;\n"
                      "            }\n"
                      "            layer = last ? slope : slope + n;\n"
                      "            from = hidden;\n"
                      "        }\n"
                      "    }\n"
                      "    for (@_index j = 0; j < %lu; j++)\n"
                      "        y[j] *= 1.0f / %lu.0f;\n"
                      "}\n\n",
                      (unsigned long)e->model->outputs, members);
}

static void put_head(ramify_exporter *e) {
    unsigned long outputs = e->model->outputs;
    if (e->model->targets > 0) {
        ramify_export_put(
            e,
            "    for (@_index j = 0; j < %lu; j++)\n"
            "        y[j] = (float)(@_head_center[j] + @_head_scale[j] * (double)y[j]);\n",
            outputs);
        return;
    }
    ramify_export_put(e,
                      "    float most = y[0], sum = 0.0f;\n"
                      "    for (@_index j = 1; j < %lu; j++)\n"
                      "        most = y[j] > most ? y[j] : most;\n"
                      "    for (@_index j = 0; j < %lu; j++) {\n"
                      "        y[j] = expf(y[j] - most);\n"
                      "        sum += y[j];\n"
                      "    }\n"
                      "    for (@_index j = 0; j < %lu; j++)\n"
                      "        y[j] /= sum;\n",
                      outputs, outputs, outputs);
}

/* Without tables the plain features are the first of the features, and lie there. */
static void put_whole(ramify_exporter *e) {
    const char *plain = e->tables ? "plain" : "features";
    ramify_export_put(e,
                      "void @(const float *x, float *y) {\n"
                      "    float features[%lu];\n",
                      (unsigned long)e->stem->features);
    if (e->tables)
        ramify_export_put(e, "    float plain[%lu];\n", (unsigned long)e->stem->plain);
    if (e->directions)
        ramify_export_put(e, "    float point[%lu];\n", (unsigned long)e->stem->routes);
    ramify_export_put(e, "    @_plain(x, %s);\n", plain);
    if (e->tables)
        ramify_export_put(e, "    @_features(plain, features);\n");
    if (e->waves)
        ramify_export_put(e, "    @_waves(%s, features + %lu);\n", plain, (unsigned long)e->wave);
    if (e->directions)
        ramify_export_put(e, "    @_point(%s, point);\n", plain);
    if (e->tree.nodes > 0)
        ramify_export_put(e, "    @_expert(@_experts + @_module(%s) * %llu, features, y);\n",
                          e->directions ? "point" : plain, wide(e->packed));
    else
        ramify_export_put(e, "    @_expert(@_experts, features, y);\n");
    put_head(e);
    ramify_export_put(e, "}\n");
}

void ramify_export_functions(ramify_exporter *e) {
    put_plain(e);
    if (e->tables)
        put_features(e);
    if (e->waves)
        put_waves(e);
    if (e->directions)
        put_directions(e);
    if (e->tree.nodes > 0)
        put_tree(e);
    if (e->mlp->members > 1)
        put_members(e);
    else
        put_expert(e);
    put_whole(e);
}
