#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Temporary names tried; each that is taken was left behind by a crash. */
#define NAMES_TRIED 100

/* What is no plain file is written in place: it cannot be replaced, or should not be. A file that
 * may not be written is not to be replaced either. *mode: of the file that is there, or 0. */
static bool replaceable(const char *path, mode_t *mode) {
    struct stat about;
    *mode = 0;
    if (lstat(path, &about) != 0)
        return errno == ENOENT;
    *mode = about.st_mode & 07777;
    return S_ISREG(about.st_mode) && access(path, W_OK) == 0;
}

static FILE *open_temporary(output *to, mode_t mode) {
    size_t room = strlen(to->path) + 48;
    to->temporary = malloc(room);
    if (!to->temporary)
        return NULL;
    int descriptor = -1;
    for (int i = 0; i < NAMES_TRIED && descriptor < 0; i++) {
        snprintf(to->temporary, room, "%s.%ld-%d.tmp", to->path, (long)getpid(), i);
        descriptor = open(to->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST)
            break;
    }
    if (descriptor >= 0 && mode != 0)
        (void)fchmod(descriptor, mode); /* where modes are kept */
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) {
        int reason = errno;
        if (descriptor >= 0) {
            close(descriptor);
            unlink(to->temporary);
        }
        free(to->temporary);
        to->temporary = NULL;
        errno = reason;
    }
    return file;
}

bool output_open(output *to, const char *path) {
    *to = (output){.path = path, .name = path ? path : "standard output"};
    mode_t mode;
    bool replaced = path && replaceable(path, &mode);
    if (!path)
        to->file = stdout;
    else if (replaced)
        to->file = open_temporary(to, mode);
    /* In place: also a file that may be written in a folder that may not. */
    if (!to->file && (!replaced || errno == EACCES))
        to->file = fopen(path, "w");
    return to->file != NULL;
}

bool output_close(output *to) {
    /* The caller stops at the first failed write, whose reason is still there. */
    bool written = !ferror(to->file) && fflush(to->file) == 0;
    int reason = written ? 0 : errno;
    if (to->path && fclose(to->file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (to->temporary) {
        if (written && rename(to->temporary, to->path) != 0) {
            written = false;
            reason = errno;
        }
        if (!written)
            unlink(to->temporary);
        free(to->temporary);
    }
    *to = (output){0};
    errno = reason;
    return written;
}

void output_abandon(output *to) {
    if (to->path)
        (void)fclose(to->file);
    if (to->temporary)
        unlink(to->temporary);
    free(to->temporary);
    *to = (output){0};
}
