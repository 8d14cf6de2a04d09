/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/home.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"

static int is_ours(void *arg, const char *name, bool is_dir)
{
    const struct home_kind *kind = arg;
    if (strcmp(name, "in_use.lock") == 0 || strcmp(name, "lost+found") == 0 ||
        strcmp(name, "VERSION.tmp") == 0)
        return 0;
    (void)is_dir;
    for (const char *const *own = kind->names; *own; own++)
        if (strcmp(name, *own) == 0)
            return 0;
    return ERR_NOTEMPTY;
}

/* A datanode has its VERSION one level below: in a directory that is no room of ours. */
static int read_fresh(struct disk *disk, const char *dir, const struct home_kind *kind,
                      struct err *err)
{
    struct home_kind look = *kind;
    int rc = disk_list(disk, dir, is_ours, &look);
    if (rc == ERR_NOTEMPTY)
        return err_set(err, rc,
                       "%s holds files but no VERSION: not the directory of a quern %s (give an "
                       "empty one)",
                       dir, kind->type);
    return rc == 0 ? 0 : err_set(err, rc, "%s: cannot read: %s", dir, err_text(rc));
}

int home_read(struct disk *disk, const char *dir, const struct home_kind *kind, struct version *ret,
              struct err *err)
{
    struct version found = {0};
    int rc = version_read(disk, dir, kind->type, kind->layout, &found, err);
    if (rc == ERR_NOENT) {
        found = (struct version){0};
        rc = read_fresh(disk, dir, kind, err);
    }
    if (rc == 0)
        *ret = found;
    return rc;
}

int home_join(struct disk *disk, const char *dir, const struct home_kind *kind,
              const char *cluster_id, const char *storage_id, const char *other,
              struct version *version, struct err *err)
{
    if (version->cluster_id[0])
        return version_check_cluster(version, dir, other, cluster_id, err);
    struct version fresh = {.layout = kind->layout, .created_ms = clock_wall_ms()};
    if (!version_id_is_ok(cluster_id))
        return err_set(err, ERR_PROTO, "%s: %s names its cluster impossibly", dir, other);
    snprintf(fresh.type, sizeof(fresh.type), "%s", kind->type);
    snprintf(fresh.cluster_id, sizeof(fresh.cluster_id), "%s", cluster_id);
    snprintf(fresh.storage_id, sizeof(fresh.storage_id), "%s", storage_id);
    int rc = version_write(disk, dir, &fresh, err);
    if (rc == 0)
        *version = fresh;
    return rc;
}
