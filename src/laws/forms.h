#ifndef RAMIFY_LAWS_FORMS_H
#define RAMIFY_LAWS_FORMS_H
/* Every form of the table in law_form.c. */

#include "law_form.h"

extern const ramify_law_form ramify_form_auto_curve, ramify_form_auto_plane;
extern const ramify_law_form ramify_form_m1, ramify_form_m2, ramify_form_m3, ramify_form_m4;
extern const ramify_law_form ramify_form_damped, ramify_form_last;
extern const ramify_law_form ramify_form_bnsl0, ramify_form_bnsl1, ramify_form_bnsl2,
    ramify_form_bnsl3;
extern const ramify_law_form ramify_form_pow2, ramify_form_pow3, ramify_form_pow4, ramify_form_exp3,
    ramify_form_mmf4, ramify_form_wbl4, ramify_form_ilog2;
extern const ramify_law_form ramify_form_additive, ramify_form_joint, ramify_form_constrained;
extern const ramify_law_form ramify_form_pruning, ramify_form_pruning_joint;

/* Decay of a slope per factor e of size, of the forms that look at the end of a curve. */
#define RAMIFY_LAW_DAMPING 0.35

/* ln 10: nothing was ever shown about them further beyond the runs. */
#define RAMIFY_LAW_DECADE 2.302585092994046

/* (1 - e^(-damping u)) / damping: how far u = ln(x / place) lies from the place, on the scale on which
 * a damped law is a straight line. */
double ramify_form_damped_distance(double u);

/* The floor of the forms whose first parameter it is. */
double ramify_form_first(const double *theta);

#endif
