/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/sides.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/str.h"

static int make_link(struct slice dir, const struct task_side *side, struct err *err)
{
    char *link = str_printf(SLICE_FMT "/" SLICE_FMT, SLICE_ARG(dir), SLICE_ARG(side->name));
    char *path = slice_dup(side->path);
    int rc = link && path ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0 && symlink(path, link) != 0 && errno != EEXIST)
        rc = err_errno(err, errno, "cannot link the side file %s", link);
    mem_free(link);
    mem_free(path);
    return rc;
}

int sides_open(struct sides *sides, const struct task_run *run, struct err *err)
{
    *sides = (struct sides){.list = &run->sides};
    if (run->sides.n == 0)
        return 0;
    sides->maps = mem_calloc(run->sides.n, sizeof(*sides->maps));
    if (!sides->maps)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < run->sides.n && run->local_dirs.n; i++)
        rc = make_link(run->local_dirs.v[0], &run->sides.v[i], err);
    if (rc != 0)
        sides_close(sides);
    return rc;
}

void sides_close(struct sides *sides)
{
    for (size_t i = 0; sides->maps && i < sides->list->n; i++)
        if (sides->maps[i].len)
            munmap(sides->maps[i].data, sides->maps[i].len);
    mem_free(sides->maps);
    sides->maps = NULL;
}

static int map_file(struct slice where, struct side_map *map, struct err *err)
{
    char *path = slice_dup(where);
    struct stat st;
    if (!path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = err_errno(err, errno, "the side file %s", path);
    else if (st.st_size > 0) {
        map->data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map->data == MAP_FAILED)
            rc = err_errno(err, errno, "the side file %s cannot be mapped", path);
        else
            map->len = (size_t)st.st_size;
    }
    map->is_mapped = rc == 0;
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return rc;
}

static int unknown(const struct sides *sides, const char *name, struct err *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < sides->list->n; i++)
        buf_printf(&known, "%s" SLICE_FMT, i ? ", " : "", SLICE_ARG(sides->list->v[i].name));
    const char *text = buf_cstr(&known);
    err_set(err, ERR_NOENT, "no side file \"%s\" came with the job (-file PATH#%s); there is %s",
            name, name, text && *text ? text : "none");
    buf_release(&known);
    return ERR_NOENT;
}

int sides_bytes(struct sides *sides, const char *name, struct slice *ret, struct err *err)
{
    for (size_t i = 0; i < sides->list->n; i++) {
        struct side_map *map = &sides->maps[i];
        if (!slice_is(sides->list->v[i].name, name))
            continue;
        int rc = map->is_mapped ? 0 : map_file(sides->list->v[i].path, map, err);
        *ret = slice_of(map->len ? map->data : NULL, map->len);
        return rc;
    }
    return unknown(sides, name, err);
}
