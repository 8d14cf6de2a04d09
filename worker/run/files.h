/* SPDX-License-Identifier: Apache-2.0
 * files: where a task reads its input and writes its output, as a table of operations: local files
 * (files_local), or the cluster's filesystem. All calls block; every failure is one finished line
 * that names the path. */
#ifndef QUERN_WORKER_RUN_FILES_H
#define QUERN_WORKER_RUN_FILES_H

#include "include/quern/fs.h"
#include "libcommon/base/err.h"

struct files;
struct files_in;
struct files_out;

struct files_ops {
    int (*open)(struct files *files, const char *path, struct files_in **ret, struct err *err);
    int64_t (*pread)(struct files_in *in, void *data, size_t len, uint64_t off, struct err *err);
    void (*close)(struct files_in *in);
    int (*create)(struct files *files, const char *path, const struct qn_create *how,
                  struct files_out **ret, struct err *err);
    int (*write)(struct files_out *out, const void *data, size_t len, struct err *err);
    int (*finish)(struct files_out *out, struct err *err);
    void (*abandon)(struct files_out *out);
    /* As qn_view. NULL: bytes are only read here. */
    int (*view)(struct files_in *in, uint64_t off, size_t most, struct qn_view *ret,
                struct err *err);
    void (*end_view)(struct qn_view *view);
};

/* Whoever implements it embeds this. */
struct files {
    const struct files_ops *ops;
};

/* One for the process; nothing to release. Output is not synced to disk. */
struct files *files_local(void);

static inline int files_open(struct files *files, const char *path, struct files_in **ret,
                             struct err *err)
{
    return files->ops->open(files, path, ret, err);
}
/* Bytes read: len, or fewer only at the end of the file. */
static inline int64_t files_pread(struct files *files, struct files_in *in, void *data, size_t len,
                                  uint64_t off, struct err *err)
{
    return files->ops->pread(in, data, len, off, err);
}
/* NULL is fine. */
static inline void files_close(struct files *files, struct files_in *in)
{
    if (in)
        files->ops->close(in);
}
/* A new file, with the directories it needs; replaces what an earlier attempt left. */
static inline int files_create(struct files *files, const char *path, const struct qn_create *how,
                               struct files_out **ret, struct err *err)
{
    return files->ops->create(files, path, how, ret, err);
}
static inline int files_write(struct files *files, struct files_out *out, const void *data,
                              size_t len, struct err *err)
{
    return files->ops->write(out, data, len, err);
}
/* 0: the file is whole, as durable as its filesystem makes it. Frees `out` in either case. */
static inline int files_finish(struct files *files, struct files_out *out, struct err *err)
{
    return files->ops->finish(out, err);
}
/* Frees `out`; what was written may stay or not. NULL is fine. */
static inline void files_abandon(struct files *files, struct files_out *out)
{
    if (out)
        files->ops->abandon(out);
}

#endif
