/* SPDX-License-Identifier: Apache-2.0
 * The life of a daemon, in order: command line, configuration, (detach,) pid file, privileges, log,
 * loop, status pages, start, signals, console, ready, run; then back. */
#include "libcommon/daemon/daemon.h"
#include "libcommon/base/fds.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config_found.h"
#include "libcommon/daemon/crash.h"
#include "libcommon/daemon/daemon_inside.h"
#include "libcommon/daemon/privilege.h"
#include "libcommon/event/http.h"

#define RUN_DIR       "/run/quern"
#define LAST_TURNS    4
#define DUMP_LINE_MAX 1500
#define EXIT_USAGE    2
#define FDS_ENOUGH    4096

/* ---- what daemons ask ---- */

const struct conf *daemon_conf(const struct daemon *d)
{
    return d->conf;
}

struct loop *daemon_loop(struct daemon *d)
{
    return d->loop;
}

struct http_server *daemon_http(struct daemon *d)
{
    return d->http;
}

const char *daemon_http_address(const struct daemon *d)
{
    return d->http_address;
}

const char *daemon_node_name(const struct daemon *d)
{
    return conf_str(d->conf, "node.name");
}

const char *daemon_flag(const struct daemon *d, const char *name)
{
    return daemon_args_find(&d->args, name);
}

void daemon_set_state(struct daemon *d, const char *state)
{
    if (d->phase != state)
        log_info("daemon", "%s", state);
    d->phase = state;
}

void daemon_serving(struct daemon *d)
{
    daemon_set_state(d, "serving");
    ready_ok(&d->ready);
}

/* ---- failing: one line, to whoever waits for us ---- */

static int fail(struct daemon *d, const struct err *err)
{
    bool is_logged = d->is_log_open && log_fd() != STDERR_FILENO;
    if (is_logged)
        log_error("daemon", "%s", err->msg);
    if (d->ready.fd >= 0)
        ready_failed(&d->ready, err->msg);
    else if (!is_logged || !daemon_flag(d, "detach"))
        fprintf(stderr, "%s: %s\n", d->desc->name, err->msg);
    return err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_USAGE : 1;
}

/* ---- stopping ---- */

void daemon_stopped(struct daemon *d)
{
    d->is_stopped = true;
    loop_stop(d->loop);
}

static void on_stop_timeout(void *arg)
{
    struct daemon *d = arg;
    log_warn("daemon", "not stopped within %s: ending anyway", conf_str(d->conf, "stop.timeout"));
    loop_stop(d->loop);
}

static void begin_stop(struct daemon *d)
{
    if (d->is_stopping) {
        log_warn("daemon", "told to stop again: ending at once");
        loop_stop(d->loop);
        return;
    }
    d->is_stopping = true;
    daemon_set_state(d, "stopping");
    ready_notify("STOPPING=1");
    if (loop_after(d->loop, &d->stop_timer, conf_ms(d->conf, "stop.timeout"), on_stop_timeout, d) !=
        0)
        loop_stop(d->loop);
    else if (d->desc->stop)
        d->desc->stop(d->state);
    else
        daemon_stopped(d);
}

void daemon_exit(struct daemon *d, int code, const char *fmt, ...)
{
    struct err err = {.code = ERR_FAILED};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
    va_end(ap);
    if (d->is_stopping)
        return;
    d->exit_code = code;
    if (code != 0)
        fail(d, &err);
    else
        log_info("daemon", "%s", err.msg);
    begin_stop(d);
}

/* ---- signals ---- */

static void reload_by_signal(struct daemon *d);

static void apply_log_level(const struct daemon *d)
{
    enum log_level level;
    if (log_level_parse(conf_str(d->conf, "log.level"), &level) == 0)
        log_set_level(level);
}

static void on_key_waits(const char *key)
{
    log_warn("daemon", "%s has changed: that waits for a restart", key);
}

static int open_conf(const struct daemon *d, struct conf **ret, struct err *err)
{
    struct conf *conf = NULL;
    int rc = config_open(&d->args.config, &conf, NULL, err);
    if (rc == 0)
        rc = daemon_args_set(&d->args, conf, err);
    if (rc == 0)
        rc = config_found_defaults(conf, err); /* once more: a flag may have moved an address */
    if (rc != 0) {
        conf_free(conf);
        return rc;
    }
    *ret = conf;
    return 0;
}

int daemon_reload(struct daemon *d, struct err *err)
{
    struct err failed = {0};
    struct conf *fresh = NULL;
    if (reconfig_is_running(&d->reconfig))
        return err_set(err, ERR_BUSY, "Another reconfiguration task is running");
    ready_notify("RELOADING=1");
    if (log_reopen(&failed) != 0)
        log_error("daemon", "%s", failed.msg);
    int rc = open_conf(d, &fresh, err);
    if (rc == 0) {
        reconfig_begin(&d->reconfig, d->conf, fresh, d->desc->role, on_key_waits);
        apply_log_level(d);
        if (d->desc->reload && d->state && d->desc->reload(d->state, &failed) != 0)
            log_error("daemon", "reload: %s", failed.msg);
        daemon_reload_done(d);
    }
    ready_notify("READY=1");
    return rc;
}

void daemon_reload_refuse(struct daemon *d, const char *key, const char *why)
{
    reconfig_refuse(&d->reconfig, d->conf, key, why);
}

void daemon_reload_hold(struct daemon *d)
{
    d->reconfig.holds++;
}

static void on_reload_again(void *arg)
{
    reload_by_signal(arg);
}

void daemon_reload_done(struct daemon *d)
{
    if (--d->reconfig.holds > 0)
        return;
    reconfig_end(&d->reconfig);
    log_info("daemon", "reloaded");
    if (d->must_reload && !d->is_stopping)
        (void)loop_after(d->loop, &d->reload_timer, 0, on_reload_again, d);
}

int daemon_reconfig(struct daemon *d, uint32_t action, struct arena *arena,
                    struct msg_reconfigured *ret, struct err *err)
{
    *ret = (struct msg_reconfigured){0};
    int rc = 0;
    if (action == MSG_RECONFIG_START)
        return daemon_reload(d, err);
    if (action == MSG_RECONFIG_STATUS)
        rc = reconfig_answer(&d->reconfig, arena, ret);
    else if (action == MSG_RECONFIG_PROPERTIES)
        rc = reconfig_keys(d->conf, d->desc->role, arena, &ret->keys);
    else
        return err_set(err, ERR_INVAL, "reconfiguration action %u is not known", action);
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

/* Nobody hears an answer to a signal, so none is lost: one that comes while a reload goes on may
 * mean a file that was written behind it. */
static void reload_by_signal(struct daemon *d)
{
    struct err err = {0};
    d->must_reload = reconfig_is_running(&d->reconfig);
    if (d->must_reload)
        return;
    if (daemon_reload(d, &err) != 0)
        log_error("daemon", "configuration stays as it was: %s", err.msg);
}

/* The status in lines the log takes whole. */
static void dump_state(struct daemon *d)
{
    struct buf out = BUF_INIT;
    daemon_print_status(d, &out);
    for (size_t at = 0; at < out.len && !buf_failed(&out); at += DUMP_LINE_MAX) {
        size_t n = out.len - at < DUMP_LINE_MAX ? out.len - at : DUMP_LINE_MAX;
        log_info("dump", "%.*s", (int)n, (const char *)out.data + at);
    }
    buf_release(&out);
}

static void on_signal(int signo, void *arg)
{
    struct daemon *d = arg;
    switch (signo) {
    case SIGHUP:
        reload_by_signal(d);
        break;
    case SIGUSR1:
        dump_state(d);
        break;
    default:
        log_info("daemon", "%s", signo == SIGTERM ? "SIGTERM" : "SIGINT");
        begin_stop(d);
    }
}

static int take_signals(struct daemon *d, struct err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        if (loop_signal(d->loop, signals[i], on_signal, d) != 0)
            return err_set(err, ERR_NOMEM, "cannot take signals: out of memory");
    return 0;
}

/* ---- bringing up ---- */

static int take_ready_fd(struct daemon *d, struct err *err)
{
    const char *text = daemon_flag(d, "ready-fd");
    uint64_t fd;
    if (!text)
        return 0;
    if (str_to_u64(text, &fd) != 0 || fd > INT32_MAX || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        return err_set(err, ERR_USAGE, "--ready-fd %s: no such descriptor", text);
    d->ready.fd = (int)fd;
    return 0;
}

static int detach(struct daemon *d, struct err *err)
{
    if (!daemon_flag(d, "detach") || daemon_flag(d, "foreground"))
        return 0;
    if (!*conf_str(d->conf, "log.file"))
        return err_set(err, ERR_USAGE, "--detach needs a log: --log-file FILE, or log.file");
    return ready_detach(&d->ready, d->desc->name, err);
}

/* The log, and the first lines in it. */
static int open_log(struct daemon *d, struct err *err)
{
    const char *path = conf_str(d->conf, "log.file");
    apply_log_level(d);
    int rc = *path ? log_open(path, conf_size(d->conf, "log.max.size"),
                              (unsigned)conf_int(d->conf, "log.keep"), err)
                   : 0;
    if (rc != 0)
        return rc;
    d->is_log_open = true;
    log_info("daemon", "%s %s (build %s) is process %d on %s, configured by %s", d->desc->name,
             QUERN_VERSION, crash_build_id(), (int)getpid(), daemon_node_name(d),
             *config_file(d->conf) ? config_file(d->conf) : "defaults");
    uint64_t fds = fds_raise_limit();
    if (fds < FDS_ENOUGH)
        log_warn("daemon",
                 "may open %" PRIu64 " files and connections only: with more than that it turns "
                 "others away (ulimit -n, LimitNOFILE=)",
                 fds);
    if (*conf_ignored(d->conf))
        log_warn("daemon", "these keys mean nothing here and are ignored: %s",
                 conf_ignored(d->conf));
    return 0;
}

/* Everything that must happen before there is a loop. */
static int settle(struct daemon *d, struct err *err)
{
    const char *pid_file = daemon_flag(d, "pid-file");
    int rc = detach(d, err);
    if (rc == 0)
        rc = take_ready_fd(d, err);
    if (rc == 0 && pid_file)
        rc = pidfile_open(&d->pidfile, pid_file, err);
    if (rc == 0)
        rc = privilege_become(conf_str(d->conf, "user"), err);
    if (rc == 0)
        rc = open_log(d, err);
    if (rc == 0 && daemon_flag(d, "detach") &&
        (dup2(log_fd(), STDOUT_FILENO) < 0 || dup2(log_fd(), STDERR_FILENO) < 0))
        rc = err_set(err, ERR_IO, "cannot send stderr to the log");
    return rc;
}

static int open_http(struct daemon *d, struct err *err)
{
    char address[ADDRESS_TEXT_MAX];
    uint64_t port = 0;
    if (!d->desc->http_key)
        return 0;
    int rc = address_listen(d->conf, d->desc->http_key, address, err);
    if (rc == 0)
        rc = http_server_new(d->loop, address, &d->http, err);
    if (rc != 0)
        return rc;
    d->pages = (struct pages){.conf = d->conf,
                              .print_status = daemon_print_status,
                              .print_metrics = daemon_print_metrics,
                              .arg = d};
    if (pages_attach(d->http, &d->pages) != 0 ||
        http_allow_host(d->http, daemon_node_name(d)) != 0 ||
        (*conf_str(d->conf, "advertise") &&
         http_allow_host(d->http, conf_str(d->conf, "advertise")) != 0))
        return err_set(err, ERR_NOMEM, "out of memory");
    const char *colon = strrchr(http_server_address(d->http), ':');
    if (!colon || str_to_u64(colon + 1, &port) != 0)
        BUG("no port in %s", http_server_address(d->http));
    address_advertise(d->conf, d->desc->http_key, (uint16_t)port, d->http_address);
    log_info("daemon", "status pages at http://%s/", d->http_address);
    return 0;
}

static int open_admin(struct daemon *d, struct err *err)
{
    char path[256];
    const char *configured = conf_str(d->conf, "admin.socket");
    if (!*configured && access(RUN_DIR, W_OK) != 0)
        return 0;
    snprintf(path, sizeof(path), RUN_DIR "/%s.sock", d->desc->role);
    const struct admin_table tables[] = {
        {daemon_commands, daemon_command_count, d},
        {d->desc->commands, d->desc->command_count, d->state},
    };
    return admin_server_open(d->loop, *configured ? configured : path, tables, ARRAY_LEN(tables),
                             &d->admin, err);
}

static int start(struct daemon *d, struct err *err)
{
    int started = d->desc->start(d, &d->state, err);
    int rc = started < 0 ? started : take_signals(d, err);
    if (rc == 0)
        rc = open_admin(d, err);
    if (rc == 0 && started == DAEMON_SERVING)
        daemon_serving(d);
    return rc;
}

/* ---- taking down ---- */

/* What was closed is told and freed at the ends of turns. */
static void turn_out(struct daemon *d)
{
    for (int i = 0; i < LAST_TURNS && d->loop; i++)
        loop_turn(d->loop, 0);
}

static void leave(struct daemon *d)
{
    admin_server_close(d->admin);
    http_server_free(d->http);
    turn_out(d);
    if (d->state && d->desc->release)
        d->desc->release(d->state);
    turn_out(d);
    loop_free(d->loop);
}

static int serve(struct daemon *d, struct err *err)
{
    d->loop = loop_new(err);
    int rc = d->loop ? open_http(d, err) : ERR_NOMEM;
    if (rc == 0)
        rc = start(d, err);
    if (rc != 0) {
        rc = fail(d, err);
        leave(d);
        return rc;
    }
    loop_run(d->loop);
    log_info("daemon", "ended with code %d", d->exit_code);
    if (!d->is_stopped) { /* something still holds memory of ours: the kernel takes it back */
        pidfile_close(&d->pidfile);
        _exit(d->exit_code);
    }
    leave(d);
    return d->exit_code;
}

/* ---- the beginning ---- */

static int print_and_exit(const struct daemon_desc *desc, struct buf *out)
{
    fwrite(out->data, 1, out->len, stdout);
    bool ok = !buf_failed(out) && fflush(stdout) == 0 && !ferror(stdout);
    buf_release(out);
    if (!ok)
        fprintf(stderr, "%s: cannot write to stdout\n", desc->name);
    return ok ? 0 : 1;
}

static int run_action(struct daemon *d, const struct daemon_flag *action)
{
    struct err err = {0};
    int rc = privilege_become(conf_str(d->conf, "user"), &err);
    if (rc == 0)
        rc = action->run(d, &err);
    return rc == 0 ? 0 : fail(d, &err);
}

static int run(struct daemon *d)
{
    struct err err = {0};
    struct buf out = BUF_INIT;
    const struct daemon_flag *action = daemon_args_action(&d->args);
    int rc = fault_arm_from_env(&err);
    if (rc == 0)
        rc = open_conf(d, &d->conf, &err);
    if (rc != 0)
        return fail(d, &err);
    if (daemon_flag(d, "print-config")) {
        conf_print(d->conf, &out);
        return print_and_exit(d->desc, &out);
    }
    if (action)
        return run_action(d, action);
    rc = settle(d, &err);
    return rc == 0 ? serve(d, &err) : fail(d, &err);
}

int daemon_main(const struct daemon_desc *desc, int argc, char **argv)
{
    struct err err = {0};
    struct buf out = BUF_INIT;
    struct daemon d = {
        .desc = desc,
        .ready = READY_INIT,
        .pidfile = PIDFILE_INIT,
        .phase = "starting",
        .started_mono_ms = clock_mono_ms(),
        .started_wall_ms = clock_wall_ms(),
    };
    fds_fill_std();
    crash_install(desc->name);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* until there is something to reload or to dump */
    signal(SIGUSR1, SIG_IGN);
    int rc = daemon_args_parse(&d.args, desc, argc, argv, &err);
    if (rc != 0) {
        rc = fail(&d, &err);
    } else if (daemon_flag(&d, "help")) {
        daemon_args_help(desc, &out);
        rc = print_and_exit(desc, &out);
    } else if (daemon_flag(&d, "version")) {
        buf_printf(&out, "%s %s (build %s)\n", desc->name, QUERN_VERSION, crash_build_id());
        rc = print_and_exit(desc, &out);
    } else {
        rc = run(&d);
    }
    pidfile_close(&d.pidfile);
    reconfig_release(&d.reconfig);
    conf_free(d.conf);
    daemon_args_release(&d.args);
    return rc;
}
