/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "worker/local/postmortem.h"
#include "worker/runner/cord.h"
#include "worker/task/fence.h"
#include "worker/task/last_words.h"
#include "worker/task/strays.h"

#define TELL_MS   2000 /* for one that stood still, to say where */
#define WORDS_MAX 512

int pool_open(struct pool *pool, size_t count, const struct pool_ops *ops, const char *log_dir,
              uint64_t timeout_ms, struct err *err)
{
    *pool = (struct pool){.count = count,
                          .ops = *ops,
                          .log_dir = log_dir,
                          .timeout_ms = timeout_ms,
                          .runners = mem_calloc(count, sizeof(*pool->runners))};
    if (!pool->runners)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        pool->runners[i].fd = pool->runners[i].page_fd = -1;
    return 0;
}

/* --- one process ----------------------------------------------------------------------------- */

/* What one process of ours starts carries its own mark: when it ends, that goes, and nothing of its
 * neighbours. Not the parent alone tells: our own children may be others', where a shell has become
 * this driver. */
static void mark(char *out, size_t cap)
{
    static unsigned count;
    snprintf(out, cap, "local.%d.%llx.%u", getpid(), (unsigned long long)clock_mono_us(), count++);
}

static int reap(struct pool_runner *r)
{
    int status = 0;
    kill(-r->pid, SIGKILL); /* and whatever it has started */
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(r->fd);
    r->pid = 0;
    r->fd = -1;
    (void)strays_end_marked(r->mark);
    return status;
}

static void forget_task(struct pool *pool, struct pool_runner *r)
{
    if (r->task)
        pool->busy--;
    r->task = NULL;
    arena_release(&r->arena);
    mem_free(r->log_path);
    r->log_path = NULL;
}

void pool_close(struct pool *pool)
{
    for (size_t i = 0; i < pool->count && pool->runners; i++) {
        struct pool_runner *r = &pool->runners[i];
        if (r->pid)
            (void)reap(r);
        forget_task(pool, r);
        if (r->page)
            munmap(r->page, PROGRESS_BYTES);
        if (r->page_fd >= 0)
            close(r->page_fd);
    }
    mem_free(pool->runners);
    pool->runners = NULL;
}

static int make_page(struct pool_runner *r, struct err *err)
{
    if (r->page)
        return 0;
    r->page_fd = memfd_create("quern-progress", MFD_CLOEXEC);
    if (r->page_fd < 0 || ftruncate(r->page_fd, PROGRESS_BYTES) != 0)
        return err_errno(err, errno, "cannot make a progress page");
    void *page = mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->page_fd, 0);
    if (page == MAP_FAILED)
        return err_errno(err, errno, "cannot map a progress page");
    r->page = page;
    return 0;
}

static void child(int fd, const char *its_mark)
{
    char *const argv[] = {(char *)(uintptr_t) "quern-task", NULL};
    (void)strays_mark(its_mark); /* refused below a task, which then ends this one, too */
    setpgid(0, 0);               /* Ctrl-C is the driver's affair */
    if (fd == CORD_FD)
        (void)fcntl(fd, F_SETFD, 0);
    else if (dup2(fd, CORD_FD) < 0)
        _exit(126);
    close_range(CORD_FD + 1, ~0U, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null > 0) {
        (void)dup2(null, 0);
        close(null);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static int start(struct pool_runner *r, struct err *err)
{
    int pair[2];
    int rc = make_page(r, err);
    if (rc != 0)
        return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, errno, "cannot make a socket pair");
    mark(r->mark, sizeof(r->mark));
    pid_t pid = fork();
    if (pid == 0)
        child(pair[1], r->mark);
    close(pair[1]);
    if (pid < 0) {
        rc = err_errno(err, errno, "cannot start a task process");
        close(pair[0]);
        return rc;
    }
    (void)setpgid(pid, pid);
    r->pid = pid;
    r->fd = pair[0];
    r->is_last = false;
    return 0;
}

struct pool_runner *pool_idle(struct pool *pool, struct err *err)
{
    struct pool_runner *idle = NULL;
    for (size_t i = 0; i < pool->count; i++) {
        struct pool_runner *r = &pool->runners[i];
        if (r->task)
            continue;
        if (r->pid)
            return r;
        idle = r;
    }
    BUG_ON(!idle);
    return start(idle, err) == 0 ? idle : NULL;
}

int pool_run(struct pool *pool, struct pool_runner *runner, void *task, const struct task_run *run,
             struct arena *arena, int memfd, struct err *err)
{
    struct pool_runner *r = runner;
    memset(r->page, 0, sizeof(*r->page));
    r->page->magic = PROGRESS_MAGIC;
    r->run = *run;
    r->arena = *arena;
    r->task = task;
    r->ticks = 0;
    r->moved_ms = clock_mono_ms();
    r->has_timed_out = false;
    r->outgrown = 0;
    pool->busy++;
    r->log_path = str_printf("%s/%c-%05u-%u.log", pool->log_dir, "mmrc"[run->kind & 3],
                             run -> id.task, run->id.attempt);
    int log_fd =
        r->log_path ? open(r->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (log_fd < 0)
        return err_errno(err, errno, "the log of an attempt");
    const int fds[] = {r->page_fd, log_fd, memfd};
    int rc = cord_send(r->fd, &TASK_methods[TASK_AT_RUN], &r->run, fds, memfd >= 0 ? 3 : 2, err);
    close(log_fd);
    return rc;
}

/* --- what they say --------------------------------------------------------------------------- */

static void fail(struct pool *pool, struct pool_runner *r, const struct task_failed *failed)
{
    struct buf tail = BUF_INIT;
    char words[WORDS_MAX], why[2 * WORDS_MAX];
    struct task_failed told = *failed;
    void *task = r->task;
    postmortem_log_tail(r->log_path, &tail);
    told.log_tail = buf_slice(&tail);
    if (told.failure == TASK_FAILED_CRASH && told.code == SIGABRT &&
        last_words(told.log_tail, words, sizeof(words))) {
        snprintf(why, sizeof(why), SLICE_FMT ": %s", SLICE_ARG(told.why), words);
        told.why = slice_str(why);
    }
    pool->busy--; /* before the owner looks for work */
    r->task = NULL;
    pool->ops.on_failed(pool->ops.arg, task, &told);
    forget_task(pool, r);
    buf_release(&tail);
}

static void tell_outgrown(const struct pool_runner *r, char why[WORDS_MAX], struct task_failed *ret)
{
    char used[32], share[32];
    snprintf(why, WORDS_MAX,
             "used %s of memory where %s is its share, and was killed: give it more with -D "
             "mapreduce.%s.memory.mb=..., or mend the leak",
             str_human(r->outgrown, used, sizeof(used)),
             str_human(r->run.memory, share, sizeof(share)),
             r->run.kind == TASK_REDUCE ? "reduce" : "map");
    ret->failure = TASK_FAILED_MEMORY;
    ret->why = slice_str(why);
}

static void on_death(struct pool *pool, struct pool_runner *r)
{
    int status = reap(r);
    if (!r->task)
        return;
    struct task_failed failed;
    struct arena arena = ARENA_INIT;
    postmortem(&r->run, r->page, status, r->has_timed_out ? pool->timeout_ms : 0, &arena, &failed);
    char why[WORDS_MAX];
    if (r->outgrown)
        tell_outgrown(r, why, &failed);
    fail(pool, r, &failed);
    arena_release(&arena);
}

static int on_frame(struct pool *pool, struct pool_runner *r, const struct frame *frame,
                    struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_done done;
    struct task_failed failed;
    int rc = r->task ? 0 : err_set(err, ERR_PROTO, "a runner spoke without a task");
    if (rc == 0 && frame->type == TASK_DONE) {
        rc = msg_decode(&task_done_desc, frame->body, &arena, &done, err);
        void *task = r->task;
        if (rc == 0) {
            if (r->is_last)
                (void)reap(r);
            forget_task(pool, r);
            pool->ops.on_done(pool->ops.arg, task, &done);
        }
    } else if (rc == 0 && frame->type == TASK_FAILED) {
        rc = msg_decode(&task_failed_desc, frame->body, &arena, &failed, err);
        if (rc == 0) {
            (void)reap(r); /* who knows what a failed one leaves in the plugin's variables */
            fail(pool, r, &failed);
        }
    } else if (rc == 0 && frame->type == TASK_LAST) {
        r->is_last = true;
    }
    arena_release(&arena);
    return rc;
}

static int on_readable(struct pool *pool, struct pool_runner *r, struct err *err)
{
    struct buf in = BUF_INIT;
    struct sock_fds fds;
    struct frame frame;
    int rc = cord_recv(r->fd, &in, &frame, &fds, err);
    if (rc == 0) {
        while (fds.count)
            close(fds.fd[--fds.count]);
        rc = on_frame(pool, r, &frame, err);
    } else {
        on_death(pool, r);
        rc = 0;
    }
    buf_release(&in);
    return rc;
}

static void look_for_standstill(struct pool *pool, struct pool_runner *r)
{
    uint64_t ticks = r->page->ticks + r->page->records_in + r->page->records_out, now;
    now = clock_mono_ms();
    if (ticks != r->ticks) {
        r->ticks = ticks;
        r->moved_ms = now;
    } else if (r->has_timed_out && now - r->moved_ms >= TELL_MS) {
        kill(-r->pid, SIGKILL); /* its end comes as end of file */
    } else if (pool->timeout_ms && now - r->moved_ms >= pool->timeout_ms && !r->has_timed_out) {
        r->has_timed_out = true;
        r->moved_ms = now;
        kill(r->pid, SIGXCPU); /* it notes where it is, and ends */
    }
}

/* Its own memory in bytes, without files that are mapped. */
static uint64_t memory_of(pid_t pid)
{
    char path[64], text[128];
    unsigned long long size, resident = 0, shared = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || shared > resident)
        return 0;
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* On a cluster its worker sees to it; here a leak must not take the machine either. */
static void look_for_leak(struct pool_runner *r)
{
    uint64_t used = r->outgrown || !r->run.memory ? 0 : memory_of(r->pid);
    if (used <= fence_limit(r->run.memory))
        return;
    r->outgrown = used;
    kill(-r->pid, SIGKILL);
}

int pool_wait(struct pool *pool, unsigned wait_ms, struct err *err)
{
    struct pollfd fds[POOL_MAX];
    int rc = 0;
    for (size_t i = 0; i < pool->count; i++)
        fds[i] = (struct pollfd){.fd = pool->runners[i].fd, .events = POLLIN};
    if (poll(fds, pool->count, (int)wait_ms) < 0)
        return errno == EINTR ? 0 : err_errno(err, errno, "waiting for tasks");
    for (size_t i = 0; rc == 0 && i < pool->count; i++) {
        struct pool_runner *r = &pool->runners[i];
        if (fds[i].fd >= 0 && fds[i].revents)
            rc = on_readable(pool, r, err);
        else if (r->task) {
            look_for_standstill(pool, r);
            look_for_leak(r);
        }
    }
    return rc;
}
