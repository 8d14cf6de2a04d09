/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/doing.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"
#include "libcommon/daemon/daemon.h"
#include "libcommon/daemon/pidfile.h"
#include "libcommon/event/loop.h"
#include "libcommon/event/sock.h"

/* This program is its own daemon: started under the name quern-testd it calls daemon_main. What is
 * special about a run is told in $TESTD. */

METRIC_COUNTER(starts, "quern_test_starts_total", "how often it was started");

struct testd {
    struct daemon *d;
    struct loop_timer timer;
};
static struct testd testd;

static bool is_mode(const char *mode)
{
    const char *want = getenv("TESTD");
    return want && strcmp(want, mode) == 0;
}

static void serve_later(void *arg)
{
    daemon_serving(arg);
}

static void give_up(void *arg)
{
    daemon_exit(arg, 3, "the last journal directory has failed");
}

static int start(struct daemon *d, void **ret_state, struct err *err)
{
    if (is_mode("fails"))
        return err_set(err, ERR_BUSY, "/srv/nn is in use by process 7");
    if (is_mode("dies"))
        raise(SIGKILL);
    testd.d = d;
    *ret_state = &testd;
    metric_add(&starts, 1);
    if (is_mode("gives up"))
        return loop_after(daemon_loop(d), &testd.timer, 20, give_up, d);
    if (!is_mode("later"))
        return DAEMON_SERVING;
    daemon_set_state(d, "recovering");
    return loop_after(daemon_loop(d), &testd.timer, 80, serve_later, d) == 0 ? DAEMON_LATER
                                                                             : ERR_NOMEM;
}

static void end_later(void *arg)
{
    log_info("testd", "the last answer has left");
    daemon_stopped(arg);
}

static void stop(void *state)
{
    struct testd *t = state;
    log_info("testd", "stopping in order");
    if (is_mode("ends later") && loop_after(daemon_loop(t->d), &t->timer, 50, end_later, t->d) == 0)
        return;
    if (!is_mode("stubborn"))
        daemon_stopped(t->d);
}

static void release(void *state)
{
    (void)state;
    log_info("testd", "released");
}

static void status(void *state, struct status *st)
{
    (void)state;
    status_count(st, "answer", 42, "");
    status_text(st, "doing", doing_now.what ? doing_now.what : "none", "");
}

static void reload_later(void *arg)
{
    daemon_reload_done(arg);
}

static int reload(void *state, struct err *err)
{
    struct testd *t = state;
    (void)err;
    log_info("testd", "was told to reload");
    if (is_mode("reloads later") &&
        loop_after(daemon_loop(t->d), &t->timer, 300, reload_later, t->d) == 0)
        daemon_reload_hold(t->d);
    return 0;
}

static int say(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)argc, (void)argv, (void)err;
    buf_append_str(out, state == &testd ? "mine" : "not mine");
    return 0;
}

static int format(struct daemon *d, struct err *err)
{
    if (daemon_flag(d, "force"))
        return 0;
    return err_set(err, ERR_EXIST, "formatted already (-force to do it again)");
}

static const struct daemon_flag flags[] = {
    {"format", NULL, "make it new", NULL, format},
    {"force", NULL, "even when it is there", NULL, NULL},
    {"address", "HOST:PORT", "where to listen", "dfs.namenode.http-address", NULL},
};
static const struct admin_command commands[] = {{"say", "", "says whose", say}};
static const struct daemon_desc desc = {
    .name = "quern-testd",
    .about = "is there to be tested",
    .role = "testd",
    .http_key = "dfs.namenode.http-address",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .commands = commands,
    .command_count = 1,
    .start = start,
    .stop = stop,
    .release = release,
    .reload = reload,
    .status = status,
};

/* ---- running it ---- */

static char dir[64], self[512], conf[128], log_file[128], pid_file[128], console[128];
static char said[65536]; /* stdout and stderr of the last run */

static const char *content(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static void write_conf(const char *more)
{
    FILE *f = fopen(conf, "w");
    fprintf(f, "dfs.namenode.http-address = 127.0.0.1:0\nadmin.socket = %s\nnode.name = host7\n%s",
            console, more);
    fclose(f);
}

/* Runs it with the words given (NULL ends) in front or until it detaches; its wait status. */
static int run(const char *first, ...)
{
    const char *argv[16] = {"quern-testd", first};
    size_t n = first ? 2 : 1;
    int out[2], status_code;
    va_list ap;
    va_start(ap, first);
    while (first && n < 15 && (argv[n] = va_arg(ap, const char *)))
        n++;
    va_end(ap);
    argv[n] = NULL;
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        execv(self, (char **)argv);
        _exit(126);
    }
    close(out[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    size_t got = 0;
    bool is_over = false;
    do { /* one more read after its end */
        is_over = waitpid(pid, &status_code, WNOHANG) == pid;
        ssize_t n_read = read(out[0], said + got, sizeof(said) - 1 - got);
        got += n_read > 0 ? (size_t)n_read : 0;
        usleep(is_over ? 0 : 500);
    } while (!is_over);
    said[got] = 0;
    close(out[0]);
    return WIFEXITED(status_code) ? WEXITSTATUS(status_code) : -WTERMSIG(status_code);
}

static void run_detached(void)
{
    int rc = run("--detach", "-conf", conf, "--pid-file", pid_file, "--log-file", log_file, NULL);
    if (rc != 0)
        fail_msg("exit code %d: %s", rc, said);
}

static void wait_gone(void)
{
    uint64_t end_ms = clock_mono_ms() + 10000;
    while (pidfile_holder(pid_file) && clock_mono_ms() < end_ms)
        usleep(1000);
    assert_int_equal(pidfile_holder(pid_file), 0);
}

static void wait_logged(const char *words)
{
    uint64_t end_ms = clock_mono_ms() + 5000;
    while (!strstr(content(log_file), words) && clock_mono_ms() < end_ms)
        usleep(1000);
    if (!strstr(content(log_file), words))
        fail_msg("\"%s\" is not in the log:\n%s", words, content(log_file));
}

static void end_daemon(void)
{
    pid_t pid = pidfile_holder(pid_file);
    if (pid > 0)
        kill(pid, SIGTERM);
    wait_gone();
}

/* Everything that comes back over a socket until it closes, or (console) until the last line. */
static const char *ask(const char *address, const char *question, bool until_ok)
{
    static char text[65536];
    struct err err = {0};
    int fd = -1;
    size_t n = 0;
    ssize_t got;
    if (sock_connect(address, clock_mono_ms() + 5000, &fd, &err) != 0)
        fail_msg("%s", err.msg);
    sock_send_all(fd, question, strlen(question), clock_mono_ms() + 5000);
    do {
        got = sock_recv_some(fd, text + n, sizeof(text) - 1 - n, clock_mono_ms() + 5000);
        n += got > 0 ? (size_t)got : 0;
        text[n] = 0;
    } while (got > 0 && !(until_ok && (strstr(text, "ok\n") || strstr(text, "error: "))));
    close(fd);
    return text;
}

/* The status over the console. */
static json_t *info(void)
{
    json_t *json = json_loads(ask(console, "info\n", true), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(json);
    return json;
}

static const char *get(const char *path)
{
    char address[128], question[256];
    json_t *json = info();
    snprintf(address, sizeof(address), "127.0.0.1%s",
             strchr(json_string_value(json_object_get(json, "http")), ':'));
    json_decref(json);
    snprintf(question, sizeof(question),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return ask(address, question, false);
}

static int setup(void **state)
{
    (void)state;
    memcpy(dir, "/tmp/quern-daemon-XXXXXX", 25);
    if (!mkdtemp(dir))
        return -1;
    snprintf(conf, sizeof(conf), "%s/q.conf", dir);
    snprintf(log_file, sizeof(log_file), "%s/log", dir);
    snprintf(pid_file, sizeof(pid_file), "%s/pid", dir);
    snprintf(console, sizeof(console), "%s/sock", dir);
    write_conf("");
    unsetenv("TESTD");
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = 0;
    return n > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    pid_t pid = pidfile_holder(pid_file);
    if (pid > 0)
        kill(pid, SIGKILL);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* ---- the command line ---- */

static void help_and_version_tell_what_there_is(void **state)
{
    (void)state;
    assert_int_equal(run("--help", NULL), 0);
    assert_non_null(strstr(said, "quern-testd " QUERN_VERSION ": is there to be tested"));
    assert_non_null(strstr(said, "  -address HOST:PORT      where to listen\n"));
    assert_non_null(strstr(said, "  -detach "));
    assert_int_equal(run("-version", NULL), 0);
    assert_memory_equal(said, "quern-testd " QUERN_VERSION " (build ", 19);
}

static void a_wrong_option_is_named_with_the_near_one(void **state)
{
    (void)state;
    assert_int_equal(run("--detahc", NULL), 2);
    assert_string_equal(said, "quern-testd: no option \"--detahc\" (did you mean --detach?)\n");
    assert_int_equal(run("-adress=1:2", NULL), 2);
    assert_string_equal(said, "quern-testd: no option \"-adress=1:2\" (did you mean --address?)\n");
    assert_int_equal(run("--pid-file", NULL), 2);
    assert_string_equal(said, "quern-testd: --pid-file needs FILE\n");
    assert_int_equal(run("word", NULL), 2);
    assert_string_equal(said, "quern-testd: takes no argument \"word\"\n");
}

static void a_mistake_in_the_configuration_is_named_before_anything_starts(void **state)
{
    (void)state;
    char want[256];
    write_conf("dfs.bloksize = 1m\n");
    snprintf(want, sizeof(want),
             "quern-testd: %s:4: unknown key \"dfs.bloksize\" (did you mean dfs.blocksize?)\n",
             conf);
    assert_int_equal(run("-conf", conf, NULL), 2);
    assert_string_equal(said, want);
}

static void print_config_shows_flags_files_and_defaults(void **state)
{
    (void)state;
    assert_int_equal(run("-conf", conf, "-D", "dfs.replication=2", "--address", "127.0.0.1:77",
                         "--print-config", NULL),
                     0);
    assert_non_null(strstr(said, "dfs.namenode.http-address = 127.0.0.1:77 "));
    assert_non_null(strstr(said, "; --address\n"));
    assert_non_null(strstr(said, "; -D\n"));
    assert_non_null(strstr(said, "q.conf:3\n"));
}

static void an_action_is_done_instead_of_serving(void **state)
{
    (void)state;
    assert_int_equal(run("-conf", conf, "-format", "-force", NULL), 0);
    assert_int_equal(run("-conf", conf, "-format", NULL), 1);
    assert_string_equal(said, "quern-testd: formatted already (-force to do it again)\n");
}

static void an_address_others_can_reach_needs_trust(void **state)
{
    (void)state;
    assert_int_equal(run("-conf", conf, "--address", "0.0.0.0:0", NULL), 2);
    assert_non_null(strstr(said, "dfs.namenode.http-address = 0.0.0.0:0 can be reached"));
}

/* ---- readiness ---- */

static void detaching_returns_once_it_serves_and_leaves_it_running(void **state)
{
    (void)state;
    run_detached();
    assert_string_equal(said, "");
    pid_t pid = pidfile_holder(pid_file);
    assert_true(pid > 0);
    assert_int_equal(getsid(pid), pid);
    json_t *json = info();
    assert_string_equal(json_string_value(json_object_get(json, "state")), "serving");
    assert_string_equal(json_string_value(json_object_get(json, "node")), "host7");
    json_decref(json);
    end_daemon();
    assert_non_null(strstr(content(log_file), "stopping in order"));
    assert_non_null(strstr(content(log_file), "released"));
    assert_int_not_equal(access(pid_file, F_OK), 0);
    assert_int_not_equal(access(console, F_OK), 0);
}

static void started_with_nothing_open_its_files_are_its_own(void **state)
{
    (void)state;
    int status_code = 0;
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        execl(self, "quern-testd", "--detach", "-conf", conf, "--pid-file", pid_file, "--log-file",
              log_file, (char *)NULL);
        _exit(126);
    }
    assert_int_equal(waitpid(pid, &status_code, 0), pid);
    assert_true(WIFEXITED(status_code) && WEXITSTATUS(status_code) == 0);
    pid = pidfile_holder(pid_file);
    assert_true(pid > 0);
    assert_int_equal(strtol(content(pid_file), NULL, 10), pid);
    assert_null(strstr(content(pid_file), "daemon"));
    assert_non_null(strstr(content(log_file), "serving"));
    end_daemon();
}

static void a_daemon_that_recovers_first_is_waited_for(void **state)
{
    (void)state;
    setenv("TESTD", "later", 1);
    uint64_t start_ms = clock_mono_ms();
    run_detached();
    assert_true(clock_mono_ms() - start_ms >= 75);
    assert_non_null(strstr(content(log_file), "recovering"));
    end_daemon();
}

static void the_parent_tells_why_it_does_not_serve(void **state)
{
    (void)state;
    setenv("TESTD", "fails", 1);
    assert_int_equal(
        run("--detach", "-conf", conf, "--pid-file", pid_file, "--log-file", log_file, NULL), 1);
    assert_string_equal(said, "quern-testd: /srv/nn is in use by process 7\n");
    assert_non_null(strstr(content(log_file), "ERROR daemon     /srv/nn is in use by process 7\n"));
    wait_gone();
    setenv("TESTD", "dies", 1);
    assert_int_equal(run("--detach", "-conf", conf, "--log-file", log_file, NULL), 1);
    assert_string_equal(said, "quern-testd: died before it served\n");
    assert_int_equal(run("--detach", "-conf", conf, NULL), 2);
    assert_non_null(strstr(said, "--detach needs a log"));
}

static void a_second_one_is_refused(void **state)
{
    (void)state;
    run_detached();
    assert_int_equal(run("-conf", conf, "--pid-file", pid_file, NULL), 1);
    assert_non_null(strstr(said, "already running as process"));
    end_daemon();
}

/* ---- signals ---- */

static void one_that_does_not_stop_in_time_ends_anyway(void **state)
{
    (void)state;
    setenv("TESTD", "stubborn", 1);
    write_conf("stop.timeout = 50ms\n");
    run_detached();
    end_daemon();
    assert_non_null(strstr(content(log_file), "not stopped within 50ms"));
    assert_null(strstr(content(log_file), "released")); /* what is still in use is not freed */
}

static void what_is_pending_may_come_back_before_the_end(void **state)
{
    (void)state;
    setenv("TESTD", "ends later", 1);
    run_detached();
    end_daemon();
    const char *text = content(log_file), *last = strstr(text, "the last answer has left");
    assert_non_null(last);
    assert_non_null(strstr(last, "released"));
}

static void told_twice_it_ends_at_once(void **state)
{
    (void)state;
    setenv("TESTD", "stubborn", 1);
    write_conf("stop.timeout = 1h\n");
    run_detached();
    pid_t pid = pidfile_holder(pid_file);
    kill(pid, SIGINT);
    wait_logged("stopping in order");
    kill(pid, SIGTERM);
    wait_gone();
}

static void a_hup_in_the_middle_of_a_reload_is_not_lost(void **state)
{
    (void)state;
    setenv("TESTD", "reloads later", 1);
    run_detached();
    pid_t pid = pidfile_holder(pid_file);
    kill(pid, SIGHUP);
    wait_logged("was told to reload");
    write_conf("log.level = debug\n"); /* the first one has not read this */
    kill(pid, SIGHUP);
    wait_logged("log.level is now debug");
    end_daemon();
}

static void hup_reads_the_configuration_again_and_reopens_the_log(void **state)
{
    (void)state;
    char moved[160];
    run_detached();
    pid_t pid = pidfile_holder(pid_file);
    snprintf(moved, sizeof(moved), "%s.1", log_file);
    assert_int_equal(rename(log_file, moved), 0);
    write_conf("log.level = debug\ndfs.replication = 2\n");
    kill(pid, SIGHUP);
    wait_logged("daemon     reloaded");
    assert_non_null(strstr(content(log_file), "log.level is now debug"));
    assert_non_null(strstr(content(log_file), "dfs.replication has changed: that waits"));
    assert_non_null(strstr(content(log_file), "was told to reload"));
    write_conf("nonsense = 1\n");
    kill(pid, SIGHUP);
    wait_logged("configuration stays as it was: ");
    assert_non_null(strstr(ask(console, "config log.level\n", true), "debug\nok\n"));
    end_daemon();
}

static void usr1_writes_the_state_to_the_log(void **state)
{
    (void)state;
    run_detached();
    kill(pidfile_holder(pid_file), SIGUSR1);
    wait_logged("\"answer\":{\"value\":42");
    end_daemon();
}

static void giving_up_from_inside_tells_the_reason_and_the_code(void **state)
{
    (void)state;
    setenv("TESTD", "gives up", 1);
    assert_int_equal(run("-conf", conf, "--log-file", log_file, NULL), 3);
    assert_string_equal(said, "quern-testd: the last journal directory has failed\n");
    assert_non_null(strstr(content(log_file), "ERROR daemon     the last journal directory"));
    assert_non_null(strstr(content(log_file), "released"));
}

/* ---- console and pages ---- */

static void the_console_knows_its_own_commands_and_the_daemons(void **state)
{
    (void)state;
    run_detached();
    assert_string_equal(ask(console, "say\n", true), "mine\nok\n");
    assert_string_equal(ask(console, "config node.name\n", true), "host7\nok\n");
    assert_non_null(strstr(ask(console, "metrics\n", true), "quern_test_starts_total 1\n"));
    assert_non_null(strstr(ask(console, "faults x=1:burn\n", true), "error: fault: bad rule"));
    assert_string_equal(ask(console, "faults test.x=1:eio\n", true), "ok\n");
    assert_string_equal(ask(console, "log debug\n", true), "ok\n");
    assert_string_equal(ask(console, "sleep 1ms\n", true), "ok\n");
    assert_non_null(strstr(ask(console, "crash\n", true), "error: want crash really"));
    struct stat st;
    assert_int_equal(stat(console, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    end_daemon();
}

static void a_crash_leaves_its_report_in_the_log_once(void **state)
{
    (void)state;
    run_detached();
    ask(console, "crash really\n", true);
    wait_gone();
    const char *text = content(log_file);
    const char *at = strstr(text, "cut here: quern-testd crashed");
    assert_non_null(at);
    assert_null(strstr(at + 1, "cut here: quern-testd crashed"));
    assert_non_null(strstr(text, "BUG at "));
    assert_non_null(strstr(text, "reason:   SIGABRT"));
}

static void the_pages_are_served_from_the_binary(void **state)
{
    (void)state;
    static const char *const pages[][2] = {
        {"/", "web/index.html"},         {"/conf", "web/conf.html"},
        {"/style.css", "web/style.css"}, {"/status.js", "web/status.js"},
        {"/conf.js", "web/conf.js"},
    };
    run_detached();
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        const char *answer = get(pages[i][0]);
        assert_memory_equal(answer, "HTTP/1.1 200", 12);
        assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'self'"));
        const char *body = strstr(answer, "\r\n\r\n") + 4;
        assert_string_equal(body, content(pages[i][1]));
    }
    assert_memory_equal(get("/nothing"), "HTTP/1.1 404", 12);
    end_daemon();
}

static void what_is_being_answered_is_known_for_the_crash_report(void **state)
{
    (void)state;
    run_detached();
    assert_non_null(strstr(get("/status.json"), "\"doing\":{\"value\":\"/status.json\""));
    assert_non_null(strstr(ask(console, "info\n", true), "\"doing\":{\"value\":\"none\""));
    end_daemon();
}

static void status_metrics_and_configuration_can_be_fetched(void **state)
{
    (void)state;
    run_detached();
    json_t *json = json_loads(strstr(get("/status.json"), "\r\n\r\n") + 4, 0, NULL);
    assert_non_null(json);
    json_t *answer = json_object_get(json_object_get(json, "values"), "answer");
    assert_int_equal(json_integer_value(json_object_get(answer, "value")), 42);
    assert_string_equal(json_string_value(json_object_get(json, "daemon")), "testd");
    json_decref(json);
    assert_non_null(strstr(get("/metrics"), "# TYPE quern_test_starts_total counter\n"));
    json = json_loads(strstr(get("/conf.json"), "\r\n\r\n") + 4, 0, NULL);
    assert_true(json_array_size(json) > 50);
    json_decref(json);
    end_daemon();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(int argc, char **argv)
{
    if (strcmp(argv[0], "quern-testd") == 0)
        return daemon_main(&desc, argc, argv);
    const struct CMUnitTest tests[] = {
        CASE(help_and_version_tell_what_there_is),
        CASE(a_wrong_option_is_named_with_the_near_one),
        CASE(a_mistake_in_the_configuration_is_named_before_anything_starts),
        CASE(print_config_shows_flags_files_and_defaults),
        CASE(an_action_is_done_instead_of_serving),
        CASE(an_address_others_can_reach_needs_trust),
        CASE(detaching_returns_once_it_serves_and_leaves_it_running),
        CASE(started_with_nothing_open_its_files_are_its_own),
        CASE(a_daemon_that_recovers_first_is_waited_for),
        CASE(the_parent_tells_why_it_does_not_serve),
        CASE(a_second_one_is_refused),
        CASE(one_that_does_not_stop_in_time_ends_anyway),
        CASE(what_is_pending_may_come_back_before_the_end),
        CASE(told_twice_it_ends_at_once),
        CASE(hup_reads_the_configuration_again_and_reopens_the_log),
        CASE(a_hup_in_the_middle_of_a_reload_is_not_lost),
        CASE(usr1_writes_the_state_to_the_log),
        CASE(giving_up_from_inside_tells_the_reason_and_the_code),
        CASE(the_console_knows_its_own_commands_and_the_daemons),
        CASE(a_crash_leaves_its_report_in_the_log_once),
        CASE(the_pages_are_served_from_the_binary),
        CASE(what_is_being_answered_is_known_for_the_crash_report),
        CASE(status_metrics_and_configuration_can_be_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
