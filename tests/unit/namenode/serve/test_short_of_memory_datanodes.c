/* SPDX-License-Identifier: Apache-2.0
 * short_of_memory_datanodes: everything that a datanode may tell, short of memory (shortage.h). */
#include "tests/unit/namenode/serve/shortage.h"

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
    must(cut(origin(), n));
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

#define DN(NAME) &DN2NN_methods[DN2NN_AT_##NAME]
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

static void every_word_of_a_datanode_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(reports); i++)
        total += try_all(&reports[i], ON_THE_WAY);
    assert_true(total > 10);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, shortage_setup, shortage_teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_word_of_a_datanode_survives_any_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
