/* SPDX-License-Identifier: Apache-2.0
 * item: one path a command works on: as it was typed (output keeps that form: relative in, relative
 * out; URI in, URI out), as the filesystem knows it, and what is there. */
#ifndef QUERN_FS_ITEM_H
#define QUERN_FS_ITEM_H

#include "client/fs/volume.h"

struct fs_item {
    struct fs_volume *volume; /* borrowed */
    char *text;               /* what is shown */
    char *path;               /* normal */
    bool exists;
    struct qn_stat stat; /* when it exists; its strings live in `strings` */
    char *strings;
};

void fs_item_release(struct fs_item *item);

/* Can the text be a path at all? Else ERR_USAGE, in the words of Hadoop's Path. An empty one is the
 * important case: `rm -r "$UNSET"` must not mean the home directory. */
int fs_item_check_text(const char *text, struct qn_error *err);
/* ERR_USAGE when the path part of a text climbs above the root of a cluster. */
int fs_item_check_root(const struct fs_volume *volume, struct slice typed, struct qn_error *err);
/* An item for typed text, without asking what is there. `text` is stored as it is. ERR_INVAL for a
 * path that cannot be one; ERR_USAGE when it climbs above the root of a cluster. */
int fs_item_init(struct fs_item *item, struct fs_volume *volume, const char *text,
                 struct qn_error *err);
/* The same for what names a local file, and asked about: of a URI the path is taken, whatever its
 * scheme; and "a%20b" is "a b" when only that is there, as scripts write what Hadoop unescapes. */
int fs_item_local(struct fs_item *item, struct fs_volume *local, const char *text,
                  struct qn_error *err);
/* Ask (again). 0 also when nothing is there (exists = false). */
int fs_item_refresh(struct fs_item *item, struct qn_error *err);
/* Take what a listing said. ERR_NOMEM. */
int fs_item_set_stat(struct fs_item *item, const struct qn_stat *stat);

/* An item for the entry `name` of a directory; not asked about. */
int fs_item_child(struct fs_item *child, const struct fs_item *dir, const char *name,
                  struct qn_error *err);
/* The same item with a longer name; not asked about. */
int fs_item_suffix(struct fs_item *ret, const struct fs_item *item, const char *suffix,
                   struct qn_error *err);
/* What it is written as before it gets its name: NAME._COPYING_, or, where that would be longer
 * than a name may be and NAME is not, its beginning with a number for the rest; not asked about. */
int fs_item_temporary(struct fs_item *ret, const struct fs_item *item, struct qn_error *err);

/* Does the text look like a directory (ends in / or . or ..)? */
bool fs_item_looks_like_dir(const struct fs_item *item);
/* The item with scheme and authority in front; mem_free it, NULL when memory is out. */
char *fs_item_uri(const struct fs_item *item);
/* Was it typed with both? */
bool fs_item_is_whole_uri(const struct fs_item *item);
/* Is there a directory it would lie in? 1, 0 or an error. */
int fs_item_parent_exists(const struct fs_item *item, struct qn_error *err);

/* What is shown for `path` (normal) when the user typed `typed`: the same form as he used. Pure;
 * mem_free the result, NULL when memory is out. `home` is where relative paths start. */
char *fs_item_show(const char *typed, const char *path, const char *home, bool is_dir);

/* A growing array of items. */
struct fs_items {
    struct fs_item *v;
    size_t n, cap;
};
void fs_items_release(struct fs_items *items);
/* A new, zeroed item at the end; NULL when memory is out. */
struct fs_item *fs_items_add(struct fs_items *items);

int fs_out_of_memory(struct qn_error *err);

#endif
