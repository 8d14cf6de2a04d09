/* SPDX-License-Identifier: Apache-2.0
 * namenode: the daemon's modules in one struct, their start and stop order, and the one rule they
 * all keep: nothing is told to anybody before the change it rests on is durable.
 *
 *   a request         check -> record appended -> applied -> answer written down, held
 *   end of the turn   all records of the turn go to the disk together, on a thread
 *   durable           every held answer up to that index leaves
 *
 * Reads are held too, until the last change applied before them is durable: else a client could see
 * a file that a crash takes back. With nothing in flight they leave at once.
 *
 * The loop's thread owns all of this. Modules get this struct and use what is theirs. */
#ifndef QUERN_NAMENODE_NAMENODE_H
#define QUERN_NAMENODE_NAMENODE_H

#include "libcommon/daemon/daemon.h"
#include "libcommon/daemon/racks.h"
#include "libcommon/event/loop.h"
#include "libcommon/event/workq.h"
#include "libcommon/wire/rpc.h"
#include "namenode/blocks/blocks.h"
#include "namenode/emptier.h"
#include "namenode/journal/check.h"
#include "namenode/journal/journal.h"
#include "namenode/journal/state.h"
#include "namenode/recovery.h"
#include "namenode/serve/admission.h"
#include "namenode/serve/audit.h"
#include "namenode/serve/clients.h"
#include "namenode/serve/datanodes.h"
#include "namenode/serve/groups.h"
#include "namenode/serve/held.h"

struct namenode {
    struct daemon *daemon; /* borrowed, as are conf, loop and node_name */
    const struct conf *conf;
    struct loop *loop;
    const char *node_name;

    struct nn_blocks blocks;
    struct nn_state state;
    struct nn_limits limits;
    struct nn_journal *journal;
    struct buf record; /* being encoded */

    struct nn_groups groups;
    struct nn_audit audit;
    struct nn_held held;
    struct nn_recovery_driver recovery;
    struct nn_emptier emptier;
    struct nn_clients clients;
    struct racks *racks;
    struct nn_admission admission;
    struct nn_datanodes *datanodes;

    struct identity identity;
    struct rpc_service services[2];
    struct rpc_server *server;
    struct rpc_server *local_server; /* on a unix socket, for this machine; NULL = not wanted */
    struct loop_hook turn_end;
    struct loop_timer reap_timer;  /* runs while there is something to reap */
    struct loop_timer space_timer; /* is there room for the journal? */
    struct loop_timer state_timer; /* life.c */
    uint64_t reserved_bytes;       /* with less room: safe mode */
    bool is_short;                 /* that is why safe mode is on */
    bool was_starting;             /* ... and it was on before, for the blocks */
    bool is_log_full;              /* the log's own word */
    bool has_truncation;           /* journaled, and no datanode was told of it yet */
    bool is_stopping;
};

/* Given a zeroed struct with the borrowed things in it: open everything, listen. On failure
 * namenode_release it, as after a stop. */
int namenode_open(struct namenode *nn, struct err *err);

void namenode_release(void *state);                   /* frees it too */
void namenode_status(void *state, struct status *st); /* status.c */
void namenode_measure(void *state);                   /* set the gauges of /metrics; status.c */
/* Who runs the namenode is the superuser. */
int namenode_user(char *out, size_t cap, struct err *err);

/* Append `op` (struct of that row's type) to the journal and apply it. 0, or an error with nothing
 * changed (no room in the log). When what was appended cannot be applied the process ends. */
int namenode_commit(struct namenode *nn, enum nn_op number, const void *op, uint64_t ret_answer[2],
                    struct err *err);
/* Index of the last change applied: what is seen now is durable when this is. */
uint64_t namenode_applied(const struct namenode *nn);
uint64_t namenode_now(const struct namenode *nn); /* monotonic, of this turn */

/* Write an image; the call is answered when it is there. An error: not even begun, not answered. */
int namenode_checkpoint(struct namenode *nn, struct rpc_call *call, struct err *err);

/* Read the include and exclude files again and apply them to all datanodes. */
int namenode_refresh_nodes(struct namenode *nn, struct err *err);

/* What checks look at. */
struct nn_view namenode_view(struct namenode *nn, const struct nn_caller *caller);

#endif
