/* SPDX-License-Identifier: Apache-2.0
 * crash: when a signal ends the runner, what was in hand goes to the progress page, which outlives
 * the process: the record, and where in the plugin the code was. Then the signal takes its course,
 * so that the parent sees it in the exit status, also when looking that up takes too long. */
#ifndef QUERN_WORKER_RUNNER_CRASH_H
#define QUERN_WORKER_RUNNER_CRASH_H

/* SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, on a stack of their own. For runner processes only: a
 * debugger or sanitizer wants them itself. */
void runner_crash_install(void);

#endif
