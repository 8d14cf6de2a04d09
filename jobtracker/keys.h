/* SPDX-License-Identifier: Apache-2.0
 * keys: what the maps of a job have told of their keys (task_sketch), put together for each
 * partition. Each map counts once: one whose output is lost and that runs again makes the same
 * records again. What a restart of the jobtracker forgets is missing, and the number of maps says
 * so. */
#ifndef QUERN_JOBTRACKER_KEYS_H
#define QUERN_JOBTRACKER_KEYS_H

#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_jt/messages.h"

struct keys_part;

struct keys {
    uint32_t partitions, maps;
    uint64_t taken; /* maps counted */
    uint8_t *is_taken;
    struct keys_part **parts; /* NULL: nothing came for it */
};

void keys_release(struct keys *keys);
/* A map is done. Sketches that do not fit the job are passed over; without memory there are fewer.
 */
void keys_take(struct keys *keys, uint32_t partitions, uint32_t maps, const struct task_done *done);
/* A row for each partition that got something; lists live in `arena`, keys borrow. 0 or ERR_NOMEM.
 */
int keys_rows(const struct keys *keys, struct arena *arena, struct cl2jt_partition_list *ret);

#endif
