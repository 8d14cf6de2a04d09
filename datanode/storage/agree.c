/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/agree.h"

static bool counts(const struct dn_vote *vote, uint64_t block_gs)
{
    return vote->code == 0 && vote->gs >= block_gs;
}

struct ballot {
    const struct dn_vote *votes;
    size_t count;
    uint64_t gs;
};

/* Shortest length of at least `floor` among the counting votes of this state; 0 = none. */
static uint64_t shortest(const struct ballot *b, enum dn_replica_state state, uint64_t floor)
{
    uint64_t len = 0;
    for (size_t i = 0; i < b->count; i++)
        if (counts(&b->votes[i], b->gs) && b->votes[i].state == state && b->votes[i].len >= floor &&
            (len == 0 || b->votes[i].len < len))
            len = b->votes[i].len;
    return len;
}

static uint64_t longest(const struct ballot *b)
{
    uint64_t len = 0;
    for (size_t i = 0; i < b->count; i++)
        if (counts(&b->votes[i], b->gs) && b->votes[i].len > len)
            len = b->votes[i].len;
    return len;
}

/* Those that were still being written go before the restarted ones. */
static uint64_t unfinished_len(const struct ballot *b, uint64_t flushed)
{
    uint64_t floor = flushed ? flushed : 1;
    uint64_t len = shortest(b, DN_REPLICA_RBW, floor);
    if (len == 0)
        len = shortest(b, DN_REPLICA_RWR, floor);
    return len ? len : longest(b);
}

/* The one length of all finalized votes. 0, ERR_NOENT without any, ERR_CORRUPT when they differ. */
static int finalized_len(const struct dn_vote *votes, size_t count, uint64_t block_gs,
                         uint64_t *ret_len)
{
    int rc = ERR_NOENT;
    for (size_t i = 0; i < count; i++) {
        if (!counts(&votes[i], block_gs) || votes[i].state != DN_REPLICA_FINALIZED)
            continue;
        if (rc == 0 && votes[i].len != *ret_len)
            return ERR_CORRUPT;
        *ret_len = votes[i].len;
        rc = 0;
    }
    return rc;
}

/* Has everybody spoken, be it to say that he has no replica? */
static bool all_spoke(const struct dn_vote *votes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (votes[i].code != 0 && votes[i].code != ERR_NOENT)
            return false;
    return true;
}

int dn_agree(struct dn_vote *votes, size_t count, const struct dn_agreeing *block,
             uint64_t *ret_len)
{
    uint64_t len = 0;
    int rc = finalized_len(votes, count, block->gs, &len);
    if (rc == ERR_CORRUPT)
        return rc;
    bool is_final = rc == 0;
    if (!is_final)
        len = unfinished_len(&(struct ballot){votes, count, block->gs}, block->flushed);
    if (!is_final && len == 0 && !all_spoke(votes, count))
        return ERR_NONODE;
    for (size_t i = 0; i < count; i++)
        votes[i].takes_part = counts(&votes[i], block->gs) && (is_final || len > 0) &&
                              (is_final ? votes[i].len == len : votes[i].len >= len);
    *ret_len = len;
    return 0;
}
