/* SPDX-License-Identifier: Apache-2.0
 * crash: when the process dies of SIGSEGV, SIGABRT, SIGBUS, SIGFPE or SIGILL, say where: build id,
 * version, the thread's request (base/doing.h), stack, last log lines, between "cut here" marks, to
 * stderr and the log; then die as the signal would have it (core dump and all). In a build with
 * sanitizers only SIGABRT is taken: their own report of a bad access is better. */
#ifndef QUERN_DAEMON_CRASH_H
#define QUERN_DAEMON_CRASH_H

/* Once, early in main. `name` must outlive the process. */
void crash_install(const char *name);

/* The ELF build id as hex, "unknown" without one. */
const char *crash_build_id(void);

#endif
