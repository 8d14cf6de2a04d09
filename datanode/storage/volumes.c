/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/volumes.h"

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

void dn_volumes_close(struct dn_volumes *volumes)
{
    if (!volumes)
        return;
    for (size_t i = 0; i < volumes->count; i++)
        dn_volume_close(volumes->v[i]);
    mem_free(volumes);
}

/* The first formatted one speaks for all. */
static int agree(struct dn_volumes *all, struct err *err)
{
    const struct dn_volume *first = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct dn_volume *v = all->v[i];
        if (!dn_volume_is_formatted(v))
            continue;
        if (!first)
            first = v;
        if (strcmp(v->version.cluster_id, first->version.cluster_id) != 0)
            return err_set(err, ERR_FOREIGN,
                           "%s belongs to cluster %s, %s to cluster %s: one datanode, one cluster",
                           v->path, v->version.cluster_id, first->path, first->version.cluster_id);
        if (strcmp(v->identity.node_id, first->identity.node_id) != 0)
            return err_set(err, ERR_CONFIG,
                           "%s belongs to datanode %s, %s to datanode %s: a disk of another node?",
                           v->path, v->identity.node_id, first->path, first->identity.node_id);
        if (v->identity.term > all->identity.term)
            all->identity.term = v->identity.term;
    }
    if (first) {
        memcpy(all->cluster_id, first->version.cluster_id, sizeof(all->cluster_id));
        memcpy(all->identity.node_id, first->identity.node_id, sizeof(all->identity.node_id));
    } else {
        version_new_id(all->identity.node_id);
    }
    return 0;
}

size_t dn_volumes_failed(const struct dn_volumes *volumes)
{
    size_t n = 0;
    for (size_t i = 0; i < volumes->count; i++)
        n += !volumes->v[i]->is_removed && atomic_load(&volumes->v[i]->has_failed);
    return n;
}

size_t dn_volumes_configured(const struct dn_volumes *volumes)
{
    size_t n = 0;
    for (size_t i = 0; i < volumes->count; i++)
        n += !volumes->v[i]->is_removed;
    return n;
}

bool dn_volumes_are_too_few(const struct dn_volumes *volumes)
{
    size_t failed = dn_volumes_failed(volumes);
    return (volumes->failed_tolerated >= 0 && failed > (size_t)volumes->failed_tolerated) ||
           failed == dn_volumes_configured(volumes);
}

bool dn_volumes_can_lose(const struct dn_volumes *volumes, int code)
{
    bool is_the_disks =
        code == ERR_IO || code == ERR_ACCESS || code == ERR_NOTPERM || code == ERR_NOTDIR;
    return is_the_disks && (volumes->failed_tolerated < 0 ||
                            dn_volumes_failed(volumes) < (size_t)volumes->failed_tolerated);
}

static int open_next(struct dn_volumes *all, struct disk *disk, const char *path, struct err *err)
{
    struct dn_volume **place = &all->v[all->count];
    uint16_t index = (uint16_t)all->count;
    enum dn_media media;
    const char *dir = NULL;
    if (dn_volume_entry_parse(path, &media, &dir, err) != 0)
        return ERR_CONFIG;
    int rc = dn_volume_open(disk, path, index, place, err);
    if (rc != 0 && dn_volumes_can_lose(all, rc)) {
        log_error("dn.storage", "%s: it counts as failed, and is not used", err->msg);
        rc = dn_volume_open_failed(disk, path, index, place);
        if (rc != 0)
            err_set(err, rc, "%s: out of memory", path);
    }
    all->count += rc == 0;
    return rc;
}

int dn_volumes_open(struct disk *disk, const struct dn_volumes_conf *conf, struct dn_volumes **ret,
                    struct err *err)
{
    if (conf->count == 0 || conf->count > DN_VOLUMES_MAX)
        return err_set(err, ERR_CONFIG, "dfs.datanode.data.dir: 1 to %u directories, not %zu",
                       DN_VOLUMES_MAX, conf->count);
    struct dn_volumes *all = mem_calloc(1, sizeof(*all));
    if (!all)
        return err_set(err, ERR_NOMEM, "data directories: out of memory");
    all->reserved_bytes = conf->reserved_bytes;
    all->failed_tolerated = conf->failed_tolerated;
    uint64_t seed = 0;
    rand_secret(&seed, sizeof(seed));
    dn_chooser_init(&all->chooser, &conf->choosing, seed);
    int rc = 0;
    while (rc == 0 && all->count < conf->count)
        rc = open_next(all, disk, conf->paths[all->count], err);
    if (rc == 0 && dn_volumes_failed(all) == all->count)
        rc = err_set(err, ERR_IO, "none of the %zu data directories can be used", all->count);
    if (rc == 0)
        rc = agree(all, err);
    if (rc != 0) {
        dn_volumes_close(all);
        return rc;
    }
    *ret = all;
    return 0;
}

int dn_volumes_join(const struct dn_volumes *volumes, const char *cluster_id, const char *other,
                    uint64_t now_wall_ms, struct err *err)
{
    for (size_t i = 0; i < volumes->count; i++) {
        struct dn_volume *v = volumes->v[i];
        if (atomic_load(&v->has_failed))
            continue;
        int rc = dn_volume_is_formatted(v)
                     ? version_check_cluster(&v->version, v->path, other, cluster_id, err)
                     : dn_volume_format(v, cluster_id, &volumes->identity, now_wall_ms, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int dn_volumes_keep_term(const struct dn_volumes *volumes, uint64_t term, struct err *err)
{
    size_t kept = 0;
    int rc = ERR_IO;
    struct dn_identity identity = volumes->identity;
    identity.term = term;
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        if (atomic_load(&v->has_failed))
            continue;
        rc = dn_identity_write(v->disk, v->current, &identity, err);
        kept += rc == 0;
    }
    return kept > 0 ? 0 : rc;
}

uint64_t dn_volumes_remaining(const struct dn_volumes *volumes, const struct dn_volume *volume)
{
    uint64_t free_bytes = volume->space.free_bytes;
    return free_bytes > volumes->reserved_bytes ? free_bytes - volumes->reserved_bytes : 0;
}

bool dn_volumes_has_room(const struct dn_volumes *volumes, struct dn_volume *volume, uint64_t bytes)
{
    return !atomic_load(&volume->has_failed) && dn_volume_is_formatted(volume) &&
           dn_volumes_remaining(volumes, volume) >= volume->promised + bytes;
}

struct dn_volume *dn_volumes_choose(struct dn_volumes *volumes, uint64_t bytes)
{
    struct dn_candidate candidates[DN_VOLUMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        uint64_t room = dn_volumes_remaining(volumes, v);
        if (atomic_load(&v->has_failed) || !dn_volume_is_formatted(v))
            continue;
        candidates[count++] =
            (struct dn_candidate){v->index, room > v->promised ? room - v->promised : 0};
    }
    const struct dn_candidate *chosen = dn_choose(&volumes->chooser, candidates, count, bytes);
    return chosen ? volumes->v[chosen->volume] : NULL;
}
