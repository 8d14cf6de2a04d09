/* SPDX-License-Identifier: Apache-2.0
 * again: `quern-task -replay FILE [-gdb]`: one task of a job that is over, alone in the foreground,
 * as `quern job -replay` has laid it out: FILE is an encoded task_again. What a reduce reads is
 * made first, by its maps, each in a process of its own; then the task itself, under gdb if wanted.
 * It reads its input where the job read it, and writes everything into its directory. */
#ifndef QUERN_WORKER_LOCAL_AGAIN_H
#define QUERN_WORKER_LOCAL_AGAIN_H

/* 0: the task was done; 1: it failed again, and why was told; 2: usage. */
int again_main(int argc, char **argv);

#endif
