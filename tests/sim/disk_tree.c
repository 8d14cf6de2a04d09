/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk_tree.h"

#include "libcommon/base/str.h"

void *sim_must(void *p)
{
    if (!p)
        BUG("the simulated disk is out of memory");
    return p;
}

void sim_must_grow(void *items, size_t *cap, size_t used, size_t size)
{
    if (mem_grow(items, cap, used, size) != 0)
        BUG("the simulated disk is out of memory");
}

/* ---- files ---- */

struct inode *sim_inode_new(bool is_dir)
{
    struct inode *inode = sim_must(mem_calloc(1, sizeof(*inode)));
    inode->is_dir = is_dir;
    inode->refs = 1;
    return inode;
}

struct inode *sim_inode_ref(struct inode *inode)
{
    inode->refs++;
    return inode;
}

void sim_names_release(struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        mem_free(names->v[i].text);
        sim_inode_unref(names->v[i].inode);
    }
    mem_free(names->v);
    *names = (struct names){0};
}

void sim_inode_forget_changes(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        mem_free(inode->changes[i].bytes);
    inode->change_count = 0;
    for (size_t i = 0; i < inode->name_change_count; i++) {
        struct name_change *c = &inode->name_changes[i];
        mem_free(c->add);
        mem_free(c->remove);
        mem_free(c->moved_to);
        if (c->inode)
            sim_inode_unref(c->inode);
    }
    inode->name_change_count = 0;
}

void sim_inode_unref(struct inode *inode)
{
    if (--inode->refs)
        return;
    sim_inode_forget_changes(inode);
    sim_names_release(&inode->now);
    sim_names_release(&inode->kept);
    buf_release(&inode->durable);
    buf_release(&inode->cached);
    mem_free(inode->changes);
    mem_free(inode->name_changes);
    mem_free(inode);
}

void sim_bytes_set_length(struct buf *bytes, uint64_t length)
{
    if (length > bytes->len) {
        size_t more = length - bytes->len;
        memset(sim_must(buf_reserve(bytes, more)), 0, more);
    }
    bytes->len = length;
}

void sim_bytes_apply(struct buf *bytes, const struct change *c)
{
    if (c->kind == CHANGE_LENGTH) {
        sim_bytes_set_length(bytes, c->value);
        return;
    }
    size_t from = c->value * SECTOR;
    size_t end = c->length < from + SECTOR ? c->length : from + SECTOR;
    if (bytes->len < end)
        sim_bytes_set_length(bytes, end);
    memcpy(bytes->data + from, c->bytes, end - from);
}

/* ---- directories ---- */

static size_t names_at(const struct names *names, const char *text, bool *ret_found)
{
    size_t lo = 0, hi = names->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(names->v[mid].text, text);
        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_found = false;
    return lo;
}

struct inode *sim_names_find(const struct names *names, const char *text)
{
    bool found;
    size_t at = names_at(names, text, &found);
    return found ? names->v[at].inode : NULL;
}

static void names_remove(struct names *names, const char *text)
{
    bool found;
    size_t at = names_at(names, text, &found);
    if (!found)
        return;
    mem_free(names->v[at].text);
    sim_inode_unref(names->v[at].inode);
    names->n--;
    memmove(&names->v[at], &names->v[at + 1], (names->n - at) * sizeof(*names->v));
}

void sim_names_set(struct names *names, const char *text, struct inode *inode)
{
    bool found;
    sim_inode_ref(inode);
    size_t at = names_at(names, text, &found);
    if (found) {
        sim_inode_unref(names->v[at].inode);
        names->v[at].inode = inode;
        return;
    }
    sim_must_grow(&names->v, &names->cap, names->n, sizeof(*names->v));
    memmove(&names->v[at + 1], &names->v[at], (names->n - at) * sizeof(*names->v));
    names->v[at] = (struct name){sim_must(str_dup(text)), inode};
    names->n++;
}

struct name_change *sim_dir_change(struct inode *dir, const char *remove, const char *add,
                                   struct inode *inode)
{
    if (add)
        sim_names_set(&dir->now, add, inode);
    if (remove)
        names_remove(&dir->now, remove);
    sim_must_grow(&dir->name_changes, &dir->name_change_cap, dir->name_change_count,
                  sizeof(*dir->name_changes));
    struct name_change *change = &dir->name_changes[dir->name_change_count++];
    *change = (struct name_change){
        .add = add ? sim_must(str_dup(add)) : NULL,
        .remove = remove ? sim_must(str_dup(remove)) : NULL,
        .inode = add ? sim_inode_ref(inode) : NULL,
    };
    return change;
}

void sim_names_apply(struct names *names, const struct name_change *c)
{
    if (c->add)
        sim_names_set(names, c->add, c->inode);
    if (c->remove)
        names_remove(names, c->remove);
}

struct inode *sim_dir_walk(const struct sim_disk *sim, const char *path, char last[256])
{
    struct inode *dir = sim->root;
    last[0] = 0;
    if (path[0] != '/')
        BUG("the simulated disk wants absolute paths, not %s", path);
    for (;;) {
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        if (n == 0)
            return dir;
        if (last[0]) {
            dir = sim_names_find(&dir->now, last);
            if (!dir || !dir->is_dir)
                return NULL;
        }
        if (n > 255)
            return NULL;
        memcpy(last, path, n);
        last[n] = 0;
        path += n;
    }
}

struct inode *sim_dir_find(const struct sim_disk *sim, const char *path)
{
    char last[256];
    struct inode *dir = sim_dir_walk(sim, path, last);
    if (!dir || !last[0])
        return dir;
    return sim_names_find(&dir->now, last);
}
