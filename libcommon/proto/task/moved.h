/* SPDX-License-Identifier: Apache-2.0
 * moved: the line a job's report begins with: how long it took, and what went through it. */
#ifndef QUERN_LIBCOMMON_PROTO_TASK_MOVED_H
#define QUERN_LIBCOMMON_PROTO_TASK_MOVED_H

#include <stdio.h>

#include "libcommon/proto/task/messages.h"

struct moved {
    uint64_t took_ms, in_bytes, out_bytes;
    const struct task_account *stages; /* the maps, then each stage that reduces */
    size_t count;
};

/* "done in 1.2 s   2.6 M in → 103.0 K shuffled → 63 out   40,000 records in → 5 out": a shuffle for
 * each stage that reduces; what goes in is read by the first stage, what comes out written by the
 * last. */
void moved_tell(FILE *out, const struct moved *moved);

#endif
