#include "source.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Offsets in model files are 64-bit; a file position must hold them. */
_Static_assert(sizeof(off_t) == 8, "build with 64-bit file offsets");

static ramify_status map_file(ramify_context *context, ramify_source *source) {
    if (source->size == 0 || source->size > SIZE_MAX)
        return ramify_damaged(context, source, "%llu bytes cannot be mapped",
                              (unsigned long long)source->size);
    void *mapped = mmap(NULL, (size_t)source->size, PROT_READ, MAP_SHARED, source->descriptor, 0);
    if (mapped == MAP_FAILED)
        return ramify_fail_io(context, source->name, "map the file", errno);
    /* Records are needed here and there: reading ahead would only fill memory. */
    posix_madvise(mapped, (size_t)source->size, POSIX_MADV_RANDOM);
    close(source->descriptor); /* the mapping stays */
    source->descriptor = -1;
    source->bytes = mapped;
    source->kind = RAMIFY_SOURCE_MAP;
    return RAMIFY_OK;
}

static ramify_status open_file(ramify_context *context, const char *path, ramify_access access,
                               ramify_source *source) {
    source->name = ramify_copy_text(context, path);
    if (!source->name)
        return RAMIFY_ERROR_MEMORY;
    /* Not blocking: a pipe without a writer would hang here, before it can be refused. */
    source->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (source->descriptor < 0)
        return ramify_fail_io(context, path, "open the file", errno);
    struct stat about;
    if (fstat(source->descriptor, &about) != 0)
        return ramify_fail_io(context, path, "ask for the file's size", errno);
    if (!S_ISREG(about.st_mode))
        return ramify_fail(context, RAMIFY_ERROR_IO,
                           "%s: not a regular file; a model is read from a file on disk", path);
    source->size = (uint64_t)about.st_size;
    return access == RAMIFY_ACCESS_MMAP ? map_file(context, source) : RAMIFY_OK;
}

ramify_status ramify_source_open(ramify_context *context, const char *path, ramify_access access,
                                 ramify_source *source) {
    *source = (ramify_source){.kind = RAMIFY_SOURCE_FILE, .descriptor = -1};
    ramify_status status = open_file(context, path, access, source);
    if (status != RAMIFY_OK)
        ramify_source_close(context, source);
    return status;
}

ramify_status ramify_source_memory(ramify_context *context, const void *bytes, size_t size,
                                   bool own, ramify_source *source) {
    *source = (ramify_source){
        .kind = own ? RAMIFY_SOURCE_OWNED : RAMIFY_SOURCE_BORROWED, .descriptor = -1, .size = size};
    memcpy(&source->bytes, &bytes, sizeof bytes); /* borrowed bytes are never written to */
    if (!own && (uintptr_t)bytes % RAMIFY_ALIGNMENT != 0) {
        source->bytes = ramify_allocate(context, size, 1);
        if (!source->bytes)
            return RAMIFY_ERROR_MEMORY;
        memcpy(source->bytes, bytes, size);
        source->kind = RAMIFY_SOURCE_OWNED;
    }
    source->name = ramify_copy_text(context, "model");
    if (!source->name) {
        ramify_source_close(context, source);
        return RAMIFY_ERROR_MEMORY;
    }
    return RAMIFY_OK;
}

ramify_status ramify_source_read(ramify_context *context, const ramify_source *source,
                                 uint64_t offset, size_t count, void *out) {
    if (source->bytes) {
        memcpy(out, source->bytes + offset, count);
        return RAMIFY_OK;
    }
    unsigned char *to = out;
    while (count > 0) {
        ssize_t got = pread(source->descriptor, to, count, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ramify_fail_io(context, source->name, "read the file", errno);
        if (got == 0)
            return ramify_fail(context, RAMIFY_ERROR_IO,
                               "%s: the file ended at byte %llu, it had %llu bytes when it was "
                               "opened; it must not be cut while it is used",
                               source->name, (unsigned long long)offset,
                               (unsigned long long)source->size);
        to += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return RAMIFY_OK;
}

uint64_t ramify_source_span(uint64_t count) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (count + page - 1) / page * page + page;
}

ramify_status ramify_source_map(ramify_context *context, const ramify_source *source,
                                uint64_t offset, size_t count, ramify_mapping *mapping) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = (size_t)(offset % page);
    size_t span = (before + count + page - 1) / page * page;
    void *pages =
        mmap(NULL, span, PROT_READ, MAP_SHARED, source->descriptor, (off_t)(offset - before));
    if (pages == MAP_FAILED)
        return ramify_fail_io(context, source->name, "map the file", errno);
    posix_madvise(pages, span, POSIX_MADV_WILLNEED);
    *mapping = (ramify_mapping){
        .pages = pages, .span = span, .record = (const unsigned char *)pages + before};
    return RAMIFY_OK;
}

void ramify_source_unmap(ramify_mapping *mapping) {
    if (mapping->pages)
        munmap(mapping->pages, mapping->span);
    *mapping = (ramify_mapping){0};
}

void ramify_source_close(ramify_context *context, ramify_source *source) {
    if (source->kind == RAMIFY_SOURCE_FILE && source->name && source->descriptor >= 0)
        close(source->descriptor);
    if (source->kind == RAMIFY_SOURCE_MAP)
        munmap(source->bytes, (size_t)source->size);
    if (source->kind == RAMIFY_SOURCE_OWNED)
        ramify_release(context, source->bytes);
    ramify_release(context, source->name);
    *source = (ramify_source){.descriptor = -1};
}

ramify_status ramify_damaged(ramify_context *context, const ramify_source *source,
                             const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                       "%s: %s; the file is damaged: copy or train it again", source->name, what);
}
