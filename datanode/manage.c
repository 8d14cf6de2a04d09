/* SPDX-License-Identifier: Apache-2.0
 * manage: what an operator asks of this node at its data port, once serve/operator has seen that he
 * is one: how it is, end all writes, report, stop. */
#include "datanode/datanode.h"
#include "datanode/serve/write.h"
#include "libcommon/base/log.h"

#define GOODBYE_MS 100U /* so that the answer leaves before the process ends */

static void shut_down(void *arg)
{
    struct datanode *dn = arg;
    daemon_exit(dn->daemon, 0, "shut down by an operator");
}

static int fill(const struct datanode *dn, struct arena *arena, struct data_managed *ret)
{
    const struct dn_volumes *volumes = dn->storage->volumes;
    ret->uptime_s = (loop_now_ms(dn->loop) - dn->started_ms) / 1000;
    ret->version = slice_str(QUERN_VERSION);
    ret->copy_bytes_per_s = dn_namenode_copy_rate(dn->namenode);
    ret->volumes.v = arena_calloc(arena, volumes->count, sizeof(*ret->volumes.v));
    if (!ret->volumes.v)
        return ERR_NOMEM;
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        ret->volumes.v[ret->volumes.n++] =
            (struct data_volume){.path = slice_str(v->path),
                                 .has_failed = atomic_load(&v->has_failed),
                                 .used = v->used,
                                 .remaining = dn_volumes_remaining(volumes, v),
                                 .reserved = volumes->reserved_bytes,
                                 .promised = v->promised};
    }
    return 0;
}

static void count_one(const struct dn_replica *replica, void *arg)
{
    struct data_managed *ret = arg;
    ret->volumes.v[replica->volume].blocks++;
}

int datanode_manage(void *arg, uint32_t action, struct arena *arena, struct data_managed *ret,
                    struct err *err)
{
    struct datanode *dn = arg;
    int rc = fill(dn, arena, ret);
    switch (rc == 0 ? action : (uint32_t)DATA_MANAGE_INFO) {
    case DATA_MANAGE_INFO:
        break;
    case DATA_MANAGE_EVICT_WRITERS:
        log_info("dn", "an operator evicts all writers");
        dn_write_cancel_all(dn->serve);
        break;
    case DATA_MANAGE_REPORT:
    case DATA_MANAGE_REPORT_CHANGES:
        dn_namenode_report(dn->namenode, action == DATA_MANAGE_REPORT);
        break;
    case DATA_MANAGE_VOLUMES:
        dn_replicas_each(&dn->storage->replicas, count_one, ret);
        break;
    case DATA_MANAGE_SHUTDOWN:
        rc = loop_after(dn->loop, &dn->goodbye, GOODBYE_MS, shut_down, dn);
        break;
    default:
        return err_set(err, ERR_INVAL, "%u is nothing that can be asked", action);
    }
    return rc == 0 ? 0 : err_set(err, rc, "%s", err_text(rc));
}
