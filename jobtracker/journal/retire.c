/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/journal/retire.h"

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"

struct retiring {
    struct disk *disk;
    const char *dir;
    uint64_t before_wall_ms;
    const struct slice *kept;
    size_t kept_count;
    size_t left;
};

static bool is_kept(const struct retiring *r, const char *name)
{
    for (size_t i = 0; i < r->kept_count; i++)
        if (slice_eq(r->kept[i], slice_str(name)))
            return true;
    return false;
}

static int retire_file(void *arg, const char *name, bool is_dir)
{
    struct retiring *r = arg;
    struct disk_stat st;
    if (is_dir || is_kept(r, name))
        return 0;
    char *path = fsutil_join(r->dir, name);
    int rc = path ? disk_stat(r->disk, path, &st) : ERR_NOMEM;
    if (rc == 0 && st.mtime_ms < r->before_wall_ms) {
        rc = disk_unlink(r->disk, path);
        r->left += rc == 0;
    }
    if (rc != 0)
        log_warn("jt.retire", "%s stays: %s", path ? path : name, err_text(rc));
    mem_free(path);
    return 0;
}

size_t retire_old(struct disk *disk, const char *dir, uint64_t before_wall_ms,
                  const struct slice *kept, size_t kept_count)
{
    struct retiring r = {disk, dir, before_wall_ms, kept, kept_count, 0};
    int rc = disk_list(disk, dir, retire_file, &r);
    if (rc != 0)
        log_warn("jt.retire", "cannot list %s: %s", dir, err_text(rc));
    return r.left;
}
