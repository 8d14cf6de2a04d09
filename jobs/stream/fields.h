/* SPDX-License-Identifier: Apache-2.0
 * fields: keys of lines sorted, and shared out over reducers, by some of their fields, as
 * -partitioner KeyFieldBasedPartitioner and KeyFieldBasedComparator of Hadoop do:
 *
 *   mapreduce.partition.keycomparator.options   -k2,2nr -k1   as of sort(1)
 *   mapreduce.partition.keypartitioner.options  -k1,2         lines alike in these meet
 *
 * A part is -kF[.C][nr][,F[.C][nr]]: from character C of field F to the end of field F, or its
 * character C; n: by number, r: largest first. Options without -k hold for all parts.
 *
 * The engine orders keys as bytes, so the order is written into them:
 *
 *   each part: 0 it is not there | 1 text | 2 number < 0 | 3 zero | 4 number > 0 (all bits flipped
 *   where the largest is first; what follows a 2 once more), then the key as text, then u32 the
 *   hash that chooses the reducer */
#ifndef QUERN_JOBS_STREAM_FIELDS_H
#define QUERN_JOBS_STREAM_FIELDS_H

#include <quern/key.h>

#define FIELDS_PARTS_MAX 16

struct fields_part {
    uint32_t first, first_char, last, last_char; /* from 1; last 0 = to the end, char 0 = all */
    int is_number, is_reverse;
};

struct fields_list {
    struct fields_part parts[FIELDS_PARTS_MAX];
    uint32_t count;
};

/* 0 = *ret is what `options` says; -1 = that is nothing (but an empty text is an empty list). */
int fields_parse(const char *options, struct fields_list *ret);

/* The key as above, in `room`: 0, or the task has failed. */
int fields_wrap(struct qn_task *task, const struct fields_list *order,
                const struct fields_list *spread, char separator, struct qn_slice key,
                struct qn_room *room, struct qn_slice *ret);
/* And back. The list is the one it was wrapped with. */
int fields_unwrap(struct qn_task *task, const struct fields_list *order, struct qn_slice wrapped,
                  struct qn_room *room, struct qn_slice *ret);
/* For the job's table. */
uint32_t fields_partition(struct qn_slice wrapped, uint32_t count);

#endif
