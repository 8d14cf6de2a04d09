/* SPDX-License-Identifier: Apache-2.0
 * fetch: a page of an image, read on a thread, for who wants a copy of it (quern admin
 * -fetchImage). An image never changes once it has its name; it is removed when two newer ones are
 * there, and then the next page is refused: begin again with the newest.
 *
 * Loop thread only, but for run(). */
#ifndef QUERN_NAMENODE_JOURNAL_FETCH_H
#define QUERN_NAMENODE_JOURNAL_FETCH_H

#include "libcommon/event/workq.h"
#include "namenode/journal/images.h"

#define NN_FETCH_PAGE_BYTES (1U << 20)

struct nn_fetch {
    struct work work;
    struct nn_dir_set dirs; /* the paths are borrowed until done */
    uint64_t index, offset;
    uint8_t *page;
    /* Set by the thread. */
    uint64_t size;
    size_t len;
    struct err err; /* code 0 when all is well */
    /* Called on the loop, then the fetch is freed. */
    void (*done)(void *arg, const struct nn_fetch *fetch);
    void *arg;
};

/* Fills in a copy of `want` (dirs, index, offset, done, arg) and starts it. ERR_NOMEM. */
int nn_fetch_start(const struct nn_fetch *want, struct workq *workq);

#endif
