#ifndef RAMIFY_CLI_VERBS_H
#define RAMIFY_CLI_VERBS_H
/* The verbs: each reads its words argv[0 .. argc), does its work and returns the exit status. */

int verb_train(int argc, char **argv);
int verb_predict(int argc, char **argv);
int verb_evaluate(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_prune(int argc, char **argv);
int verb_quantize(int argc, char **argv);
int verb_law(int argc, char **argv);
int verb_diagnose(int argc, char **argv);
int verb_plan(int argc, char **argv);

#endif
