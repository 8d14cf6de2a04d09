/* SPDX-License-Identifier: Apache-2.0
 * What every daemon can be asked and made to do at its admin console, and its status. */
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/crash.h"
#include "libcommon/daemon/daemon_inside.h"
#include "libcommon/daemon/process.h"

void daemon_print_status(void *daemon, struct buf *out)
{
    const struct daemon *d = daemon;
    const char *const names[] = {"daemon", "node", "version", "build_id", "state", "http"};
    const char *const texts[] = {d->desc->role, daemon_node_name(d),
                                 QUERN_VERSION, crash_build_id(),
                                 d->phase,      d->http_address};
    struct status st = STATUS_INIT;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        buf_printf(out, "%c\"%s\":", i ? ',' : '{', names[i]);
        json_append_string(out, slice_str(texts[i]));
    }
    buf_printf(out,
               ",\"pid\":%d,\"started_ms\":%" PRIu64 ",\"now_ms\":%" PRIu64
               ",\"uptime_ms\":%" PRIu64 ",\"resident_bytes\":%" PRIu64 ",",
               (int)getpid(), d->started_wall_ms, clock_wall_ms(),
               clock_mono_ms() - d->started_mono_ms, process_look().resident_bytes);
    if (d->desc->status && d->state)
        d->desc->status(d->state, &st);
    status_print(&st, out);
    buf_append_str(out, "}\n");
    status_release(&st);
}

void daemon_print_metrics(void *daemon, struct buf *out)
{
    const struct daemon *d = daemon;
    process_measure(d->desc->role, d->started_wall_ms);
    if (d->desc->measure && d->state)
        d->desc->measure(d->state);
    metric_print(out);
}

static int run_info(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)argc, (void)argv, (void)err;
    daemon_print_status(state, out);
    return 0;
}

static int run_config(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    const struct daemon *d = state;
    if (argc < 2) {
        conf_print(d->conf, out);
        return 0;
    }
    if (!conf_knows(d->conf, argv[1]))
        return err_set(err, ERR_USAGE, "unknown key \"%s\"", argv[1]);
    buf_printf(out, "%s\n", conf_str(d->conf, argv[1]));
    return 0;
}

static int run_metrics(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)argc, (void)argv, (void)err;
    daemon_print_metrics(state, out);
    return 0;
}

static int run_faults(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)state;
    if (argc < 2) {
        fault_report(out);
        return 0;
    }
    return fault_arm(strcmp(argv[1], "off") == 0 ? "" : argv[1], err);
}

static int run_log(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)state, (void)out;
    enum log_level level;
    if (argc < 2 || log_level_parse(argv[1], &level) != 0)
        return err_set(err, ERR_USAGE, "want log debug, info, warn or error");
    log_set_level(level);
    return 0;
}

static int run_reload(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)argc, (void)argv, (void)out;
    return daemon_reload(state, err);
}

static int run_sleep(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)state, (void)out;
    uint64_t ms;
    if (argc < 2 || str_to_ms(argv[1], 1, &ms) != 0 || ms > 600000)
        return err_set(err, ERR_USAGE, "want sleep 500ms, at most 10m");
    poll(NULL, 0, (int)ms);
    return 0;
}

static int run_crash(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)state, (void)out;
    if (argc < 2 || strcmp(argv[1], "really") != 0)
        return err_set(err, ERR_USAGE, "want crash really: this ends the daemon");
    BUG("asked to crash at the console");
}

const struct admin_command daemon_commands[] = {
    {"info", "", "the status as JSON", run_info},
    {"config", "[KEY]", "every key, its value and where that came from", run_config},
    {"metrics", "", "all counters, as Prometheus reads them", run_metrics},
    {"faults", "[NAME=N:ACTION,...|off]", "arm fault points, or count those met", run_faults},
    {"log", "LEVEL", "log from debug, info, warn or error on", run_log},
    {"reload", "", "as SIGHUP: reopen the log, read the configuration again", run_reload},
    {"sleep", "TIME", "block the loop for so long", run_sleep},
    {"crash", "really", "die with a crash report", run_crash},
};
const size_t daemon_command_count = ARRAY_LEN(daemon_commands);
