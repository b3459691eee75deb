#ifndef RAMIFY_MODEL_SAVE_H
#define RAMIFY_MODEL_SAVE_H
/* Replacing a file whole: into a temporary file beside it, which then takes its place, so that a
 * reader sees the old file or the new one, and a crash leaves the old. Also for the exporter. */

#include "ramify.h"

#include <stdio.h>

typedef struct ramify_replacement {
    char *path;      /* owned */
    char *temporary; /* owned */
    int descriptor;  /* of the temporary file, open for writing */
} ramify_replacement;

/* Makes a folder for checkpoints if it is not there, and tells now if none can be written to it. */
ramify_status ramify_checkpoint_folder(ramify_context *context, const char *folder);

/* Creates the temporary file, with the mode of the file that it is to replace, or what the umask
 * gives. A link is followed; a folder, a device, a pipe and a file that may not be written are
 * refused. End with
 * ramify_replacement_commit or ramify_replacement_abandon; on failure neither is needed. */
ramify_status ramify_replacement_begin(ramify_context *context, const char *path,
                                       ramify_replacement *replacement);

ramify_status ramify_replacement_write(ramify_context *context,
                                       const ramify_replacement *replacement, const void *bytes,
                                       size_t size);

/* Makes the new file durable and puts it in place. On failure the temporary file is removed, and a
 * file that was there before is untouched. Frees the replacement either way. */
ramify_status ramify_replacement_commit(ramify_context *context, ramify_replacement *replacement);

/* Removes the temporary file and frees the replacement. */
void ramify_replacement_abandon(ramify_context *context, ramify_replacement *replacement);

#endif
