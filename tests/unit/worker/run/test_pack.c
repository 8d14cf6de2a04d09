/* SPDX-License-Identifier: Apache-2.0
 * Frames, and the choice between packing a run and leaving it as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "libcommon/codec/lz4.h"
#include "worker/run/pack.h"

#define MIB ((uint64_t)1 << 20)

static void a_frame_of_any_length_and_content_fits_its_room(void **state)
{
    (void)state;
    static uint8_t plain[PACK_FRAME], out[PACK_ROOM], back[PACK_FRAME];
    struct rand rand;
    struct pack_frame frame;
    rand_init(&rand, 1);
    assert_true(PACK_ROOM >= PACK_HEAD + lz4_bound(PACK_FRAME));
    for (int round = 0; round < 400; round++) {
        size_t len = round < 2 ? PACK_FRAME : 1 + (size_t)rand_below(&rand, PACK_FRAME);
        unsigned letters = round % 2 ? 256 : 3;
        for (size_t i = 0; i < len; i++)
            plain[i] = (uint8_t)rand_below(&rand, letters);
        size_t n = pack_frame_make(slice_of(plain, len), out);
        assert_true(n <= PACK_HEAD + len);
        assert_true(pack_head_read(out, &frame));
        assert_int_equal(frame.plain, len);
        assert_int_equal(frame.stored, n - PACK_HEAD);
        if (frame.is_as_it_is)
            assert_memory_equal(out + PACK_HEAD, plain, len);
        else
            assert_int_equal(lz4_decode(slice_of(out + PACK_HEAD, (size_t)frame.stored), back, len),
                             0);
        if (!frame.is_as_it_is)
            assert_memory_equal(back, plain, len);
        assert_true(round % 2 == 0 || frame.is_as_it_is);
    }
}

static void heads_that_nobody_wrote_are_refused(void **state)
{
    (void)state;
    const uint64_t wrong[] = {0,
                              (uint64_t)1 << 63,
                              100,
                              (uint64_t)100 << 32,
                              (uint64_t)10 << 32 | (PACK_FRAME + 1),
                              (uint64_t)(PACK_FRAME + 1) << 32 | 10};
    struct pack_frame frame;
    uint8_t head[PACK_HEAD];
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        put_u64(head, wrong[i]);
        assert_false(pack_head_read(head, &frame));
    }
    pack_head_plain(head, (uint64_t)5 << 32);
    assert_true(pack_head_read(head, &frame));
    assert_true(frame.is_as_it_is && frame.plain == (uint64_t)5 << 32);
}

/* A disk of so many MB a second, and lz4 of so many that leaves so many percent. */
static bool decide(struct run_packing *p, uint64_t disk, uint64_t lz4, uint64_t left)
{
    for (int i = 0; i < 40; i++) {
        run_packing_wrote(p, 16 * MIB, 16 * MIB / disk);
        run_packing_packed(p, MIB, MIB * left / 100, MIB / lz4);
    }
    return run_packing_decide(p);
}

static void runs_are_packed_where_the_disk_is_slower_than_lz4(void **state)
{
    (void)state;
    assert_true(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 100, 500, 40));
    assert_true(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 400, 500, 40));
    assert_false(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 600, 500, 40));
    assert_false(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 3000, 500, 40));
    assert_true(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 3000, 9000, 40));
}

static void what_does_not_become_less_is_not_packed(void **state)
{
    (void)state;
    assert_true(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 10, 500, 79));
    assert_false(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 10, 500, 85));
    assert_false(decide(&(struct run_packing){.when = PACK_WHERE_SLOW}, 1, 500, 101));
}

static void nothing_is_packed_before_something_is_known(void **state)
{
    (void)state;
    struct run_packing p = {.when = PACK_WHERE_SLOW};
    assert_false(run_packing_decide(&p));
    assert_true(run_packing_wants_sample(&p));
    run_packing_wrote(&p, 64 * MIB, 10 * MIB);
    assert_false(run_packing_decide(&p));
    run_packing_packed(&p, 16384, 4000, 30);
    assert_true(run_packing_decide(&p));
    assert_false(run_packing_wants_sample(&p));
    run_packing_wrote(&p, 64 * MIB, 10 * MIB);
    assert_true(run_packing_wants_sample(&p));
    p = (struct run_packing){.when = PACK_WHERE_SLOW};
    run_packing_packed(&p, 16384, 4000, 30);
    run_packing_wrote(&p, 1 * MIB, 10 * MIB);
    assert_false(run_packing_decide(&p));
}

static void a_disk_that_is_relieved_is_still_the_same_disk(void **state)
{
    (void)state;
    struct run_packing p = {.when = PACK_WHERE_SLOW};
    assert_false(decide(&p, 700, 500, 40));
    assert_true(decide(&p, 300, 500, 40));
    assert_true(decide(&p, 700, 500, 40));
    assert_false(decide(&p, 2000, 500, 40));
    assert_false(decide(&p, 700, 500, 40));
}

static void who_says_so_has_his_way(void **state)
{
    (void)state;
    assert_int_equal(pack_when_of(NULL), PACK_WHERE_SLOW);
    assert_int_equal(pack_when_of("auto"), PACK_WHERE_SLOW);
    assert_int_equal(pack_when_of("true"), PACK_ALWAYS);
    assert_int_equal(pack_when_of("false"), PACK_NEVER);
    struct run_packing never = {.when = PACK_NEVER}, always = {.when = PACK_ALWAYS};
    assert_false(decide(&never, 10, 500, 40));
    assert_false(run_packing_wants_sample(&never));
    assert_true(run_packing_decide(&always));
    assert_true(decide(&always, 3000, 500, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_of_any_length_and_content_fits_its_room),
        cmocka_unit_test(heads_that_nobody_wrote_are_refused),
        cmocka_unit_test(runs_are_packed_where_the_disk_is_slower_than_lz4),
        cmocka_unit_test(what_does_not_become_less_is_not_packed),
        cmocka_unit_test(nothing_is_packed_before_something_is_known),
        cmocka_unit_test(a_disk_that_is_relieved_is_still_the_same_disk),
        cmocka_unit_test(who_says_so_has_his_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
