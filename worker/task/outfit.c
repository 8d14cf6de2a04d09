/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/outfit.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void outfit_drop_dirs(struct wk_process *process)
{
    char job[ID_TEXT_MAX];
    job_id_text((struct job_id){process->cluster_ms, process->job}, job, sizeof(job));
    sandbox_drop(process->worker, job, &process->dirs, process->dirs_kept);
    process->dirs_kept = false;
}

void outfit_release(struct wk_process *process)
{
    if (process->page)
        munmap(process->page, PROGRESS_BYTES);
    close_fd(process->page_fd);
    close_fd(process->memory_fd);
    close_fd(process->log.fd);
    outfit_drop_dirs(process);
}

int outfit_clear_dirs(struct wk_process *process, const struct wk_attempt *attempt, struct err *err)
{
    struct worker *worker = process->worker;
    int rc = 0;
    if (process->dirs_kept || !sandbox_is_clean(worker, &process->dirs)) {
        outfit_drop_dirs(process);
        rc = sandbox_make(worker, attempt->job_name, &attempt->job->user, &process->dirs, err);
    }
    if (rc == 0 && process->log.fd < 0) {
        process->has_fds = false;
        rc = sandbox_open_log(worker, attempt->job_name, attempt->name, &process->log, err);
    }
    return rc;
}

static int make_page(struct wk_process *process, struct err *err)
{
    process->has_fds = false;
    process->page_fd = memfd_create("quern-progress", MFD_CLOEXEC);
    if (process->page_fd < 0 || ftruncate(process->page_fd, PROGRESS_BYTES) != 0)
        return err_errno(err, errno, "cannot make a progress page");
    void *page =
        mmap(NULL, PROGRESS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, process->page_fd, 0);
    if (page == MAP_FAILED)
        return err_errno(err, errno, "cannot map a progress page");
    process->page = page;
    return 0;
}

int outfit_clear_page(struct wk_process *process, struct err *err)
{
    int rc = process->page ? 0 : make_page(process, err);
    if (rc != 0)
        return rc;
    memset(process->page, 0, PROGRESS_BYTES);
    process->page->magic = PROGRESS_MAGIC;
    return 0;
}

int outfit_clear_memory(struct wk_process *process, struct err *err)
{
    /* Small outputs may lie over one another: what a run is long is said with it. */
    bool is_clear = process->memory_fd >= 0 &&
                    (!process->is_memory_used || ftruncate(process->memory_fd, 0) == 0);
    process->is_memory_used = true; /* until it is known that little was put there */
    process->is_memory_old = false;
    if (is_clear)
        return 0;
    close_fd(process->memory_fd);
    process->has_fds = false;
    process->memory_fd = memfd_create("quern-map-output", MFD_CLOEXEC);
    return process->memory_fd >= 0 ? 0 : err_errno(err, errno, "cannot make a memory file");
}

void outfit_use_memory(struct wk_process *process, int fd)
{
    close_fd(process->memory_fd);
    process->memory_fd = fd;
    process->has_fds = false;
    process->is_memory_used = process->is_memory_old = true;
}

void outfit_cut_memory(struct wk_process *process, uint64_t len)
{
    if (process->is_memory_old && ftruncate(process->memory_fd, (off_t)len) != 0)
        log_warn("wk.task", "cannot cut the memory of a map output: %s", /* its reader will see */
                 err_text(err_from_errno(errno)));
    process->is_memory_old = false;
}
