/* SPDX-License-Identifier: Apache-2.0
 * iterate: `quern run -iterate N PLUGIN IN... OUT`: a job N times, each but the first from what the
 * one before made. What is made on the way lies beside OUT, as OUT-step-K-ID, and is removed as
 * soon as the next step has it, or has failed. */
#ifndef QUERN_CLIENT_JOB_ITERATE_H
#define QUERN_CLIENT_JOB_ITERATE_H

#include <stdbool.h>
#include <stdint.h>

struct job_step {
    uint32_t number; /* from 0 up */
    char *in;        /* in place of the inputs; NULL: those that were typed */
    const char *out;
};

/* One run of those words; its exit code. In a process of its own, and may change the words. */
typedef int (*job_step_fn)(int argc, char **argv, const struct job_step *step);

/* Is one of the words -iterate? */
bool job_iterate_is(int argc, char **argv);
/* Exit code of the last step, or of the first that failed. */
int job_iterate(int argc, char **argv, job_step_fn run);

#endif
