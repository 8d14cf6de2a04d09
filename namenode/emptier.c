/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/emptier.h"

#include <time.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "namenode/namenode.h"
#include "namenode/namespace/trash.h"

#define USERS_PER_SLICE 50 /* well under a millisecond */
#define SLICE_MS        5
#define HOMES           "/user"

static void next_slice(void *arg);

/* yyMMddHHmmss; "" when there is no such time, which is older than everything: nothing is deleted.
 */
static void stamp(uint64_t wall_ms, char out[16])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char whole[32];
    bool is_time =
        localtime_r(&seconds, &tm) && strftime(whole, sizeof(whole), "%Y%m%d%H%M%S", &tm);
    snprintf(out, 16, "%.12s", is_time ? whole + 2 : "");
}

/* The emptier acts in the name of the namenode. */
static struct nn_view view_of(const struct nn_emptier *emptier, struct nn_caller *caller)
{
    *caller =
        (struct nn_caller){.user = slice_str(emptier->nn->groups.superuser), .is_super = true};
    return namenode_view(emptier->nn, caller);
}

static int delete_one(struct nn_emptier *emptier, const char *path)
{
    struct nn_caller caller;
    struct nn_view view = view_of(emptier, &caller);
    struct cl2nn_delete ask = {.path = slice_str(path), .recursive = true};
    struct op_delete op;
    uint64_t answer[2];
    struct err err = {0};
    int rc = nn_check_delete(&view, &ask, &op, &err);
    if (rc == 0)
        rc = namenode_commit(emptier->nn, NN_OP_DELETE, &op, answer, &err);
    if (rc == 0)
        log_info("trash", "Deleted trash checkpoint: %s", path);
    else
        log_error("trash", "%s cannot be deleted: %s", path, err.msg);
    return rc;
}

static void rename_current(struct nn_emptier *emptier, const char *from, const char *to)
{
    struct nn_caller caller;
    struct nn_view view = view_of(emptier, &caller);
    struct cl2nn_rename ask = {.from = slice_str(from), .to = slice_str(to)};
    struct op_rename op;
    uint64_t answer[2];
    struct err err = {0};
    int rc = nn_check_rename(&view, &ask, &op, &err);
    if (rc == 0)
        rc = namenode_commit(emptier->nn, NN_OP_RENAME, &op, answer, &err);
    if (rc == 0)
        log_info("trash", "Created trash checkpoint: %s", to);
    else
        log_error("trash", "%s cannot become a checkpoint: %s", from, err.msg);
}

/* One user's trash: the old goes, the present gets its date. */
static void empty_one(struct nn_emptier *emptier, uint32_t trash)
{
    const struct nn_tree *tree = &emptier->nn->state.tree;
    struct buf root = BUF_INIT, from = BUF_INIT, to = BUF_INIT;
    char name[NN_TRASH_NAME];
    uint32_t old;
    int rc = 0;
    nn_tree_path(tree, trash, &root);
    while (rc == 0 && (old = nn_trash_older(tree, trash, emptier->before))) {
        buf_clear(&from);
        nn_tree_path(tree, old, &from);
        rc = buf_cstr(&from) ? delete_one(emptier, buf_cstr(&from)) : ERR_NOMEM;
    }
    if (nn_inodes_child(&tree->store, trash, slice_str(NN_TRASH_CURRENT)) && emptier->now[0] &&
        nn_trash_name(tree, trash, emptier->now, name)) {
        buf_clear(&from);
        buf_printf(&from, SLICE_FMT "/" NN_TRASH_CURRENT, SLICE_ARG(buf_slice(&root)));
        buf_printf(&to, SLICE_FMT "/%s", SLICE_ARG(buf_slice(&root)), name);
        if (buf_cstr(&from) && buf_cstr(&to))
            rename_current(emptier, buf_cstr(&from), buf_cstr(&to));
    }
    buf_release(&root);
    buf_release(&from);
    buf_release(&to);
}

static uint32_t dir_in(const struct nn_tree *tree, uint32_t dir, const char *name)
{
    uint32_t slot = nn_inodes_child(&tree->store, dir, slice_str(name));
    return slot && nn_inode(&tree->store, slot)->is_dir ? slot : 0;
}

/* Some users more. True when that was the last. */
static bool do_slice(struct nn_emptier *emptier)
{
    const struct nn_tree *tree = &emptier->nn->state.tree;
    uint32_t homes = nn_tree_find(tree, slice_str(HOMES));
    if (!homes || !nn_inode(&tree->store, homes)->is_dir)
        return true;
    for (unsigned i = 0; i < USERS_PER_SLICE; i++) {
        const struct nn_children *children = &nn_dir(&tree->store, homes)->children;
        struct nn_naming naming = nn_inodes_naming(&tree->store);
        struct nn_cursor at = nn_children_after(children, &naming, slice_str(emptier->user));
        uint32_t user = nn_children_next(children, &at);
        if (!user)
            return true;
        snprintf(emptier->user, sizeof(emptier->user), SLICE_FMT,
                 SLICE_ARG(nn_inode_name(&tree->store, user)));
        uint32_t trash =
            nn_inode(&tree->store, user)->is_dir ? dir_in(tree, user, NN_TRASH_DIR) : 0;
        if (trash)
            empty_one(emptier, trash);
    }
    return false;
}

static int wait_for_round(struct nn_emptier *emptier)
{
    uint64_t left = emptier->period_ms - clock_wall_ms() % emptier->period_ms;
    emptier->is_round = false;
    return loop_after(emptier->nn->loop, &emptier->timer, left, next_slice, emptier);
}

static void begin_round(struct nn_emptier *emptier)
{
    uint64_t now = clock_wall_ms();
    stamp(now, emptier->now);
    stamp(now > emptier->interval_ms ? now - emptier->interval_ms : 0, emptier->before);
    emptier->user[0] = 0;
    emptier->is_round = true;
}

static void next_slice(void *arg)
{
    struct nn_emptier *emptier = arg;
    bool is_done = nn_safemode_is_on(&emptier->nn->blocks.safemode) || emptier->nn->is_stopping;
    if (!emptier->is_round)
        begin_round(emptier);
    is_done = is_done || do_slice(emptier);
    int rc = is_done
                 ? wait_for_round(emptier)
                 : loop_after(emptier->nn->loop, &emptier->timer, SLICE_MS, next_slice, emptier);
    if (rc != 0)
        log_error("trash", "out of memory: the trash is not emptied until the next start");
}

int nn_emptier_start(struct nn_emptier *emptier, struct namenode *nn, uint64_t interval_ms,
                     uint64_t period_ms)
{
    *emptier = (struct nn_emptier){.nn = nn, .interval_ms = interval_ms, .period_ms = period_ms};
    if (interval_ms == 0)
        return 0;
    if (period_ms == 0 || period_ms > interval_ms)
        emptier->period_ms = interval_ms;
    return wait_for_round(emptier);
}

void nn_emptier_stop(struct nn_emptier *emptier)
{
    loop_timer_stop(&emptier->timer);
}
