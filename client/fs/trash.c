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
#define AGAIN   1
#define MOVES   10 /* names that are taken, checkpoints made meanwhile */

/* The interval in ms; 0 = none. Local files have no trash. Who does not know it must not delete. */
static int interval_of(struct fs_volume *volume, uint64_t *ret_ms, struct qn_error *err)
{
    *ret_ms = 0;
    return volume->qn ? cl_trash_interval(volume->qn, ret_ms, err) : 0;
}

/* Why it is not moved. */
static void refuse(struct fs_answer *ret, char *why)
{
    ret->rc = ERR_FAILED;
    ret->text = why ? why : str_dup(err_text(ERR_NOMEM));
}

static bool is_there(struct fs_volume *volume, const char *path, bool *ret_is_dir)
{
    struct qn_stat stat;
    struct qn_error err;
    if (volume->ops->stat(volume, path, &stat, &err) != 0)
        return false;
    *ret_is_dir = stat.is_dir;
    volume->ops->stat_release(&stat);
    return true;
}

/* `base` itself if it is free, else with the time behind it. mem_free it. */
static char *free_name(struct fs_volume *volume, const char *base)
{
    char *path = str_dup(base);
    bool is_dir;
    while (path && is_there(volume, path, &is_dir)) {
        mem_free(path);
        path = str_printf("%s%" PRIu64, base, clock_wall_ms());
    }
    return path;
}

/* A file that was removed lies where `target` needs a directory: what begins like it gets the time
 * behind that name. NULL when it is not such a file; else mem_free it. */
static char *beside_a_file(struct fs_volume *volume, const char *target, const char *current)
{
    struct slice at = path_parent(slice_str(target));
    while (at.len > strlen(current)) {
        char *path = slice_dup(at);
        bool is_dir = true, exists = path && is_there(volume, path, &is_dir);
        mem_free(path);
        if (exists)
            return is_dir ? NULL
                          : str_printf(SLICE_FMT "%" PRIu64 "%s", SLICE_ARG(at), clock_wall_ms(),
                                       target + at.len);
        at = path_parent(at);
    }
    return NULL;
}

/* Once; AGAIN when something came in between. *path is where to, and becomes where it lies now:
 * free names are found, and the emptier may have taken the directories that were made a moment ago.
 */
static int try_move(struct fs_item *item, const char *current, char **path, struct qn_error *err)
{
    struct fs_volume *volume = item->volume;
    char *parent = slice_dup(path_parent(slice_str(*path))), *aside, *name;
    int rc = parent ? qn_mkdir(volume->qn, parent, 0700, true, err) : fs_out_of_memory(err);
    mem_free(parent);
    if ((rc == ERR_NOTDIR || rc == ERR_EXIST) && (aside = beside_a_file(volume, *path, current))) {
        mem_free(*path);
        *path = aside;
        return AGAIN;
    }
    if (rc != 0)
        return rc;
    name = free_name(volume, *path);
    if (!name)
        return fs_out_of_memory(err);
    mem_free(*path);
    *path = name;
    rc = volume->ops->rename(volume, item->path, *path, false, err);
    return rc == ERR_NOENT || rc == ERR_EXIST ? AGAIN : rc;
}

/* Takes `path`, below the directory `current`. */
static void move(struct fs_item *item, const char *current, char *path, struct fs_answer *ret)
{
    struct fs_volume *volume = item->volume;
    int rc = AGAIN;
    for (int i = 0; i < MOVES && rc == AGAIN; i++)
        rc = try_move(item, current, &path, &ret->err);
    if (rc == 0) {
        ret->rc = FS_TRASH_MOVED;
        ret->text = str_printf("Moved: '%s%s' to trash at: %s%s", volume->uri, item->path,
                               volume->uri, path);
    } else {
        refuse(ret, str_printf("Failed to move %s%s to trash %s%s: %s", volume->uri, item->path,
                               volume->uri, path, ret->err.message));
    }
    mem_free(path);
}

static void refuse_ancestor(const struct fs_item *item, struct fs_answer *ret)
{
    char *uri = fs_item_uri(item);
    refuse(ret, str_printf("Cannot move \"%s\" to the trash, as it contains the trash. Consider "
                           "using -skipTrash option",
                           uri ? uri : item->text));
    mem_free(uri);
}

void fs_trash_take(struct fs_item *item, struct fs_answer *ret)
{
    uint64_t interval_ms;
    ret->rc = interval_of(item->volume, &interval_ms, &ret->err);
    if (ret->rc != 0 || interval_ms == 0)
        return;
    char *trash = str_printf("%s/.Trash", item->volume->home);
    char *current = trash ? str_printf("%s/" CURRENT, trash) : NULL;
    char *target = current ? str_printf("%s%s", current, item->path) : NULL;
    if (!target)
        refuse(ret, NULL);
    else if (path_is_under(slice_str(item->path), slice_str(trash)))
        ret->rc = 0; /* it lies there already: now it goes */
    else if (path_is_under(slice_str(trash), slice_str(item->path)))
        refuse_ancestor(item, ret);
    else
        move(item, current, str_dup(target), ret);
    mem_free(trash);
    mem_free(current);
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
    bool is_dir;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    if (!localtime_r(&now, &tm))
        return fs_fail(run, "the time is no time");
    snprintf(stamp, sizeof(stamp), "%02d%02d%02d%02d%02d%02d", tm.tm_year % 100, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    snprintf(from, sizeof(from), "%s/" CURRENT, trash);
    snprintf(to, sizeof(to), "%s/%s", trash, stamp);
    if (!is_there(volume, from, &is_dir))
        return 0;
    for (int i = 1; i <= TRIES; i++) {
        int rc = volume->ops->rename(volume, from, to, false, &err);
        if (rc == 0)
            fprintf(stderr, "Created trash checkpoint: %s\n", to);
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
        bool is_known = fs_trash_parse_name((const char *)name.data, &made_ms) == 0;
        if (!is_known && !slice_is(name, CURRENT))
            fprintf(stderr, "Unexpected item in trash: %s. Ignoring.\n", path);
        if (!is_known || made_ms >= before_ms)
            continue;
        if (trash->volume->ops->remove(trash->volume, path, true, &err) < 0)
            rc = fs_fail_error(run, entries.v[i].text, &err);
        else
            fprintf(stderr, "Deleted trash checkpoint: %s\n", path);
    }
    fs_items_release(&entries);
    return rc;
}

int fs_trash_expunge(struct fs_run *run, struct fs_volume *volume, bool immediately)
{
    struct qn_error err;
    struct fs_item trash;
    uint64_t interval_ms;
    if (!volume->qn)
        return 0;
    int rc = interval_of(volume, &interval_ms, &err); /* 0: what lies there lies there too long */
    char *path = str_printf("%s/.Trash", volume->home);
    if (rc == 0)
        rc = path ? fs_item_init(&trash, volume, path, &err) : fs_out_of_memory(&err);
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
