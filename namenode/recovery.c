/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/recovery.h"

#include <inttypes.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "namenode/namenode.h"
#include "namenode/truncation.h"

#define LOOK_MS 2000 /* for silent writers */
#define BATCH \
    1000 /* files begun in one look, so that a crowd of dead writers cannot hold the loop */

static struct nn_block block_at(const struct namenode *nn, uint32_t block)
{
    return nn_blockmap_get(nn->blocks.map, block);
}

static void tell(const struct namenode *nn, uint32_t slot, const char *what)
{
    struct buf path = BUF_INIT;
    nn_tree_path(&nn->state.tree, slot, &path);
    log_info("nn.lease", "%s " SLICE_FMT, what, SLICE_ARG(buf_slice(&path)));
    buf_release(&path);
}

/* A record that cannot be written now (no room) is tried again at the next look or attempt. */
static bool commit(struct namenode *nn, enum nn_op number, const void *op)
{
    struct err err = {0};
    uint64_t answer[2];
    if (namenode_commit(nn, number, op, answer, &err) == 0)
        return true;
    log_warn("nn.lease", "recovery waits: %s", err.msg);
    return false;
}

static void close_file(struct namenode *nn, uint32_t slot, struct msg_block last, bool drop_last)
{
    struct op_close op = {.at_ms = clock_wall_ms(),
                          .file_id = nn_inode(&nn->state.tree.store, slot)->id,
                          .last = last,
                          .drop_last = drop_last};
    if (commit(nn, NN_OP_CLOSE, &op))
        tell(nn, slot, "closed for its silent writer:");
}

static bool has_settled_end(const struct namenode *nn, const struct nn_inode *inode)
{
    return !inode->last_block || nn_blocks_is_ready(&nn->blocks, inode->last_block);
}

void nn_recovery_begin(struct nn_recovery_driver *driver, uint32_t slot)
{
    struct namenode *nn = driver->nn;
    const struct nn_inode *inode = nn_inode(&nn->state.tree.store, slot);
    struct op_recover op = {
        .at_ms = clock_wall_ms(), .file_id = inode->id, .gs = nn->state.next_gs};
    const struct nn_prepared *prepared = nn_prepareds_find(&nn->state.prepared, inode->id);
    if (prepared && prepared->kind == NN_PREPARED_TRUNCATE)
        return; /* no writer: the datanodes are at it, see truncation.h */
    if (has_settled_end(nn, inode)) {
        struct msg_block last = {0};
        if (inode->last_block) {
            struct nn_block block = block_at(nn, inode->last_block);
            last = (struct msg_block){block.id, block.gs, block.len};
        }
        close_file(nn, slot, last, false);
        return;
    }
    op.block_id = block_at(nn, inode->last_block).id;
    if (commit(nn, NN_OP_RECOVER, &op))
        tell(nn, slot, "recovering the last block of");
}

/* ---- the block side's hooks ---- */

/* The attached, open file in the namenode's hands whose last block this is; 0 otherwise. */
static uint32_t file_in_recovery(const struct namenode *nn, uint32_t block)
{
    uint32_t slot = block_at(nn, block).file;
    const struct nn_inode *inode = nn_inode(&nn->state.tree.store, slot);
    if (!nn_tree_is_attached(&nn->state.tree, slot) || !inode->is_open ||
        inode->last_block != block)
        return 0;
    const struct nn_lease *lease = nn_leases_find(&nn->state.leases, inode->id);
    return lease && lease->holder->client == NN_LEASE_NAMENODE ? slot : 0;
}

/* What was in the file before its last writer came was on the disks of all his datanodes: if they
 * cannot find all of it now, one that can is waited for. (The block side tries again.) */
static bool loses_base(const struct namenode *nn, uint32_t slot, const struct nn_recovered *result)
{
    const struct nn_prepared *prepared =
        nn_prepareds_find(&nn->state.prepared, nn_inode(&nn->state.tree.store, slot)->id);
    if (!prepared || prepared->kind != NN_PREPARED_BASE || prepared->block != result->block ||
        (!result->is_dropped && result->len >= prepared->len))
        return false;
    log_warn("nn.lease",
             "blk_%" PRIu64 " held %" PRIu64 " bytes when it was opened for appending, and its "
             "datanodes agree on %" PRIu64 " only: it is not settled so",
             block_at(nn, result->block).id, prepared->len, result->is_dropped ? 0 : result->len);
    return true;
}

void nn_recovery_settled(struct nn_recovery_driver *driver, const struct nn_recovered *result)
{
    struct namenode *nn = driver->nn;
    uint32_t slot = file_in_recovery(nn, result->block);
    struct nn_block block = block_at(nn, result->block);
    if (!slot || loses_base(nn, slot, result))
        return;
    struct msg_block last = {block.id, result->gs, result->len};
    if (result->is_dropped)
        last = (struct msg_block){block.id, block.gs, block.len};
    close_file(nn, slot, last, result->is_dropped);
}

void nn_recovery_need_stamp(struct nn_recovery_driver *driver, uint32_t block)
{
    uint32_t slot = file_in_recovery(driver->nn, block);
    if (slot)
        nn_recovery_begin(driver, slot);
}

/* ---- looking for silent writers ---- */

static void look_at(struct nn_recovery_driver *driver, uint64_t file)
{
    struct namenode *nn = driver->nn;
    uint32_t slot = nn_tree_find_id(&nn->state.tree, file);
    if (slot)
        nn_recovery_begin(driver, slot);
    else
        nn_leases_remove(&nn->state.leases, file); /* its tree is deleted, not reaped yet */
}

/* The namenode's files after a restart: whoever was asked to settle them may have forgotten. */
static void begin_anew(struct nn_recovery_driver *driver)
{
    struct nn_leases *leases = &driver->nn->state.leases;
    size_t count = 0;
    uint64_t *files = mem_alloc(nn_leases_count(leases, NN_LEASE_NAMENODE) * sizeof(*files));
    const struct nn_lease *lease = nn_leases_first(leases, NN_LEASE_NAMENODE);
    for (; files && lease; lease = nn_leases_next(lease))
        files[count++] = lease->file;
    for (size_t i = 0; i < count; i++)
        look_at(driver, files[i]);
    mem_free(files);
}

/* All files of a holder that is over; those the namenode holds are tried again as well. */
static void look(void *arg)
{
    struct nn_recovery_driver *driver = arg;
    struct namenode *nn = driver->nn;
    uint64_t now = namenode_now(nn);
    bool was_safe = driver->was_safe;
    driver->was_safe = nn_safemode_is_on(&nn->blocks.safemode);
    if (driver->was_safe || was_safe)
        nn_leases_renew_all(&nn->state.leases, now); /* nobody could write meanwhile */
    if (driver->was_safe)
        return;
    nn_truncation_look(nn, true);
    if (was_safe)
        begin_anew(driver);
    const struct nn_holder *holder;
    for (unsigned n = 0;
         n < BATCH && (holder = nn_leases_over(&nn->state.leases, driver->hard_ms, now)); n++) {
        uint64_t client = holder->client, file = nn_leases_first(&nn->state.leases, client)->file;
        look_at(driver, file);
        const struct nn_lease *lease = nn_leases_find(&nn->state.leases, file);
        if (lease && lease->holder->client == client) {
            /* could not be begun, or is being recovered already: another full term */
            (void)nn_leases_renew(&nn->state.leases, client, now);
        }
    }
}

int nn_recovery_start(struct nn_recovery_driver *driver, struct namenode *nn, uint64_t hard_ms)
{
    *driver = (struct nn_recovery_driver){.nn = nn, .hard_ms = hard_ms, .was_safe = true};
    uint64_t every = hard_ms < LOOK_MS ? hard_ms / 2 + 1 : LOOK_MS;
    return loop_every(nn->loop, &driver->timer, every, look, driver);
}

void nn_recovery_stop(struct nn_recovery_driver *driver)
{
    loop_timer_stop(&driver->timer);
}
