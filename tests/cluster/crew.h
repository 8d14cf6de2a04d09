/* SPDX-License-Identifier: Apache-2.0
 * crew: a namenode, a few datanodes and perhaps a jobtracker as processes of a test program that
 * counts: start one with a fault armed, stop or kill it, see how it ended, arm a fault in a running
 * one. Everything lies in one directory, removed at the end; whoever still runs dies with the
 * program.
 *
 * Member 0 is the namenode, "names"; 1 to 3 are datanodes, "a", "b", "c"; 4 is the jobtracker,
 * "jobs". Whatever cannot be done ends the program with a line. */
#ifndef QUERN_TESTS_CLUSTER_CREW_H
#define QUERN_TESTS_CLUSTER_CREW_H

#include <sys/types.h>

#include "libcommon/base/buf.h"

#define CREW_MAX  5
#define CREW_JOBS 4

struct crew {
    const char *who; /* the program, for messages */
    char bin[600], dir[256], address[64], jobs_address[64];
    pid_t pids[CREW_MAX];
};

void crew_die(const struct crew *crew, const char *what, const char *why) __attribute__((noreturn));

/* Makes the directory (below $TMPDIR, or /tmp), the configuration and a formatted namenode;
 * nobody runs yet. `more`: lines for every configuration. */
void crew_open(struct crew *crew, const char *who, const char *more);
/* Kill all, remove all. */
void crew_close(struct crew *crew);

const char *crew_name(unsigned member);
/* A file of a member ("log", "conf", "count", "sock", "data"); in a room of this
 * thread's. */
const char *crew_path(const struct crew *crew, unsigned member, const char *file);

/* `fault` NULL: none; "": none, but count them (crew_hits). False: it ended before it was ready;
 * `word` (600 bytes, may be NULL) has what it said instead. */
bool crew_start(struct crew *crew, unsigned member, const char *fault, char *word);
/* Send it (0: nothing) and wait for the end; the status of waitpid, 0 when it did not run. */
int crew_stop(struct crew *crew, unsigned member, int sig);
/* Has not ended. One that has is forgotten, with its status in *ret_status. */
bool crew_runs(struct crew *crew, unsigned member, int *ret_status);

/* How often this point was hit in the life that has just ended. */
uint64_t crew_hits(const struct crew *crew, unsigned member, const char *point);
/* One command to its admin console; the answer, or false. */
bool crew_ask(const struct crew *crew, unsigned member, const char *command, struct buf *answer);
/* How often `text` is in its log. */
unsigned crew_log_has(const struct crew *crew, unsigned member, const char *text);

#endif
