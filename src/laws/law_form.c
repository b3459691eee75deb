#include "forms.h"

#include <string.h>

static const ramify_law_form *const forms[] = {
    &ramify_form_auto_curve,  &ramify_form_auto_plane, &ramify_form_m1,
    &ramify_form_m2,          &ramify_form_m3,         &ramify_form_m4,
    &ramify_form_bnsl0,       &ramify_form_bnsl1,      &ramify_form_bnsl2,
    &ramify_form_bnsl3,       &ramify_form_damped,     &ramify_form_last,
    &ramify_form_pow2,        &ramify_form_pow3,       &ramify_form_pow4,
    &ramify_form_exp3,        &ramify_form_mmf4,       &ramify_form_wbl4,
    &ramify_form_ilog2,       &ramify_form_additive,   &ramify_form_joint,
    &ramify_form_constrained, &ramify_form_pruning,    &ramify_form_pruning_joint,
};

const ramify_law_form *const *ramify_law_forms(size_t *count) {
    *count = sizeof forms / sizeof forms[0];
    return forms;
}

const ramify_law_form *ramify_law_form_find(const char *name) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i]->name, name) == 0)
            return forms[i];
    return NULL;
}

const ramify_law_form *ramify_law_form_find_for(const char *name, uint32_t variables) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i]->name, name) == 0 && forms[i]->variables == variables)
            return forms[i];
    return ramify_law_form_find(name);
}

double ramify_form_first(const double *theta) {
    return theta[0];
}
