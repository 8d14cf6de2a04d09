/* SPDX-License-Identifier: Apache-2.0
 * short_of_memory: everything that a client may ask, short of memory (shortage.h). */
#include <unistd.h>

#include "tests/unit/namenode/serve/shortage.h"

/* ---- what some need to be there ---- */

static void have_dir(unsigned n)
{
    struct cl2nn_mkdir ask = {origin(), path_of("dir/below", n), 0755, true, 0};
    must(ASK(MKDIR, &ask, NULL));
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

static struct cl2nn_appended appended;

static void have_append(unsigned n)
{
    have_file(n);
    struct cl2nn_append ask = {.origin = origin(), .path = path_of("file", n)};
    must(ASK(APPEND, &ask, &appended));
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
static int q_concat(struct msg_origin o, unsigned n)
{
    struct slice sources[] = {path_of("b", n), path_of("a", n)};
    struct cl2nn_concat ask = {o, path_of("file", n), {sources, 2}};
    return ASK(CONCAT, &ask, NULL);
}

#define CL(NAME) &CL2NN_methods[CL2NN_AT_##NAME]
static const struct question questions[] = {
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
    {CL(TRUNCATE), have_file, cut},
    {CL(CONCAT), have_parts, q_concat},
};

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
#define CASE(name) cmocka_unit_test_setup_teardown(name, shortage_setup, shortage_teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_request_survives_any_allocation_that_fails),
        CASE(what_is_in_the_journal_is_applied_without_any_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
