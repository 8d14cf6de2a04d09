/* SPDX-License-Identifier: Apache-2.0
 * daemon_inside: struct daemon, for the files of this folder that make it up. */
#ifndef QUERN_DAEMON_DAEMON_INSIDE_H
#define QUERN_DAEMON_DAEMON_INSIDE_H

#include "libcommon/daemon/address.h"
#include "libcommon/daemon/daemon.h"
#include "libcommon/daemon/daemon_args.h"
#include "libcommon/daemon/pages.h"
#include "libcommon/daemon/pidfile.h"
#include "libcommon/daemon/ready.h"
#include "libcommon/daemon/reconfig.h"
#include "libcommon/event/loop.h"

struct daemon {
    const struct daemon_desc *desc;
    struct daemon_args args;
    struct conf *conf;
    struct ready ready;
    struct pidfile pidfile;
    bool is_log_open; /* errors are logged, too */

    struct loop *loop;
    struct http_server *http;
    struct pages pages;
    char http_address[ADDRESS_TEXT_MAX];
    struct admin_server *admin;
    void *state; /* the daemon's own; NULL before start has returned */

    const char *phase;
    uint64_t started_mono_ms, started_wall_ms;
    struct reconfig reconfig;
    bool must_reload; /* a signal came while the configuration was read again: once more, then */
    struct loop_timer reload_timer;
    bool is_stopping;
    bool is_stopped; /* nothing is pending: what is left can be freed */
    int exit_code;
    struct loop_timer stop_timer;
};

/* Append /status.json. */
void daemon_print_status(void *daemon, struct buf *out);
/* Append /metrics, with gauges set anew. */
void daemon_print_metrics(void *daemon, struct buf *out);
/* The commands every daemon's admin console has; their state is the struct daemon. */
extern const struct admin_command daemon_commands[];
extern const size_t daemon_command_count;
/* Read the configuration again and reopen the log. ERR_BUSY: the last time is not over yet;
 * ERR_CONFIG and the like: nothing changed. */
int daemon_reload(struct daemon *d, struct err *err);

#endif
