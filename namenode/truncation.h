/* SPDX-License-Identifier: Apache-2.0
 * truncation: cuts a file in the middle of a block.
 *
 *   TRUNCATE journaled, durable --> CLONE ordered of every datanode that holds the block: a new one
 *   that is its beginning --> min(2, wanted) replicas of that are finalized --> SWITCH journaled:
 *   the file is shorter, and closed
 *
 * Until then the file is as it was, and in the namenode's hands. Who does not answer is asked again
 * every few seconds, whoever holds the block by then, also after a restart: what a copy holds does
 * not depend on who makes it, so it may be made by several, and twice. */
#ifndef QUERN_NAMENODE_TRUNCATION_H
#define QUERN_NAMENODE_TRUNCATION_H

#include "libcommon/base/err.h"

struct namenode;

/* Go through the truncations under way, those of which no datanode was told yet or all of them:
 * order what is missing, end what is ready. */
void nn_truncation_look(struct namenode *nn, bool all);
/* The block side's hook: enough replicas of this block are there. */
void nn_truncation_ready(struct namenode *nn, uint32_t block);

#endif
