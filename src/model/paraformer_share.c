#include "paraformer_share.h"
#include "dealt.h"
#include "memory.h"
#include "status.h"

static ramify_status join(ramify_predictor *predictor, size_t rows, float *made) {
    const ramify_model *model = predictor->model;
    ramify_cluster_phase(predictor->context, "class tokens of predicted rows");
    return ramify_dealt_share(predictor->context, &predictor->deal, model->branches,
                              rows * model->paraformer.branch.width * sizeof *made, made);
}

/* Ranks with different numbers of threads, or bounds, may have room for pieces of different sizes. */
static ramify_status agree_on_rows(ramify_context *context, ramify_predictor *predictor) {
    uint32_t ranks = ramify_cluster_size(context);
    uint64_t own = predictor->rows;
    uint64_t *rows = ramify_allocate(context, ranks, sizeof *rows);
    if (!rows)
        return RAMIFY_ERROR_MEMORY;
    ramify_cluster_phase(context, "class tokens of predicted rows");
    ramify_status status = ramify_cluster_gather(context, &own, sizeof own, rows);
    for (uint32_t r = 0; status == RAMIFY_OK && r < ranks; r++)
        predictor->rows = ramify_smaller(predictor->rows, rows[r]);
    ramify_release(context, rows);
    return status;
}

ramify_status ramify_paraformer_share_create(ramify_context *context, ramify_model *model,
                                             size_t rows, ramify_predictor **predictor) {
    RAMIFY_TRY(ramify_predictor_create_alone(context, model, rows, predictor));
    const ramify_deal deal = ramify_dealt_here(context);
    if (ramify_deal_is_whole(&deal) || !ramify_model_paraformer(model))
        return RAMIFY_OK;
    (*predictor)->deal = deal;
    (*predictor)->join = join;
    ramify_status status = agree_on_rows(context, *predictor);
    if (status != RAMIFY_OK)
        ramify_predictor_destroy(predictor);
    return status;
}
