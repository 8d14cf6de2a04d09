/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/outputs/leavings.h"

#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

struct leaving {
    struct work work;
    struct disk *disk;
    int fd;     /* -1 = a tree */
    char *path; /* owned */
};

int leavings_open(struct leavings *leavings, struct loop *loop, struct disk *disk, struct err *err)
{
    *leavings = (struct leavings){disk, workq_new(loop, "wk-leavings", 1, err),
                                  workq_new(loop, "wk-pages", 1, err)};
    return leavings->files && leavings->memory ? 0 : ERR_NOMEM;
}

void leavings_close(struct leavings *leavings)
{
    workq_free(leavings->files);
    workq_free(leavings->memory);
    leavings->files = leavings->memory = NULL;
}

static void give_back(struct work *work)
{
    struct leaving *leaving = CONTAINER_OF(work, struct leaving, work);
    if (leaving->fd >= 0)
        close(leaving->fd);
    else
        fsutil_remove_tree(leaving->disk, leaving->path, NULL);
}

static void given_back(struct work *work)
{
    struct leaving *leaving = CONTAINER_OF(work, struct leaving, work);
    mem_free(leaving->path);
    mem_free(leaving);
}

static void add_fd(struct workq *workq, int fd)
{
    struct leaving *leaving = workq ? mem_calloc(1, sizeof(*leaving)) : NULL;
    if (!leaving) {
        close(fd);
        return;
    }
    leaving->fd = fd;
    workq_submit(workq, &leaving->work, give_back, given_back);
}

void leavings_add_file(struct leavings *leavings, int fd)
{
    add_fd(leavings->files, fd);
}

void leavings_add_memory(struct leavings *leavings, int fd)
{
    add_fd(leavings->memory, fd);
}

void leavings_add_tree(struct leavings *leavings, const char *path)
{
    struct leaving *leaving = leavings->files ? mem_calloc(1, sizeof(*leaving)) : NULL;
    char *copy = leaving ? slice_dup(slice_str(path)) : NULL;
    if (!copy) {
        mem_free(leaving);
        fsutil_remove_tree(leavings->disk, path, NULL);
        return;
    }
    leaving->fd = -1;
    leaving->path = copy;
    leaving->disk = leavings->disk;
    workq_submit(leavings->files, &leaving->work, give_back, given_back);
}
