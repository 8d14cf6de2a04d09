/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/access.h"

#include "namenode/namespace/acl.h"

char *nn_access_bits(bool is_dir, uint32_t mode, char out[11])
{
    static const char letters[] = "rwxrwxrwx";
    out[0] = is_dir ? 'd' : '-';
    for (unsigned i = 0; i < 9; i++)
        out[i + 1] = mode & (0400U >> i) ? letters[i] : '-';
    if (mode & 01000U)
        out[9] = out[9] == 'x' ? 't' : 'T';
    out[10] = 0;
    return out;
}

bool nn_caller_in_group(const struct nn_caller *caller, struct slice group)
{
    for (size_t i = 0; i < caller->group_count; i++)
        if (slice_eq(caller->groups[i], group))
            return true;
    return false;
}

static const char *access_name(enum nn_access want)
{
    static const char *const names[] = {"NONE", "EXECUTE",      "WRITE",      "WRITE_EXECUTE",
                                        "READ", "READ_EXECUTE", "READ_WRITE", "ALL"};
    return names[want & 7];
}

static struct slice owner_of(const struct nn_tree *tree, const struct nn_inode *inode)
{
    return nn_intern_get(&tree->store.people, inode->owner);
}

/* "/p":alice:supergroup:drwxr-xr-x */
static void describe(const struct nn_tree *tree, uint32_t slot, struct buf *out)
{
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    char bits[11];
    buf_append_byte(out, '"');
    nn_tree_path(tree, slot, out);
    buf_append_str(out, "\":");
    buf_append_slice(out, owner_of(tree, inode));
    buf_append_byte(out, ':');
    buf_append_slice(out, nn_intern_get(&tree->store.people, inode->group));
    buf_append_byte(out, ':');
    buf_append_str(out, nn_access_bits(inode->is_dir, (uint32_t)inode->mode, bits));
}

/* Takes text. */
static int denied(struct err *err, struct buf *text)
{
    const char *s = buf_cstr(text);
    int rc = err_set(err, ERR_ACCESS, "%s", s ? s : err_text(ERR_ACCESS));
    buf_release(text);
    return rc;
}

/* The named entries of an inode, if it has an access list. */
static const struct nn_extra *access_list(const struct nn_tree *tree, uint32_t slot)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    return extra && extra->acl_count && extra->acl[0].what < NN_ACL_TYPES ? extra : NULL;
}

/* For all but the owner: an entry for the user decides; else any of his groups may allow it; only
 * who is met by none is one of the others. The mode's group bits are the mask. */
static bool may_by_list(const struct nn_tree *tree, const struct nn_inode *inode,
                        const struct nn_extra *list, const struct nn_caller *caller,
                        enum nn_access want)
{
    unsigned mask = (unsigned)(inode->mode >> 3) & 7;
    bool is_met = false;
    for (uint32_t i = 0; i < list->acl_count && list->acl[i].what < NN_ACL_TYPES; i++) {
        const struct nn_acl_entry *entry = &list->acl[i];
        struct slice name = nn_intern_get(&tree->store.people, entry->name);
        bool allows = (entry->perm & mask & want) == (unsigned)want;
        if (entry->what == NN_ACL_USER && slice_eq(name, caller->user))
            return allows;
        if (entry->what != NN_ACL_GROUP)
            continue;
        if (name.len == 0)
            name = nn_intern_get(&tree->store.people, inode->group);
        if (nn_caller_in_group(caller, name)) {
            if (allows)
                return true;
            is_met = true;
        }
    }
    return !is_met && (inode->mode & want) == want;
}

static bool may(const struct nn_tree *tree, uint32_t slot, const struct nn_caller *caller,
                enum nn_access want)
{
    if (caller->is_super)
        return true;
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    const struct nn_extra *list = access_list(tree, slot);
    unsigned shift = 0;
    if (slice_eq(owner_of(tree, inode), caller->user))
        shift = 6;
    else if (list)
        return may_by_list(tree, inode, list, caller, want);
    else if (nn_caller_in_group(caller, nn_intern_get(&tree->store.people, inode->group)))
        shift = 3;
    return ((inode->mode >> shift) & want) == want;
}

static int check(const struct nn_tree *tree, uint32_t slot, const struct nn_caller *caller,
                 enum nn_access want, struct err *err)
{
    if (may(tree, slot, caller, want))
        return 0;
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "Permission denied: user=" SLICE_FMT ", access=%s, inode=", SLICE_ARG(caller->user),
               access_name(want));
    describe(tree, slot, &text);
    return denied(err, &text);
}

int nn_access_traverse(const struct nn_tree *tree, const struct nn_walk *walk,
                       const struct nn_caller *caller, struct err *err)
{
    for (uint32_t i = 0; i <= walk->found && i < walk->depth; i++) {
        uint32_t slot = walk->slots[i];
        if (!nn_inode(&tree->store, slot)->is_dir) {
            struct buf path = BUF_INIT;
            nn_tree_path(tree, slot, &path);
            int rc = err_set(err, ERR_NOTDIR, SLICE_FMT " (is not a directory)",
                             SLICE_ARG(buf_slice(&path)));
            buf_release(&path);
            return rc;
        }
        int rc = check(tree, slot, caller, NN_X, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int nn_access_path(const struct nn_tree *tree, const struct nn_walk *walk,
                   const struct nn_caller *caller, enum nn_access want, struct err *err)
{
    int rc = nn_access_traverse(tree, walk, caller, err);
    return rc != 0 ? rc : check(tree, nn_walk_last(walk), caller, want, err);
}

/* In a sticky directory only the owner of an entry, or of the directory, may take it away. */
static int check_sticky(const struct nn_tree *tree, uint32_t slot, const struct nn_caller *caller,
                        struct err *err)
{
    const struct nn_inode *inode = nn_inode(&tree->store, slot);
    const struct nn_inode *parent = nn_inode(&tree->store, inode->parent);
    if (!(parent->mode & 01000U) || caller->is_super ||
        slice_eq(owner_of(tree, parent), caller->user) ||
        slice_eq(owner_of(tree, inode), caller->user))
        return 0;
    struct buf text = BUF_INIT;
    buf_printf(&text, "Permission denied by sticky bit: user=" SLICE_FMT ", path=",
               SLICE_ARG(caller->user));
    describe(tree, slot, &text);
    buf_append_str(&text, ", parent=");
    describe(tree, inode->parent, &text);
    return denied(err, &text);
}

int nn_access_parent(const struct nn_tree *tree, const struct nn_walk *walk,
                     const struct nn_caller *caller, enum nn_access want, struct err *err)
{
    int rc = nn_access_traverse(tree, walk, caller, err);
    if (rc != 0 || walk->depth == 0 || walk->found + 1 < walk->depth)
        return rc;
    rc = check(tree, walk->slots[walk->depth - 1], caller, want, err);
    if (rc == 0 && (want & NN_W) && nn_walk_is_whole(walk))
        rc = check_sticky(tree, nn_walk_last(walk), caller, err);
    return rc;
}

int nn_access_ancestor(const struct nn_tree *tree, const struct nn_walk *walk,
                       const struct nn_caller *caller, enum nn_access want, struct err *err)
{
    int rc = nn_access_traverse(tree, walk, caller, err);
    if (rc != 0 || walk->depth == 0)
        return rc;
    uint32_t deepest = walk->found < walk->depth ? walk->found : walk->depth - 1;
    return check(tree, walk->slots[deepest], caller, want, err);
}

/* Where a look below stands: at a directory, and, if that is sticky, behind an entry of it. */
struct place {
    uint32_t dir, entry; /* slots; dir 0 = all was seen, entry 0 = none of them yet */
};

/* Nobody takes away with a sticky directory what he could not take out of it. 1: the limit is
 * reached, and entries are left. */
static int check_sticky_entries(const struct nn_tree *tree, struct place *at,
                                const struct nn_caller *caller, uint32_t *limit, struct err *err)
{
    const struct nn_inode *inode = nn_inode(&tree->store, at->dir);
    const struct nn_children *children = &nn_dir(&tree->store, at->dir)->children;
    struct nn_naming naming = nn_inodes_naming(&tree->store);
    struct nn_cursor cursor = {0, 0};
    if (!(inode->mode & 01000U) || slice_eq(owner_of(tree, inode), caller->user))
        return 0;
    if (at->entry)
        cursor = nn_children_after(children, &naming, nn_inode_name(&tree->store, at->entry));
    for (; *limit > 0; --*limit) {
        uint32_t child = nn_children_next(children, &cursor);
        int rc = child ? check_sticky(tree, child, caller, err) : 0;
        at->entry = child;
        if (rc != 0 || !child)
            return rc;
    }
    return 1;
}

/* The directory after this one, in pre-order; 0 behind the last one below `top`. */
static uint32_t next_below(const struct nn_tree *tree, uint32_t top, uint32_t at)
{
    if (nn_dir(&tree->store, at)->first_subdir)
        return nn_dir(&tree->store, at)->first_subdir;
    while (at != top && nn_dir(&tree->store, at)->next_subdir == 0)
        at = nn_inode(&tree->store, at)->parent;
    return at == top ? 0 : nn_dir(&tree->store, at)->next_subdir;
}

struct below_look {
    const struct nn_caller *caller;
    enum nn_access want;
    bool skip_empty;
    uint32_t limit; /* directories, and entries of sticky ones */
};

/* Negative: no. Else look at at->dir. */
static int look_below(const struct nn_tree *tree, uint32_t top, struct place *at,
                      struct below_look look, struct err *err)
{
    while (at->dir && look.limit > 0) {
        int rc = 0;
        look.limit--;
        if (at->entry == 0 &&
            (!look.skip_empty || nn_dir(&tree->store, at->dir)->children.count > 0))
            rc = check(tree, at->dir, look.caller, look.want, err);
        if (rc == 0 && (look.want & NN_W))
            rc = check_sticky_entries(tree, at, look.caller, &look.limit, err);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        *at = (struct place){next_below(tree, top, at->dir), 0};
    }
    return 0;
}

int nn_access_below(const struct nn_tree *tree, const struct nn_walk *walk,
                    const struct nn_caller *caller, enum nn_access want, bool skip_empty,
                    struct err *err)
{
    uint32_t top = nn_walk_last(walk);
    struct place at = {top, 0};
    struct below_look look = {caller, want, skip_empty, UINT32_MAX};
    if (caller->is_super || !nn_inode(&tree->store, top)->is_dir)
        return 0;
    return look_below(tree, top, &at, look, err);
}

static bool is_below(const struct nn_tree *tree, uint32_t top, uint32_t slot)
{
    while (slot && slot != top)
        slot = nn_inode(&tree->store, slot)->parent;
    return slot != 0;
}

int nn_access_below_step(const struct nn_tree *tree, struct nn_below *below,
                         const struct nn_caller *caller, enum nn_access want, bool skip_empty,
                         uint32_t limit, struct err *err)
{
    uint32_t top = nn_tree_find_id(tree, below->top);
    if (caller->is_super || !top || !nn_inode(&tree->store, top)->is_dir)
        return 0;
    struct place at = {below->at ? nn_tree_find_id(tree, below->at) : top,
                       below->entry ? nn_tree_find_id(tree, below->entry) : 0};
    if (!at.dir || !is_below(tree, top, at.dir)) {
        at = (struct place){top, 0};
        below->restarts++;
    }
    if (at.entry && nn_inode(&tree->store, at.entry)->parent != at.dir)
        at.entry = 0; /* gone: from the first on again */
    struct below_look look = {caller, want, skip_empty, limit};
    if (below->restarts > NN_BELOW_RESTARTS)
        look.limit = UINT32_MAX;
    int rc = look_below(tree, top, &at, look, err);
    below->at = at.dir ? nn_inode(&tree->store, at.dir)->id : 0;
    below->entry = at.entry ? nn_inode(&tree->store, at.entry)->id : 0;
    return rc == 0 && at.dir ? 1 : rc;
}

int nn_access_owner(const struct nn_tree *tree, const struct nn_walk *walk,
                    const struct nn_caller *caller, struct err *err)
{
    int rc = nn_access_traverse(tree, walk, caller, err);
    uint32_t slot = nn_walk_last(walk);
    if (rc != 0 || caller->is_super ||
        slice_eq(owner_of(tree, nn_inode(&tree->store, slot)), caller->user))
        return rc;
    struct buf text = BUF_INIT;
    buf_printf(&text, "Permission denied. user=" SLICE_FMT " is not the owner of inode=",
               SLICE_ARG(caller->user));
    nn_tree_path(tree, slot, &text);
    return denied(err, &text);
}

int nn_access_super(const struct nn_caller *caller, const char *operation, struct err *err)
{
    if (caller->is_super)
        return 0;
    return err_set(err, ERR_ACCESS,
                   "Access denied for user " SLICE_FMT
                   ". Superuser privilege is required for operation %s",
                   SLICE_ARG(caller->user), operation);
}
