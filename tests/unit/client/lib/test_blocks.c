/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/blocks.h"
#include "client/lib/checksum.h"
#include "libcommon/codec/digest.h"

static struct msg_node node = {.name = {(const uint8_t *)"n", 1}};

static struct msg_located_block at(uint64_t id, uint64_t offset, uint64_t len)
{
    return (struct msg_located_block){.block = {id, 1, len}, .offset = offset, .nodes = {&node, 1}};
}

static int merge(struct cl_blocks *blocks, struct msg_located_block *v, size_t n)
{
    const struct msg_located_block_list list = {v, n};
    return cl_blocks_merge(blocks, &list);
}

static void pages_join_in_any_order(void **state)
{
    (void)state;
    struct cl_blocks blocks = {0};
    struct msg_located_block later[] = {at(3, 200, 100), at(4, 300, 50)};
    struct msg_located_block first[] = {at(1, 0, 100), at(2, 100, 100)};
    assert_null(cl_blocks_find(&blocks, 0));
    assert_int_equal(merge(&blocks, later, 2), 0);
    assert_null(cl_blocks_find(&blocks, 199));
    assert_int_equal(merge(&blocks, first, 2), 0);
    assert_int_equal(blocks.n, 4);
    assert_int_equal(cl_blocks_find(&blocks, 0)->id, 1);
    assert_int_equal(cl_blocks_find(&blocks, 199)->id, 2);
    assert_int_equal(cl_blocks_find(&blocks, 200)->id, 3);
    assert_int_equal(cl_blocks_find(&blocks, 349)->id, 4);
    assert_null(cl_blocks_find(&blocks, 350));
    assert_int_equal(blocks.nodes.n, 1); /* the same node, kept once */
    cl_blocks_release(&blocks);
}

static void news_replace_what_was_known(void **state)
{
    (void)state;
    struct cl_blocks blocks = {0};
    struct msg_located_block old[] = {at(1, 0, 100), at(2, 100, 100), at(3, 200, 100)};
    struct msg_located_block fresh[] = {at(9, 100, 100)};
    assert_int_equal(merge(&blocks, old, 3), 0);
    assert_int_equal(merge(&blocks, fresh, 1), 0);
    assert_int_equal(blocks.n, 3);
    assert_int_equal(cl_blocks_find(&blocks, 150)->id, 9);
    assert_int_equal(cl_blocks_find(&blocks, 50)->id, 1);
    assert_int_equal(cl_blocks_find(&blocks, 250)->id, 3);
    cl_blocks_release(&blocks);
}

static void the_empty_end_of_an_open_file_grows(void **state)
{
    (void)state;
    struct cl_blocks blocks = {0};
    struct msg_located_block begun[] = {at(1, 0, 100), at(2, 100, 0)};
    struct msg_located_block grown[] = {at(2, 100, 70)};
    assert_int_equal(merge(&blocks, begun, 2), 0);
    assert_int_equal(cl_blocks_last(&blocks)->id, 2);
    assert_int_equal(merge(&blocks, grown, 1), 0);
    assert_int_equal(blocks.n, 2);
    assert_int_equal(cl_blocks_find(&blocks, 169)->id, 2);
    assert_int_equal(merge(&blocks, begun, 2), 0); /* and an older answer does no harm */
    assert_int_equal(blocks.n, 2);
    cl_blocks_release(&blocks);
}

static void what_could_be_read_of_an_open_block_stays_readable(void **state)
{
    (void)state;
    struct cl_blocks blocks = {0};
    struct msg_located_block told[] = {at(1, 0, 100), at(2, 100, 30)};
    assert_int_equal(merge(&blocks, told, 2), 0);
    cl_blocks_last(&blocks)->len = 90; /* its datanodes said so */
    assert_int_equal(merge(&blocks, told + 1, 1), 0);
    assert_int_equal(cl_blocks_find(&blocks, 189)->id, 2);
    struct msg_located_block other[] = {at(7, 100, 20)}; /* another file by that name: not kept */
    assert_int_equal(merge(&blocks, other, 1), 0);
    assert_null(cl_blocks_find(&blocks, 120));
    cl_blocks_release(&blocks);
}

static void an_answer_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct cl_blocks blocks = {0};
    struct msg_located_block overlap[] = {at(1, 0, 100), at(2, 50, 100)};
    struct msg_located_block huge[] = {at(1, 0, UINT64_MAX)};
    assert_int_equal(merge(&blocks, overlap, 2), ERR_PROTO);
    assert_int_equal(merge(&blocks, huge, 1), ERR_PROTO);
    assert_int_equal(blocks.n, 0);
    cl_blocks_release(&blocks);
}

static void memory_that_runs_out_changes_nothing(void **state)
{
    (void)state;
    struct msg_located_block page[] = {at(1, 0, 100), at(2, 100, 100)};
    for (uint64_t n = 1; n < 20; n++) {
        struct cl_blocks blocks = {0};
        mem_fail_after(n);
        int rc = merge(&blocks, page, 2);
        bool has_failed = mem_has_failed();
        mem_fail_after(0);
        assert_int_equal(rc, has_failed ? ERR_NOMEM : 0);
        assert_int_equal(blocks.n, has_failed ? 0 : 2);
        cl_blocks_release(&blocks);
        if (!has_failed)
            break;
    }
}

/* --- checksum --------------------------------------------------------------------------------- */

static void an_empty_file_has_the_checksum_it_always_had(void **state)
{
    (void)state;
    struct cl_checksum sum;
    char text[64], name[64];
    assert_int_equal(cl_checksum_combine(NULL, 0, 0, &sum), 0);
    assert_string_equal(digest_text(sum.bytes, CL_CHECKSUM_BYTES, text),
                        "00000000000000000000000070bc8f4b72a86921468bf8e8441dce51");
    assert_string_equal(cl_checksum_name(&sum, name, sizeof(name)), "MD5-of-0MD5-of-0CRC32");
}

static void several_blocks_say_how_many_sums_a_block_has(void **state)
{
    (void)state;
    struct cl_checksum sum;
    uint8_t md5s[3 * DIGEST_MD5_SIZE] = {1, 2, 3}, want[DIGEST_MD5_SIZE], padded[64] = {1, 2, 3};
    char name[64];
    assert_int_equal(cl_checksum_combine(md5s, 3, 128 << 20, &sum), 0);
    assert_string_equal(cl_checksum_name(&sum, name, sizeof(name)),
                        "MD5-of-262144MD5-of-512CRC32C");
    assert_int_equal(digest_of(DIGEST_MD5, slice_of(padded, sizeof(padded)), want), 0);
    assert_memory_equal(sum.bytes + 12, want, DIGEST_MD5_SIZE);
    assert_int_equal(cl_checksum_combine(md5s, 1, 128 << 20, &sum), 0);
    assert_string_equal(cl_checksum_name(&sum, name, sizeof(name)), "MD5-of-0MD5-of-512CRC32C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_join_in_any_order),
        cmocka_unit_test(news_replace_what_was_known),
        cmocka_unit_test(the_empty_end_of_an_open_file_grows),
        cmocka_unit_test(what_could_be_read_of_an_open_block_stays_readable),
        cmocka_unit_test(an_answer_that_makes_no_sense_is_refused),
        cmocka_unit_test(memory_that_runs_out_changes_nothing),
        cmocka_unit_test(an_empty_file_has_the_checksum_it_always_had),
        cmocka_unit_test(several_blocks_say_how_many_sums_a_block_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
