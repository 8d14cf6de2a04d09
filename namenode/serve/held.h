/* SPDX-License-Identifier: Apache-2.0
 * held: answers that wait until what they tell is durable. First in, first out: an answer given
 * later rests on the same changes or more. */
#ifndef QUERN_NAMENODE_SERVE_HELD_H
#define QUERN_NAMENODE_SERVE_HELD_H

#include "libcommon/base/list.h"
#include "libcommon/wire/rpc.h"

struct nn_held {
    struct list queue;
    size_t count;
    uint64_t durable;
};

void nn_held_init(struct nn_held *held);
/* Answer once `index` is durable, at once if it is. The answer (the struct itself) is copied; what
 * it points to lives in the call's arena. NULL for void methods. */
void nn_held_answer(struct nn_held *held, uint64_t index, struct rpc_call *call,
                    const void *answer);
void nn_held_fail(struct nn_held *held, uint64_t index, struct rpc_call *call,
                  const struct err *err);
/* Everything up to this index is durable: send what waited for it. */
void nn_held_release_to(struct nn_held *held, uint64_t durable);
/* The process ends: whoever still waits is not told that anything was done. */
void nn_held_drop_all(struct nn_held *held);

#endif
