/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/trash.h"

#include <inttypes.h>

#include "client/lib/server.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define CURRENT "Current"
#define TRIES   100

/* The interval in ms; 0 = none. Local files have no trash. */
static uint64_t interval_of(struct fs_volume *volume)
{
    struct qn_error ignored;
    uint64_t ms = 0;
    if (!volume->qn || cl_trash_interval(volume->qn, &ms, &ignored) != 0)
        return 0;
    return ms;
}

/* Why it is not moved, and what to do. */
static void consider(struct fs_answer *ret, const char *why)
{
    ret->rc = ERR_FAILED;
    ret->text = str_printf("%s. Consider using -skipTrash option", why);
}

/* `base` itself if it is free, else with the time behind it. mem_free it. */
static char *free_name(struct fs_volume *volume, const char *base)
{
    char *path = str_dup(base);
    struct qn_stat stat;
    struct qn_error err;
    while (path && volume->ops->stat(volume, path, &stat, &err) == 0) {
        volume->ops->stat_release(&stat);
        mem_free(path);
        path = str_printf("%s%" PRIu64, base, clock_wall_ms());
    }
    return path;
}

static void move(struct fs_item *item, const char *target, struct fs_answer *ret)
{
    struct fs_volume *volume = item->volume;
    struct qn_error *err = &ret->err;
    char *parent = slice_dup(path_parent(slice_str(target)));
    char *path = free_name(volume, target);
    int rc = parent && path ? qn_mkdir(volume->qn, parent, 0700, true, err) : fs_out_of_memory(err);
    if (rc == 0)
        rc = volume->ops->rename(volume, item->path, path, false, err);
    if (rc == 0) {
        ret->rc = FS_TRASH_MOVED;
        ret->text = str_printf("Moved: '%s%s' to trash at: %s%s", volume->uri, item->path,
                               volume->uri, path);
    } else {
        consider(ret, err->message);
    }
    mem_free(parent);
    mem_free(path);
}

static void refuse_ancestor(const struct fs_item *item, struct fs_answer *ret)
{
    char *uri = fs_item_uri(item);
    char *why = str_printf("Cannot move \"%s\" to the trash, as it contains the trash",
                           uri ? uri : item->text);
    consider(ret, why ? why : err_text(ERR_NOMEM));
    mem_free(why);
    mem_free(uri);
}

void fs_trash_take(struct fs_item *item, struct fs_answer *ret)
{
    ret->rc = 0;
    if (interval_of(item->volume) == 0)
        return;
    char *trash = str_printf("%s/.Trash", item->volume->home);
    char *target = trash ? str_printf("%s/" CURRENT "%s", trash, item->path) : NULL;
    if (!target)
        consider(ret, err_text(ERR_NOMEM));
    else if (path_is_under(slice_str(item->path), slice_str(trash)))
        ret->rc = 0; /* it lies there already: now it goes */
    else if (path_is_under(slice_str(trash), slice_str(item->path)))
        refuse_ancestor(item, ret);
    else
        move(item, target, ret);
    mem_free(trash);
    mem_free(target);
}

/* --- expunge ---------------------------------------------------------------------------------- */

int fs_trash_parse_name(const char *name, int64_t *ret_ms)
{
    struct tm tm = {.tm_isdst = -1};
    int used = 0;
    if (sscanf(name, "%2d%2d%2d%2d%2d%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec, &used) != 6 ||
        used != 12 || (name[12] && name[12] != '-'))
        return ERR_INVAL;
    tm.tm_year += 100; /* this century */
    tm.tm_mon -= 1;
    time_t t = mktime(&tm);
    if (t == (time_t)-1)
        return ERR_INVAL;
    *ret_ms = (int64_t)t * 1000;
    return 0;
}

/* Current becomes a checkpoint, named by the time. */
static int make_checkpoint(struct fs_run *run, struct fs_volume *volume, const char *trash)
{
    struct qn_error err;
    char stamp[80], from[4096], to[4096];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    if (!localtime_r(&now, &tm))
        return fs_fail(run, "the time is no time");
    snprintf(stamp, sizeof(stamp), "%02d%02d%02d%02d%02d%02d", tm.tm_year % 100, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    snprintf(from, sizeof(from), "%s/" CURRENT, trash);
    snprintf(to, sizeof(to), "%s/%s", trash, stamp);
    for (int i = 1; i <= TRIES; i++) {
        int rc = volume->ops->rename(volume, from, to, false, &err);
        if (rc == 0)
            fprintf(stderr, "Created trash checkpoint: %s%s\n", volume->uri, to);
        if (rc == 0 || rc == ERR_NOENT)
            return 0;
        if (rc != ERR_EXIST)
            break;
        snprintf(to, sizeof(to), "%s/%s-%d", trash, stamp, i);
    }
    return fs_fail_error(run, from, &err);
}

static int delete_old(struct fs_run *run, struct fs_item *trash, int64_t before_ms)
{
    struct fs_items entries = {0};
    int rc = fs_list(run, trash, &entries);
    for (size_t i = 0; rc == 0 && i < entries.n; i++) {
        struct qn_error err;
        int64_t made_ms = 0;
        const char *path = entries.v[i].path;
        struct slice name = path_name(slice_str(path));
        if (fs_trash_parse_name((const char *)name.data, &made_ms) != 0 || made_ms >= before_ms)
            continue;
        if (trash->volume->ops->remove(trash->volume, path, true, &err) < 0)
            rc = fs_fail_error(run, entries.v[i].text, &err);
        else
            fprintf(stderr, "Deleted trash checkpoint: %s%s\n", trash->volume->uri, path);
    }
    fs_items_release(&entries);
    return rc;
}

int fs_trash_expunge(struct fs_run *run, struct fs_volume *volume, bool immediately)
{
    struct qn_error err;
    struct fs_item trash;
    uint64_t interval_ms = interval_of(volume);
    if (interval_ms == 0)
        return 0;
    char *path = str_printf("%s/.Trash", volume->home);
    int rc = path ? fs_item_init(&trash, volume, path, &err) : fs_out_of_memory(&err);
    mem_free(path);
    if (rc != 0)
        return fs_fail_error(run, ".Trash", &err);
    rc = fs_item_refresh(&trash, &err);
    if (rc != 0)
        rc = fs_fail_error(run, trash.text, &err);
    int64_t now_ms = (int64_t)clock_wall_ms();
    if (rc == 0 && trash.exists && immediately)
        rc = make_checkpoint(run, volume, trash.path);
    if (rc == 0 && trash.exists)
        rc = delete_old(run, &trash, immediately ? INT64_MAX : now_ms - (int64_t)interval_ms);
    if (rc == 0 && trash.exists && !immediately)
        rc = make_checkpoint(run, volume, trash.path);
    fs_item_release(&trash);
    return rc;
}
