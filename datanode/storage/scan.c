/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/scan.h"

#include <inttypes.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"

/* One file seen. Sorted by block; the files of one block are then next to each other. */
struct seen {
    uint64_t id, gs;
    enum dn_dir dir;
    enum dn_name_kind kind;
    bool is_dir;
};

struct scan {
    struct dn_volume *volume;
    struct seen *seen;
    size_t count, cap;
    enum dn_dir dir; /* being listed */
    struct dn_scan_result *result;
};

/* ---- listing ---- */

static int path_of(const struct scan *s, const struct seen *f, enum dn_dir where, char **ret)
{
    struct dn_block_paths paths;
    char *dir = dn_volume_dir(s->volume, where, f->id);
    int rc = dir ? dn_block_paths_make(dir, f->id, f->gs, &paths) : ERR_NOMEM;
    mem_free(dir);
    if (rc != 0)
        return rc;
    if (f->kind == DN_NAME_UNFINISHED)
        *ret = str_printf("%s.tmp", paths.sums);
    else
        *ret = str_dup(f->kind == DN_NAME_DATA ? paths.data : paths.sums);
    dn_block_paths_release(&paths);
    return *ret ? 0 : ERR_NOMEM;
}

static int note_file(void *arg, const char *name, bool is_dir)
{
    struct scan *s = arg;
    struct seen seen = {.dir = s->dir, .is_dir = is_dir};
    if (!dn_block_name_parse(name, &seen.kind, &seen.id, &seen.gs))
        return 0;
    int rc = mem_grow(&s->seen, &s->cap, s->count, sizeof(*s->seen));
    if (rc == 0)
        s->seen[s->count++] = seen;
    return rc;
}

/* What was listed from `first` on without the directories, which block nothing any more. */
static int set_aside(struct scan *s, size_t first)
{
    int rc = 0;
    size_t kept = first;
    for (size_t i = first; i < s->count && rc == 0; i++) {
        char *path = NULL;
        if (!s->seen[i].is_dir) {
            s->seen[kept++] = s->seen[i];
            continue;
        }
        rc = path_of(s, &s->seen[i], s->seen[i].dir, &path);
        if (rc == 0)
            (void)dn_settle_set_aside(s->volume->disk, path);
        mem_free(path);
    }
    s->count = kept;
    return rc;
}

static int list_one(struct scan *s, enum dn_dir dir, const char *path, struct err *err)
{
    size_t first = s->count;
    s->dir = dir;
    int rc = disk_list(s->volume->disk, path, note_file, s);
    if (rc == 0)
        rc = set_aside(s, first);
    if (rc == 0 || rc == ERR_NOENT)
        return 0;
    return err_set(err, rc, "%s: cannot read: %s", path, err_text(rc));
}

/* The 32 x 32 directories by their names: what is beside them is none of ours. */
static int list_finalized(struct scan *s, struct err *err)
{
    for (uint64_t outer = 0; outer < DN_VOLUME_SUBDIRS; outer++) {
        struct disk_stat st;
        char *top = str_printf("%s/finalized/subdir%" PRIu64, s->volume->current, outer);
        int rc = top ? disk_stat(s->volume->disk, top, &st) : ERR_NOMEM;
        mem_free(top);
        if (rc == ERR_NOENT)
            continue;
        if (rc != 0)
            return err_set(err, rc, "%s: cannot read: %s", s->volume->current, err_text(rc));
        for (uint64_t inner = 0; inner < DN_VOLUME_SUBDIRS; inner++) {
            char *dir = dn_volume_dir(s->volume, DN_DIR_FINALIZED, outer << 16 | inner << 8);
            rc = dir ? list_one(s, DN_DIR_FINALIZED, dir, err) : ERR_NOMEM;
            mem_free(dir);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

static int list_plain(struct scan *s, enum dn_dir which, struct err *err)
{
    char *dir = dn_volume_dir(s->volume, which, 0);
    int rc = dir ? list_one(s, which, dir, err)
                 : err_set(err, ERR_NOMEM, "%s: out of memory", s->volume->path);
    mem_free(dir);
    return rc;
}

/* ---- putting right ---- */

static int drop(struct scan *s, const struct seen *f)
{
    char *path = NULL;
    int rc = path_of(s, f, f->dir, &path);
    if (rc == 0)
        rc = disk_unlink(s->volume->disk, path);
    mem_free(path);
    s->result->repaired++;
    return rc == ERR_NOENT ? 0 : rc;
}

/* Back to where it was being written. */
static int take_back(struct scan *s, struct seen *f)
{
    if (f->dir == DN_DIR_RBW)
        return 0;
    char *from = NULL, *to = NULL, *dir = dn_volume_dir(s->volume, DN_DIR_RBW, f->id);
    int rc = path_of(s, f, f->dir, &from);
    if (rc == 0)
        rc = path_of(s, f, DN_DIR_RBW, &to);
    if (rc == 0)
        rc = disk_rename(s->volume->disk, from, to);
    if (rc == 0)
        rc = dir ? disk_fsync_dir(s->volume->disk, dir) : ERR_NOMEM;
    if (rc == 0)
        f->dir = DN_DIR_RBW;
    s->result->repaired++;
    mem_free(from);
    mem_free(to);
    mem_free(dir);
    return rc;
}

/* ---- judging one block ---- */

static int stat_file(struct scan *s, const struct seen *f, uint64_t *ret_bytes)
{
    struct disk_stat st;
    char *path = NULL;
    int rc = path_of(s, f, f->dir, &path);
    if (rc == 0)
        rc = disk_stat(s->volume->disk, path, &st);
    mem_free(path);
    if (rc == 0)
        *ret_bytes = st.size_bytes;
    return rc;
}

static int keep(struct scan *s, const struct dn_replica *replica)
{
    struct dn_scan_result *r = s->result;
    int rc = mem_grow(&r->replicas, &r->cap, r->count, sizeof(*r->replicas));
    if (rc != 0)
        return rc;
    r->replicas[r->count++] = *replica;
    r->bytes +=
        replica->len + DN_SUM_OFF + chunksum_count(replica->len, DN_SUM_CHUNK) * DN_SUM_BYTES;
    return 0;
}

/* What a replica is after the process that had it in this state ended. */
static uint8_t restarted(enum dn_replica_state state)
{
    BUG_ON(dn_replica_next(state, state, DN_EVENT_RESTART, &state) != 0);
    return (uint8_t)state;
}

static int keep_finalized(struct scan *s, const struct seen *data, const struct seen *sums)
{
    uint64_t data_bytes = 0, sums_bytes = 0;
    int rc = stat_file(s, data, &data_bytes);
    if (rc == 0)
        rc = stat_file(s, sums, &sums_bytes);
    if (rc != 0)
        return rc;
    struct dn_replica replica = {.id = data->id,
                                 .gs = sums->gs,
                                 .len = data_bytes,
                                 .volume = s->volume->index,
                                 .state = restarted(DN_REPLICA_FINALIZED)};
    replica.is_bad =
        sums_bytes != DN_SUM_OFF + chunksum_count(data_bytes, DN_SUM_CHUNK) * DN_SUM_BYTES;
    return keep(s, &replica);
}

/* What was being written is as long as its checksums say; with a checksum file that is none, it has
 * no byte that anybody could vouch for. */
static int keep_written(struct scan *s, const struct seen *data, const struct seen *sums)
{
    struct dn_replica replica = {.id = data->id,
                                 .gs = sums->gs,
                                 .volume = s->volume->index,
                                 .state = restarted(DN_REPLICA_RBW)};
    struct dn_blockfile *file = NULL;
    struct err err = {0};
    char *dir = dn_volume_dir(s->volume, DN_DIR_RBW, data->id);
    struct dn_blockfile_new what = {.dir = dir, .id = data->id, .gs = sums->gs};
    int rc = dir ? dn_blockfile_open(s->volume->disk, &what, DISK_READ, &file, &err) : ERR_NOMEM;
    if (rc == 0) {
        rc = dn_settle_verify(file, UINT64_MAX, &err);
        replica.len = file->len;
    }
    dn_blockfile_close(file);
    mem_free(dir);
    if (rc != 0 && rc != ERR_NOMEM) { /* a block recovery will look again, and then say so */
        log_warn("dn.scan", "%s", err.msg);
        rc = 0;
    }
    return rc == 0 ? keep(s, &replica) : rc;
}

/* The files of one block: the newest checksum file in each place, and the data. */
struct group {
    struct seen *data[2], *sums[2]; /* [DN_DIR_FINALIZED], [DN_DIR_RBW] */
};

static int sort_out(struct scan *s, struct seen *files, size_t count, struct group *g)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct seen *f = &files[i], **place = NULL;
        if (f->kind == DN_NAME_UNFINISHED) {
            rc = drop(s, f);
            continue;
        }
        place = f->kind == DN_NAME_DATA ? &g->data[f->dir] : &g->sums[f->dir];
        if (!*place) {
            *place = f;
        } else { /* two checksum files: the newer one was whole before it had its name */
            rc = drop(s, f->gs > (*place)->gs ? *place : f);
            *place = f->gs > (*place)->gs ? f : *place;
        }
    }
    return rc;
}

static int drop_place(struct scan *s, struct group *g, enum dn_dir dir)
{
    int rc = g->data[dir] ? drop(s, g->data[dir]) : 0;
    if (rc == 0 && g->sums[dir])
        rc = drop(s, g->sums[dir]);
    return rc;
}

/* Pieces in both places, whole in neither: of each kind there is one, or a second name of the same
 * file that a crash brought back. */
static int join(struct scan *s, struct group *g)
{
    struct seen *data = g->data[DN_DIR_RBW] ? g->data[DN_DIR_RBW] : g->data[DN_DIR_FINALIZED];
    struct seen *sums = g->sums[DN_DIR_RBW] ? g->sums[DN_DIR_RBW] : g->sums[DN_DIR_FINALIZED];
    int rc = take_back(s, data);
    if (rc == 0)
        rc = take_back(s, sums);
    return rc == 0 ? keep_written(s, data, sums) : rc;
}

/* Data without checksums. An empty file is a write that ended before it had any. */
static int keep_orphan(struct scan *s, const struct seen *f)
{
    uint64_t bytes = 0;
    int rc = stat_file(s, f, &bytes);
    if (rc == 0 && bytes == 0)
        return drop(s, f);
    s->result->orphans++;
    return rc == ERR_NOMEM ? rc : 0;
}

static int judge(struct scan *s, struct seen *files, size_t count)
{
    struct group g = {0};
    int rc = sort_out(s, files, count, &g);
    bool in_final = g.data[DN_DIR_FINALIZED] && g.sums[DN_DIR_FINALIZED];
    bool in_rbw = g.data[DN_DIR_RBW] && g.sums[DN_DIR_RBW];
    if (rc != 0)
        return rc;
    if (in_final && in_rbw)
        in_final = g.sums[DN_DIR_FINALIZED]->gs >= g.sums[DN_DIR_RBW]->gs;
    if (in_final) {
        rc = drop_place(s, &g, DN_DIR_RBW);
        return rc ? rc : keep_finalized(s, g.data[DN_DIR_FINALIZED], g.sums[DN_DIR_FINALIZED]);
    }
    if (in_rbw) {
        rc = drop_place(s, &g, DN_DIR_FINALIZED);
        return rc ? rc : keep_written(s, g.data[DN_DIR_RBW], g.sums[DN_DIR_RBW]);
    }
    bool has_data = g.data[DN_DIR_FINALIZED] || g.data[DN_DIR_RBW];
    bool has_sums = g.sums[DN_DIR_FINALIZED] || g.sums[DN_DIR_RBW];
    if (has_data && has_sums)
        return join(s, &g);
    for (int dir = DN_DIR_FINALIZED; has_data && dir <= DN_DIR_RBW && rc == 0; dir++)
        if (g.data[dir])
            rc = keep_orphan(s, g.data[dir]);
    if (has_data)
        return rc;
    rc = drop_place(s, &g, DN_DIR_FINALIZED);
    return rc ? rc : drop_place(s, &g, DN_DIR_RBW);
}

static int by_id(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int judge_all(struct scan *s, struct err *err)
{
    if (s->count > 0)
        qsort(s->seen, s->count, sizeof(*s->seen), by_id);
    for (size_t from = 0, to = 0; from < s->count; from = to) {
        while (to < s->count && s->seen[to].id == s->seen[from].id)
            to++;
        int rc = judge(s, &s->seen[from], to - from);
        if (rc != 0)
            return err_set(err, rc, "%s: blk_%" PRIu64 " cannot be read: %s", s->volume->path,
                           s->seen[from].id, err_text(rc));
    }
    return 0;
}

/* ---- tmp ---- */

static int empty_tmp(struct scan *s, struct err *err)
{
    char *dir = dn_volume_dir(s->volume, DN_DIR_TMP, 0);
    int rc = dir ? fsutil_remove_tree(s->volume->disk, dir, err) : ERR_NOMEM;
    if (rc == 0)
        rc = fsutil_mkdirs(s->volume->disk, dir, err);
    mem_free(dir);
    return rc;
}

int dn_scan_volume(struct dn_volume *volume, struct dn_scan_result *ret, struct err *err)
{
    struct dn_scan_result result = {0};
    struct scan s = {.volume = volume, .result = &result};
    int rc = empty_tmp(&s, err);
    if (rc == 0)
        rc = list_finalized(&s, err);
    if (rc == 0)
        rc = list_plain(&s, DN_DIR_RBW, err);
    if (rc == 0)
        rc = judge_all(&s, err);
    mem_free(s.seen);
    if (rc != 0)
        mem_free(result.replicas);
    else
        *ret = result;
    return rc;
}

/* ---- names and lengths ---- */

static int look_at(struct scan *s, const struct seen *f, struct dn_scan_file *file)
{
    uint64_t bytes = 0;
    if (f->kind == DN_NAME_UNFINISHED ||
        (f->kind != DN_NAME_DATA && file->has_sums && file->gs > f->gs))
        return 0;
    int rc = stat_file(s, f, &bytes);
    if (rc == ERR_NOENT) /* went meanwhile */
        return 0;
    if (rc == 0 && f->kind == DN_NAME_DATA) {
        file->has_data = true;
        file->data_bytes = bytes;
    } else if (rc == 0) {
        file->has_sums = true;
        file->gs = f->gs;
        file->sums_bytes = bytes;
    }
    return rc;
}

static int look_at_all(struct scan *s, struct dn_scan_file **ret, size_t *ret_count)
{
    struct dn_scan_file *files = mem_calloc(s->count + 1, sizeof(*files));
    size_t n = 0;
    int rc = files ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        if (n == 0 || files[n - 1].id != s->seen[i].id)
            files[n++].id = s->seen[i].id;
        rc = look_at(s, &s->seen[i], &files[n - 1]);
    }
    if (rc != 0) {
        mem_free(files);
        return rc;
    }
    *ret = files;
    *ret_count = n;
    return 0;
}

int dn_scan_files(struct dn_volume *volume, struct dn_scan_file **ret, size_t *ret_count,
                  struct err *err)
{
    struct scan s = {.volume = volume};
    int rc = list_finalized(&s, err);
    if (rc == 0 && s.count > 0)
        qsort(s.seen, s.count, sizeof(*s.seen), by_id);
    if (rc == 0 && (rc = look_at_all(&s, ret, ret_count)) != 0)
        err_set(err, rc, "%s: cannot be read: %s", volume->path, err_text(rc));
    mem_free(s.seen);
    return rc;
}

int dn_scan_file(struct dn_volume *volume, uint64_t id, struct dn_scan_file *ret, struct err *err)
{
    struct scan s = {.volume = volume};
    char *dir = dn_volume_dir(volume, DN_DIR_FINALIZED, id);
    int rc = dir ? list_one(&s, DN_DIR_FINALIZED, dir, err) : ERR_NOMEM;
    *ret = (struct dn_scan_file){.id = id};
    for (size_t i = 0; rc == 0 && i < s.count; i++)
        if (s.seen[i].id == id)
            rc = look_at(&s, &s.seen[i], ret);
    mem_free(dir);
    mem_free(s.seen);
    return rc;
}
