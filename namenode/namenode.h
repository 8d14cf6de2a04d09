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
 * The loop's thread owns all of this. */
#ifndef QUERN_NAMENODE_NAMENODE_H
#define QUERN_NAMENODE_NAMENODE_H

#include "libcommon/daemon/daemon.h"
#include "libcommon/event/loop.h"
#include "libcommon/wire/rpc.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/state.h"

struct namenode;

/* ---- for everything that changes the state ---- */

/* Append `op` (struct of the row's type) to the journal and apply it. 0, or an error with nothing
 * changed (the log is full). Failing to apply what was appended ends the process. */
int namenode_commit(struct namenode *nn, enum nn_op number, const void *op, struct err *err);
/* All that is applied now will be durable when this index is. */
uint64_t namenode_applied(const struct namenode *nn);
uint64_t namenode_durable(const struct namenode *nn);
/* Answer the call, or fail it with err, once everything applied so far is durable. `answer` and all
 * it points to live in the call's arena. */
void namenode_answer(struct namenode *nn, struct rpc_call *call, const void *answer);
void namenode_fail(struct namenode *nn, struct rpc_call *call, const struct err *err);
/* Call fn(arg) then; at once when that is now. */
void namenode_when_durable(struct namenode *nn, loop_fn *fn, void *arg);

struct nn_state *namenode_state(struct namenode *nn);

/* ---- what the block side tells (serve/datanodes calls) ---- */

/* The block has all finalized replicas that its close waits for, or more than before. */
void namenode_on_replicas(struct namenode *nn, uint32_t block);
/* A block recovery ended: block `id` has these bytes under `gs` on at least one node; or, with
 * `nobody`, no replica had a byte. Refused (ERR_STALE) when the number is not the last one given.
 */
int namenode_on_recovered(struct namenode *nn, uint64_t id, uint64_t gs, uint64_t len, bool nobody);

#endif
