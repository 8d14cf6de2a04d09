/* SPDX-License-Identifier: Apache-2.0
 * status: what /status.json and the status page show of the namenode. */
#include "libcommon/base/metric.h"
#include "namenode/namenode.h"

METRIC_GAUGE(files, "quern_nn_files", "files in the namespace");
METRIC_GAUGE(dirs, "quern_nn_directories", "directories in the namespace");
METRIC_GAUGE(blocks, "quern_nn_blocks", "blocks of all files");
METRIC_GAUGE(under, "quern_nn_under_replicated_blocks", "blocks with fewer replicas than wanted");
METRIC_GAUGE(missing, "quern_nn_missing_blocks", "blocks without a good replica");
METRIC_GAUGE(corrupt, "quern_nn_corrupt_blocks", "blocks with a corrupt replica");
METRIC_GAUGE(live, "quern_nn_live_datanodes", "datanodes heard of lately");
METRIC_GAUGE(durable, "quern_nn_durable_index", "last journal record that is on disk");
METRIC_GAUGE(image, "quern_nn_image_index", "last journal record in an image");
METRIC_GAUGE(is_safe, "quern_nn_safe_mode", "1 while only reading is allowed");
METRIC_GAUGE(open_files, "quern_nn_open_files", "files being written");
METRIC_GAUGE(doomed, "quern_nn_deleted_trees", "deleted trees not freed yet");

void namenode_measure(void *state)
{
    const struct namenode *nn = state;
    struct nn_blocks_stats stats = nn_blocks_stats(&nn->blocks);
    struct nn_sums sums = nn_tree_sums(&nn->state.tree, NN_ROOT);
    metric_set(&files, sums.files);
    metric_set(&dirs, sums.dirs);
    metric_set(&blocks, stats.blocks);
    metric_set(&under, stats.under_replicated);
    metric_set(&missing, stats.missing);
    metric_set(&corrupt, stats.corrupt);
    metric_set(&live, nn->blocks.nodes.living);
    metric_set(&durable, nn->held.durable);
    metric_set(&image, nn_journal_image_index(nn->journal));
    metric_set(&is_safe, nn_safemode_is_on(&nn->blocks.safemode));
    metric_set(&open_files, nn->state.leases.files.count);
    metric_set(&doomed, nn->state.tree.doomed_count);
}

static void show_safemode(const struct namenode *nn, struct status *st)
{
    struct nn_safemode_figures figures = nn_blocks_figures(&nn->blocks);
    struct buf why = BUF_INIT;
    nn_safemode_why(&nn->blocks.safemode, &figures, namenode_now(nn), &why);
    status_text(st, "safe mode", nn_safemode_state_name(nn->blocks.safemode.state), "");
    if (nn_safemode_is_on(&nn->blocks.safemode))
        status_note(st, "warn", "Safe mode is on: " SLICE_FMT, SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
}

static void show_blocks(const struct nn_blocks_stats *stats, struct status *st)
{
    status_count(st, "blocks", stats->blocks, "");
    status_bytes(st, "capacity", stats->capacity, "#datanodes");
    status_bytes(st, "used", stats->used, "#datanodes");
    status_bytes(st, "remaining", stats->remaining, "#datanodes");
    status_count(st, "under-replicated blocks", stats->under_replicated, "");
    status_count(st, "corrupt blocks", stats->corrupt, "");
    status_count(st, "missing blocks", stats->missing, "");
    status_count(st, "copies under way", stats->pending_copies, "");
    status_count(st, "deletions pending", stats->pending_deletion, "");
    if (stats->missing)
        status_note(st, "error", "%llu blocks have no good replica: `quern fsck /` names the files",
                    (unsigned long long)stats->missing);
}

/* "live", "live, decommission in progress (12 blocks left, 1 being written)" */
static void put_state(const struct namenode *nn, const struct nn_node *node, char *text, size_t cap)
{
    const char *state = node->is_refused ? "refused" : nn_node_state_name(node->state);
    const struct nn_leave *leave = nn_leaving_find(&nn->blocks.leaving, node->index);
    int n = snprintf(text, cap, "%s", state);
    if (node->admin != NN_NODE_NORMAL)
        n += snprintf(text + n, cap - (size_t)n, ", %s", nn_node_admin_name(node->admin));
    if (node->admin != NN_NODE_NORMAL && leave)
        snprintf(text + n, cap - (size_t)n, " (%u blocks left, %u being written)",
                 leave->waiting.count, leave->open);
}

static void show_nodes(const struct namenode *nn, struct status *st)
{
    const struct nn_nodes *nodes = &nn->blocks.nodes;
    char text[300];
    status_table(st, "datanodes", "Datanodes",
                 "node|address|rack|state|capacity:bytes|used:bytes|remaining:bytes|"
                 "blocks:count|transfers:count|last heard:ms");
    for (size_t i = 1; i <= nodes->node_count; i++) {
        const struct nn_node *node = nn_nodes_get(nodes, (uint32_t)i);
        struct nn_space space = nn_nodes_space(nodes, node);
        uint64_t held = 0;
        for (size_t s = 0; s < node->storage_count; s++)
            held += nn_blockmap_storage_count(nn->blocks.map, node->storages[s]);
        status_row(st);
        snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(node->address.name));
        status_cell(st, text);
        snprintf(text, sizeof(text), SLICE_FMT ":%u", SLICE_ARG(node->address.host),
                 node->address.data_port);
        status_cell(st, text);
        snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(node->address.rack));
        status_cell(st, text);
        put_state(nn, node, text, sizeof(text));
        status_cell(st, text);
        status_cell_u64(st, space.capacity);
        status_cell_u64(st, space.used);
        status_cell_u64(st, space.remaining);
        status_cell_u64(st, held);
        status_cell_u64(st, node->xceivers);
        status_cell_u64(st, namenode_now(nn) - node->heard_ms);
    }
}

static void show_journal(const struct namenode *nn, struct status *st)
{
    struct nn_journal_dir dirs_[NN_JOURNAL_DIRS_MAX];
    size_t count = nn_journal_dirs(nn->journal, dirs_, ARRAY_LEN(dirs_));
    status_table(st, "journal", "Journal directories", "directory|state");
    for (size_t i = 0; i < count; i++) {
        status_row(st);
        status_cell(st, dirs_[i].path);
        status_cell(st, dirs_[i].is_alive ? "whole" : "dropped");
        if (!dirs_[i].is_alive)
            status_note(st, "error", "journal directory %s has failed and takes no more records",
                        dirs_[i].path);
    }
}

static void show_calls(struct status *st)
{
    status_table(st, "calls", "Calls since the start", "method|count:count");
    for (size_t i = 0; i < CL2NN_METHOD_COUNT; i++) {
        uint64_t calls = nn_clients_calls(i);
        if (calls == 0)
            continue;
        status_row(st);
        status_cell(st, CL2NN_methods[i].name);
        status_cell_u64(st, calls);
    }
}

void namenode_status(void *state, struct status *st)
{
    const struct namenode *nn = state;
    struct nn_blocks_stats stats = nn_blocks_stats(&nn->blocks);
    struct nn_sums sums = nn_tree_sums(&nn->state.tree, NN_ROOT);
    status_text(st, "cluster", nn->identity.cluster ? nn->identity.cluster : "", "");
    status_text(st, "address", nn->server ? rpc_server_address(nn->server) : "", "");
    show_safemode(nn, st);
    status_count(st, "files", sums.files, "");
    status_count(st, "directories", sums.dirs, "");
    status_bytes(st, "bytes in files", sums.len, "");
    status_count(st, "files being written", nn->state.leases.files.count, "");
    show_blocks(&stats, st);
    status_count(st, "live datanodes", nn->blocks.nodes.living, "#datanodes");
    status_count(st, "durable index", nn->held.durable, "#journal");
    status_count(st, "applied index", nn->state.applied, "#journal");
    status_count(st, "image index", nn_journal_image_index(nn->journal), "#journal");
    status_count(st, "answers held", nn->held.count, "");
    status_count(st, "deleted trees being freed", nn->state.tree.doomed_count, "");
    show_nodes(nn, st);
    show_journal(nn, st);
    show_calls(st);
}
