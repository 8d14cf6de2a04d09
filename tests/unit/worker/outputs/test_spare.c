/* SPDX-License-Identifier: Apache-2.0
 * Memory files that are kept: who gets which, and when they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/outputs/segments.h"

#define KEEP 1000
#define MIB  ((uint64_t)1 << 20)

static struct spares spares;
static struct leavings at_once; /* has no threads */

static int begin(void **state)
{
    (void)state;
    spares_init(&spares, KEEP, &at_once);
    return 0;
}

static int end(void **state)
{
    (void)state;
    spares_release(&spares);
    assert_int_equal(spares.bytes, 0);
    return 0;
}

static int put(uint64_t len, uid_t uid, uint64_t now)
{
    int fd = memfd_create("spare", MFD_CLOEXEC);
    assert_true(fd >= 0);
    spares_put(&spares, &(struct spare){fd, len, uid, now});
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static void take(uid_t uid, uint64_t wanted, uint64_t most, uint64_t expected)
{
    struct spare spare = spares_take(&spares, uid, wanted, most);
    assert_int_equal(spare.fd >= 0, expected > 0);
    if (expected)
        assert_int_equal(spare.len, expected);
    if (spare.fd >= 0)
        close(spare.fd);
}

static void the_shortest_that_is_long_enough_is_taken(void **state)
{
    (void)state;
    put(300, 7, 0);
    put(100, 7, 0);
    put(200, 7, 0);
    assert_int_equal(spares.bytes, 600);
    take(7, 150, 1000, 200);
    take(7, 150, 1000, 300);
    take(7, 150, 1000, 100); /* too short, but better than nothing */
    take(7, 150, 1000, 0);
    assert_int_equal(spares.bytes, 0);
}

static void the_longest_of_those_that_are_too_short_is_taken(void **state)
{
    (void)state;
    put(50, 7, 0);
    put(80, 7, 0);
    put(60, 7, 0);
    take(7, 100, 1000, 80);
}

static void none_is_longer_than_what_may_be_used(void **state)
{
    (void)state;
    put(300, 7, 0);
    take(7, 100, 299, 0);
    take(7, 100, 300, 300);
}

static void none_is_taken_of_which_most_would_be_cut_off(void **state)
{
    (void)state;
    put(401, 7, 0);
    take(7, 100, 1000, 0);
    take(7, 101, 1000, 401);
    put(1000, 7, 0);
    take(7, UINT64_MAX / 2, UINT64_MAX, 1000);
}

static void a_task_gets_what_fits_the_output_its_job_is_known_for(void **state)
{
    (void)state;
    struct segments segments;
    struct spare spare;
    struct segments_wish wish = {64 * MIB, 10 * MIB, 7, 0};
    segments_init(&segments, 200 * MIB, KEEP, &at_once);
    for (int i = 0; i < 3; i++) {
        int fd = memfd_create("spare", MFD_CLOEXEC);
        spares_put(&segments.spares, &(struct spare){fd, 11 * MIB, 7, 0});
    }
    wish.output_bytes = 2 * MIB; /* a word count: eleven would be cut to two */
    assert_true(segments_offer(&segments, &wish, &spare) >= 11 * MIB);
    assert_int_equal(spare.fd, -1);
    wish.output_bytes = 5 * MIB;
    segments_offer(&segments, &wish, &spare);
    assert_true(spare.fd >= 0);
    close(spare.fd);
    wish.output_bytes = 0;
    segments_offer(&segments, &wish, &spare);
    assert_true(spare.fd >= 0);
    close(spare.fd);
    assert_int_equal(segments.spares.count, 1);
    segments_release(&segments);
}

static void nobody_gets_what_another_user_wrote(void **state)
{
    (void)state;
    put(300, 7, 0);
    take(8, 100, 1000, 0);
    take(7, 100, 1000, 300);
}

static void the_oldest_make_room(void **state)
{
    (void)state;
    int first = put(300, 7, 0), second = put(100, 7, 0);
    spares_trim(&spares, 399);
    assert_false(is_open(first));
    assert_true(is_open(second));
    assert_int_equal(spares.bytes, 100);
    spares_trim(&spares, 0);
    assert_false(is_open(second));
}

static void what_was_kept_long_enough_goes(void **state)
{
    (void)state;
    int first = put(300, 7, 0), second = put(100, 7, 10), third = put(100, 7, 500);
    spares_expire(&spares, KEEP - 1);
    assert_true(is_open(first));
    spares_expire(&spares, KEEP + 10);
    assert_false(is_open(first));
    assert_false(is_open(second));
    assert_true(is_open(third));
    assert_int_equal(spares.bytes, 100);
}

static void their_number_is_bounded(void **state)
{
    (void)state;
    int first = put(1, 7, 0);
    for (size_t i = 0; i < SPARES_MAX; i++)
        put(2, 7, 0);
    assert_false(is_open(first));
    assert_int_equal(spares.bytes, 2 * SPARES_MAX);
}

static void nothing_is_kept_where_nothing_is_to_be(void **state)
{
    (void)state;
    int empty = put(0, 7, 0);
    assert_false(is_open(empty));
    spares.keep_ms = 0;
    int file = put(300, 7, 0);
    assert_false(is_open(file));
    assert_int_equal(spares.bytes, 0);
}

static void what_is_kept_and_what_is_offered_stay_within_the_limit(void **state)
{
    (void)state;
    struct segments segments;
    struct spare spare;
    const struct segments_wish wish = {64 * MIB, 10 * MIB, 7, 0};
    segments_init(&segments, 200 * MIB, KEEP, &at_once);
    for (int i = 0; i < 18; i++) {
        int fd = memfd_create("spare", MFD_CLOEXEC);
        spares_put(&segments.spares, &(struct spare){fd, 11 * MIB, 7, 0});
    }
    for (int i = 0; i < 10; i++) {
        uint64_t offer = segments_offer(&segments, &wish, &spare);
        segments.memory_used += offer;
        assert_true(segments.memory_used + segments.spares.bytes <= segments.memory_max);
        if (spare.fd < 0)
            assert_int_equal(segments.spares.count, 0);
        else
            assert_true(offer >= spare.len);
        if (spare.fd >= 0)
            close(spare.fd);
    }
    assert_true(segments.memory_used > 150 * MIB);
    segments_release(&segments);
}

static void an_output_of_a_usual_length_is_not_kept_out_by_what_is_kept(void **state)
{
    (void)state;
    struct segments segments;
    struct spare spare;
    segments_init(&segments, 200 * MIB, KEEP, &at_once);
    int fd = memfd_create("spare", MFD_CLOEXEC);
    spares_put(&segments.spares, &(struct spare){fd, 200 * MIB, 8, 0});
    uint64_t offer =
        segments_offer(&segments, &(struct segments_wish){64 * MIB, 10 * MIB, 7, 0}, &spare);
    assert_int_equal(spare.fd, -1);
    assert_true(offer >= 40 * MIB);
    assert_false(is_open(fd));
    segments_release(&segments);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_shortest_that_is_long_enough_is_taken),
        CASE(the_longest_of_those_that_are_too_short_is_taken),
        CASE(none_is_longer_than_what_may_be_used),
        CASE(none_is_taken_of_which_most_would_be_cut_off),
        CASE(a_task_gets_what_fits_the_output_its_job_is_known_for),
        CASE(nobody_gets_what_another_user_wrote),
        CASE(the_oldest_make_room),
        CASE(what_was_kept_long_enough_goes),
        CASE(their_number_is_bounded),
        CASE(nothing_is_kept_where_nothing_is_to_be),
        CASE(what_is_kept_and_what_is_offered_stay_within_the_limit),
        CASE(an_output_of_a_usual_length_is_not_kept_out_by_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
