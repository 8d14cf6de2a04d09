/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/namedir.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/walmark.h"

#define TYPE "namenode"

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

static bool is_ours(const char *name)
{
    return has_prefix(name, "log.") || has_prefix(name, "image.") ||
           has_prefix(name, "watermark") || has_prefix(name, "VERSION");
}

static bool is_nobodys(const char *name)
{
    return strcmp(name, "in_use.lock") == 0 || strcmp(name, "lost+found") == 0;
}

static int look(void *arg, const char *name, bool is_dir)
{
    enum nn_dir_state *state = arg;
    if (is_nobodys(name))
        return 0;
    if (!is_dir && is_ours(name)) {
        if (*state == NN_DIR_EMPTY)
            *state = NN_DIR_UNFINISHED;
    } else {
        *state = NN_DIR_FOREIGN;
    }
    return 0;
}

static int identify(struct nn_namedir *dir, struct err *err)
{
    int rc = version_read(dir->disk, dir->path, TYPE, NN_LAYOUT, &dir->version, err);
    if (rc == 0)
        dir->state = NN_DIR_FORMATTED;
    if (rc != ERR_NOENT)
        return rc;
    dir->state = NN_DIR_EMPTY;
    rc = disk_list(dir->disk, dir->path, look, &dir->state);
    return rc ? err_set(err, rc, "%s: cannot list: %s", dir->path, err_text(rc)) : 0;
}

int nn_namedir_open(struct nn_namedir *dir, struct disk *disk, const char *path, struct err *err)
{
    struct disk_stat st;
    *dir = (struct nn_namedir){.disk = disk, .path = path, .lock = FSUTIL_LOCK_INIT};
    int rc = disk_stat(disk, path, &st);
    if (rc == ERR_NOENT)
        return 0; /* missing; whether that matters, others decide */
    if (rc != 0)
        return err_set(err, rc, "%s: cannot look at it: %s", path, err_text(rc));
    rc = fsutil_lock(disk, path, &dir->lock, err);
    if (rc == 0)
        rc = identify(dir, err);
    if (rc != 0)
        nn_namedir_close(dir);
    return rc;
}

void nn_namedir_close(struct nn_namedir *dir)
{
    fsutil_unlock(&dir->lock);
}

static int remove_file(struct nn_namedir *dir, const char *name, struct err *err)
{
    char *path = fsutil_join(dir->path, name);
    int rc = path ? disk_unlink(dir->disk, path) : ERR_NOMEM;
    mem_free(path);
    if (rc == 0 || rc == ERR_NOENT)
        return 0;
    return err_set(err, rc, "%s/%s: cannot remove: %s", dir->path, name, err_text(rc));
}

struct removing {
    struct nn_namedir *dir;
    bool (*wanted)(const char *name);
    struct err *err;
};

static int remove_wanted(void *arg, const char *name, bool is_dir)
{
    struct removing *r = arg;
    return !is_dir && r->wanted(name) ? remove_file(r->dir, name, r->err) : 0;
}

static int remove_all(struct nn_namedir *dir, bool (*wanted)(const char *name), struct err *err)
{
    struct removing r = {dir, wanted, err};
    return disk_list(dir->disk, dir->path, remove_wanted, &r);
}

int nn_namedir_clear(struct nn_namedir *dir, struct err *err)
{
    int rc = remove_file(dir, "VERSION", err);
    if (rc == 0 && (rc = disk_fsync_dir(dir->disk, dir->path)) != 0)
        err_set(err, rc, "%s: cannot fsync: %s", dir->path, err_text(rc));
    return rc == 0 ? remove_all(dir, is_ours, err) : rc;
}

int nn_namedir_finish(struct nn_namedir *dir, const char *cluster_id, uint64_t wall_ms,
                      struct err *err)
{
    struct version version = {.type = TYPE, .layout = NN_LAYOUT, .created_ms = wall_ms};
    struct walmark mark;
    snprintf(version.cluster_id, sizeof(version.cluster_id), "%s", cluster_id);
    version_new_id(version.storage_id);
    int rc = walmark_read(dir->disk, dir->path, &mark, err);
    if (rc != 0)
        return rc;
    version.log_id = mark.wal_id;
    rc = version_write(dir->disk, dir->path, &version, err);
    if (rc == 0) {
        dir->version = version;
        dir->state = NN_DIR_FORMATTED;
    }
    return rc;
}

/* A VERSION of before logs were named in it is believed; a watermark that cannot be read is told by
 * whoever opens the log. */
int nn_namedir_check_log(const struct nn_namedir *dir, struct err *err)
{
    struct walmark mark;
    struct err ignored = {0};
    if (dir->version.log_id == 0 || walmark_read(dir->disk, dir->path, &mark, &ignored) != 0 ||
        mark.wal_id == dir->version.log_id)
        return 0;
    return err_set(err, ERR_FOREIGN,
                   "%s/VERSION (of cluster %s) was not made with the log beside it: bring back the "
                   "one that was",
                   dir->path, dir->version.cluster_id);
}

static bool is_unfinished_image(const char *name)
{
    return has_prefix(name, "image.") && (has_suffix(name, ".new") || has_suffix(name, ".tmp"));
}

int nn_namedir_tidy(struct nn_namedir *dir, struct err *err)
{
    return remove_all(dir, is_unfinished_image, err);
}

int nn_namedir_refuse(const struct nn_namedir *dir, struct err *err)
{
    if (dir->state == NN_DIR_FORMATTED)
        return err_set(err, ERR_EXIST,
                       "%s is formatted already (cluster %s): with -force everything in it is lost",
                       dir->path, dir->version.cluster_id);
    return err_set(err, ERR_EXIST, "%s holds other files: choose an empty directory, or use -force",
                   dir->path);
}
