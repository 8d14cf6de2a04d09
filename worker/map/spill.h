/* SPDX-License-Identifier: Apache-2.0
 * spill: from records in any order to one sorted, partitioned run, in bounded memory.
 *
 *             add                    buffer full                  finish
 *   record ----------> sort buffer ----------------> spill files --------+--> one run: the memfd
 *                           |          (sorted)                          |    offered, or a file
 *                           +--------------------------------------------+    in a local directory
 *                             what is left in the buffer, sorted in place
 *
 * finish merges once; only when there are more spills than it has memory for are neighbouring ones
 * merged before. Sources keep their order throughout, so equal keys stay in the order in which they
 * were emitted. A run or spill that a full or broken disk interrupts is made again in the next
 * directory from its sources, which are still there. */
#ifndef QUERN_WORKER_MAP_SPILL_H
#define QUERN_WORKER_MAP_SPILL_H

#include "worker/map/collect.h"
#include "worker/run/fold.h"
#include "worker/run/scratch.h"
#include "worker/run/writer.h"

#define SPILL_IO_MIN ((size_t)512 << 10)

struct spill_conf {
    uint32_t partitions;
    struct key_order order;
    struct fold fold; /* applied to neighbours when its order does not matter; QN_NO_FOLD: never */
    void *sort_space; /* borrowed */
    size_t sort_size;
    size_t sort_most; /* so much of it is used once a record does not fit; 0 = no more than that */
    void *io_space;   /* buffers for writing and merging; borrowed, at least SPILL_IO_MIN */
    size_t io_size;
    uint64_t record_max;
    size_t fan_in;           /* most sources merged at once; 0 = what io_space allows */
    struct scratch *scratch; /* borrowed */
    int memfd;               /* where the run may go; -1 = none. Borrowed */
    uint64_t memfd_limit;    /* if it is no longer than this */
    const char *run_name;    /* file name otherwise */
    _Atomic uint64_t *ticks; /* grows as work goes on; may be NULL */
};

struct spill_run {
    struct scratch_file file;
    uint64_t len;
    struct run_part *parts;
};

struct spill {
    struct spill_conf conf;
    struct collect collect;
    struct spill_run *runs;
    size_t run_count, run_cap;
    uint64_t spilled_records, spilled_bytes, spills; /* files written before the last one */
    uint64_t sort_us, spill_us, merge_us;
};

struct spill_result {
    struct run_part *parts; /* one per partition; given: mem_free */
    uint64_t len;
    char *path; /* given: mem_free; NULL = in the memfd */
};

int spill_open(struct spill *s, const struct spill_conf *conf, struct err *err);
/* The sort buffer is full: sort it, write it out, begin anew. */
int spill_out(struct spill *s, struct err *err);
int spill_add_slow(struct spill *s, uint32_t partition, struct slice key, struct slice value,
                   struct err *err);
/* `key` in kept form. */
static inline int spill_add(struct spill *s, uint32_t partition, struct slice key,
                            struct slice value, struct err *err)
{
    if (__builtin_expect(collect_add(&s->collect, partition, key, value), 1))
        return 0;
    return spill_add_slow(s, partition, key, value, err);
}
/* `raw_bytes`: per partition, before combining. */
int spill_finish(struct spill *s, const uint64_t *raw_bytes, struct spill_result *ret,
                 struct err *err);
/* Drops all scratch files; the finished run stays. */
void spill_close(struct spill *s);

#endif
