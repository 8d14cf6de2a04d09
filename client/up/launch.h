/* SPDX-License-Identifier: Apache-2.0
 * launch: start one daemon of the local cluster as a child, hear whether it serves, stop it. */
#ifndef QUERN_CLIENT_UP_LAUNCH_H
#define QUERN_CLIENT_UP_LAUNCH_H

#include <sys/types.h>

#include "client/up/layout.h"

#define UP_STOP_MAX 256

struct up_process {
    struct up_daemon daemon;
    pid_t pid;    /* 0 = not started by us */
    int ready_fd; /* -1 = it has said its word */
};

/* Its process, by its pid file; 0 when it is down. One that was killed holds its locks and ports
 * until the kernel has taken it down: that is waited for. */
pid_t up_running(const struct up_layout *layout, struct up_daemon daemon);

/* Start it. stderr and stdout go to its log. `dies_with_us`: it gets SIGTERM when this process ends
 * however it ends; else it has a session of its own and outlives us. */
int up_launch(const struct up_layout *layout, struct up_daemon daemon, bool dies_with_us,
              struct up_process *ret, struct err *err);
/* Until it serves: 0, or its own error line with its name in front ("datanode2: ..."). */
int up_wait_ready(const struct up_layout *layout, struct up_process *process, uint64_t deadline_ms,
                  struct err *err);

/* Run `quern-namenode -format`; its error line when it fails. */
int up_format(const struct up_layout *layout, struct err *err);

/* SIGTERM to `count` processes (ours or not), then wait until all are gone; what has not gone by
 * the deadline is killed and counted. Returns how many had to be killed. Zero pids are skipped. At
 * most UP_STOP_MAX. */
unsigned up_stop(const pid_t *pids, size_t count, uint64_t deadline_ms);

#endif
