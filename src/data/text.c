#include "text.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at `text`, 0 if it is none or does not end within `length`.
 * Unicode standard, table 3-7. */
static size_t character_length(const unsigned char *text, size_t length) {
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    size_t bytes = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (bytes == 0 || bytes > length)
        return 0;
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if (text[i] < 0x80 || text[i] > 0xBF)
            return 0;
    return bytes;
}

uint32_t ramify_word_find(const char *word, const char *const *words) {
    for (uint32_t i = 0; words[i]; i++)
        if (word && strcmp(word, words[i]) == 0)
            return i;
    return UINT32_MAX;
}

bool ramify_image_read(const char *text, uint32_t most, uint32_t image[3]) {
    image[2] = 1;
    for (size_t i = 0; i < 3; i++) {
        uint64_t value = 0;
        size_t digits = strspn(text, "0123456789");
        for (size_t d = 0; d < digits && value <= most; d++)
            value = value * 10 + (uint64_t)(text[d] - '0');
        if (value == 0 || value > most)
            return false;
        image[i] = (uint32_t)value;
        text += digits;
        if (*text == '\0')
            return i >= 1;
        if (*text++ != 'x')
            return false;
    }
    return false;
}

bool ramify_text_valid(const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = 0;
    while (i < length) {
        size_t step = bytes[i] ? character_length(bytes + i, length - i) : 0;
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

const char *ramify_text_excerpt(const char *text, size_t length,
                                char excerpt[RAMIFY_EXCERPT_BYTES]) {
    static const char ellipsis[] = "...";
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t room = RAMIFY_EXCERPT_BYTES - sizeof ellipsis;
    size_t used = 0, i = 0;
    while (i < length) {
        size_t step = character_length(bytes + i, length - i);
        /* U+0080 to U+009F are controls too. */
        bool shown = step > 0 && bytes[i] >= 0x20 && bytes[i] != 0x7F &&
                     !(bytes[i] == 0xC2 && bytes[i + 1] < 0xA0);
        if (used + (shown ? step : 1) > room)
            break;
        if (shown) {
            memcpy(excerpt + used, text + i, step);
            used += step;
        } else {
            excerpt[used++] = '?';
        }
        i += step ? step : 1;
    }
    if (i < length) {
        memcpy(excerpt + used, ellipsis, sizeof ellipsis);
    } else {
        excerpt[used] = '\0';
    }
    return excerpt;
}

/* The closing quote of a name that begins with one, if nothing but a stop or the end follows. */
static const char *closing_quote(const char *name, const char *stops) {
    const char *quote = name[0] == '"' ? strchr(name + 1, '"') : NULL;
    if (!quote)
        return NULL;
    const char *behind = quote + 1 + strspn(quote + 1, " ");
    return *behind == '\0' || strchr(stops, *behind) ? quote : NULL;
}

const char *ramify_name_read(const char *text, const char *stops, const char **name,
                             size_t *length) {
    text += strspn(text, " ");
    const char *quote = closing_quote(text, stops);
    const char *stop = quote ? quote + 1 + strspn(quote + 1, " ") : text + strcspn(text, stops);
    const char *end = quote ? quote : stop;
    *name = quote ? text + 1 : text;
    while (!quote && end > text && end[-1] == ' ')
        end--;
    *length = (size_t)(end - *name);
    return stop;
}

bool ramify_list_next(const char **list, const char **name, size_t *length) {
    const char *p = *list;
    if (!p)
        return false;
    while (*p == ' ' || *p == ',')
        p++;
    if (*p == '\0')
        return false;
    *list = ramify_name_read(p, ",", name, length);
    return true;
}

uint32_t ramify_list_count(const char *list) {
    const char *name;
    size_t length;
    uint32_t count = 0;
    while (ramify_list_next(&list, &name, &length))
        count++;
    return count;
}

static int compare_names(const void *a, const void *b) {
    const ramify_name *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    if (order != 0)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

void ramify_names_sort(ramify_name *names, size_t count) {
    if (count > 1)
        qsort(names, count, sizeof *names, compare_names);
}

const ramify_name *ramify_names_duplicate(const ramify_name *names, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1].text, names[i].text) == 0)
            return &names[i];
    return NULL;
}

size_t ramify_names_find(const ramify_name *names, size_t count, const char *text) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names[middle].text, text);
        if (order == 0)
            return names[middle].index;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
