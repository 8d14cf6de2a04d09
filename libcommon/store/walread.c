/* SPDX-License-Identifier: Apache-2.0
 * walread: records out of a log: for a replay, and for tools that look at a directory or at one
 * segment without changing anything. */
#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "libcommon/store/walscan.h"
#include "libcommon/store/walstate.h"

int wal_replay(struct wal *wal, uint64_t from, wal_visit_fn visit, void *arg, struct err *err)
{
    struct walscan scan;
    size_t i = 0;
    while (!wal->dirs[i].alive)
        i++;
    int rc = walscan_list(&scan, wal->disk, wal->dirs[i].path, err);
    if (rc != 0)
        return rc;
    rc = walscan_read(&scan, &wal->mark, from, visit, arg, err);
    if (rc == 0)
        rc = walscan_verdict(&scan, wal->durable, NULL, err);
    walscan_release(&scan);
    return rc;
}

static int inspect_dir(struct disk *disk, const char *dir, const struct wal_inspection *what,
                       struct wal_report *ret, struct err *err)
{
    struct walscan scan;
    struct walmark mark;
    int rc = walmark_read(disk, dir, &mark, err);
    if (rc == ERR_NOENT)
        return err_set(err, rc, "%s holds no log", dir);
    if (rc == 0)
        rc = walscan_list(&scan, disk, dir, err);
    if (rc != 0)
        return rc;
    rc = walscan_read(&scan, &mark, what->from, what->visit, what->arg, err);
    *ret = (struct wal_report){
        .wal_id = mark.wal_id,
        .first = mark.first,
        .last = scan.last,
        .acknowledged = mark.acknowledged,
        .segments = scan.segments,
        .torn = scan.is_torn,
    };
    if (rc == 0)
        rc = walscan_verdict(&scan, scan.proven, NULL, err);
    walscan_release(&scan);
    return rc;
}

/* One segment, maybe copied away from its log: judged by itself, without a watermark. */
static int inspect_file(struct disk *disk, const char *path, const struct wal_inspection *what,
                        struct wal_report *ret, struct err *err)
{
    struct buf file = BUF_INIT;
    struct walfile_head head;
    struct walscan scan = {.disk = disk, .dir = path};
    int rc = walscan_load_path(&scan, path, &file, err);
    if (rc == 0 && (rc = walfile_head_decode(buf_slice(&file), &head)) != 0)
        err_set(err, rc, "%s: %s", path,
                rc == ERR_VERSION ? "written by a newer quern: run that one"
                                  : "not a segment of a log, or its head is damaged");
    if (rc == 0) {
        rc = walscan_read_one(&scan, buf_slice(&file), what->from, what->visit, what->arg);
        *ret = (struct wal_report){.wal_id = head.wal_id,
                                   .first = head.first_index,
                                   .last = scan.last,
                                   .segments = 1,
                                   .torn = scan.is_torn};
    }
    if (rc == 0 && (scan.damage.code != 0 || scan.last < scan.proven))
        rc = err_set(err, ERR_CORRUPT, "%s: record %llu is damaged with good records after it",
                     path, (unsigned long long)(scan.last + 1));
    buf_release(&file);
    return rc;
}

int wal_inspect(struct disk *disk, const char *path, const struct wal_inspection *what,
                struct wal_report *ret_report, struct err *err)
{
    struct disk_stat st;
    struct wal_report unread;
    int rc = disk_stat(disk, path, &st);
    if (rc != 0)
        return err_set(err, rc, "%s: cannot read: %s", path, err_text(rc));
    return (st.is_dir ? inspect_dir : inspect_file)(disk, path, what,
                                                    ret_report ? ret_report : &unread, err);
}
