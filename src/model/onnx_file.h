#ifndef RAMIFY_MODEL_ONNX_FILE_H
#define RAMIFY_MODEL_ONNX_FILE_H
/* From a finished graph to the file. */

#include "onnx_graph.h"

/* Writes the file, whole or not at all. schema: JSON text for the metadata. */
ramify_status ramify_onnx_save(ramify_onnx *g, const char *schema, const char *path);

#endif
