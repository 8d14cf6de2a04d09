/* SPDX-License-Identifier: Apache-2.0
 * wal: what it does while nothing goes wrong, and how it answers when a directory or the room goes.
 * Crashes are in test_walcrash.c, damage in test_walrot.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "libcommon/store/walmark.h"
#include "tests/sim/disk.h"

#define SEGMENT 16384

static struct sim_disk *sim;
static struct disk *d;
static struct wal *wal;
static struct buf notes;
static uint64_t now;
static const char *const both[] = {"/a", "/b"};
static struct wal_options options;

static void note(void *arg, const char *line)
{
    (void)arg;
    buf_printf(&notes, "%s\n", line);
}

static const char *noted(void)
{
    const char *text = buf_cstr(&notes);
    return text ? text : "";
}

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    now = 1000;
    options = (struct wal_options){
        .disk = d, .dirs = both, .dir_count = 2, .segment_bytes = SEGMENT, .notify = note};
    return fsutil_mkdirs(d, "/a", NULL) || fsutil_mkdirs(d, "/b", NULL) ||
           wal_create(&options, 77, 1, NULL) || wal_open(&options, &wal, NULL);
}

static int teardown(void **state)
{
    (void)state;
    wal_abandon(wal);
    wal = NULL;
    buf_release(&notes);
    sim_disk_free(sim);
    return 0;
}

static uint64_t append(const char *text)
{
    uint64_t index = 0;
    assert_int_equal(wal_append(wal, 1, 5, slice_str(text), &index), 0);
    return index;
}

static int commit(struct err *err)
{
    struct wal_batch *batch = wal_take_batch(wal, now);
    if (!batch)
        return 0;
    wal_write_batch(batch);
    return wal_batch_done(wal, batch, err);
}

static int collect(void *arg, const struct wal_record *record)
{
    buf_printf(arg, "%llu:%llu:%u:%.*s ", (unsigned long long)record->index,
               (unsigned long long)record->term, record->type, SLICE_ARG(record->payload));
    return 0;
}

static char *contents(uint64_t from)
{
    static char text[8192];
    struct buf out = BUF_INIT;
    assert_int_equal(wal_replay(wal, from, collect, &out, NULL), 0);
    snprintf(text, sizeof(text), "%.*s", (int)out.len, out.len ? (char *)out.data : "");
    buf_release(&out);
    return text;
}

static void reopen(void)
{
    struct err err = {0};
    assert_int_equal(wal_close(wal, &err), 0);
    wal = NULL;
    if (wal_open(&options, &wal, &err) != 0)
        fail_msg("%s", err.msg);
}

static bool has(const char *path)
{
    struct disk_stat st;
    return disk_stat(d, path, &st) == 0;
}

static bool same_files(const char *name)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    char path[64];
    snprintf(path, sizeof(path), "/a/%s", name);
    int rc = fsutil_read_all(d, path, SIZE_MAX, &a, NULL);
    path[1] = 'b';
    rc |= fsutil_read_all(d, path, SIZE_MAX, &b, NULL);
    bool same = rc == 0 && slice_eq(buf_slice(&a), buf_slice(&b));
    buf_release(&a);
    buf_release(&b);
    return same;
}

static void records_come_back_in_order_with_all_they_had(void **state)
{
    (void)state;
    uint64_t index = 0;
    assert_int_equal(wal_last(wal), 0);
    assert_int_equal(wal_first(wal), 1);
    assert_int_equal(append("one"), 1);
    assert_int_equal(wal_append(wal, 3, 9, slice_str(""), &index), 0);
    assert_int_equal(append("three"), 3);
    assert_int_equal(wal_durable(wal), 0);
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(wal_durable(wal), 3);
    reopen();
    assert_string_equal(contents(1), "1:1:5:one 2:3:9: 3:1:5:three ");
    assert_string_equal(contents(3), "3:1:5:three ");
    assert_int_equal(wal_last(wal), 3);
    assert_int_equal(append("four"), 4);
    reopen();
    assert_string_equal(contents(3), "3:1:5:three 4:1:5:four ");
    assert_string_equal(noted(), "");
}

static void what_comes_during_a_commit_goes_with_the_next(void **state)
{
    (void)state;
    append("a");
    struct wal_batch *batch = wal_take_batch(wal, now);
    append("b");
    append("c");
    assert_null(wal_take_batch(wal, now));
    wal_write_batch(batch);
    assert_int_equal(wal_durable(wal), 0);
    assert_int_equal(wal_batch_done(wal, batch, NULL), 0);
    assert_int_equal(wal_durable(wal), 1);
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(wal_durable(wal), 3);
    assert_null(wal_take_batch(wal, now));
}

static void segments_follow_one_another(void **state)
{
    (void)state;
    char big[5000], name[64];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    for (int i = 0; i < 5; i++) {
        append(big);
        assert_int_equal(commit(NULL), 0);
    }
    assert_true(has("/a/log.000000000001"));
    assert_true(has("/a/log.000000000002"));
    for (unsigned i = 1; i <= 5; i++) {
        snprintf(name, sizeof(name), "log.%012u", i);
        assert_true(same_files(name));
    }
    reopen();
    assert_int_equal(wal_last(wal), 5);
    assert_int_equal(strlen(contents(5)), strlen("5:1:5:") + strlen(big) + 1);
}

static void one_append_burst_may_fill_several_segments(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    uint64_t index = 0;
    int rc = 0, n = 0;
    while ((rc = wal_append(wal, 1, 1, slice_str(text), &index)) == 0)
        n++;
    assert_int_equal(rc, ERR_RETRY); /* more than there is allocated room for */
    assert_int_equal(commit(NULL), 0);
    for (; n < 60; n++) {
        if (wal_append(wal, 1, 1, slice_str(text), &index) != 0) {
            assert_int_equal(commit(NULL), 0);
            n--;
        }
    }
    reopen();
    assert_int_equal(wal_last(wal), 60);
}

static void a_record_larger_than_half_a_segment_is_refused(void **state)
{
    (void)state;
    uint64_t index = 9;
    uint8_t *big = mem_calloc(1, SEGMENT);
    assert_int_equal(wal_append(wal, 1, 1, slice_of(big, SEGMENT / 2), &index), ERR_TOOBIG);
    assert_int_equal(index, 9);
    assert_int_equal(wal_append(wal, 1, 1, slice_of(big, SEGMENT / 2 - 40), &index), 0);
    assert_int_equal(commit(NULL), 0);
    mem_free(big);
}

static void a_rolled_log_drops_what_is_not_needed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        append("x");
        append("y");
        assert_int_equal(commit(NULL), 0);
        wal_roll(wal);
        assert_int_equal(commit(NULL), 0);
    }
    wal_drop_below(wal, 4); /* 3 is of the same segment as 4 */
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(wal_first(wal), 3);
    assert_false(has("/a/log.000000000001"));
    assert_false(has("/b/log.000000000001"));
    assert_true(has("/a/log.000000000003"));
    wal_drop_below(wal, 100);
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(wal_first(wal), 7); /* the last segment always stays */
    reopen();
    assert_int_equal(wal_first(wal), 7);
    assert_int_equal(append("z"), 7);
    reopen();
    assert_string_equal(contents(1), "7:1:5:z ");
}

static void rolling_an_empty_segment_does_nothing(void **state)
{
    (void)state;
    wal_roll(wal);
    assert_int_equal(commit(NULL), 0);
    reopen();
    assert_int_equal(append("x"), 1);
}

static uint64_t sealed(const char *dir)
{
    struct walmark mark;
    assert_int_equal(walmark_read(d, dir, &mark, NULL), 0);
    return mark.acknowledged;
}

static void an_idle_tail_is_sealed_within_a_tenth_of_a_second(void **state)
{
    (void)state;
    append("x");
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(sealed("/a"), 0);
    for (int tick = 0; tick < 2; tick++) {
        assert_int_equal(commit(NULL), 0);
        now += 50;
    }
    assert_int_equal(commit(NULL), 0);
    assert_int_equal(sealed("/a"), 1);
    assert_int_equal(sealed("/b"), 1);
    uint64_t ops = sim_disk_ops(sim);
    now += 10000;
    assert_null(wal_take_batch(wal, now));
    assert_int_equal(sim_disk_ops(sim), ops);
}

static void under_load_the_watermark_follows_once_a_second(void **state)
{
    (void)state;
    uint64_t writes = 0, before = 0;
    for (int i = 0; i < 300; i++) {
        append("x");
        assert_int_equal(commit(NULL), 0);
        now += 10;
        writes += sealed("/a") != before;
        before = sealed("/a");
    }
    assert_in_range(writes, 2, 3);
    append("after a pause");
    now += 20;
    assert_int_equal(commit(NULL), 0);
}

static void the_first_change_after_a_pause_waits_for_one_fsync_only(void **state)
{
    (void)state;
    append("x");
    assert_int_equal(commit(NULL), 0);
    now += 50;
    assert_int_equal(commit(NULL), 0);
    now += 3600000;
    append("y");
    uint64_t ops = sim_disk_ops(sim);
    assert_int_equal(commit(NULL), 0);
    assert_in_range(sim_disk_ops(sim) - ops, 4,
                    6); /* write, zeros ahead, sync; in two directories */
}

static void a_log_is_not_made_twice_nor_found_where_none_is(void **state)
{
    (void)state;
    struct err err = {0};
    struct wal *other = NULL;
    const char *const empty[] = {"/c"};
    assert_int_equal(wal_create(&options, 78, 1, &err), ERR_EXIST);
    assert_string_equal(err.msg, "/a holds a log already");
    struct wal_options elsewhere = options;
    elsewhere.dirs = empty;
    elsewhere.dir_count = 1;
    assert_int_equal(wal_open(&elsewhere, &other, &err), ERR_NOENT);
    assert_int_equal(fsutil_mkdirs(d, "/c", NULL), 0);
    assert_int_equal(wal_open(&elsewhere, &other, &err), ERR_NOENT);
    assert_string_equal(err.msg, "/c holds no log: it was not formatted");
    elsewhere.segment_bytes = 12345;
    assert_int_equal(wal_open(&elsewhere, &other, &err), ERR_INVAL);
}

static void a_log_may_begin_at_any_index(void **state)
{
    (void)state;
    struct wal_options elsewhere = options;
    const char *const dirs[] = {"/c"};
    elsewhere.dirs = dirs;
    elsewhere.dir_count = 1;
    assert_int_equal(fsutil_mkdirs(d, "/c", NULL), 0);
    assert_int_equal(wal_create(&elsewhere, 5, 1000, NULL), 0);
    wal_abandon(wal);
    assert_int_equal(wal_open(&elsewhere, &wal, NULL), 0);
    assert_int_equal(wal_last(wal), 999);
    assert_int_equal(append("x"), 1000);
    options = elsewhere;
    reopen();
    assert_string_equal(contents(1), "1000:1:5:x ");
}

/* ---- directories that fail ---- */

static void a_failing_directory_is_dropped_at_whatever_step(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct err err = {0};
        teardown(NULL);
        setup(NULL);
        sim_disk_fail(sim, "/b", n, ERR_IO, n % 2);
        char text[3000];
        memset(text, 'z', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        for (int i = 0; i < 8; i++) {
            append(text);
            if (commit(&err) != 0)
                fail_msg("%s", err.msg);
        }
        now += 50;
        wal_drop_below(wal, 4);
        assert_int_equal(commit(&err), 0);
        bool alive = true, other = false;
        assert_string_equal(wal_dir(wal, 1, &alive), "/b");
        wal_dir(wal, 0, &other);
        assert_true(other);
        sim_disk_fail(sim, "/b", 0, 0, false);
        wal_abandon(wal); /* the power goes out */
        wal = NULL;
        sim_disk_crash(sim, SIM_CRASH_RANDOM, n);
        if (wal_open(&options, &wal, &err) != 0)
            fail_msg("after step %d: %s", (int)n, err.msg);
        assert_int_equal(wal_durable(wal), 8);
        wal_dir(wal, 1, &other);
        assert_true(other); /* filled again */
        assert_true(same_files("watermark") == false);
        if (alive)
            break; /* the failure was not reached any more */
        assert_non_null(strstr(noted(), "/b: cannot"));
        assert_non_null(strstr(noted(), "/b was filled again from /a"));
        /* and alone it has everything */
        append("nine");
        assert_int_equal(wal_close(wal, NULL), 0);
        wal = NULL;
        struct wal_options only_b = options;
        only_b.dirs = both + 1;
        only_b.dir_count = 1;
        assert_int_equal(wal_open(&only_b, &wal, NULL), 0);
        assert_int_equal(wal_durable(wal), 9);
    }
}

static void a_dropped_directory_is_not_believed_alone(void **state)
{
    (void)state;
    struct err err = {0};
    append("x");
    assert_int_equal(commit(NULL), 0);
    sim_disk_fail(sim, "/b/log", 1, ERR_IO, false);
    append("y");
    assert_int_equal(commit(NULL), 0);
    wal_abandon(wal);
    wal = NULL;
    struct wal_options only_b = options;
    only_b.dirs = both + 1;
    only_b.dir_count = 1;
    assert_int_equal(wal_open(&only_b, &wal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "/b holds segments of a log but no watermark"));
}

static void the_last_directory_failing_ends_it(void **state)
{
    (void)state;
    uint64_t index = 0;
    struct err err = {0};
    append("x");
    assert_int_equal(commit(NULL), 0);
    sim_disk_fail(sim, "/", 2, ERR_IO, true);
    append("y");
    assert_int_equal(commit(&err), ERR_IO);
    assert_non_null(strstr(err.msg, "no directory of the log can be written any more"));
    assert_int_equal(wal_durable(wal), 1);
    assert_int_equal(wal_append(wal, 1, 1, slice_str("z"), &index), ERR_IO);
    assert_null(wal_take_batch(wal, now + 5000));
}

static void a_failed_fsync_is_never_tried_again(void **state)
{
    (void)state;
    struct wal_options only_a = options;
    struct err err = {0};
    only_a.dir_count = 1;
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    assert_int_equal(wal_open(&only_a, &wal, NULL), 0);
    append("x");
    sim_disk_fail(sim, "/a/log", 3, ERR_IO, false); /* write, zeros ahead, sync */
    uint64_t ops = sim_disk_ops(sim);
    assert_int_equal(commit(&err), ERR_IO);
    assert_int_equal(sim_disk_ops(sim), ops + 3);
    assert_int_equal(wal_durable(wal), 0);
}

static void what_only_the_page_cache_has_is_written_again(void **state)
{
    (void)state;
    struct wal_options only_a = options;
    only_a.dir_count = 1;
    options = only_a;
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    append("x");
    sim_disk_fail(sim, "/a/log", 3, ERR_IO, false);
    assert_int_equal(commit(NULL), ERR_IO);
    wal_abandon(wal); /* the process ends, the machine does not */
    wal = NULL;
    sim_disk_crash(sim, SIM_CRASH_ALL, 1);
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    assert_int_equal(wal_durable(wal), 1); /* the page cache had it: now it counts */
    append("y");
    assert_int_equal(commit(NULL), 0);
    wal_abandon(wal);
    wal = NULL;
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    assert_string_equal(contents(1), "1:1:5:x 2:1:5:y ");
}

static void a_missing_member_must_be_taken_out_by_the_operator(void **state)
{
    (void)state;
    struct err err = {0};
    bool alive = false;
    append("x");
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    assert_int_equal(fsutil_remove_tree(d, "/b", NULL), 0);
    assert_int_equal(fsutil_mkdirs(d, "/b", NULL), 0);
    assert_int_equal(wal_open(&options, &wal, &err), ERR_CORRUPT);
    assert_string_equal(err.msg,
                        "/b must have every record, but it is empty: is it mounted?. If it is gone "
                        "for good, start once without it in the configuration; then it may come "
                        "back empty");
    options.dir_count = 1;
    assert_int_equal(wal_open(&options, &wal, &err), 0);
    assert_non_null(strstr(noted(), "/b was taken out of the configuration"));
    options.dir_count = 2;
    reopen();
    wal_dir(wal, 1, &alive);
    assert_true(alive);
    assert_string_equal(contents(1), "1:1:5:x ");
    assert_true(same_files("log.000000000001"));
}

static void two_histories_are_not_mixed(void **state)
{
    (void)state;
    struct err err = {0};
    append("x");
    assert_int_equal(wal_close(wal, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        options.dirs = both + i;
        options.dir_count = 1;
        assert_int_equal(wal_open(&options, &wal, NULL), 0);
        append(both[i]);
        assert_int_equal(wal_close(wal, NULL), 0);
        wal = NULL;
    }
    options.dirs = both;
    options.dir_count = 2;
    assert_int_equal(wal_open(&options, &wal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "went on without each other"));
}

static void directories_of_two_logs_are_told_apart(void **state)
{
    (void)state;
    struct err err = {0};
    const char *const mixed[] = {"/a", "/c"};
    struct wal_options c = options;
    c.dirs = mixed + 1;
    c.dir_count = 1;
    assert_int_equal(fsutil_mkdirs(d, "/c", NULL), 0);
    assert_int_equal(wal_create(&c, 99, 1, NULL), 0);
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    options.dirs = mixed;
    assert_int_equal(wal_open(&options, &wal, &err), ERR_FOREIGN);
    assert_non_null(strstr(err.msg, "/a and /c belong to different logs"));
}

/* ---- room ---- */

static void a_full_disk_is_told_before_it_hurts_and_forgotten_when_there_is_room(void **state)
{
    (void)state;
    uint64_t index = 0, last = 0;
    char text[700];
    int rc = 0;
    memset(text, 'f', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    sim_disk_set_capacity(sim, 6 * SEGMENT); /* the next segments exist, further ones do not fit */
    while (!wal_is_full(wal)) {
        append(text);
        assert_int_equal(commit(NULL), 0);
    }
    assert_non_null(strstr(noted(), "no directory of the log has room for its next segment"));
    while ((rc = wal_append(wal, 1, 1, slice_str(text), &index)) == 0) {
        assert_int_equal(commit(NULL), 0);
        last = index;
    }
    assert_int_equal(rc, ERR_NOSPC);
    assert_int_equal(wal_durable(wal), last);
    sim_disk_set_capacity(sim, 0);
    assert_int_equal(commit(NULL), 0);
    now += 6000;
    assert_int_equal(commit(NULL), 0);
    assert_false(wal_is_full(wal));
    assert_non_null(strstr(noted(), "there is room for the next segment of the log again"));
    assert_int_equal(append("on"), last + 1);
    assert_int_equal(commit(NULL), 0);
    reopen();
    assert_int_equal(wal_last(wal), last + 1);
}

static void a_log_opens_in_little_room_and_says_when_it_is_too_little(void **state)
{
    (void)state;
    struct err err = {0};
    append("x");
    assert_int_equal(wal_close(wal, NULL), 0);
    options.dir_count = 1;
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    assert_int_equal(fsutil_remove_tree(d, "/b", NULL), 0);
    sim_disk_set_capacity(sim, SEGMENT + 3 * 8192 - 1); /* not for a second segment at once */
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    assert_string_equal(contents(1), "1:1:5:x ");
    assert_int_equal(append("y"), 2);
    assert_int_equal(commit(NULL), 0);
    sim_disk_set_capacity(sim, SEGMENT + 3 * 8192);
    reopen();
    assert_string_equal(contents(1), "1:1:5:x 2:1:5:y ");
    assert_int_equal(wal_close(wal, NULL), 0);
    wal = NULL;
    sim_disk_set_capacity(sim, 1);
    assert_int_equal(wal_open(&options, &wal, &err), ERR_NOSPC);
    assert_string_equal(
        err.msg,
        "/a/log.000000000002: cannot rewrite: No space left on device: free 8192 bytes at least");
}

/* ---- memory ---- */

/* Its segment has no room for a record, the next one has: the same name stands for both. */
static void an_empty_segment_cut_short_by_a_full_disk_is_replaced_and_stays(void **state)
{
    (void)state;
    assert_int_equal(fault_arm("disk.allocate=1:enospc", NULL), 0);
    reopen();
    fault_arm(NULL, NULL);
    assert_int_equal(append("one"), 1);
    assert_int_equal(commit(NULL), 0);
    wal_drop_below(wal, 1);
    assert_int_equal(commit(NULL), 0);
    assert_true(has("/a/log.000000000001") && has("/b/log.000000000001"));
    append("two");
    wal_roll(wal);
    assert_int_equal(commit(NULL), 0);
    append("three");
    assert_int_equal(commit(NULL), 0);
    wal_drop_below(wal, 1);
    assert_int_equal(commit(NULL), 0);
    reopen();
    assert_string_equal(contents(1), "1:1:5:one 2:1:5:two 3:1:5:three ");
}

static void memory_running_out_loses_no_record_and_no_memory(void **state)
{
    (void)state;
    char dir[] = "/tmp/quern-wal-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *const dirs[] = {dir};
    struct wal_options real = {
        .disk = disk_real(), .dirs = dirs, .dir_count = 1, .segment_bytes = SEGMENT};
    assert_int_equal(wal_create(&real, 3, 1, NULL), 0);
    uint64_t durable = 0;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct wal *w = NULL;
        struct err err;
        uint64_t index = 0;
        mem_fail_after(n);
        int rc = wal_open(&real, &w, &err);
        if (rc == 0 && wal_append(w, 1, 1, slice_str("x"), &index) == 0) {
            struct wal_batch *batch = wal_take_batch(w, 0);
            wal_write_batch(batch);
            if (wal_batch_done(w, batch, &err) == 0)
                durable = index;
        }
        failed = mem_has_failed();
        mem_fail_after(0);
        wal_abandon(w);
        assert_int_equal(wal_open(&real, &w, &err), 0);
        assert_in_range(wal_durable(w), durable, durable + 1);
        durable = wal_durable(w);
        wal_abandon(w);
    }
    assert_int_equal(fsutil_remove_tree(disk_real(), dir, NULL), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(records_come_back_in_order_with_all_they_had),
        CASE(what_comes_during_a_commit_goes_with_the_next),
        CASE(segments_follow_one_another),
        CASE(one_append_burst_may_fill_several_segments),
        CASE(a_record_larger_than_half_a_segment_is_refused),
        CASE(a_rolled_log_drops_what_is_not_needed),
        CASE(rolling_an_empty_segment_does_nothing),
        CASE(an_idle_tail_is_sealed_within_a_tenth_of_a_second),
        CASE(under_load_the_watermark_follows_once_a_second),
        CASE(the_first_change_after_a_pause_waits_for_one_fsync_only),
        CASE(a_log_is_not_made_twice_nor_found_where_none_is),
        CASE(a_log_may_begin_at_any_index),
        CASE(a_failing_directory_is_dropped_at_whatever_step),
        CASE(a_dropped_directory_is_not_believed_alone),
        CASE(the_last_directory_failing_ends_it),
        CASE(a_failed_fsync_is_never_tried_again),
        CASE(what_only_the_page_cache_has_is_written_again),
        CASE(a_missing_member_must_be_taken_out_by_the_operator),
        CASE(two_histories_are_not_mixed),
        CASE(directories_of_two_logs_are_told_apart),
        CASE(a_full_disk_is_told_before_it_hurts_and_forgotten_when_there_is_room),
        CASE(a_log_opens_in_little_room_and_says_when_it_is_too_little),
        CASE(an_empty_segment_cut_short_by_a_full_disk_is_replaced_and_stays),
        CASE(memory_running_out_loses_no_record_and_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
