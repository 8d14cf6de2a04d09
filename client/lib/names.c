/* SPDX-License-Identifier: Apache-2.0
 * The public calls on names: each is one question to the namenode. */
#include "client/lib/handle.h"
#include "client/lib/server.h"
#include "libcommon/base/str.h"

/* One call at work: its paths, its answers' memory, its failure. */
struct op {
    struct qn_fs *fs;
    struct arena arena;
    struct buf path, second;
    struct err err;
    int rc;
};

static void op_begin(struct op *op, struct qn_fs *fs, const char *path)
{
    op->fs = fs;
    op->arena = ARENA_INIT;
    op->path = op->second = BUF_INIT;
    op->err.code = 0;
    op->rc = cl_path(fs, path, &op->path, &op->err);
}

/* Where the answer goes. */
static void op_need(struct op *op, const void *ret)
{
    if (op->rc == 0)
        op->rc = cl_need(ret, "place for the answer", &op->err);
}

static void op_ask(struct op *op, unsigned at, const void *ask, void *answer)
{
    if (op->rc == 0)
        op->rc = cl_ask(op->fs, at, ask, &op->arena, answer, &op->err);
}

static int op_end(struct op *op, struct qn_error *error)
{
    arena_release(&op->arena);
    buf_release(&op->path);
    buf_release(&op->second);
    return (int)cl_edge(op->rc, &op->err, error);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* The strings of a qn_stat, in one piece of memory that begins with the owner. */
static int fill_stat(const struct msg_file *file, struct qn_stat *ret)
{
    char *owner = str_printf(SLICE_FMT "%c" SLICE_FMT "%c" SLICE_FMT, SLICE_ARG(file->owner), 0,
                             SLICE_ARG(file->group), 0, SLICE_ARG(file->name));
    if (!owner)
        return ERR_NOMEM;
    *ret = (struct qn_stat){
        .owner = owner,
        .group = owner + file->owner.len + 1,
        .name = owner + file->owner.len + file->group.len + 2,
        .id = file->id,
        .length = file->len,
        .block_size = file->block_size,
        .mtime_ms = file->mtime_ms,
        .atime_ms = file->atime_ms,
        .children = file->children,
        .replication = file->replication,
        .mode = file->mode,
        .is_dir = file->is_dir,
        .is_open = file->is_open,
        .has_acl = file->has_acl,
    };
    return 0;
}

void qn_stat_release(struct qn_stat *stat)
{
    if (!stat)
        return;
    mem_free((void *)(uintptr_t)stat->owner);
    stat->owner = stat->group = stat->name = NULL;
}

static int ask_stat(struct qn_fs *fs, const char *path, uint32_t want, struct qn_stat *ret,
                    struct qn_error *error)
{
    struct op op;
    struct msg_file file = {0};
    op_begin(&op, fs, path);
    op_need(&op, ret);
    const struct cl2nn_stat ask = {buf_slice(&op.path), want};
    op_ask(&op, CL2NN_AT_STAT, &ask, &file);
    if (op.rc == 0) {
        file.name = slice_str("");
        op.rc = fill_stat(&file, ret);
        if (op.rc != 0)
            err_set(&op.err, op.rc, "%s", err_text(op.rc));
    }
    return op_end(&op, error);
}

int qn_stat(struct qn_fs *fs, const char *path, struct qn_stat *ret, struct qn_error *error)
{
    return ask_stat(fs, path, 0, ret, error);
}

int cl_access(struct qn_fs *fs, const char *path, uint32_t want, struct qn_error *error)
{
    struct qn_stat stat;
    int rc = ask_stat(fs, path, want, &stat, error);
    if (rc == 0)
        qn_stat_release(&stat);
    return rc;
}

static void fill_summary(const struct cl2nn_summary *answer, struct qn_summary *ret)
{
    *ret = (struct qn_summary){.dirs = answer->dirs,
                               .files = answer->files,
                               .length = answer->length,
                               .space = answer->space,
                               .quota = answer->quota,
                               .space_quota = answer->space_quota};
    for (size_t i = 0; i < QN_STORAGE_TYPES; i++) {
        uint64_t quota = i < answer->type_quotas.n ? answer->type_quotas.v[i] : UINT64_MAX;
        ret->type_quotas[i] = quota == UINT64_MAX ? QN_QUOTA_NONE : (int64_t)quota;
    }
    ret->type_space[QN_DISK] = answer->space;
}

int qn_summary(struct qn_fs *fs, const char *path, struct qn_summary *ret, struct qn_error *error)
{
    struct op op;
    struct cl2nn_summary answer = {0};
    op_begin(&op, fs, path);
    op_need(&op, ret);
    const struct cl2nn_path ask = {buf_slice(&op.path)};
    op_ask(&op, CL2NN_AT_SUMMARY, &ask, &answer);
    if (op.rc == 0)
        fill_summary(&answer, ret);
    return op_end(&op, error);
}

int qn_space(struct qn_fs *fs, struct qn_space *ret, struct qn_error *error)
{
    struct op op;
    struct cl2nn_report answer = {0};
    op_begin(&op, fs, "/");
    op_need(&op, ret);
    const struct msg_void ask = {0};
    op_ask(&op, CL2NN_AT_REPORT, &ask, &answer);
    if (op.rc == 0)
        *ret = (struct qn_space){answer.capacity, answer.used, answer.remaining};
    return op_end(&op, error);
}

/* --- directories ------------------------------------------------------------------------------ */

struct qn_dir {
    struct qn_fs *fs;
    struct buf path;
    struct arena arena;
    struct cl2nn_listing page;
    size_t at;
    char *last; /* name the next page begins behind */
    struct qn_stat entry;
    bool has_entry;
};

static int next_page(struct qn_dir *dir, const char *start_after, struct err *err)
{
    const struct cl2nn_list ask = {.path = buf_slice(&dir->path),
                                   .start_after = slice_str(start_after)};
    arena_reset(&dir->arena);
    dir->at = 0;
    dir->page = (struct cl2nn_listing){0};
    return cl_ask(dir->fs, CL2NN_AT_LIST, &ask, &dir->arena, &dir->page, err);
}

void qn_closedir(struct qn_dir *dir)
{
    if (!dir)
        return;
    if (dir->has_entry)
        qn_stat_release(&dir->entry);
    buf_release(&dir->path);
    arena_release(&dir->arena);
    mem_free(dir->last);
    mem_free(dir);
}

struct qn_dir *qn_opendir(struct qn_fs *fs, const char *path, struct qn_error *error)
{
    struct err err;
    struct qn_dir *dir = mem_calloc(1, sizeof(*dir));
    int rc = dir ? 0 : err_set(&err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    if (rc == 0) {
        dir->fs = fs;
        rc = cl_path(fs, path, &dir->path, &err);
    }
    if (rc == 0)
        rc = next_page(dir, "", &err);
    cl_edge(rc, &err, error);
    if (rc == 0)
        return dir;
    qn_closedir(dir);
    return NULL;
}

/* Make sure that there is an entry at dir->at, or none at all. */
static int turn_page(struct qn_dir *dir, struct err *err)
{
    if (dir->at < dir->page.files.n || dir->page.remaining == 0 || dir->page.files.n == 0)
        return 0;
    mem_free(dir->last);
    dir->last = slice_dup(dir->page.files.v[dir->page.files.n - 1].name);
    if (!dir->last)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    return next_page(dir, dir->last, err);
}

const struct qn_stat *qn_readdir(struct qn_dir *dir, struct qn_error *error)
{
    struct err err;
    if (cl_need(dir, "directory", &err) != 0) {
        cl_edge(ERR_INVAL, &err, error);
        return NULL;
    }
    if (dir->has_entry)
        qn_stat_release(&dir->entry);
    dir->has_entry = false;
    int rc = turn_page(dir, &err);
    if (rc == 0 && dir->at < dir->page.files.n) {
        rc = fill_stat(&dir->page.files.v[dir->at++], &dir->entry);
        if (rc != 0)
            err_set(&err, rc, "%s", err_text(rc));
        dir->has_entry = rc == 0;
    }
    cl_edge(rc, &err, error);
    return dir->has_entry ? &dir->entry : NULL;
}

/* --- changing --------------------------------------------------------------------------------- */

int qn_mkdir(struct qn_fs *fs, const char *path, uint32_t mode, bool parents,
             struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    uint32_t umask = fs ? fs->umask : 0;
    const struct cl2nn_mkdir ask = {.origin = cl_origin(fs),
                                    .path = buf_slice(&op.path),
                                    .mode = (mode ? mode : 0777) & ~umask & 01777,
                                    .parents = parents,
                                    .full_mode = (mode ? mode : 0777) & 01777};
    op_ask(&op, CL2NN_AT_MKDIR, &ask, NULL);
    return op_end(&op, error);
}

int qn_rename(struct qn_fs *fs, const char *from, const char *to, bool overwrite,
              struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, from);
    if (op.rc == 0)
        op.rc = cl_path(fs, to, &op.second, &op.err);
    const struct cl2nn_rename ask = {.origin = cl_origin(fs),
                                     .from = buf_slice(&op.path),
                                     .to = buf_slice(&op.second),
                                     .overwrite = overwrite};
    op_ask(&op, CL2NN_AT_RENAME, &ask, NULL);
    return op_end(&op, error);
}

int qn_delete(struct qn_fs *fs, const char *path, bool recursive, struct qn_error *error)
{
    struct op op;
    struct cl2nn_yes answer = {0};
    op_begin(&op, fs, path);
    const struct cl2nn_delete ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .recursive = recursive};
    op_ask(&op, CL2NN_AT_DELETE, &ask, &answer);
    int rc = op_end(&op, error);
    return rc == 0 ? answer.yes : rc;
}

int qn_chmod(struct qn_fs *fs, const char *path, uint32_t mode, struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    const struct cl2nn_set_mode ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .mode = mode & 01777};
    op_ask(&op, CL2NN_AT_SET_MODE, &ask, NULL);
    return op_end(&op, error);
}

int qn_chown(struct qn_fs *fs, const char *path, const char *owner, const char *group,
             struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    const struct cl2nn_set_owner ask = {.origin = cl_origin(fs),
                                        .path = buf_slice(&op.path),
                                        .owner = slice_str(owner ? owner : ""),
                                        .group = slice_str(group ? group : "")};
    op_ask(&op, CL2NN_AT_SET_OWNER, &ask, NULL);
    return op_end(&op, error);
}

int qn_utimes(struct qn_fs *fs, const char *path, int64_t mtime_ms, int64_t atime_ms,
              struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    const struct cl2nn_set_times ask = {.origin = cl_origin(fs),
                                        .path = buf_slice(&op.path),
                                        .mtime_ms = mtime_ms,
                                        .atime_ms = atime_ms};
    op_ask(&op, CL2NN_AT_SET_TIMES, &ask, NULL);
    return op_end(&op, error);
}

int qn_truncate(struct qn_fs *fs, const char *path, uint64_t length, struct qn_error *error)
{
    struct op op;
    struct cl2nn_yes answer = {0};
    op_begin(&op, fs, path);
    const struct cl2nn_truncate ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .len = length};
    op_ask(&op, CL2NN_AT_TRUNCATE, &ask, &answer);
    int rc = op_end(&op, error);
    return rc == 0 ? answer.yes : rc;
}

/* A source as a normal path, in the call's memory. */
static void op_source(struct op *op, const char *source, struct slice *ret)
{
    buf_clear(&op->second);
    if (op->rc == 0)
        op->rc = cl_path(op->fs, source, &op->second, &op->err);
    *ret = slice_keep(buf_slice(&op->second), &op->arena);
    if (op->rc == 0 && !ret->data)
        op->rc = err_set(&op->err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
}

int qn_concat(struct qn_fs *fs, const char *path, const char *const *sources, size_t count,
              struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    if (op.rc == 0)
        op.rc = cl_need(sources, "list of sources", &op.err);
    struct slice *list = arena_calloc(&op.arena, count + 1, sizeof(*list));
    if (op.rc == 0 && !list)
        op.rc = err_set(&op.err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    for (size_t i = 0; op.rc == 0 && i < count; i++)
        op_source(&op, sources[i], &list[i]);
    const struct cl2nn_concat ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .sources = {list, count}};
    op_ask(&op, CL2NN_AT_CONCAT, &ask, NULL);
    return op_end(&op, error);
}

int qn_set_replication(struct qn_fs *fs, const char *path, uint32_t replication,
                       struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    const struct cl2nn_set_replication ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .replication = replication};
    op_ask(&op, CL2NN_AT_SET_REPLICATION, &ask, NULL);
    return op_end(&op, error);
}

int qn_set_quota(struct qn_fs *fs, const char *path, int64_t names, int64_t space,
                 struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    const struct cl2nn_set_quota ask = {
        .origin = cl_origin(fs), .path = buf_slice(&op.path), .names = names, .space = space};
    op_ask(&op, CL2NN_AT_SET_QUOTA, &ask, NULL);
    return op_end(&op, error);
}

int qn_set_type_quota(struct qn_fs *fs, const char *path, const char *type, int64_t space,
                      struct qn_error *error)
{
    struct op op;
    op_begin(&op, fs, path);
    op_need(&op, type);
    const struct cl2nn_set_type_quota ask = {.origin = cl_origin(fs),
                                             .path = buf_slice(&op.path),
                                             .type = slice_str(type ? type : ""),
                                             .space = space};
    op_ask(&op, CL2NN_AT_SET_TYPE_QUOTA, &ask, NULL);
    return op_end(&op, error);
}
