/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/event/sock.h"
#include "libcommon/proto/task/messages.h"
#include "libcommon/wire/frame.h"

#define UMBILICAL_FD    3
#define CLASSIC_SIGNALS 32
#define ANSWER_MS       2000
#define OOM_SCORE       "900"
#define FAILURES_MAX    3 /* templates in a row that did nothing: then this system is not for them */

/* --- by an exec ------------------------------------------------------------------------------ */

/* When the machine runs out of memory, a task goes before any daemon. */
static void go_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, OOM_SCORE, strlen(OOM_SCORE)) : 0;
    (void)n; /* without it the kernel decides alone */
    if (fd >= 0)
        close(fd);
}

/* Between fork and exec: only what is safe there. */
static void child(const char *program, int fd)
{
    sigset_t none;
    char *const argv[] = {(char *)(uintptr_t) "quern-task", NULL};
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < CLASSIC_SIGNALS; s++) /* the daemon ignores none of the others */
        signal(s, SIG_DFL);
    if (fd == UMBILICAL_FD)
        fcntl(fd, F_SETFD, 0);
    else if (dup2(fd, UMBILICAL_FD) < 0)
        _exit(126);
    close_range(UMBILICAL_FD + 1, ~0U, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && null != 0) {
        dup2(null, 0);
        close(null);
    }
    go_first();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(program, argv);
    _exit(127);
}

static pid_t execute(const char *program, int fd, struct err *err)
{
    pid_t pid = fork();
    if (pid == 0)
        child(program, fd);
    if (pid > 0)
        return pid;
    err_errno(err, errno, "cannot start a task process");
    return 0;
}

/* --- by the template ------------------------------------------------------------------------- */

static void end_template(struct birth *birth)
{
    if (birth->pid == 0)
        return;
    close(birth->fd);
    kill(birth->pid, SIGKILL);
    (void)waitpid(birth->pid, NULL, 0);
    birth->pid = 0;
}

static void start_template(struct birth *birth)
{
    int pair[2];
    struct err err = {0};
    if (birth->pid || birth->failures >= FAILURES_MAX ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    birth->pid = execute(birth->program, pair[1], &err);
    close(pair[1]);
    birth->fd = pair[0];
    if (birth->pid == 0)
        close(pair[0]);
}

static int ask(const struct birth *birth, int fd, uint64_t deadline)
{
    struct buf out = BUF_INIT;
    struct frame frame = {.type = TASK_TWIN, .flags = FRAME_ONEWAY};
    int rc = frame_put(&out, &frame, &msg_void_desc, &(struct msg_void){0});
    if (rc == 0)
        rc = sock_send_fds(birth->fd, buf_slice(&out), &fd, 1, deadline);
    buf_release(&out);
    return rc;
}

/* The next `len` bytes, behind what is there. */
static int hear_bytes(const struct birth *birth, struct buf *in, size_t len, uint64_t deadline)
{
    uint8_t *to = buf_reserve(in, len);
    int rc = to ? sock_recv_exact(birth->fd, to, len, deadline) : ERR_NOMEM;
    in->len += rc == 0 ? len : 0;
    return rc;
}

static int hear(const struct birth *birth, struct task_born *ret, uint64_t deadline)
{
    struct buf in = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct frame frame;
    size_t whole = 0;
    int rc = hear_bytes(birth, &in, FRAME_HEADER_BYTES, deadline);
    if (rc == 0)
        rc = frame_parse(buf_slice(&in), FRAME_MAX_BYTES, &frame, &whole, NULL);
    if (rc == ERR_RETRY) {
        rc = hear_bytes(birth, &in, whole - FRAME_HEADER_BYTES, deadline);
        if (rc == 0)
            rc = frame_parse(buf_slice(&in), FRAME_MAX_BYTES, &frame, &whole, NULL);
    }
    if (rc == 0)
        rc = frame.type == TASK_BORN ? msg_decode(&task_born_desc, frame.body, &arena, ret, NULL)
                                     : ERR_PROTO;
    buf_release(&in);
    arena_release(&arena);
    return rc;
}

/* The twin's pid, or 0: then it is to be made in another way. */
static pid_t make_twin(struct birth *birth, int fd)
{
    uint64_t deadline = clock_mono_ms() + ANSWER_MS;
    struct task_born born = {0};
    start_template(birth);
    if (birth->pid == 0)
        return 0;
    int rc = ask(birth, fd, deadline);
    if (rc == 0)
        rc = hear(birth, &born, deadline);
    if (rc == 0 && born.pid) {
        birth->failures = 0;
        return (pid_t)born.pid;
    }
    /* What it may have made after all is a stray, without anybody at its socket's other end. */
    end_template(birth);
    birth->failures++;
    if (birth->failures == FAILURES_MAX || (rc == 0 && born.code != ERR_UNSUPPORTED))
        log_warn("wk.task", "task processes are executed one by one: %s",
                 err_text(rc ? rc : (int)born.code));
    if (rc == 0 && born.code == ERR_UNSUPPORTED)
        birth->failures = FAILURES_MAX;
    return 0;
}

/* --- both ------------------------------------------------------------------------------------ */

void birth_open(struct birth *birth, const char *program)
{
    *birth = (struct birth){.program = program};
    start_template(birth);
}

pid_t birth_make(struct birth *birth, int fd, struct err *err)
{
    pid_t pid = make_twin(birth, fd);
    return pid ? pid : execute(birth->program, fd, err);
}

void birth_close(struct birth *birth)
{
    end_template(birth);
}
