/* SPDX-License-Identifier: Apache-2.0
 * region: the memory of a task, reserved once and kept as long as its process lives.
 *
 * Address space is reserved whole, pages come when first touched, and they stay: the next task of
 * the same process finds them warm (touching memory that was given back costs more than sorting
 * it). A task carves its buffers out of the region; carving is bookkeeping only. */
#ifndef QUERN_WORKER_RUN_REGION_H
#define QUERN_WORKER_RUN_REGION_H

#include "libcommon/base/err.h"

struct region {
    uint8_t *base;
    size_t size;
    size_t used;
};
#define REGION_INIT ((struct region){0})

/* At least `size` bytes, none of them carved. A larger region than before is reserved anew: all
 * earlier pieces are gone. ERR_NOMEM. */
int region_reserve(struct region *region, size_t size, struct err *err);
/* The next `size` bytes, aligned to 64, not zeroed when used before; NULL when they do not fit. */
void *region_take(struct region *region, size_t size);
/* Bytes that can still be taken at once. */
size_t region_left(const struct region *region);
/* The pages behind what was carved, which earlier tasks touched, go back to the system: for one
 * that has other memory beside the region. */
void region_give_back_rest(struct region *region);
/* Forget what was carved. The pages stay. */
void region_reset(struct region *region);
void region_release(struct region *region);

#endif
