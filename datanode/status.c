/* SPDX-License-Identifier: Apache-2.0
 * status: what the datanode tells about itself on its page and in /status.json. */
#include "datanode/datanode.h"
#include "datanode/serve/write.h"

static void volumes_table(const struct datanode *dn, struct status *st)
{
    const struct dn_volumes *volumes = dn->storage->volumes;
    status_table(st, "volumes", "Data directories",
                 "directory|type|state|capacity:bytes|blocks:bytes|promised:bytes|remaining:bytes|"
                 "verified:bytes");
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        if (v->is_removed)
            continue;
        const char *what = atomic_load(&v->has_failed)  ? "failed"
                           : !dn_volume_is_formatted(v) ? "fresh"
                                                        : "good";
        status_row(st);
        status_cell(st, v->path);
        status_cell(st, dn_media_name(v->media));
        status_cell(st, what);
        status_cell_u64(st, v->space.total_bytes);
        status_cell_u64(st, v->used);
        status_cell_u64(st, v->promised);
        status_cell_u64(st, dn_volumes_remaining(volumes, v));
        status_cell_u64(st, dn_patrol_state(dn->patrol, i).done_bytes);
    }
}

void datanode_status(void *state, struct status *st)
{
    const struct datanode *dn = state;
    const struct dn_storage *storage = dn->storage;
    const struct dn_volumes *volumes = storage->volumes;
    uint64_t used = 0, remaining = 0;
    for (size_t i = 0; i < volumes->count; i++) {
        if (volumes->v[i]->is_removed)
            continue;
        used += volumes->v[i]->used;
        remaining += dn_volumes_remaining(volumes, volumes->v[i]);
    }
    const char *trouble = dn_namenode_trouble(dn->namenode);
    if (!dn_namenode_is_up(dn->namenode))
        status_note(st, "warn", "not registered with the namenode: %s",
                    *trouble ? trouble : "connecting");
    status_text(st, "cluster", volumes->cluster_id, "");
    status_text(st, "datanode id", volumes->identity.node_id, "");
    status_count(st, "replicas", dn_replicas_count(&storage->replicas), "");
    status_bytes(st, "used", used, "#volumes");
    status_bytes(st, "remaining", remaining, "#volumes");
    status_count(st, "damaged replicas found", storage->bad_count, "");
    status_count(st, "connections", dn->serve->session_count, "");
    status_count(st, "transfers", dn_movers_active(dn->serve->movers), "");
    status_count(st, "of them waiting for their peers", dn_movers_parked(dn->serve->movers), "");
    status_count(st, "blocks being written", dn_write_count(dn->serve), "");
    status_count(st, "term", volumes->identity.term, "");
    volumes_table(dn, st);
}
