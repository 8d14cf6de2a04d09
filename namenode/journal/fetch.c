/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/fetch.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"

static int read_page(struct nn_fetch *f, const char *path)
{
    struct disk_stat stat = {0};
    int fd = -1;
    int rc = disk_open(f->dirs.disk, path, DISK_READ, &fd);
    if (rc != 0)
        return rc;
    rc = disk_stat_fd(f->dirs.disk, fd, &stat);
    if (rc == 0) {
        int64_t got = disk_pread(f->dirs.disk, fd, f->page, NN_FETCH_PAGE_BYTES, f->offset);
        f->len = got > 0 ? (size_t)got : 0;
        rc = got < 0 ? (int)got : 0;
    }
    f->size = stat.size_bytes;
    disk_close(f->dirs.disk, fd);
    return rc;
}

/* From the first directory that has it. */
static void run(struct work *work)
{
    struct nn_fetch *f = CONTAINER_OF(work, struct nn_fetch, work);
    int rc = ERR_NOENT;
    for (size_t i = 0; i < f->dirs.count && rc != 0; i++) {
        char *path = nn_image_path(f->dirs.paths[i], f->index, "");
        rc = path ? read_page(f, path) : ERR_NOMEM;
        mem_free(path);
    }
    if (rc == ERR_NOENT)
        err_set(&f->err, rc, "the image of record %" PRIu64 " has been replaced by a newer one",
                f->index);
    else if (rc != 0)
        err_set(&f->err, rc, "the image of record %" PRIu64 " cannot be read: %s", f->index,
                err_text(rc));
}

static void done(struct work *work)
{
    struct nn_fetch *f = CONTAINER_OF(work, struct nn_fetch, work);
    f->done(f->arg, f);
    mem_free(f->page);
    mem_free(f);
}

int nn_fetch_start(const struct nn_fetch *want, struct workq *workq)
{
    struct nn_fetch *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return ERR_NOMEM;
    *f = *want;
    f->page = mem_alloc(NN_FETCH_PAGE_BYTES);
    if (!f->page) {
        mem_free(f);
        return ERR_NOMEM;
    }
    workq_submit(workq, &f->work, run, done);
    return 0;
}
