/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/recover.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/sections.h"

#define MODULE "nn.journal"

/* ---- which image ---- */

/* Is this file whole, and of this log? */
static int check_image(const struct nn_dir_set *dirs, const struct nn_image_file *file,
                       uint64_t log_id, struct err *err)
{
    struct nn_image_head head = {0};
    char *path = nn_image_path(dirs->paths[file->dir], file->index, "");
    if (!path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = nn_image_read(dirs->disk, path, &head, NULL, NULL, err);
    if (rc == 0 && head.index != file->index)
        rc = err_set(err, ERR_CORRUPT, "%s is an image of record %llu: it may have been renamed",
                     path, (unsigned long long)head.index);
    if (rc == 0 && head.log_id != log_id)
        rc = err_set(err, ERR_FOREIGN, "%s belongs to another log than the one beside it", path);
    mem_free(path);
    return rc;
}

static int no_image(const struct nn_dir_set *dirs, const struct nn_image_list *list,
                    const struct wal *wal, const struct err *last, struct err *err)
{
    if (list->n == 0)
        return err_set(err, ERR_CORRUPT, "%s holds no image: it is incomplete", dirs->paths[0]);
    if (last->code != 0)
        return err_set(err, ERR_CORRUPT,
                       "%s; no older image can take its place. Nothing was changed", last->msg);
    return err_set(err, ERR_CORRUPT,
                   "%s: the newest image is of record %llu, but the log begins at record %llu: "
                   "what is between them is missing. Nothing was changed",
                   dirs->paths[list->v[0].dir], (unsigned long long)list->v[0].index,
                   (unsigned long long)wal_first(wal));
}

/* The newest that is whole and that the log continues. */
static int choose_image(const struct nn_dir_set *dirs, const struct wal *wal,
                        struct nn_recovered_state *ret, struct err *err)
{
    struct nn_image_list *list = &ret->images;
    struct err last = {0};
    if (list->n && list->v[0].index > wal_durable(wal))
        return err_set(err, ERR_CORRUPT,
                       "%s: there is an image of record %llu, but the log ends at record %llu: "
                       "records are missing. Nothing was changed",
                       dirs->paths[list->v[0].dir], (unsigned long long)list->v[0].index,
                       (unsigned long long)wal_durable(wal));
    for (size_t i = 0; i < list->n; i++) {
        struct nn_image_file *file = &list->v[i];
        if (file->index + 1 < wal_first(wal))
            break;
        int rc = check_image(dirs, file, wal_id(wal), &last);
        if (rc == 0) {
            ret->image_index = file->index;
            ret->image_dir = file->dir;
            return 0;
        }
        if (rc != ERR_CORRUPT && rc != ERR_IO) {
            if (err)
                *err = last;
            return rc;
        }
        file->is_damaged = true;
        log_warn(MODULE, "%s: it is not used", last.msg);
    }
    return no_image(dirs, list, wal, &last, err);
}

/* ---- load and replay ---- */

static int take_chunk(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    return nn_loader_take(arg, section, chunk, err);
}

static int load_image(const struct nn_dir_set *dirs, const struct nn_recovered_state *chosen,
                      struct nn_state *state, struct err *err)
{
    char *path = nn_image_path(dirs->paths[chosen->image_dir], chosen->image_index, "");
    struct nn_loader *loader = nn_loader_new(state);
    if (state->blocks)
        nn_blocks_set_applied(state->blocks, chosen->image_index);
    state->applied = chosen->image_index;
    int rc = path && loader ? nn_image_read(dirs->disk, path, NULL, take_chunk, loader, err)
                            : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0 && (rc = nn_loader_end(loader, err)) != 0)
        err_wrap(err, "%s", path);
    nn_loader_free(loader);
    mem_free(path);
    return rc;
}

struct replay {
    struct nn_state *state;
    struct arena scratch;
    uint64_t records;
    struct err *err;
};

static int replay_record(void *arg, const struct wal_record *record)
{
    struct replay *r = arg;
    r->state->applied = record->index;
    if (r->state->blocks)
        nn_blocks_set_applied(r->state->blocks, record->index);
    int rc = nn_op_replay(r->state, record->type, record->payload, &r->scratch, r->err);
    if (rc != 0) {
        if (r->err)
            r->err->code = rc;
        return err_wrap(r->err, "record %llu of the log", (unsigned long long)record->index), rc;
    }
    r->records++;
    return 0;
}

int nn_recover_state(const struct nn_dir_set *dirs, struct wal *wal, struct nn_state *state,
                     struct nn_recovered_state *ret, struct err *err)
{
    uint64_t began_ms = clock_mono_ms();
    *ret = (struct nn_recovered_state){0};
    int rc = nn_images_list(dirs, &ret->images, err);
    if (rc == 0)
        rc = choose_image(dirs, wal, ret, err);
    if (rc == 0)
        rc = load_image(dirs, ret, state, err);
    struct replay replay = {.state = state, .scratch = ARENA_INIT, .err = err};
    if (rc == 0)
        rc = wal_replay(wal, ret->image_index + 1, replay_record, &replay, err);
    arena_release(&replay.scratch);
    ret->records = replay.records;
    if (rc == 0)
        log_info(MODULE, "loaded the image of record %llu and %llu records after it in %llu ms",
                 (unsigned long long)ret->image_index, (unsigned long long)ret->records,
                 (unsigned long long)(clock_mono_ms() - began_ms));
    return rc;
}

/* ---- repair ---- */

static int set_aside(const struct nn_dir_set *dirs, const struct nn_image_file *file,
                     struct err *err)
{
    char *from = nn_image_path(dirs->paths[file->dir], file->index, "");
    char *to = nn_image_path(dirs->paths[file->dir], file->index, ".damaged");
    int rc = from && to ? disk_rename(dirs->disk, from, to) : ERR_NOMEM;
    if (rc != 0)
        err_set(err, rc, "%s: cannot set a damaged image aside: %s", dirs->paths[file->dir],
                err_text(rc));
    mem_free(from);
    mem_free(to);
    return rc;
}

static bool has_image(const struct nn_recovered_state *r, size_t dir)
{
    for (size_t i = 0; i < r->images.n; i++) {
        const struct nn_image_file *file = &r->images.v[i];
        if (file->dir == dir && file->index == r->image_index && !file->is_damaged)
            return true;
    }
    return false;
}

static int copy_image(const struct nn_dir_set *dirs, const struct nn_recovered_state *r, size_t to,
                      struct err *err)
{
    char *source = nn_image_path(dirs->paths[r->image_dir], r->image_index, "");
    char *target = nn_image_path(dirs->paths[to], r->image_index, "");
    int rc = source && target ? fsutil_copy(dirs->disk, source, target, err)
                              : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(source);
    mem_free(target);
    return rc;
}

int nn_recover_images(const struct nn_dir_set *dirs, const struct nn_recovered_state *recovered,
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < recovered->images.n; i++)
        if (recovered->images.v[i].is_damaged)
            rc = set_aside(dirs, &recovered->images.v[i], err);
    for (size_t i = 0; rc == 0 && i < dirs->count; i++) {
        struct nn_namedir dir = {.disk = dirs->disk, .path = dirs->paths[i]};
        rc = nn_namedir_tidy(&dir, err);
        if (rc == 0 && !has_image(recovered, i))
            rc = copy_image(dirs, recovered, i, err);
    }
    return rc;
}

/* ---- report ---- */

static void report_log(struct disk *disk, const char *dir, struct buf *out)
{
    struct wal_report report = {0};
    struct err err = {0};
    int rc = wal_inspect(disk, dir, &(struct wal_inspection){0}, &report, &err);
    if (report.wal_id != 0 && report.last < report.first)
        buf_printf(out, "  log      no records yet, from %llu on%s\n",
                   (unsigned long long)report.first,
                   report.torn ? "; what is there is not whole" : "");
    else if (report.wal_id != 0)
        buf_printf(out, "  log      records %llu to %llu are whole%s\n",
                   (unsigned long long)report.first, (unsigned long long)report.last,
                   report.torn ? "; what follows is not" : "");
    if (rc != 0)
        buf_printf(out, "  log      DAMAGED: %s\n", err.msg);
}

static void report_images(struct disk *disk, const char *dir, struct buf *out)
{
    struct nn_dir_set set = {.disk = disk, .paths = {dir}, .count = 1};
    struct nn_image_list list;
    struct err err = {0};
    if (nn_images_list(&set, &list, &err) != 0)
        return;
    for (size_t i = 0; i < list.n; i++) {
        char *path = nn_image_path(dir, list.v[i].index, "");
        int rc = path ? nn_image_read(disk, path, NULL, NULL, NULL, &err) : ERR_NOMEM;
        buf_printf(out, "  image    of record %llu: %s\n", (unsigned long long)list.v[i].index,
                   rc == 0 ? "whole" : err.msg);
        mem_free(path);
    }
    nn_images_release(&list);
}

static void report_dir(struct disk *disk, const char *path, struct buf *out)
{
    struct nn_namedir dir;
    struct err err = {0};
    buf_printf(out, "%s\n", path);
    if (nn_namedir_open(&dir, disk, path, &err) != 0) {
        buf_printf(out, "  %s\n", err.msg);
        return;
    }
    static const char *const words[] = {
        "missing", "empty", "a format that was not finished", "not a name directory", "formatted",
    };
    buf_printf(out, "  is       %s%s%s\n", words[dir.state],
               dir.state == NN_DIR_FORMATTED ? ", cluster " : "", dir.version.cluster_id);
    if (dir.state == NN_DIR_FORMATTED) {
        report_log(disk, path, out);
        report_images(disk, path, out);
    }
    nn_namedir_close(&dir);
}

void nn_recover_report(struct disk *disk, const char *const *dirs, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        report_dir(disk, dirs[i], out);
}
