/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/volume.h"

#include <strings.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define TYPE "datanode"

static const char *const dir_names[] = {
    [DN_DIR_FINALIZED] = "finalized", [DN_DIR_RBW] = "rbw", [DN_DIR_TMP] = "tmp"};

/* ---- entries of the configuration ---- */

static const char *const media_names[] = {[DN_MEDIA_DISK] = "DISK",
                                          [DN_MEDIA_SSD] = "SSD",
                                          [DN_MEDIA_ARCHIVE] = "ARCHIVE",
                                          [DN_MEDIA_RAM_DISK] = "RAM_DISK",
                                          [DN_MEDIA_NVDIMM] = "NVDIMM"};

const char *dn_media_name(enum dn_media media)
{
    return media_names[media];
}

static int parse_media(const char *entry, size_t len, enum dn_media *ret, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(media_names); i++) {
        if (strlen(media_names[i]) == len && strncasecmp(media_names[i], entry + 1, len) == 0) {
            *ret = (enum dn_media)i;
            return 0;
        }
    }
    return err_set(err, ERR_CONFIG,
                   "dfs.datanode.data.dir: %s: no such storage type (DISK, SSD, ARCHIVE, RAM_DISK, "
                   "NVDIMM)",
                   entry);
}

int dn_volume_entry_parse(const char *entry, enum dn_media *ret_media, const char **ret_path,
                          struct err *err)
{
    enum dn_media media = DN_MEDIA_DISK;
    const char *path = entry, *end = entry[0] == '[' ? strchr(entry, ']') : NULL;
    int rc = end ? parse_media(entry, (size_t)(end - entry) - 1, &media, err) : 0;
    if (rc != 0)
        return rc;
    if (end)
        path = end + 1;
    if (strncmp(path, "file:", 5) == 0)
        path += strncmp(path + 5, "//", 2) == 0 ? 7 : 5;
    if (path[0] == '\0')
        return err_set(err, ERR_CONFIG, "dfs.datanode.data.dir: \"%s\" names no directory", entry);
    *ret_media = media;
    *ret_path = path;
    return 0;
}

/* ---- open ---- */

struct unused_look {
    struct disk *disk;
    const char *current;
};

static int visit_current(void *arg, const char *name, bool is_dir)
{
    struct unused_look *look = arg;
    for (size_t i = 0; is_dir && i < ARRAY_LEN(dir_names); i++) {
        if (strcmp(name, dir_names[i]) != 0)
            continue;
        char *dir = fsutil_join(look->current, name);
        int rc = dir ? fsutil_is_empty_dir(look->disk, dir) : ERR_NOMEM;
        mem_free(dir);
        return rc < 0 ? rc : rc == 1 ? 0 : ERR_NOTEMPTY;
    }
    bool is_ours = strcmp(name, "node") == 0 || strcmp(name, "node.tmp") == 0 ||
                   strcmp(name, "VERSION.tmp") == 0;
    return is_ours && !is_dir ? 0 : ERR_NOTEMPTY;
}

static int visit_root(void *arg, const char *name, bool is_dir)
{
    struct unused_look *look = arg;
    if (strcmp(name, "in_use.lock") == 0 || strcmp(name, "lost+found") == 0)
        return 0;
    if (!is_dir || strcmp(name, "current") != 0)
        return ERR_NOTEMPTY;
    return disk_list(look->disk, look->current, visit_current, look);
}

/* Nothing in it but what an interrupted format may have left? 1, 0 or an error. */
static int is_unused(struct disk *disk, const char *path, const char *current)
{
    struct unused_look look = {.disk = disk, .current = current};
    int rc = disk_list(disk, path, visit_root, &look);
    return rc == 0 ? 1 : rc == ERR_NOTEMPTY ? 0 : rc;
}

static int read_fresh(struct dn_volume *v, struct err *err)
{
    int rc = is_unused(v->disk, v->path, v->current);
    if (rc < 0)
        return err_set(err, rc, "%s: cannot read: %s", v->path, err_text(rc));
    if (rc == 0)
        return err_set(err, ERR_NOTEMPTY,
                       "%s holds files but no current/VERSION: not a quern data directory (give an "
                       "empty one)",
                       v->path);
    return 0;
}

static int read_formatted(struct dn_volume *v, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(dir_names); i++) {
        struct disk_stat st;
        char *dir = fsutil_join(v->current, dir_names[i]);
        int rc = dir ? disk_stat(v->disk, dir, &st) : ERR_NOMEM;
        if (rc == 0 && !st.is_dir)
            rc = ERR_NOTDIR;
        if (rc == ERR_NOENT && i == DN_DIR_TMP)
            rc = 0; /* a start that ended while it emptied it: the scan makes it again */
        if (rc != 0)
            err_set(err, rc, "%s: cannot be used: %s", dir ? dir : v->current, err_text(rc));
        mem_free(dir);
        if (rc != 0)
            return rc;
    }
    return dn_identity_read(v->disk, v->current, &v->identity, err);
}

static struct dn_volume *volume_new(struct disk *disk, const char *entry, uint16_t index)
{
    enum dn_media media = DN_MEDIA_DISK;
    const char *path = entry;
    (void)dn_volume_entry_parse(entry, &media, &path, NULL); /* whoever opens has asked */
    struct dn_volume *v = mem_calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->disk = disk;
    v->index = index;
    v->media = media;
    v->lock = FSUTIL_LOCK_INIT;
    v->path = str_dup(path);
    v->current = fsutil_join(path, "current");
    if (v->path && v->current)
        return v;
    dn_volume_close(v);
    return NULL;
}

int dn_volume_open_failed(struct disk *disk, const char *path, uint16_t index,
                          struct dn_volume **ret)
{
    struct dn_volume *v = volume_new(disk, path, index);
    if (!v)
        return ERR_NOMEM;
    atomic_store(&v->has_failed, true);
    *ret = v;
    return 0;
}

int dn_volume_open(struct disk *disk, const char *path, uint16_t index, struct dn_volume **ret,
                   struct err *err)
{
    struct dn_volume *v = volume_new(disk, path, index);
    if (!v)
        return err_set(err, ERR_NOMEM, "%s: out of memory", path);
    path = v->path;
    int rc = fsutil_mkdirs(disk, path, err);
    if (rc == 0)
        rc = fsutil_lock(disk, path, &v->lock, err);
    if (rc == 0) {
        rc = version_read(disk, v->current, TYPE, DN_VOLUME_LAYOUT, &v->version, err);
        rc = rc == ERR_NOENT ? read_fresh(v, err) : rc == 0 ? read_formatted(v, err) : rc;
    }
    if (rc == 0) {
        rc = disk_space(disk, path, &v->space);
        if (rc != 0)
            err_set(err, rc, "%s: cannot tell its free space: %s", path, err_text(rc));
    }
    if (rc != 0) {
        dn_volume_close(v);
        return rc;
    }
    *ret = v;
    return 0;
}

void dn_volume_take_over(struct dn_volume *volume, struct dn_volume *again)
{
    fsutil_unlock(&volume->lock);
    volume->lock = again->lock;
    again->lock = FSUTIL_LOCK_INIT;
    volume->media = again->media;
    volume->version = again->version;
    volume->identity = again->identity;
    volume->space = again->space;
    volume->used = again->used;
    volume->promised = 0;
    for (size_t i = 0; i < DN_VOLUME_SUBDIRS; i++)
        atomic_store(&volume->made[i], 0);
    volume->is_suspect = volume->is_removed = false;
    atomic_store(&volume->has_failed, false);
    dn_volume_close(again);
}

void dn_volume_close(struct dn_volume *volume)
{
    if (!volume)
        return;
    fsutil_unlock(&volume->lock);
    mem_free(volume->path);
    mem_free(volume->current);
    mem_free(volume);
}

/* VERSION comes last: without it the directory is still a fresh one. */
int dn_volume_format(struct dn_volume *volume, const char *cluster_id,
                     const struct dn_identity *identity, uint64_t now_wall_ms, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(dir_names); i++) {
        char *dir = fsutil_join(volume->current, dir_names[i]);
        int rc = dir ? fsutil_mkdirs(volume->disk, dir, err)
                     : err_set(err, ERR_NOMEM, "%s: out of memory", volume->path);
        mem_free(dir);
        if (rc != 0)
            return rc;
    }
    int rc = dn_identity_write(volume->disk, volume->current, identity, err);
    if (rc != 0)
        return rc;
    struct version version = {.type = TYPE, .layout = DN_VOLUME_LAYOUT, .created_ms = now_wall_ms};
    snprintf(version.cluster_id, sizeof(version.cluster_id), "%s", cluster_id);
    version_new_id(version.storage_id);
    rc = version_write(volume->disk, volume->current, &version, err);
    if (rc != 0)
        return rc;
    volume->identity = *identity;
    volume->version = version;
    return 0;
}

/* ---- places ---- */

static unsigned outer(uint64_t block_id)
{
    return (unsigned)(block_id >> 16) % DN_VOLUME_SUBDIRS;
}

static unsigned inner(uint64_t block_id)
{
    return (unsigned)(block_id >> 8) % DN_VOLUME_SUBDIRS;
}

char *dn_volume_dir(const struct dn_volume *volume, enum dn_dir dir, uint64_t block_id)
{
    if (dir != DN_DIR_FINALIZED)
        return fsutil_join(volume->current, dir_names[dir]);
    return str_printf("%s/finalized/subdir%u/subdir%u", volume->current, outer(block_id),
                      inner(block_id));
}

int dn_volume_make_final_dir(struct dn_volume *volume, uint64_t block_id, char **ret_dir,
                             struct err *err)
{
    char *dir = dn_volume_dir(volume, DN_DIR_FINALIZED, block_id);
    if (!dir)
        return err_set(err, ERR_NOMEM, "%s: out of memory", volume->path);
    uint32_t bit = 1U << inner(block_id);
    if (!(atomic_load(&volume->made[outer(block_id)]) & bit)) {
        int rc = fsutil_mkdirs(volume->disk, dir, err);
        if (rc != 0) {
            mem_free(dir);
            return rc;
        }
        atomic_fetch_or(&volume->made[outer(block_id)], bit);
    }
    *ret_dir = dir;
    return 0;
}
