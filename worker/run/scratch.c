/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/scratch.h"

#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

int scratch_open(struct scratch *scratch, const struct slice *dirs, size_t count)
{
    *scratch = (struct scratch){.dirs = mem_calloc(count + 1, sizeof(char *)),
                                .is_bad = mem_calloc(count + 1, sizeof(bool))};
    if (!scratch->dirs || !scratch->is_bad)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        scratch->dirs[i] = slice_dup(dirs[i]);
        if (!scratch->dirs[i])
            goto fail;
        scratch->count++;
    }
    return 0;
fail:
    scratch_close(scratch);
    return ERR_NOMEM;
}

void scratch_close(struct scratch *scratch)
{
    for (size_t i = 0; i < scratch->count; i++)
        mem_free(scratch->dirs[i]);
    mem_free(scratch->dirs);
    mem_free(scratch->is_bad);
    *scratch = (struct scratch){0};
}

static bool is_disk_fault(int code)
{
    return code == ERR_NOSPC || code == ERR_IO || code == ERR_ACCESS || code == ERR_NOENT ||
           code == ERR_QUOTA || code == ERR_NOTDIR;
}

static int create_in(const char *dir, const char *name, struct scratch_file *ret)
{
    char *path =
        name ? fsutil_join(dir, name) : str_printf("%s/.scratch.%d.%p", dir, getpid(), (void *)ret);
    if (!path)
        return ERR_NOMEM;
    int fd = -1;
    int rc = disk_open(disk_real(), path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd);
    if (rc == 0 && !name)
        rc = disk_unlink(disk_real(), path);
    if (rc != 0) {
        disk_close(disk_real(), fd);
        mem_free(path);
        return rc;
    }
    if (!name) {
        mem_free(path);
        path = NULL;
    }
    ret->fd = fd;
    ret->path = path;
    return 0;
}

int scratch_create(struct scratch *scratch, const char *name, struct scratch_file *ret,
                   struct err *err)
{
    for (size_t tries = 0; tries < scratch->count; tries++) {
        size_t dir = scratch->turn++ % scratch->count;
        if (scratch->is_bad[dir])
            continue;
        int rc = create_in(scratch->dirs[dir], name, ret);
        ret->dir = dir;
        if (rc == 0)
            return 0;
        if (!scratch_blame(scratch, dir, rc))
            return err_set(err, rc, "%s: %s", scratch->dirs[dir], err_text(rc));
    }
    return err_set(err, ERR_NOSPC,
                   "no local directory is usable (%s: %s): free space, or set worker.local.dir",
                   scratch->count ? scratch->dirs[scratch->last_bad] : "there",
                   scratch->count ? err_text(scratch->why) : "is none");
}

void scratch_file_close(struct scratch_file *file)
{
    disk_close(disk_real(), file->fd);
    mem_free(file->path);
    *file = SCRATCH_FILE_NONE;
}

bool scratch_blame(struct scratch *scratch, size_t dir, int code)
{
    if (!is_disk_fault(code))
        return false;
    scratch->is_bad[dir] = true;
    scratch->last_bad = dir;
    scratch->why = code;
    return true;
}

bool scratch_give_up(struct scratch *scratch, struct scratch_file *file, int code)
{
    if (!scratch_blame(scratch, file->dir, code))
        return false;
    if (file->path)
        (void)disk_unlink(disk_real(), file->path); /* on a broken disk: whatever comes of it */
    scratch_file_close(file);
    return true;
}
