/* SPDX-License-Identifier: Apache-2.0
 * sim/disk: inodes are counted by the names, name changes and descriptors that point at them. A
 * crash builds a new tree (build_dir) from the durable state plus what chance lets through, and the
 * new tree replaces the old one or becomes the clone. Memory running out is a BUG here: tests have
 * enough, and a half-made crash would prove nothing. */
#include "tests/sim/disk.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define SECTOR  512U
#define FD_BASE (1 << 20)

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

static void *must(void *p)
{
    if (!p)
        BUG("the simulated disk is out of memory");
    return p;
}

static void must_grow(void *items, size_t *cap, size_t used, size_t size)
{
    if (mem_grow(items, cap, used, size) != 0)
        BUG("the simulated disk is out of memory");
}

/* ---- inodes ---- */

static struct inode *inode_new(bool is_dir)
{
    struct inode *inode = must(mem_calloc(1, sizeof(*inode)));
    inode->is_dir = is_dir;
    inode->refs = 1;
    return inode;
}

static struct inode *inode_ref(struct inode *inode)
{
    inode->refs++;
    return inode;
}

static void inode_unref(struct inode *inode);

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        mem_free(names->v[i].text);
        inode_unref(names->v[i].inode);
    }
    mem_free(names->v);
    *names = (struct names){0};
}

static void forget_changes(struct inode *inode)
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
            inode_unref(c->inode);
    }
    inode->name_change_count = 0;
}

static void inode_unref(struct inode *inode)
{
    if (--inode->refs)
        return;
    forget_changes(inode);
    names_release(&inode->now);
    names_release(&inode->kept);
    buf_release(&inode->durable);
    buf_release(&inode->cached);
    mem_free(inode->changes);
    mem_free(inode->name_changes);
    mem_free(inode);
}

/* ---- names ---- */

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

static struct inode *names_find(const struct names *names, const char *text)
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
    inode_unref(names->v[at].inode);
    names->n--;
    memmove(&names->v[at], &names->v[at + 1], (names->n - at) * sizeof(*names->v));
}

static void names_set(struct names *names, const char *text, struct inode *inode)
{
    bool found;
    inode_ref(inode);
    size_t at = names_at(names, text, &found);
    if (found) {
        inode_unref(names->v[at].inode);
        names->v[at].inode = inode;
        return;
    }
    must_grow(&names->v, &names->cap, names->n, sizeof(*names->v));
    memmove(&names->v[at + 1], &names->v[at], (names->n - at) * sizeof(*names->v));
    names->v[at] = (struct name){must(str_dup(text)), inode};
    names->n++;
}

/* A change of names, seen at once, durable with the next fsync_dir of `dir`. */
static struct name_change *change_names(struct inode *dir, const char *remove, const char *add,
                                        struct inode *inode)
{
    if (add)
        names_set(&dir->now, add, inode);
    if (remove)
        names_remove(&dir->now, remove);
    must_grow(&dir->name_changes, &dir->name_change_cap, dir->name_change_count,
              sizeof(*dir->name_changes));
    struct name_change *change = &dir->name_changes[dir->name_change_count++];
    *change = (struct name_change){
        .add = add ? must(str_dup(add)) : NULL,
        .remove = remove ? must(str_dup(remove)) : NULL,
        .inode = add ? inode_ref(inode) : NULL,
    };
    return change;
}

/* The directory that holds the last component of `path`, and that component; NULL when a level is
 * missing. "/" gives the root and an empty last component. */
static struct inode *walk(struct sim_disk *sim, const char *path, char last[256])
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
            dir = names_find(&dir->now, last);
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

static struct inode *find(struct sim_disk *sim, const char *path)
{
    char last[256];
    struct inode *dir = walk(sim, path, last);
    if (!dir || !last[0])
        return dir;
    return names_find(&dir->now, last);
}

/* ---- operations ---- */

static struct sim_disk *sim_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct sim_disk, disk);
}

static bool is_under(const struct sim_disk *sim, const char *path)
{
    return sim->fail_prefix && strncmp(path, sim->fail_prefix, strlen(sim->fail_prefix)) == 0;
}

/* Before each changing operation: counts it, tells the test, and fails it when it is its turn. */
static int changing(struct sim_disk *sim, const char *path)
{
    sim->ops++;
    if (sim->before_op)
        sim->before_op(sim->before_arg, sim->ops);
    if (!is_under(sim, path))
        return 0;
    if (sim->has_failed)
        return sim->fail_forever ? sim->fail_code : 0;
    if (sim->fail_at == 0 || --sim->fail_at > 0)
        return 0;
    sim->has_failed = true;
    return sim->fail_code;
}

static int reading(const struct sim_disk *sim, const char *path)
{
    return sim->has_failed && sim->fail_forever && is_under(sim, path) ? sim->fail_code : 0;
}

static struct handle *handle_of(struct disk *disk, int fd)
{
    struct sim_disk *sim = sim_of(disk);
    size_t i = (size_t)(fd - FD_BASE);
    if (fd < FD_BASE || i >= sim->handle_count || !sim->handles[i].inode)
        BUG("descriptor %d was not given by this simulated disk", fd);
    return &sim->handles[i];
}

static int handle_new(struct sim_disk *sim, struct inode *inode, const char *path)
{
    size_t i = 0;
    while (i < sim->handle_count && sim->handles[i].inode)
        i++;
    if (i == sim->handle_count) {
        must_grow(&sim->handles, &sim->handle_cap, sim->handle_count, sizeof(*sim->handles));
        sim->handle_count++;
    }
    sim->handles[i] = (struct handle){inode_ref(inode), must(str_dup(path)), false};
    return FD_BASE + (int)i;
}

static void handle_end(struct handle *handle)
{
    if (handle->holds_lock)
        handle->inode->is_locked = false;
    inode_unref(handle->inode);
    mem_free(handle->path);
    *handle = (struct handle){0};
}

static void note_length(struct inode *inode, uint64_t length)
{
    must_grow(&inode->changes, &inode->change_cap, inode->change_count, sizeof(*inode->changes));
    inode->changes[inode->change_count++] = (struct change){CHANGE_LENGTH, length, NULL, 0};
}

static void set_length(struct buf *bytes, uint64_t length)
{
    if (length > bytes->len) {
        size_t more = length - bytes->len;
        memset(must(buf_reserve(bytes, more)), 0, more);
    }
    bytes->len = length;
}

static int resize(struct sim_disk *sim, struct inode *inode, uint64_t length)
{
    uint64_t old = inode->cached.len;
    if (sim->capacity && length > old && sim->used + (length - old) > sim->capacity)
        return ERR_NOSPC;
    sim->used += length - old;
    set_length(&inode->cached, length);
    if (length != old)
        note_length(inode, length);
    return 0;
}

static int sim_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = walk(sim, path, last);
    if (!dir)
        return ERR_NOENT;
    struct inode *inode = last[0] ? names_find(&dir->now, last) : dir;
    int rc = reading(sim, path);
    if (rc == 0 && (flags & DISK_CREATE) && (!inode || (flags & DISK_TRUNC)))
        rc = changing(sim, path);
    if (rc != 0)
        return rc;
    if (!inode && !(flags & DISK_CREATE))
        return ERR_NOENT;
    if (inode && (flags & DISK_EXCL))
        return ERR_EXIST;
    if (inode && inode->is_dir && (flags & DISK_WRITE))
        return ERR_ISDIR;
    if (!inode) {
        inode = inode_new(false);
        change_names(dir, NULL, last, inode);
        inode_unref(inode);
    } else if (flags & DISK_TRUNC) {
        (void)resize(sim, inode, 0);
    }
    *ret_fd = handle_new(sim, inode, path);
    return 0;
}

static void sim_close(struct disk *disk, int fd)
{
    handle_end(handle_of(disk, fd));
}

static int64_t sim_pread(struct disk *disk, int fd, void *data, size_t len, uint64_t off)
{
    struct handle *h = handle_of(disk, fd);
    int rc = reading(sim_of(disk), h->path);
    if (rc != 0)
        return rc;
    size_t have = h->inode->cached.len;
    if (off >= have)
        return 0;
    size_t n = have - off < len ? have - off : len;
    memcpy(data, h->inode->cached.data + off, n);
    return (int64_t)n;
}

/* Remember each touched sector as it is now. */
static void note_sectors(struct inode *inode, uint64_t off, size_t len)
{
    for (uint64_t s = off / SECTOR; len && s <= (off + len - 1) / SECTOR; s++) {
        uint8_t *bytes = must(mem_calloc(1, SECTOR));
        size_t from = s * SECTOR, have = inode->cached.len - from;
        memcpy(bytes, inode->cached.data + from, have < SECTOR ? have : SECTOR);
        must_grow(&inode->changes, &inode->change_cap, inode->change_count,
                  sizeof(*inode->changes));
        inode->changes[inode->change_count++] =
            (struct change){CHANGE_SECTOR, s, bytes, inode->cached.len};
    }
}

static int64_t sim_pwrite(struct disk *disk, int fd, const void *data, size_t len, uint64_t off)
{
    struct sim_disk *sim = sim_of(disk);
    struct handle *h = handle_of(disk, fd);
    int failed = changing(sim, h->path);
    if (failed != 0)
        len /= 2; /* an error tells nothing about what was written */
    if (len && off + len > h->inode->cached.len) {
        int rc = resize(sim, h->inode, off + len);
        if (rc != 0)
            return rc;
    }
    if (len) {
        memcpy(h->inode->cached.data + off, data, len);
        note_sectors(h->inode, off, len);
    }
    return failed ? failed : (int64_t)len;
}

static void apply_change(struct buf *bytes, const struct change *c)
{
    if (c->kind == CHANGE_LENGTH) {
        set_length(bytes, c->value);
        return;
    }
    size_t from = c->value * SECTOR;
    size_t end = c->length < from + SECTOR ? c->length : from + SECTOR;
    if (bytes->len < end)
        set_length(bytes, end);
    memcpy(bytes->data + from, c->bytes, end - from);
}

/* Everything cached becomes durable. */
static void sync_file(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        apply_change(&inode->durable, &inode->changes[i]);
    set_length(&inode->durable, inode->cached.len);
    forget_changes(inode);
}

static int sim_sync(struct disk *disk, int fd, bool data_only)
{
    (void)data_only;
    struct handle *h = handle_of(disk, fd);
    int rc = changing(sim_of(disk), h->path);
    if (rc != 0)
        forget_changes(h->inode);
    else
        sync_file(h->inode);
    return rc;
}

static int sim_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    (void)off;
    (void)len;
    (void)handle_of(disk, fd);
    return 0;
}

static int sim_truncate(struct disk *disk, int fd, uint64_t size)
{
    struct handle *h = handle_of(disk, fd);
    int rc = changing(sim_of(disk), h->path);
    return rc ? rc : resize(sim_of(disk), h->inode, size);
}

static int sim_allocate(struct disk *disk, int fd, uint64_t size)
{
    struct handle *h = handle_of(disk, fd);
    int rc = changing(sim_of(disk), h->path);
    if (rc != 0 || size <= h->inode->cached.len)
        return rc;
    return resize(sim_of(disk), h->inode, size);
}

static int sim_copy(struct disk *disk, int from_fd, int to_fd, uint64_t off, uint64_t len)
{
    struct inode *from = handle_of(disk, from_fd)->inode;
    if (off + len > from->cached.len)
        return ERR_EOF;
    int64_t n = sim_pwrite(disk, to_fd, from->cached.data + off, len, off);
    return n < 0 ? (int)n : 0;
}

static int64_t sim_next_data(struct disk *disk, int fd, uint64_t off)
{
    const struct buf *bytes = &handle_of(disk, fd)->inode->cached;
    while (off < bytes->len && bytes->data[off] == 0)
        off++;
    return (int64_t)off;
}

static void fill_stat(const struct inode *inode, struct disk_stat *ret)
{
    *ret = (struct disk_stat){.size_bytes = inode->cached.len,
                              .allocated_bytes = inode->cached.len,
                              .is_dir = inode->is_dir};
}

static int sim_stat_fd(struct disk *disk, int fd, struct disk_stat *ret)
{
    fill_stat(handle_of(disk, fd)->inode, ret);
    return 0;
}

static int sim_stat(struct disk *disk, const char *path, struct disk_stat *ret)
{
    int rc = reading(sim_of(disk), path);
    struct inode *inode = rc ? NULL : find(sim_of(disk), path);
    if (rc != 0 || !inode)
        return rc ? rc : ERR_NOENT;
    fill_stat(inode, ret);
    return 0;
}

/* Within one directory a rename is one change. Across two, the new name is a change of the target's
 * directory and the end of the old one a change of the source's: a crash may keep both names, never
 * neither (see change_gets_through and sync_names). */
static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *sim = sim_of(disk);
    char from_last[256], to_last[256];
    struct inode *from_dir = walk(sim, from, from_last), *to_dir = walk(sim, to, to_last);
    int rc = changing(sim, to);
    if (rc != 0)
        return rc;
    struct inode *inode = from_dir ? names_find(&from_dir->now, from_last) : NULL;
    if (!inode || !to_dir)
        return ERR_NOENT;
    struct inode *target = names_find(&to_dir->now, to_last);
    if (target == inode)
        return 0;
    if (target && target->is_dir != inode->is_dir)
        return target->is_dir ? ERR_ISDIR : ERR_NOTDIR;
    if (target && target->is_dir && target->now.n)
        return ERR_NOTEMPTY;
    if (target)
        sim->used -= target->cached.len;
    inode_ref(inode);
    if (from_dir == to_dir) {
        change_names(from_dir, from_last, to_last, inode);
    } else {
        change_names(to_dir, NULL, to_last, inode)->move_id = ++sim->moves;
        struct name_change *removal = change_names(from_dir, from_last, NULL, NULL);
        removal->move_id = sim->moves;
        removal->moved_to = must(slice_dup(path_parent(slice_str(to))));
    }
    inode_unref(inode);
    return 0;
}

static int sim_unlink(struct disk *disk, const char *path, bool is_dir)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = walk(sim, path, last);
    struct inode *inode = dir ? names_find(&dir->now, last) : NULL;
    int rc = changing(sim, path);
    if (rc != 0)
        return rc;
    if (!inode)
        return ERR_NOENT;
    if (inode->is_dir != is_dir)
        return is_dir ? ERR_NOTDIR : ERR_ISDIR;
    if (is_dir && inode->now.n)
        return ERR_NOTEMPTY;
    sim->used -= inode->cached.len;
    change_names(dir, last, NULL, NULL);
    return 0;
}

static int sim_mkdir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = walk(sim, path, last);
    int rc = changing(sim, path);
    if (rc != 0)
        return rc;
    if (!dir)
        return ERR_NOENT;
    if (!last[0] || names_find(&dir->now, last))
        return ERR_EXIST;
    struct inode *inode = inode_new(true);
    change_names(dir, NULL, last, inode);
    inode_unref(inode);
    return 0;
}

static void apply_name_change(struct names *names, const struct name_change *c)
{
    if (c->add)
        names_set(names, c->add, c->inode);
    if (c->remove)
        names_remove(names, c->remove);
}

/* A removal that is half of a move takes the addition with it. */
static void sync_names(struct sim_disk *sim, struct inode *dir)
{
    for (size_t i = 0; i < dir->name_change_count; i++) {
        const struct name_change *c = &dir->name_changes[i];
        struct inode *other = c->moved_to ? find(sim, c->moved_to) : NULL;
        for (size_t k = 0; other && k < other->name_change_count; k++)
            if (other->name_changes[k].move_id == c->move_id)
                apply_name_change(&other->kept, &other->name_changes[k]);
        apply_name_change(&dir->kept, c);
    }
}

static int sim_fsync_dir(struct disk *disk, const char *path)
{
    struct inode *dir = find(sim_of(disk), path);
    int rc = changing(sim_of(disk), path);
    if (rc == 0 && (!dir || !dir->is_dir))
        return dir ? ERR_NOTDIR : ERR_NOENT;
    if (rc == 0)
        sync_names(sim_of(disk), dir);
    if (dir)
        forget_changes(dir);
    return rc;
}

static int sim_list(struct disk *disk, const char *path, disk_visit_fn visit, void *arg)
{
    int rc = reading(sim_of(disk), path);
    struct inode *dir = rc ? NULL : find(sim_of(disk), path);
    if (rc != 0 || !dir || !dir->is_dir)
        return rc ? rc : dir ? ERR_NOTDIR : ERR_NOENT;
    char **texts = must(mem_calloc(dir->now.n + 1, sizeof(*texts)));
    size_t n = dir->now.n;
    for (size_t i = 0; i < n; i++)
        texts[i] = must(str_dup(dir->now.v[i].text));
    for (size_t i = 0; i < n; i++) {
        struct inode *inode = rc == 0 ? names_find(&dir->now, texts[i]) : NULL;
        if (inode)
            rc = visit(arg, texts[i], inode->is_dir);
        mem_free(texts[i]);
    }
    mem_free(texts);
    return rc;
}

static int sim_lock(struct disk *disk, const char *path, int *ret_fd)
{
    int fd = -1;
    int rc = sim_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE, &fd);
    if (rc != 0)
        return rc;
    struct handle *h = handle_of(disk, fd);
    if (h->inode->is_locked) {
        sim_close(disk, fd);
        return ERR_BUSY;
    }
    h->inode->is_locked = h->holds_lock = true;
    *ret_fd = fd;
    return 0;
}

static int sim_space(struct disk *disk, const char *path, struct disk_space *ret)
{
    struct sim_disk *sim = sim_of(disk);
    (void)path;
    uint64_t total = sim->capacity ? sim->capacity : 1ULL << 40;
    *ret = (struct disk_space){total, total > sim->used ? total - sim->used : 0, 1};
    return 0;
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .sync = sim_sync,
    .writeback = sim_writeback,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .copy = sim_copy,
    .next_data = sim_next_data,
    .stat_fd = sim_stat_fd,
    .stat = sim_stat,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .fsync_dir = sim_fsync_dir,
    .list = sim_list,
    .lock = sim_lock,
    .space = sim_space,
};

/* ---- crashes ---- */

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
    struct inode *file = inode_new(false);
    buf_append(&file->cached, old->cached.data, old->cached.len);
    buf_append(&file->durable, old->durable.data, old->durable.len);
    for (size_t i = 0; i < old->change_count; i++) {
        struct change c = old->changes[i];
        if (c.bytes)
            c.bytes = memcpy(must(mem_alloc(SECTOR)), c.bytes, SECTOR);
        must_grow(&file->changes, &file->change_cap, i, sizeof(*file->changes));
        file->changes[file->change_count++] = c;
    }
    crash->used += file->cached.len;
    return file;
}

static struct inode *build_file(struct crash *crash, struct inode *old)
{
    struct inode *file = inode_new(false);
    buf_append(&file->cached, old->durable.data, old->durable.len);
    for (size_t i = 0; i < old->change_count; i++) {
        struct change *c = &old->changes[i];
        if (!lets_through(crash))
            continue;
        apply_change(&file->cached, c);
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
        names_set(to, from->v[i].text, build_inode(crash, from->v[i].inode));
}

static struct inode *copy_dir(struct crash *crash, struct inode *old)
{
    struct inode *dir = inode_new(true);
    build_names(crash, &dir->now, &old->now);
    build_names(crash, &dir->kept, &old->kept);
    for (size_t i = 0; i < old->name_change_count; i++) {
        struct name_change c = old->name_changes[i];
        c.add = c.add ? must(str_dup(c.add)) : NULL;
        c.remove = c.remove ? must(str_dup(c.remove)) : NULL;
        c.moved_to = c.moved_to ? must(str_dup(c.moved_to)) : NULL;
        c.inode = c.inode ? inode_ref(build_inode(crash, c.inode)) : NULL;
        must_grow(&dir->name_changes, &dir->name_change_cap, i, sizeof(*dir->name_changes));
        dir->name_changes[dir->name_change_count++] = c;
    }
    return dir;
}

static struct inode *build_dir(struct crash *crash, struct inode *old)
{
    struct names outcome = {0};
    for (size_t i = 0; i < old->kept.n; i++)
        names_set(&outcome, old->kept.v[i].text, old->kept.v[i].inode);
    for (size_t i = 0; i < old->name_change_count; i++)
        if (change_gets_through(crash, &old->name_changes[i]))
            apply_name_change(&outcome, &old->name_changes[i]);
    struct inode *dir = inode_new(true);
    build_names(crash, &dir->now, &outcome);
    build_names(crash, &dir->kept, &outcome);
    names_release(&outcome);
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
    inode_unref(copy);
}

static struct inode *build_tree(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed,
                                uint64_t *ret_used)
{
    struct crash crash = {.kind = kind, .garble = sim->garble, .seed = seed};
    rand_init(&crash.rand, seed);
    crash.odds = (uint32_t)rand_below(&crash.rand, 9);
    struct inode *root = inode_ref(build_inode(&crash, sim->root));
    forget_copies(sim->root);
    *ret_used = crash.used;
    return root;
}

void sim_disk_crash(struct sim_disk *sim, enum sim_crash kind, uint64_t seed)
{
    struct inode *root = build_tree(sim, kind, seed, &sim->used);
    for (size_t i = 0; i < sim->handle_count; i++)
        if (sim->handles[i].inode)
            handle_end(&sim->handles[i]);
    inode_unref(sim->root);
    sim->root = root;
}

struct sim_disk *sim_disk_clone(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed)
{
    struct sim_disk *clone = sim_disk_new();
    if (!clone)
        return NULL;
    inode_unref(clone->root);
    clone->root = build_tree(sim, kind, seed, &clone->used);
    clone->capacity = sim->capacity;
    clone->garble = sim->garble;
    return clone;
}

/* ---- the test's side ---- */

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *sim = mem_calloc(1, sizeof(*sim));
    if (!sim)
        return NULL;
    sim->disk.ops = &sim_ops;
    sim->root = inode_new(true);
    return sim;
}

void sim_disk_free(struct sim_disk *sim)
{
    if (!sim)
        return;
    for (size_t i = 0; i < sim->handle_count; i++)
        if (sim->handles[i].inode)
            handle_end(&sim->handles[i]);
    inode_unref(sim->root);
    mem_free(sim->handles);
    mem_free(sim->fail_prefix);
    mem_free(sim);
}

struct disk *sim_disk(struct sim_disk *sim)
{
    return &sim->disk;
}

void sim_disk_set_capacity(struct sim_disk *sim, uint64_t bytes)
{
    sim->capacity = bytes;
}

void sim_disk_set_garble(struct sim_disk *sim, uint32_t one_in)
{
    sim->garble = one_in;
}

void sim_disk_fail(struct sim_disk *sim, const char *prefix, uint64_t n, int code, bool forever)
{
    mem_free(sim->fail_prefix);
    sim->fail_prefix = must(str_dup(prefix));
    sim->fail_at = n;
    sim->fail_code = code;
    sim->fail_forever = forever;
    sim->has_failed = false;
}

uint64_t sim_disk_ops(const struct sim_disk *sim)
{
    return sim->ops;
}

void sim_disk_on_op(struct sim_disk *sim, void (*before)(void *arg, uint64_t op), void *arg)
{
    sim->before_op = before;
    sim->before_arg = arg;
}

int sim_disk_flip(struct sim_disk *sim, const char *path, uint64_t bit)
{
    struct inode *inode = find(sim, path);
    if (!inode || inode->is_dir)
        return ERR_NOENT;
    if (bit / 8 >= inode->cached.len || bit / 8 >= inode->durable.len)
        return ERR_INVAL;
    uint8_t mask = (uint8_t)(1U << (bit % 8));
    inode->cached.data[bit / 8] ^= mask;
    inode->durable.data[bit / 8] ^= mask;
    return 0;
}
