/* SPDX-License-Identifier: Apache-2.0
 * prepared: files that were closed and are being changed at their end. A finalized block never
 * changes, so an append or a truncation prepares another block, which begins as a copy:
 *
 *   APPEND    the block is being made by the writer's chain; the file still ends with the old one
 *   TRUNCATE  the block is being made by the datanodes; the file is still as long as it was
 *   BASE      the block took its place, and is being written on; its first `len` bytes were there,
 *             on disk, before the writer came, so nothing may cut it below them
 *
 * The first two are in the block map but in no file's chain: nobody reads them. Journaled state; an
 * entry lives until its file is closed or gone. Pure. */
#ifndef QUERN_NAMENODE_NAMESPACE_PREPARED_H
#define QUERN_NAMENODE_NAMESPACE_PREPARED_H

#include "libcommon/base/hmap.h"

enum nn_prepared_kind { NN_PREPARED_APPEND, NN_PREPARED_TRUNCATE, NN_PREPARED_BASE };

const char *nn_prepared_kind_name(uint64_t kind); /* "append", or "?" */

struct nn_prepared {
    struct hmap_node by_file;
    uint64_t file; /* inode id */
    enum nn_prepared_kind kind;
    uint32_t block; /* block map index */
    uint64_t len;   /* APPEND, BASE: of the block that was there; TRUNCATE: of the file, then */
    uint64_t after; /* TRUNCATE, not journaled: index to be durable before orders are given; 0 when
                       they were */
};

struct nn_prepareds {
    struct hmap files;
};

void nn_prepareds_init(struct nn_prepareds *all);
void nn_prepareds_release(struct nn_prepareds *all);
/* A copy of *what goes in; the file has none yet. ERR_NOMEM. */
int nn_prepareds_add(struct nn_prepareds *all, const struct nn_prepared *what);
struct nn_prepared *nn_prepareds_find(const struct nn_prepareds *all, uint64_t file); /* or NULL */
void nn_prepareds_remove(struct nn_prepareds *all, struct nn_prepared *prepared);

#endif
