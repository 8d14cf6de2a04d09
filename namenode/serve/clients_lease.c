/* SPDX-License-Identifier: Apache-2.0
 * clients_lease: who is writing what, and taking a file from a writer who is gone. */
#include <stdlib.h>

#include "libcommon/base/path.h"
#include "namenode/serve/turn.h"

#define PAGE_FILES 1000U

/* ---- recoverLease ---- */

/* The file somebody is writing; 0 in *ret_slot: it is closed. */
static int find_open(struct nn_turn *turn, struct slice path, uint32_t *ret_slot)
{
    const struct nn_tree *tree = &turn->nn->state.tree;
    struct nn_walk walk;
    int rc = nn_check_reach(&turn->view, path, &walk, &turn->err);
    if (rc == 0)
        rc = nn_check_is_file(&turn->view, &walk, path, &turn->err);
    if (rc != 0)
        return rc;
    const struct nn_inode *inode = nn_inode(&tree->store, nn_walk_last(&walk));
    *ret_slot = inode->is_open ? nn_walk_last(&walk) : 0;
    return inode->is_open ? nn_access_path(tree, &walk, turn->view.caller, NN_W, &turn->err) : 0;
}

static const struct nn_holder *holder_at(const struct nn_turn *turn, uint32_t slot)
{
    const struct nn_state *state = &turn->nn->state;
    const struct nn_lease *lease =
        nn_leases_find(&state->leases, nn_inode(&state->tree.store, slot)->id);
    return lease ? lease->holder : NULL;
}

static uint64_t holder_of(const struct nn_turn *turn, uint32_t slot)
{
    const struct nn_holder *holder = holder_at(turn, slot);
    return holder ? holder->client : NN_LEASE_NAMENODE;
}

/* One that is being recovered already is left in peace: a new stamp would only delay it. */
void nn_on_RECOVER_LEASE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_path *ask = message;
    const struct msg_origin unrecorded = {0};
    struct nn_turn turn;
    uint32_t slot = 0;
    nn_turn_begin(&turn, call, arg, "recoverLease", ask->path);
    struct nn_wish change = {&unrecorded, 0, "recover the lease of ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    int rc = find_open(&turn, ask->path, &slot);
    if (rc == 0 && slot && holder_of(&turn, slot) != NN_LEASE_NAMENODE)
        nn_recovery_begin(&turn.nn->recovery, slot);
    const struct cl2nn_yes closed = {!slot || !nn_inode(&turn.nn->state.tree.store, slot)->is_open};
    nn_turn_end(&turn, rc, &closed);
}

/* ---- listOpenFiles ---- */

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Ids of all open files beyond `after`, in order. */
static uint64_t *collect(struct nn_turn *turn, uint64_t after, size_t *ret_count)
{
    const struct nn_leases *leases = &turn->nn->state.leases;
    uint64_t *ids =
        arena_alloc(rpc_call_arena(turn->call), (leases->files.count + 1) * sizeof(*ids));
    size_t count = 0;
    if (!ids)
        return NULL;
    hmap_each (&leases->files, it) {
        const struct nn_lease *lease = CONTAINER_OF(it, struct nn_lease, by_file);
        if (lease->file > after)
            ids[count++] = lease->file;
    }
    qsort(ids, count, sizeof(*ids), compare_ids);
    *ret_count = count;
    return ids;
}

/* Is its last block being written on a node that is to be decommissioned? */
static bool is_blocking(const struct nn_turn *turn, uint32_t slot)
{
    const struct nn_blocks *b = &turn->nn->blocks;
    const struct nn_inode *inode = nn_inode(&turn->nn->state.tree.store, slot);
    const struct nn_writing *writing =
        inode->last_block ? nn_writings_find(&b->writings, inode->last_block) : NULL;
    for (size_t i = 0; writing && i < writing->pipeline_count; i++)
        if (nn_nodes_get(&b->nodes, writing->pipeline[i])->admin == NN_NODE_DECOMMISSIONING)
            return true;
    return false;
}

/* One row, if the file is below the path asked for. `path` is for use here. */
static void add_file(struct nn_turn *turn, uint64_t id, const struct cl2nn_list_open *ask,
                     struct buf *path, struct cl2nn_open_files *ret)
{
    uint32_t slot = nn_tree_find_id(&turn->nn->state.tree, id);
    if (!slot || (ask->is_blocking && !is_blocking(turn, slot)))
        return; /* its tree is deleted, not reaped yet; or it is in nobody's way */
    const struct nn_holder *holder = holder_at(turn, slot);
    buf_clear(path);
    nn_tree_path(&turn->nn->state.tree, slot, path);
    if (buf_failed(path))
        turn->lacks_memory = true;
    else if (path_is_under(buf_slice(path), ask->path))
        ret->files.v[ret->files.n++] =
            (struct cl2nn_open_file){nn_turn_copy(turn, buf_slice(path)), holder_of(turn, slot),
                                     nn_turn_copy(turn, slice_str(holder ? holder->host : ""))};
}

static int fill_page(struct nn_turn *turn, const struct cl2nn_list_open *ask,
                     struct cl2nn_open_files *ret)
{
    size_t count = 0, n = 0;
    struct buf path = BUF_INIT;
    uint64_t *ids = collect(turn, ask->after, &count);
    ret->files.v = arena_calloc(rpc_call_arena(turn->call), PAGE_FILES, sizeof(*ret->files.v));
    if (!ids || !ret->files.v)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (; n < count && n < PAGE_FILES; n++)
        add_file(turn, ids[n], ask, &path, ret);
    buf_release(&path);
    ret->last = n < count ? ids[n - 1] : 0;
    return 0;
}

void nn_on_LIST_OPEN(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_list_open *ask = message;
    struct nn_turn turn;
    struct cl2nn_open_files page = {0};
    nn_turn_begin(&turn, call, arg, "listOpenFiles", ask->path);
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        rc = fill_page(&turn, ask, &page);
    nn_turn_end(&turn, rc, &page);
}
