/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/runner.h"
#include "libcommon/base/fds.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "worker/runner/cord.h"
#include "worker/runner/crash.h"
#include "worker/runner/execution.h"
#include "worker/runner/files_for.h"
#include "worker/runner/tidy.h"
#include "worker/runner/twin.h"
#include "worker/task/strays.h"

#define STRAYS_MS 2000 /* for what an attempt has left behind to be gone */
#define QUIET_MS  3    /* nobody wants this process for now */
/* In a row, answers wait for others to go with: so long, and so many bytes. */
#define HOLD_US    1000
#define HOLD_BYTES (256U << 10)
#define NAME       "quern-task"
#define TEMPLATE   "quern-template" /* as `ps` shows it */

struct runner {
    int fd;
    struct execution_process process;
    struct identity self;
    char node[256];
    bool has_run;
    bool may_connect;           /* to the filesystem, if nobody wants it for a moment */
    struct progress_page *page; /* these came with a RUN, and are of those that bring none, too */
    int log_fd, memory_fd;      /* -1 = none */
    bool has_new_log;
    char *dir;                  /* where it works; NULL: nowhere yet */
    struct tidy tidy;           /* as the process was before the first attempt */
    const struct task_run *run; /* under way */
    struct buf in;              /* frames */
    struct buf out;             /* answers that were not sent yet */
    uint64_t held_us;           /* since when, of the first of them */
    bool in_row;                /* another attempt may follow in this RUN */
    uint64_t waited_us;         /* for those in front of it */
};

/* --- during a reduce ------------------------------------------------------------------------- */

static int on_news(void *arg, struct fetch *fetch, struct err *err)
{
    struct runner *r = arg;
    struct arena arena = ARENA_INIT;
    struct buf in = BUF_INIT; /* r->in holds the run */
    struct task_outputs outputs;
    struct sock_fds fds;
    struct frame frame;
    int rc = cord_recv(r->fd, &in, &frame, &fds, err);
    if (rc == ERR_EOF || rc == ERR_CLOSED)
        _exit(0); /* nobody waits for this attempt any more */
    if (rc == 0 && frame.type == TASK_OUTPUTS) {
        rc = msg_decode(&task_outputs_desc, frame.body, &arena, &outputs, err);
        if (rc == 0)
            rc = fetch_learn(fetch, outputs.sources.v, outputs.sources.n, err);
    }
    while (fds.count)
        close(fds.fd[--fds.count]);
    buf_release(&in);
    arena_release(&arena);
    return rc;
}

static void on_blame(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why, bool is_damaged)
{
    struct runner *r = arg;
    struct err err;
    struct task_fetch_failed failed = {.id = r->run->id,
                                       .worker = worker,
                                       .map_tasks = {maps, count},
                                       .why = slice_str(why),
                                       .is_damaged = is_damaged};
    if (cord_send(r->fd, &TASK_methods[TASK_AT_FETCH_FAILED], &failed, NULL, 0, &err) != 0)
        log_warn("task", "%s", err.msg);
}

/* --- one attempt ----------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Takes them all. */
static int keep_fds(struct runner *r, struct sock_fds *fds, struct err *err)
{
    if (fds->count == 0 && r->page)
        return 0;
    void *page = fds->count > CORD_LOG ? mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE,
                                              MAP_SHARED, fds->fd[CORD_PAGE], 0)
                                       : MAP_FAILED;
    if (page == MAP_FAILED)
        return err_set(err, ERR_PROTO, "RUN came without a progress page or a log");
    if (r->page)
        munmap(r->page, PROGRESS_BYTES);
    close_fd(&r->log_fd);
    close_fd(&r->memory_fd);
    r->page = page;
    r->has_new_log = true;
    r->log_fd = fds->fd[CORD_LOG];
    if (fds->count > CORD_MEMFD)
        r->memory_fd = fds->fd[CORD_MEMFD];
    close(fds->fd[CORD_PAGE]);
    fds->count = 0;
    return 0;
}

/* From here on what the job prints is the attempt's log. */
static void use_log(int fd)
{
    (void)fflush(NULL);
    (void)dup2(fd, 1);
    (void)dup2(fd, 2);
}

/* The job's code can do nothing to this process that would have to be undone. */
static bool is_harmless(const struct runner *r)
{
    return r->process.plugin.path && r->process.plugin.is_memory;
}

static void use_directory(struct runner *r, const struct task_run *run)
{
    struct slice wanted = run->local_dirs.n ? run->local_dirs.v[0] : slice_str("");
    if (wanted.len == 0 || (is_harmless(r) && r->dir && slice_is(wanted, r->dir)))
        return;
    mem_free(r->dir);
    r->dir = slice_dup(wanted);
    if (r->dir && chdir(r->dir) != 0)
        log_warn("task", "cannot work in %s", r->dir);
}

static void use_node(struct runner *r, const struct task_run *run)
{
    if (!r->process.self) {
        snprintf(r->node, sizeof(r->node), SLICE_FMT, SLICE_ARG(run->node));
        identity_init(&r->self, WIRE_TASK, r->node[0] ? r->node : NULL);
        r->process.self = &r->self;
    }
}

static int hold(struct runner *r, const struct msg_method *method, const void *msg, struct err *err)
{
    struct frame frame = {.type = method->type, .flags = FRAME_ONEWAY};
    if (r->out.len == 0)
        r->held_us = clock_mono_us();
    int rc = frame_put(&r->out, &frame, method->ask, msg);
    return rc == 0 ? 0 : err_set(err, rc, "cannot send %s: %s", method->name, err_text(rc));
}

static int send_held(struct runner *r, struct err *err)
{
    uint64_t deadline = clock_mono_ms() + CORD_SEND_MS;
    int rc = r->out.len ? sock_send_all(r->fd, r->out.data, r->out.len, deadline) : 0;
    buf_clear(&r->out);
    return rc == 0 ? 0 : err_set(err, rc, "cannot send an answer: %s", err_text(rc));
}

static bool has_held_enough(const struct runner *r)
{
    return !r->in_row || r->out.len > HOLD_BYTES ||
           (r->out.len && clock_mono_us() > r->held_us + HOLD_US);
}

static int answer(struct runner *r, const struct execution *execution, struct err *err)
{
    r->in_row = r->in_row && execution->done.may_follow;
    int rc = execution->is_done ? hold(r, &TASK_methods[TASK_AT_DONE], &execution->done, err)
                                : hold(r, &TASK_methods[TASK_AT_FAILED], &execution->failed, err);
    return rc == 0 && has_held_enough(r) ? send_held(r, err) : rc;
}

/* Why this process serves no further attempt; NULL: it does. */
static const char *why_last(struct runner *r)
{
    if (!is_harmless(r) && !strays_end(NULL, NULL, STRAYS_MS))
        return "what the job has started does not end";
    if (!is_harmless(r) && strays_has_threads()) /* nothing more runs beside it */
        return "the job left a thread behind";
    if (!is_harmless(r) && tidy_keeps_files(&r->tidy))
        return "the job keeps files open";
    if (!is_harmless(r) && !tidy_limits(&r->tidy))
        return "the job lowered a limit of its process";
    return tidy_has_grown(&r->tidy, r->process.region.size) ? "the job keeps memory" : NULL;
}

/* Ahead of the answer, or the next attempt might already be on its way here. */
static int say_last(struct runner *r, struct err *err)
{
    return hold(r, &TASK_methods[TASK_AT_LAST], &(struct msg_void){0}, err);
}

/* How many tasks a process is to serve, as the job has it; NULL: as many as there are. */
static const struct slice *tasks_wanted(const struct task_run *run)
{
    for (size_t i = 0; i < run->conf.n; i++)
        if (slice_is(run->conf.v[i].key, "mapreduce.job.jvm.numtasks"))
            return &run->conf.v[i].value;
    return NULL;
}

/* No other task follows in this process. */
static bool is_single(const struct task_run *run)
{
    const struct slice *wanted = tasks_wanted(run);
    return wanted && slice_is(*wanted, "1");
}

/* --- in a row -------------------------------------------------------------------------------- */

static bool has_printed(const struct runner *r)
{
    struct stat st;
    return fstat(r->log_fd, &st) != 0 || st.st_size > 0;
}

/* May another attempt begin right behind it: is its output small enough to go with the answer, and
 * has it left nothing where the other could meet it, or be taken for it? */
static bool may_follow(const struct runner *r, const struct task_run *run,
                       const struct task_done *done)
{
    return run->kind == TASK_MAP && is_harmless(r) && done->files.n == 0 &&
           done->run_path.len == 0 && done->run_len <= TASK_RUN_SMALL && !tasks_wanted(run) &&
           !has_printed(r);
}

/* The next one will use the memory file, too. */
static int take_small_run(struct runner *r, struct execution *execution, struct err *err)
{
    struct task_done *done = &execution->done;
    uint8_t *bytes = arena_alloc(&execution->arena, (size_t)done->run_len + 1);
    if (!bytes)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (pread(r->memory_fd, bytes, (size_t)done->run_len, 0) != (ssize_t)done->run_len)
        return err_set(err, ERR_IO, "cannot read the map output back");
    done->run = slice_of(bytes, (size_t)done->run_len);
    return 0;
}

static int finish_in_row(struct runner *r, const struct task_run *run, struct execution *execution,
                         struct err *err)
{
    struct task_done *done = &execution->done;
    if (!execution->is_done)
        return 0;
    done->may_follow = may_follow(r, run, done);
    done->times.queue = r->waited_us;
    return r->in_row && done->may_follow ? take_small_run(r, execution, err) : 0;
}

static int run_one(struct runner *r, const struct task_run *run, struct err *err)
{
    struct execution execution;
    if (r->has_new_log || !is_harmless(r))
        use_log(r->log_fd);
    r->has_new_log = false;
    use_directory(r, run);
    use_node(r, run);
    r->run = run;
    if (r->has_run)
        tidy_forget_peak(&r->tidy);
    execution_run(&execution, &r->process,
                  &(struct execution_conf){.run = run,
                                           .page = r->page,
                                           .memfd = run->output_memory ? r->memory_fd : -1,
                                           .on_news = on_news,
                                           .on_blame = on_blame,
                                           .arg = r,
                                           .news_fd = r->fd});
    (void)fflush(NULL);
    const char *last = why_last(r);
    int rc = last ? say_last(r, err) : finish_in_row(r, run, &execution, err);
    if (rc == 0)
        rc = answer(r, &execution, err);
    if (execution.done.run_len > TASK_RUN_SMALL && execution.done.run_path.len == 0)
        close_fd(&r->memory_fd); /* so that it goes when the worker lets it go */
    execution_release(&execution);
    r->run = NULL;
    if (rc == 0 && last)
        return err_set(err, ERR_EOF, "%s", last);
    if (rc == 0 && !is_harmless(r) && tidy_up(&r->tidy) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->may_connect = !is_single(run);
    return rc;
}

/* What an attempt has in common with the one it stands behind need not be said again. */
static struct task_run run_behind(const struct task_run *first, const struct task_behind *own,
                                  uint64_t now_us)
{
    struct task_run run = *first;
    run.id = own->id;
    run.input = own->input;
    run.out = own->out;
    run.out_name = own->out_name;
    run.ordered_us = now_us; /* before that it waited for others */
    return run;
}

/* One alone, or as many as may begin. */
static int run_row(struct runner *r, const struct task_run *first, struct sock_fds *fds,
                   struct err *err)
{
    size_t n = first->behind.n;
    int rc = keep_fds(r, fds, err);
    r->in_row = n > 0;
    r->waited_us = 0;
    if (rc == 0 && (n == 0 || progress_row_begin(r->page, first->row)))
        rc = run_one(r, first, err);
    for (size_t i = 0; rc == 0 && i < n && r->in_row; i++) {
        const struct task_behind *own = &first->behind.v[i];
        uint64_t now_us = clock_mono_us();
        struct task_run run = run_behind(first, own, now_us);
        if (!progress_row_begin(r->page, first->row))
            break;
        r->in_row = i + 1 < n;
        r->waited_us = now_us - own->ordered_us;
        progress_clear(r->page);
        rc = run_one(r, &run, err);
    }
    r->in_row = false;
    return rc == 0 ? send_held(r, err) : rc;
}

/* --- whom it runs as ------------------------------------------------------------------------- */

/* No way back: the first RUN comes behind it. */
static int become(const struct runner *r, const struct task_become *user, struct err *err)
{
    char *name = slice_dup(user->name);
    int rc = name ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0 && r->has_run)
        rc = err_set(err, ERR_PROTO, "told to become another user after a task");
    if (rc == 0 && (user->uid == 0 || initgroups(name, user->gid) != 0 || setgid(user->gid) != 0 ||
                    setuid(user->uid) != 0))
        rc = err_set(err, ERR_ACCESS, "cannot become %s", name);
    mem_free(name);
    if (rc != 0)
        return rc;
    /* What changing the user takes away, and an exec as that user would have given back. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 1);
    return 0;
}

/* --- twins ----------------------------------------------------------------------------------- */

/* What a process says of itself alone, so that a fork loses it. */
static void be_own_process(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    strays_adopt();
}

static int make_twin(struct runner *r, const struct sock_fds *fds, struct err *err)
{
    if (r->has_run || fds->count != 1)
        return err_set(err, ERR_PROTO, "told to make a twin of a process that ran tasks");
    (void)prctl(PR_SET_NAME, TEMPLATE);
    pid_t pid = twin_fork_with(fds->fd[0], r->fd);
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, NAME);
        (void)fcntl(r->fd, F_SETFD, FD_CLOEXEC);
        be_own_process();
        return 0;
    }
    struct task_born born = {pid > 0 ? (uint32_t)pid : 0, pid > 0 ? 0 : pid};
    return cord_send(r->fd, &TASK_methods[TASK_AT_BORN], &born, NULL, 0, err);
}

/* --- life ------------------------------------------------------------------------------------ */

/* While nobody waits: a reduce will want the filesystem. */
static void connect_if_quiet(struct runner *r)
{
    struct pollfd cord = {.fd = r->fd, .events = POLLIN};
    if (r->may_connect && poll(&cord, 1, QUIET_MS) == 0)
        files_for_next();
    r->may_connect = false;
}

static int serve_one(struct runner *r, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct sock_fds fds = {.count = 0};
    struct frame frame;
    struct task_run run;
    struct task_become user;
    connect_if_quiet(r);
    int rc = cord_recv(r->fd, &r->in, &frame, &fds, err);
    if (rc == 0 && frame.type == TASK_RUN) {
        rc = msg_decode(&task_run_desc, frame.body, &arena, &run, err);
        if (rc == 0)
            rc = run_row(r, &run, &fds, err);
        r->has_run = true;
    } else if (rc == 0 && frame.type == TASK_BECOME) {
        rc = msg_decode(&task_become_desc, frame.body, &arena, &user, err);
        if (rc == 0)
            rc = become(r, &user, err);
    } else if (rc == 0 && frame.type == TASK_TWIN) {
        rc = make_twin(r, &fds, err);
    }
    /* OUTPUTS may come late, when their reduce is over: not for us any more. */
    while (fds.count)
        close(fds.fd[--fds.count]);
    arena_release(&arena);
    return rc;
}

int runner_serve(int fd)
{
    struct runner r = {
        .fd = fd, .log_fd = -1, .memory_fd = -1, .process = {.files_for = files_for}};
    struct err err = {0};
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    be_own_process();
    signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error to the job, not its end */
    (void)fds_raise_limit();  /* many map outputs on this node are many descriptors */
    runner_crash_install();
    identity_init(&r.self, WIRE_TASK, NULL); /* what is looked up now, twins need not look up */
    int rc = tidy_note(&r.tidy) == 0 ? 0 : err_set(&err, ERR_NOMEM, "out of memory");
    while (rc == 0)
        rc = serve_one(&r, &err);
    bool is_over = rc == ERR_EOF || rc == ERR_CLOSED;
    if (!is_over)
        log_error("task", "%s", err.msg);
    /* Not exit: handlers the plugin has left behind would run when it least expects it. */
    (void)fflush(NULL);
    _exit(fcntl(fd, F_GETFD) < 0 ? TASK_CUT : is_over ? 0 : 1);
}
