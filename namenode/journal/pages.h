/* SPDX-License-Identifier: Apache-2.0
 * pages: images and segments of the log, as files: for who wants a copy of the image (quern admin
 * -fetchImage), and for a namenode that begins as a copy of this one (talk/bootstrap). Read on a
 * thread while all goes on. An image never changes once it has its name, a segment only grows; a
 * file that is gone meanwhile is ERR_NOENT: whoever copies begins again. Names come from others:
 * what is not named as an image or a segment is not opened. Loop thread only, but for what runs. */
#ifndef QUERN_NAMENODE_JOURNAL_PAGES_H
#define QUERN_NAMENODE_JOURNAL_PAGES_H

#include "libcommon/base/mem.h"
#include "libcommon/event/workq.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "namenode/journal/images.h"

#define NN_PAGE_BYTES (1U << 20)

/* One question; lives until done is called. Texts and bytes of the answers are in the arena. */
struct nn_pages {
    struct work work;
    char *dir; /* of which directory; own copy, in the arena */
    struct disk *disk;
    struct arena *arena;
    const char *name; /* NULL: which files there are */
    uint64_t offset;
    struct cl2nn_journal_files files;
    struct cl2nn_journal_bytes bytes;
    struct err err; /* code 0: answered */
    void (*done)(struct nn_pages *pages);
    void *arg;
};
/* The newest image and every segment, in the order to be copied in; or a page of one of them. */
void nn_pages_start(struct nn_pages *pages, struct workq *workq);

#endif
