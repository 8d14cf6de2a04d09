/* SPDX-License-Identifier: Apache-2.0
 * volume: one filesystem the shell works on, quern's or the local one, behind one table, so that
 * copying is the same in every direction and `-ls file:///tmp` works.
 *
 * Paths are normal and absolute (base/path.h). Calls are blocking and may be made from several
 * threads. Failures: negative code with `err` filled; codes as in quern/fs.h. */
#ifndef QUERN_FS_VOLUME_H
#define QUERN_FS_VOLUME_H

#include <quern/fs.h>

#include "libcommon/base/slice.h"

struct fs_volume;

/* What is asked of a new file. */
struct fs_new_file {
    bool overwrite;
    uint32_t replication; /* 0 = configured */
    uint64_t block_size;  /* 0 = configured */
    uint32_t mode;        /* 0 = 0666 less the umask */
    bool will_write;      /* there are bytes for it */
};

struct fs_volume_ops {
    void (*close)(struct fs_volume *v);

    /* The strings of a stat live until stat_release. */
    int (*stat)(struct fs_volume *v, const char *path, struct qn_stat *ret, struct qn_error *err);
    void (*stat_release)(struct qn_stat *stat);

    /* Entries in byte order of names; each is borrowed until the next. NULL at the end, or with
     * err->code set. */
    void *(*opendir)(struct fs_volume *v, const char *path, struct qn_error *err);
    const struct qn_stat *(*readdir)(void *dir, struct qn_error *err);
    void (*closedir)(void *dir);

    /* Reading: up to `size` bytes, 0 at the end. */
    void *(*open)(struct fs_volume *v, const char *path, struct qn_error *err);
    ssize_t (*read)(void *file, void *buffer, size_t size, struct qn_error *err);
    int (*seek)(void *file, uint64_t offset, struct qn_error *err);
    uint64_t (*length)(void *file);
    void (*close_read)(void *file);

    /* Writing: all of it or an error; then only abort. The handle is gone after finish and abort.
     * finish_as gives the file its final name. Of two who write one name the later takes it over
     * (quern) or is refused (local); abort, and finish_as when it fails, remove the very file they
     * made, never the other's. */
    void *(*create)(struct fs_volume *v, const char *path, const struct fs_new_file *how,
                    struct qn_error *err);
    /* At the end of a file that is there; abort keeps what it had. NULL = it cannot be done. */
    void *(*append)(struct fs_volume *v, const char *path, struct qn_error *err);
    int (*write)(void *file, const void *data, size_t size, struct qn_error *err);
    int (*finish)(void *file, struct qn_error *err);
    int (*finish_as)(void *file, const char *to, bool overwrite, struct qn_error *err);
    void (*abort)(void *file);
    /* A device or a pipe: written where it is. NULL = there are none. */
    bool (*is_special)(struct fs_volume *v, const char *path);

    int (*mkdir)(struct fs_volume *v, const char *path, bool parents, struct qn_error *err);
    int (*rename)(struct fs_volume *v, const char *from, const char *to, bool overwrite,
                  struct qn_error *err);
    /* 1 = deleted, 0 = was not there. */
    int (*remove)(struct fs_volume *v, const char *path, bool recursive, struct qn_error *err);
    int (*chmod)(struct fs_volume *v, const char *path, uint32_t mode, struct qn_error *err);
    int (*chown)(struct fs_volume *v, const char *path, const char *owner, const char *group,
                 struct qn_error *err);
    int (*utimes)(struct fs_volume *v, const char *path, int64_t mtime_ms, int64_t atime_ms,
                  struct qn_error *err);
    int (*summary)(struct fs_volume *v, const char *path, struct qn_summary *ret,
                   struct qn_error *err);
    int (*space)(struct fs_volume *v, struct qn_space *ret, struct qn_error *err);
};

struct fs_volume {
    const struct fs_volume_ops *ops;
    struct fs_volume *next;
    char *authority;  /* how it was asked for; "" = the configured one */
    char *uri;        /* as shown by df: quern://host:8020, file:/// */
    char *home;       /* where relative paths start */
    char *user;       /* who we are there; NULL = all is ours (local) */
    struct qn_fs *qn; /* quern only, else NULL */
};

/* The local filesystem; NULL when memory is out. */
struct fs_volume *fs_volume_local_new(void);
struct conf;
/* Connects when it is first asked something. `uri` "quern://host:port" or NULL for the configured
 * one; `conf` is borrowed for the volume's life. */
struct fs_volume *fs_volume_quern_new(const struct conf *conf, const char *uri,
                                      struct qn_error *err);
void fs_volume_free(struct fs_volume *v);
/* One filesystem, however it was asked for? */
bool fs_volume_is_same(const struct fs_volume *a, const struct fs_volume *b);

/* Parts of fs_volume for the two constructors: all strings are copied. ERR_NOMEM. */
int fs_volume_init(struct fs_volume *v, const struct fs_volume_ops *ops, const char *uri,
                   const char *home);

#endif
