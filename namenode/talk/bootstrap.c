/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/talk/bootstrap.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/store/wal.h"
#include "libcommon/wire/chan.h"
#include "namenode/journal/fsimage.h"
#include "namenode/journal/namedir.h"

#define TRIES    5
#define TEXT_MAX 256

struct copying {
    const struct nn_bootstrap *wish;
    struct chan *chan;
    struct nn_namedir dir;
    uint64_t bytes;
};

/* ---- one file ---- */

static int fetch_into(struct copying *c, const char *name, int fd, struct err *err)
{
    struct cl2nn_journal_page ask = {.name = slice_str(name)};
    uint64_t size = 1;
    int rc = 0;
    while (rc == 0 && ask.offset < size) {
        struct arena arena = ARENA_INIT;
        struct cl2nn_journal_bytes page = {0};
        rc = chan_call(c->chan, &CL2NN_methods[CL2NN_AT_JOURNAL_PAGE], &ask, &arena, &page,
                       c->wish->timeout_ms, err);
        if (rc == 0 && page.bytes.len == 0 && ask.offset < page.size)
            rc = err_set(err, ERR_EOF, "%s: %s ends too early", c->wish->address, name);
        if (rc == 0 && page.bytes.len > 0 &&
            (rc = disk_pwrite(c->wish->disk, fd, page.bytes.data, page.bytes.len, ask.offset)) != 0)
            err_set(err, rc, "%s/%s: cannot write: %s", c->dir.path, name, err_text(rc));
        size = page.size;
        ask.offset += page.bytes.len;
        c->bytes += page.bytes.len;
        arena_release(&arena);
        fault_hit("nn.bootstrap.page");
    }
    return rc;
}

static int fetch(struct copying *c, const char *name, struct err *err)
{
    struct disk *disk = c->wish->disk;
    int fd = -1;
    char *path = fsutil_join(c->dir.path, name);
    int rc = path ? disk_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd)
                  : ERR_NOMEM;
    if (rc != 0)
        err_set(err, rc, "%s/%s: cannot create: %s", c->dir.path, name, err_text(rc));
    if (rc == 0)
        rc = fetch_into(c, name, fd, err);
    if (rc == 0 && (rc = disk_fsync(disk, fd)) != 0)
        err_set(err, rc, "%s: cannot fsync: %s", path, err_text(rc));
    disk_close(disk, fd);
    uint64_t number;
    if (rc == 0 && nn_image_name_parse(name, &number))
        rc = nn_image_read(disk, path, NULL, NULL, NULL, err);
    mem_free(path);
    return rc;
}

/* ---- a directory ---- */

static int fetch_all(struct copying *c, uint64_t *ret_last, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_journal_files files = {0};
    char name[TEXT_MAX], cluster[VERSION_ID_MAX];
    const struct msg_void ask = {0};
    int rc = chan_call(c->chan, &CL2NN_methods[CL2NN_AT_JOURNAL_FILES], &ask, &arena, &files,
                       c->wish->timeout_ms, err);
    for (size_t i = 0; rc == 0 && i < files.names.n; i++) {
        snprintf(name, sizeof(name), SLICE_FMT, SLICE_ARG(files.names.v[i]));
        rc = fetch(c, name, err);
    }
    if (rc == 0)
        rc = wal_adopt(c->wish->disk, c->dir.path, files.durable, ret_last, err);
    fault_hit("nn.bootstrap.adopted");
    if (rc == 0) {
        snprintf(cluster, sizeof(cluster), SLICE_FMT, SLICE_ARG(files.cluster_id));
        rc = nn_namedir_finish(&c->dir, cluster, clock_wall_ms(), err);
    }
    arena_release(&arena);
    return rc;
}

static int may_use(const struct nn_bootstrap *wish, const struct nn_namedir *dir, struct err *err)
{
    if (wish->force || dir->state == NN_DIR_EMPTY || dir->state == NN_DIR_UNFINISHED)
        return 0;
    return nn_namedir_refuse(dir, err);
}

static int fill(struct copying *c, uint64_t *ret_last, struct err *err)
{
    int rc = ERR_NOENT;
    for (int i = 0; rc == ERR_NOENT && i < TRIES; i++) { /* files were retired meanwhile */
        rc = nn_namedir_clear(&c->dir, err);
        if (rc == 0)
            rc = fetch_all(c, ret_last, err);
    }
    return rc;
}

static int fill_dir(const struct nn_bootstrap *wish, struct chan *chan, const char *path,
                    uint64_t *ret_last, struct err *err)
{
    struct copying c = {.wish = wish, .chan = chan};
    int rc = fsutil_mkdirs(wish->disk, path, err);
    if (rc == 0)
        rc = nn_namedir_open(&c.dir, wish->disk, path, err);
    if (rc != 0)
        return rc;
    rc = may_use(wish, &c.dir, err);
    if (rc == 0)
        rc = fill(&c, ret_last, err);
    if (rc == 0)
        log_info("nn",
                 "Storage directory %s has been filled from %s: %llu bytes, up to record %llu",
                 path, wish->address, (unsigned long long)c.bytes, (unsigned long long)*ret_last);
    nn_namedir_close(&c.dir);
    return rc;
}

/* The first start fills it from the first one. */
static int empty_dir(const struct nn_bootstrap *wish, const char *path, struct err *err)
{
    struct nn_namedir dir;
    int rc = fsutil_mkdirs(wish->disk, path, err);
    if (rc == 0)
        rc = nn_namedir_open(&dir, wish->disk, path, err);
    if (rc != 0)
        return rc;
    rc = may_use(wish, &dir, err);
    if (rc == 0)
        rc = nn_namedir_clear(&dir, err);
    nn_namedir_close(&dir);
    return rc;
}

int nn_bootstrap_run(const struct nn_bootstrap *wish, uint64_t *ret_last, struct err *err)
{
    struct identity self;
    struct chan *chan = NULL;
    identity_init(&self, WIRE_TOOL, NULL);
    const struct chan_conf conf = {
        .address = wish->address, .self = &self, .role = WIRE_NAMENODE, .timeout_ms = 0};
    int rc = chan_open(&conf, &chan, err);
    for (size_t i = 1; rc == 0 && i < wish->dir_count; i++)
        rc = empty_dir(wish, wish->dirs[i], err);
    if (rc == 0)
        rc = fill_dir(wish, chan, wish->dirs[0], ret_last, err);
    chan_close(chan);
    return rc;
}
