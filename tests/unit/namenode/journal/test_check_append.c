/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/journal/world.h"

#include "namenode/journal/apply.h"

#define BLOCK (1U << 20)

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_release(&w);
    return 0;
}

/* ---- requests ---- */

static uint32_t takeover;

static int do_append(const char *path, uint64_t client, bool new_block)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_append ask = {
        .origin = {.client = client}, .path = slice_str(path), .new_block = new_block};
    struct op_append op;
    takeover = 0;
    return world_done(&w, nn_check_append(&view, &ask, &op, &takeover, &w.err), NN_OP_APPEND, &op);
}

static struct nn_block block_at(uint32_t block)
{
    return nn_blockmap_get(w.blocks.map, block);
}

static struct nn_prepared *prepared_of(const char *path)
{
    return nn_prepareds_find(&w.state.prepared, inode_of(&w, path)->id);
}

/* The prepared block as its writer knows it. */
static struct msg_block prepared_block(const char *path)
{
    struct nn_block b = block_at(prepared_of(path)->block);
    return (struct msg_block){b.id, b.gs, b.len};
}

static struct msg_block last_of(const char *path)
{
    struct nn_block b = block_at(inode_of(&w, path)->last_block);
    return (struct msg_block){b.id, b.gs, b.len};
}

static int do_again(const char *path, uint64_t client)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_again ask = {.origin = {.client = client},
                              .file_id = inode_of(&w, path)->id,
                              .block = prepared_block(path)};
    struct op_prepare op;
    return world_done(&w, nn_check_append_again(&view, &ask, &op, &w.err), NN_OP_PREPARE, &op);
}

static int do_switch(const char *path, uint64_t client, struct msg_block last,
                     struct msg_block block)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_switch ask = {.origin = {.client = client},
                               .file_id = inode_of(&w, path)->id,
                               .last = last,
                               .block = block};
    struct op_switch op;
    return world_done(&w, nn_check_switch(&view, &ask, &op, &w.err), NN_OP_SWITCH, &op);
}

static bool is_done;

static int do_truncate(const char *path, uint64_t len)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_truncate ask = {.origin = {.client = 8}, .path = slice_str(path), .len = len};
    struct op_truncate op;
    takeover = 0;
    return world_done(&w, nn_check_truncate(&view, &ask, &op, &is_done, &takeover, &w.err),
                      NN_OP_TRUNCATE, &op);
}

static int do_concat(const char *path, const char *const *sources, size_t count)
{
    struct nn_view view = world_view(&w);
    struct slice list[8];
    for (size_t i = 0; i < count; i++)
        list[i] = slice_str(sources[i]);
    struct cl2nn_concat ask = {.path = slice_str(path), .sources = {list, count}};
    struct op_concat op;
    return world_done(&w, nn_check_concat(&view, &ask, &w.arena, &op, &w.err), NN_OP_CONCAT, &op);
}

/* What the daemon does when the datanodes have made the shortened block. */
static void switch_truncated(const char *path)
{
    struct op_switch op = {
        .at_ms = w.now_ms, .file_id = inode_of(&w, path)->id, .block_id = prepared_block(path).id};
    assert_int_equal(world_commit(&w, NN_OP_SWITCH, &op), 0);
}

static void refused(int rc, int code, const char *text)
{
    assert_int_equal(rc, code);
    if (!strstr(w.err.msg, text))
        fail_msg("\"%s\" is not in \"%s\"", text, w.err.msg);
}

/* Image and journal give this very state again, and so does an image taken now. */
static void expect_rebuilt(void)
{
    struct world other;
    struct world_image image = {BUF_INIT};
    world_init(&other);
    world_replay(&other, &w, 0);
    assert_true(nn_state_hash(&w.state) == nn_state_hash(&other.state));
    world_release(&other);
    world_init(&other);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &image), 0);
    if (world_load(&other, &image) != 0)
        fail_msg("%s", other.err.msg);
    assert_true(nn_state_hash(&w.state) == nn_state_hash(&other.state));
    if (w.state.tree.doomed_count == 0)
        assert_int_equal(other.state.prepared.files.count, w.state.prepared.files.count);
    assert_int_equal(nn_tree_sums(&w.state.tree, NN_ROOT).space,
                     nn_tree_sums(&other.state.tree, NN_ROOT).space);
    buf_release(&image.bytes);
    world_release(&other);
}

static uint64_t space_of(const char *path)
{
    return nn_tree_sums(&w.state.tree, slot_of(&w, path)).space;
}

/* ---- append ---- */

static void an_append_leaves_the_last_block_where_it_is_until_the_switch(void **state)
{
    (void)state;
    uint64_t id = make_file(&w, "/f", 2);
    struct msg_block old = last_of("/f");
    assert_int_equal(do_append("/f", 9, false), 0);
    assert_int_equal(w.answer[0], id);
    assert_true(inode_of(&w, "/f")->is_open);
    assert_int_equal(last_of("/f").id, old.id);
    assert_int_equal(inode_of(&w, "/f")->len, BLOCK + 1000);
    struct msg_block next = prepared_block("/f");
    assert_true(next.id > old.id && next.gs > old.gs && next.len == 1000);
    expect_rebuilt();

    assert_int_equal(do_switch("/f", 9, old, next), 0);
    assert_int_equal(last_of("/f").id, next.id);
    assert_int_equal(inode_of(&w, "/f")->len, BLOCK + 1000);
    assert_int_equal(inode_of(&w, "/f")->block_count, 2);
    assert_int_equal(nn_blockmap_find(w.blocks.map, old.id), NN_BLOCK_NONE);
    assert_int_equal(prepared_of("/f")->kind, NN_PREPARED_BASE);
    expect_rebuilt();

    next.len = 5000;
    assert_int_equal(do_complete(&w, id, 9, next), 0);
    assert_int_equal(inode_of(&w, "/f")->len, BLOCK + 5000);
    assert_null(prepared_of("/f"));
    assert_false(inode_of(&w, "/f")->is_open);
    expect_rebuilt();
}

static void a_writer_that_goes_before_the_switch_has_changed_nothing(void **state)
{
    (void)state;
    uint64_t id = make_file(&w, "/f", 1);
    struct msg_block old = last_of("/f");
    assert_int_equal(do_append("/f", 9, false), 0);
    uint64_t prepared = prepared_block("/f").id;
    struct op_close op = {.file_id = id, .last = old}; /* as recovery closes it */
    assert_int_equal(world_commit(&w, NN_OP_CLOSE, &op), 0);
    assert_int_equal(last_of("/f").id, old.id);
    assert_int_equal(inode_of(&w, "/f")->len, 1000);
    assert_int_equal(nn_blockmap_find(w.blocks.map, prepared), NN_BLOCK_NONE);
    assert_null(prepared_of("/f"));
    assert_int_equal(space_of("/f"), 1000);
    expect_rebuilt();
    assert_int_equal(do_append("/f", 10, false), 0); /* and another may come */
}

static void a_full_block_or_none_or_a_wish_needs_no_copy(void **state)
{
    (void)state;
    assert_int_equal(do_create(&w, "/empty", 7, false), 0);
    assert_int_equal(do_complete(&w, w.answer[0], 7, (struct msg_block){0}), 0);
    assert_int_equal(do_append("/empty", 9, false), 0);
    assert_null(prepared_of("/empty"));

    assert_int_equal(do_create(&w, "/full", 7, false), 0);
    uint64_t id = w.answer[0];
    assert_int_equal(do_add_block(&w, id, 7, (struct msg_block){0}), 0);
    assert_int_equal(do_complete(&w, id, 7, last_block(&w, id, BLOCK)), 0);
    assert_int_equal(do_append("/full", 9, false), 0);
    assert_null(prepared_of("/full"));

    id = make_file(&w, "/f", 1);
    assert_int_equal(do_append("/f", 9, true), 0);
    assert_null(prepared_of("/f"));
    assert_int_equal(do_add_block(&w, id, 9, last_of("/f")), 0);
    assert_int_equal(do_complete(&w, id, 9, last_block(&w, id, 7)), 0);
    assert_int_equal(inode_of(&w, "/f")->len, 1007);
    assert_int_equal(inode_of(&w, "/f")->block_count, 2);
    expect_rebuilt();
}

static void who_may_not_append_is_told_in_hadoops_words(void **state)
{
    (void)state;
    make_file(&w, "/f", 1);
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    refused(do_append("/d", 9, false), ERR_ISDIR,
            "Cannot append to directory /d; already exists as a directory.");
    refused(do_append("/none", 9, false), ERR_NOENT,
            "Failed to append to non-existent file /none for client 127.0.0.1");
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    refused(do_append("/f", 9, false), ERR_ACCESS, "access=WRITE, inode=\"/f\"");
    w.caller = (struct nn_caller){.user = slice_str("hdfs"), .is_super = true};
    assert_int_equal(do_append("/f", 9, false), 0);
    refused(do_append("/f", 9, false), ERR_LEASE, "is already the current lease holder.");
    refused(do_append("/f", 10, false), ERR_LEASE, "Failed to APPEND_FILE /f for client_");
    refused(do_append("/f", 10, false), ERR_LEASE, "this file lease is currently owned by");
    w.now_ms += w.limits.lease_soft_ms + 1;
    refused(do_append("/f", 10, false), ERR_RETRY, "lease recovery is in progress");
    assert_int_equal(takeover, slot_of(&w, "/f"));
}

static void the_blocks_that_are_exchanged_must_be_the_ones_the_writer_means(void **state)
{
    (void)state;
    make_file(&w, "/f", 1);
    struct msg_block old = last_of("/f");
    assert_int_equal(do_append("/f", 9, false), 0);
    struct msg_block next = prepared_block("/f"), wrong = next;
    wrong.gs++;
    refused(do_switch("/f", 9, old, wrong), ERR_STALE, "is not the one prepared");
    wrong = next;
    wrong.len++;
    refused(do_switch("/f", 9, old, wrong), ERR_STALE, "is not the one prepared");
    wrong = old;
    wrong.len--; /* of two who append, the one with an old idea of the length */
    refused(do_switch("/f", 9, wrong, next), ERR_STALE, "ends with");
    refused(do_switch("/f", 10, old, next), ERR_LEASE, "");
    assert_int_equal(do_again("/f", 9), 0);
    struct msg_block second = prepared_block("/f");
    assert_true(second.id > next.id && second.gs > next.gs && second.len == next.len);
    assert_int_equal(nn_blockmap_find(w.blocks.map, next.id), NN_BLOCK_NONE);
    refused(do_switch("/f", 9, old, next), ERR_STALE, "is not the one prepared");
    assert_int_equal(do_switch("/f", 9, old, second), 0);
    refused(do_switch("/f", 9, old, second), ERR_STALE, "no block is prepared");
    expect_rebuilt();
}

static void what_was_in_the_file_before_cannot_be_given_up(void **state)
{
    (void)state;
    uint64_t id = make_file(&w, "/f", 1);
    assert_int_equal(do_append("/f", 9, false), 0);
    assert_int_equal(do_switch("/f", 9, last_of("/f"), prepared_block("/f")), 0);
    struct nn_view view = world_view(&w);
    struct cl2nn_abandon_block ask = {
        .origin = {.client = 9}, .file_id = id, .block = last_of("/f")};
    struct op_abandon_block op;
    refused(nn_check_abandon_block(&view, &ask, &op, &w.err), ERR_INVAL, "cannot be given up");
    struct msg_block full = last_of("/f");
    full.len = BLOCK;
    assert_int_equal(do_add_block(&w, id, 9, full), 0); /* the next one may be */
    assert_null(prepared_of("/f"));
    ask.block = last_of("/f");
    assert_int_equal(nn_check_abandon_block(&view, &ask, &op, &w.err), 0);
    expect_rebuilt();
}

static void a_quota_counts_the_last_block_as_a_full_one_while_it_grows(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    uint64_t id = make_file(&w, "/d/f", 1);
    assert_int_equal(do_set_quota(&w, "/d", CL2NN_QUOTA_NONE, BLOCK - 1), 0);
    refused(do_append("/d/f", 9, false), ERR_QUOTA, "The DiskSpace quota of /d is exceeded");
    assert_int_equal(do_set_quota(&w, "/d", CL2NN_QUOTA_NONE, BLOCK), 0);
    assert_int_equal(do_append("/d/f", 9, false), 0);
    assert_int_equal(space_of("/d"), BLOCK);
    expect_rebuilt();
    assert_int_equal(do_switch("/d/f", 9, last_of("/d/f"), prepared_block("/d/f")), 0);
    assert_int_equal(space_of("/d"), BLOCK);
    struct msg_block last = last_of("/d/f");
    last.len = 1001;
    assert_int_equal(do_complete(&w, id, 9, last), 0);
    assert_int_equal(space_of("/d"), 1001);
}

static void a_prepared_block_goes_with_its_file(void **state)
{
    (void)state;
    make_file(&w, "/f", 1);
    assert_int_equal(do_append("/f", 9, false), 0);
    uint64_t prepared = prepared_block("/f").id;
    assert_int_equal(do_delete(&w, "/f", false), 0);
    expect_rebuilt(); /* doomed, not reaped yet: not in the image */
    while (nn_state_reap(&w.state, 100))
        continue;
    assert_int_equal(nn_blockmap_find(w.blocks.map, prepared), NN_BLOCK_NONE);
    assert_int_equal(w.state.prepared.files.count, 0);
}

/* ---- truncate ---- */

static void a_cut_between_blocks_is_done_at_once(void **state)
{
    (void)state;
    make_file(&w, "/f", 3);
    assert_int_equal(do_truncate("/f", BLOCK), 0);
    assert_int_equal(w.answer[0], 1);
    assert_int_equal(inode_of(&w, "/f")->len, BLOCK);
    assert_int_equal(inode_of(&w, "/f")->block_count, 1);
    assert_int_equal(last_of("/f").len, BLOCK);
    assert_int_equal(block_at(inode_of(&w, "/f")->last_block).next, NN_BLOCK_NONE);
    assert_false(inode_of(&w, "/f")->is_open);
    assert_int_equal(space_of("/f"), BLOCK);
    expect_rebuilt();
    assert_int_equal(do_truncate("/f", 0), 0);
    assert_int_equal(inode_of(&w, "/f")->first_block, NN_BLOCK_NONE);
    assert_int_equal(inode_of(&w, "/f")->last_block, NN_BLOCK_NONE);
    assert_int_equal(nn_blockmap_count(w.blocks.map), 0);
    expect_rebuilt();
}

static void a_cut_inside_a_block_shows_the_old_file_until_its_copy_is_there(void **state)
{
    (void)state;
    make_file(&w, "/f", 3);
    assert_int_equal(do_truncate("/f", BLOCK + 10), 0);
    assert_int_equal(w.answer[0], 0);
    assert_true(inode_of(&w, "/f")->is_open);
    assert_int_equal(inode_of(&w, "/f")->len, 2 * BLOCK + 1000);
    assert_int_equal(prepared_block("/f").len, 10);
    assert_int_equal(block_at(prepared_of("/f")->block).state, NN_BLOCK_COMMITTED);
    expect_rebuilt();
    assert_int_equal(do_truncate("/f", BLOCK + 10), NN_CHECK_NOTHING);
    assert_false(is_done);
    refused(do_truncate("/f", 5), ERR_LEASE,
            "Failed to TRUNCATE_FILE /f for client_0000000000000008 on 127.0.0.1 because /f is "
            "being truncated.");
    refused(do_append("/f", 9, false), ERR_RETRY, "under recovery");
    w.now_ms += 5000;
    switch_truncated("/f");
    assert_false(inode_of(&w, "/f")->is_open);
    assert_int_equal(inode_of(&w, "/f")->len, BLOCK + 10);
    assert_int_equal(inode_of(&w, "/f")->block_count, 2);
    assert_int_equal(inode_of(&w, "/f")->mtime_ms, w.now_ms);
    assert_int_equal(last_of("/f").len, 10);
    assert_int_equal(nn_blockmap_count(w.blocks.map), 2);
    assert_int_equal(space_of("/f"), BLOCK + 10);
    assert_null(nn_leases_find(&w.state.leases, inode_of(&w, "/f")->id));
    expect_rebuilt();
    assert_int_equal(do_truncate("/f", BLOCK + 10), NN_CHECK_NOTHING);
    assert_true(is_done);
}

static void what_cannot_be_cut_is_refused_in_hadoops_words(void **state)
{
    (void)state;
    make_file(&w, "/f", 1);
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    refused(do_truncate("/f", 1001), ERR_INVAL,
            "Cannot truncate to a larger file size. Current size: 1000, truncate size: 1001.");
    refused(do_truncate("/none", 0), ERR_NOENT, "File does not exist: /none");
    refused(do_truncate("/d", 0), ERR_ISDIR, "Path is not a file: /d");
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    refused(do_truncate("/f", 0), ERR_ACCESS, "access=WRITE, inode=\"/f\"");
    w.caller = (struct nn_caller){.user = slice_str("hdfs"), .is_super = true};
    assert_int_equal(do_append("/f", 9, false), 0);
    refused(do_truncate("/f", 0), ERR_LEASE, "Failed to TRUNCATE_FILE /f");
}

/* ---- concat ---- */

static void joined_files_keep_their_blocks_in_order(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    make_file(&w, "/d/t", 1);
    make_file(&w, "/d/a", 2);
    make_file(&w, "/d/b", 1);
    uint64_t ids[] = {last_of("/d/t").id, block_at(inode_of(&w, "/d/b")->first_block).id,
                      block_at(inode_of(&w, "/d/a")->first_block).id, last_of("/d/a").id};
    assert_int_equal(do_concat("/d/t", (const char *const[]){"/d/b", "/d/a"}, 2), 0);
    assert_int_equal(slot_of(&w, "/d/a"), 0);
    assert_int_equal(slot_of(&w, "/d/b"), 0);
    assert_int_equal(inode_of(&w, "/d/t")->len, 3000 + BLOCK);
    assert_int_equal(inode_of(&w, "/d/t")->block_count, 4);
    uint32_t b = inode_of(&w, "/d/t")->first_block;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++, b = block_at(b).next) {
        assert_int_equal(block_at(b).id, ids[i]);
        assert_int_equal(block_at(b).file, slot_of(&w, "/d/t"));
    }
    assert_int_equal(b, NN_BLOCK_NONE);
    while (nn_state_reap(&w.state, 100))
        continue;
    assert_int_equal(nn_blockmap_count(w.blocks.map), 4);
    assert_int_equal(space_of("/d"), 3000 + BLOCK);
    expect_rebuilt();
    /* cut in the second, short block, and right behind it */
    assert_int_equal(do_truncate("/d/t", 1500), 0);
    assert_int_equal(prepared_block("/d/t").len, 500);
    switch_truncated("/d/t");
    assert_int_equal(inode_of(&w, "/d/t")->block_count, 2);
    assert_int_equal(do_truncate("/d/t", 1000), 0);
    assert_int_equal(w.answer[0], 1);
    expect_rebuilt();
}

static void what_cannot_be_joined_is_refused_in_hadoops_words(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    make_file(&w, "/d/t", 1);
    make_file(&w, "/d/a", 1);
    make_file(&w, "/f", 1);
    assert_int_equal(do_create(&w, "/d/open", 7, false), 0);
    assert_int_equal(do_create(&w, "/d/empty", 7, false), 0);
    assert_int_equal(do_complete(&w, inode_of(&w, "/d/empty")->id, 7, (struct msg_block){0}), 0);
    const struct {
        const char *target, *a, *b;
        int code;
        const char *text;
    } cases[] = {
        {"/d/t", "/f", NULL, ERR_INVAL,
         "Source file /f is not in the same directory with the target /d/t"},
        {"/d/t", "/d/t", NULL, ERR_INVAL,
         "concat: the src file /d/t is the same with the target file /d/t"},
        {"/d/t", "/d/a", "/d/a", ERR_INVAL,
         "concat: at least two of the source files are the same"},
        {"/d/t", "/d/open", NULL, ERR_INVAL,
         "concat: source file /d/open is invalid or empty or underConstruction"},
        {"/d/t", "/d/empty", NULL, ERR_INVAL,
         "concat: source file /d/empty is invalid or empty or underConstruction"},
        {"/d/open", "/d/a", NULL, ERR_INVAL, "concat: target file /d/open is under construction"},
        {"/d/t", "/d/none", NULL, ERR_NOENT, "File does not exist: /d/none"},
        {"/d/none", "/d/a", NULL, ERR_NOENT, "File does not exist: /d/none"},
        {"/d/t", "/d", NULL, ERR_ISDIR, "Path is not a file: /d"},
        {"/d/t", "/", NULL, ERR_ISDIR, "Path is not a file: /"},
        {"/d/t", NULL, NULL, ERR_INVAL, "No sources given"},
    };
    uint64_t before = nn_state_hash(&w.state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(do_concat(cases[i].target, (const char *const[]){cases[i].a, cases[i].b},
                          cases[i].b   ? 2
                          : cases[i].a ? 1
                                       : 0),
                cases[i].code, cases[i].text);
    w.limits.max_blocks = 1;
    refused(do_concat("/d/t", (const char *const[]){"/d/a"}, 1), ERR_LIMIT, "2 > 1");
    w.caller = (struct nn_caller){.user = slice_str("bob")};
    refused(do_concat("/d/t", (const char *const[]){"/d/a"}, 1), ERR_ACCESS, "access=WRITE");
    assert_true(nn_state_hash(&w.state) == before);
}

static void joining_counts_replicas_as_the_targets(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    make_file(&w, "/d/t", 1);
    make_file(&w, "/d/a", 1);
    assert_int_equal(do_set_replication(&w, "/d/t", 3), 0);
    assert_int_equal(do_set_quota(&w, "/d", CL2NN_QUOTA_NONE, 5999), 0);
    refused(do_concat("/d/t", (const char *const[]){"/d/a"}, 1), ERR_QUOTA, "DiskSpace quota");
    assert_int_equal(do_set_quota(&w, "/d", CL2NN_QUOTA_NONE, 6000), 0);
    assert_int_equal(do_concat("/d/t", (const char *const[]){"/d/a"}, 1), 0);
    assert_int_equal(space_of("/d"), 6000);
    assert_int_equal(block_at(inode_of(&w, "/d/t")->last_block).want, 3);
    expect_rebuilt();
}

/* ---- records nobody checked ---- */

static void a_record_that_does_not_fit_is_refused_and_never_crashes(void **state)
{
    (void)state;
    uint64_t id = make_file(&w, "/f", 2), answer[2];
    const struct op_append append = {.file_id = 99};
    const struct op_prepare prepare = {.file_id = id, .block_id = 5};
    const struct op_switch other = {.file_id = id, .block_id = 5};
    const struct op_truncate longer = {.file_id = id, .len = 1 << 30},
                             inside = {.file_id = id, .len = 5},
                             known = {.file_id = id, .len = 5, .block_id = last_of("/f").id};
    const struct op_concat self = {.file_id = id, .sources = {&id, 1}};
    const struct {
        enum nn_op op;
        const void *record;
    } records[] = {{NN_OP_APPEND, &append},   {NN_OP_PREPARE, &prepare}, {NN_OP_SWITCH, &other},
                   {NN_OP_TRUNCATE, &longer}, {NN_OP_TRUNCATE, &inside}, {NN_OP_CONCAT, &self},
                   {NN_OP_TRUNCATE, &known}};
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        assert_int_equal(
            nn_op_apply(&w.state, nn_op_find((uint16_t)records[i].op), records[i].record, answer),
            ERR_CORRUPT);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_append_leaves_the_last_block_where_it_is_until_the_switch),
        CASE(a_writer_that_goes_before_the_switch_has_changed_nothing),
        CASE(a_full_block_or_none_or_a_wish_needs_no_copy),
        CASE(who_may_not_append_is_told_in_hadoops_words),
        CASE(the_blocks_that_are_exchanged_must_be_the_ones_the_writer_means),
        CASE(what_was_in_the_file_before_cannot_be_given_up),
        CASE(a_quota_counts_the_last_block_as_a_full_one_while_it_grows),
        CASE(a_prepared_block_goes_with_its_file),
        CASE(a_cut_between_blocks_is_done_at_once),
        CASE(a_cut_inside_a_block_shows_the_old_file_until_its_copy_is_there),
        CASE(what_cannot_be_cut_is_refused_in_hadoops_words),
        CASE(joined_files_keep_their_blocks_in_order),
        CASE(what_cannot_be_joined_is_refused_in_hadoops_words),
        CASE(joining_counts_replicas_as_the_targets),
        CASE(a_record_that_does_not_fit_is_refused_and_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
