/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/walscan.h"

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"

#define READ_PIECE (1U << 20)

static int note_name(void *arg, const char *name, bool is_dir)
{
    struct walscan *scan = arg;
    uint64_t first;
    if (is_dir)
        return 0;
    if (strcmp(name, WALMARK_FILE) == 0) {
        scan->has_watermark = true;
    } else if (walfile_name_parse(name, &first)) {
        if (mem_grow(&scan->firsts, &scan->segment_cap, scan->segments, sizeof(first)) != 0)
            return ERR_NOMEM;
        scan->firsts[scan->segments++] = first;
    } else if (strncmp(name, "log.", 4) == 0) {
        scan->has_leftovers = true;
    }
    return 0;
}

static void sort_firsts(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t at = i;
        for (; at && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

int walscan_list(struct walscan *scan, struct disk *disk, const char *dir, struct err *err)
{
    *scan = (struct walscan){.disk = disk, .dir = dir};
    int rc = disk_list(disk, dir, note_name, scan);
    if (rc != 0) {
        err_set(err, rc, "%s: cannot list: %s", dir, err_text(rc));
        walscan_release(scan);
        return rc;
    }
    sort_firsts(scan->firsts, scan->segments);
    return 0;
}

/* Append the bytes from `off` on; `size` is the file's. */
static int read_piece(const struct walscan *scan, int fd, uint64_t off, uint64_t size,
                      struct buf *out)
{
    size_t len = size - off < READ_PIECE ? (size_t)(size - off) : READ_PIECE;
    size_t zeros = (size_t)off - out->len;
    uint8_t *to = buf_reserve(out, zeros + len);
    if (!to)
        return ERR_NOMEM;
    memset(to, 0, zeros);
    int64_t n = disk_pread(scan->disk, fd, to + zeros, len, off);
    if (n < 0)
        return (int)n;
    out->len += zeros + (size_t)n;
    return (size_t)n == len ? 0 : ERR_IO; /* it was longer a moment ago */
}

/* One block of what was left out, in case the last checksum ends in zeros there. */
static int add_zeros(struct buf *out, uint64_t size)
{
    size_t n = size - out->len < WALFILE_BLOCK ? (size_t)(size - out->len) : WALFILE_BLOCK;
    uint8_t *to = buf_reserve(out, n);
    if (!to)
        return ERR_NOMEM;
    memset(to, 0, n);
    out->len += n;
    return 0;
}

static int read_data(const struct walscan *scan, int fd, struct buf *out)
{
    struct disk_stat st;
    int rc = disk_stat_fd(scan->disk, fd, &st);
    if (rc == 0 && st.size_bytes > WALFILE_SIZE_MAX)
        rc = ERR_TOOBIG;
    while (rc == 0 && out->len < st.size_bytes) {
        int64_t off = disk_next_data(scan->disk, fd, out->len);
        if (off < 0)
            return (int)off;
        if ((uint64_t)off >= st.size_bytes)
            return add_zeros(out, st.size_bytes);
        rc = read_piece(scan, fd, (uint64_t)off, st.size_bytes, out);
    }
    return rc;
}

int walscan_load_path(const struct walscan *scan, const char *path, struct buf *out,
                      struct err *err)
{
    int fd = -1;
    buf_clear(out);
    int rc = disk_open(scan->disk, path, DISK_READ, &fd);
    if (rc == 0)
        rc = read_data(scan, fd, out);
    disk_close(scan->disk, fd);
    return rc ? err_set(err, rc, "%s: cannot read: %s", path, err_text(rc)) : 0;
}

int walscan_load(const struct walscan *scan, uint64_t first, struct buf *out, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    char *path = fsutil_join(scan->dir, walfile_name(name, first));
    if (!path)
        return err_set(err, ERR_NOMEM, "%s: out of memory", scan->dir);
    int rc = walscan_load_path(scan, path, out, err);
    mem_free(path);
    return rc;
}

static int damaged(struct walscan *scan, const char *why)
{
    return err_set(&scan->damage, ERR_CORRUPT, "%s/%s: %s", scan->dir, scan->where, why);
}

/* The head must fit its name, the log, and (but for the first segment read) the chain. */
static int check_head(struct walscan *scan, struct slice file, size_t i, bool is_first)
{
    struct walfile_head head;
    int rc = walfile_head_decode(file, &head);
    if (rc == ERR_VERSION)
        return err_set(&scan->damage, rc, "%s/%s was written by a newer quern: run that one",
                       scan->dir, scan->where);
    if (rc != 0)
        return damaged(scan, "its head is damaged: this is bit rot, not a crash");
    if (head.wal_id != scan->wal_id)
        return err_set(&scan->damage, ERR_FOREIGN, "%s/%s belongs to another log: wrong directory",
                       scan->dir, scan->where);
    if (head.first_index != scan->firsts[i])
        return damaged(scan, "its name and its contents do not fit: it may have been renamed");
    if (is_first) {
        scan->last = head.first_index - 1;
        scan->last_crc = head.prev_crc;
        scan->last_term = head.prev_term;
    } else if (head.prev_crc != scan->last_crc) {
        return damaged(scan, "it does not continue the segment before it");
    }
    return 0;
}

static bool is_zero(struct slice file, uint64_t off)
{
    off = walfile_skip_zeros(file, off);
    while (off < file.len && file.data[off] == 0)
        off++;
    return off >= file.len;
}

int walscan_is_unborn(const struct walscan *scan, struct err *err)
{
    struct buf file = BUF_INIT;
    if (scan->has_watermark || scan->segments > 1)
        return 0;
    int rc = scan->segments ? walscan_load(scan, scan->firsts[0], &file, err) : 0;
    bool is_unborn = is_zero(buf_slice(&file), WALFILE_BLOCK);
    buf_release(&file);
    return rc ? rc : is_unborn;
}

/* Good records from the head on. 0, or what the visitor wants. */
static int read_records(struct walscan *scan, struct slice file, uint64_t from, wal_visit_fn visit,
                        void *arg)
{
    struct walfile_at at;
    while (walfile_read(file, scan->end_off, &at)) {
        if (at.record.index != scan->last + 1 || at.prev_crc != scan->last_crc) {
            damaged(scan, "a whole record stands in the wrong place");
            return 0;
        }
        scan->last = at.record.index;
        scan->last_term = at.record.term;
        scan->last_crc = at.crc;
        scan->last_off = scan->end_off;
        scan->end_off = at.next_off;
        int rc = visit && at.record.index >= from ? visit(arg, &at.record) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

int walscan_read_one(struct walscan *scan, struct slice file, uint64_t from, wal_visit_fn visit,
                     void *arg)
{
    struct walfile_head head;
    BUG_ON(walfile_head_decode(file, &head) != 0);
    scan->last = head.first_index - 1;
    scan->last_crc = head.prev_crc;
    scan->end_off = WALFILE_BLOCK;
    int rc = read_records(scan, file, from, visit, arg);
    scan->is_torn = !is_zero(file, scan->end_off);
    scan->proven = walfile_proof_behind(file, scan->end_off);
    return rc;
}

static void raise_proven(struct walscan *scan, uint64_t index)
{
    if (index > scan->proven)
        scan->proven = index;
}

/* The good records ended in segment i: what lies behind them? */
static int look_behind(struct walscan *scan, struct buf *file, size_t i, struct err *err)
{
    raise_proven(scan, walfile_proof_behind(buf_slice(file), scan->end_off));
    for (i++; i < scan->segments; i++) {
        raise_proven(scan, scan->firsts[i] - 1);
        int rc = walscan_load(scan, scan->firsts[i], file, err);
        if (rc != 0)
            return rc;
        raise_proven(scan, walfile_proof_behind(buf_slice(file), WALFILE_BLOCK - 8));
    }
    return 0;
}

static int read_segment(struct walscan *scan, struct slice file, size_t i, bool is_first)
{
    walfile_name(scan->where, scan->firsts[i]);
    if (check_head(scan, file, i, is_first) != 0)
        return 0;
    scan->last_segment = i;
    scan->last_off = 0;
    scan->end_off = WALFILE_BLOCK;
    return 1;
}

int walscan_read(struct walscan *scan, const struct walmark *mark, uint64_t from,
                 wal_visit_fn visit, void *arg, struct err *err)
{
    struct buf file = BUF_INIT;
    size_t start = 0;
    int rc = 0;
    scan->wal_id = mark->wal_id;
    scan->proven = mark->acknowledged;
    scan->last = mark->first - 1;
    while (start + 1 < scan->segments && scan->firsts[start + 1] <= mark->first)
        start++;
    walfile_name(scan->where, mark->first);
    if (scan->segments == 0 || scan->firsts[start] > mark->first)
        damaged(scan, "it is missing");
    for (size_t i = start; scan->damage.code == 0 && i < scan->segments; i++) {
        rc = walscan_load(scan, scan->firsts[i], &file, err);
        if (rc != 0 || !read_segment(scan, buf_slice(&file), i, i == start))
            break;
        rc = read_records(scan, buf_slice(&file), from, visit, arg);
        bool goes_on = i + 1 < scan->segments && scan->firsts[i + 1] == scan->last + 1;
        if (rc != 0 || goes_on)
            continue;
        if (i + 1 < scan->segments && scan->firsts[i + 1] <= scan->last)
            damaged(scan, "it goes on beyond the beginning of the next segment");
        scan->is_torn = !is_zero(buf_slice(&file), scan->end_off);
        rc = look_behind(scan, &file, i, err);
        break;
    }
    buf_release(&file);
    return rc;
}

int walscan_verdict(const struct walscan *scan, uint64_t proven, const char *advice,
                    struct err *err)
{
    const char *dot = advice ? ". " : "";
    advice = advice ? advice : "";
    if (scan->damage.code != 0)
        return err_set(err, scan->damage.code, "%s. Nothing was changed%s%s", scan->damage.msg, dot,
                       advice);
    if (scan->last >= proven)
        return 0;
    const char *why = !scan->is_torn                  ? "is missing, and it was durable once"
                      : scan->proven > scan->last + 1 ? "is damaged with good records after it"
                                                      : "is damaged, and it was acknowledged";
    return err_set(err, ERR_CORRUPT,
                   "%s/%s: record %llu %s: this is bit rot, not a crash. Nothing was changed%s%s",
                   scan->dir, scan->where, (unsigned long long)(scan->last + 1), why, dot, advice);
}

void walscan_release(struct walscan *scan)
{
    mem_free(scan->firsts);
    scan->firsts = NULL;
    scan->segments = scan->segment_cap = 0;
}
