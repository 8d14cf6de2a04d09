/* SPDX-License-Identifier: Apache-2.0
 * aggregate: what -reducer aggregate does, in Hadoop's words: a mapper's key is TYPE:ID, and of all
 * values of one key comes "ID TAB RESULT".
 *
 *   LongValueSum LongValueMax LongValueMin   of whole numbers
 *   DoubleValueSum                           of numbers with a point
 *   StringValueMax StringValueMin            of texts, in order of their bytes
 *   UniqValueCount                           how many different ones
 *   ValueHistogram                           values are "TEXT [TAB COUNT]": how many different
 * texts; of their counts the smallest, the middle, the largest, the mean and the standard deviation
 */
#ifndef QUERN_JOBS_STREAM_AGGREGATE_H
#define QUERN_JOBS_STREAM_AGGREGATE_H

#include <quern/job.h>

/* What is kept from one key to the next: memory. Begins as zeros. */
struct aggregate {
    struct qn_room texts;  /* of a table's entries, one behind the other */
    struct qn_room counts; /* struct aggregate_count[] */
    struct qn_room slots;  /* uint32_t[]: index of an entry, plus 1 */
    struct qn_room best;
    size_t text_bytes;
    uint32_t count, slot_count;
};

struct aggregate_count {
    uint64_t off, len; /* in texts */
    uint64_t hash;
    int64_t count;
};

/* One key with all its values; emits. */
int aggregate_reduce(struct qn_task *task, struct aggregate *a, struct qn_slice key,
                     struct qn_values *values);
void aggregate_release(struct aggregate *a);

#endif
