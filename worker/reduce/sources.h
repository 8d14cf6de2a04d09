/* SPDX-License-Identifier: Apache-2.0
 * sources: cursors over the pieces of one partition, few enough to be merged at once.
 *
 * Pieces in memory that are not packed need no buffer. Of the others as many can be open as there
 * are read buffers; when there are more, neighbours (in order of map) are merged into scratch runs
 * first, so that equal keys stay in order of map and sequence. */
#ifndef QUERN_WORKER_REDUCE_SOURCES_H
#define QUERN_WORKER_REDUCE_SOURCES_H

#include "worker/run/drain.h"
#include "worker/run/scratch.h"
#include "worker/shuffle/pieces.h"

#define SOURCES_IO_MIN ((size_t)512 << 10)

struct sources_conf {
    void *io_space; /* borrowed until close */
    size_t io_size; /* at least SOURCES_IO_MIN */
    uint64_t record_max;
    size_t fan_in; /* most read at once; 0 = what io_space allows */
    struct scratch *scratch;
    const struct key_order *order;
    const struct fold *fold;
    _Atomic uint64_t *ticks;
    struct err *err; /* also filled when a cursor fails */
};

struct sources {
    struct run_cursor **cursors; /* in order of map: for merge_open */
    size_t count;
    uint64_t merged_again; /* scratch runs made */
    uint64_t read_us;      /* so long took reading what is not in memory */
    /* private */
    struct sources_conf conf;
    struct source_item *items; /* what is merged in the end, in order of map */
    size_t item_count;
    struct source_run *runs;
    size_t run_count;
    struct piece_cursor *pieces;
    bool has_bad;
    uint32_t bad_map;
};

/* Borrows the pieces until close. On failure close it, too. */
int sources_open(struct sources *sources, const struct piece *pieces, size_t count,
                 const struct sources_conf *conf);
/* Is it a map's output that failed? Then *ret_map is the map. */
bool sources_bad(const struct sources *sources, uint32_t *ret_map);
void sources_close(struct sources *sources);

#endif
