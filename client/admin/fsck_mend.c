/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/fsck_mend.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define LOST_FOUND "/lost+found"
#define COPY_BYTES (4U << 20)

static void failed(struct fsck_mend *m, const char *path, const char *why)
{
    m->has_failed = true;
    fflush(stdout);
    fprintf(stderr, "fsck: %s: %s\n", path, why);
}

/* ---- saving runs of whole blocks ---- */

struct rescue {
    struct fsck_mend *mend;
    const char *path, *target;
    struct qn_file *from, *to; /* to: of the run at hand, NULL between runs */
    unsigned runs;
    char *buffer;
};

static int end_run(struct rescue *r, bool is_whole)
{
    struct qn_error error;
    int rc = 0;
    if (!is_whole)
        qn_abort(r->to);
    else if (r->to)
        rc = qn_close(r->to, &error);
    r->to = NULL;
    if (rc != 0)
        failed(r->mend, r->path, error.message);
    return rc;
}

static int begin_run(struct rescue *r)
{
    struct qn_error error = {0};
    char *name = str_printf("%s/%u", r->target, r->runs++);
    if (name)
        r->to = qn_open(r->mend->fs, name, QN_WRITE | QN_OVERWRITE, NULL, &error);
    if (!r->to)
        failed(r->mend, r->path, name ? error.message : "out of memory");
    mem_free(name);
    return r->to ? 0 : ERR_IO;
}

/* A block that turns out bad ends the run in front of what was copied of it: the run is what is
 * whole, so it is closed with the bytes that passed their checksums. */
static void copy_block(struct rescue *r, const struct qn_block *block)
{
    struct qn_error error;
    uint64_t at = block->offset, end = block->offset + block->length;
    if (!r->to && begin_run(r) != 0)
        return;
    while (at < end) {
        size_t want = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
        ssize_t n = qn_pread(r->from, r->buffer, want, at, &error);
        if (n > 0 && qn_write(r->to, r->buffer, (size_t)n, &error) == n) {
            at += (uint64_t)n;
            continue;
        }
        failed(r->mend, r->path, n == 0 ? "it ends too early" : error.message);
        (void)end_run(r, qn_length(r->to) > 0);
        return;
    }
}

static void copy_blocks(struct rescue *r, const struct qn_blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++) {
        if (blocks->blocks[i].node_count > 0)
            copy_block(r, &blocks->blocks[i]);
        else
            (void)end_run(r, true);
    }
    (void)end_run(r, true);
}

static void save_file(struct fsck_mend *m, const char *path, const char *target)
{
    struct rescue r = {.mend = m, .path = path, .target = target, .buffer = mem_alloc(COPY_BYTES)};
    struct qn_blocks blocks = {0};
    struct qn_error error = {0};
    r.from = r.buffer ? qn_open(m->fs, path, QN_READ, NULL, &error) : NULL;
    if (!r.from)
        failed(m, path, r.buffer ? error.message : "out of memory");
    else if (qn_locations(m->fs, path, 0, qn_length(r.from), &blocks, &error) != 0)
        failed(m, path, error.message);
    else
        copy_blocks(&r, &blocks);
    qn_blocks_release(&blocks);
    (void)qn_close(r.from, NULL);
    mem_free(r.buffer);
}

/* ---- where it is saved ---- */

static bool is_there(struct fsck_mend *m, const char *path, struct qn_stat *ret)
{
    struct qn_error error;
    return qn_stat(m->fs, path, ret, &error) == 0;
}

static bool prepare(struct fsck_mend *m)
{
    struct qn_stat stat;
    struct qn_error error;
    if (m->is_ready)
        return true;
    if (is_there(m, LOST_FOUND, &stat)) {
        m->is_ready = stat.is_dir;
        qn_stat_release(&stat);
        if (!m->is_ready)
            failed(m, LOST_FOUND, "a file of this name exists: nothing can be saved there");
    } else if (qn_mkdir(m->fs, LOST_FOUND, 0755, true, &error) != 0) {
        failed(m, LOST_FOUND, error.message);
    } else {
        m->is_ready = true;
    }
    return m->is_ready;
}

static void move(struct fsck_mend *m, const char *path)
{
    struct qn_stat stat, old;
    struct qn_error error;
    char *target = str_printf(LOST_FOUND "%s", path);
    if (!target || !prepare(m) || !is_there(m, path, &stat)) {
        m->has_failed = true;
        mem_free(target);
        return;
    }
    if (is_there(m, target, &old)) {
        fprintf(stderr, "fsck: %s: not saved, because %s exists already\n", path, target);
        qn_stat_release(&old);
    } else if (qn_mkdir(m->fs, target, stat.mode | 0300, true, &error) != 0) {
        failed(m, path, error.message);
    } else {
        save_file(m, path, target);
    }
    qn_stat_release(&stat);
    mem_free(target);
}

void fsck_mend(struct fsck_mend *m, const char *path)
{
    struct qn_error error;
    if (m->moves)
        move(m, path);
    if (m->deletes && qn_delete(m->fs, path, false, &error) < 0)
        failed(m, path, error.message);
}
