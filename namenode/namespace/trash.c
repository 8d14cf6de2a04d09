/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/trash.h"

#include <stdio.h>

#define STAMP_LEN 12
#define TRIES     1000 /* checkpoints of one second */

bool nn_trash_is_checkpoint(struct slice name)
{
    if (name.len < STAMP_LEN || name.len >= NN_TRASH_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (i == STAMP_LEN ? name.data[i] != '-' || name.len == STAMP_LEN + 1
                           : name.data[i] < '0' || name.data[i] > '9')
            return false;
    return true;
}

uint32_t nn_trash_older(const struct nn_tree *tree, uint32_t trash, const char *stamp)
{
    const struct nn_children *children = &nn_dir(&tree->store, trash)->children;
    struct nn_naming naming = nn_inodes_naming(&tree->store);
    struct nn_cursor at = nn_children_after(children, &naming, slice_str("/")); /* before '0' */
    uint32_t slot;
    while ((slot = nn_children_next(children, &at))) {
        struct slice name = nn_inode_name(&tree->store, slot);
        if (slice_cmp(name, slice_str(stamp)) >= 0)
            return 0;
        if (nn_trash_is_checkpoint(name))
            return slot;
    }
    return 0;
}

bool nn_trash_name(const struct nn_tree *tree, uint32_t trash, const char *stamp,
                   char out[NN_TRASH_NAME])
{
    snprintf(out, NN_TRASH_NAME, "%.12s", stamp);
    for (unsigned i = 1; nn_inodes_child(&tree->store, trash, slice_str(out)); i++) {
        if (i == TRIES)
            return false;
        snprintf(out, NN_TRASH_NAME, "%.12s-%u", stamp, i);
    }
    return true;
}
