/* SPDX-License-Identifier: Apache-2.0
 * daemon: what all daemons have in common, so that each one's main is a descriptor and a call.
 *
 *     static const struct daemon_desc desc = {
 *         .name = "quern-namenode", .about = "knows which blocks make up which file",
 *         .flags = flags, .flag_count = ARRAY_LEN(flags), .http_key = "dfs.namenode.http-address",
 *         .start = start, .stop = stop, .release = release, .status = status,
 *     };
 *     int main(int argc, char **argv) { return daemon_main(&desc, argc, argv); }
 *
 * daemon_main parses --help --version --print-config -conf -D --pid-file --log-file --foreground
 * --detach --ready-fd and the descriptor's flags (one or two dashes), reads the configuration,
 * opens the log, drops privileges (`user`), makes the loop, the admin console and the status pages,
 * calls start, runs the loop, and undoes it in reverse. Exit codes: 0, 1 failed, 2 usage or
 * configuration.
 *
 * Signals: TERM and INT begin a graceful stop (a second one ends at once), HUP reopens the log and
 * reloads, USR1 dumps the state to the log. All callbacks run on the loop thread.
 *
 * Readiness: with --detach the parent exits 0 only when the child serves, else prints the child's
 * error line and exits with its code; --ready-fd N writes "ok\n" or "error: <line>\n" to N (how
 * `quern up` waits for daemons that stay its children); $NOTIFY_SOCKET gets READY=1 (systemd). */
#ifndef QUERN_DAEMON_DAEMON_H
#define QUERN_DAEMON_DAEMON_H

#include "libcommon/base/conf.h"
#include "libcommon/daemon/admin.h"
#include "libcommon/daemon/status.h"
#include "libcommon/proto/types/messages.h"

struct daemon;
struct loop;
struct http_server;

/* What start returns besides errors. */
enum daemon_start {
    DAEMON_SERVING = 0, /* listeners are bound and requests will be answered */
    DAEMON_LATER = 1,   /* not yet: daemon_serving(d) follows */
};

struct daemon_flag {
    const char *name; /* without dashes */
    const char *arg;  /* "DIR"; NULL when it takes none */
    const char *help; /* one line */
    const char *key;  /* the configuration key it sets, or NULL (ask daemon_flag) */
    /* Instead of serving: do this and exit (-format). 0 = exit 0. No loop exists; log is stderr. */
    int (*run)(struct daemon *d, struct err *err);
};

struct daemon_desc {
    const char *name;     /* the program: "quern-namenode" */
    const char *about;    /* one line for --help */
    const char *role;     /* "namenode": names of files and pages; status "daemon" */
    const char *http_key; /* address key of its status pages; NULL = none */
    const struct daemon_flag *flags;
    size_t flag_count;
    const struct admin_command *commands; /* more for the admin console, run with the state */
    size_t command_count;

    /* Open everything, listen. enum daemon_start, or an error: then what was opened is released
     * already and *ret_state unset. */
    int (*start)(struct daemon *d, void **ret_state, struct err *err);
    /* Begin a graceful end: close listeners and connections. daemon_stopped(d) must be called once
     * nothing is pending, here or later; without it the process exits after `stop.timeout`, and
     * release is not called. NULL = nothing to do. */
    void (*stop)(void *state);
    /* Free everything. The loop has made a few turns since daemon_stopped, so that what was closed
     * has been told, and makes a few more afterwards. */
    void (*release)(void *state);
    /* SIGHUP: daemon_conf(d) holds the new values of keys marked CONF_RELOAD. What takes longer is
     * held (daemon_reload_hold). May be NULL. */
    int (*reload)(void *state, struct err *err);
    /* Fill the status; called for /status.json, info and USR1. May be NULL. */
    void (*status)(void *state, struct status *st);
    /* Set gauges (metric.h); called before they are shown. May be NULL. */
    void (*measure)(void *state);
};

int daemon_main(const struct daemon_desc *desc, int argc, char **argv);

const struct conf *daemon_conf(const struct daemon *d);
struct loop *daemon_loop(struct daemon *d);
/* The server of the status pages, to which a daemon may add routes in start; NULL without http_key.
 */
struct http_server *daemon_http(struct daemon *d);
/* "host:port" at which others reach the status pages; "" without. */
const char *daemon_http_address(const struct daemon *d);
/* node.name: the daemon's identity in placement, racks and locality. */
const char *daemon_node_name(const struct daemon *d);
/* Value of a flag without key: NULL = not given, "" = given without argument. */
const char *daemon_flag(const struct daemon *d, const char *name);

/* After DAEMON_LATER: requests are answered from now on. */
void daemon_serving(struct daemon *d);
/* After stop was called: nothing is pending any more. */
void daemon_stopped(struct daemon *d);
/* End the process gracefully from inside, with an exit code and the reason (logged as an error when
 * the code is not 0). Calls stop like a signal would. */
void daemon_exit(struct daemon *d, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The configuration is read again (SIGHUP, an operator): while `reload` runs, and until as many
 * daemon_reload_done as daemon_reload_hold have been called, a key that cannot be followed may be
 * refused: it has its old value again. */
void daemon_reload_refuse(struct daemon *d, const char *key, const char *why);
void daemon_reload_hold(struct daemon *d);
void daemon_reload_done(struct daemon *d);
/* The same for who asks over the wire: begin, how it went, which keys. */
int daemon_reconfig(struct daemon *d, uint32_t action, struct arena *arena,
                    struct msg_reconfigured *ret, struct err *err);
/* Shown on the pages and in info: "starting", "serving", "safe mode", "stopping"; a literal. */
void daemon_set_state(struct daemon *d, const char *state);

#endif
