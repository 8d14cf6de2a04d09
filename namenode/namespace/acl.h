/* SPDX-License-Identifier: Apache-2.0
 * acl: access control lists, as POSIX (withdrawn) and Hadoop have them.
 *
 * An access list has entries for the owner, the group, others, named users and named groups, and a
 * mask that limits all but owner and others. A directory may also have a default list, which what
 * is made in it begins with. The whole list as a user sees it is the "logical" one. Stored is only
 * what the mode bits cannot say: owner and others are in the mode, and of an inode with named
 * entries the mode's group bits are the mask, so chmod changes that. Entries are 4 bytes, in the
 * table of what only few inodes have; the order is (scope, type, name), so equal lists have equal
 * bytes. */
#ifndef QUERN_NAMENODE_NAMESPACE_ACL_H
#define QUERN_NAMENODE_NAMESPACE_ACL_H

#include "namenode/namespace/extra.h"
#include "namenode/namespace/tree.h"

#define NN_ACL_MAX  32                   /* entries of an access list, and of a default one */
#define NN_ACL_ROOM (4 * NN_ACL_MAX + 8) /* of a list under work: what was, what comes, masks */

enum nn_acl_type { NN_ACL_USER, NN_ACL_GROUP, NN_ACL_MASK, NN_ACL_OTHER, NN_ACL_TYPES };
const char *nn_acl_type_name(enum nn_acl_type type); /* "user" */

struct nn_acl_item {
    bool is_default;
    uint8_t type, perm; /* perm: rwx as 0..7 */
    struct slice name;  /* empty: the owner, the owning group, everybody */
};
struct nn_acl_list {
    struct nn_acl_item v[NN_ACL_ROOM];
    size_t n;
};

/* As kept with an inode. */
struct nn_acl_entry {
    uint8_t what; /* type, 4 = default */
    uint8_t perm;
    uint16_t name; /* intern number */
};

/* ---- of an inode ---- */

/* Names borrow the tree. */
void nn_acl_stored(const struct nn_tree *tree, uint32_t slot, struct nn_acl_list *ret);
void nn_acl_logical(const struct nn_tree *tree, uint32_t slot, struct nn_acl_list *ret);
bool nn_acl_has_any(const struct nn_tree *tree, uint32_t slot);
bool nn_acl_has_default(const struct nn_tree *tree, uint32_t slot);
/* What a logical list is stored as, and the mode that goes with it (sticky bit of `mode` kept). */
uint32_t nn_acl_split(const struct nn_acl_list *logical, uint32_t mode,
                      struct nn_acl_list *ret_stored);
/* Is it one that nn_acl_split could have given? For what comes from a disk. */
bool nn_acl_is_sound(const struct nn_acl_list *stored, bool is_dir);
int nn_acl_store(struct nn_tree *tree, uint32_t slot, const struct nn_acl_list *stored); /* NOMEM */
/* A new inode takes over what its directory has as default; its mode limits that. ERR_NOMEM. */
int nn_acl_inherit(struct nn_tree *tree, uint32_t slot);

/* ---- editing, on logical lists (acl_edit.c) ---- */

enum nn_acl_action {
    NN_ACL_MODIFY,         /* add or replace these entries */
    NN_ACL_REMOVE,         /* remove these entries; permissions in them do not matter */
    NN_ACL_REMOVE_DEFAULT, /* the whole default list */
    NN_ACL_REMOVE_ALL,     /* all that a mode cannot say */
    NN_ACL_SET,            /* replace the scopes named by these entries */
    NN_ACL_ACTIONS
};
/* A mask not given is worked out anew where a scope changed. ERR_INVAL in Hadoop's words. */
int nn_acl_edit(const struct nn_acl_list *now, enum nn_acl_action action,
                const struct nn_acl_list *spec, struct nn_acl_list *ret, struct err *err);
void nn_acl_sort(struct nn_acl_list *list);

#endif
