/* SPDX-License-Identifier: Apache-2.0
 * admin: a console on a unix socket (key admin.socket), for the daemon's own user and root. One
 * command a line; the answer is text, ended by a line "ok" or "error: <why>". By hand:
 *
 *     $ quern console namenode info            or    echo info | socat -
 * UNIX:/run/quern/namenode.sock
 *
 * Every daemon has help, info, config, metrics, faults, log, sleep, crash; its descriptor may add
 * more. Commands run on the loop thread, so they see a consistent state and must be quick. */
#ifndef QUERN_DAEMON_ADMIN_H
#define QUERN_DAEMON_ADMIN_H

#include "libcommon/base/buf.h"

struct loop;

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

/* Run one line against several tables (earlier ones win); appends answer and end line to `out`.
 * "help" is known without being in any table. An empty line is nothing and gets no answer. */
void admin_run_line(const struct admin_table *tables, size_t count, struct slice line,
                    struct buf *out);

#define ADMIN_TABLES_MAX 2
struct admin_server;
/* Listen on `path` (mode 0600). The tables are copied, what they point to is borrowed. */
int admin_server_open(struct loop *loop, const char *path, const struct admin_table *tables,
                      size_t count, struct admin_server **ret, struct err *err);
/* Stops listening and drops connections; the memory goes a turn later. NULL is fine. */
void admin_server_close(struct admin_server *server);

#endif
