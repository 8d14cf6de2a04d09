/* SPDX-License-Identifier: Apache-2.0
 * check_publish: may a job's output appear? Everything is looked at before the one record that does
 * it all is written; afterwards nothing can go wrong half-way. */
#include <inttypes.h>

#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "namenode/journal/check.h"
#include "namenode/namespace/quota.h"

#define TEMPORARY "_temporary"

struct publish {
    const struct nn_view *view;
    const struct cl2nn_publish *ask;
    uint32_t out;      /* slot */
    struct hmap taken; /* names and source slots met so far */
    struct arena *arena;
};

struct taken {
    struct hmap_node node;
    struct slice name; /* or: */
    uint32_t slot;
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

static bool take(struct publish *p, struct slice name, uint32_t slot, int *ret_rc)
{
    uint64_t hash = slot ? hash_u64(slot) : slice_hash(name, 1);
    for (struct hmap_node *n = hmap_find(&p->taken, hash); n; n = hmap_find_next(n)) {
        const struct taken *t = CONTAINER_OF(n, struct taken, node);
        if (t->slot == slot && slice_eq(t->name, name))
            return false;
    }
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

static bool is_free_name(struct slice name)
{
    return name.len > 0 && name.len <= NAME_MAX_BYTES && !memchr(name.data, '/', name.len) &&
           !memchr(name.data, 0, name.len) && !slice_is(name, ".") && !slice_is(name, "..") &&
           !slice_is(name, TEMPORARY) && !slice_is(name, "_SUCCESS") &&
           !slice_is(name, "_MANIFEST");
}

static int check_winner(struct publish *p, const struct cl2nn_winner *winner, struct err *err)
{
    uint32_t slot = 0;
    int rc = check_source(p, winner->from, &slot, err);
    if (rc != 0)
        return rc;
    uint64_t len = nn_inode(store_of(p), slot)->len;
    if (len != winner->len)
        return err_set(err, ERR_STALE,
                       "publish: " SLICE_FMT " has %" PRIu64 " bytes, its attempt wrote %" PRIu64,
                       SLICE_ARG(winner->from), len, winner->len);
    if (!is_free_name(winner->name))
        return err_set(err, ERR_INVAL, "publish: \"" SLICE_FMT "\" cannot be an output's name",
                       SLICE_ARG(winner->name));
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
    return ask->manifest.len ? check_source(p, ask->manifest, &slot, err) : 0;
}

/* The output directory is there and may be written; what is in it may stay or go. */
static int check_out(struct publish *p, const struct nn_caller *user, struct err *err)
{
    const struct nn_tree *tree = &p->view->state->tree;
    struct nn_view as_user = *p->view;
    struct nn_walk walk;
    as_user.caller = user;
    int rc = nn_check_reach(&as_user, p->ask->out, &walk, err);
    if (rc != 0)
        return rc;
    p->out = nn_walk_last(&walk);
    if (!nn_inode(store_of(p), p->out)->is_dir)
        return err_set(err, ERR_NOTDIR, SLICE_FMT " is a file", SLICE_ARG(p->ask->out));
    rc = nn_access_path(tree, &walk, user, NN_WX, err);
    if (rc != 0)
        return rc;
    if (p->ask->mode == CL2NN_PUBLISH_REPLACE)
        return nn_access_below(tree, &walk, user, NN_RWX, true, err);
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
    if (rc == 0 && !nn_tree_find(&p->view->state->tree, p->ask->temporary))
        rc = nn_quota_check(&p->view->state->tree, p->out, 0, (struct nn_growth){.names = 1}, err);
    if (rc == 0 && p->ask->winners.n + 2 > p->view->limits->max_items)
        rc = err_set(err, ERR_LIMIT,
                     "The directory item limit of " SLICE_FMT " is exceeded: limit=%u items=%zu",
                     SLICE_ARG(p->ask->out), p->view->limits->max_items, p->ask->winners.n + 2);
    return rc;
}

int nn_check_publish(const struct nn_view *view, const struct cl2nn_publish *ask,
                     const struct nn_caller *user, struct arena *arena, struct op_publish *ret,
                     struct err *err)
{
    struct publish p = {.view = view, .ask = ask, .arena = arena};
    if (ask->mode != CL2NN_PUBLISH_FAIL && ask->mode != CL2NN_PUBLISH_REPLACE)
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
        .success_id = view->state->tree.next_id,
        .owner = ask->user,
        .mode = 0644,
        .replication = view->limits->default_replication,
        .block_size = view->limits->default_block_size,
    };
    int rc = check_all(&p, user, ret, err);
    hmap_release(&p.taken);
    return rc;
}
