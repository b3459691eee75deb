#include "save.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names tried for the temporary file; each that is taken was left behind by a crash. */
#define NAMES 100

static void forget(ramify_context *context, ramify_replacement *replacement) {
    if (replacement->descriptor >= 0)
        close(replacement->descriptor);
    ramify_release(context, replacement->path);
    ramify_release(context, replacement->temporary);
    *replacement = (ramify_replacement){.descriptor = -1};
}

/* Sets the path: of what a link leads to. A file that is there must be one that may be written, and
 * gives its mode to the new one. */
static ramify_status find_place(ramify_context *context, const char *path,
                                ramify_replacement *replacement, mode_t *mode) {
    struct stat about;
    *mode = 0;
    bool there = lstat(path, &about) == 0;
    char *aim = there && S_ISLNK(about.st_mode) ? realpath(path, NULL) : NULL;
    if (there && S_ISLNK(about.st_mode) && !aim)
        return ramify_fail_io(context, path, "follow the link", errno);
    replacement->path = ramify_copy_text(context, aim ? aim : path);
    free(aim);
    if (!replacement->path)
        return RAMIFY_ERROR_MEMORY;
    if (!there || stat(replacement->path, &about) != 0)
        return RAMIFY_OK;
    if (!S_ISREG(about.st_mode))
        return ramify_fail(context, RAMIFY_ERROR_IO, "%s: is %s; name a file", path,
                           S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
    if (access(replacement->path, W_OK) != 0)
        return ramify_fail_io(context, path, "replace the file", errno);
    *mode = about.st_mode & 07777;
    return RAMIFY_OK;
}

static ramify_status create_temporary(ramify_context *context, mode_t mode,
                                      ramify_replacement *replacement) {
    size_t size = strlen(replacement->path) + 48;
    replacement->temporary = ramify_allocate(context, size, 1);
    if (!replacement->temporary)
        return RAMIFY_ERROR_MEMORY;
    for (unsigned i = 0; i < NAMES && replacement->descriptor < 0; i++) {
        snprintf(replacement->temporary, size, "%s.%ld-%u.tmp", replacement->path, (long)getpid(),
                 i);
        replacement->descriptor =
            open(replacement->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (replacement->descriptor < 0 && errno != EEXIST)
            break;
    }
    if (replacement->descriptor < 0)
        return ramify_fail_io(context, replacement->path, "create a temporary file beside it",
                              errno);
    if (mode != 0)
        (void)fchmod(replacement->descriptor, mode); /* where modes are kept */
    return RAMIFY_OK;
}

ramify_status ramify_replacement_begin(ramify_context *context, const char *path,
                                       ramify_replacement *replacement) {
    *replacement = (ramify_replacement){.descriptor = -1};
    mode_t mode;
    ramify_status status = find_place(context, path, replacement, &mode);
    if (status == RAMIFY_OK)
        status = create_temporary(context, mode, replacement);
    if (status != RAMIFY_OK)
        forget(context, replacement);
    return status;
}

ramify_status ramify_replacement_write(ramify_context *context,
                                       const ramify_replacement *replacement, const void *bytes,
                                       size_t size) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t put = write(replacement->descriptor, from, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return ramify_fail_io(context, replacement->path, "write the file", errno);
        from += put;
        size -= (size_t)put;
    }
    return RAMIFY_OK;
}

/* Makes the rename durable. File systems that cannot sync a directory say so with EINVAL. */
static ramify_status sync_directory(ramify_context *context, const char *path) {
    char *directory = ramify_copy_text(context, path);
    if (!directory)
        return RAMIFY_ERROR_MEMORY;
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    int descriptor = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ramify_release(context, directory);
    if (descriptor < 0)
        return RAMIFY_OK; /* a directory that may be written but not read: nothing to be done */
    int failed = fsync(descriptor) != 0 && errno != EINVAL ? errno : 0;
    close(descriptor);
    return failed ? ramify_fail_io(context, path, "make the new file's name durable", failed)
                  : RAMIFY_OK;
}

static ramify_status put_in_place(ramify_context *context, ramify_replacement *replacement) {
    if (fsync(replacement->descriptor) != 0 && errno != EINVAL)
        return ramify_fail_io(context, replacement->path, "make the file durable", errno);
    int closed = close(replacement->descriptor);
    replacement->descriptor = -1;
    if (closed != 0)
        return ramify_fail_io(context, replacement->path, "write the file", errno);
    if (rename(replacement->temporary, replacement->path) != 0)
        return ramify_fail_io(context, replacement->path, "put the new file in place", errno);
    return RAMIFY_OK;
}

ramify_status ramify_replacement_commit(ramify_context *context, ramify_replacement *replacement) {
    ramify_status status = put_in_place(context, replacement);
    if (status != RAMIFY_OK) {
        ramify_replacement_abandon(context, replacement);
        return status;
    }
    status = sync_directory(context, replacement->path);
    forget(context, replacement);
    return status;
}

void ramify_replacement_abandon(ramify_context *context, ramify_replacement *replacement) {
    if (replacement->temporary)
        unlink(replacement->temporary);
    forget(context, replacement);
}

ramify_status ramify_checkpoint_folder(ramify_context *context, const char *folder) {
    char reason[RAMIFY_REASON_BYTES], excerpt[RAMIFY_EXCERPT_BYTES];
    struct stat about;
    if ((mkdir(folder, 0777) == 0 || errno == EEXIST) && stat(folder, &about) == 0) {
        errno = ENOTDIR;
        if (S_ISDIR(about.st_mode) && access(folder, W_OK | X_OK) == 0)
            return RAMIFY_OK;
    }
    return ramify_fail(context, RAMIFY_ERROR_IO,
                       "%s: no checkpoint can be written there: %s (--resume names a folder)",
                       ramify_text_excerpt(folder, strlen(folder), excerpt),
                       ramify_system_reason(errno, reason));
}
