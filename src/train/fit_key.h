#ifndef RAMIFY_TRAIN_FIT_KEY_H
#define RAMIFY_TRAIN_FIT_KEY_H
/* Keys of fits (fits.h): 64 bits of all that a fit's result depends on. */

#include "encoder.h"
#include "expert.h"
#include "mlp.h"
#include "problem.h"

/* A key of nothing yet but what the fit is for, the build and the instruction set. */
uint64_t ramify_fit_key(const ramify_context *context, const char *purpose);

/* The key with one thing more. */
uint64_t ramify_fit_key_bytes(uint64_t key, const void *bytes, size_t size);
uint64_t ramify_fit_key_number(uint64_t key, double number);
uint64_t ramify_fit_key_count(uint64_t key, uint64_t count);
uint64_t ramify_fit_key_plan(uint64_t key, const ramify_expert_plan *plan);
uint64_t ramify_fit_key_shape(uint64_t key, const ramify_mlp_shape *shape);
uint64_t ramify_fit_key_encoder(uint64_t key, const ramify_encoder_options *options);

/* All rows of the problem, with their targets and weights, and which of them are for what. */
uint64_t ramify_fit_key_problem(uint64_t key, const ramify_problem *problem);

#endif
