/* SPDX-License-Identifier: Apache-2.0
 * process: what the kernel knows of this process, as metrics that every daemon has. */
#ifndef QUERN_DAEMON_PROCESS_H
#define QUERN_DAEMON_PROCESS_H

#include <stdint.h>

struct process_figures {
    uint64_t resident_bytes;
    uint64_t open_fds, max_fds;
    uint64_t cpu_us; /* user and system, all threads */
};
/* What /proc does not tell stays 0. */
struct process_figures process_look(void);

/* Set quern_resident_memory_bytes, quern_open_fds, quern_max_fds, quern_cpu_us_total,
 * quern_start_time_seconds and quern_build_info. `role` is kept: a literal. */
void process_measure(const char *role, uint64_t started_wall_ms);

#endif
