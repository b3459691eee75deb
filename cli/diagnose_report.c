#include "diagnose_report.h"
#include "output.h"

bool diagnose_report_write(const char *path, const char *hidden, const ramify_diagnosis *diagnosis) {
    output to;
    (void)hidden;
    (void)diagnosis;
    if (!output_open(&to, path))
        return false;
    return output_close(&to);
}
