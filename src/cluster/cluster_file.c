/* A file that ranks write together. Each opens it for itself, by the system's own calls: nobody waits for
 * anybody, and what MPI's file layer adds does harm where a disk is full (Open MPI 4.1 prints lines of its
 * own, and crashes where a write that was only begun is asked after). */

#include "cluster.h"
#include "memory.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct ramify_cluster_file {
    ramify_context *context;
    char *name;
    int descriptor;
};

ramify_status ramify_cluster_file_open(ramify_context *context, const char *path, const char *name,
                                       ramify_cluster_file **file) {
    ramify_cluster_file *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->name = ramify_copy_text(context, name);
    made->descriptor = made->name ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (made->descriptor >= 0) {
        *file = made;
        return RAMIFY_OK;
    }
    ramify_status status = made->name
                               ? ramify_fail_io(context, name, "open the file to write it", errno)
                               : RAMIFY_ERROR_MEMORY;
    ramify_release(context, made->name);
    ramify_release(context, made);
    return status;
}

ramify_status ramify_cluster_file_write(ramify_cluster_file *file, uint64_t offset,
                                        const void *bytes, size_t size) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t count = pwrite(file->descriptor, from, size, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return ramify_fail_io(file->context, file->name, "write the file",
                                  count == 0 ? ENOSPC : errno);
        from += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return RAMIFY_OK;
}

ramify_status ramify_cluster_file_close(ramify_cluster_file **file) {
    if (!file || !*file)
        return RAMIFY_OK;
    ramify_cluster_file *old = *file;
    *file = NULL;
    int failed = fsync(old->descriptor) != 0 && errno != EINVAL ? errno : 0;
    if (close(old->descriptor) != 0 && failed == 0)
        failed = errno;
    ramify_status status =
        failed ? ramify_fail_io(old->context, old->name, "write the file", failed) : RAMIFY_OK;
    ramify_release(old->context, old->name);
    ramify_release(old->context, old);
    return status;
}
