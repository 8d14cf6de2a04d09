/* SPDX-License-Identifier: Apache-2.0
 * datanode: owns the modules of this process; start and stop order. See DESIGN.md. */
#ifndef QUERN_DN_DATANODE_H
#define QUERN_DN_DATANODE_H

#include "datanode/serve/blocks.h"
#include "datanode/storage/census.h"
#include "datanode/storage/level.h"
#include "datanode/storage/patrol.h"
#include "datanode/storage/twins.h"
#include "datanode/talk/namenode.h"
#include "libcommon/daemon/daemon.h"

struct datanode {
    struct daemon *daemon;
    struct loop *loop;
    struct identity identity;
    struct workq *disk_work;
    struct dn_storage *storage;
    struct dn_patrol *patrol;
    struct dn_census *census;
    struct dn_level *level;
    struct dn_twins *twins;
    struct dn_serve *serve;
    struct dn_namenode *namenode;
    struct loop_timer patience; /* with a namenode that does not come */
    struct loop_timer goodbye;  /* runs when an operator has shut us down */
    uint64_t started_ms;
    char *host; /* as others reach us */
};

/* The rows of daemon_desc. */
int datanode_start(struct daemon *d, void **ret_state, struct err *err);
void datanode_release(void *state);
int datanode_reload(void *state, struct err *err);
/* DATA_MANAGE; struct dn_serve_conf.manage. The answer lives in the arena or borrows. */
int datanode_manage(void *arg, uint32_t action, struct arena *arena, struct data_managed *ret,
                    struct err *err);
void datanode_status(void *state, struct status *st);

#endif
