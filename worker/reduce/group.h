/* SPDX-License-Identifier: Apache-2.0
 * group: cuts a merged stream into runs of keys that are alike, one reduce call each. Values are
 * read as they are asked for; what reduce leaves unread is passed over. */
#ifndef QUERN_WORKER_REDUCE_GROUP_H
#define QUERN_WORKER_REDUCE_GROUP_H

#include "worker/run/merge.h"

#define GROUP_TOP_KEY 64

/* The group with the most values so far: what a slow reduce is blamed on. */
struct group_top {
    uint8_t key[GROUP_TOP_KEY]; /* its first bytes, the job's form */
    size_t key_len;
    uint64_t records;
};

struct group {
    struct merge *merge; /* borrowed */
    struct key_order order;
    int (*alike)(struct qn_slice a, struct qn_slice b); /* the job's; NULL = equal keys */
    uint8_t *space; /* the group's key, as its first record has it in kept form; borrowed */
    size_t space_size;
    size_t key_len;
    uint64_t prefix;                /* of the same, unless the job compares for itself */
    uint8_t room[KEY_NUMBER_BYTES]; /* the job's form, when it is another */
    struct slice own_key;
    struct run_cursor *at; /* a record not given out yet; NULL = none read */
    bool is_open;          /* at belongs to the group in hand */
    struct slice given;    /* key of the value in hand, in kept form, and valid as it is; before the
                              first and behind the last: the group's */
    int failed;
    uint64_t groups, records;
    uint64_t first; /* records before the group in hand */
    struct group_top top;
};

struct group_conf {
    struct merge *merge;
    struct key_order order;
    int (*alike)(struct qn_slice a, struct qn_slice b);
    uint8_t *space; /* room for the longest key. Of a mapped record's group, what the key leaves of
                       it is given back: the record may take that much */
    size_t space_size;
};
void group_open(struct group *g, const struct group_conf *conf);
/* To the next group: 1 with its key (the job's form, valid until the following call), 0 at the end,
 * or a negative code (what failed is told by the cursors' err). */
int group_next(struct group *g, struct slice *ret_key);
/* The next value of the group: false at its end, or when reading failed (group_next tells). Valid
 * until the following call. */
bool group_value(struct group *g, struct slice *ret_value);

#endif
