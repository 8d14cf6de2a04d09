/* SPDX-License-Identifier: Apache-2.0
 * sketch: what a map learns, in passing, of the keys it sends to each partition: which come most
 * often (libcommon/base/topk), how many different ones there are (libcommon/base/hll), how long the
 * records are. Fed with what goes into the sort buffer, so what a combiner has folded counts once.
 *
 * It may cost two percent of a map at most: the first SKETCH_ALL records are looked at, then one in
 * SKETCH_EVERY on average, at random but the same each time. The count of different keys takes each
 * record whose hash was wanted anyway; where none was, those looked at, and says so. */
#ifndef QUERN_WORKER_MAP_SKETCH_H
#define QUERN_WORKER_MAP_SKETCH_H

#include "libcommon/base/hll.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/topk.h"
#include "libcommon/proto/task/messages.h"
#include "worker/run/key.h"

#define SKETCH_ALL        4096U
#define SKETCH_EVERY      64U
#define SKETCH_LENGTHS    16U   /* 0-3 bytes, 4-15, 16-63, ... */
#define SKETCH_PARTITIONS 4096U /* in a job of more, nothing is learned */

struct sketch_part {
    struct topk keys;
    uint64_t lengths[SKETCH_LENGTHS];
};

struct sketch {
    uint32_t partitions; /* 0 = it is not wanted */
    uint32_t capacity;   /* keys held for each */
    uint32_t bits;       /* log2 of the registers of each; 0 = none */
    bool has_hashes;     /* of all records */
    uint64_t due;        /* records until one is looked at */
    uint64_t looked;
    uint8_t *registers;         /* of all partitions, one behind the other */
    struct sketch_part **parts; /* NULL: nothing was looked at */
    struct rand rand;
    struct key_order order;
    struct arena *arena;
};

/* All memory is the arena's; without enough of it nothing is learned. */
struct sketch_conf {
    uint32_t partitions;
    bool has_hashes; /* sketch_add is given them */
    struct key_order order;
};
void sketch_open(struct sketch *s, const struct sketch_conf *conf, struct arena *arena);
/* What DONE tells: partitions of which something was learned, with the records they got in truth.
 * Lives in the arena. */
void sketch_tell(const struct sketch *s, const struct task_part_list *parts,
                 struct task_sketch_list *ret);

void sketch_look(struct sketch *s, uint32_t partition, struct slice key, size_t len);

/* `hash`: of the key, as key_hash; used only when has_hashes. `len`: of key and value. */
static inline void sketch_add(struct sketch *s, uint32_t partition, uint64_t hash, struct slice key,
                              size_t len)
{
    if (s->partitions == 0)
        return;
    if (s->has_hashes && s->bits)
        hll_add(s->registers + ((size_t)partition << s->bits), s->bits, hash);
    if (__builtin_expect(--s->due == 0, 0))
        sketch_look(s, partition, key, len);
}

#endif
