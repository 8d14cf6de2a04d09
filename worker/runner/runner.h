/* SPDX-License-Identifier: Apache-2.0
 * runner: the task process. Started blank, it waits on CORD_FD for RUN, runs that attempt to its
 * end, answers DONE or FAILED, and waits for the next of the same job; it ends with its parent.
 *
 *   blank --RUN--> at work --DONE or FAILED--> idle --RUN--> ...      end of file: exit
 *
 * One thread runs the job's code. What the job writes to stdout and stderr goes to the attempt's
 * log; its working directory is the attempt's own. */
#ifndef QUERN_WORKER_RUNNER_RUNNER_H
#define QUERN_WORKER_RUNNER_RUNNER_H

/* Serves `fd` until it ends; returns the exit code. */
int runner_serve(int fd);

#endif
