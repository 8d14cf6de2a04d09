/* SPDX-License-Identifier: Apache-2.0
 * write: WRITE and LOCAL_WRITE: a block comes in, from a client or from the node before us.
 *
 *   loop     asked -> (old writer stopped) -> claim granted -> replica in the map -> socket
 * detached thread   files ready -> the rest of the chain ready -> answer -> relay (packets, acks)
 *   loop     map says finalized (or: left as it is) -> last ack -> socket attached -> claim dropped
 *
 *   DATA_WRITE_CREATE   a new replica, rbw. Whatever breaks afterwards, it stays. With a base it
 *                       begins with a verified, fsynced copy of that finalized replica of ours
 *   DATA_WRITE_RECOVER  the replica goes on under a new stamp, cut to what was acknowledged, after
 *                       all its bytes were verified. One that was finalized already is copied
 * first: finalized bytes never change DATA_WRITE_COPY     a temporary replica: whole or nothing
 *
 * Fault points: dn.write.begin, dn.write.chain; more in relay.h and settle.h. */
#ifndef QUERN_DN_SERVE_WRITE_H
#define QUERN_DN_SERVE_WRITE_H

#include "datanode/serve/blocks.h"

/* Have all writes end soon: the node is stopping. */
void dn_write_cancel_all(struct dn_serve *serve);
/* Writes under way, for the status page. */
size_t dn_write_count(const struct dn_serve *serve);

#endif
