/* SPDX-License-Identifier: Apache-2.0
 * admin: a console on a unix socket (key admin.socket), for the daemon's own user and root. One
 * command a line; the answer is text, ended by a line "ok" or "error: <why>". By hand:
 *
 *     $ echo info | socat - UNIX:/run/quern/namenode.sock
 *
 * Every daemon has help, info, config, metrics, faults, log, sleep, crash; its descriptor may add
 * more. Commands run on the loop thread, so they see a consistent state and must be quick. */
#ifndef QUERN_DAEMON_ADMIN_H
#define QUERN_DAEMON_ADMIN_H

#include "libcommon/base/buf.h"

struct admin_command {
    const char *name;
    const char *args; /* "" or as shown by help: "[NAME=N:ACTION]" */
    const char *help; /* one line */
    /* Append the answer to `out`. argv[0] is the command. Error: the line after "error: ". */
    int (*run)(void *state, int argc, char **argv, struct buf *out, struct err *err);
};

struct admin_table {
    const struct admin_command *commands;
    size_t count;
    void *state; /* handed to run */
};

/* Run one line against several tables; appends answer and end line to `out`. */
void admin_run_line(const struct admin_table *tables, size_t count, struct slice line,
                    struct buf *out);

#endif
