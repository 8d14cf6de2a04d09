/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/hotswap.h"

#include <inttypes.h>

#include "datanode/storage/depart.h"
#include "datanode/storage/scan.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* A directory that comes. */
struct arrival {
    char *entry;
    uint16_t index;         /* its place among the volumes */
    struct dn_volume *slot; /* where it was before; NULL: never here */
    bool is_again;          /* it had failed, and is tried again */
    struct dn_volume *opened;
    struct dn_scan_result found;
    int code;
    struct err err;
};

struct hotswap {
    struct work work;
    struct dn_storage *storage;
    struct dn_hotswap_conf conf;
    struct arrival *arrivals;
    size_t arrival_count;
    bool stays[DN_VOLUMES_MAX];
    char cluster_id[VERSION_ID_MAX];
    struct dn_identity identity;
    size_t waiting;
    bool has_changed;
    struct err err;
};

static void release(struct hotswap *h)
{
    for (size_t i = 0; i < h->arrival_count; i++) {
        mem_free(h->arrivals[i].entry);
        mem_free(h->arrivals[i].found.replicas);
        dn_volume_close(h->arrivals[i].opened);
    }
    mem_free(h->arrivals);
    mem_free(h);
}

static void end(struct hotswap *h, const struct err *err)
{
    h->conf.done(h->conf.arg, err, h->has_changed);
    release(h);
}

/* ---- on a thread ---- */

static int fits(const struct hotswap *h, const struct dn_volume *v, struct err *err)
{
    if (!dn_volume_is_formatted(v))
        return 0;
    if (*h->cluster_id && strcmp(v->version.cluster_id, h->cluster_id) != 0)
        return err_set(err, ERR_FOREIGN, "%s belongs to cluster %s, this datanode to cluster %s",
                       v->path, v->version.cluster_id, h->cluster_id);
    if (strcmp(v->identity.node_id, h->identity.node_id) != 0)
        return err_set(err, ERR_CONFIG,
                       "%s belongs to datanode %s, this is datanode %s: a disk of another node?",
                       v->path, v->identity.node_id, h->identity.node_id);
    return 0;
}

static int open_arrival(const struct hotswap *h, struct arrival *a)
{
    if (a->is_again) /* its lock is this process's own */
        fsutil_unlock(&a->slot->lock);
    int rc = dn_volume_open(h->storage->conf.disk, a->entry, a->index, &a->opened, &a->err);
    if (rc == 0)
        rc = fits(h, a->opened, &a->err);
    if (rc == 0 && dn_volume_is_formatted(a->opened))
        rc = dn_scan_volume(a->opened, &a->found, &a->err);
    if (rc == 0 && dn_volume_is_formatted(a->opened) && a->opened->identity.term < h->identity.term)
        rc = dn_identity_write(a->opened->disk, a->opened->current, &h->identity, &a->err);
    if (rc == 0)
        a->opened->used = a->found.bytes;
    return rc;
}

static void run_opening(struct work *work)
{
    struct hotswap *h = CONTAINER_OF(work, struct hotswap, work);
    bool is_refused = false;
    for (size_t i = 0; i < h->arrival_count && !is_refused; i++) {
        struct arrival *a = &h->arrivals[i];
        a->code = open_arrival(h, a);
        is_refused = a->code != 0 && !a->is_again;
    }
}

/* ---- those that go ---- */

struct going {
    struct hotswap *swap;
    struct dn_volume *volume;
};

static void one_less(struct hotswap *h)
{
    if (--h->waiting == 0)
        end(h, h->err.code != 0 ? &h->err : NULL);
}

static void on_departed(void *arg)
{
    struct going *g = arg;
    struct hotswap *h = g->swap;
    fsutil_unlock(&g->volume->lock);
    log_info("dn.storage", "%s was taken away: its files stay as they are", g->volume->path);
    mem_free(g);
    one_less(h);
}

static void take_away(struct hotswap *h, struct dn_volume *volume)
{
    struct going *g = mem_calloc(1, sizeof(*g));
    volume->is_removed = true;
    atomic_store(&volume->has_failed, true);
    h->has_changed = true;
    h->waiting++;
    if (g)
        *g = (struct going){h, volume};
    if (g && dn_depart(h->storage, volume, on_departed, g) == 0)
        return;
    mem_free(g);
    err_set(&h->err, ERR_NOMEM, "%s: out of memory", volume->path);
    one_less(h);
}

/* ---- those that come ---- */

static void put_in_place(struct hotswap *h, struct arrival *a)
{
    struct dn_storage *s = h->storage;
    struct dn_volume *v = a->slot;
    if (v) {
        dn_volume_take_over(v, a->opened);
    } else {
        v = a->opened;
        s->volumes->v[s->volumes->count++] = v;
    }
    a->opened = NULL;
    if (v->identity.term > s->volumes->identity.term)
        s->volumes->identity.term = v->identity.term;
    h->has_changed = true;
    for (size_t i = 0; i < a->found.count && h->err.code == 0; i++)
        if (dn_storage_take_in(s, &a->found.replicas[i]) != 0)
            err_set(&h->err, ERR_NOMEM, "%s: out of memory", v->path);
    log_info("dn.storage", "%s is used now: %zu replicas, %" PRIu64 " bytes", v->path,
             a->found.count, a->found.bytes);
}

static bool leaves_one(const struct hotswap *h)
{
    const struct dn_volumes *volumes = h->storage->volumes;
    size_t good = 0;
    for (size_t i = 0; i < volumes->count; i++)
        good += h->stays[i] && !atomic_load(&volumes->v[i]->has_failed);
    for (size_t i = 0; i < h->arrival_count; i++)
        good += h->arrivals[i].code == 0;
    return good > 0;
}

/* New volumes stand in the order of their indices. */
static void opening_done(struct work *work)
{
    struct hotswap *h = CONTAINER_OF(work, struct hotswap, work);
    struct dn_volumes *volumes = h->storage->volumes;
    size_t before = volumes->count;
    for (size_t i = 0; i < h->arrival_count; i++) {
        const struct arrival *a = &h->arrivals[i];
        if (a->code != 0 && !a->is_again) {
            end(h, &a->err);
            return;
        }
        if (a->code != 0)
            log_error("dn.storage", "%s: it still counts as failed", a->err.msg);
    }
    if (!leaves_one(h)) {
        err_set(&h->err, ERR_CONFIG,
                "dfs.datanode.data.dir: all of these directories have failed: the ones there were "
                "stay");
        end(h, &h->err);
        return;
    }
    for (size_t i = 0; i < h->arrival_count; i++)
        if (h->arrivals[i].code == 0)
            put_in_place(h, &h->arrivals[i]);
    h->waiting = 1;
    for (size_t i = 0; i < before; i++)
        if (!volumes->v[i]->is_removed && !h->stays[i])
            take_away(h, volumes->v[i]);
    one_less(h);
}

/* ---- the wish ---- */

static size_t same_length(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

static bool is_same_path(const char *a, const char *b)
{
    size_t n = same_length(a);
    return n == same_length(b) && memcmp(a, b, n) == 0;
}

static struct dn_volume *find_slot(const struct dn_volumes *volumes, const char *path)
{
    for (size_t i = 0; i < volumes->count; i++)
        if (is_same_path(volumes->v[i]->path, path))
            return volumes->v[i];
    return NULL;
}

static int check_wish(const struct dn_hotswap_conf *conf, struct err *err)
{
    enum dn_media media;
    const char *path = NULL, *other = NULL;
    if (conf->count == 0 || conf->count > DN_VOLUMES_MAX)
        return err_set(err, ERR_CONFIG, "dfs.datanode.data.dir: 1 to %u directories, not %zu",
                       DN_VOLUMES_MAX, conf->count);
    for (size_t i = 0; i < conf->count; i++) {
        if (dn_volume_entry_parse(conf->entries[i], &media, &path, err) != 0)
            return ERR_CONFIG;
        if (path[0] != '/')
            return err_set(err, ERR_CONFIG, "dfs.datanode.data.dir: %s is no absolute path",
                           conf->entries[i]);
        for (size_t k = 0; k < i; k++)
            if (dn_volume_entry_parse(conf->entries[k], &media, &other, NULL) == 0 &&
                is_same_path(path, other))
                return err_set(err, ERR_CONFIG, "dfs.datanode.data.dir lists %s twice", path);
    }
    return 0;
}

static int plan(struct hotswap *h, struct err *err)
{
    const struct dn_volumes *volumes = h->storage->volumes;
    size_t next = volumes->count;
    for (size_t i = 0; i < h->conf.count; i++) {
        enum dn_media media;
        const char *path = NULL;
        (void)dn_volume_entry_parse(h->conf.entries[i], &media, &path, NULL); /* was checked */
        struct dn_volume *slot = find_slot(volumes, path);
        if (slot)
            h->stays[slot->index] = true;
        if (slot && !atomic_load(&slot->has_failed)) {
            slot->media = media;
            continue;
        }
        struct arrival *a = &h->arrivals[h->arrival_count];
        *a = (struct arrival){.entry = str_dup(h->conf.entries[i]),
                              .slot = slot,
                              .index = slot ? slot->index : (uint16_t)next,
                              .is_again = slot && !slot->is_removed};
        h->arrival_count++;
        next += !slot;
        if (!a->entry)
            return err_set(err, ERR_NOMEM, "data directories: out of memory");
    }
    if (next > DN_VOLUMES_MAX)
        return err_set(err, ERR_CONFIG,
                       "dfs.datanode.data.dir: more than %u directories since the start: restart",
                       DN_VOLUMES_MAX);
    return 0;
}

int dn_hotswap_start(struct dn_storage *storage, const struct dn_hotswap_conf *conf,
                     struct err *err)
{
    int rc = check_wish(conf, err);
    if (rc != 0)
        return rc;
    struct hotswap *h = mem_calloc(1, sizeof(*h));
    if (h) {
        h->storage = storage;
        h->conf = *conf;
        h->identity = storage->volumes->identity;
        snprintf(h->cluster_id, sizeof(h->cluster_id), "%s", storage->volumes->cluster_id);
        h->arrivals = mem_calloc(conf->count, sizeof(*h->arrivals));
    }
    if (!h || !h->arrivals) {
        mem_free(h);
        return err_set(err, ERR_NOMEM, "data directories: out of memory");
    }
    rc = plan(h, err);
    if (rc != 0) {
        release(h);
        return rc;
    }
    workq_submit(storage->conf.disk_work, &h->work, run_opening, opening_done);
    return 0;
}
