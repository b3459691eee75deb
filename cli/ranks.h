#ifndef RAMIFY_CLI_RANKS_H
#define RAMIFY_CLI_RANKS_H
/* The tool as one of several processes that a launcher of MPI started: rank 0 prints, the others are
 * silent, and of a failure one sentence is told, by one rank. */

#include "session.h"

/* Processes that the launcher says it started, this one included; 0: there is no launcher. And which of
 * them this is. */
uint32_t ranks_launched(void);
uint32_t ranks_place(void);

/* Joins the others, where there is a launcher or --mpi was given. Returns EXIT_OK, or the exit status after
 * one sentence. */
int ranks_join(session *run, const context_arguments *wanted);

/* Whether the ranks turn out to be lost within the next moment: the launcher, which stops those that are
 * left, may be faster than the news. */
bool ranks_are_lost(session *run);

/* With --verbose: what ranks have sent to one another, by phase. */
void ranks_report(session *run);

/* A sentence about a failure: prints it, or has rank 0 print it. */
void ranks_tell(session *run, const char *sentence);

#endif
