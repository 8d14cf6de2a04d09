/* SPDX-License-Identifier: Apache-2.0
 * disk_crash: a new tree is built from the durable state plus what chance lets through; the
 * caller puts it in the old one's place, or has a clone. */
#include "libcommon/base/str.h"
#include "tests/sim/disk_tree.h"

struct crash {
    enum sim_crash kind;
    struct rand rand;
    uint32_t garble;
    uint32_t odds; /* of 8: how much of the unsynced gets through in this crash */
    uint64_t seed;
    uint64_t used;
};

static bool lets_through(struct crash *crash)
{
    return crash->kind == SIM_CRASH_RANDOM && rand_below(&crash->rand, 8) < crash->odds;
}

/* The halves of a move are decided by the same number, so that the old name goes only when the new
 * one came. */
static bool change_gets_through(struct crash *crash, const struct name_change *c)
{
    if (c->move_id == 0 || crash->kind != SIM_CRASH_RANDOM)
        return lets_through(crash);
    uint64_t lot = hash_u64(crash->seed ^ (c->move_id << 20));
    return lot % 8 < crash->odds && (!c->moved_to || (lot >> 32) % 2);
}

static void garble_sector(struct crash *crash, struct buf *bytes, uint64_t sector)
{
    for (size_t b = sector * SECTOR; b < (sector + 1) * SECTOR && b < bytes->len; b++)
        bytes->data[b] = (uint8_t)rand_u64(&crash->rand);
}

/* A killed process: what was unsynced stays so, and a later power cut may still take it. */
static struct inode *copy_file(struct crash *crash, struct inode *old)
{
    struct inode *file = sim_inode_new(false);
    buf_append(&file->cached, old->cached.data, old->cached.len);
    buf_append(&file->durable, old->durable.data, old->durable.len);
    for (size_t i = 0; i < old->change_count; i++) {
        struct change c = old->changes[i];
        if (c.bytes)
            c.bytes = memcpy(sim_must(mem_alloc(SECTOR)), c.bytes, SECTOR);
        sim_must_grow(&file->changes, &file->change_cap, i, sizeof(*file->changes));
        file->changes[file->change_count++] = c;
    }
    crash->used += file->cached.len;
    return file;
}

static struct inode *build_file(struct crash *crash, struct inode *old)
{
    struct inode *file = sim_inode_new(false);
    buf_append(&file->cached, old->durable.data, old->durable.len);
    for (size_t i = 0; i < old->change_count; i++) {
        struct change *c = &old->changes[i];
        if (!lets_through(crash))
            continue;
        sim_bytes_apply(&file->cached, c);
        if (c->kind == CHANGE_SECTOR && rand_chance(&crash->rand, crash->garble))
            garble_sector(crash, &file->cached, c->value);
    }
    buf_append(&file->durable, file->cached.data, file->cached.len);
    crash->used += file->cached.len;
    return file;
}

static struct inode *build_inode(struct crash *crash, struct inode *old);

static void build_names(struct crash *crash, struct names *to, const struct names *from)
{
    for (size_t i = 0; i < from->n; i++)
        sim_names_set(to, from->v[i].text, build_inode(crash, from->v[i].inode));
}

static struct inode *copy_dir(struct crash *crash, struct inode *old)
{
    struct inode *dir = sim_inode_new(true);
    build_names(crash, &dir->now, &old->now);
    build_names(crash, &dir->kept, &old->kept);
    for (size_t i = 0; i < old->name_change_count; i++) {
        struct name_change c = old->name_changes[i];
        c.add = c.add ? sim_must(str_dup(c.add)) : NULL;
        c.remove = c.remove ? sim_must(str_dup(c.remove)) : NULL;
        c.moved_to = c.moved_to ? sim_must(str_dup(c.moved_to)) : NULL;
        c.inode = c.inode ? sim_inode_ref(build_inode(crash, c.inode)) : NULL;
        sim_must_grow(&dir->name_changes, &dir->name_change_cap, i, sizeof(*dir->name_changes));
        dir->name_changes[dir->name_change_count++] = c;
    }
    return dir;
}

static struct inode *build_dir(struct crash *crash, struct inode *old)
{
    struct names outcome = {0};
    for (size_t i = 0; i < old->kept.n; i++)
        sim_names_set(&outcome, old->kept.v[i].text, old->kept.v[i].inode);
    for (size_t i = 0; i < old->name_change_count; i++)
        if (change_gets_through(crash, &old->name_changes[i]))
            sim_names_apply(&outcome, &old->name_changes[i]);
    struct inode *dir = sim_inode_new(true);
    build_names(crash, &dir->now, &outcome);
    build_names(crash, &dir->kept, &outcome);
    sim_names_release(&outcome);
    return dir;
}

/* One copy per inode, however many names it has; the copy's first reference is dropped at the end
 * (forget_copies), when its names hold it. */
static struct inode *build_inode(struct crash *crash, struct inode *old)
{
    if (old->copy)
        return old->copy;
    if (crash->kind == SIM_CRASH_ALL)
        old->copy = old->is_dir ? copy_dir(crash, old) : copy_file(crash, old);
    else
        old->copy = old->is_dir ? build_dir(crash, old) : build_file(crash, old);
    return old->copy;
}

static void forget_copies(struct inode *old)
{
    if (!old->copy)
        return;
    struct inode *copy = old->copy;
    old->copy = NULL;
    for (size_t i = 0; i < old->now.n; i++)
        forget_copies(old->now.v[i].inode);
    for (size_t i = 0; i < old->kept.n; i++)
        forget_copies(old->kept.v[i].inode);
    for (size_t i = 0; i < old->name_change_count; i++)
        if (old->name_changes[i].inode)
            forget_copies(old->name_changes[i].inode);
    sim_inode_unref(copy);
}

struct inode *sim_crash_tree(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed,
                             uint64_t *ret_used)
{
    struct crash crash = {.kind = kind, .garble = sim->garble, .seed = seed};
    rand_init(&crash.rand, seed);
    crash.odds = (uint32_t)rand_below(&crash.rand, 9);
    struct inode *root = sim_inode_ref(build_inode(&crash, sim->root));
    forget_copies(sim->root);
    *ret_used = crash.used;
    return root;
}
