/* SPDX-License-Identifier: Apache-2.0
 * proc: what the kernel tells of a process. Any thread. */
#ifndef QUERN_BASE_PROC_H
#define QUERN_BASE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* It is gone, or was killed or has ended and is being taken down: it will do nothing more, but its
 * locks, descriptors and ports may still be held. False where /proc does not tell. */
bool proc_is_ending(pid_t pid);
/* Until all its threads are gone and hold nothing (true), or for so long. Reaped or not. */
bool proc_wait(pid_t pid, unsigned most_ms);
/* The directory this program's own file is in; NULL where /proc does not tell, or memory is out.
 * mem_free it. */
char *proc_own_dir(void);

#endif
