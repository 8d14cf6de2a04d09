/* SPDX-License-Identifier: Apache-2.0
 * quern/fs.h: files in a quern cluster, for C programs. Link with -lquern.
 *
 *     struct qn_error error;
 *     struct qn_fs *fs = qn_fs_open("quern://host1:8020", NULL, &error);
 *     struct qn_file *file = qn_open(fs, "/logs/a", QN_READ, NULL, &error);
 *     ssize_t n = qn_pread(file, buffer, size, 0, &error);
 *     qn_close(file, &error);
 *     qn_fs_close(fs);
 *
 * Every call blocks, returns 0, a count or a pointer, and on failure a negative code or NULL with
 * `*error` (may be NULL) filled: message is one finished line. A handle may be used by several
 * threads; reads of one file run in parallel, writes of one file one after another. Paths are bytes
 * without NUL, absolute or relative to /user/<name>. Nothing here ever prints, exits or installs a
 * signal handler.
 *
 * Arguments are borrowed for the time of the call. What a call gives (a handle, what *ret points
 * to) is the caller's, and goes back with the call named for it. Nobody may be in a call on what
 * another thread closes. NULL where something is needed is QN_EINVAL, and so is, as far as that can
 * be seen (the last 64 files of a filesystem), a file that was closed already. After fork() only
 * the parent goes on with its handles. */
#ifndef QUERN_FS_H
#define QUERN_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QN_PUBLIC __attribute__((visibility("default")))

struct qn_error {
    int code; /* negative; qn_error_name(code) is its word */
    char message[1024];
};

/* The codes programs branch on; all others mean "it failed, see the message". */
enum qn_code {
    QN_ENOMEM = -1,
    QN_EIO = -2,
    QN_ENOSPC = -3,
    QN_EINVAL = -4,
    QN_ENOENT = -5,
    QN_EEXIST = -6,
    QN_EISDIR = -7,
    QN_ENOTDIR = -8,
    QN_ENOTEMPTY = -9,
    QN_EACCES = -10,
    QN_EPERM = -11,
    QN_ESAFEMODE = -12,
    QN_ELEASE = -13,
    QN_ETIMEDOUT = -15,
    QN_ECHECKSUM = -22,
    QN_EUNREACHABLE = -37,
};
QN_PUBLIC const char *qn_error_name(int code);

struct qn_fs;   /* a connection to one cluster */
struct qn_file; /* an open file */

struct qn_option {
    const char *key, *value; /* configuration keys, as -D takes them */
};
struct qn_fs_options {
    const char *conf_file;           /* NULL = found as the quern command finds it */
    const char *user;                /* NULL = HADOOP_USER_NAME, else the OS user */
    const struct qn_option *options; /* borrowed; ends with a NULL key; NULL = none */
};

/* uri: "quern://host:port" (hdfs:// is taken as an alias), or NULL for the configured one. */
QN_PUBLIC struct qn_fs *qn_fs_open(const char *uri, const struct qn_fs_options *options,
                                   struct qn_error *error);
/* Closes; files still open are abandoned (their leases end). NULL is fine. */
QN_PUBLIC void qn_fs_close(struct qn_fs *fs);

/* Of the handle, for programs that show paths; live as long as it: "quern://host:8020", who we are
 * there, and "/user/<name>". */
QN_PUBLIC const char *qn_uri(const struct qn_fs *fs);
QN_PUBLIC const char *qn_user(const struct qn_fs *fs);
QN_PUBLIC const char *qn_home(const struct qn_fs *fs);

/* --- files ----------------------------------------------------------------------------------- */

enum qn_open_flag {
    QN_READ = 1,
    QN_WRITE = 2,      /* a new file; fails with QN_EEXIST if there is one */
    QN_OVERWRITE = 4,  /* with QN_WRITE: replace it */
    QN_NO_PARENTS = 8, /* with QN_WRITE: the directory must exist */
    QN_APPEND = 16,    /* with QN_WRITE: go on at the end of a file that is there */
    QN_NEW_BLOCK = 32, /* with QN_APPEND: in a block of its own */
    /* with QN_WRITE: bytes will be written, so the first block may be asked for together with the
     * file, which saves a question; also fine when none are, after all */
    QN_FIRST_BLOCK = 64,
};

struct qn_create {
    uint64_t block_size;  /* 0 = configured (128 MiB) */
    uint32_t replication; /* 0 = configured (3) */
    uint32_t mode;        /* 0 = 0666; the umask is applied */
};

/* `create` may be NULL; only used with QN_WRITE. */
QN_PUBLIC struct qn_file *qn_open(struct qn_fs *fs, const char *path, int flags,
                                  const struct qn_create *create, struct qn_error *error);

/* Full unless the file ends. Every byte returned has passed its checksum and is the program's own.
 */
QN_PUBLIC ssize_t qn_read(struct qn_file *file, void *buffer, size_t size, struct qn_error *error);
QN_PUBLIC ssize_t qn_pread(struct qn_file *file, void *buffer, size_t size, uint64_t offset,
                           struct qn_error *error);
/* Bytes of the file where they lie, without a copy. With a replica on this host: pages of its block
 * file, mapped, all brought in and verified before the call returns. Else, and while the block is
 * still being written: a copy. One of the two always comes, so a loop needs no second way:
 *
 *     for (uint64_t at = 0; qn_view(file, at, SIZE_MAX, &view, &error) == 0 && view.size > 0;
 *          at += view.size, qn_view_release(&view))
 *         work(view.data, view.size);
 *
 * As many of `most` bytes as the block has behind `offset`, at most 8 MiB; none at the file's end.
 * It stays, unchanged, until it is released, though the file be closed or deleted. A program that
 * keeps a mapping for long must know one danger a copy has not: where the kernel had to give pages
 * back and the disk fails to deliver them again, touching them is a SIGBUS. Below some 100 KiB
 * qn_pread is faster. Any thread. */
struct qn_view {
    const void *data;
    size_t size;
    bool is_copy;
    void *base; /* of qn_view_release, with the next */
    size_t span;
};
QN_PUBLIC int qn_view(struct qn_file *file, uint64_t offset, size_t most, struct qn_view *ret,
                      struct qn_error *error);
/* NULL and one that is empty are fine. */
QN_PUBLIC void qn_view_release(struct qn_view *view);
QN_PUBLIC int64_t qn_seek(struct qn_file *file, uint64_t offset, struct qn_error *error);
QN_PUBLIC int64_t qn_tell(struct qn_file *file);
/* Length of a file opened for reading, or of what it has with the bytes written so far. */
QN_PUBLIC uint64_t qn_length(struct qn_file *file);

/* All of it, or a failure: then nothing more can be written, and qn_close fails too. */
QN_PUBLIC ssize_t qn_write(struct qn_file *file, const void *buffer, size_t size,
                           struct qn_error *error);
/* Visible to new readers and in the OS cache of every replica. */
QN_PUBLIC int qn_hflush(struct qn_file *file, struct qn_error *error);
/* On the disk of every replica. */
QN_PUBLIC int qn_hsync(struct qn_file *file, struct qn_error *error);

/* Writing: returns 0 only when every block is fsynced on min(2, replication) datanodes and the file
 * is closed in the namespace. The handle is gone either way. NULL is fine. */
QN_PUBLIC int qn_close(struct qn_file *file, struct qn_error *error);
/* Forget a file being written: what was not closed is deleted. A file that was appended to keeps
 * what it had, and perhaps some of what was written since. The handle is gone. */
QN_PUBLIC void qn_abort(struct qn_file *file);

/* --- the namespace --------------------------------------------------------------------------- */

struct qn_stat {
    const char *name; /* in a listing: last component; from qn_stat: "" */
    const char *owner, *group;
    uint64_t id;
    uint64_t length;
    uint64_t block_size;
    uint64_t mtime_ms, atime_ms; /* since 1970 */
    uint64_t children;
    uint32_t replication; /* 0 for directories */
    uint32_t mode;        /* 01777 */
    bool is_dir;
    bool is_open; /* being written */
    bool has_acl; /* an access or a default list: qn_get_acl */
};

/* Fills *ret; its strings live until qn_stat_release(ret). */
QN_PUBLIC int qn_stat(struct qn_fs *fs, const char *path, struct qn_stat *ret,
                      struct qn_error *error);
QN_PUBLIC void qn_stat_release(struct qn_stat *stat);

/* A directory in byte order of names, fetched in pages as it is walked; a file lists itself. */
struct qn_dir;
QN_PUBLIC struct qn_dir *qn_opendir(struct qn_fs *fs, const char *path, struct qn_error *error);
/* The next entry, borrowed until the following call; NULL at the end (error->code is 0 then). */
QN_PUBLIC const struct qn_stat *qn_readdir(struct qn_dir *dir, struct qn_error *error);
QN_PUBLIC void qn_closedir(struct qn_dir *dir);

QN_PUBLIC int qn_mkdir(struct qn_fs *fs, const char *path, uint32_t mode, bool parents,
                       struct qn_error *error);
QN_PUBLIC int qn_rename(struct qn_fs *fs, const char *from, const char *to, bool overwrite,
                        struct qn_error *error);
/* 1 = deleted, 0 = there was nothing. */
QN_PUBLIC int qn_delete(struct qn_fs *fs, const char *path, bool recursive, struct qn_error *error);
QN_PUBLIC int qn_chmod(struct qn_fs *fs, const char *path, uint32_t mode, struct qn_error *error);
/* NULL owner or group = leave it. */
QN_PUBLIC int qn_chown(struct qn_fs *fs, const char *path, const char *owner, const char *group,
                       struct qn_error *error);
/* -1 = leave it. */
QN_PUBLIC int qn_utimes(struct qn_fs *fs, const char *path, int64_t mtime_ms, int64_t atime_ms,
                        struct qn_error *error);
/* Cut a file. 1 = it has that length now; 0 = it will have it soon, until then it is as it was and
 * cannot be written (qn_stat says is_open). A length beyond its end is QN_EINVAL. */
QN_PUBLIC int qn_truncate(struct qn_fs *fs, const char *path, uint64_t length,
                          struct qn_error *error);
/* The contents of `sources`, in this order, go to the end of `path` without being copied, and the
 * sources go. All lie in one directory, and none is empty. */
QN_PUBLIC int qn_concat(struct qn_fs *fs, const char *path, const char *const *sources,
                        size_t count, struct qn_error *error);
QN_PUBLIC int qn_set_replication(struct qn_fs *fs, const char *path, uint32_t replication,
                                 struct qn_error *error);

enum qn_storage_type { QN_SSD, QN_DISK, QN_ARCHIVE, QN_PROVIDED, QN_NVDIMM, QN_STORAGE_TYPES };

struct qn_summary {
    uint64_t dirs, files, length, space;
    int64_t quota, space_quota;            /* -1 = none */
    int64_t type_quotas[QN_STORAGE_TYPES]; /* the same for each type of storage */
    uint64_t type_space[QN_STORAGE_TYPES]; /* `space` by type: all of it is on DISK */
};
QN_PUBLIC int qn_summary(struct qn_fs *fs, const char *path, struct qn_summary *ret,
                         struct qn_error *error);

/* Of a directory; superusers only. names: 1 and more, space: 0 and more, bytes with replicas. */
#define QN_QUOTA_NONE (-1)
#define QN_QUOTA_KEEP INT64_MAX
QN_PUBLIC int qn_set_quota(struct qn_fs *fs, const char *path, int64_t names, int64_t space,
                           struct qn_error *error);

/* For one type of storage, "DISK" and so on. Everything is on DISK: the others are only kept. */
QN_PUBLIC int qn_set_type_quota(struct qn_fs *fs, const char *path, const char *type, int64_t space,
                                struct qn_error *error);

/* Extended attributes: a name with its space, such as "user.color", and any bytes. */
enum qn_xattr_flag { QN_XATTR_CREATE = 1, QN_XATTR_REPLACE = 2 }; /* which of both is fine */
QN_PUBLIC int qn_set_xattr(struct qn_fs *fs, const char *path, const char *name, const void *value,
                           size_t size, int flags, struct qn_error *error);
QN_PUBLIC int qn_remove_xattr(struct qn_fs *fs, const char *path, const char *name,
                              struct qn_error *error);
struct qn_xattr {
    const char *name;
    const void *value;
    size_t size;
};
struct qn_xattrs {
    size_t count;
    struct qn_xattr *xattrs;
};
/* The one of that name, or all when it is NULL. */
QN_PUBLIC int qn_get_xattrs(struct qn_fs *fs, const char *path, const char *name,
                            struct qn_xattrs *ret, struct qn_error *error);
QN_PUBLIC void qn_xattrs_release(struct qn_xattrs *xattrs);

/* Access control lists. */
enum qn_acl_type { QN_ACL_USER, QN_ACL_GROUP, QN_ACL_MASK, QN_ACL_OTHER };
struct qn_acl_entry {
    const char *name; /* "" = the owner, the owning group */
    enum qn_acl_type type;
    uint32_t perm; /* 0..7 */
    bool is_default;
};
struct qn_acl {
    const char *owner, *group;
    uint32_t mode; /* owner, mask (the group's, when there is no access list), others; sticky */
    bool is_dir;
    size_t count; /* of what the mode does not say */
    struct qn_acl_entry *entries;
};
QN_PUBLIC int qn_get_acl(struct qn_fs *fs, const char *path, struct qn_acl *ret,
                         struct qn_error *error);
QN_PUBLIC void qn_acl_release(struct qn_acl *acl);
enum qn_acl_action {
    QN_ACL_MODIFY,         /* add or replace entries */
    QN_ACL_REMOVE,         /* remove entries; their permissions do not matter */
    QN_ACL_REMOVE_DEFAULT, /* the whole default list; no entries are given */
    QN_ACL_REMOVE_ALL,     /* all but owner, group and others; no entries are given */
    QN_ACL_SET,            /* replace: owner, group and others must be among the entries */
};
QN_PUBLIC int qn_set_acl(struct qn_fs *fs, const char *path, enum qn_acl_action action,
                         const struct qn_acl_entry *entries, size_t count, struct qn_error *error);

/* --- where it lies --------------------------------------------------------------------------- */

struct qn_block {
    uint64_t offset, length;
    uint32_t node_count;
    const char *const *nodes; /* node names, nearest first */
};
struct qn_blocks {
    size_t count;
    struct qn_block *blocks;
};
QN_PUBLIC int qn_locations(struct qn_fs *fs, const char *path, uint64_t offset, uint64_t length,
                           struct qn_blocks *ret, struct qn_error *error);
QN_PUBLIC void qn_blocks_release(struct qn_blocks *blocks);

struct qn_space {
    uint64_t capacity, used, remaining;
};
QN_PUBLIC int qn_space(struct qn_fs *fs, struct qn_space *ret, struct qn_error *error);

#ifdef __cplusplus
}
#endif

#endif
