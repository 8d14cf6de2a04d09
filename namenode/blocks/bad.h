/* SPDX-License-Identifier: Apache-2.0
 * bad: why a replica in the map is marked bad, and which stamp it carries (to delete exactly it).
 * One record per bad or lagging replica; there are few. */
#ifndef QUERN_NN_BLOCKS_BAD_H
#define QUERN_NN_BLOCKS_BAD_H

#include "libcommon/base/hmap.h"

enum nn_bad_reason {
    NN_BAD_CHECKSUM, /* a reader, a scan or a copy met wrong bytes */
    NN_BAD_STAMP,    /* an older generation */
    NN_BAD_LENGTH,
    NN_BAD_STATE,   /* never finalized, and nobody will */
    NN_BAD_LAGGING, /* still being written: bad only if that does not change */
    NN_BAD_SUSPECT, /* newer than all we know: never deleted */
};
const char *nn_bad_reason_name(enum nn_bad_reason reason);

struct nn_bad {
    struct hmap_node by_replica;
    uint32_t block, storage;
    uint64_t gs;
    enum nn_bad_reason reason;
    uint64_t since_ms;
};

struct nn_bads {
    struct hmap map;
};
#define NN_BADS_INIT ((struct nn_bads){HMAP_INIT})

void nn_bads_release(struct nn_bads *bads);
int nn_bads_put(struct nn_bads *bads,
                const struct nn_bad *bad); /* replaces; keeps since_ms of the same reason */
struct nn_bad *nn_bads_find(const struct nn_bads *bads, uint32_t block, uint32_t storage);
void nn_bads_drop(struct nn_bads *bads, uint32_t block, uint32_t storage);

#endif
