/* A plug-in of another version of the library. */
#include "engine.h"

static const ramify_engine engine = {.abi = RAMIFY_ENGINE_ABI + 1};

__attribute__((visibility("default"))) const ramify_engine *ramify_engine_mpi(void);

const ramify_engine *ramify_engine_mpi(void) {
    return &engine;
}
