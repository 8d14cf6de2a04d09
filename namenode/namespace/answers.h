/* SPDX-License-Identifier: Apache-2.0
 * answers: what was answered to requests that changed something, so that a repeat (the answer was
 * lost, the namenode died) gets the first answer instead of being done twice.
 *
 * Part of the journaled state: filled by the same apply that makes the change, kept in the image.
 * So what is forgotten depends on the records alone: the oldest goes when there are more than
 * NN_ANSWERS_MAX, or when it is ten minutes older than the newest (by the times in the records) and
 * not one of the last NN_ANSWERS_KEPT: those times jump when the clock does, and whoever asks again
 * then must still be known. */
#ifndef QUERN_NAMENODE_NAMESPACE_ANSWERS_H
#define QUERN_NAMENODE_NAMESPACE_ANSWERS_H

#include "libcommon/base/err.h"

#define NN_ANSWERS_MAX    (1U << 18)
#define NN_ANSWERS_KEPT   (1U << 14)
#define NN_ANSWERS_AGE_MS (600ULL * 1000)

struct nn_answer {
    uint64_t client, seq;
    uint64_t at_ms;     /* of the record */
    uint64_t values[2]; /* what the operation answered: ids, stamps; see its row in editop.h */
    uint16_t op;        /* enum nn_op */
};

struct nn_answers {
    struct nn_answer *ring; /* power of two; oldest at head */
    uint32_t *slots;        /* open addressing: ring number + 1, 0 = free */
    uint64_t head, count;
    size_t cap; /* of ring; slots has twice as many */
};

void nn_answers_init(struct nn_answers *answers);
void nn_answers_release(struct nn_answers *answers);
/* Not there yet (a repeat is found first). ERR_NOMEM. */
int nn_answers_add(struct nn_answers *answers, const struct nn_answer *answer);
const struct nn_answer *nn_answers_find(const struct nn_answers *answers, uint64_t client,
                                        uint64_t seq); /* or NULL; good until the next add */
/* The i-th oldest, for the image. */
const struct nn_answer *nn_answers_at(const struct nn_answers *answers, uint64_t i);

#endif
