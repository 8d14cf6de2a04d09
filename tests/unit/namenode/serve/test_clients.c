/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/serve/served.h"

#include <fcntl.h>
#include <unistd.h>

static struct served s;
static uint64_t seq;

static int setup(void **state)
{
    (void)state;
    served_conf(&s);
    char user[256];
    snprintf(user, sizeof(user), "eve"); /* of the supergroup */
    served_start(&s, user);
    seq = 0;
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    served_stop(&s);
    return 0;
}

static struct msg_origin origin(void)
{
    return (struct msg_origin){77, ++seq};
}

static int mkdir_at(const char *path)
{
    struct cl2nn_mkdir ask = {
        .origin = origin(), .path = slice_str(path), .mode = 0755, .parents = true};
    return ask_nn(&s, MKDIR, &ask, NULL);
}

static int create_at(const char *path, struct cl2nn_created *ret)
{
    struct cl2nn_create ask = {.origin = origin(),
                               .path = slice_str(path),
                               .mode = 0644,
                               .block_size = 1 << 20,
                               .overwrite = true,
                               .create_parents = true,
                               .writer_node = slice_str("dn1")};
    return ask_nn(&s, CREATE, &ask, ret);
}

/* ---- names ---- */

static void what_is_made_can_be_seen_renamed_and_removed(void **state)
{
    (void)state;
    assert_int_equal(mkdir_at("/a/b"), 0);
    struct cl2nn_stat stat = {slice_str("/a/b"), 0};
    struct msg_file file;
    assert_int_equal(ask_nn(&s, STAT, &stat, &file), 0);
    assert_true(file.is_dir);
    assert_true(slice_is(file.name, "/a/b"));
    assert_true(slice_is(file.owner, "eve"));
    assert_true(slice_is(file.group, "supergroup"));
    struct cl2nn_rename move = {origin(), slice_str("/a/b"), slice_str("/c"), false};
    assert_int_equal(ask_nn(&s, RENAME, &move, NULL), 0);
    assert_int_equal(ask_nn(&s, STAT, &stat, &file), ERR_NOENT);
    struct cl2nn_delete remove = {origin(), slice_str("/c"), true};
    struct cl2nn_yes yes;
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), 0);
    assert_true(yes.yes);
    remove.origin = origin();
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), 0);
    assert_false(yes.yes);
}

static void a_directory_is_listed_in_pages(void **state)
{
    (void)state;
    char path[32];
    for (int i = 0; i < 25; i++) {
        snprintf(path, sizeof(path), "/d/e%02d", i);
        assert_int_equal(mkdir_at(path), 0);
    }
    struct cl2nn_list ask = {.path = slice_str("/d"), .limit = 10};
    struct cl2nn_listing page;
    int seen = 0;
    do {
        assert_int_equal(ask_nn(&s, LIST, &ask, &page), 0);
        for (size_t i = 0; i < page.files.n; i++, seen++) {
            snprintf(path, sizeof(path), "e%02d", seen);
            assert_true(slice_is(page.files.v[i].name, path));
        }
        assert_int_equal(page.remaining, 25 - seen);
        ask.start_after = page.files.v[page.files.n - 1].name;
    } while (page.remaining);
    assert_int_equal(seen, 25);
    ask.path = slice_str("/none");
    assert_int_equal(ask_nn(&s, LIST, &ask, &page), ERR_NOENT);
    assert_string_equal(strstr(served_err.msg, "File does not exist"),
                        "File does not exist: /none");
}

static void others_are_kept_out(void **state)
{
    (void)state;
    assert_int_equal(mkdir_at("/private"), 0);
    struct cl2nn_set_mode mode = {origin(), slice_str("/private"), 0700};
    assert_int_equal(ask_nn(&s, SET_MODE, &mode, NULL), 0);
    struct identity bob = {.role = WIRE_CLIENT, .user = "bob"};
    struct rpc_link *eve = s.client;
    s.client = served_link(&s, &bob);
    assert_int_equal(mkdir_at("/private/x"), ERR_ACCESS);
    assert_non_null(strstr(served_err.msg, "Permission denied: user=bob, access=EXECUTE, "
                                           "inode=\"/private\":eve:supergroup:drwx------"));
    struct cl2nn_safemode safe = {CL2NN_SAFEMODE_ENTER};
    struct cl2nn_safemode_state safe_state;
    assert_int_equal(ask_nn(&s, SAFEMODE, &safe, &safe_state), ERR_ACCESS);
    struct cl2nn_save save = {0};
    assert_int_equal(ask_nn(&s, SAVE_NAMESPACE, &save, NULL), ERR_ACCESS);
    assert_non_null(strstr(served_err.msg, "Superuser privilege is required for operation "
                                           "saveNamespace"));
    struct cl2nn_journal_files files;
    struct cl2nn_journal_bytes bytes;
    struct cl2nn_journal_page page = {.name = slice_str("image.000000000001")};
    const struct msg_void none = {0};
    assert_int_equal(ask_nn(&s, JOURNAL_FILES, &none, &files), ERR_ACCESS);
    assert_int_equal(ask_nn(&s, JOURNAL_PAGE, &page, &bytes), ERR_ACCESS);
    assert_string_equal(served_err.msg, "Access denied for user bob. Superuser privilege is "
                                        "required for operation fetchImage");
    rpc_link_close(s.client);
    s.client = eve;
    assert_int_equal(ask_nn(&s, SAVE_NAMESPACE, &save, NULL), ERR_INVAL);
    assert_string_equal(served_err.msg, "Safe mode should be turned ON in order to create "
                                        "namespace image.");
    assert_int_equal(ask_nn(&s, SAFEMODE, &safe, &safe_state), 0);
    assert_int_equal(ask_nn(&s, SAVE_NAMESPACE, &save, NULL), 0);
    assert_int_equal(ask_nn(&s, ROLL_EDITS, NULL, NULL), ERR_SAFEMODE);
}

/* Below /bob: directories of bob's, one of carol's with something in it. */
static void make_forest(unsigned dirs)
{
    struct nn_tree *tree = &s.nn->state.tree;
    struct nn_birth birth = {
        .is_dir = true, .mode = 0755, .owner = slice_str("bob"), .group = slice_str("none")};
    uint32_t top = 0, slot = 0;
    char name[32];
    birth.id = tree->next_id;
    assert_int_equal(nn_tree_add(tree, NN_ROOT, slice_str("bob"), &birth, &top), 0);
    for (unsigned i = 0; i < dirs; i++) {
        snprintf(name, sizeof(name), "%u", i);
        birth.id = tree->next_id;
        assert_int_equal(nn_tree_add(tree, top, slice_str(name), &birth, &slot), 0);
    }
    birth.owner = slice_str("carol");
    birth.mode = 0700;
    birth.id = tree->next_id;
    assert_int_equal(nn_tree_add(tree, top, slice_str("carols"), &birth, &slot), 0);
    birth.id = tree->next_id;
    assert_int_equal(nn_tree_add(tree, slot, slice_str("inner"), &birth, &slot), 0);
    nn_inode(&tree->store, NN_ROOT)->mode = 0777;
}

static void a_huge_tree_is_looked_at_in_steps_and_nobody_waits(void **state)
{
    (void)state;
    struct identity bob = {.role = WIRE_CLIENT, .user = "bob"};
    struct rpc_link *eve = s.client, *link = served_link(&s, &bob);
    struct cl2nn_path path = {slice_str("/bob")};
    struct cl2nn_summary sums;
    struct cl2nn_yes yes;
    struct served_call call;
    make_forest(40000);
    s.client = link;
    assert_int_equal(ask_nn(&s, SUMMARY, &path, &sums), ERR_ACCESS);
    assert_non_null(strstr(served_err.msg, "access=READ_EXECUTE, inode=\"/bob/carols\":carol:"));
    struct cl2nn_delete remove = {origin(), slice_str("/bob"), true};
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), ERR_ACCESS);
    s.client = eve;
    struct cl2nn_delete carols = {origin(), slice_str("/bob/carols"), true};
    assert_int_equal(ask_nn(&s, DELETE, &carols, &yes), 0);
    s.client = link;
    assert_int_equal(ask_nn(&s, SUMMARY, &path, &sums), 0);
    assert_int_equal(sums.dirs, 40001);

    remove.origin = origin();
    served_send(link, &CL2NN_methods[CL2NN_AT_DELETE], &remove, 5000, &call);
    s.client = eve; /* is answered meanwhile, and changes something: it is looked at again */
    assert_int_equal(mkdir_at("/meanwhile"), 0);
    assert_false(call.answer.is_done);
    assert_true(served_wait(&s, &call, 5000));
    assert_int_equal(call.answer.code, 0);
    buf_release(&call.answer.bytes);
    assert_int_equal(nn_tree_find(&s.nn->state.tree, slice_str("/bob")), 0);
    rpc_link_close(link);
}

static void a_look_below_ends_with_the_namenode(void **state)
{
    (void)state;
    struct identity bob = {.role = WIRE_CLIENT, .user = "bob"};
    struct rpc_link *link = served_link(&s, &bob);
    struct cl2nn_path path = {slice_str("/bob")};
    struct served_call call;
    make_forest(20000);
    served_send(link, &CL2NN_methods[CL2NN_AT_SUMMARY], &path, 5000, &call);
    for (int i = 0; i < 100 && list_is_empty(&s.nn->clients.below); i++)
        loop_turn(s.loop, 1);
    assert_false(list_is_empty(&s.nn->clients.below));
    nn_clients_release_below(&s.nn->clients);
    assert_true(served_wait(&s, &call, 5000));
    assert_int_equal(call.answer.code, ERR_CLOSED);
    buf_release(&call.answer.bytes);
    rpc_link_close(link);
}

static void safe_mode_refuses_changes_in_hadoops_words(void **state)
{
    (void)state;
    struct cl2nn_safemode ask = {CL2NN_SAFEMODE_ENTER};
    struct cl2nn_safemode_state answer;
    assert_int_equal(ask_nn(&s, SAFEMODE, &ask, &answer), 0);
    assert_true(answer.is_on);
    assert_int_equal(mkdir_at("/x"), ERR_SAFEMODE);
    const char *text = strstr(served_err.msg, "Cannot create directory /x. Name node is in safe "
                                              "mode.\n");
    assert_non_null(text);
    struct cl2nn_stat stat = {slice_str("/"), 0};
    struct msg_file file;
    assert_int_equal(ask_nn(&s, STAT, &stat, &file), 0);
    ask.action = CL2NN_SAFEMODE_LEAVE;
    assert_int_equal(ask_nn(&s, SAFEMODE, &ask, &answer), 0);
    assert_false(answer.is_on);
    assert_int_equal(mkdir_at("/x"), 0);
}

/* ---- durability ---- */

static void nothing_is_answered_before_it_is_durable_not_even_a_question(void **state)
{
    (void)state;
    struct served_call change, question;
    struct cl2nn_mkdir ask = {
        .origin = origin(), .path = slice_str("/a"), .mode = 0755, .parents = true};
    struct cl2nn_stat stat = {slice_str("/a"), 0};
    the_journal.is_held = true;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_MKDIR], &ask, 5000, &change);
    served_send(s.client, &CL2NN_methods[CL2NN_AT_STAT], &stat, 5000, &question);
    assert_false(served_wait(&s, &question, 60));
    assert_false(change.answer.is_done);
    assert_int_equal(the_journal.last, 1); /* it is done, only nobody knows yet */
    served_flush();
    assert_true(served_wait(&s, &change, 1000));
    assert_true(served_wait(&s, &question, 1000));
    assert_int_equal(change.answer.code, 0);
    assert_int_equal(question.answer.code, 0);
    buf_release(&change.answer.bytes);
    buf_release(&question.answer.bytes);
}

static void names_in_a_held_answer_survive_their_deletion(void **state)
{
    (void)state;
    assert_int_equal(mkdir_at("/d/first-name"), 0);
    struct served_call change, list, gone;
    struct cl2nn_list ask = {.path = slice_str("/d")};
    struct cl2nn_mkdir other = {
        .origin = origin(), .path = slice_str("/d/second"), .mode = 0755, .parents = true};
    struct cl2nn_delete remove = {origin(), slice_str("/d"), true};
    the_journal.is_held = true;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_MKDIR], &other, 5000, &change);
    served_send(s.client, &CL2NN_methods[CL2NN_AT_LIST], &ask, 5000, &list);
    served_send(s.client, &CL2NN_methods[CL2NN_AT_DELETE], &remove, 5000, &gone);
    assert_false(served_wait(&s, &gone, 60)); /* reaped meanwhile */
    assert_int_equal(s.nn->state.tree.store.inodes.count, 1);
    served_flush();
    assert_true(served_wait(&s, &gone, 1000));
    struct cl2nn_listing listing;
    assert_int_equal(list.answer.code, 0);
    assert_int_equal(
        msg_decode(&cl2nn_listing_desc, buf_slice(&list.answer.bytes), &s.arena, &listing, NULL),
        0);
    assert_int_equal(listing.files.n, 2);
    assert_true(slice_is(listing.files.v[0].name, "first-name"));
    assert_true(slice_is(listing.files.v[1].name, "second"));
    buf_release(&change.answer.bytes);
    buf_release(&list.answer.bytes);
    buf_release(&gone.answer.bytes);
}

static void names_in_a_held_access_list_survive_its_removal(void **state)
{
    (void)state;
    assert_int_equal(mkdir_at("/d"), 0);
    struct cl2nn_acl_entry entry = {.perm = 7, .name = slice_str("a-user-with-a-name")};
    struct cl2nn_set_acl set = {origin(), slice_str("/d"), CL2NN_ACL_MODIFY, {&entry, 1}};
    struct cl2nn_set_acl unset = {
        .origin = origin(), .path = slice_str("/d"), .action = CL2NN_ACL_REMOVE_ALL};
    struct cl2nn_path ask = {slice_str("/d")};
    struct served_call change, list, gone;
    the_journal.is_held = true;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_SET_ACL], &set, 5000, &change);
    served_send(s.client, &CL2NN_methods[CL2NN_AT_GET_ACL], &ask, 5000, &list);
    served_send(s.client, &CL2NN_methods[CL2NN_AT_SET_ACL], &unset, 5000, &gone);
    assert_false(served_wait(&s, &gone, 60));
    served_flush();
    assert_true(served_wait(&s, &gone, 1000));
    struct cl2nn_acl acl;
    assert_int_equal(list.answer.code, 0);
    assert_int_equal(
        msg_decode(&cl2nn_acl_desc, buf_slice(&list.answer.bytes), &s.arena, &acl, NULL), 0);
    assert_true(slice_is(acl.entries.v[0].name, "a-user-with-a-name"));
    buf_release(&change.answer.bytes);
    buf_release(&list.answer.bytes);
    buf_release(&gone.answer.bytes);
}

static void a_repeated_request_gets_the_first_answer(void **state)
{
    (void)state;
    struct cl2nn_create ask = {.origin = {5, 1}, .path = slice_str("/f"), .mode = 0644};
    struct cl2nn_created first, again;
    assert_int_equal(ask_nn(&s, CREATE, &ask, &first), 0);
    assert_int_equal(ask_nn(&s, CREATE, &ask, &again), 0);
    assert_int_equal(again.file_id, first.file_id);
    assert_int_equal(again.block_size, first.block_size);
    assert_int_equal(again.replication, 1);
    struct cl2nn_delete remove = {{5, 2}, slice_str("/f"), false};
    struct cl2nn_yes yes;
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), 0);
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), 0);
    assert_true(yes.yes);
    remove.origin.seq = 1; /* that was a CREATE */
    assert_int_equal(ask_nn(&s, DELETE, &remove, &yes), ERR_PROTO);
}

static void a_full_journal_refuses_the_change_and_nothing_happens(void **state)
{
    (void)state;
    the_journal.is_full = true;
    assert_int_equal(mkdir_at("/x"), ERR_NOSPC);
    the_journal.is_full = false;
    struct cl2nn_stat stat = {slice_str("/x"), 0};
    struct msg_file file;
    assert_int_equal(ask_nn(&s, STAT, &stat, &file), ERR_NOENT);
}

static void little_room_means_safe_mode_until_there_is_more(void **state)
{
    (void)state;
    the_journal.options.on_full(the_journal.options.arg, true);
    assert_int_equal(mkdir_at("/x"), ERR_SAFEMODE);
    assert_non_null(strstr(served_err.msg, "Resources are low on NN"));
    the_journal.options.on_full(the_journal.options.arg, false);
    assert_int_equal(mkdir_at("/x"), 0);
    /* during a start: the blocks are waited for as before */
    struct nn_safemode *safemode = &s.nn->blocks.safemode;
    nn_safemode_init(safemode, 999000, 0, 0);
    the_journal.options.on_full(the_journal.options.arg, true);
    the_journal.options.on_full(the_journal.options.arg, false);
    assert_int_equal(safemode->state, NN_SAFEMODE_WAITING);
}

static void while_the_namenode_starts_a_caller_is_told_to_come_again(void **state)
{
    (void)state;
    nn_safemode_init(&s.nn->blocks.safemode, 999000, 1, 0);
    assert_int_equal(mkdir_at("/x"), ERR_RETRY);
    assert_non_null(strstr(served_err.msg, "Name node is in safe mode."));
    nn_safemode_leave(&s.nn->blocks.safemode);
    assert_int_equal(mkdir_at("/x"), 0);
}

/* ---- writing, with a datanode ---- */

static void register_datanode(void)
{
    static struct dn2nn_storage storage;
    storage = (struct dn2nn_storage){.id = slice_str("s1"),
                                     .path = slice_str("/disk1"),
                                     .capacity = 1ULL << 40,
                                     .remaining = 1ULL << 40};
    struct dn2nn_register ask = {
        .node = {.name = slice_str("dn1"), .host = slice_str("127.0.0.1"), .data_port = 9866},
        .node_uuid = slice_str("u1"),
        .storages = {&storage, 1}};
    struct dn2nn_registered answer;
    assert_int_equal(tell_nn(&s, REGISTER, &ask, &answer), 0);
    assert_true(slice_is(answer.cluster_id, "test-cluster"));
    struct dn2nn_full_report report = {.report_id = 1, .is_last = true, .storage = slice_str("s1")};
    struct dn2nn_heard heard;
    assert_int_equal(tell_nn(&s, FULL_REPORT, &report, &heard), 0);
}

static void report_block(struct msg_block block, uint32_t change)
{
    struct dn2nn_replica_change row = {change, block, slice_str("s1")};
    struct dn2nn_changes ask = {.changes = {&row, 1}};
    struct dn2nn_heard heard;
    assert_int_equal(tell_nn(&s, CHANGES, &ask, &heard), 0);
}

static struct msg_located_block add_block(uint64_t file, struct msg_block previous)
{
    struct cl2nn_add_block ask = {.origin = origin(), .file_id = file, .previous = previous};
    struct msg_located_block block;
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &block), 0);
    return block;
}

static void a_file_is_written_closed_and_located(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/in/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    assert_int_equal(block.nodes.n, 1);
    assert_true(slice_is(block.nodes.v[0].name, "dn1"));
    assert_int_equal(block.nodes.v[0].data_port, 9866);
    struct msg_block done = {block.block.id, block.block.gs, 1000};
    report_block(done, DN2NN_RECEIVED);
    struct cl2nn_complete complete = {.origin = origin(), .file_id = file.file_id, .last = done};
    uint64_t before = the_journal.last;
    assert_int_equal(ask_nn(&s, COMPLETE, &complete, NULL), 0);
    assert_int_equal(the_journal.last, before + 1); /* the replica was there: CLOSE, no COMMIT */
    struct cl2nn_locate where = {
        .path = slice_str("/in/f"), .length = UINT64_MAX, .reader_node = slice_str("dn1")};
    struct cl2nn_located located;
    assert_int_equal(ask_nn(&s, LOCATE, &where, &located), 0);
    assert_int_equal(located.file_len, 1000);
    assert_false(located.is_open);
    assert_int_equal(located.blocks.n, 1);
    assert_int_equal(located.blocks.v[0].block.len, 1000);
    assert_true(slice_is(located.blocks.v[0].nodes.v[0].name, "dn1"));
    struct cl2nn_path path = {slice_str("/in")};
    struct cl2nn_summary summary;
    assert_int_equal(ask_nn(&s, SUMMARY, &path, &summary), 0);
    assert_int_equal(summary.files, 1);
    assert_int_equal(summary.dirs, 1);
    assert_int_equal(summary.length, 1000);
}

static struct cl2nn_create create_with_block(const char *path)
{
    return (struct cl2nn_create){.origin = origin(),
                                 .path = slice_str(path),
                                 .mode = 0644,
                                 .writer_node = slice_str("dn1"),
                                 .first = origin()};
}

static void a_file_comes_with_its_first_block_and_a_repeat_names_the_same(void **state)
{
    (void)state;
    struct cl2nn_create early = create_with_block("/early"), ask = create_with_block("/f");
    struct cl2nn_created file, again;
    assert_int_equal(ask_nn(&s, CREATE, &early, &file), 0);
    assert_int_equal(file.first.block.id, 0); /* no datanode: the file is there without one */
    register_datanode();
    uint64_t before = the_journal.last;
    assert_int_equal(ask_nn(&s, CREATE, &ask, &file), 0);
    assert_int_equal(the_journal.last, before + 2);
    assert_int_not_equal(file.first.block.id, 0);
    assert_int_equal(file.first.nodes.n, 1);
    assert_int_equal(ask_nn(&s, CREATE, &ask, &again), 0);
    assert_int_equal(the_journal.last, before + 2);
    assert_int_equal(again.file_id, file.file_id);
    assert_int_equal(again.first.block.id, file.first.block.id);
    assert_int_equal(again.first.block.gs, file.first.block.gs);
    assert_int_equal(again.first.nodes.n, 1);
    struct cl2nn_create twice = create_with_block("/twice");
    twice.first = twice.origin; /* of one number only one thing can be asked */
    assert_int_equal(ask_nn(&s, CREATE, &twice, &file), 0);
    assert_int_equal(file.first.block.id, 0);
}

static void a_file_gets_its_final_name_as_it_is_closed(void **state)
{
    (void)state;
    struct cl2nn_created file;
    struct cl2nn_completed done, again;
    struct msg_file found;
    for (int overwrite = 1; overwrite >= 0; overwrite--) {
        assert_int_equal(create_at("/f.part", &file), 0);
        struct cl2nn_complete ask = {.origin = origin(), .file_id = file.file_id};
        ask.rename = (struct cl2nn_rename){origin(), slice_str("/f.part"), slice_str("/f"),
                                           overwrite, file.file_id};
        uint64_t before = the_journal.last;
        assert_int_equal(ask_nn(&s, COMPLETE, &ask, &done), 0);
        assert_int_equal(the_journal.last, before + (overwrite ? 2 : 1));
        assert_int_equal(ask_nn(&s, COMPLETE, &ask, &again), 0);
        assert_int_equal(done.is_renamed, overwrite); /* where another is, it keeps its name */
        assert_int_equal(again.is_renamed, overwrite);
        struct cl2nn_stat stat = {slice_str(overwrite ? "/f" : "/f.part"), 0};
        assert_int_equal(ask_nn(&s, STAT, &stat, &found), 0);
        assert_int_equal(found.id, file.file_id);
        assert_false(found.is_open);
    }
}

static void close_waits_for_a_finalized_replica(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    struct msg_block done = {block.block.id, block.block.gs, 1000};
    struct cl2nn_complete ask = {.origin = origin(), .file_id = file.file_id, .last = done};
    struct served_call closing;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_COMPLETE], &ask, 5000, &closing);
    assert_false(served_wait(&s, &closing, 50));
    report_block(done, DN2NN_RECEIVING); /* being written is not enough */
    assert_false(served_wait(&s, &closing, 50));
    report_block(done, DN2NN_RECEIVED);
    assert_true(served_wait(&s, &closing, 1000));
    assert_int_equal(closing.answer.code, 0);
    buf_release(&closing.answer.bytes);
}

static void close_without_replicas_says_come_again_before_the_deadline(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    struct msg_block done = {block.block.id, block.block.gs, 1000};
    struct cl2nn_complete ask = {.origin = origin(), .file_id = file.file_id, .last = done};
    struct served_call closing;
    served_send(s.client, &CL2NN_methods[CL2NN_AT_COMPLETE], &ask, 300, &closing);
    assert_true(served_wait(&s, &closing, 1000));
    assert_int_equal(closing.answer.code, ERR_RETRY);
    report_block(done, DN2NN_RECEIVED);
    assert_int_equal(ask_nn(&s, COMPLETE, &ask, NULL), 0);
    assert_int_equal(ask_nn(&s, COMPLETE, &ask, NULL), 0); /* a repeat of what succeeded */
}

static void a_repeated_add_block_names_the_same_block_and_nodes(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct cl2nn_add_block ask = {.origin = origin(), .file_id = file.file_id};
    struct msg_located_block first, again;
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &first), 0);
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &again), 0);
    assert_int_equal(first.block.id, again.block.id);
    assert_int_equal(again.nodes.n, 1);
    /* after a restart nobody remembers the pipeline: a new one for the same block */
    nn_writings_close(&s.nn->blocks.writings, nn_blockmap_find(s.nn->blocks.map, first.block.id));
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &again), 0);
    assert_int_equal(first.block.id, again.block.id);
    assert_int_equal(again.nodes.n, 1);
}

static void without_datanodes_no_block_is_given_out(void **state)
{
    (void)state;
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct cl2nn_add_block ask = {.origin = origin(), .file_id = file.file_id};
    struct msg_located_block block;
    uint64_t before = the_journal.last;
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &block), ERR_NONODE);
    assert_non_null(strstr(served_err.msg,
                           "File /f could only be written to 0 of the 1 minReplication nodes. "
                           "There are 0 datanode(s) running"));
    assert_int_equal(nn_members_add(&s.nn->blocks.members, slice_str("dn9"), slice_str("u9")), 0);
    ask.origin = origin();
    assert_int_equal(ask_nn(&s, ADD_BLOCK, &ask, &block), ERR_RETRY); /* it comes back, perhaps */
    assert_non_null(strstr(served_err.msg, "not back yet: File /f could only be written to 0"));
    assert_int_equal(the_journal.last, before);
}

static void a_pipeline_goes_on_under_a_new_stamp(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    struct cl2nn_new_stamp ask = {
        .origin = origin(), .file_id = file.file_id, .block = block.block};
    struct cl2nn_stamped stamp, again;
    assert_int_equal(ask_nn(&s, NEW_STAMP, &ask, &stamp), 0);
    assert_int_equal(ask_nn(&s, NEW_STAMP, &ask, &again), 0);
    assert_int_equal(stamp.gs, again.gs);
    struct slice node = slice_str("dn1");
    struct cl2nn_update_pipeline update = {.origin = origin(),
                                           .file_id = file.file_id,
                                           .block = block.block,
                                           .new_gs = stamp.gs,
                                           .new_len = 10,
                                           .nodes = {&node, 1}};
    assert_int_equal(ask_nn(&s, UPDATE_PIPELINE, &update, NULL), 0);
    struct cl2nn_extra_node extra = {.file_id = file.file_id, .have = {&node, 1}};
    struct cl2nn_nodes nodes;
    assert_int_equal(ask_nn(&s, EXTRA_NODE, &extra, &nodes), ERR_NONODE);
    struct cl2nn_abandon_block abandon = {
        .origin = origin(), .file_id = file.file_id, .block = {block.block.id, stamp.gs, 0}};
    assert_int_equal(ask_nn(&s, ABANDON_BLOCK, &abandon, NULL), 0);
    struct cl2nn_complete complete = {.origin = origin(), .file_id = file.file_id};
    assert_int_equal(ask_nn(&s, COMPLETE, &complete, NULL), 0);
}

/* ---- administration ---- */

static void the_report_tells_of_every_datanode(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_report report;
    assert_int_equal(ask_nn(&s, REPORT, NULL, &report), 0);
    assert_int_equal(report.nodes.n, 1);
    assert_true(slice_is(report.nodes.v[0].node.name, "dn1"));
    assert_true(slice_is(report.nodes.v[0].state, "live"));
    assert_true(slice_is(report.nodes.v[0].admin, "Normal"));
    assert_int_equal(report.capacity, 1ULL << 40);
    assert_true(slice_is(report.cluster_id, "test-cluster"));
    assert_true(clock_wall_ms() - report.nodes.v[0].last_contact_ms < 60000);
    struct cl2nn_server_info info;
    assert_int_equal(ask_nn(&s, SERVER_INFO, NULL, &info), 0);
    assert_true(info.is_superuser);
    assert_true(slice_is(info.user, "eve"));
    assert_int_equal(info.live_nodes, 1);
}

static uint64_t counter(const struct cl2nn_fsck_page *page, const char *name)
{
    for (size_t i = 0; i < page->counters.n; i++)
        if (slice_is(page->counters.v[i].name, name))
            return page->counters.v[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

static void fsck_finds_what_is_missing_page_by_page(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/d/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    struct msg_block done = {block.block.id, block.block.gs, 1000};
    report_block(done, DN2NN_RECEIVED);
    struct cl2nn_complete complete = {.origin = origin(), .file_id = file.file_id, .last = done};
    assert_int_equal(ask_nn(&s, COMPLETE, &complete, NULL), 0);
    struct cl2nn_fsck ask = {.path = slice_str("/"), .flags = CL2NN_FSCK_FILES | CL2NN_FSCK_BLOCKS};
    struct cl2nn_fsck_page page;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_int_equal(page.cursor.len, 0);
    assert_int_equal(counter(&page, "files"), 1);
    assert_int_equal(counter(&page, "dirs"), 2);
    assert_int_equal(counter(&page, "missing_blocks"), 0);
    char want[256];
    snprintf(want, sizeof(want),
             "\n/ <dir>\n/d <dir>\n/d/f 1000 bytes, replicated: replication=1, 1 block(s):  OK\n"
             "0. BP-%s:blk_%llu_%llu len=1000 Live_repl=1\n\n",
             s.nn->identity.cluster, (unsigned long long)done.id, (unsigned long long)done.gs);
    assert_true(slice_is(page.text, want));
    report_block(done, DN2NN_DELETED);
    ask.flags = 0;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_int_equal(counter(&page, "missing_blocks"), 1);
    assert_int_equal(counter(&page, "corrupt_files"), 1);
    assert_true(slice_is(page.text, "\n\n/d/f: MISSING 1 blocks of total size 1000 B."));
}

static void fsck_goes_on_behind_its_cursor_whatever_changed(void **state)
{
    (void)state;
    char path[32];
    for (int i = 0; i < 2500; i++) {
        struct nn_birth birth = {.id = s.nn->state.tree.next_id,
                                 .is_dir = true,
                                 .mode = 0755,
                                 .owner = slice_str("eve"),
                                 .group = slice_str("g")};
        uint32_t slot = 0;
        snprintf(path, sizeof(path), "e%05d", i);
        assert_int_equal(nn_tree_add(&s.nn->state.tree, NN_ROOT, slice_str(path), &birth, &slot),
                         0);
    }
    struct cl2nn_fsck ask = {.path = slice_str("/")};
    struct cl2nn_fsck_page page;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_int_equal(counter(&page, "dirs"), 2000);
    assert_true(slice_is(page.cursor, "/e01998"));
    struct cl2nn_delete remove = {origin(), slice_str("/e01998"), true};
    assert_int_equal(ask_nn(&s, DELETE, &remove, NULL), 0);
    ask.cursor = page.cursor;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_int_equal(counter(&page, "dirs"), 501);
    assert_int_equal(page.cursor.len, 0);
}

/* ---- silent writers ---- */

static void a_silent_writers_file_is_closed_by_the_namenode(void **state)
{
    (void)state;
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    nn_recovery_stop(&s.nn->recovery);
    assert_int_equal(nn_recovery_start(&s.nn->recovery, s.nn, 50), 0);
    uint64_t until = clock_mono_ms() + 4000;
    uint32_t slot = nn_tree_find(&s.nn->state.tree, slice_str("/f"));
    while (nn_inode(&s.nn->state.tree.store, slot)->is_open && clock_mono_ms() < until)
        loop_turn(s.loop, 10);
    assert_false(nn_inode(&s.nn->state.tree.store, slot)->is_open);
    struct cl2nn_complete complete = {.origin = origin(), .file_id = file.file_id};
    assert_int_equal(ask_nn(&s, COMPLETE, &complete, NULL), ERR_LEASE);
}

static void a_file_can_be_taken_over_after_the_soft_limit(void **state)
{
    (void)state;
    struct cl2nn_create ask = {.origin = {1, 1}, .path = slice_str("/f"), .mode = 0644};
    struct cl2nn_created file;
    assert_int_equal(ask_nn(&s, CREATE, &ask, &file), 0);
    ask.origin = (struct msg_origin){2, 1};
    assert_int_equal(ask_nn(&s, CREATE, &ask, &file), ERR_LEASE);
    s.nn->limits.lease_soft_ms = 0;
    assert_int_equal(ask_nn(&s, CREATE, &ask, &file), ERR_RETRY);
    assert_int_equal(ask_nn(&s, CREATE, &ask, &file), ERR_EXIST); /* closed, and a file like any */
}

static void a_lost_writers_block_is_settled_by_its_datanode(void **state)
{
    (void)state;
    register_datanode();
    struct cl2nn_created file;
    assert_int_equal(create_at("/f", &file), 0);
    struct msg_located_block block = add_block(file.file_id, (struct msg_block){0});
    report_block(block.block, DN2NN_RECEIVING);
    uint32_t slot = nn_tree_find(&s.nn->state.tree, slice_str("/f"));
    nn_recovery_begin(&s.nn->recovery, slot);
    assert_int_equal(
        nn_blockmap_get(s.nn->blocks.map, nn_blockmap_find(s.nn->blocks.map, block.block.id)).state,
        NN_BLOCK_UNDER_RECOVERY);
    struct nn_recovered result = {.block = nn_blockmap_find(s.nn->blocks.map, block.block.id),
                                  .gs = s.nn->state.next_gs - 1,
                                  .len = 321};
    nn_recovery_settled(&s.nn->recovery, &result);
    struct cl2nn_stat path = {slice_str("/f"), 0};
    struct msg_file now;
    assert_int_equal(ask_nn(&s, STAT, &path, &now), 0);
    assert_false(now.is_open);
    assert_int_equal(now.len, 321);
    nn_recovery_settled(&s.nn->recovery, &result); /* a late one finds a closed file */
    assert_int_equal(ask_nn(&s, STAT, &path, &now), 0);
    assert_int_equal(now.len, 321);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_made_can_be_seen_renamed_and_removed),
        CASE(a_directory_is_listed_in_pages),
        CASE(others_are_kept_out),
        CASE(a_huge_tree_is_looked_at_in_steps_and_nobody_waits),
        CASE(a_look_below_ends_with_the_namenode),
        CASE(safe_mode_refuses_changes_in_hadoops_words),
        CASE(nothing_is_answered_before_it_is_durable_not_even_a_question),
        CASE(names_in_a_held_answer_survive_their_deletion),
        CASE(names_in_a_held_access_list_survive_its_removal),
        CASE(a_repeated_request_gets_the_first_answer),
        CASE(a_full_journal_refuses_the_change_and_nothing_happens),
        CASE(little_room_means_safe_mode_until_there_is_more),
        CASE(while_the_namenode_starts_a_caller_is_told_to_come_again),
        CASE(a_file_is_written_closed_and_located),
        CASE(a_file_comes_with_its_first_block_and_a_repeat_names_the_same),
        CASE(a_file_gets_its_final_name_as_it_is_closed),
        CASE(close_waits_for_a_finalized_replica),
        CASE(close_without_replicas_says_come_again_before_the_deadline),
        CASE(a_repeated_add_block_names_the_same_block_and_nodes),
        CASE(without_datanodes_no_block_is_given_out),
        CASE(a_pipeline_goes_on_under_a_new_stamp),
        CASE(the_report_tells_of_every_datanode),
        CASE(fsck_finds_what_is_missing_page_by_page),
        CASE(fsck_goes_on_behind_its_cursor_whatever_changed),
        CASE(a_silent_writers_file_is_closed_by_the_namenode),
        CASE(a_file_can_be_taken_over_after_the_soft_limit),
        CASE(a_lost_writers_block_is_settled_by_its_datanode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
