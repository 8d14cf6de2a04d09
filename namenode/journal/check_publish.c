/* SPDX-License-Identifier: Apache-2.0
 * check_publish: may a job's output appear? Everything is looked at before the one record that does
 * it all is written; afterwards nothing can go wrong half-way. */
#include <inttypes.h>

#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/publish.h"
#include "namenode/journal/check.h"
#include "namenode/namespace/quota.h"

#define TEMPORARY "_temporary"
#define MANIFEST  "_MANIFEST"

struct publish {
    const struct nn_view *view;
    const struct cl2nn_publish *ask;
    const struct nn_caller *user;
    uint32_t out;       /* slot; 0: it is to be made, */
    uint32_t above;     /* somewhere below this one */
    uint64_t new_dirs;  /* that winners and the output need */
    uint64_t new_files; /* without a byte */
    struct hmap taken;  /* names and source slots met so far */
    struct arena *arena;
};

struct taken {
    struct hmap_node node;
    struct slice name; /* or: */
    uint32_t slot;
    bool is_dir;
};

static const struct nn_inodes *store_of(const struct publish *p)
{
    return &p->view->state->tree.store;
}

static int check_who(const struct publish *p, struct err *err)
{
    const struct nn_caller *caller = p->view->caller;
    if (caller->is_super || slice_eq(caller->user, p->ask->user))
        return 0;
    return err_set(err, ERR_ACCESS,
                   "user " SLICE_FMT " may not publish in the name of " SLICE_FMT
                   ": run the jobtracker as the namenode's user, or as a member of its supergroup",
                   SLICE_ARG(caller->user), SLICE_ARG(p->ask->user));
}

static int check_epoch(const struct publish *p, struct err *err)
{
    const struct cl2nn_publish *ask = p->ask;
    if (ask->user.len == 0 || ask->user.len > NAME_MAX_BYTES ||
        memchr(ask->user.data, 0, ask->user.len))
        return err_set(err, ERR_INVAL, "publish: in nobody's name");
    if (ask->job.len == 0 || ask->job.len > NAME_MAX_BYTES ||
        memchr(ask->job.data, 0, ask->job.len))
        return err_set(err, ERR_INVAL, "a job's name has 1 to %d bytes, none of them 0",
                       NAME_MAX_BYTES);
    const struct nn_job *job = nn_jobs_find(&p->view->state->jobs, ask->job);
    if (!job)
        return 0;
    if (ask->epoch < job->epoch)
        return err_set(err, ERR_STALE,
                       SLICE_FMT " was published under epoch %" PRIu64 "; epoch %" PRIu64
                                 " is over: another jobtracker has taken its place",
                       SLICE_ARG(ask->job), job->epoch, ask->epoch);
    return NN_CHECK_NOTHING;
}

static int check_paths(const struct publish *p, struct err *err)
{
    const struct cl2nn_publish *ask = p->ask;
    int rc = nn_check_path(ask->out, err);
    if (rc == 0)
        rc = nn_check_path(ask->temporary, err);
    if (rc != 0)
        return rc;
    struct slice above = path_parent(ask->temporary);
    if (ask->out.len == 1 || !slice_is(path_name(above), TEMPORARY) ||
        !slice_eq(path_parent(above), ask->out))
        return err_set(err, ERR_INVAL,
                       SLICE_FMT " is not where attempts for " SLICE_FMT
                                 " write: that is OUT/" TEMPORARY "/JOB",
                       SLICE_ARG(ask->temporary), SLICE_ARG(ask->out));
    return 0;
}

static const struct taken *find_taken(const struct publish *p, struct slice name, uint32_t slot)
{
    uint64_t hash = slot ? hash_u64(slot) : slice_hash(name, 1);
    for (struct hmap_node *n = hmap_find(&p->taken, hash); n; n = hmap_find_next(n)) {
        const struct taken *t = CONTAINER_OF(n, struct taken, node);
        if (t->slot == slot && slice_eq(t->name, name))
            return t;
    }
    return NULL;
}

static bool take(struct publish *p, struct slice name, uint32_t slot, int *ret_rc)
{
    uint64_t hash = slot ? hash_u64(slot) : slice_hash(name, 1);
    if (find_taken(p, name, slot))
        return false;
    struct taken *t = arena_calloc(p->arena, 1, sizeof(*t));
    if (!t || hmap_add(&p->taken, &t->node, hash) != 0) {
        *ret_rc = ERR_NOMEM;
        return true;
    }
    t->name = name;
    t->slot = slot;
    return true;
}

/* A finished file below the temporary directory, named once. */
static int check_source(struct publish *p, struct slice from, uint32_t *ret_slot, struct err *err)
{
    int rc = 0;
    uint32_t slot = path_is_normal(from) && path_is_under(from, p->ask->temporary)
                        ? nn_tree_find(&p->view->state->tree, from)
                        : 0;
    if (!slot || nn_inode(store_of(p), slot)->is_dir)
        return err_set(err, ERR_NOENT, "publish: no file " SLICE_FMT " below " SLICE_FMT,
                       SLICE_ARG(from), SLICE_ARG(p->ask->temporary));
    if (nn_inode(store_of(p), slot)->is_open)
        return err_set(err, ERR_STALE, "publish: " SLICE_FMT " is still being written",
                       SLICE_ARG(from));
    if (!take(p, slice_of(NULL, 0), slot, &rc))
        return err_set(err, ERR_INVAL, "publish: " SLICE_FMT " is named twice", SLICE_ARG(from));
    *ret_slot = slot;
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

/* One part of it. */
static bool is_free_part(struct slice name, bool is_first)
{
    bool is_ours = slice_is(name, TEMPORARY) || slice_is(name, "_SUCCESS") ||
                   slice_has_prefix(name, slice_str(MANIFEST));
    return name.len > 0 && name.len <= NAME_MAX_BYTES && !memchr(name.data, 0, name.len) &&
           !slice_is(name, ".") && !slice_is(name, "..") && !(is_first && is_ours);
}

static bool is_free_name(const struct publish *p, struct slice name)
{
    bool is_first = true;
    if (p->ask->out.len + 1 + name.len > PATH_MAX_BYTES)
        return false;
    for (;;) {
        const uint8_t *slash = name.len ? memchr(name.data, '/', name.len) : NULL;
        size_t len = slash ? (size_t)(slash - name.data) : name.len;
        if (!is_free_part(slice_of(name.data, len), is_first))
            return false;
        if (!slash)
            return true;
        name = slice_of(slash + 1, name.len - len - 1);
        is_first = false;
    }
}

static bool keeps_old(const struct publish *p)
{
    return p->ask->mode == CL2NN_PUBLISH_APPEND || p->ask->mode == CL2NN_PUBLISH_PARTITION;
}

/* Walk to OUT/NAME; lives in the arena. */
static int walk_to(const struct publish *p, struct slice name, struct nn_walk *walk)
{
    size_t len = p->ask->out.len + 1 + name.len;
    uint8_t *path = arena_alloc(p->arena, len);
    if (!path)
        return ERR_NOMEM;
    memcpy(path, p->ask->out.data, p->ask->out.len);
    path[p->ask->out.len] = '/';
    memcpy(path + p->ask->out.len + 1, name.data, name.len);
    nn_tree_walk(&p->view->state->tree, slice_of(path, len), walk);
    return 0;
}

/* A directory that was there before: may the user change it? */
static int check_old_dir(const struct publish *p, const struct nn_walk *walk, struct slice name,
                         struct err *err)
{
    const struct nn_tree *tree = &p->view->state->tree;
    if (!nn_inode(store_of(p), nn_walk_last(walk))->is_dir)
        return err_set(err, ERR_NOTDIR, "publish: " SLICE_FMT "/" SLICE_FMT " is a file",
                       SLICE_ARG(p->ask->out), SLICE_ARG(name));
    int rc = nn_access_path(tree, walk, p->user, NN_WX, err);
    if (rc == 0 && p->ask->mode == CL2NN_PUBLISH_PARTITION)
        rc = nn_access_below(tree, walk, p->user, NN_RWX, true, err);
    return rc;
}

/* The directory part of a winner's name: there, or to be made; no other winner is called so. */
static int check_dir(struct publish *p, struct slice name, struct err *err)
{
    const struct taken *taken = find_taken(p, name, 0);
    struct nn_walk walk;
    int rc = 0;
    if (taken && !taken->is_dir)
        return err_set(err, ERR_INVAL, "publish: " SLICE_FMT " is a file and a directory",
                       SLICE_ARG(name));
    if (taken)
        return 0;
    const uint8_t *slash = memrchr(name.data, '/', name.len);
    if (slash)
        rc = check_dir(p, slice_of(name.data, (size_t)(slash - name.data)), err);
    if (rc != 0)
        return rc;
    (void)take(p, name, 0, &rc);
    if (rc == 0)
        rc = walk_to(p, name, &walk);
    if (rc != 0)
        return err_set(err, rc, "out of memory");
    ((struct taken *)(uintptr_t)find_taken(p, name, 0))->is_dir = true;
    bool is_there = keeps_old(p) && walk.found == walk.depth;
    p->new_dirs += !is_there;
    return is_there ? check_old_dir(p, &walk, name, err) : 0;
}

/* Nothing that stays may be in the way. */
static int check_way(struct publish *p, struct slice name, struct err *err)
{
    const uint8_t *slash = memrchr(name.data, '/', name.len);
    struct nn_walk walk;
    int rc = slash ? check_dir(p, slice_of(name.data, (size_t)(slash - name.data)), err) : 0;
    if (rc != 0 || !keeps_old(p))
        return rc;
    if (walk_to(p, name, &walk) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    bool is_there = walk.found == walk.depth;
    if (is_there && (p->ask->mode == CL2NN_PUBLISH_APPEND ||
                     nn_inode(store_of(p), nn_walk_last(&walk))->is_dir))
        return err_set(err, ERR_EXIST, "publish: " SLICE_FMT "/" SLICE_FMT " exists already",
                       SLICE_ARG(p->ask->out), SLICE_ARG(name));
    return 0;
}

static int check_winner(struct publish *p, const struct cl2nn_winner *winner, struct err *err)
{
    uint32_t slot = 0;
    int rc = winner->from.len ? check_source(p, winner->from, &slot, err) : 0;
    if (rc != 0)
        return rc;
    p->new_files += slot == 0;
    uint64_t len = slot ? nn_inode(store_of(p), slot)->len : 0;
    if (len != winner->len)
        return err_set(err, ERR_STALE,
                       "publish: " SLICE_FMT " has %" PRIu64 " bytes, its attempt wrote %" PRIu64,
                       SLICE_ARG(winner->from), len, winner->len);
    if (!is_free_name(p, winner->name))
        return err_set(err, ERR_INVAL, "publish: \"" SLICE_FMT "\" cannot be an output's name",
                       SLICE_ARG(winner->name));
    rc = check_way(p, winner->name, err);
    if (rc != 0)
        return rc;
    if (!take(p, winner->name, 0, &rc))
        return err_set(err, ERR_INVAL, "publish: two outputs are called " SLICE_FMT,
                       SLICE_ARG(winner->name));
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

static int check_winners(struct publish *p, struct op_publish *op, struct err *err)
{
    const struct cl2nn_publish *ask = p->ask;
    struct op_winner *rows = arena_calloc(p->arena, ask->winners.n, sizeof(*rows));
    if (!rows && ask->winners.n)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < ask->winners.n; i++) {
        int rc = check_winner(p, &ask->winners.v[i], err);
        if (rc != 0)
            return rc;
        rows[i] = (struct op_winner){ask->winners.v[i].from, ask->winners.v[i].name};
    }
    op->winners.v = rows;
    op->winners.n = ask->winners.n;
    uint32_t slot = 0;
    p->new_files += ask->has_empty_manifest;
    if (ask->has_empty_manifest && ask->manifest.len)
        return err_set(err, ERR_INVAL, "publish: a manifest that is empty comes from nowhere");
    return ask->manifest.len ? check_source(p, ask->manifest, &slot, err) : 0;
}

/* No attempt has written anything: may the user make the directory, and those above it? */
static int check_new_out(struct publish *p, const struct nn_view *as_user,
                         const struct nn_walk *walk, struct err *err)
{
    p->above = nn_walk_last(walk);
    p->new_dirs = walk->depth - walk->found;
    int rc = nn_access_ancestor(&as_user->state->tree, walk, as_user->caller, NN_W, err);
    return rc == 0 ? nn_check_room(as_user, walk, err) : rc;
}

/* OUT is empty but for where attempts write, or a job has made it. */
static bool may_go(const struct publish *p)
{
    const struct nn_children *children = &nn_dir(store_of(p), p->out)->children;
    struct nn_cursor cursor = {0};
    bool has_files = false;
    for (uint32_t slot; (slot = nn_children_next(children, &cursor)) != 0;) {
        struct slice name = nn_inode_name(store_of(p), slot);
        if (cl2nn_publish_is_mark(name))
            return true;
        has_files = has_files || !slice_is(name, TEMPORARY);
    }
    return !has_files;
}

/* The output directory is there and may be written; what is in it may stay or go. */
static int check_out(struct publish *p, const struct nn_caller *user, struct err *err)
{
    const struct nn_tree *tree = &p->view->state->tree;
    struct nn_view as_user = *p->view;
    struct nn_walk walk;
    as_user.caller = user;
    nn_tree_walk(tree, p->ask->out, &walk);
    int rc = nn_access_traverse(tree, &walk, user, err);
    if (rc == 0 && !nn_walk_is_whole(&walk))
        return check_new_out(p, &as_user, &walk, err);
    if (rc != 0)
        return rc;
    p->out = p->above = nn_walk_last(&walk);
    if (!nn_inode(store_of(p), p->out)->is_dir)
        return err_set(err, ERR_NOTDIR, SLICE_FMT CL2NN_PUBLISH_FILE, SLICE_ARG(p->ask->out));
    rc = nn_access_path(tree, &walk, user, NN_WX, err);
    if (rc != 0)
        return rc;
    bool keeps_all = p->ask->mode == CL2NN_PUBLISH_APPEND;
    if (p->ask->mode != CL2NN_PUBLISH_FAIL && !keeps_all && !may_go(p))
        return err_set(err, ERR_EXIST, SLICE_FMT CL2NN_PUBLISH_FOREIGN, SLICE_ARG(p->ask->out));
    if (p->ask->mode == CL2NN_PUBLISH_REPLACE)
        return nn_access_below(tree, &walk, user, NN_RWX, true, err);
    if (keeps_old(p))
        return 0;
    uint32_t entries = nn_dir(&tree->store, p->out)->children.count;
    if (entries > (nn_inodes_child(&tree->store, p->out, slice_str(TEMPORARY)) ? 1U : 0U))
        return err_set(err, ERR_EXIST,
                       SLICE_FMT " exists already (add -mode replace, or remove it)",
                       SLICE_ARG(p->ask->out));
    return 0;
}

static int check_all(struct publish *p, const struct nn_caller *user, struct op_publish *op,
                     struct err *err)
{
    int rc = check_who(p, err);
    if (rc == 0)
        rc = check_epoch(p, err);
    if (rc == 0)
        rc = check_paths(p, err);
    if (rc == 0)
        rc = check_out(p, user, err);
    if (rc == 0)
        rc = check_winners(p, op, err);
    bool makes_room = nn_tree_find(&p->view->state->tree, p->ask->temporary) != 0;
    struct nn_growth growth = {.names = (int64_t)(p->new_dirs + p->new_files) + !makes_room};
    if (rc == 0 && growth.names > 0)
        rc = nn_quota_check(&p->view->state->tree, p->above, 0, growth, err);
    if (rc == 0 && p->ask->winners.n + 2 > p->view->limits->max_items)
        rc = err_set(err, ERR_LIMIT,
                     "The directory item limit of " SLICE_FMT " is exceeded: limit=%u items=%zu",
                     SLICE_ARG(p->ask->out), p->view->limits->max_items, p->ask->winners.n + 2);
    return rc;
}

/* One beside those that are there. */
static int name_manifest(const struct publish *p, struct op_publish *op, struct err *err)
{
    size_t room = sizeof(MANIFEST) + 1 + p->ask->job.len;
    char *name = arena_alloc(p->arena, room);
    if (!name)
        return err_set(err, ERR_NOMEM, "out of memory");
    int len = snprintf(name, room, MANIFEST "-" SLICE_FMT, SLICE_ARG(p->ask->job));
    op->manifest_name = slice_of(name, (size_t)len);
    if (len > NAME_MAX_BYTES || (p->out && nn_inodes_child(store_of(p), p->out, op->manifest_name)))
        return err_set(err, ERR_EXIST, SLICE_FMT "/%s exists already", SLICE_ARG(p->ask->out),
                       name);
    return 0;
}

int nn_check_publish(const struct nn_view *view, const struct cl2nn_publish *ask,
                     const struct nn_caller *user, struct arena *arena, struct op_publish *ret,
                     struct err *err)
{
    struct publish p = {.view = view, .ask = ask, .user = user, .arena = arena};
    if (ask->mode > CL2NN_PUBLISH_PARTITION)
        return err_set(err, ERR_INVAL, "publish: mode %u is not known", ask->mode);
    *ret = (struct op_publish){
        .origin = ask->origin,
        .at_ms = view->wall_ms,
        .job = ask->job,
        .epoch = ask->epoch,
        .out = ask->out,
        .temporary = ask->temporary,
        .replace = ask->mode == CL2NN_PUBLISH_REPLACE,
        .manifest = ask->manifest,
        .owner = ask->user,
        .mode = 0644,
        .replication = ask->replication ? ask->replication : view->limits->default_replication,
        .block_size = view->limits->default_block_size,
        .has_empty_manifest = ask->has_empty_manifest,
        .keeps = keeps_old(&p),
        .by_directory = ask->mode == CL2NN_PUBLISH_PARTITION,
        .first_dir_id = view->state->tree.next_id,
    };
    int rc = check_all(&p, user, ret, err);
    ret->success_id = ret->first_dir_id + p.new_dirs + p.new_files;
    if (rc == 0 && ret->keeps)
        rc = name_manifest(&p, ret, err);
    hmap_release(&p.taken);
    return rc;
}
