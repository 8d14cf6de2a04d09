/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/serve/shortage.h"

#include "namenode/journal/sections.h"

#define TRIALS_MAX 400
#define ANSWER_MS  3000

struct served s;
static uint64_t seq;
static unsigned place;

/* ---- the second state ---- */

static struct shadow {
    struct nn_blocks blocks;
    struct nn_state state;
    struct arena arena;
} shadow;

/* Kept for later without allocating, which may be what must fail now. */
static struct record {
    uint64_t index;
    uint16_t type;
    size_t len;
    uint8_t payload[1024];
} records[64];
static size_t record_count;

static void on_record(uint64_t index, uint16_t type, struct slice payload)
{
    assert_true(record_count < ARRAY_LEN(records) && payload.len <= sizeof(records[0].payload));
    struct record *r = &records[record_count++];
    *r = (struct record){.index = index, .type = type, .len = payload.len};
    memcpy(r->payload, payload.data, payload.len);
}

static uint64_t hash_of_records(void)
{
    struct err err = {0};
    for (size_t i = 0; i < record_count; i++) {
        const struct record *r = &records[i];
        nn_blocks_set_applied(&shadow.blocks, r->index);
        if (nn_op_replay(&shadow.state, r->type, slice_of(r->payload, r->len), &shadow.arena,
                         &err) != 0)
            fail_msg("record %llu: %s", (unsigned long long)r->index, err.msg);
    }
    record_count = 0;
    return nn_state_hash(&shadow.state);
}

int shortage_setup(void **state)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {0};
    char user[256];
    (void)state;
    served_conf(&s);
    served_set(&s, "log.file", "/tmp/served.log"); /* only its directory matters */
    served_start(&s, "eve");                       /* of the supergroup */
    assert_int_equal(namenode_user(user, sizeof(user), &served_err), 0);
    nn_blocks_conf_init(&conf);
    shadow = (struct shadow){.arena = ARENA_INIT};
    assert_int_equal(nn_blocks_init(&shadow.blocks, &conf, &hooks, 1, 0), 0);
    assert_int_equal(
        nn_state_init(&shadow.state, &shadow.blocks, slice_str(user), slice_str("supergroup")), 0);
    the_journal.on_record = on_record;
    seq = record_count = 0;
    return 0;
}

int shortage_teardown(void **state)
{
    (void)state;
    served_stop(&s);
    arena_release(&shadow.arena);
    nn_state_release(&shadow.state);
    nn_blocks_release(&shadow.blocks);
    return 0;
}

/* ---- a question ---- */

/* What fails during the next ask(), which is the question that is tried. */
static struct {
    enum when when;
    uint64_t n;
    bool has_failed;
} shortage;

int ask_over(struct rpc_link *link, const struct msg_method *method, const void *ask, void *ret)
{
    struct served_call call;
    while (!rpc_link_peer(link)) /* it broke for want of memory */
        loop_turn(s.loop, 5);
    if (shortage.when == NEVER)
        return served_ask(&s, link, method, ask, ret);
    served_send(link, method, ask, ANSWER_MS, &call);
    the_journal.has_failed = false;
    if (shortage.when == ON_THE_WAY)
        mem_fail_after(shortage.n);
    else
        the_journal.fail_from = shortage.n;
    bool is_answered = served_wait(&s, &call, ANSWER_MS + 1000);
    shortage.has_failed = mem_has_failed() || the_journal.has_failed;
    mem_fail_after(0);
    the_journal.fail_from = 0;
    shortage.when = NEVER;
    buf_release(&call.answer.bytes);
    if (!is_answered || call.answer.code == ERR_TIMEOUT)
        fail_msg("%s was never answered", method->name);
    if (call.answer.code != 0 && !call.answer.err.msg[0])
        fail_msg("%s failed without a word", method->name);
    return call.answer.code;
}
struct msg_origin origin(void)
{
    return (struct msg_origin){1000 + place, ++seq};
}

void must(int rc)
{
    if (rc != 0)
        fail_msg("%s", served_err.msg);
}

struct slice path_of(const char *name, unsigned n)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "/t%u/%s", n, name);
    return slice_of(memcpy(arena_alloc(&s.arena, sizeof(text)), text, (size_t)len), (size_t)len);
}

/* ---- what questions need to be there ---- */

struct cl2nn_created file;
struct msg_located_block block;

void have_datanode(void)
{
    struct dn2nn_storage storage = {.id = slice_str("s1"),
                                    .path = slice_str("/disk1"),
                                    .capacity = 1ULL << 40,
                                    .remaining = 1ULL << 40};
    struct dn2nn_register ask = {
        .node = {.name = slice_str("dn1"), .host = slice_str("127.0.0.1"), .data_port = 9866},
        .node_uuid = slice_str("u1"),
        .storages = {&storage, 1}};
    struct dn2nn_full_report report = {.report_id = 1, .is_last = true, .storage = slice_str("s1")};
    const struct nn_node *node = nn_nodes_find(&s.nn->blocks.nodes, slice_str("dn1"));
    if (node && node->is_connected)
        return;
    must(TELL(REGISTER, &ask, NULL));
    must(TELL(FULL_REPORT, &report, NULL));
}

void have_open_file(unsigned n)
{
    struct cl2nn_create ask = {.origin = origin(),
                               .path = path_of("file", n),
                               .mode = 0644,
                               .block_size = 1 << 20,
                               .create_parents = true};
    must(ASK(CREATE, &ask, &file));
}

void have_block(unsigned n)
{
    have_datanode();
    have_open_file(n);
    struct cl2nn_add_block ask = {.origin = origin(), .file_id = file.file_id};
    must(ASK(ADD_BLOCK, &ask, &block));
}

struct msg_block written(uint64_t len)
{
    return (struct msg_block){block.block.id, block.block.gs, len};
}

int change(uint32_t what, struct msg_block of)
{
    struct dn2nn_replica_change row = {what, of, slice_str("s1")};
    struct dn2nn_changes ask = {.changes = {&row, 1}};
    return TELL(CHANGES, &ask, NULL);
}

void have_replica(unsigned n)
{
    have_block(n);
    must(change(DN2NN_RECEIVED, written(1000)));
}

int complete(struct msg_origin from)
{
    struct cl2nn_complete ask = {.origin = from, .file_id = file.file_id, .last = written(1000)};
    return ASK(COMPLETE, &ask, NULL);
}

void have_file(unsigned n)
{
    have_replica(n);
    must(complete(origin()));
}

int cut(struct msg_origin o, unsigned n)
{
    struct cl2nn_truncate ask = {o, path_of("file", n), 300};
    return ASK(TRUNCATE, &ask, NULL);
}

/* ---- trials ---- */

/* Ends with the first n that is more than the question takes. Gives how many fell short. */
unsigned try_all(const struct question *q, enum when when)
{
    for (unsigned n = 1; n < TRIALS_MAX; n++) {
        place++;
        struct msg_origin o = origin();
        arena_reset(&s.arena);
        have_datanode();
        if (q->prepare)
            q->prepare(place);
        shortage.when = when;
        shortage.n = n;
        shortage.has_failed = false;
        int rc = q->ask(o, place);
        if (rc != 0 && !shortage.has_failed)
            fail_msg("%s: error %d without any shortage", q->method->name, rc);
        have_datanode();
        if (rc != 0 && q->ask(o, place) != 0)
            fail_msg("%s, short of allocation %u, asked again: %s", q->method->name, n,
                     served_err.msg);
        if (nn_state_hash(&s.nn->state) != hash_of_records())
            fail_msg("%s, short of allocation %u: the state is not what the journal says",
                     q->method->name, n);
        if (!shortage.has_failed)
            return n - 1;
    }
    fail_msg("%s never gets what it needs", q->method->name);
    return 0;
}
