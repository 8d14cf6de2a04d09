/* SPDX-License-Identifier: Apache-2.0
 * below: whoever deletes a tree or asks for its sums needs permission on every directory in it, and
 * superusers apart that must be looked at. In a tree of a million directories that takes longer
 * than others should wait, so it is done in steps, other requests in between:
 *
 *   DELETE, SUMMARY -- large, not a superuser's --> looking -- step by step --> the handler again
 *                                                      |
 *                                                      +-- no permission --> failed
 *
 * What is about to be deleted must not have changed since the looking began: a directory made in it
 * meanwhile, or taken from somebody, would go unseen. Then it is looked at again; at the third time
 * the handler looks for itself, in one go. */
#include "libcommon/base/mem.h"
#include "namenode/serve/turn.h"

#define STEP_DIRS 5000 /* about a millisecond; sticky directories' entries count as much */
#define STEP_MS   1
#define LOOKS_MAX 3

struct below {
    struct list link;
    struct nn_clients *clients;
    struct rpc_call *call;
    struct nn_look look; /* what it points to lives as long as the call */
    struct nn_below at;
    uint64_t changes; /* of the tree, when this look began */
    unsigned looks;
    struct loop_timer timer;
};

static void forget(struct below *b)
{
    loop_timer_stop(&b->timer);
    list_remove(&b->link);
    mem_free(b);
}

/* Nothing more to look at: the handler goes on, knowing so. */
static void go_on(struct below *b, bool is_sure)
{
    struct nn_clients *clients = b->clients;
    struct rpc_call *call = b->call;
    struct nn_look look = b->look;
    clients->below_done = is_sure ? b->at.top : UINT64_MAX;
    forget(b);
    look.again(call, look.ask, clients);
    clients->below_done = 0;
}

static void step(void *arg);

static void fail(struct below *b, struct nn_turn *turn, int rc)
{
    forget(b);
    nn_turn_end(turn, rc, NULL);
}

static void wait_a_little(struct below *b, struct nn_turn *turn)
{
    if (loop_after(b->clients->nn->loop, &b->timer, STEP_MS, step, b) != 0)
        fail(b, turn, err_set(&turn->err, ERR_NOMEM, "out of memory"));
}

static void step(void *arg)
{
    struct below *b = arg;
    struct nn_turn turn;
    nn_turn_resume(&turn, b->call, b->clients, b->look.command, b->look.path);
    const struct nn_tree *tree = &turn.nn->state.tree;
    int rc = nn_access_below_step(tree, &b->at, &turn.caller, b->look.want, b->look.skip_empty,
                                  STEP_DIRS, &turn.err);
    if (rc < 0) {
        fail(b, &turn, rc);
    } else if (rc > 0) {
        wait_a_little(b, &turn);
    } else if (!(b->look.want & NN_W) || b->changes == tree->changes) {
        go_on(b, true);
    } else if (++b->looks == LOOKS_MAX) {
        go_on(b, false);
    } else {
        b->changes = tree->changes;
        b->at.at = b->at.entry = 0;
        wait_a_little(b, &turn);
    }
}

/* What is refused before anything below is looked at is the handler's affair. */
static bool may_reach(struct nn_turn *turn, const struct nn_look *look, uint32_t *ret_top)
{
    const struct nn_tree *tree = &turn->nn->state.tree;
    struct nn_walk walk;
    struct err ignored;
    if (!path_is_normal(look->path))
        return false;
    nn_tree_walk(tree, look->path, &walk);
    int rc = look->want & NN_W ? nn_access_parent(tree, &walk, &turn->caller, NN_W, &ignored)
                               : nn_access_traverse(tree, &walk, &turn->caller, &ignored);
    *ret_top = nn_walk_last(&walk);
    return rc == 0 && nn_walk_is_whole(&walk);
}

bool nn_turn_look_below(struct nn_turn *turn, void *arg, const struct nn_look *look)
{
    struct nn_clients *clients = arg;
    const struct nn_tree *tree = &turn->nn->state.tree;
    uint32_t top = 0;
    if (turn->caller.is_super || turn->view.below || !may_reach(turn, look, &top))
        return false;
    struct nn_sums sums = nn_tree_sums(tree, top);
    if (sums.dirs + (look->want & NN_W ? sums.files : 0) <= STEP_DIRS)
        return false;
    struct below *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return false; /* in one go, then */
    *b = (struct below){.clients = clients,
                        .call = turn->call,
                        .look = *look,
                        .at = {.top = nn_inode(&tree->store, top)->id},
                        .changes = tree->changes};
    list_push_back(&clients->below, &b->link);
    wait_a_little(b, turn);
    return true;
}

void nn_clients_release_below(struct nn_clients *clients)
{
    list_each_safe (&clients->below, it) {
        struct below *b = CONTAINER_OF(it, struct below, link);
        rpc_fail(b->call, ERR_CLOSED, "the namenode is stopping");
        forget(b);
    }
}
