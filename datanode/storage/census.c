/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/census.h"

#include <inttypes.h>

#include "datanode/storage/scan.h"
#include "datanode/storage/settle.h"
#include "datanode/storage/suspect.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/codec/chunksum.h"

METRIC_COUNTER(vanished, "quern_dn_census_vanished_total",
               "replicas whose files were gone from the disk");
METRIC_COUNTER(changed, "quern_dn_census_changed_total", "replicas whose files had another length");
METRIC_COUNTER(appeared, "quern_dn_census_appeared_total",
               "replicas found on the disk that nobody knew");

struct dn_census {
    struct loop *loop;
    struct dn_storage *storage;
    uint64_t interval_ms;
    struct loop_timer timer;
    struct work work;
    struct dn_claim claim;
    bool has_started, is_stopping;
    size_t next_volume;
    struct dn_volume *volume; /* at present */
    uint64_t *odd;            /* ids that differ */
    size_t odd_count, odd_cap, odd_at;
    /* the thread's while it runs */
    struct dn_scan_file *files;
    size_t file_count;
    struct dn_scan_file one;
    bool is_verified;
    int code;
    struct err err;
};

static uint64_t sums_bytes(uint64_t len)
{
    return DN_SUM_OFF + chunksum_count(len, DN_SUM_CHUNK) * DN_SUM_BYTES;
}

static void next_directory(struct dn_census *c);
static void next_odd(struct dn_census *c);

/* ---- on a thread ---- */

static int has_version(const struct dn_volume *volume)
{
    struct disk_stat st;
    char *path = fsutil_join(volume->current, "VERSION");
    int rc = path ? disk_stat(volume->disk, path, &st) : ERR_NOMEM;
    mem_free(path);
    return rc;
}

static void run_listing(struct work *work)
{
    struct dn_census *c = CONTAINER_OF(work, struct dn_census, work);
    c->code = has_version(c->volume);
    if (c->code == 0)
        c->code = dn_scan_files(c->volume, &c->files, &c->file_count, &c->err);
    if (c->code == 0)
        c->code = has_version(c->volume); /* it has not gone meanwhile */
}

static bool verify(struct dn_census *c)
{
    struct dn_blockfile *file = NULL;
    char *dir = dn_volume_dir(c->volume, DN_DIR_FINALIZED, c->one.id);
    struct dn_blockfile_new what = {.dir = dir, .id = c->one.id, .gs = c->one.gs};
    int rc = dir ? dn_blockfile_open(c->volume->disk, &what, DISK_READ, &file, NULL) : ERR_NOMEM;
    if (rc == 0)
        rc = dn_settle_verify(file, UINT64_MAX, NULL);
    bool is_good = rc == 0 && file->len == c->one.data_bytes;
    dn_blockfile_close(file);
    mem_free(dir);
    return is_good;
}

static void run_look(struct work *work)
{
    struct dn_census *c = CONTAINER_OF(work, struct dn_census, work);
    c->code = has_version(c->volume);
    if (c->code == 0)
        c->code = dn_scan_file(c->volume, c->odd[c->odd_at], &c->one, &c->err);
    c->is_verified = c->code == 0 && c->one.has_data && c->one.has_sums && verify(c);
}

/* ---- one that differs ---- */

static bool is_as_known(const struct dn_scan_file *f, const struct dn_replica *r)
{
    return f->has_data && f->has_sums && f->gs == r->gs && f->data_bytes == r->len &&
           f->sums_bytes == sums_bytes(r->len);
}

static void take_up(struct dn_census *c)
{
    struct dn_replica found = {.id = c->one.id,
                               .gs = c->one.gs,
                               .len = c->one.data_bytes,
                               .volume = c->volume->index,
                               .state = DN_REPLICA_FINALIZED};
    if (!c->is_verified) {
        log_warn("dn.census", "%s holds files of blk_%" PRIu64 " that do not agree: left alone",
                 c->volume->path, c->one.id);
        return;
    }
    metric_add(&appeared, 1);
    log_warn("dn.census", "blk_%" PRIu64 "_%" PRIu64 " has appeared on %s", found.id, found.gs,
             c->volume->path);
    if (dn_storage_appeared(c->storage, &found) != 0)
        log_warn("dn.census", "out of memory");
}

static void judge(struct dn_census *c)
{
    uint64_t id = c->odd[c->odd_at];
    struct dn_replica *r = dn_storage_find(c->storage, id);
    if (!r) {
        if (c->one.has_data && c->one.has_sums)
            take_up(c);
        return;
    }
    if (r->volume != c->volume->index || r->state != DN_REPLICA_FINALIZED || r->is_bad ||
        is_as_known(&c->one, r))
        return;
    if (c->one.has_data) {
        metric_add(&changed, 1);
        dn_storage_bad(c->storage, id, r->gs);
        return;
    }
    metric_add(&vanished, 1);
    log_error("dn.census",
              "blk_%" PRIu64 "_%" PRIu64 " is gone from %s: the namenode will have it replaced", id,
              r->gs, c->volume->path);
    dn_storage_vanished(c->storage, r);
    dn_suspect_volume(c->storage, c->volume, ERR_NOENT);
}

static void look_done(struct work *work)
{
    struct dn_census *c = CONTAINER_OF(work, struct dn_census, work);
    if (c->code != 0)
        dn_suspect_volume(c->storage, c->volume, c->code);
    else if (!c->is_stopping && !atomic_load(&c->volume->has_failed))
        judge(c);
    dn_claims_drop(&c->storage->claims, &c->claim);
    c->odd_at++;
    next_odd(c);
}

static void on_granted(struct dn_claim *claim)
{
    struct dn_census *c = CONTAINER_OF(claim, struct dn_census, claim);
    workq_submit(c->storage->conf.disk_work, &c->work, run_look, look_done);
}

static void next_odd(struct dn_census *c)
{
    for (; c->odd_at < c->odd_count && !c->is_stopping; c->odd_at++) {
        uint64_t id = c->odd[c->odd_at];
        if (!dn_claims_is_taken(&c->storage->claims, id) &&
            dn_claims_ask(&c->storage->claims, &c->claim, id, false) == 0)
            return;
    }
    next_directory(c);
}

/* ---- a directory ---- */

struct known {
    const struct dn_census *census;
    const struct dn_replica **v;
    size_t n, cap;
    bool lacks_memory;
};

static void note_known(const struct dn_replica *replica, void *arg)
{
    struct known *k = arg;
    if (replica->volume != k->census->volume->index || replica->state != DN_REPLICA_FINALIZED ||
        k->lacks_memory)
        return;
    k->lacks_memory = mem_grow(&k->v, &k->cap, k->n, sizeof(struct dn_replica *)) != 0;
    if (!k->lacks_memory)
        k->v[k->n++] = replica;
}

static int by_id(const void *a, const void *b)
{
    const struct dn_replica *x = *(const struct dn_replica *const *)a,
                            *y = *(const struct dn_replica *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

static void note_odd(struct dn_census *c, uint64_t id)
{
    if (mem_grow(&c->odd, &c->odd_cap, c->odd_count, sizeof(*c->odd)) == 0)
        c->odd[c->odd_count++] = id; /* else in the next round */
}

/* Both lists are in order of id. */
static void compare(struct dn_census *c, const struct known *known)
{
    size_t f = 0, k = 0;
    while (f < c->file_count || k < known->n) {
        if (k == known->n || (f < c->file_count && c->files[f].id < known->v[k]->id)) {
            if (!dn_storage_find(c->storage, c->files[f].id))
                note_odd(c, c->files[f].id);
            f++;
        } else if (f == c->file_count || known->v[k]->id < c->files[f].id) {
            note_odd(c, known->v[k++]->id);
        } else {
            if (!known->v[k]->is_bad && !is_as_known(&c->files[f], known->v[k]))
                note_odd(c, known->v[k]->id);
            f++;
            k++;
        }
    }
}

static void listing_done(struct work *work)
{
    struct dn_census *c = CONTAINER_OF(work, struct dn_census, work);
    struct known known = {.census = c};
    if (c->code != 0)
        dn_suspect_volume(c->storage, c->volume, c->code);
    if (c->code == 0 && !c->is_stopping && !atomic_load(&c->volume->has_failed)) {
        if (dn_replicas_count(&c->storage->replicas) > 0)
            dn_replicas_each(&c->storage->replicas, note_known, &known);
        if (known.n > 0)
            qsort(known.v, known.n, sizeof(struct dn_replica *), by_id);
        if (!known.lacks_memory)
            compare(c, &known);
    }
    mem_free(known.v);
    mem_free(c->files);
    c->files = NULL;
    c->file_count = 0;
    next_odd(c);
}

static void on_timer(void *arg)
{
    struct dn_census *c = arg;
    c->next_volume = 0;
    next_directory(c);
}

/* The next one, or rest until the next round. */
static void next_directory(struct dn_census *c)
{
    const struct dn_volumes *volumes = c->storage->volumes;
    c->odd_count = c->odd_at = 0;
    while (c->next_volume < volumes->count && !c->is_stopping) {
        struct dn_volume *v = volumes->v[c->next_volume++];
        if (atomic_load(&v->has_failed) || !dn_volume_is_formatted(v))
            continue;
        c->volume = v;
        workq_submit(c->storage->conf.disk_work, &c->work, run_listing, listing_done);
        return;
    }
    if (!c->is_stopping && loop_after(c->loop, &c->timer, c->interval_ms, on_timer, c) != 0)
        log_warn("dn.census", "out of memory: the disks are not compared any more");
}

/* ---- life ---- */

struct dn_census *dn_census_new(struct loop *loop, struct dn_storage *storage, uint64_t interval_ms)
{
    struct dn_census *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = loop;
    c->storage = storage;
    c->interval_ms = interval_ms;
    c->claim.granted = on_granted;
    return c;
}

void dn_census_start(struct dn_census *census)
{
    if (census->has_started || census->interval_ms == 0)
        return;
    census->has_started = true;
    census->next_volume = SIZE_MAX; /* the start has just read everything */
    next_directory(census);
}

void dn_census_stop(struct dn_census *census)
{
    if (!census)
        return;
    census->is_stopping = true;
    loop_timer_stop(&census->timer);
}

void dn_census_free(struct dn_census *census)
{
    if (!census)
        return;
    mem_free(census->odd);
    mem_free(census->files);
    mem_free(census);
}
