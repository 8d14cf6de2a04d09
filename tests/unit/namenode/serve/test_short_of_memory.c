/* SPDX-License-Identifier: Apache-2.0
 * short_of_memory: everything that a client or a datanode may ask, while the first allocation fails
 * anywhere on the way, then the second, and so on; and, for what changes something, while nothing
 * can be allocated any more from the moment on in which the change is in the journal.
 *
 * Each question ends, in an answer or in an error; asked again, under the same number, it is
 * answered; the namenode goes on; and its state is what its journal says, no more and no less: a
 * second state, fed with the records alone, has the same hash after each trial. */
#include <unistd.h>

#include "tests/unit/namenode/serve/served.h"

#include "namenode/journal/sections.h"

#define TRIALS_MAX 400
#define ANSWER_MS  3000

static struct served s;
static uint64_t seq;
static unsigned place; /* each trial has a directory of its own, and a client */

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

static int setup(void **state)
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

static int teardown(void **state)
{
    (void)state;
    served_stop(&s);
    arena_release(&shadow.arena);
    nn_state_release(&shadow.state);
    nn_blocks_release(&shadow.blocks);
    return 0;
}

/* ---- a question ---- */

enum when { NEVER, ON_THE_WAY, ONCE_JOURNALED };

/* What fails during the next ask(), which is the question that is tried. */
static struct {
    enum when when;
    uint64_t n;
    bool has_failed;
} shortage;

static int ask_over(struct rpc_link *link, const struct msg_method *method, const void *ask,
                    void *ret)
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
#define ASK(NAME, ask, ret)  ask_over(s.client, &CL2NN_methods[CL2NN_AT_##NAME], ask, ret)
#define TELL(NAME, ask, ret) ask_over(s.datanode, &DN2NN_methods[DN2NN_AT_##NAME], ask, ret)

static struct msg_origin origin(void)
{
    return (struct msg_origin){1000 + place, ++seq};
}

static void must(int rc)
{
    if (rc != 0)
        fail_msg("%s", served_err.msg);
}

static struct slice path_of(const char *name, unsigned n)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "/t%u/%s", n, name);
    return slice_of(memcpy(arena_alloc(&s.arena, sizeof(text)), text, (size_t)len), (size_t)len);
}

/* ---- what questions need to be there ---- */

static struct cl2nn_created file;
static struct msg_located_block block;

static void have_datanode(void)
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

static void have_dir(unsigned n)
{
    struct cl2nn_mkdir ask = {origin(), path_of("dir/below", n), 0755, true, 0};
    must(ASK(MKDIR, &ask, NULL));
}

static void have_open_file(unsigned n)
{
    struct cl2nn_create ask = {.origin = origin(),
                               .path = path_of("file", n),
                               .mode = 0644,
                               .block_size = 1 << 20,
                               .create_parents = true};
    must(ASK(CREATE, &ask, &file));
}

static void have_block(unsigned n)
{
    have_datanode();
    have_open_file(n);
    struct cl2nn_add_block ask = {.origin = origin(), .file_id = file.file_id};
    must(ASK(ADD_BLOCK, &ask, &block));
}

static struct msg_block written(uint64_t len)
{
    return (struct msg_block){block.block.id, block.block.gs, len};
}

static int change(uint32_t what, struct msg_block of)
{
    struct dn2nn_replica_change row = {what, of, slice_str("s1")};
    struct dn2nn_changes ask = {.changes = {&row, 1}};
    return TELL(CHANGES, &ask, NULL);
}

static void have_replica(unsigned n)
{
    have_block(n);
    must(change(DN2NN_RECEIVED, written(1000)));
}

static int complete(struct msg_origin from)
{
    struct cl2nn_complete ask = {.origin = from, .file_id = file.file_id, .last = written(1000)};
    return ASK(COMPLETE, &ask, NULL);
}

static void have_file(unsigned n)
{
    have_replica(n);
    must(complete(origin()));
}

static struct cl2nn_appended appended;

static void have_append(unsigned n)
{
    have_file(n);
    struct cl2nn_append ask = {.origin = origin(), .path = path_of("file", n)};
    must(ASK(APPEND, &ask, &appended));
}

static void have_parts(unsigned n)
{
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        have_file(n);
        struct cl2nn_rename ask = {
            .origin = origin(), .from = path_of("file", n), .to = path_of(names[i], n)};
        must(ASK(RENAME, &ask, NULL));
    }
    have_file(n);
}

static void have_attributes(unsigned n)
{
    have_file(n);
    struct cl2nn_set_xattr xattr = {.origin = origin(),
                                    .path = path_of("file", n),
                                    .name = slice_str("user.color"),
                                    .value = slice_str("red"),
                                    .flags = CL2NN_XATTR_CREATE};
    struct cl2nn_acl_entry entry = {.perm = 6, .name = slice_str("bob")};
    struct cl2nn_set_acl acl = {origin(), path_of("file", n), CL2NN_ACL_MODIFY, {&entry, 1}};
    must(ASK(SET_XATTR, &xattr, NULL));
    must(ASK(SET_ACL, &acl, NULL));
}

static void have_output(unsigned n)
{
    struct cl2nn_create ask = {.origin = origin(),
                               .path = path_of("out/_temporary/j/a", n),
                               .mode = 0644,
                               .create_parents = true};
    struct cl2nn_created part;
    must(ASK(CREATE, &ask, &part));
    struct cl2nn_complete done = {.origin = origin(), .file_id = part.file_id};
    must(ASK(COMPLETE, &done, NULL));
}

/* ---- the questions ---- */

static int q_mkdir(struct msg_origin o, unsigned n)
{
    struct cl2nn_mkdir ask = {o, path_of("a/b/c", n), 0755, true, 0};
    return ASK(MKDIR, &ask, NULL);
}
static int q_create(struct msg_origin o, unsigned n)
{
    struct cl2nn_create ask = {
        .origin = o, .path = path_of("x/file", n), .mode = 0644, .create_parents = true};
    return ASK(CREATE, &ask, NULL);
}
static int q_overwrite(struct msg_origin o, unsigned n)
{
    struct cl2nn_create ask = {
        .origin = o, .path = path_of("file", n), .mode = 0644, .overwrite = true};
    return ASK(CREATE, &ask, NULL);
}
static int q_add_block(struct msg_origin o, unsigned n)
{
    struct cl2nn_add_block ask = {.origin = o, .file_id = file.file_id};
    (void)n;
    return ASK(ADD_BLOCK, &ask, NULL);
}
static int q_next_block(struct msg_origin o, unsigned n)
{
    struct cl2nn_add_block ask = {
        .origin = o, .file_id = file.file_id, .previous = written(1 << 20)};
    (void)n;
    return ASK(ADD_BLOCK, &ask, NULL);
}
static int q_abandon(struct msg_origin o, unsigned n)
{
    struct cl2nn_abandon_block ask = {o, file.file_id, block.block};
    (void)n;
    return ASK(ABANDON_BLOCK, &ask, NULL);
}
static int q_stamp(struct msg_origin o, unsigned n)
{
    struct cl2nn_new_stamp ask = {o, file.file_id, block.block};
    (void)n;
    return ASK(NEW_STAMP, &ask, NULL);
}
static void have_stamp(unsigned n)
{
    have_block(n);
    must(q_stamp(origin(), n));
}
static int q_pipeline(struct msg_origin o, unsigned n)
{
    struct slice node = slice_str("dn1");
    struct cl2nn_update_pipeline ask = {.origin = o,
                                        .file_id = file.file_id,
                                        .block = block.block,
                                        .new_gs = s.nn->state.next_gs - 1,
                                        .new_len = 10,
                                        .nodes = {&node, 1}};
    (void)n;
    return ASK(UPDATE_PIPELINE, &ask, NULL);
}
static int q_extra_node(struct msg_origin o, unsigned n)
{
    struct cl2nn_extra_node ask = {.file_id = file.file_id, .block = block.block};
    (void)o, (void)n;
    return ASK(EXTRA_NODE, &ask, NULL);
}
static int q_flushed(struct msg_origin o, unsigned n)
{
    struct cl2nn_flushed ask = {o, file.file_id, written(500)};
    (void)n;
    return ASK(FLUSHED, &ask, NULL);
}
static int q_complete(struct msg_origin o, unsigned n)
{
    (void)n;
    return complete(o);
}
static int q_renew(struct msg_origin o, unsigned n)
{
    struct cl2nn_renew ask = {o.client};
    (void)n;
    return ASK(RENEW, &ask, NULL);
}
static int q_rename(struct msg_origin o, unsigned n)
{
    struct cl2nn_rename ask = {o, path_of("dir", n), path_of("moved", n), true, 0};
    return ASK(RENAME, &ask, NULL);
}
static int q_delete(struct msg_origin o, unsigned n)
{
    struct cl2nn_delete ask = {o, path_of("file", n), true, 0};
    return ASK(DELETE, &ask, NULL);
}
static int q_list(struct msg_origin o, unsigned n)
{
    struct cl2nn_list ask = {.path = path_of("dir", n)};
    (void)o;
    return ASK(LIST, &ask, NULL);
}
static int q_stat(struct msg_origin o, unsigned n)
{
    struct cl2nn_stat ask = {path_of("file", n), 0};
    (void)o;
    return ASK(STAT, &ask, NULL);
}
static int q_locate(struct msg_origin o, unsigned n)
{
    struct cl2nn_locate ask = {.path = path_of("file", n), .length = UINT64_MAX};
    (void)o;
    return ASK(LOCATE, &ask, NULL);
}
static int q_times(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_times ask = {o, path_of("file", n), 5, 5};
    return ASK(SET_TIMES, &ask, NULL);
}
static int q_replication(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_replication ask = {o, path_of("file", n), 3};
    return ASK(SET_REPLICATION, &ask, NULL);
}
static int q_mode(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_mode ask = {o, path_of("file", n), 0700};
    return ASK(SET_MODE, &ask, NULL);
}
static int q_owner(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_owner ask = {o, path_of("file", n), path_of("who", n), slice_str("g")};
    ask.owner = slice_of(ask.owner.data + 1, ask.owner.len - 1);
    return ASK(SET_OWNER, &ask, NULL);
}
static int q_summary(struct msg_origin o, unsigned n)
{
    struct cl2nn_path ask = {path_of("dir", n)};
    (void)o;
    return ASK(SUMMARY, &ask, NULL);
}
static int q_publish(struct msg_origin o, unsigned n)
{
    struct cl2nn_winner winner = {path_of("out/_temporary/j/a", n), slice_str("part-0"), 0};
    struct cl2nn_publish ask = {.origin = o,
                                .job = path_of("job", n),
                                .epoch = 1,
                                .out = path_of("out", n),
                                .temporary = path_of("out/_temporary/j", n),
                                .winners = {&winner, 1},
                                .user = slice_str("eve")};
    return ASK(PUBLISH, &ask, NULL);
}
static int q_report(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(REPORT, NULL, NULL);
}
static int q_safemode(struct msg_origin o, unsigned n)
{
    struct cl2nn_safemode ask = {CL2NN_SAFEMODE_GET};
    (void)o, (void)n;
    return ASK(SAFEMODE, &ask, NULL);
}
static int q_bad_block(struct msg_origin o, unsigned n)
{
    struct slice node = slice_str("dn1");
    struct cl2nn_bad_block ask = {written(1000), {&node, 1}};
    (void)o, (void)n;
    return ASK(BAD_BLOCK, &ask, NULL);
}
static int q_fsck(struct msg_origin o, unsigned n)
{
    struct cl2nn_fsck ask = {.path = path_of("file", n),
                             .flags = CL2NN_FSCK_BLOCKS | CL2NN_FSCK_FILES | CL2NN_FSCK_POLICIES |
                                      CL2NN_FSCK_NAME_CORRUPT};
    (void)o;
    return ASK(FSCK, &ask, NULL);
}
static int q_info(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(SERVER_INFO, NULL, NULL);
}
/* The precondition, safe mode, holds for this one question. */
static int q_save(struct msg_origin o, unsigned n)
{
    const struct cl2nn_save ask = {0};
    (void)o, (void)n;
    nn_safemode_enter(&s.nn->blocks.safemode, NULL);
    int rc = ASK(SAVE_NAMESPACE, &ask, NULL);
    nn_safemode_leave(&s.nn->blocks.safemode);
    return rc;
}
static int q_roll(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(ROLL_EDITS, NULL, NULL);
}
static int q_metasave(struct msg_origin o, unsigned n)
{
    char name[64], path[80];
    snprintf(name, sizeof(name), "served-%d.meta", (int)getpid());
    snprintf(path, sizeof(path), "/tmp/%s", name);
    const struct cl2nn_metasave ask = {slice_str(name)};
    (void)o, (void)n;
    int rc = ASK(METASAVE, &ask, NULL);
    (void)unlink(path);
    return rc;
}
static int q_bandwidth(struct msg_origin o, unsigned n)
{
    const struct cl2nn_bandwidth ask = {1 << 20};
    (void)o, (void)n;
    return ASK(SET_BANDWIDTH, &ask, NULL);
}
static int q_refresh_groups(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(REFRESH_GROUPS, NULL, NULL);
}
static int q_type_quota(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_type_quota ask = {o, path_of("dir", n), slice_str("DISK"), 1 << 30};
    return ASK(SET_TYPE_QUOTA, &ask, NULL);
}
static int q_quota(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_quota ask = {o, path_of("dir", n), 100, 1 << 30};
    return ASK(SET_QUOTA, &ask, NULL);
}
static int q_set_xattr(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_xattr ask = {.origin = o,
                                  .path = path_of("file", n),
                                  .name = slice_str("user.shape"),
                                  .value = slice_str("round"),
                                  .flags = CL2NN_XATTR_CREATE | CL2NN_XATTR_REPLACE};
    return ASK(SET_XATTR, &ask, NULL);
}
static int q_remove_xattr(struct msg_origin o, unsigned n)
{
    struct cl2nn_set_xattr ask = {.origin = o,
                                  .path = path_of("file", n),
                                  .name = slice_str("user.color"),
                                  .flags = CL2NN_XATTR_REMOVE};
    return ASK(SET_XATTR, &ask, NULL);
}
static int q_get_xattrs(struct msg_origin o, unsigned n)
{
    struct cl2nn_get_xattrs ask = {.path = path_of("file", n)};
    (void)o;
    return ASK(GET_XATTRS, &ask, NULL);
}
static int q_set_acl(struct msg_origin o, unsigned n)
{
    struct cl2nn_acl_entry entry = {.is_default = true, .perm = 6, .name = slice_str("carol")};
    struct cl2nn_set_acl ask = {o, path_of("dir", n), CL2NN_ACL_MODIFY, {&entry, 1}};
    return ASK(SET_ACL, &ask, NULL);
}
static int q_get_acl(struct msg_origin o, unsigned n)
{
    struct cl2nn_path ask = {path_of("file", n)};
    (void)o;
    return ASK(GET_ACL, &ask, NULL);
}
static int q_balance(struct msg_origin o, unsigned n)
{
    struct cl2nn_balance ask = {.threshold = 10000, .idle_max = 1};
    (void)o, (void)n;
    nn_balance_release(&s.nn->blocks.balance);
    return ASK(BALANCE, &ask, NULL);
}
static int q_refresh_nodes(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(REFRESH_NODES, NULL, NULL);
}
static int q_recover_lease(struct msg_origin o, unsigned n)
{
    struct cl2nn_path ask = {path_of("file", n)};
    struct cl2nn_yes answer = {0};
    (void)o;
    return ASK(RECOVER_LEASE, &ask, &answer);
}
static int q_list_open(struct msg_origin o, unsigned n)
{
    struct cl2nn_list_open ask = {.path = path_of("file", n)};
    (void)o;
    return ASK(LIST_OPEN, &ask, NULL);
}
static int q_restore(struct msg_origin o, unsigned n)
{
    struct cl2nn_restore_storage ask = {CL2NN_RESTORE_CHECK};
    struct cl2nn_yes answer = {0};
    (void)o, (void)n;
    return ASK(RESTORE_STORAGE, &ask, &answer);
}
static int q_journal_files(struct msg_origin o, unsigned n)
{
    (void)o, (void)n;
    return ASK(JOURNAL_FILES, NULL, NULL);
}
static int q_journal_page(struct msg_origin o, unsigned n)
{
    struct cl2nn_journal_page ask = {.name = slice_str("image")};
    (void)o, (void)n;
    return ASK(JOURNAL_PAGE, &ask, NULL);
}

static int q_append(struct msg_origin o, unsigned n)
{
    struct cl2nn_append ask = {.origin = o, .path = path_of("file", n)};
    return ASK(APPEND, &ask, &appended);
}
static int q_again(struct msg_origin o, unsigned n)
{
    struct cl2nn_again ask = {.origin = o, .file_id = file.file_id, .block = appended.next.block};
    (void)n;
    return ASK(APPEND_AGAIN, &ask, NULL);
}
static int q_switch(struct msg_origin o, unsigned n)
{
    struct slice node = slice_str("dn1");
    struct cl2nn_switch ask = {o, file.file_id, appended.last, appended.next.block, {&node, 1}};
    (void)n;
    return ASK(SWITCH, &ask, NULL);
}
static int q_truncate(struct msg_origin o, unsigned n)
{
    struct cl2nn_truncate ask = {o, path_of("file", n), 0};
    return ASK(TRUNCATE, &ask, NULL);
}
static int q_cut(struct msg_origin o, unsigned n)
{
    struct cl2nn_truncate ask = {o, path_of("file", n), 300};
    return ASK(TRUNCATE, &ask, NULL);
}
static int q_concat(struct msg_origin o, unsigned n)
{
    struct slice sources[] = {path_of("b", n), path_of("a", n)};
    struct cl2nn_concat ask = {o, path_of("file", n), {sources, 2}};
    return ASK(CONCAT, &ask, NULL);
}

#define CL(NAME) &CL2NN_methods[CL2NN_AT_##NAME]
#define DN(NAME) &DN2NN_methods[DN2NN_AT_##NAME]
static const struct question {
    const struct msg_method *method;
    void (*prepare)(unsigned n); /* or NULL */
    int (*ask)(struct msg_origin o, unsigned n);
} questions[] = {
    {CL(MKDIR), NULL, q_mkdir},
    {CL(CREATE), NULL, q_create},
    {CL(CREATE), have_file, q_overwrite},
    {CL(ADD_BLOCK), have_open_file, q_add_block},
    {CL(ADD_BLOCK), have_block, q_next_block},
    {CL(ABANDON_BLOCK), have_block, q_abandon},
    {CL(NEW_STAMP), have_block, q_stamp},
    {CL(UPDATE_PIPELINE), have_stamp, q_pipeline},
    {CL(EXTRA_NODE), have_block, q_extra_node},
    {CL(FLUSHED), have_block, q_flushed},
    {CL(COMPLETE), have_replica, q_complete},
    {CL(RENEW), NULL, q_renew},
    {CL(RENAME), have_dir, q_rename},
    {CL(DELETE), have_file, q_delete},
    {CL(LIST), have_dir, q_list},
    {CL(STAT), have_file, q_stat},
    {CL(LOCATE), have_file, q_locate},
    {CL(SET_TIMES), have_file, q_times},
    {CL(SET_REPLICATION), have_file, q_replication},
    {CL(SET_MODE), have_file, q_mode},
    {CL(SET_OWNER), have_file, q_owner},
    {CL(SUMMARY), have_dir, q_summary},
    {CL(PUBLISH), have_output, q_publish},
    {CL(REPORT), NULL, q_report},
    {CL(SAFEMODE), NULL, q_safemode},
    {CL(BAD_BLOCK), have_file, q_bad_block},
    {CL(FSCK), have_file, q_fsck},
    {CL(SERVER_INFO), NULL, q_info},
    {CL(SAVE_NAMESPACE), NULL, q_save},
    {CL(ROLL_EDITS), NULL, q_roll},
    {CL(METASAVE), have_file, q_metasave},
    {CL(SET_BANDWIDTH), NULL, q_bandwidth},
    {CL(REFRESH_GROUPS), NULL, q_refresh_groups},
    {CL(SET_TYPE_QUOTA), have_dir, q_type_quota},
    {CL(SET_QUOTA), have_dir, q_quota},
    {CL(SET_XATTR), have_attributes, q_set_xattr},
    {CL(SET_XATTR), have_attributes, q_remove_xattr},
    {CL(GET_XATTRS), have_attributes, q_get_xattrs},
    {CL(SET_ACL), have_dir, q_set_acl},
    {CL(GET_ACL), have_attributes, q_get_acl},
    {CL(REFRESH_NODES), NULL, q_refresh_nodes},
    {CL(BALANCE), NULL, q_balance},
    {CL(RECOVER_LEASE), have_open_file, q_recover_lease},
    {CL(LIST_OPEN), have_open_file, q_list_open},
    {CL(RESTORE_STORAGE), NULL, q_restore},
    {CL(JOURNAL_FILES), NULL, q_journal_files},
    {CL(JOURNAL_PAGE), NULL, q_journal_page},
    {CL(APPEND), have_file, q_append},
    {CL(APPEND_AGAIN), have_append, q_again},
    {CL(SWITCH), have_append, q_switch},
    {CL(TRUNCATE), have_file, q_truncate},
    {CL(TRUNCATE), have_file, q_cut},
    {CL(CONCAT), have_parts, q_concat},
};

/* ---- and those of datanodes ---- */

static int q_register(struct msg_origin o, unsigned n)
{
    struct dn2nn_storage storage = {.id = slice_str("s1"), .capacity = 1ULL << 40};
    struct dn2nn_register ask = {.node = {.name = slice_str("dn1"), .rack = slice_str("/r1")},
                                 .node_uuid = slice_str("u1"),
                                 .storages = {&storage, 1}};
    (void)o, (void)n;
    return TELL(REGISTER, &ask, NULL);
}
static int q_heartbeat(struct msg_origin o, unsigned n)
{
    struct dn2nn_storage storage = {
        .id = slice_str("s1"), .capacity = 1ULL << 40, .remaining = 1ULL << 40};
    struct dn2nn_heartbeat ask = {.storages = {&storage, 1}};
    (void)o, (void)n;
    return TELL(HEARTBEAT, &ask, NULL);
}
/* Was it there, the file could be closed at once. */
static int q_changes(struct msg_origin o, unsigned n)
{
    (void)n;
    int rc = change(DN2NN_RECEIVED, written(1000));
    return rc == 0 ? complete(o) : rc;
}
static int q_changes_unknown(struct msg_origin o, unsigned n)
{
    struct msg_block nobodys = {1, 1, 1};
    (void)o, (void)n;
    return change(DN2NN_RECEIVED, nobodys);
}
static int q_full_report(struct msg_origin o, unsigned n)
{
    uint64_t ids[] = {block.block.id, 1}, stamps[] = {block.block.gs, 1}, lens[] = {1000, 5},
             states[] = {DN2NN_FINALIZED, DN2NN_FINALIZED};
    struct dn2nn_full_report ask = {.report_id = 2 + n,
                                    .is_last = true,
                                    .ids = {ids, 2},
                                    .stamps = {stamps, 2},
                                    .lens = {lens, 2},
                                    .states = {states, 2},
                                    .storage = slice_str("s1")};
    int rc = TELL(FULL_REPORT, &ask, NULL);
    return rc == 0 ? complete(o) : rc;
}
static void have_cut(unsigned n)
{
    have_file(n);
    must(q_cut(origin(), n));
}
static int q_changes_of_a_cut(struct msg_origin o, unsigned n)
{
    struct msg_block made = {s.nn->state.next_block_id - 1, s.nn->state.next_gs - 1, 300};
    (void)o, (void)n;
    return change(DN2NN_RECEIVED, made);
}
static int q_copied(struct msg_origin o, unsigned n)
{
    struct dn2nn_copied ask = {block.block, slice_str("dn1"), ERR_IO, slice_str("no luck")};
    (void)o, (void)n;
    return TELL(COPIED, &ask, NULL);
}
static int q_recovered(struct msg_origin o, unsigned n)
{
    struct dn2nn_recovered ask = {.block = block.block, .new_gs = 5};
    (void)o, (void)n;
    int rc = TELL(RECOVERED, &ask, NULL);
    return rc == ERR_STALE ? 0 : rc;
}

static const struct question reports[] = {
    {DN(REGISTER), NULL, q_register},
    {DN(HEARTBEAT), NULL, q_heartbeat},
    {DN(CHANGES), have_block, q_changes},
    {DN(CHANGES), NULL, q_changes_unknown},
    {DN(CHANGES), have_cut, q_changes_of_a_cut},
    {DN(FULL_REPORT), have_block, q_full_report},
    {DN(COPIED), have_file, q_copied},
    {DN(RECOVERED), have_block, q_recovered},
};

/* ---- trials ---- */

/* Ends with the first n that is more than the question takes. Gives how many fell short. */
static unsigned try_all(const struct question *q, enum when when)
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

/* The whole daemon, or the files of a real journal. */
static bool needs_more_than_this(size_t method)
{
    return method == CL2NN_AT_RECONFIG || method == CL2NN_AT_JOURNAL_FILES ||
           method == CL2NN_AT_JOURNAL_PAGE;
}

static void every_request_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    bool is_tried[CL2NN_METHOD_COUNT] = {false};
    is_tried[CL2NN_AT_RECONFIG] = true; /* not tried: needs a daemon, changes no names */
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        assert_true(try_all(&questions[i], ON_THE_WAY) > 0);
        is_tried[questions[i].method - CL2NN_methods] = true;
    }
    for (size_t i = 0; i < CL2NN_METHOD_COUNT; i++)
        if (!is_tried[i] && !needs_more_than_this(i))
            fail_msg("%s is not tried", CL2NN_methods[i].name);
}

static void every_word_of_a_datanode_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(reports); i++)
        total += try_all(&reports[i], ON_THE_WAY);
    assert_true(total > 10);
}

static void what_is_in_the_journal_is_applied_without_any_memory(void **state)
{
    (void)state;
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        if (questions[i].method->flags & MSG_RECORDED)
            total += try_all(&questions[i], ONCE_JOURNALED);
    assert_true(total > 30);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_request_survives_any_allocation_that_fails),
        CASE(every_word_of_a_datanode_survives_any_allocation_that_fails),
        CASE(what_is_in_the_journal_is_applied_without_any_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
