/* SPDX-License-Identifier: Apache-2.0
 * handle: struct qn_fs, one cluster as one user sees it. Everything in client/lib hangs on it.
 *
 * Threads: what is set when it is opened never changes; the rest has its own lock. Inside the
 * library failures are struct err; the public calls (files named as in quern/fs.h) turn them into
 * struct qn_error at the edge. */
#ifndef QUERN_CLIENT_HANDLE_H
#define QUERN_CLIENT_HANDLE_H

#include <quern/fs.h>

#include "client/lib/lags.h"
#include "client/lib/paces.h"
#include "client/lib/pipeline.h"
#include "client/lib/renew.h"
#include "client/lib/ring.h"
#include "client/talk/datanode.h"
#include "client/talk/namenode.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/wire/hello.h"

/* Datanodes that failed us lately are tried last. */
#define CL_DEAD_MAX 32
struct cl_dead {
    uint64_t node; /* hash of its name */
    uint64_t until_ms;
};

struct qn_fs {
    char *address, *socket; /* the namenode's; socket: as in cl_namenode */
    char *uri, *user, *home;
    char *node, *boot,
        *cluster; /* whose strings `self` shows; the cluster: the first that answered */
    struct identity self;
    uint32_t umask;
    uint64_t block_size;  /* 0 = the namenode's choice */
    uint32_t replication; /* 0 = the namenode's choice */
    unsigned block_retries;
    enum cl_replace_policy replace; /* of datanodes that fail while a block is written */
    bool replace_or_fail;           /* no further datanode to be had = the write fails */
    struct cl_lags_rule slow; /* which datanode is too slow, to write through or to read from */
    uint32_t timeout_ms;      /* one silent peer */
    bool short_circuit;
    unsigned hedge_max; /* second datanodes asked at a time when the first is silent; 0 = never */
    uint32_t hedge_after_ms; /* ... for so long */
    _Atomic unsigned hedges; /* asked now */

    struct cl_namenode namenode;
    struct cl_peers peers;
    struct cl_rings rings;
    struct cl_renew renew;
    struct cl_patient *patient; /* reads local files */

    struct mutex lock;  /* of what follows */
    struct list files;  /* struct qn_file */
    struct list closed; /* the last ones, so that who uses one again hears of it */
    unsigned closed_count;
    struct cl_dead dead[CL_DEAD_MAX];
    unsigned dead_at;
    struct cl_paces paces; /* of those read from */
    bool knows_trash;      /* the server was asked */
    uint64_t trash_ms;     /* 0 = no trash */
};

/* As qn_fs_open, with a configuration that is already there (borrowed during the call). */
struct qn_fs *cl_fs_open(const struct conf *conf, const char *uri, const char *user,
                         struct qn_error *error);

/* The normal path for what a caller gave (relative, or with our scheme in front). */
int cl_path(struct qn_fs *fs, const char *path, struct buf *out, struct err *err);

/* Of what a caller must give and did not (NULL): ERR_INVAL, "no file was given". cl_path asks for
 * its handle and its path itself. */
int cl_need(const void *given, const char *what, struct err *err);

/* Is this datanode our own node's, reachable by its unix socket? */
bool cl_is_local(const struct qn_fs *fs, const struct msg_node *node);

void cl_mark_dead(struct qn_fs *fs, struct slice node);
bool cl_is_dead(struct qn_fs *fs, struct slice node);

/* As cl_namenode_ask. */
static inline int cl_ask(struct qn_fs *fs, unsigned at, const void *ask, struct arena *arena,
                         void *ret_answer, struct err *err)
{
    return cl_namenode_ask(&fs->namenode, at, ask, arena, ret_answer, err);
}

/* Number for the next request that changes something. Without a handle the call fails before it is
 * asked. */
static inline struct msg_origin cl_origin(struct qn_fs *fs)
{
    return fs ? (struct msg_origin){fs->namenode.client_id, ++fs->namenode.last_seq}
              : (struct msg_origin){0};
}

/* At the edge: hand `rc` on, with the message when it is a failure and the caller wants it. */
int64_t cl_edge(int64_t rc, const struct err *err, struct qn_error *error);

#endif
