/* SPDX-License-Identifier: Apache-2.0
 * quern up: a whole cluster on this machine.
 *
 *   shape (flags, else what DIR had, else defaults) -> ports -> files -> format -> namenode
 *   -> datanodes, jobtracker, workers at once -> all serve -> say so
 *
 * What runs already is left alone; what this call started is taken down again when any of it fails.
 * In the foreground its children end with it; nothing is ever respawned. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/command.h"
#include "client/up/launch.h"
#include "client/up/options.h"
#include "client/up/serving.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/pidfile.h"
#include "libcommon/event/listen.h"
#include "libcommon/store/fsutil.h"

#define START_MS    60000
#define STOP_MS     15000
#define BASE_TRIES  50
#define RACE_TRIES  5
#define DAEMONS_MAX (2 + 2 * UP_NODES_MAX)

struct up {
    struct up_layout layout;
    bool is_detached;
    bool was_running[DAEMONS_MAX];
    struct up_process started[DAEMONS_MAX];
    size_t started_count;
    struct err rest;     /* code 0, or why the namenode is in safe mode though it serves */
    struct pidfile lock; /* one `quern up` at a time per DIR, while it starts things */
    uint64_t began_ms;
};

static volatile sig_atomic_t told_to_stop;

static void on_stop_signal(int signo)
{
    (void)signo;
    told_to_stop = 1;
}

/* ---- the shape ---- */

static int take_number(const char *text, const char *flag, unsigned min, unsigned max,
                       unsigned *number, struct err *err)
{
    uint64_t n;
    if (!text)
        return 0;
    if (str_to_u64(text, &n) != 0 || n < min || n > max)
        return err_set(err, ERR_USAGE, "-%s %s: want a number from %u to %u", flag, text, min, max);
    *number = (unsigned)n;
    return 0;
}

struct wanted {
    const char *dir, *datanodes, *workers, *replication, *port_base, *detach, *help;
};

static int decide_shape(struct up_layout *layout, const struct wanted *wanted, struct err *err)
{
    int rc = up_layout_read(layout, err);
    unsigned had = layout->datanodes, had_base = layout->port_base;
    if (rc != 0)
        return rc;
    if (!had)
        layout->datanodes = UP_DATANODES;
    if (!layout->workers)
        layout->workers = UP_WORKERS;
    if (!had_base)
        layout->port_base = UP_PORT_BASE;
    rc = take_number(wanted->datanodes, "datanodes", 1, UP_NODES_MAX, &layout->datanodes, err);
    if (rc == 0)
        rc = take_number(wanted->workers, "workers", 1, UP_NODES_MAX, &layout->workers, err);
    if (rc == 0)
        rc = take_number(wanted->port_base, "port-base", 1024, 60000, &layout->port_base, err);
    if (rc == 0 && layout->datanodes < had)
        rc = err_set(err, ERR_USAGE,
                     "%s has %u datanodes; with %u some blocks would be missing (it can only grow)",
                     layout->dir, had, layout->datanodes);
    if (!layout->replication || (wanted->datanodes && layout->datanodes != had))
        layout->replication = layout->datanodes < 3 ? layout->datanodes : 3;
    if (rc == 0)
        rc = take_number(wanted->replication, "replication", 1, layout->datanodes,
                         &layout->replication, err);
    return rc;
}

static size_t find_running(struct up *up)
{
    size_t running = 0;
    for (size_t i = 0; i < up_daemon_count(&up->layout); i++) {
        up->was_running[i] = up_running(&up->layout, up_daemon_at(&up->layout, i)) != 0;
        running += up->was_running[i];
    }
    return running;
}

/* ---- ports ---- */

static int try_port(unsigned port, struct err *err)
{
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    return listen_try(address, err);
}

static int try_base(const struct up_layout *layout, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < up_daemon_count(layout) && rc == 0; i++) {
        struct up_daemon daemon = up_daemon_at(layout, i);
        rc = try_port(up_daemon_http_port(layout, daemon), err);
        if (rc == 0)
            rc = try_port(up_daemon_port(layout, daemon), err);
    }
    return rc;
}

/* All ports move together, so that what is where can be remembered. */
static int find_base(struct up_layout *layout, struct err *err)
{
    struct err taken = {0}, first = {0};
    unsigned wanted = layout->port_base;
    for (int i = 0; i < BASE_TRIES && up_last_port(layout) < 65536; i++) {
        int rc = try_base(layout, &taken);
        if (rc == 0) {
            if (i > 0)
                printf("%s: using ports %u to %u\n", first.msg, layout->port_base,
                       up_last_port(layout));
            return 0;
        }
        if (i == 0)
            first = taken;
        if (rc != ERR_BUSY)
            break;
        layout->port_base += UP_BASE_STEP;
    }
    layout->port_base = wanted;
    return err_set(err, ERR_BUSY, "%s, and no free range of ports was found above (-port-base P)",
                   first.msg);
}

/* ---- starting ---- */

static int launch(struct up *up, size_t i, struct err *err)
{
    struct up_process *process = &up->started[up->started_count];
    if (up->was_running[i])
        return 0;
    int rc = up_launch(&up->layout, up_daemon_at(&up->layout, i), !up->is_detached, process, err);
    up->started_count += rc == 0;
    return rc;
}

static int wait_started(struct up *up, size_t from, struct err *err)
{
    int rc = 0;
    for (size_t i = from; i < up->started_count && rc == 0; i++)
        rc = up_wait_ready(&up->layout, &up->started[i], up->began_ms + START_MS, err);
    return rc;
}

static int format_if_new(const struct up *up, struct err *err)
{
    char path[UP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/name", up->layout.dir);
    return fsutil_is_empty_dir(disk_real(), path) == 1 ? up_format(&up->layout, err) : 0;
}

static int start_all(struct up *up, struct err *err)
{
    int rc = up->was_running[0] ? 0 : format_if_new(up, err);
    if (rc == 0)
        rc = launch(up, 0, err);
    if (rc == 0)
        rc = wait_started(up, 0, err); /* the others would have to try again, and wait for it */
    size_t first = up->started_count;
    for (size_t i = 1; i < up_daemon_count(&up->layout) && rc == 0; i++)
        rc = launch(up, i, err);
    return rc == 0 ? wait_started(up, first, err) : rc;
}

/* One of ours that has ended; its index, or -1. Reaps it. */
static int find_ended(struct up *up, int *ret_status)
{
    for (size_t i = 0; i < up->started_count; i++) {
        if (up->started[i].pid && waitpid(up->started[i].pid, ret_status, WNOHANG) > 0) {
            up->started[i].pid = 0;
            return (int)i;
        }
    }
    return -1;
}

static void describe_end(int status, char *out, size_t cap)
{
    if (WIFSIGNALED(status))
        snprintf(out, cap, "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(out, cap, "ended with code %d", WEXITSTATUS(status));
}

/* Whoever ran when we looked and has gone since is started after all, once. */
static int start_departed(struct up *up, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < up_daemon_count(&up->layout) && rc == 0; i++) {
        if (!up->was_running[i] || up_running(&up->layout, up_daemon_at(&up->layout, i)) != 0)
            continue;
        up->was_running[i] = false;
        rc = launch(up, i, err);
        if (rc == 0)
            rc = wait_started(up, up->started_count - 1, err);
    }
    return rc;
}

static int check_alive(void *arg, struct err *err)
{
    struct up *up = arg;
    int status, i = find_ended(up, &status);
    char name[32], end[64], log[UP_PATH_MAX];
    if (told_to_stop)
        return err_set(err, ERR_CANCELLED, "interrupted");
    if (i < 0)
        return start_departed(up, err);
    struct up_daemon daemon = up->started[i].daemon;
    describe_end(status, end, sizeof(end));
    return err_set(err, ERR_CRASHED, "%s %s (its log: %s)", up_daemon_name(daemon, name), end,
                   up_daemon_path(&up->layout, daemon, "log", "log", log));
}

/* What needs others goes first: workers and jobtracker, then datanodes, then the namenode. */
static void stop_started(struct up *up)
{
    static const enum up_kind order[] = {UP_WORKER, UP_JOBTRACKER, UP_DATANODE, UP_NAMENODE};
    pid_t pids[DAEMONS_MAX];
    for (size_t k = 0; k < ARRAY_LEN(order); k++) {
        size_t n = 0;
        for (size_t i = 0; i < up->started_count; i++)
            if (up->started[i].daemon.kind == order[k])
                pids[n++] = up->started[i].pid;
        up_stop(pids, n, clock_mono_ms() + STOP_MS);
    }
}

/* ---- telling ---- */

/* As a shell takes it for one word. */
static void print_export(const char *dir)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%";
    if (dir[strspn(dir, plain)] == 0) {
        printf("export QUERN_CONF=%s/quern.conf\n", dir);
        return;
    }
    printf("export QUERN_CONF='");
    for (const char *c = dir; *c; c++)
        if (*c == '\'')
            printf("'\\''");
        else
            putchar(*c);
    printf("/quern.conf'\n");
}

static void print_ready(const struct up *up, size_t running_before)
{
    const struct up_layout *layout = &up->layout;
    char took[32];
    const char *s1 = layout->datanodes == 1 ? "" : "s", *s2 = layout->workers == 1 ? "" : "s";
    if (up->started_count == 0)
        snprintf(took, sizeof(took), "is up already");
    else
        str_duration(clock_mono_ms() - up->began_ms, took, sizeof(took));
    printf("cluster        namenode, %u datanode%s, jobtracker, %u worker%s on 127.0.0.1   %s%s\n",
           layout->datanodes, s1, layout->workers, s2, up->started_count ? "up in " : "", took);
    if (up->started_count && running_before)
        printf("               %zu were up already, %zu were started\n", running_before,
               up->started_count);
    if (up->rest.code != 0)
        printf("safe mode      %s\n", up->rest.msg);
    printf("status pages   namenode http://127.0.0.1:%u   jobs http://127.0.0.1:%u\n",
           up_daemon_http_port(layout, (struct up_daemon){UP_NAMENODE, 0}),
           up_daemon_http_port(layout, (struct up_daemon){UP_JOBTRACKER, 0}));
    print_export(layout->dir);
    fflush(stdout);
}

static void tell_end(const struct up *up, int i, int status)
{
    char name[32], end[64];
    describe_end(status, end, sizeof(end));
    printf("%s %s; `quern up -dir %s` starts it again\n",
           up_daemon_name(up->started[i].daemon, name), end, up->layout.dir);
    fflush(stdout);
}

/* Until Ctrl-C, or until nothing of ours is left. */
static void stay(struct up *up)
{
    size_t left = up->started_count;
    printf("Ctrl-C stops it.\n");
    fflush(stdout);
    while (!told_to_stop && left > 0) {
        int status, i = find_ended(up, &status);
        if (i >= 0) {
            tell_end(up, i, status);
            left--;
        } else {
            poll(NULL, 0, 200); /* a signal ends it early */
        }
    }
    if (told_to_stop)
        printf("stopping\n");
    stop_started(up);
}

/* ---- the command ---- */

static int lock_dir(struct up *up, struct err *err)
{
    char path[UP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/run/up.lock", up->layout.dir);
    int rc = pidfile_open(&up->lock, path, err);
    if (rc == ERR_BUSY)
        return err_set(err, rc, "another `quern up` is at work on %s (process %d)", up->layout.dir,
                       (int)pidfile_holder(path));
    return rc;
}

static int start_and_wait(struct up *up, struct err *err)
{
    up->started_count = 0;
    int rc = up_layout_write(&up->layout, err);
    if (rc == 0)
        rc = start_all(up, err);
    const struct up_awaited awaited = {.layout = &up->layout,
                                       .deadline_ms = up->began_ms + START_MS,
                                       .may_rest = up->was_running[0],
                                       .check = check_alive,
                                       .arg = up};
    if (rc == 0)
        rc = up_wait_serving(&awaited, &up->rest, err);
    if (rc != 0)
        stop_started(up);
    return rc;
}

/* Between our look at the ports and the daemons' somebody may have come: another `quern up`, say.
 */
static bool lost_a_port(const struct up_layout *layout)
{
    return !told_to_stop && try_base(layout, NULL) == ERR_BUSY;
}

/* Those that run would not find a daemon that moved: the same command again must not part them
 * when the base had been taken the first time. */
static void keep_base(struct up_layout *layout, unsigned base)
{
    if (layout->port_base != base)
        printf("ports          from %u on, as those that are up; `quern down` first to move them\n",
               base);
    layout->port_base = base;
}

static int bring_up(struct up *up, const struct wanted *wanted, struct err *err)
{
    struct up_layout before = up->layout;
    int rc = up_layout_read(&before, err);
    if (rc == 0)
        rc = decide_shape(&up->layout, wanted, err);
    if (rc != 0)
        return rc;
    size_t running = find_running(up);
    if (running > 0)
        keep_base(&up->layout, before.port_base);
    int tries = 0;
    do {
        if (running == 0)
            rc = find_base(&up->layout, err);
        rc = rc == 0 ? start_and_wait(up, err) : rc;
    } while (rc != 0 && running == 0 && !told_to_stop && ++tries < RACE_TRIES &&
             lost_a_port(&up->layout));
    if (rc != 0 && told_to_stop) /* whatever else went wrong meanwhile */
        return err_set(err, ERR_CANCELLED, "interrupted");
    if (rc == 0)
        print_ready(up, up_daemon_count(&up->layout) - up->started_count);
    return rc;
}

static int run(const struct wanted *wanted, struct err *err)
{
    static struct up up;
    up = (struct up){
        .lock = PIDFILE_INIT, .is_detached = wanted->detach != NULL, .began_ms = clock_mono_ms()};
    int rc = up_layout_open(&up.layout, wanted->dir, true, err);
    if (rc == 0)
        rc = lock_dir(&up, err);
    if (rc == 0)
        rc = bring_up(&up, wanted, err);
    pidfile_close(&up.lock);
    if (rc == 0 && !up.is_detached && up.started_count)
        stay(&up);
    return rc;
}

static void take_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int cmd_up(int argc, char **argv)
{
    struct wanted wanted = {0};
    struct err err = {0};
    int rest;
    const struct cmd_option options[] = {
        {"dir", "DIR", "where everything of it lies; default ~/.local/share/quern", &wanted.dir},
        {"datanodes", "N", "how many datanodes; default 3, or as before", &wanted.datanodes},
        {"workers", "N", "how many workers; default 3, or as before", &wanted.workers},
        {"replication", "N", "replicas of a block; default 3, or one per datanode",
         &wanted.replication},
        {"port-base", "P", "first of its ports; default 9870, moved up when taken",
         &wanted.port_base},
        {"detach", NULL, "leave it running in the background", &wanted.detach},
        {"help", NULL, "show this", &wanted.help},
    };
    int rc = cmd_options_parse(options, ARRAY_LEN(options), argc, argv, &rest, &err);
    if (rc == 0 && rest < argc)
        rc = err_set(&err, ERR_USAGE, "takes no argument \"%s\" (-dir DIR?)", argv[rest]);
    if (rc == 0 && wanted.help) {
        printf(
            "usage: quern up [option...]\n\nStarts namenode, datanodes, jobtracker and workers on\n"
            "127.0.0.1, waits until they serve, and stays until Ctrl-C. A second `quern up`\n"
            "starts only what is down. `quern down` stops it; the data stays.\n\n");
        cmd_options_print(options, ARRAY_LEN(options));
        return 0;
    }
    take_signals();
    if (rc == 0)
        rc = run(&wanted, &err);
    if (rc == 0)
        return 0;
    fprintf(stderr, "quern up: %s\n", err.msg);
    return rc == ERR_USAGE ? EXIT_USAGE : rc == ERR_CANCELLED ? 130 : 1;
}
