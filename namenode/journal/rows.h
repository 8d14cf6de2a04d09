/* SPDX-License-Identifier: Apache-2.0
 * rows: the bytes of an image's rows, taken apart. Shared by loading and printing; the layout is in
 * sections.h. */
#ifndef QUERN_NAMENODE_JOURNAL_ROWS_H
#define QUERN_NAMENODE_JOURNAL_ROWS_H

#include "libcommon/base/slice.h"

enum nn_row_flag {
    NN_ROW_DIR = 1,
    NN_ROW_OPEN = 2,
    NN_ROW_WRITING = 4,
    NN_ROW_RECOVERING = 8,
    NN_ROW_DIR_ATIME = 16,
    NN_ROW_FLAGS = 31,
};

struct nn_row_inode {
    uint32_t depth, mode, flags;
    uint64_t id, mtime_ms, atime_ms;
    struct slice name, owner, group; /* name borrows the chunk; the others the reader */
    uint32_t replication, block_units, blocks;
    uint64_t client;
};

/* Reads rows of one chunk after another; the words met so far are kept. A read that goes wrong sets
 * is_bad for good and gives zeroes. */
struct nn_rows {
    const uint8_t *at, *end;
    bool is_bad;
    char **words;
    size_t word_count, word_cap;
};

void nn_rows_release(struct nn_rows *rows);
void nn_rows_begin(struct nn_rows *rows, struct slice chunk);
static inline bool nn_rows_has_more(const struct nn_rows *rows)
{
    return !rows->is_bad && rows->at < rows->end;
}
uint64_t nn_rows_varint(struct nn_rows *rows);
uint64_t nn_rows_u64(struct nn_rows *rows);
struct slice nn_rows_text(struct nn_rows *rows);
/* All of an inode but its blocks, which the caller reads: three varints each. */
void nn_rows_inode(struct nn_rows *rows, struct nn_row_inode *ret);

#endif
