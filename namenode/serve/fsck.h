/* SPDX-License-Identifier: Apache-2.0
 * fsck: what the three files of the check share. fsck.c walks a tree and answers; fsck_file.c
 * judges a file and prints it; fsck_block.c tells all about single blocks, and which have no good
 * replica.
 *
 * The text is Hadoop's, to the byte. Who holds the loop: a page takes PAGE_STEPS steps, an inode,
 * a block judged or a block printed each being one, and stops in the middle of a file when they
 * are spent; what it knew of that file by then goes to the client and back (struct fsck_place). */
#ifndef QUERN_NAMENODE_SERVE_FSCK_H
#define QUERN_NAMENODE_SERVE_FSCK_H

#include "namenode/serve/turn.h"

/* The formatter lays this list out another way each time. */
/* clang-format off */
#define FSCK_COUNTS(C) \
    C(dirs) C(files) C(symlinks) C(size) C(blocks) C(open_files) C(open_size) C(open_blocks) \
    C(replicas) C(decommissioned) C(decommissioning) C(entering) C(resting) C(expected_replicas) C(missing_replicas) C(minimal) C(below) C(over) C(under) C(mis) \
    C(missing_blocks) C(missing_size) C(corrupt_blocks) C(corrupt_size) C(corrupt_files) C(queued)

/* Where the check stands between two pages. `part`: 0 = at the file's head, 1 = judging its
 * blocks, 2 = printing them; `at` blocks are done with. The rest is what was found in that file. */
#define FSCK_PLACE(C) \
    C(seen) C(files) C(part) C(at) C(missing) C(missing_size) C(corrupt) C(corrupt_size) C(under) C(mis)
/* clang-format on */

#define FSCK_FIELD(name) uint64_t name;
struct fsck_counts {
    FSCK_COUNTS(FSCK_FIELD)
};
struct fsck_place {
    FSCK_PLACE(FSCK_FIELD)
};
#undef FSCK_FIELD

#define FSCK_REPLICAS_MAX 1024

struct fsck {
    struct nn_turn *turn;
    const struct cl2nn_fsck *ask;
    struct buf text;
    struct buf path; /* of what is being looked at */
    struct fsck_counts counts;
    struct fsck_place place;
    int64_t steps; /* that this page may still take */
    uint32_t racks;
    struct slice *corrupt; /* of closed files; in the call's arena */
    size_t corrupt_count, corrupt_cap;
    uint32_t by_replicas[FSCK_REPLICAS_MAX + 1]; /* blocks with so many */
    struct err failure;                          /* the check ends here, and says why */
};

static inline const struct nn_inodes *fsck_store(const struct fsck *c)
{
    return &c->turn->nn->state.tree.store;
}

/* All that is left of a file, or as much as there are steps for: true when it is done with. */
bool fsck_file(struct fsck *check, uint32_t slot);

/* "BP-cluster:blk_1073741825_1001" */
void fsck_print_name(const struct fsck *check, const struct nn_block *block, struct buf *out);
/* Does Hadoop still list what this storage holds? */
bool fsck_is_listed(const struct nn_nodes *nodes, uint32_t storage);

/* One of ask->blocks. */
void fsck_block(struct fsck *check, struct slice id);
/* Blocks without a good replica, from the one on that ask->cursor names: false, and the place to go
 * on in *next, when there are more. */
bool fsck_list_corrupt(struct fsck *check, uint32_t *next);

#endif
