/* SPDX-License-Identifier: Apache-2.0
 * imagetext: the rows of an image as lines for people, inodes like `ls -l`, and a count of it all.
 * (As JSON: nn_printer, journal/sections.h.) */
#ifndef QUERN_NAMENODE_TOOLS_IMAGETEXT_H
#define QUERN_NAMENODE_TOOLS_IMAGETEXT_H

#include "libcommon/base/buf.h"
#include "namenode/journal/rows.h"

struct nn_imagetext {
    struct nn_rows rows;
    struct buf path; /* of the inode printed last */
    size_t *ends;    /* ends[d]: length of the path of depth d; `levels` of them are known */
    size_t levels, end_cap;
    uint64_t directories, files, open_files, blocks, bytes;
};

void nn_imagetext_init(struct nn_imagetext *text);
void nn_imagetext_release(struct nn_imagetext *text);
/* Chunks in order; lines go to `out`. ERR_VERSION, ERR_CORRUPT or ERR_NOMEM. */
int nn_imagetext_take(struct nn_imagetext *text, uint16_t section, struct slice chunk,
                      struct buf *out, struct err *err);
/* "3 directories, 10 files (1 open), 12 blocks, 1,024 bytes" */
void nn_imagetext_sum(const struct nn_imagetext *text, struct buf *out);

#endif
