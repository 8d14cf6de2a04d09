/* SPDX-License-Identifier: Apache-2.0
 * settle: what blocks.c and events.c share and nobody else calls: the only ways a replica gets into
 * the map or out of it, so that the count of safe blocks is always right. */
#ifndef QUERN_NN_BLOCKS_SETTLE_H
#define QUERN_NN_BLOCKS_SETTLE_H

#include "namenode/blocks/blocks.h"

int nn_settle_good(struct nn_blocks *b, uint32_t block, uint32_t storage);
int nn_settle_bad(struct nn_blocks *b, const struct nn_bad *bad);
void nn_settle_drop(struct nn_blocks *b, uint32_t block,
                    uint32_t storage); /* harmless when not there */
/* Record what a datanode said of its replica of a known block, by what it means (report.h). */
int nn_settle_said(struct nn_blocks *b, uint32_t block, uint32_t storage,
                   const struct nn_said *said);
/* After replicas changed: COMPLETE if that is due, else see whether there are enough. */
int nn_settle_ready(struct nn_blocks *b, uint32_t block);
int nn_settle_check(struct nn_blocks *b, uint32_t block);
/* To be told the namespace when the event is over. */
int nn_settle_notice(struct nn_blocks *b, enum nn_notice_kind kind, uint32_t block,
                     const struct nn_recovered *result);

#endif
