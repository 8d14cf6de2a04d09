/* SPDX-License-Identifier: Apache-2.0
 * drain: a thread that writes runs of a block to its file, so that its relay can receive and check
 * the next bytes meanwhile. One run at a time:
 *
 *            dn_drain_write            the thread has written it        dn_drain_take
 *   idle ---------------------> busy ---------------------------> done ----------------> idle
 *
 * From dn_drain_write to dn_drain_take the file, the run's bytes and their sums belong to the
 * drain: nobody else may touch them. Everything is called by one thread, the relay's.
 *
 * Fault point: dn.write.drain (eio, enospc; delay: a slow disk). */
#ifndef QUERN_DN_SERVE_DRAIN_H
#define QUERN_DN_SERVE_DRAIN_H

#include "datanode/storage/blockfile.h"

struct dn_drain;

/* Borrows the file until dn_drain_stop. NULL: not to be had now; the caller writes himself. */
struct dn_drain *dn_drain_start(struct dn_blockfile *file);
/* Ends the thread; a run it is at is finished first. NULL is fine. */
void dn_drain_stop(struct dn_drain *drain);

/* As dn_blockfile_write, of which code is the result later; borrows data and sums. Idle only. */
void dn_drain_write(struct dn_drain *drain, uint64_t off, struct slice data, const uint8_t *sums);
bool dn_drain_is_idle(const struct dn_drain *drain);
/* When the run is done: true, and idle again. Else false. */
bool dn_drain_take(struct dn_drain *drain, int *ret_code);
/* Blocks until the run is done; not when idle. */
void dn_drain_wait(struct dn_drain *drain);
/* Readable when a run is done. -1 while idle. */
int dn_drain_fd(const struct dn_drain *drain);

#endif
