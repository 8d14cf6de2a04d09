/* SPDX-License-Identifier: Apache-2.0
 * show: a job as a person sees it: a block that redraws on a terminal, a line each ten seconds
 * elsewhere, and what is said at the end. */
#ifndef QUERN_CLIENT_JOB_SHOW_H
#define QUERN_CLIENT_JOB_SHOW_H

#include <stdio.h>

#include "libcommon/proto/cl_jt/messages.h"

struct job_show {
    FILE *out;
    bool is_terminal;
    bool has_told_wait; /* what a job waits for is said early, once */
    unsigned lines_drawn;
    uint64_t next_line_ms; /* elapsed time of the job at which the next plain line is due */
    uint64_t last_bytes, last_ms;
    double rate; /* bytes per second, smoothed */
};

void job_show_init(struct job_show *show, FILE *out);
void job_show_progress(struct job_show *show, const struct cl2jt_status *status);
void job_show_clear(struct job_show *show);

/* "job 17  wordcount  412 files, 51.3 G in 411 splits, 16 reducers" */
void job_show_begin(FILE *out, const struct cl2jt_status *status,
                    const struct cl2jt_shuffle *shuffles, size_t count);
/* The closing lines of a job that succeeded, or the first failing task's reason and last words. */
void job_show_end(FILE *out, const struct cl2jt_status *status);
/* `quern job -status`: everything. */
void job_show_status(FILE *out, const struct cl2jt_status *status);
/* `quern job -why`: every cause found, most costly first, each with what to do. */
void job_show_why(FILE *out, const struct cl2jt_status *status);
/* "m12", "r3"; "s0" of the second stage that reduces: as -task and the attempts' names have it.
 * `stage` is its name: map, reduce, reduce 2, commit. */
void job_show_task(struct slice stage, uint32_t task, char *out, size_t cap);
void job_show_counters(FILE *out, const struct msg_counter_list *counters);
const char *job_state_name(uint32_t state);
bool job_has_ended(const struct cl2jt_status *status);

#endif
