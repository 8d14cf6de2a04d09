/* SPDX-License-Identifier: Apache-2.0
 * sim/disk: the operations of libcommon/store/disk.h on a tree in memory (disk_tree.h), as
 * processes see it; faults that are due; and what tests ask for. */
#include "tests/sim/disk.h"

#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "tests/sim/disk_tree.h"

#define FD_BASE (1 << 20)

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
        sim_must_grow(&sim->handles, &sim->handle_cap, sim->handle_count, sizeof(*sim->handles));
        sim->handle_count++;
    }
    sim->handles[i] = (struct handle){sim_inode_ref(inode), sim_must(str_dup(path)), false};
    return FD_BASE + (int)i;
}

static void handle_end(struct handle *handle)
{
    if (handle->holds_lock)
        handle->inode->is_locked = false;
    sim_inode_unref(handle->inode);
    mem_free(handle->path);
    *handle = (struct handle){0};
}

static void note_length(struct inode *inode, uint64_t length)
{
    sim_must_grow(&inode->changes, &inode->change_cap, inode->change_count,
                  sizeof(*inode->changes));
    inode->changes[inode->change_count++] = (struct change){CHANGE_LENGTH, length, NULL, 0};
}

static int resize(struct sim_disk *sim, struct inode *inode, uint64_t length)
{
    uint64_t old = inode->cached.len;
    if (sim->capacity && length > old && sim->used + (length - old) > sim->capacity)
        return ERR_NOSPC;
    sim->used += length - old;
    sim_bytes_set_length(&inode->cached, length);
    if (length != old)
        note_length(inode, length);
    return 0;
}

static int sim_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = sim_dir_walk(sim, path, last);
    if (!dir)
        return ERR_NOENT;
    struct inode *inode = last[0] ? sim_names_find(&dir->now, last) : dir;
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
        inode = sim_inode_new(false);
        sim_dir_change(dir, NULL, last, inode);
        sim_inode_unref(inode);
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
        uint8_t *bytes = sim_must(mem_calloc(1, SECTOR));
        size_t from = s * SECTOR, have = inode->cached.len - from;
        memcpy(bytes, inode->cached.data + from, have < SECTOR ? have : SECTOR);
        sim_must_grow(&inode->changes, &inode->change_cap, inode->change_count,
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

/* Everything cached becomes durable. */
static void sync_file(struct inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        sim_bytes_apply(&inode->durable, &inode->changes[i]);
    sim_bytes_set_length(&inode->durable, inode->cached.len);
    sim_inode_forget_changes(inode);
}

static int sim_sync(struct disk *disk, int fd, bool data_only)
{
    (void)data_only;
    struct handle *h = handle_of(disk, fd);
    int rc = changing(sim_of(disk), h->path);
    if (rc != 0)
        sim_inode_forget_changes(h->inode);
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

static void sim_read_soon(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    (void)off;
    (void)len;
    (void)handle_of(disk, fd);
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
    struct inode *inode = rc ? NULL : sim_dir_find(sim_of(disk), path);
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
    struct inode *from_dir = sim_dir_walk(sim, from, from_last),
                 *to_dir = sim_dir_walk(sim, to, to_last);
    int rc = changing(sim, to);
    if (rc != 0)
        return rc;
    struct inode *inode = from_dir ? sim_names_find(&from_dir->now, from_last) : NULL;
    if (!inode || !to_dir)
        return ERR_NOENT;
    struct inode *target = sim_names_find(&to_dir->now, to_last);
    if (target == inode)
        return 0;
    if (target && target->is_dir != inode->is_dir)
        return target->is_dir ? ERR_ISDIR : ERR_NOTDIR;
    if (target && target->is_dir && target->now.n)
        return ERR_NOTEMPTY;
    if (target)
        sim->used -= target->cached.len;
    sim_inode_ref(inode);
    if (from_dir == to_dir) {
        sim_dir_change(from_dir, from_last, to_last, inode);
    } else {
        sim_dir_change(to_dir, NULL, to_last, inode)->move_id = ++sim->moves;
        struct name_change *removal = sim_dir_change(from_dir, from_last, NULL, NULL);
        removal->move_id = sim->moves;
        removal->moved_to = sim_must(slice_dup(path_parent(slice_str(to))));
    }
    sim_inode_unref(inode);
    return 0;
}

static int sim_unlink(struct disk *disk, const char *path, bool is_dir)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = sim_dir_walk(sim, path, last);
    struct inode *inode = dir ? sim_names_find(&dir->now, last) : NULL;
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
    sim_dir_change(dir, last, NULL, NULL);
    return 0;
}

static int sim_mkdir(struct disk *disk, const char *path)
{
    struct sim_disk *sim = sim_of(disk);
    char last[256];
    struct inode *dir = sim_dir_walk(sim, path, last);
    int rc = changing(sim, path);
    if (rc != 0)
        return rc;
    if (!dir)
        return ERR_NOENT;
    if (!last[0] || sim_names_find(&dir->now, last))
        return ERR_EXIST;
    struct inode *inode = sim_inode_new(true);
    sim_dir_change(dir, NULL, last, inode);
    sim_inode_unref(inode);
    return 0;
}

/* A removal that is half of a move takes the addition with it. */
static void sync_names(struct sim_disk *sim, struct inode *dir)
{
    for (size_t i = 0; i < dir->name_change_count; i++) {
        const struct name_change *c = &dir->name_changes[i];
        struct inode *other = c->moved_to ? sim_dir_find(sim, c->moved_to) : NULL;
        for (size_t k = 0; other && k < other->name_change_count; k++)
            if (other->name_changes[k].move_id == c->move_id)
                sim_names_apply(&other->kept, &other->name_changes[k]);
        sim_names_apply(&dir->kept, c);
    }
}

static int sim_fsync_dir(struct disk *disk, const char *path)
{
    struct inode *dir = sim_dir_find(sim_of(disk), path);
    int rc = changing(sim_of(disk), path);
    if (rc == 0 && (!dir || !dir->is_dir))
        return dir ? ERR_NOTDIR : ERR_NOENT;
    if (rc == 0)
        sync_names(sim_of(disk), dir);
    if (dir)
        sim_inode_forget_changes(dir);
    return rc;
}

static int sim_list(struct disk *disk, const char *path, disk_visit_fn visit, void *arg)
{
    int rc = reading(sim_of(disk), path);
    struct inode *dir = rc ? NULL : sim_dir_find(sim_of(disk), path);
    if (rc != 0 || !dir || !dir->is_dir)
        return rc ? rc : dir ? ERR_NOTDIR : ERR_NOENT;
    char **texts = sim_must(mem_calloc(dir->now.n + 1, sizeof(*texts)));
    size_t n = dir->now.n;
    for (size_t i = 0; i < n; i++)
        texts[i] = sim_must(str_dup(dir->now.v[i].text));
    for (size_t i = 0; i < n; i++) {
        struct inode *inode = rc == 0 ? sim_names_find(&dir->now, texts[i]) : NULL;
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
    .read_soon = sim_read_soon,
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

/* ---- the test's side ---- */

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *sim = mem_calloc(1, sizeof(*sim));
    if (!sim)
        return NULL;
    sim->disk.ops = &sim_ops;
    sim->root = sim_inode_new(true);
    return sim;
}

void sim_disk_free(struct sim_disk *sim)
{
    if (!sim)
        return;
    for (size_t i = 0; i < sim->handle_count; i++)
        if (sim->handles[i].inode)
            handle_end(&sim->handles[i]);
    sim_inode_unref(sim->root);
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
    sim->fail_prefix = sim_must(str_dup(prefix));
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
    struct inode *inode = sim_dir_find(sim, path);
    if (!inode || inode->is_dir)
        return ERR_NOENT;
    if (bit / 8 >= inode->cached.len || bit / 8 >= inode->durable.len)
        return ERR_INVAL;
    uint8_t mask = (uint8_t)(1U << (bit % 8));
    inode->cached.data[bit / 8] ^= mask;
    inode->durable.data[bit / 8] ^= mask;
    return 0;
}

void sim_disk_crash(struct sim_disk *sim, enum sim_crash kind, uint64_t seed)
{
    struct inode *root = sim_crash_tree(sim, kind, seed, &sim->used);
    for (size_t i = 0; i < sim->handle_count; i++)
        if (sim->handles[i].inode)
            handle_end(&sim->handles[i]);
    sim_inode_unref(sim->root);
    sim->root = root;
}

struct sim_disk *sim_disk_clone(const struct sim_disk *sim, enum sim_crash kind, uint64_t seed)
{
    struct sim_disk *clone = sim_disk_new();
    if (!clone)
        return NULL;
    sim_inode_unref(clone->root);
    clone->root = sim_crash_tree(sim, kind, seed, &clone->used);
    clone->capacity = sim->capacity;
    clone->garble = sim->garble;
    return clone;
}
