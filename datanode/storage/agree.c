/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/agree.h"

static bool counts(const struct dn_vote *vote, uint64_t block_gs)
{
    return vote->code == 0 && vote->gs >= block_gs;
}

/* Shortest non-empty length among the counting votes of this state; 0 = none. */
static uint64_t shortest(const struct dn_vote *votes, size_t count, uint64_t block_gs,
                         enum dn_replica_state state)
{
    uint64_t len = 0;
    for (size_t i = 0; i < count; i++)
        if (counts(&votes[i], block_gs) && votes[i].state == state && votes[i].len > 0 &&
            (len == 0 || votes[i].len < len))
            len = votes[i].len;
    return len;
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

int dn_agree(struct dn_vote *votes, size_t count, uint64_t block_gs, uint64_t *ret_len)
{
    uint64_t len = 0;
    int rc = finalized_len(votes, count, block_gs, &len);
    if (rc == ERR_CORRUPT)
        return rc;
    bool is_final = rc == 0;
    if (!is_final)
        len = shortest(votes, count, block_gs, DN_REPLICA_RBW);
    if (!is_final && len == 0)
        len = shortest(votes, count, block_gs, DN_REPLICA_RWR);
    if (!is_final && len == 0 && !all_spoke(votes, count))
        return ERR_NONODE;
    for (size_t i = 0; i < count; i++)
        votes[i].takes_part = counts(&votes[i], block_gs) && (is_final || len > 0) &&
                              (is_final ? votes[i].len == len : votes[i].len >= len);
    *ret_len = len;
    return 0;
}
