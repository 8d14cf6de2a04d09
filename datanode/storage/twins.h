/* SPDX-License-Identifier: Apache-2.0
 * twins: a block that lies in two data directories of this node. A directory was away, or had
 * failed, its blocks were replaced, one of them into another directory of the same node; then it
 * came back. One replica counts (dn_storage_take_in), and the other one's files are in nobody's
 * map: they take room for ever, and would be read as the truth by a start without the first.
 *
 *   taken in -> storage's list -> claimed -> [disk thread: the one that counts is verified]
 *     it is good, and as new           the other one's files are removed
 *     it is damaged, the other is not  the other one counts from now on, its files stay; the
 * namenode hears DELETED there and RECEIVED here neither can be read              both stay; told
 * as damaged it is being written, recovered   later it went meanwhile                the other one
 * counts, and the namenode says what it is worth
 *
 * Nothing is removed before what is left was read to its last byte. A crash between two steps
 * leaves twins again. Loop thread only. */
#ifndef QUERN_DN_STORAGE_TWINS_H
#define QUERN_DN_STORAGE_TWINS_H

#include "datanode/storage/storage.h"

struct dn_twins;

struct dn_twins *dn_twins_new(struct loop *loop, struct dn_storage *storage); /* or NULL */
/* There may be new ones; harmless when there are none, or at work. */
void dn_twins_look(struct dn_twins *twins);
/* No further step; NULL is fine. Freed when the disk queue has ended. */
void dn_twins_stop(struct dn_twins *twins);
void dn_twins_free(struct dn_twins *twins);

#endif
