/* SPDX-License-Identifier: Apache-2.0
 * disk_tree: what the simulated disk consists of. Inodes are counted by the names, name changes and
 * descriptors that point at them. disk.c works on the tree as processes see it, disk_crash.c builds
 * the tree that is left after a crash; nobody else includes this. Memory running out is a BUG here:
 * tests have enough, and a half-made crash would prove nothing. */
#ifndef QUERN_TESTS_SIM_DISK_TREE_H
#define QUERN_TESTS_SIM_DISK_TREE_H

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "tests/sim/disk.h"

#define SECTOR 512U

struct inode;

struct name {
    char *text;
    struct inode *inode; /* counted */
};

struct names { /* sorted by text */
    struct name *v;
    size_t n, cap;
};

enum change_kind { CHANGE_SECTOR, CHANGE_LENGTH };

struct change { /* of a file, unsynced */
    enum change_kind kind;
    uint64_t value;  /* sector number, or the new length */
    uint8_t *bytes;  /* SECTOR of them */
    uint64_t length; /* of the file when the sector was written */
};

struct name_change { /* of a directory, unsynced: add gets inode, remove goes; a rename has both */
    char *add, *remove;
    struct inode *inode; /* counted; of add */
    uint64_t move_id;    /* the two halves of a rename across directories; 0 = none */
    char *moved_to;      /* of the half that removes: where the other half is pending */
};

struct inode {
    unsigned refs;
    bool is_dir, is_locked;
    struct buf durable, cached; /* files */
    struct change *changes;
    size_t change_count, change_cap;
    struct names now, kept; /* directories: as seen, and as durable */
    struct name_change *name_changes;
    size_t name_change_count, name_change_cap;
    struct inode *copy; /* while a crash is being built */
};

struct handle {
    struct inode *inode; /* counted; NULL = free */
    char *path;
    bool holds_lock;
};

struct sim_disk {
    struct disk disk;
    struct inode *root;
    struct handle *handles;
    size_t handle_count, handle_cap;
    uint64_t capacity, used, ops, moves;
    uint32_t garble;
    char *fail_prefix;
    uint64_t fail_at;
    int fail_code;
    bool fail_forever, has_failed;
    void (*before_op)(void *arg, uint64_t op);
    void *before_arg;
};

/* ---- memory ---- */
void *sim_must(void *p);                                                /* p, which is not NULL */
void sim_must_grow(void *items, size_t *cap, size_t used, size_t size); /* mem_grow that succeeds */

/* ---- files ---- */
struct inode *sim_inode_new(bool is_dir); /* gives one reference */
struct inode *sim_inode_ref(struct inode *inode);
void sim_inode_unref(struct inode *inode);
void sim_inode_forget_changes(struct inode *inode);            /* of bytes and of names */
void sim_bytes_set_length(struct buf *bytes, uint64_t length); /* what is new is zero */
void sim_bytes_apply(struct buf *bytes, const struct change *c);

/* ---- directories ---- */
struct inode *sim_names_find(const struct names *names, const char *text); /* borrowed, or NULL */
void sim_names_set(struct names *names, const char *text, struct inode *inode);
void sim_names_release(struct names *names);
void sim_names_apply(struct names *names, const struct name_change *c);
/* A change of names, seen at once, durable with the next fsync_dir of `dir`. */
struct name_change *sim_dir_change(struct inode *dir, const char *remove, const char *add,
                                   struct inode *inode);
/* The directory that holds the last component of `path`, and that component; NULL when a level is
 * missing. "/" gives the root and an empty last component. */
struct inode *sim_dir_walk(const struct sim_disk *sim, const char *path, char last[256]);
struct inode *sim_dir_find(const struct sim_disk *sim, const char *path);

/* ---- disk_crash.c ---- */
/* The tree as it is found after a crash, one reference of its root; `ret_used`: bytes in it. */
struct inode *sim_crash_tree(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed,
                             uint64_t *ret_used);

#endif
