/* SPDX-License-Identifier: Apache-2.0
 * tidy: what a job's code may have changed in its process, and what the next attempt in it must
 * find as a fresh process would have it: environment, umask, locale, timers, limits, signal mask
 * and dispositions. Noted before the first attempt, put back after each. (The working directory,
 * stdout and stderr are each attempt's own anyway; children and threads are strays'.) What cannot
 * be put back, memory and descriptors that are kept, limits lowered for good, is looked at, and too
 * much of it ends the process. */
#ifndef QUERN_WORKER_RUNNER_TIDY_H
#define QUERN_WORKER_RUNNER_TIDY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TIDY_SIGNALS 32 /* the classic ones; nobody sets the others by accident */

struct tidy {
    char **environment; /* copies, as many as `count` */
    size_t count;
    mode_t mask;
    size_t own_bytes; /* of memory that is its alone */
    size_t open_files;
    sigset_t blocked;
    struct sigaction actions[TIDY_SIGNALS];
    struct rlimit limits[RLIM_NLIMITS];
    int statm_fd, refs_fd; /* of /proc/self, opened at their first use; 0 = not yet */
};

/* As it is now. 0 or ERR_NOMEM. Kept for the life of the process. */
int tidy_note(struct tidy *tidy);
/* 0, or ERR_NOMEM: nothing more may run here. */
int tidy_up(const struct tidy *tidy);

/* Does the process hold so much memory, beside `buffers` bytes that are its to keep, that the next
 * attempt should not pay for it? */
bool tidy_has_grown(struct tidy *tidy, size_t buffers);
/* Or so many descriptors that it might find none left? */
bool tidy_keeps_files(const struct tidy *tidy);
/* Limits as they were. False: one is lower for good. That of data is the worker's (task/fence). */
bool tidy_limits(const struct tidy *tidy);
/* The peak of memory is counted anew from now on. */
void tidy_forget_peak(struct tidy *tidy);

#endif
