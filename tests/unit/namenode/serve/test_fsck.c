/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/serve/served.h"

#include "libcommon/base/clock.h"
#include "namenode/blocks/events.h"

static struct served s;

static int setup(void **state)
{
    (void)state;
    served_conf(&s);
    served_start(&s, "eve"); /* of the supergroup */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_stop(&s);
    return 0;
}

static struct nn_blocks *blocks(void)
{
    return &s.nn->blocks;
}

static uint32_t add_node(const char *name, const char *rack)
{
    uint32_t node = 0;
    char uuid[32], disk[32];
    snprintf(uuid, sizeof(uuid), "uuid-%s", name);
    snprintf(disk, sizeof(disk), "DS-%s", name);
    const struct nn_storage_facts storage = {
        .id = slice_str(disk), .capacity = 1ULL << 40, .remaining = 1ULL << 40};
    const struct nn_registration reg = {.address = {.name = slice_str(name),
                                                    .host = slice_str("h"),
                                                    .rack = slice_str(rack),
                                                    .data_port = 9866},
                                        .uuid = slice_str(uuid),
                                        .storages = &storage,
                                        .storage_count = 1};
    assert_int_equal(nn_blocks_register(blocks(), &reg, clock_mono_ms(), &node, NULL), 0);
    return node;
}

static void receive(uint32_t node, uint64_t id, enum nn_change change)
{
    const struct nn_said said = {id, 1, 100, NN_REPLICA_FINALIZED};
    const struct nn_storage *disk =
        nn_nodes_storage(&blocks()->nodes, nn_nodes_get(&blocks()->nodes, node)->storages[0]);
    assert_int_equal(
        nn_blocks_change(blocks(), node, slice_str(disk->id), change, &said, clock_mono_ms()), 0);
}

/* A closed file below "/", whose blocks of 100 bytes have ids from first_id on; its slot. */
static uint32_t add_file(const char *name, uint32_t count, uint64_t first_id, uint32_t want)
{
    struct nn_tree *tree = &s.nn->state.tree;
    const struct nn_birth birth = {.id = tree->next_id,
                                   .mode = 0640,
                                   .owner = slice_str("eve"),
                                   .group = slice_str("g"),
                                   .replication = want,
                                   .block_size = 1 << 20};
    uint32_t slot = 0;
    assert_int_equal(nn_tree_add(tree, NN_ROOT, slice_str(name), &birth, &slot), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct nn_inode *inode = nn_inode(&tree->store, slot);
        const struct nn_block block = {.id = first_id + i,
                                       .gs = 1,
                                       .len = 100,
                                       .file = slot,
                                       .want = (uint16_t)want,
                                       .state = NN_BLOCK_COMPLETE};
        uint32_t index = 0;
        assert_int_equal(nn_blocks_add(blocks(), &block, inode->last_block, &index), 0);
        if (!inode->first_block)
            inode->first_block = index;
        inode->last_block = index;
        inode->block_count++;
    }
    nn_tree_set_len(tree, slot, 100ULL * count);
    return slot;
}

/* All pages of a check: text added up, counters too. */
struct answer {
    struct buf text, corrupt;
    uint64_t pages, slowest_ms, seen[8];
    char failure[200];
};
static const char *const watched[] = {"files",          "blocks", "mis",   "missing_blocks",
                                      "corrupt_blocks", "queued", "under", "dirs"};
enum { FILES, BLOCKS, MIS, MISSING, CORRUPT, QUEUED, UNDER, DIRS };

static void check(uint32_t flags, const char *path, struct answer *ret)
{
    struct buf cursor = BUF_INIT, place = BUF_INIT;
    *ret = (struct answer){.text = BUF_INIT};
    do {
        const struct cl2nn_fsck ask = {.path = slice_str(path),
                                       .cursor = buf_slice(&cursor),
                                       .flags = flags,
                                       .state = buf_slice(&place)};
        struct cl2nn_fsck_page page;
        uint64_t began = clock_mono_ms();
        assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
        uint64_t took = clock_mono_ms() - began;
        ret->slowest_ms = took > ret->slowest_ms ? took : ret->slowest_ms;
        ret->pages++;
        buf_append_slice(&ret->text, page.text);
        for (size_t i = 0; i < page.corrupt.n; i++)
            buf_append_slice(&ret->corrupt, page.corrupt.v[i]);
        for (size_t i = 0; i < page.counters.n; i++)
            for (size_t k = 0; k < ARRAY_LEN(watched); k++)
                if (slice_is(page.counters.v[i].name, watched[k]))
                    ret->seen[k] += page.counters.v[i].value;
        if (page.failure.len)
            snprintf(ret->failure, sizeof(ret->failure), SLICE_FMT, SLICE_ARG(page.failure));
        buf_clear(&cursor);
        buf_append_slice(&cursor, page.cursor);
        buf_clear(&place);
        buf_append_slice(&place, page.state);
    } while (cursor.len);
    buf_release(&cursor);
    buf_release(&place);
}

static void forget(struct answer *a)
{
    buf_release(&a->text);
    buf_release(&a->corrupt);
}

static unsigned count_words(struct answer *a, const char *words)
{
    unsigned n = 0;
    for (const char *at = buf_cstr(&a->text); at && (at = strstr(at, words)); at++)
        n++;
    return n;
}

static void a_file_of_many_blocks_is_checked_in_pages(void **state)
{
    (void)state;
    struct answer a;
    uint32_t node = add_node("dn1", "/r");
    add_file("big", 9000, 1000, 1);
    add_file("next", 1, 20000, 1);
    for (uint64_t id = 1000; id < 10000; id++)
        if (id != 9500)
            receive(node, id, NN_CHANGE_RECEIVED);
    receive(node, 20000, NN_CHANGE_RECEIVED);
    check(CL2NN_FSCK_FILES | CL2NN_FSCK_BLOCKS | CL2NN_FSCK_NAME_CORRUPT, "/", &a);
    assert_true(a.pages > 8); /* 9000 blocks, judged and printed, 2000 a page */
    assert_int_equal(a.seen[FILES], 2);
    assert_int_equal(a.seen[BLOCKS], 9001);
    assert_int_equal(a.seen[MISSING], 1);
    assert_int_equal(
        count_words(&a, "/big 900000 bytes, replicated: replication=1, 9000 block(s):"), 1);
    assert_int_equal(count_words(&a, " MISSING 1 blocks of total size 100 B\n"), 1);
    assert_int_equal(count_words(&a, "len=100 Live_repl=1\n"), 9000);
    assert_int_equal(count_words(&a, "\n8999. BP-"), 1);
    assert_int_equal(count_words(&a, " OK\n"), 1);
    assert_true(slice_is(buf_slice(&a.corrupt), "/big"));
    forget(&a);
}

/* A page that ended in the middle of it must not go on in whatever has its name or place now. */
static void a_file_that_goes_while_it_is_checked_is_let_go(void **state)
{
    (void)state;
    add_node("dn1", "/r");
    uint32_t slot = add_file("big", 5000, 1000, 1);
    add_file("next", 1, 20000, 1);
    struct cl2nn_fsck ask = {.path = slice_str("/"), .flags = CL2NN_FSCK_FILES};
    struct cl2nn_fsck_page page;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_true(slice_is(page.cursor, "/big"));
    const struct cl2nn_delete remove = {{7, 1}, slice_str("/big"), true};
    assert_int_equal(ask_nn(&s, DELETE, &remove, NULL), 0);
    (void)slot;
    ask.cursor = slice_str("/big");
    uint8_t place[80];
    memcpy(place, page.state.data, sizeof(place));
    ask.state = slice_of(place, sizeof(place));
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    assert_int_equal(page.cursor.len, 0);
    assert_non_null(memmem(page.text.data, page.text.len, "/next 100 bytes", 15));
    assert_null(memmem(page.text.data, page.text.len, "4999", 4));
}

static void a_place_that_somebody_made_up_does_no_harm(void **state)
{
    (void)state;
    uint8_t place[80];
    add_file("f", 3, 1000, 1);
    memset(place, 0xff, sizeof(place));
    const struct cl2nn_fsck ask = {.path = slice_str("/"),
                                   .cursor = slice_str("/f"),
                                   .flags = CL2NN_FSCK_FILES,
                                   .state = slice_of(place, sizeof(place))};
    struct cl2nn_fsck_page page;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
}

static void no_page_holds_the_loop_for_long(void **state)
{
    (void)state;
    struct answer a;
    char name[32];
    uint32_t node = add_node("dn1", "/r");
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "f%06u", i);
        add_file(name, 1, 1000 + i, 1);
        receive(node, 1000 + i, NN_CHANGE_RECEIVED);
    }
    check(CL2NN_FSCK_FILES | CL2NN_FSCK_BLOCKS | CL2NN_FSCK_LOCATIONS, "/", &a);
    assert_int_equal(a.seen[FILES], 5000);
    assert_true(a.pages >= 5);
#ifndef QUERN_DEBUG /* sanitizers take ten times as long; other processes may take any time */
    assert_true(a.slowest_ms <= 100);
#endif
    print_message("fsck: slowest of %u pages: %u ms\n", (unsigned)a.pages, (unsigned)a.slowest_ms);
    forget(&a);
}

static void a_block_on_one_rack_of_two_is_told_and_mended_on_request(void **state)
{
    (void)state;
    struct answer a;
    uint32_t one = add_node("dn1", "/r1"), two = add_node("dn2", "/r1");
    add_node("dn3", "/r2");
    add_file("f", 1, 1000, 2);
    receive(one, 1000, NN_CHANGE_RECEIVED);
    receive(two, 1000, NN_CHANGE_RECEIVED);
    check(CL2NN_FSCK_RACKS, "/", &a);
    assert_int_equal(a.seen[MIS], 1);
    assert_int_equal(a.seen[QUEUED], 0);
    char want[300];
    snprintf(want, sizeof(want),
             "\n\n/f:  Replica placement policy is violated for BP-%s:blk_1000_1. Block should be "
             "additionally replicated on 1 more rack(s). Total number of racks in the cluster: 2\n",
             s.nn->identity.cluster);
    assert_string_equal(buf_cstr(&a.text), want);
    forget(&a);
    check(CL2NN_FSCK_REPLICATE, "/", &a);
    assert_int_equal(a.seen[QUEUED], 1);
    forget(&a);
}

static void the_racks_of_each_replica_are_shown(void **state)
{
    (void)state;
    struct answer a;
    uint32_t one = add_node("dn1", "/r1"), two = add_node("dn2", "/r2");
    add_file("f", 1, 1000, 2);
    receive(one, 1000, NN_CHANGE_RECEIVED);
    receive(two, 1000, NN_CHANGE_RECEIVED);
    check(CL2NN_FSCK_FILES | CL2NN_FSCK_BLOCKS | CL2NN_FSCK_RACKS | CL2NN_FSCK_DOMAINS |
              CL2NN_FSCK_DETAILS,
          "/", &a);
    assert_int_equal(count_words(&a,
                                 " Live_repl=2  [/r1/h:9866(ud=undefined)(STALE_BLOCK_CONTENT), "
                                 "/r2/h:9866(ud=undefined)(STALE_BLOCK_CONTENT)]\n"),
                     1);
    forget(&a);
}

static void a_block_with_only_bad_replicas_is_corrupt_and_not_missing(void **state)
{
    (void)state;
    struct answer a;
    uint32_t node = add_node("dn1", "/r");
    add_file("f", 1, 1000, 1);
    receive(node, 1000, NN_CHANGE_RECEIVED);
    receive(node, 1000, NN_CHANGE_BAD);
    check(CL2NN_FSCK_NAME_CORRUPT, "/", &a);
    assert_int_equal(a.seen[CORRUPT], 1);
    assert_int_equal(a.seen[MISSING], 0);
    assert_int_equal(count_words(&a, "/f: CORRUPT 1 blocks of total size 100 B."), 1);
    const struct slice names[] = {slice_str("blk_1000"), slice_str("nonsense"), slice_str("blk_7")};
    const struct cl2nn_fsck ask = {.path = slice_str("/"), .blocks = {names, 3}};
    struct cl2nn_fsck_page page;
    assert_int_equal(ask_nn(&s, FSCK, &ask, &page), 0);
    static const char want[] = "\nBlock Id: blk_1000\nBlock belongs to: /f\n"
                               "No. of Expected Replica: 1\nNo. of live Replica: 0\n"
                               "No. of excess Replica: 0\nNo. of stale Replica: 1\n"
                               "No. of decommissioned Replica: 0\n"
                               "No. of decommissioning Replica: 0\nNo. of corrupted Replica: 1\n"
                               "Block replica on datanode/rack: h/r is CORRUPT\t ReasonCode: "
                               "CORRUPTION_REPORTED\n"
                               "Incorrect blockId format: nonsense\n"
                               "\nBlock blk_7 does not exist\n";
    assert_true(slice_is(page.text, want));
    forget(&a);
}

static void who_may_not_look_gets_what_came_before_and_why(void **state)
{
    (void)state;
    struct answer a;
    add_file("closed", 1, 1000, 1);
    struct identity bob = {.role = WIRE_CLIENT, .user = "bob"};
    struct rpc_link *eve = s.client;
    s.client = served_link(&s, &bob);
    check(CL2NN_FSCK_FILES, "/", &a);
    assert_string_equal(buf_cstr(&a.text), "\n/ <dir>\n");
    assert_non_null(
        strstr(a.failure, "Permission denied: user=bob, access=READ, inode=\"/closed\""));
    assert_int_equal(a.seen[FILES], 0);
    struct cl2nn_fsck ask = {.path = slice_str("/"), .flags = CL2NN_FSCK_LIST_CORRUPT};
    assert_int_equal(ask_nn(&s, FSCK, &ask, NULL), ERR_ACCESS);
    const struct slice name = slice_str("blk_1000");
    ask = (struct cl2nn_fsck){.path = slice_str("/"), .blocks = {&name, 1}};
    assert_int_equal(ask_nn(&s, FSCK, &ask, NULL), ERR_ACCESS);
    rpc_link_close(s.client);
    s.client = eve;
    forget(&a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_of_many_blocks_is_checked_in_pages),
        TEST(a_file_that_goes_while_it_is_checked_is_let_go),
        TEST(a_place_that_somebody_made_up_does_no_harm),
        TEST(no_page_holds_the_loop_for_long),
        TEST(a_block_on_one_rack_of_two_is_told_and_mended_on_request),
        TEST(the_racks_of_each_replica_are_shown),
        TEST(a_block_with_only_bad_replicas_is_corrupt_and_not_missing),
        TEST(who_may_not_look_gets_what_came_before_and_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
