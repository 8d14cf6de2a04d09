/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/tree.h"

#include "libcommon/base/mem.h"
#include "namenode/namespace/extra.h"

int nn_tree_init(struct nn_tree *tree, struct slice owner, struct slice group, uint32_t mode)
{
    *tree = (struct nn_tree){.next_id = NN_ROOT_ID + 1};
    int rc = nn_inodes_init(&tree->store);
    if (rc != 0)
        return rc;
    uint32_t root = 0;
    rc = nn_inodes_add(&tree->store, NN_ROOT_ID, true, &root);
    if (rc == 0)
        rc = nn_tree_set_owner(tree, root, owner, group);
    if (rc != 0) {
        nn_tree_release(tree);
        return rc;
    }
    BUG_ON(root != NN_ROOT);
    nn_inode(&tree->store, root)->mode = mode & NN_MODE_MASK;
    nn_dir(&tree->store, root)->sums.dirs = 1;
    return 0;
}

void nn_tree_release(struct nn_tree *tree)
{
    nn_inodes_release(&tree->store);
    mem_free(tree->doomed);
    *tree = (struct nn_tree){0};
}

/* ---- finding ---- */

#define RAW "/.reserved/raw"

bool nn_tree_is_raw(struct slice path)
{
    return slice_has_prefix(path, slice_str(RAW)) &&
           (path.len == sizeof(RAW) - 1 || path.data[sizeof(RAW) - 1] == '/');
}

static struct slice without_raw(struct slice path)
{
    return nn_tree_is_raw(path)
               ? slice_of(path.data + sizeof(RAW) - 1, path.len - (sizeof(RAW) - 1))
               : path;
}

bool nn_tree_is_root(struct slice path)
{
    return without_raw(path).len <= 1;
}

void nn_tree_walk(const struct nn_tree *tree, struct slice path, struct nn_walk *ret_walk)
{
    struct slice rest = without_raw(path), name;
    ret_walk->depth = ret_walk->found = 0;
    ret_walk->slots[0] = NN_ROOT;
    while (path_next(&rest, &name) && ret_walk->depth < PATH_MAX_DEPTH) {
        uint32_t depth = ret_walk->depth++;
        ret_walk->names[depth] = name;
        if (ret_walk->found != depth || !nn_inode(&tree->store, ret_walk->slots[depth])->is_dir)
            continue;
        uint32_t slot = nn_inodes_child(&tree->store, ret_walk->slots[depth], name);
        if (slot)
            ret_walk->slots[++ret_walk->found] = slot;
    }
}

uint32_t nn_tree_find(const struct nn_tree *tree, struct slice path)
{
    struct slice rest = without_raw(path), name;
    uint32_t slot = NN_ROOT;
    while (slot && path_next(&rest, &name))
        slot = nn_inode(&tree->store, slot)->is_dir ? nn_inodes_child(&tree->store, slot, name) : 0;
    return slot;
}

bool nn_tree_is_attached(const struct nn_tree *tree, uint32_t slot)
{
    while (slot && slot != NN_ROOT)
        slot = nn_inode(&tree->store, slot)->parent;
    return slot != 0;
}

uint32_t nn_tree_find_id(const struct nn_tree *tree, uint64_t id)
{
    uint32_t slot = nn_inodes_by_id(&tree->store, id);
    return slot && nn_tree_is_attached(tree, slot) ? slot : 0;
}

/* A doomed top has none. */
static struct slice name_of(const struct nn_tree *tree, uint32_t slot)
{
    return nn_inode(&tree->store, slot)->name ? nn_inode_name(&tree->store, slot)
                                              : slice_of(NULL, 0);
}

/* From the last name to the first, into room measured before: a tree that was moved may be deeper
 * than any path that can be asked for. */
void nn_tree_path(const struct nn_tree *tree, uint32_t slot, struct buf *out)
{
    size_t len = 0;
    for (uint32_t at = slot; at && at != NN_ROOT; at = nn_inode(&tree->store, at)->parent)
        len += 1 + name_of(tree, at).len;
    if (len == 0) {
        buf_append_byte(out, '/');
        return;
    }
    uint8_t *end = buf_reserve(out, len);
    if (!end)
        return;
    out->len += len;
    end += len;
    for (uint32_t at = slot; at && at != NN_ROOT; at = nn_inode(&tree->store, at)->parent) {
        struct slice name = name_of(tree, at);
        end -= name.len;
        if (name.len)
            memcpy(end, name.data, name.len);
        *--end = '/';
    }
}

/* What the file's bytes count as, once per replica. */
static uint64_t weight(const struct nn_tree *tree, uint32_t file)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, file);
    return nn_inode(&tree->store, file)->len + (extra ? extra->reserved : 0);
}

struct nn_sums nn_tree_sums(const struct nn_tree *tree, uint32_t slot)
{
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    if (inode->is_dir)
        return nn_dir(&tree->store, slot)->sums;
    return (struct nn_sums){0, 1, inode->len, weight(tree, slot) * inode->replication};
}

/* ---- changing ---- */

/* Differences go up to the root; unsigned arithmetic wraps, so a negative one is its complement. */
static void add_sums(struct nn_tree *tree, uint32_t from, struct nn_sums by)
{
    for (uint32_t slot = from; slot; slot = nn_inode(&tree->store, slot)->parent) {
        struct nn_sums *sums = &nn_dir(&tree->store, slot)->sums;
        sums->dirs += by.dirs;
        sums->files += by.files;
        sums->len += by.len;
        sums->space += by.space;
    }
}

static struct nn_sums negated(struct nn_sums sums)
{
    return (struct nn_sums){-sums.dirs, -sums.files, -sums.len, -sums.space};
}

static void touch(struct nn_tree *tree, uint32_t slot, uint64_t now_ms)
{
    nn_inode(&tree->store, slot)->mtime_ms = now_ms & NN_TIME_MASK;
}

static void fill(struct nn_tree *tree, uint32_t slot, const struct nn_birth *birth)
{
    struct nn_inode *inode = nn_inode(&tree->store, slot);
    inode->mode = birth->mode & NN_MODE_MASK;
    inode->mtime_ms = birth->now_ms & NN_TIME_MASK;
    if (birth->is_dir) {
        nn_dir(&tree->store, slot)->sums.dirs = 1;
        return;
    }
    inode->atime_ms = birth->now_ms & NN_TIME_MASK;
    inode->replication = birth->replication & UINT16_MAX;
    inode->block_units = (birth->block_size / NN_BLOCK_SIZE_UNIT) & 0xFFFFFF;
}

int nn_tree_add(struct nn_tree *tree, uint32_t parent, struct slice name,
                const struct nn_birth *birth, uint32_t *ret_slot)
{
    uint32_t slot = 0;
    int rc = nn_inodes_add(&tree->store, birth->id, birth->is_dir, &slot);
    if (rc != 0)
        return rc;
    fill(tree, slot, birth);
    rc = nn_tree_set_owner(tree, slot, birth->owner, birth->group);
    if (rc == 0)
        rc = nn_inodes_link(&tree->store, slot, parent, name);
    if (rc != 0) {
        nn_inodes_remove(&tree->store, slot);
        return rc;
    }
    if (birth->id >= tree->next_id)
        tree->next_id = birth->id + 1;
    add_sums(tree, parent, nn_tree_sums(tree, slot));
    tree->changes += birth->is_dir || (nn_inode(&tree->store, parent)->mode & 01000U);
    if (!birth->keep_parent_time)
        touch(tree, parent, birth->now_ms);
    *ret_slot = slot;
    return 0;
}

int nn_tree_move(struct nn_tree *tree, uint32_t slot, uint32_t parent, struct slice name,
                 uint64_t now_ms)
{
    struct nn_sums sums = nn_tree_sums(tree, slot);
    uint32_t from = nn_inode(&tree->store, slot)->parent;
    nn_inodes_unlink(&tree->store, slot);
    add_sums(tree, from, negated(sums));
    int rc = nn_inodes_link(&tree->store, slot, parent, name);
    if (rc != 0)
        return rc;
    add_sums(tree, parent, sums);
    tree->changes++;
    touch(tree, from, now_ms);
    touch(tree, parent, now_ms);
    return 0;
}

int nn_tree_doom(struct nn_tree *tree, uint32_t slot, uint64_t now_ms)
{
    BUG_ON(slot == NN_ROOT);
    int rc = mem_grow(&tree->doomed, &tree->doomed_cap, tree->doomed_count, sizeof(uint32_t));
    if (rc != 0)
        return rc;
    uint32_t parent = nn_inode(&tree->store, slot)->parent;
    add_sums(tree, parent, negated(nn_tree_sums(tree, slot)));
    nn_inodes_unlink(&tree->store, slot);
    touch(tree, parent, now_ms);
    nn_inode(&tree->store, slot)->is_doomed = 1;
    tree->doomed[tree->doomed_count++] = slot;
    return 0;
}

void nn_tree_set_len(struct nn_tree *tree, uint32_t file, uint64_t len)
{
    struct nn_inode *inode = nn_inode(&tree->store, file);
    uint64_t by = len - inode->len;
    inode->len = len & NN_FILE_LEN_MAX;
    add_sums(tree, inode->parent, (struct nn_sums){0, 0, by, by * inode->replication});
}

int nn_tree_reserve(struct nn_tree *tree, uint32_t file, uint64_t bytes)
{
    const struct nn_inode *inode = nn_inode(&tree->store, file);
    struct nn_extra *extra = nn_extra_find(&tree->store, file);
    if (!extra && bytes == 0)
        return 0;
    int rc = nn_extra_need(&tree->store, file, &extra);
    if (rc != 0)
        return rc;
    uint64_t by = bytes - extra->reserved;
    extra->reserved = bytes;
    add_sums(tree, inode->parent, (struct nn_sums){0, 0, 0, by * inode->replication});
    nn_extra_trim(&tree->store, extra);
    return 0;
}

void nn_tree_set_replication(struct nn_tree *tree, uint32_t file, uint32_t replication)
{
    struct nn_inode *inode = nn_inode(&tree->store, file);
    uint64_t by = (uint64_t)replication - inode->replication;
    inode->replication = replication & UINT16_MAX;
    add_sums(tree, inode->parent, (struct nn_sums){0, 0, 0, by * weight(tree, file)});
}

int nn_tree_set_owner(struct nn_tree *tree, uint32_t slot, struct slice owner, struct slice group)
{
    uint16_t number = 0;
    int rc = owner.len ? nn_intern_add(&tree->store.people, owner, &number) : 0;
    if (rc == 0 && owner.len)
        nn_inode(&tree->store, slot)->owner = number;
    if (rc == 0 && group.len)
        rc = nn_intern_add(&tree->store.people, group, &number);
    if (rc == 0 && group.len)
        nn_inode(&tree->store, slot)->group = number;
    return rc;
}

void nn_tree_set_times(struct nn_tree *tree, uint32_t slot, int64_t mtime_ms, int64_t atime_ms)
{
    struct nn_inode *inode = nn_inode(&tree->store, slot);
    if (mtime_ms >= 0)
        inode->mtime_ms = (uint64_t)mtime_ms & NN_TIME_MASK;
    if (atime_ms >= 0)
        inode->atime_ms = (uint64_t)atime_ms & NN_TIME_MASK;
}

/* ---- reaping ---- */

static bool is_full_dir(const struct nn_tree *tree, uint32_t slot)
{
    return nn_inode(&tree->store, slot)->is_dir && nn_dir(&tree->store, slot)->children.count;
}

static void free_one(struct nn_tree *tree, uint32_t slot, nn_tree_gone_fn *gone, void *arg)
{
    if (!nn_inode(&tree->store, slot)->is_dir)
        gone(arg, slot);
    nn_inodes_remove(&tree->store, slot);
}

/* Always at the last entry of a directory, down into it while that is a directory with something in
 * it: so the way back up is the parent, and no list of what is still to be done is kept. */
bool nn_tree_reap(struct nn_tree *tree, uint32_t limit, nn_tree_gone_fn *gone, void *arg)
{
    while (tree->doomed_count > 0 && limit-- > 0) {
        uint32_t top = tree->doomed[tree->doomed_count - 1];
        uint32_t at = tree->reaping ? tree->reaping : top;
        while (is_full_dir(tree, at) &&
               is_full_dir(tree, nn_children_last(&nn_dir(&tree->store, at)->children)))
            at = nn_children_last(&nn_dir(&tree->store, at)->children);
        if (is_full_dir(tree, at)) {
            free_one(tree, nn_inodes_unlink_last(&tree->store, at), gone, arg);
            tree->reaping = at;
        } else if (at != top) {
            tree->reaping = nn_inode(&tree->store, at)->parent;
        } else {
            tree->doomed_count--;
            tree->reaping = 0;
            free_one(tree, top, gone, arg);
        }
    }
    return tree->doomed_count > 0;
}
