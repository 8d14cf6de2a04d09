/* SPDX-License-Identifier: Apache-2.0
 * choose: on which data directory a new block goes. Two ways, known by Hadoop's names
 * (dfs.datanode.fsdataset.volume.choosing.policy):
 *
 *   RoundRobinVolumeChoosingPolicy      the next one that has room
 *   AvailableSpaceVolumeChoosingPolicy  the same while all have about equal room (they differ by no
 *       more than `balanced_bytes`). Else they are parted into those with little room (within
 *       balanced_bytes of the least) and those with much; a block goes to one with much as often
 *       as `preference` says of a single one compared with a single one of the others, and always
 *       when none of the others can take it.
 *
 * Pure. */
#ifndef QUERN_DN_STORAGE_CHOOSE_H
#define QUERN_DN_STORAGE_CHOOSE_H

#include "libcommon/base/rand.h"

enum dn_choosing { DN_CHOOSE_ROUND_ROBIN, DN_CHOOSE_BY_SPACE };

struct dn_choosing_conf {
    enum dn_choosing policy;
    uint64_t balanced_bytes;
    double preference; /* 0 to 1 */
};

struct dn_candidate {
    uint16_t volume; /* ascending */
    uint64_t available;
};

struct dn_chooser {
    struct dn_choosing_conf conf;
    struct rand rand;
    uint16_t next[3]; /* whose turn it is: among all, those with little room, those with much */
};

void dn_chooser_init(struct dn_chooser *chooser, const struct dn_choosing_conf *conf,
                     uint64_t seed);
/* One of `count` candidates for a block of so many bytes; NULL when none has room. */
const struct dn_candidate *dn_choose(struct dn_chooser *chooser, const struct dn_candidate *v,
                                     size_t count, uint64_t bytes);

#endif
