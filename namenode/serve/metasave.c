/* SPDX-License-Identifier: Apache-2.0
 * metasave: what the block side has on its lists (what waits for copies, is missing, is being
 * copied, is to be deleted, is corrupt, and the datanodes), written as text into a file beside the
 * namenode's log, in Hadoop's form. A list may have a million rows: so it is written in steps,
 * other requests in between, and shows each row as it is when its turn comes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "namenode/serve/turn.h"

#define STEP_ROWS  500 /* about two milliseconds */
#define STEP_MS    2
#define DOOMED_MAX 1000 /* shown of one node */
#define FIRST_LINE " files and directories, "

enum part { PART_WAITING, PART_MISSING = NN_LEVELS - 1, PART_POSTPONED, PART_REST, PART_END };

struct nn_metasave {
    struct list link;
    struct nn_clients *clients;
    struct rpc_call *call;
    struct loop_timer timer;
    int fd;
    char *path;
    struct buf text, name;
    unsigned part; /* enum part; below PART_MISSING: a level of the queue */
    uint32_t at;   /* in that part */
};

static void forget(struct nn_metasave *m)
{
    loop_timer_stop(&m->timer);
    list_remove(&m->link);
    if (m->fd >= 0)
        (void)close(m->fd);
    mem_free(m->path);
    buf_release(&m->text);
    buf_release(&m->name);
    mem_free(m);
}

/* ---- rows ---- */

static void put_node(struct buf *out, const struct nn_node *node)
{
    buf_printf(out, SLICE_FMT ":%u", SLICE_ARG(node->address.host), node->address.data_port);
}

static void put_replica(struct nn_metasave *m, struct nn_replica replica)
{
    const struct nn_nodes *nodes = &m->clients->nn->blocks.nodes;
    const struct nn_node *node = nn_nodes_of(nodes, nn_replica_storage(replica));
    bool leaves = node->admin == NN_NODE_DECOMMISSIONING || node->admin == NN_NODE_DECOMMISSIONED;
    buf_append_byte(&m->text, ' ');
    put_node(&m->text, node);
    if (nn_replica_is_bad(replica))
        buf_append_str(&m->text, "(corrupt)");
    else if (leaves)
        buf_append_str(&m->text, "(decommissioned)");
    else if (node->admin != NN_NODE_NORMAL)
        buf_append_str(&m->text, "(maintenance)");
    buf_append_str(&m->text, " : ");
}

/* "/d/b: blk_7_1001 (replicas: live: 1 ...)  10.0.0.5:9866 : " */
static void put_block(struct nn_metasave *m, uint32_t index)
{
    struct namenode *nn = m->clients->nn;
    struct nn_block block = nn_blockmap_get(nn->blocks.map, index);
    struct nn_health health = nn_replicate_health(&nn->blocks.replicate, index);
    buf_clear(&m->name);
    nn_tree_path(&nn->state.tree, block.file, &m->name);
    buf_printf(&m->text,
               SLICE_FMT ": blk_%" PRIu64 "_%" PRIu64
                         "%s (replicas: live: %u decommissioning and decommissioned: %u corrupt: "
                         "%u in excess: %u maintenance mode: %u) ",
               SLICE_ARG(buf_slice(&m->name)), block.id, block.gs, health.good ? "" : " MISSING",
               health.staying, health.leaving, health.bad,
               health.staying > health.need ? health.staying - health.need : 0, health.resting);
    const struct nn_replica *replicas = nn_blockmap_replicas(nn->blocks.map, index);
    for (unsigned i = 0; i < block.replicas; i++)
        put_replica(m, replicas[i]);
    buf_append_byte(&m->text, '\n');
}

/* ---- what is short: in one go ---- */

static void put_head(struct nn_metasave *m)
{
    struct namenode *nn = m->clients->nn;
    struct nn_sums sums = nn_tree_sums(&nn->state.tree, NN_ROOT);
    uint64_t names = sums.files + sums.dirs, blocks = nn_blockmap_count(nn->blocks.map),
             waiting = 0;
    uint32_t living = nn->blocks.nodes.living;
    for (unsigned level = 1; level < NN_LEVELS; level++)
        waiting += nn_replicate_queued(&nn->blocks.replicate, level);
    buf_printf(&m->text,
               "%" PRIu64 FIRST_LINE "%" PRIu64 " blocks = %" PRIu64
               " total filesystem objects\nLive Datanodes: %u\nDead Datanodes: %zu\n"
               "Metasave: Blocks waiting for reconstruction: %" PRIu64 "\n",
               names, blocks, names + blocks, living, nn->blocks.nodes.node_count - living,
               waiting);
}

/* Copies under way: bounded by what datanodes may do at a time. */
static void put_copies(struct nn_metasave *m)
{
    const struct nn_blocks *b = &m->clients->nn->blocks;
    buf_printf(&m->text, "Metasave: Blocks being reconstructed: %zu\n",
               b->replicate.pendings.by_block.count);
    hmap_each (&b->replicate.pendings.by_block, it) {
        const struct nn_pending *p = CONTAINER_OF(it, struct nn_pending, by_block);
        struct nn_block block = nn_blockmap_get(b->map, p->block);
        buf_printf(&m->text, "blk_%" PRIu64 "_%" PRIu64 " NumReconstructInProgress: %zu\n",
                   block.id, block.gs, p->target_count);
    }
}

static void put_doomed(struct nn_metasave *m)
{
    const struct nn_blocks *b = &m->clients->nn->blocks;
    struct block_id *blocks = mem_calloc(DOOMED_MAX, sizeof(*blocks));
    unsigned with = 0;
    for (uint32_t n = 1; blocks && n <= b->nodes.node_count; n++)
        with += nn_doomed_list(&b->doomed, n, blocks, 1) != 0;
    buf_printf(&m->text, "Metasave: Blocks %" PRIu64 " waiting deletion from %u datanodes.\n",
               b->doomed.waiting + b->doomed.ordered, with);
    for (uint32_t n = 1; blocks && n <= b->nodes.node_count; n++) {
        size_t count = nn_doomed_list(&b->doomed, n, blocks, DOOMED_MAX);
        if (count == 0)
            continue;
        put_node(&m->text, nn_nodes_get(&b->nodes, n));
        buf_append_byte(&m->text, '\n');
        for (size_t i = 0; i < count; i++)
            buf_printf(&m->text, "blk_%" PRIu64 "_%" PRIu64 "\n", blocks[i].id, blocks[i].gs);
        if (count == DOOMED_MAX)
            buf_append_str(&m->text, "(and more)\n");
    }
    mem_free(blocks);
}

static void put_corrupt(struct nn_metasave *m)
{
    const struct nn_blocks *b = &m->clients->nn->blocks;
    unsigned rows = 0;
    buf_append_str(&m->text, "Corrupt Blocks:\n");
    hmap_each (&b->bads.map, it) {
        const struct nn_bad *bad = CONTAINER_OF(it, struct nn_bad, by_replica);
        struct nn_block block = nn_blockmap_get(b->map, bad->block);
        const struct nn_storage *storage = nn_nodes_storage(&b->nodes, bad->storage);
        if (rows++ == DOOMED_MAX) {
            buf_append_str(&m->text, "(and more)\n");
            return;
        }
        buf_printf(&m->text, "Block=blk_%" PRIu64 "_%" PRIu64 "\tNode=", block.id, block.gs);
        put_node(&m->text, nn_nodes_of(&b->nodes, bad->storage));
        buf_printf(&m->text, "\tStorageID=%s\tStorageState=%s\tTotalReplicas=%u\tReason=%s\n",
                   storage->id, storage->has_failed ? "FAILED" : "NORMAL", block.replicas,
                   nn_bad_reason_name(bad->reason));
    }
}

static void put_size(struct buf *out, uint64_t bytes)
{
    char human[32];
    buf_printf(out, " %" PRIu64 "(%s)", bytes, str_human_report(bytes, human, sizeof(human)));
}

/* "10.0.0.5:9866 IN capacity(h) used(h) used% remaining(h) cache... last contact" */
static void put_datanode(struct nn_metasave *m, const struct nn_node *node)
{
    static const char *const states[] = {
        [NN_NODE_NORMAL] = "IN",         [NN_NODE_DECOMMISSIONING] = "DP",
        [NN_NODE_DECOMMISSIONED] = "DD", [NN_NODE_ENTERING_MAINTENANCE] = "EM",
        [NN_NODE_IN_MAINTENANCE] = "IM",
    };
    struct namenode *nn = m->clients->nn;
    struct nn_space space = nn_nodes_space(&nn->blocks.nodes, node);
    uint64_t wall_ms = namenode_view(nn, NULL).wall_ms, now_ms = namenode_now(nn);
    time_t heard = (time_t)((wall_ms - (now_ms - node->heard_ms)) / 1000);
    char date[64] = "";
    struct tm tm;
    if (localtime_r(&heard, &tm))
        strftime(date, sizeof(date), "%a %b %d %T %Z %Y", &tm);
    put_node(&m->text, node);
    buf_printf(&m->text, " %s", states[node->admin]);
    put_size(&m->text, space.capacity);
    put_size(&m->text, space.used);
    buf_printf(&m->text, " %.2f%%",
               space.capacity ? 100.0 * (double)space.used / (double)space.capacity : 0.0);
    put_size(&m->text, space.remaining);
    buf_printf(&m->text, " 0(0 B) 0(0 B) 100.00%% 0(0 B) %s\n", date);
}

static void put_rest(struct nn_metasave *m)
{
    const struct nn_nodes *nodes = &m->clients->nn->blocks.nodes;
    put_copies(m);
    put_doomed(m);
    put_corrupt(m);
    buf_printf(&m->text, "Metasave: Number of datanodes: %zu\n", nodes->node_count);
    for (uint32_t n = 1; n <= nodes->node_count; n++)
        put_datanode(m, nn_nodes_get(nodes, n));
}

/* ---- steps ---- */

static void begin_part(struct nn_metasave *m, unsigned part)
{
    const struct nn_replicate *rep = &m->clients->nn->blocks.replicate;
    m->part = part;
    m->at = 0;
    if (part == PART_MISSING)
        buf_printf(&m->text, "Metasave: Blocks currently missing: %" PRIu64 "\n",
                   nn_replicate_queued(rep, NN_LEVELS));
    if (part == PART_POSTPONED)
        buf_append_str(&m->text, "Mis-replicated blocks that have been postponed:\n");
    if (part == PART_REST) {
        put_rest(m);
        m->part = PART_END;
    }
}

static void put_some(struct nn_metasave *m)
{
    const struct nn_replicate *rep = &m->clients->nn->blocks.replicate;
    for (unsigned rows = 0; rows < STEP_ROWS && m->part < PART_REST; rows++) {
        const struct bitset *set =
            m->part == PART_POSTPONED ? &rep->postponed : &rep->levels[m->part];
        uint32_t block = bitset_next(set, m->at);
        if (block == BITSET_END) {
            begin_part(m, m->part + 1);
            continue;
        }
        put_block(m, block);
        m->at = block + 1;
    }
}

static int write_out(struct nn_metasave *m, struct err *err)
{
    if (buf_failed(&m->text))
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t at = 0; at < m->text.len;) {
        ssize_t n = write(m->fd, m->text.data + at, m->text.len - at);
        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, "cannot write to %s", m->path);
        at += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&m->text);
    return 0;
}

static void step(void *arg)
{
    struct nn_metasave *m = arg;
    struct rpc_call *call = m->call;
    struct err err = {0};
    put_some(m);
    int rc = write_out(m, &err);
    if (rc == 0 && m->part < PART_END) {
        if (loop_after(m->clients->nn->loop, &m->timer, STEP_MS, step, m) == 0)
            return;
        rc = err_set(&err, ERR_NOMEM, "out of memory");
    }
    if (rc == 0)
        log_info("nn", "metasave: wrote %s", m->path);
    forget(m);
    if (rc == 0)
        rpc_answer(call, NULL);
    else
        rpc_fail_err(call, &err);
}

/* ---- the file ---- */

/* A log, a pid file or anything else that lies there is not ours to overwrite. */
static bool may_replace(int fd)
{
    char start[128];
    ssize_t n = pread(fd, start, sizeof(start) - 1, 0);
    start[n > 0 ? n : 0] = '\0';
    return n == 0 || strstr(start, FIRST_LINE) != NULL;
}

static int open_file(struct nn_metasave *m, struct slice name, struct err *err)
{
    const struct conf *conf = m->clients->nn->conf;
    const char *log = conf_str(conf, "log.file"), *audit = conf_str(conf, "dfs.namenode.audit.log");
    const char *beside = log && *log ? log : audit;
    if (!beside || !*beside)
        return err_set(err, ERR_CONFIG,
                       "the namenode logs to no file, so there is no directory to "
                       "write to: set log.file");
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < ' ' || name.data[i] == 0x7f)
            return err_set(err, ERR_INVAL,
                           "the name of the file to write to has a control character (a line "
                           "break?) in it: give a plain one");
    if (name.len == 0 || name.data[0] == '.' || memchr(name.data, '/', name.len))
        return err_set(err, ERR_INVAL,
                       "\"" SLICE_FMT "\" is no plain file name: it is written into the directory "
                       "of the namenode's log",
                       SLICE_ARG(name));
    const char *slash = strrchr(beside, '/');
    m->path = str_printf("%.*s" SLICE_FMT, slash ? (int)(slash - beside) + 1 : 0, beside,
                         SLICE_ARG(name));
    if (!m->path)
        return err_set(err, ERR_NOMEM, "out of memory");
    m->fd = open(m->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (m->fd < 0)
        return err_errno(err, errno, "cannot write to %s", m->path);
    if (!may_replace(m->fd))
        return err_set(err, ERR_EXIST, "%s is there already, and nothing that metasave has written",
                       m->path);
    return ftruncate(m->fd, 0) == 0 ? 0 : err_errno(err, errno, "cannot write to %s", m->path);
}

void nn_on_METASAVE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_metasave *ask = message;
    struct nn_clients *clients = arg;
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, "metaSave", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    struct nn_metasave *m = rc == 0 ? mem_calloc(1, sizeof(*m)) : NULL;
    if (!m) {
        nn_turn_end(&turn, rc == 0 ? ERR_NOMEM : rc, NULL);
        return;
    }
    *m = (struct nn_metasave){.clients = clients, .call = call, .fd = -1};
    list_push_back(&clients->metasaves, &m->link);
    rc = open_file(m, ask->name, &turn.err);
    if (rc != 0) {
        forget(m);
        nn_turn_end(&turn, rc, NULL);
        return;
    }
    put_head(m);
    step(m);
}

void nn_clients_release_metasaves(struct nn_clients *clients)
{
    list_each_safe (&clients->metasaves, it) {
        struct nn_metasave *m = list_entry(it, struct nn_metasave, link);
        rpc_fail(m->call, ERR_CLOSED, "the namenode is stopping");
        forget(m);
    }
}
