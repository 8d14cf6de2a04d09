/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/store/fsutil.h"
#include "worker/map/ranges.h"
#include "worker/run/reader.h"
#include "worker/runner/execution.h"
#include "worker/runner/files_for.h"
#include "worker/runner/order.h"

/* --- a run's keys ---------------------------------------------------------------------------- */

static int copy_keys(struct piece_cursor *cursor, uint64_t records, struct buf *out)
{
    uint64_t every = records / RANGES_KEYS_MAX + 1;
    int rc = 0;
    for (uint64_t i = 0; (rc = cursor->cursor.next(&cursor->cursor)) == 1; i++)
        if (i % every == 0)
            ranges_add_to_sample(out, cursor->cursor.key);
    return rc;
}

static int keys_of_run(int fd, uint64_t len, struct buf *out, struct err *err)
{
    struct run_reader reader;
    struct run_piece piece;
    struct piece_cursor cursor;
    uint32_t *sums = NULL;
    size_t size = PIECE_BUFFER_MIN;
    void *buffer = mem_alloc(size);
    int rc = buffer ? run_reader_open(&reader, fd, len, "the sample", err)
                    : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = run_reader_piece(&reader, 0, &piece, &sums, err);
    if (rc == 0) {
        ranges_begin_sample(out);
        piece_cursor_open(&cursor, &piece,
                          &(struct piece_conf){.buffer = buffer,
                                               .buffer_size = size,
                                               .record_max = UINT32_MAX,
                                               .name = "the sample",
                                               .err = err});
        rc = copy_keys(&cursor, piece.records, out);
        piece_cursor_close(&cursor);
    }
    mem_free(sums);
    mem_free(buffer);
    return rc == 0 && buf_failed(out) ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

/* --- the task -------------------------------------------------------------------------------- */

/* Its run stays in memory: it is made of little. */
static int take_sample(const struct task_run *run, struct buf *out, struct err *err)
{
    static struct progress_page page;
    struct execution_process process = {.files_for = files_for};
    struct execution execution;
    struct task_run own = *run;
    own.output_memory = UINT32_MAX;
    int memfd = memfd_create("quern-sample", MFD_CLOEXEC);
    if (memfd < 0)
        return err_errno(err, errno, "no memory for a sample");
    struct execution_conf conf = {.run = &own, .page = &page, .memfd = memfd, .news_fd = -1};
    execution_run(&execution, &process, &conf);
    int rc = 0;
    if (!execution.is_done)
        rc = err_set(err, ERR_FAILED, SLICE_FMT, SLICE_ARG(execution.failed.why));
    else if (execution.done.run_path.len)
        rc = err_set(err, ERR_TOOBIG, "the sample of its keys does not fit into memory");
    else
        rc = keys_of_run(memfd, execution.done.run_len, out, err);
    execution_release(&execution);
    execution_process_release(&process);
    close(memfd);
    return rc;
}

/* The exit code. */
static int sample_to(const struct task_run *run, int out, struct err *err)
{
    struct buf bytes = BUF_INIT;
    char *dir = run->local_dirs.n ? slice_dup(run->local_dirs.v[0]) : NULL;
    int rc = dir && chdir(dir) == 0 ? 0 : err_set(err, ERR_IO, "no directory to take a sample in");
    mem_free(dir);
    if (rc == 0)
        rc = take_sample(run, &bytes, err);
    if (rc == 0)
        rc = fsutil_write_fd(out, buf_slice(&bytes));
    if (rc != 0 && err->code == 0)
        err_set(err, rc, "the sample cannot be written: %s", err_text(rc));
    buf_release(&bytes);
    return rc == 0 ? 0 : 1;
}

/* What the plugin prints must not get into the answer. */
static int keep_stdout(void)
{
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (out >= 0)
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    return out;
}

int sample_main(void)
{
    struct buf order = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct task_run run;
    struct err err = {0};
    int code = 1, out = keep_stdout();
    int rc = out < 0 ? err_errno(&err, errno, "stdout") : order_read(&order, &err);
    if (rc == 0)
        rc = msg_decode(&task_run_desc, buf_slice(&order), &arena, &run, &err);
    if (rc == 0)
        code = sample_to(&run, out, &err);
    if (err.code != 0)
        fprintf(stderr, "quern-task: %s\n", err.msg);
    arena_release(&arena);
    buf_release(&order);
    return code;
}

int sample_in_child(const struct task_run *run, const char *path, struct err *err)
{
    int status = 0, failure[2];
    struct err said = {0};
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    if (pipe2(failure, O_CLOEXEC) != 0) {
        close(fd);
        return err_errno(err, errno, "cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        int code = sample_to(run, fd, &said);
        if (code != 0)
            (void)fsutil_write_fd(failure[1], slice_of(&said, sizeof(said)));
        _exit(code);
    }
    close(failure[1]);
    close(fd);
    /* It is less than what a pipe holds. */
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    ssize_t n = pid > 0 ? read(failure[0], &said, sizeof(said)) : 0;
    close(failure[0]);
    if (pid < 0)
        return err_errno(err, errno, "cannot start a process");
    if (WIFSIGNALED(status))
        return err_set(err, ERR_PLUGIN, "crashed while a sample of its keys was taken (SIG%s)",
                       sigabbrev_np(WTERMSIG(status)));
    if (status != 0)
        return n == (ssize_t)sizeof(said)
                   ? err_set(err, said.code, "%s", said.msg)
                   : err_set(err, ERR_FAILED, "ended itself while a sample of its keys was taken");
    return 0;
}
