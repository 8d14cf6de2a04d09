/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/again.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "worker/local/postmortem.h"
#include "worker/local/report.h"
#include "worker/runner/crash.h"
#include "worker/runner/execution.h"
#include "worker/runner/files_for.h"

#define FILE_MAX (1U << 30)

struct again {
    const char *self, *file;
    bool with_gdb;
    int64_t here; /* run this one in this very process; -1 = all */
    struct buf bytes;
    struct arena arena;
    struct task_again plan;
    struct progress_page *page; /* shared with the processes that run them */
};

/* --- where files are ------------------------------------------------------------------------- */

/* Input as the job had it, output on this machine. */
struct split_files {
    struct files files;
    struct files *input;
    struct files_ops ops;
};

static struct split_files split;

static int open_input(struct files *files, const char *path, struct files_in **ret, struct err *err)
{
    (void)files;
    return files_open(split.input, path, ret, err);
}

static int create_here(struct files *files, const char *path, const struct qn_create *how,
                       struct files_out **ret, struct err *err)
{
    (void)files;
    return files_create(files_local(), path, how, ret, err);
}

static struct files *split_for(const struct task_run *run, struct err *err)
{
    split.input = files_for(run, err);
    if (!split.input)
        return NULL;
    split.ops = *files_local()->ops;
    split.ops.open = open_input;
    split.ops.pread = split.input->ops->pread;
    split.ops.close = split.input->ops->close;
    split.ops.create = create_here;
    split.files.ops = &split.ops;
    return &split.files;
}

/* --- one task -------------------------------------------------------------------------------- */

#define NAME_MAX_BYTES 48

static char *name_of(const struct task_run *run, char out[NAME_MAX_BYTES])
{
    return report_task_name(run->kind, &run->id, out, NAME_MAX_BYTES);
}

static void tell_failed(const struct task_run *run, const struct task_failed *failed)
{
    char name[NAME_MAX_BYTES];
    report_task_failed(stdout, name_of(run, name), failed);
}

static void tell_done(const struct task_run *run, const struct task_done *done)
{
    const struct task_account *a = &done->account;
    char took[32], name[NAME_MAX_BYTES];
    printf("%s: done in %s, %llu records in, %llu out", name_of(run, name),
           str_duration(done->times.total / 1000, took, sizeof(took)),
           (unsigned long long)a->in_records,
           (unsigned long long)(done->files.n ? a->out_records : a->emitted_records));
    for (size_t i = 0; i < done->files.n; i++)
        printf(", " SLICE_FMT, SLICE_ARG(done->files.v[i].path));
    printf("\n");
}

/* In this process, where a debugger may look on. */
static int run_here(struct again *a, const struct task_run *run)
{
    struct execution_process process = {.files_for = split_for};
    struct execution execution;
    struct err err;
    char *dir = run->local_dirs.n ? slice_dup(run->local_dirs.v[0]) : NULL;
    if (!dir || fsutil_mkdirs(disk_real(), dir, &err) != 0 || chdir(dir) != 0) {
        fprintf(stderr, "quern-task: cannot work in %s\n", dir ? dir : "?");
        mem_free(dir);
        return 1;
    }
    mem_free(dir);
    execution_run(
        &execution, &process,
        &(struct execution_conf){.run = run, .page = a->page, .memfd = -1, .news_fd = -1});
    (void)fflush(NULL);
    bool is_done = execution.is_done;
    if (!is_done)
        tell_failed(run, &execution.failed);
    else if (a->here >= 0 || run == &a->plan.runs.v[a->plan.runs.n - 1])
        tell_done(run, &execution.done);
    (void)fflush(NULL);
    execution_release(&execution);
    execution_process_release(&process);
    return is_done ? 0 : 1;
}

/* --- each in its process --------------------------------------------------------------------- */

static void tell_death(struct again *a, const struct task_run *run, int status)
{
    struct task_failed failed;
    postmortem(run, a->page, status, 0, &a->arena, &failed);
    tell_failed(run, &failed);
}

static int run_apart(struct again *a, const struct task_run *run)
{
    int status = 0;
    memset(a->page, 0, sizeof(*a->page));
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        runner_crash_install();
        _exit(run_here(a, run));
    }
    if (pid < 0) {
        fprintf(stderr, "quern-task: cannot start a process\n");
        return 1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        tell_death(a, run, status);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int under_gdb(const struct again *a)
{
    char number[32];
    snprintf(number, sizeof(number), "%zu", a->plan.runs.n - 1);
    execlp("gdb", "gdb", "--quiet", "--args", a->self, "-replay", a->file, "-here", number,
           (char *)NULL);
    fprintf(stderr, "quern-task: there is no gdb here: install it, or replay without -gdb\n");
    return 1;
}

static int run_all(struct again *a)
{
    char name[NAME_MAX_BYTES];
    size_t last = a->plan.runs.n - 1;
    for (size_t i = 0; i < last; i++) {
        printf("%s, whose output is read: %zu of %zu\n", name_of(&a->plan.runs.v[i], name), i + 1,
               last);
        if (run_apart(a, &a->plan.runs.v[i]) != 0) {
            printf("so the reduce has not all of its input, and was not run\n");
            return 1;
        }
    }
    return a->with_gdb ? under_gdb(a) : run_apart(a, &a->plan.runs.v[last]);
}

/* --- command line ---------------------------------------------------------------------------- */

static int load(struct again *a, struct err *err)
{
    int rc = fsutil_read_all(disk_real(), a->file, FILE_MAX, &a->bytes, err);
    if (rc == 0)
        rc = msg_decode(&task_again_desc, buf_slice(&a->bytes), &a->arena, &a->plan, err);
    if (rc == 0 && (a->plan.runs.n == 0 || a->here >= (int64_t)a->plan.runs.n))
        rc = err_set(err, ERR_INVAL, "%s: has no such task", a->file);
    if (rc != 0)
        return rc;
    void *page =
        mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    a->page = page == MAP_FAILED ? NULL : page;
    return a->page ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int again_main(int argc, char **argv)
{
    struct again a = {.self = "/proc/self/exe", .here = -1};
    char self[4096];
    struct err err = {0};
    int code = 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-gdb") == 0)
            a.with_gdb = true;
        else if (strcmp(argv[i], "-here") == 0 && i + 1 < argc)
            (void)str_to_i64(argv[++i], &a.here);
        else
            a.file = argv[i];
    }
    ssize_t n = readlink(a.self, self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = 0;
        a.self = self;
    }
    if (!a.file)
        fprintf(stderr, "quern-task: -replay FILE [-gdb]\n");
    else if (load(&a, &err) != 0)
        fprintf(stderr, "quern-task: %s\n", err.msg);
    else
        code = a.here >= 0 ? run_here(&a, &a.plan.runs.v[a.here]) : run_all(&a);
    if (a.page)
        munmap(a.page, PROGRESS_BYTES);
    arena_release(&a.arena);
    buf_release(&a.bytes);
    return code;
}
