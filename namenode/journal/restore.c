/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/restore.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"

#define IMAGES_KEPT 2

enum state { IDLE, COPYING, JOINING, FINISHING };
static const struct sm_state states[] = {
    [IDLE] = {"idle", SM_TO(COPYING), SM_INITIAL | SM_FINAL},
    [COPYING] = {"copying", SM_TO(JOINING) | SM_TO(IDLE), 0},
    [JOINING] = {"joining", SM_TO(FINISHING) | SM_TO(IDLE), 0},
    [FINISHING] = {"finishing", SM_TO(IDLE), 0},
};
static const struct sm_table machine = {"restore", states, ARRAY_LEN(states)};

void nn_restore_init(struct nn_restore *r, struct workq *workq, struct wal *wal,
                     void (*done)(void *arg, struct nn_namedir *dir, const struct err *err),
                     void *arg)
{
    *r = (struct nn_restore){.workq = workq, .wal = wal, .done = done, .arg = arg, .state = IDLE};
}

bool nn_restore_is_idle(const struct nn_restore *r)
{
    return r->state == IDLE;
}

static void end(struct nn_restore *r)
{
    struct nn_namedir *dir = r->dir;
    sm_move(&machine, &r->state, IDLE);
    r->dir = NULL;
    r->done(r->arg, dir, r->err.code != 0 ? &r->err : NULL);
}

/* ---- copying (thread) ---- */

/* From the first directory whose copy of it is whole. */
static int copy_image(const struct nn_dir_set *from, uint64_t index, struct nn_namedir *dir,
                      struct err *err)
{
    char *target = nn_image_path(dir->path, index, "");
    int rc = ERR_NOENT;
    for (size_t i = 0; rc != 0 && i < from->count; i++) {
        char *source = nn_image_path(from->paths[i], index, "");
        rc = source && target ? nn_image_read(from->disk, source, NULL, NULL, NULL, err)
                              : err_set(err, ERR_NOMEM, "out of memory");
        if (rc == 0)
            rc = fsutil_copy(from->disk, source, target, err);
        if (rc == 0)
            rc = nn_image_read(from->disk, target, NULL, NULL, NULL, err);
        mem_free(source);
    }
    mem_free(target);
    return rc;
}

static int copy_images(const struct nn_dir_set *from, struct nn_namedir *dir, struct err *err)
{
    struct nn_image_list list;
    int rc = nn_images_list(from, &list, err);
    unsigned copied = 0;
    struct err one = {0};
    for (size_t i = 0; rc == 0 && i < list.n && copied < IMAGES_KEPT; i++) {
        if (i > 0 && list.v[i].index == list.v[i - 1].index)
            continue;
        copied += copy_image(from, list.v[i].index, dir, &one) == 0;
        fault_hit("nn.restore.image");
    }
    nn_images_release(&list);
    if (rc == 0 && copied == 0)
        rc = err_set(err, one.code ? one.code : ERR_NOENT, "no image could be copied to %s: %s",
                     dir->path, one.msg);
    return rc;
}

int nn_restore_copy(const struct nn_dir_set *from, struct nn_namedir *dir, uint64_t *ret_have,
                    struct err *err)
{
    int rc = copy_images(from, dir, err);
    struct err one = {0};
    if (rc != 0)
        return rc;
    rc = ERR_NOENT;
    for (size_t i = 0; rc != 0 && i < from->count; i++)
        rc = wal_copy_sealed(from->disk, from->paths[i], dir->path, ret_have, &one);
    fault_hit("nn.restore.segments");
    if (rc != 0 && err)
        *err = one;
    return rc;
}

/* What is in it: nothing, what an earlier try left, or this cluster's namespace. */
static int take(struct nn_restore *r)
{
    struct nn_namedir *dir = r->dir;
    const char *path = dir->path;
    struct disk *disk = r->from.disk;
    nn_namedir_close(dir);
    int rc = fsutil_mkdirs(disk, path, &r->err);
    if (rc == 0)
        rc = nn_namedir_open(dir, disk, path, &r->err);
    if (rc != 0)
        return rc;
    if (dir->state == NN_DIR_FOREIGN)
        return err_set(&r->err, ERR_NOTEMPTY,
                       "%s holds other files and no VERSION: it is not a name directory", path);
    if (dir->state == NN_DIR_FORMATTED && strcmp(dir->version.cluster_id, r->cluster_id) != 0)
        return err_set(&r->err, ERR_FOREIGN, "%s belongs to cluster %s, this one is %s", path,
                       dir->version.cluster_id, r->cluster_id);
    rc = nn_namedir_clear(dir, &r->err);
    dir->state = NN_DIR_UNFINISHED;
    return rc;
}

static void run_copy(struct work *work)
{
    struct nn_restore *r = CONTAINER_OF(work, struct nn_restore, work);
    int rc = take(r);
    if (rc == 0)
        rc = nn_restore_copy(&r->from, r->dir, &r->have, &r->err);
    r->err.code = rc;
}

static void copy_done(struct work *work)
{
    struct nn_restore *r = CONTAINER_OF(work, struct nn_restore, work);
    if (r->err.code != 0) {
        end(r);
        return;
    }
    sm_move(&machine, &r->state, JOINING);
    wal_join(r->wal, r->place, r->have);
}

void nn_restore_start(struct nn_restore *r, struct nn_namedir *dir, size_t place,
                      const struct nn_dir_set *from, const char *cluster_id)
{
    sm_move(&machine, &r->state, COPYING);
    r->dir = dir;
    r->place = place;
    r->from = *from;
    r->err = (struct err){0};
    snprintf(r->cluster_id, sizeof(r->cluster_id), "%s", cluster_id);
    workq_submit(r->workq, &r->work, run_copy, copy_done);
}

/* ---- joining, finishing ---- */

static void run_finish(struct work *work)
{
    struct nn_restore *r = CONTAINER_OF(work, struct nn_restore, work);
    fault_hit("nn.restore.joined");
    r->err.code = nn_namedir_finish(r->dir, r->cluster_id, clock_wall_ms(), &r->err);
}

static void finish_done(struct work *work)
{
    end(CONTAINER_OF(work, struct nn_restore, work));
}

void nn_restore_on_batch(struct nn_restore *r)
{
    bool is_alive = false;
    if (r->state != JOINING || wal_is_joining(r->wal))
        return;
    wal_dir(r->wal, r->place, &is_alive);
    if (!is_alive) {
        err_set(&r->err, ERR_IO, "%s could not be filled: the log tells why", r->dir->path);
        end(r);
        return;
    }
    sm_move(&machine, &r->state, FINISHING);
    workq_submit(r->workq, &r->work, run_finish, finish_done);
}
