/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"

enum nn_checkpoint_state {
    NN_CHECKPOINT_IDLE,
    NN_CHECKPOINT_WRITING,
    NN_CHECKPOINT_WAITING,
    NN_CHECKPOINT_SWAPPING,
};

static const struct sm_state states[] = {
    {"idle", SM_TO(NN_CHECKPOINT_WRITING), SM_INITIAL | SM_FINAL},
    {"writing", SM_TO(NN_CHECKPOINT_WAITING) | SM_TO(NN_CHECKPOINT_IDLE), 0},
    {"waiting", SM_TO(NN_CHECKPOINT_SWAPPING), 0},
    {"swapping", SM_TO(NN_CHECKPOINT_IDLE), 0},
};
static const struct sm_table machine = {"checkpoint", states, ARRAY_LEN(states)};

void nn_checkpoint_init(struct nn_checkpoint *cp, struct loop *loop, struct workq *workq,
                        nn_checkpoint_done_fn *done, void *arg)
{
    *cp = (struct nn_checkpoint){.loop = loop,
                                 .workq = workq,
                                 .done = done,
                                 .arg = arg,
                                 .state = NN_CHECKPOINT_IDLE,
                                 .child = -1,
                                 .pipe_fd = -1};
}

bool nn_checkpoint_is_idle(const struct nn_checkpoint *cp)
{
    return cp->state == NN_CHECKPOINT_IDLE;
}

static void finish(struct nn_checkpoint *cp, const struct err *err)
{
    sm_move(&machine, &cp->state, NN_CHECKPOINT_IDLE);
    cp->done(cp->arg, cp->index, err);
}

/* ---- the child ---- */

/* The parent's handlers write to a descriptor that is closed here, and whose number the image gets:
 * a signal to the whole group would put a byte into it. */
static void drop_handlers(void)
{
    static const int ends[] = {SIGTERM, SIGINT}, nothing[] = {SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        signal(ends[i], SIG_DFL);
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        signal(nothing[i], SIG_IGN);
}

/* Dies with its parent, is the first to go when memory is out, lets others have the processor, and
 * holds nothing of the parent's open: no socket whose peer waits for the end, no lock. */
static void become_child(int pipe_fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    drop_handlers();
    if (getppid() != parent)
        _exit(1);
    if (dup2(pipe_fd, 3) < 0)
        _exit(1);
    close_range(4, ~0U, 0);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, "500", 3);
        (void)ignored;
        close(fd);
    }
    if (nice(10) < 0)
        return;
}

__attribute__((noreturn)) static void run_child(const struct nn_dir_set *dirs,
                                                const struct nn_image_head *head,
                                                nn_image_save_fn *save, void *state)
{
    struct err err = {0};
    int rc = nn_images_write(dirs, head, save, state, &err);
    err.code = rc;
    ssize_t told = write(3, &err, sizeof(err));
    _exit(rc == 0 && told == (ssize_t)sizeof(err) ? 0 : 1);
}

/* ---- the parent ---- */

static void close_pipe(struct nn_checkpoint *cp)
{
    loop_unwatch(cp->watch);
    cp->watch = NULL;
    if (cp->pipe_fd >= 0)
        close(cp->pipe_fd);
    cp->pipe_fd = -1;
}

static int reap(struct nn_checkpoint *cp)
{
    int status = 0;
    pid_t pid;
    do
        pid = waitpid(cp->child, &status, 0);
    while (pid < 0 && errno == EINTR);
    cp->child = -1;
    return pid < 0 ? -1 : status;
}

static void swap_run(struct work *work)
{
    struct nn_checkpoint *cp = CONTAINER_OF(work, struct nn_checkpoint, swap);
    cp->swapped = (struct err){0};
    if (nn_images_swap(&cp->dirs, cp->index, &cp->swapped) == 0)
        (void)nn_images_retire(&cp->dirs, cp->keep, NULL); /* an old image too many harms nobody */
}

static void swap_done(struct work *work)
{
    struct nn_checkpoint *cp = CONTAINER_OF(work, struct nn_checkpoint, swap);
    finish(cp, cp->swapped.code ? &cp->swapped : NULL);
}

static void swap_when_durable(struct nn_checkpoint *cp)
{
    if (cp->state != NN_CHECKPOINT_WAITING || cp->durable < cp->index)
        return;
    sm_move(&machine, &cp->state, NN_CHECKPOINT_SWAPPING);
    workq_submit(cp->workq, &cp->swap, swap_run, swap_done);
}

/* The pipe has ended, so the child has. */
static void child_ended(struct nn_checkpoint *cp)
{
    close_pipe(cp);
    int status = reap(cp);
    if (cp->said_bytes == sizeof(cp->said) && cp->said.code == 0 && status == 0) {
        sm_move(&machine, &cp->state, NN_CHECKPOINT_WAITING);
        swap_when_durable(cp);
        return;
    }
    if (cp->said_bytes != sizeof(cp->said) || cp->said.code == 0) {
        if (status >= 0 && WIFSIGNALED(status))
            err_set(&cp->said, WTERMSIG(status) == SIGKILL ? ERR_KILLED : ERR_CRASHED,
                    "the process that wrote the image died of signal %d", WTERMSIG(status));
        else
            err_set(&cp->said, ERR_FAILED, "the process that wrote the image ended without a word");
    }
    finish(cp, &cp->said);
}

static void on_pipe(int fd, unsigned ready, void *arg)
{
    struct nn_checkpoint *cp = arg;
    (void)ready;
    for (;;) {
        size_t room = sizeof(cp->said) - cp->said_bytes;
        char spare;
        ssize_t n = room ? read(fd, (char *)&cp->said + cp->said_bytes, room) : read(fd, &spare, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            child_ended(cp);
            return;
        }
        cp->said_bytes += room ? (size_t)n : 0;
    }
}

static int watch_child(struct nn_checkpoint *cp, int fd, struct err *err)
{
    cp->pipe_fd = fd;
    cp->watch = loop_watch(cp->loop, fd, LOOP_READ, on_pipe, cp);
    return cp->watch ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int nn_checkpoint_start(struct nn_checkpoint *cp, const struct nn_dir_set *dirs,
                        const struct nn_image_head *head, uint64_t keep, nn_image_save_fn *save,
                        void *state, struct err *err)
{
    int fds[2];
    if (!nn_checkpoint_is_idle(cp))
        return err_set(err, ERR_BUSY, "an image is being written already");
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_errno(err, errno, "cannot make a pipe for the image's writer");
    cp->dirs = *dirs;
    cp->index = head->index;
    cp->keep = keep;
    cp->said = (struct err){0};
    cp->said_bytes = 0;
    pid_t parent = getpid();
    int rc = watch_child(cp, fds[0], err);
    pid_t pid = rc == 0 ? fork() : -1;
    if (pid == 0) {
        become_child(fds[1], parent);
        run_child(&cp->dirs, head, save, state);
    }
    if (rc == 0 && pid < 0)
        rc = err_errno(err, errno, "cannot fork the image's writer");
    close(fds[1]);
    if (rc != 0) {
        close_pipe(cp);
        return rc;
    }
    cp->child = pid;
    sm_move(&machine, &cp->state, NN_CHECKPOINT_WRITING);
    return 0;
}

void nn_checkpoint_on_durable(struct nn_checkpoint *cp, uint64_t durable)
{
    cp->durable = durable;
    swap_when_durable(cp);
}

/* Its end comes through the pipe. */
void nn_checkpoint_cancel(struct nn_checkpoint *cp)
{
    if (cp->state == NN_CHECKPOINT_WRITING)
        kill(cp->child, SIGKILL);
}

void nn_checkpoint_release(struct nn_checkpoint *cp)
{
    if (cp->child > 0) {
        kill(cp->child, SIGKILL);
        (void)reap(cp);
    }
    close_pipe(cp);
}
