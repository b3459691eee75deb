#include "page.h"
#include "ramify.h"

#include <math.h>

static const char before_title[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>";

static const char after_title[] =
    "</title>\n"
    "<style>\n"
    "body { max-width: 44rem; margin: 1.5rem auto; padding: 0 1rem; background: #fff; color: "
    "#222;\n"
    "  font: 1rem/1.5 system-ui, sans-serif; }\n"
    "h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }\n"
    "table { border-collapse: collapse; width: 100%; font-size: .9rem; }\n"
    "th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid #ddd; }\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }\n"
    "svg { width: 100%; height: auto; } .wide { overflow-x: auto; }\n"
    "p.advice { border-left: 4px solid #555; padding-left: 1rem; }\n"
    "@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<h1>";

void page_begin(FILE *file, const char *title) {
    fputs(before_title, file);
    page_text(file, title);
    fputs(after_title, file);
    page_text(file, title);
    fputs("</h1>\n", file);
}

void page_end(FILE *file, const char *note) {
    fprintf(file, "<p>Made by ramify %s. %s</p>\n</body>\n</html>\n", ramify_version(), note);
}

void page_text(FILE *file, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
        }
}

void page_number(FILE *file, double value) {
    if (isfinite(value))
        fprintf(file, "<td class=\"n\">%.4g</td>", value);
    else
        fputs("<td class=\"n\">&ndash;</td>", file);
}
