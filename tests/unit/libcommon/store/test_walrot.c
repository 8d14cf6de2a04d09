/* SPDX-License-Identifier: Apache-2.0
 * wal and damage: every bit of a small log flipped, every length it can be cut to, files lost or
 * exchanged. Either the exact records come back, or the log is refused and nothing is changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "libcommon/store/walfile.h"
#include "tests/sim/disk.h"

#define SEGMENT 16384
#define FIRST   "/a/log.000000000001"
#define SECOND  "/a/log.000000000003"

static struct sim_disk *sim;
static struct disk *d;
static const char *const both[] = {"/a", "/b"};
static struct wal_options options;
static struct buf notes;

static void note(void *arg, const char *line)
{
    (void)arg;
    buf_printf(&notes, "%s\n", line);
}

static struct wal *open_log(void)
{
    struct wal *wal = NULL;
    struct err err = {0};
    if (wal_open(&options, &wal, &err) != 0)
        fail_msg("%s", err.msg);
    return wal;
}

static void commit(struct wal *wal, uint64_t now)
{
    struct wal_batch *batch = wal_take_batch(wal, now);
    if (!batch)
        return;
    wal_write_batch(batch);
    assert_int_equal(wal_batch_done(wal, batch, NULL), 0);
}

static void append(struct wal *wal, const char *text)
{
    uint64_t index = 0;
    assert_int_equal(wal_append(wal, 1, 1, slice_str(text), &index), 0);
}

/* Segment 1 holds a and b in one commit; segment 3 holds c, d in one commit and e in another. Only
 * a clean end (`sealed`) writes the watermark. */
static void make_log(size_t dir_count, bool sealed)
{
    sim = sim_disk_new();
    d = sim_disk(sim);
    options = (struct wal_options){.disk = d,
                                   .dirs = both,
                                   .dir_count = dir_count,
                                   .segment_bytes = SEGMENT,
                                   .notify = note,
                                   .advice = "`quern namenode -recover` tells what can be saved"};
    for (size_t i = 0; i < dir_count; i++)
        assert_int_equal(fsutil_mkdirs(d, both[i], NULL), 0);
    assert_int_equal(wal_create(&options, 42, 1, NULL), 0);
    struct wal *wal = open_log();
    append(wal, "a");
    append(wal, "b");
    commit(wal, 0);
    wal_roll(wal);
    append(wal, "c");
    append(wal, "d");
    commit(wal, 0);
    append(wal, "e");
    commit(wal, 0);
    if (sealed)
        assert_int_equal(wal_close(wal, NULL), 0);
    else
        wal_abandon(wal);
}

static int end(void **state)
{
    (void)state;
    buf_release(&notes);
    sim_disk_free(sim);
    sim = NULL;
    return 0;
}

static int collect(void *arg, const struct wal_record *record)
{
    char *text = arg;
    size_t n = strlen(text);
    snprintf(text + n, 64 - n, "%.*s", SLICE_ARG(record->payload));
    return 0;
}

/* The records as one word, or "" when the log is refused. Opens a copy; what is refused must not
 * have been changed. */
static const char *try_open(struct err *err)
{
    static char text[64];
    struct sim_disk *copy = sim_disk_clone(sim, SIM_CRASH_ALL, 0);
    struct wal_options on_copy = options;
    struct wal *wal = NULL;
    text[0] = 0;
    on_copy.disk = sim_disk(copy);
    buf_clear(&notes);
    uint64_t ops = sim_disk_ops(copy);
    int rc = wal_open(&on_copy, &wal, err);
    if (rc == 0) {
        assert_int_equal(wal_replay(wal, 1, collect, text, NULL), 0);
        wal_abandon(wal);
    } else {
        assert_in_range(-rc, -ERR_VERSION, -ERR_CORRUPT);
        assert_int_equal(sim_disk_ops(copy), ops);
    }
    sim_disk_free(copy);
    return text;
}

static uint64_t size_of(const char *path)
{
    struct disk_stat st;
    assert_int_equal(disk_stat(d, path, &st), 0);
    return st.size_bytes;
}

static uint8_t byte_at(const char *path, uint64_t off)
{
    int fd = -1;
    uint8_t byte = 0;
    assert_int_equal(disk_open(d, path, DISK_READ, &fd), 0);
    assert_int_equal(disk_pread(d, fd, &byte, 1, off), 1);
    disk_close(d, fd);
    return byte;
}

/* Every bit of every byte that says something and its neighbours; of the long zeros, some. */
static void flip_all(const char *path, unsigned step, const char *want, unsigned *refused)
{
    uint64_t size = size_of(path);
    for (uint64_t byte = 0; byte < size; byte++) {
        bool says = byte_at(path, byte) || (byte && byte_at(path, byte - 1)) ||
                    (byte + 1 < size && byte_at(path, byte + 1));
        if (!says && byte % 211)
            continue;
        for (uint64_t bit = byte * 8 + byte % step; bit < byte * 8 + 8; bit += step) {
            assert_int_equal(sim_disk_flip(sim, path, bit), 0);
            const char *got = try_open(NULL);
            if (got[0] && strcmp(got, want) != 0)
                fail_msg("%s, bit %d: %s", path, (int)bit, got);
            *refused += !got[0];
            assert_int_equal(sim_disk_flip(sim, path, bit), 0);
        }
    }
}

static void every_flipped_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    unsigned refused = 0;
    make_log(1, true);
    flip_all(FIRST, 1, "abcde", &refused);
    flip_all(SECOND, 1, "abcde", &refused);
    assert_true(refused > 1000);
    refused = 0;
    flip_all("/a/watermark", 1, "abcde", &refused);
    assert_int_equal(refused, 0); /* the other slot has it */
}

static void with_a_second_directory_every_flipped_bit_is_healed(void **state)
{
    (void)state;
    unsigned refused = 0;
    make_log(2, true);
    flip_all(FIRST, 5, "abcde", &refused);
    flip_all(SECOND, 5, "abcde", &refused);
    assert_int_equal(refused, 0);
}

static void an_unsealed_log_loses_at_most_its_last_commit_to_a_flipped_bit(void **state)
{
    (void)state;
    unsigned cut = 0;
    make_log(1, false);
    assert_string_equal(try_open(NULL), "abcde");
    for (uint64_t bit = 0; bit < size_of(SECOND) * 8; bit += 5) {
        if (bit / 8 % 4096 > 100 && bit / 8 % 101)
            continue;
        assert_int_equal(sim_disk_flip(sim, SECOND, bit), 0);
        const char *got = try_open(NULL);
        if (got[0] && strcmp(got, "abcde") != 0) {
            assert_string_equal(got, "abcd"); /* as if the power had gone out in that commit */
            cut++;
        }
        assert_int_equal(sim_disk_flip(sim, SECOND, bit), 0);
    }
    assert_true(cut > 50);
}

static void truncate_to(const char *path, uint64_t size)
{
    int fd = -1;
    assert_int_equal(disk_open(d, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_truncate(d, fd, size), 0);
    assert_int_equal(disk_fsync(d, fd), 0);
    disk_close(d, fd);
}

static void every_truncation_of_a_sealed_log_is_refused_or_harmless(void **state)
{
    (void)state;
    make_log(1, true);
    for (uint64_t size = size_of(SECOND); size-- > 0;) {
        if (size % 4096 > 130 && size % 211)
            continue;
        truncate_to(SECOND, size);
        const char *got = try_open(NULL);
        assert_string_equal(got, size >= 2 * 4096 + 37 ? "abcde" : "");
    }
}

static void every_truncation_of_an_unsealed_log_ends_between_records(void **state)
{
    (void)state;
    make_log(1, false);
    for (uint64_t size = size_of(SECOND); size-- > 0;) {
        if (size % 4096 > 130 && size % 211)
            continue;
        truncate_to(SECOND, size);
        const char *got = try_open(NULL);
        const char *want = size >= 2 * 4096 + 37    ? "abcde"
                           : size >= 4096 + 40 + 37 ? "abcd"
                           : size >= 4096 + 37      ? "abc"
                           : size >= 4096           ? "ab"
                                                    : "";
        assert_string_equal(got, want);
    }
}

static void garbage_behind_the_end_is_a_torn_tail_and_told(void **state)
{
    (void)state;
    int fd = -1;
    make_log(1, true);
    assert_int_equal(disk_open(d, SECOND, DISK_WRITE, &fd), 0);
    for (uint64_t off = 12288; off < SEGMENT; off += 64) {
        assert_int_equal(disk_pwrite(d, fd, "QREC\5\0\0\0garbage", 15, off), 0);
        assert_string_equal(try_open(NULL), "abcde");
        assert_non_null(strstr(buf_cstr(&notes), SECOND ": cut after record 5"));
    }
    disk_close(d, fd);
}

static void the_words_for_rot_say_where_and_what_to_do(void **state)
{
    (void)state;
    struct err err = {0};
    make_log(1, false);
    assert_int_equal(sim_disk_flip(sim, SECOND, (4096 + 33) * 8), 0); /* c; e proves it */
    assert_string_equal(try_open(&err), "");
    assert_string_equal(err.msg,
                        SECOND ": record 3 is damaged with good records after it: this is bit rot, "
                               "not a crash. Nothing was changed. `quern namenode -recover` tells "
                               "what can be saved");
    end(NULL);
    make_log(1, true);
    assert_int_equal(sim_disk_flip(sim, SECOND, (8192 + 33) * 8), 0); /* e; the watermark does */
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, SECOND ": record 5 is damaged, and it was acknowledged: this "
                                           "is bit rot"));
}

static void lost_or_exchanged_segments_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    make_log(1, false);
    assert_int_equal(disk_rename(d, FIRST, "/a/kept"), 0);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, FIRST ": it is missing"));
    assert_int_equal(disk_rename(d, "/a/kept", FIRST), 0);

    assert_int_equal(disk_rename(d, SECOND, "/a/log.000000000004"), 0);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, "is bit rot"));
    assert_int_equal(disk_rename(d, "/a/log.000000000004", SECOND), 0);

    assert_int_equal(disk_rename(d, SECOND, "/a/kept"), 0);
    assert_int_equal(fsutil_copy(d, FIRST, SECOND, NULL), 0);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, "it may have been renamed. Nothing was changed."));
}

static void a_segment_of_another_log_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    make_log(1, true);
    struct wal_options other = options;
    other.dirs = both + 1;
    assert_int_equal(fsutil_mkdirs(d, "/b", NULL), 0);
    assert_int_equal(wal_create(&other, 43, 3, NULL), 0);
    assert_int_equal(fsutil_copy(d, "/b/log.000000000003", SECOND, NULL), 0);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, "belongs to another log"));
}

/* Whole in itself, with the right index, but not what the record before it says comes next. */
static void a_record_from_another_history_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf forged = BUF_INIT;
    struct wal_record record = {.index = 5, .term = 1, .type = 1, .payload = slice_str("E")};
    uint32_t chain = 12345;
    int fd = -1;
    make_log(1, false);
    walfile_append(&forged, &record);
    assert_int_equal(walfile_seal_batch(forged.data, forged.len, 4096, &chain).records, 1);
    assert_int_equal(disk_open(d, SECOND, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pwrite(d, fd, forged.data, forged.len, 8192), 0);
    disk_close(d, fd);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, "a whole record stands in the wrong place"));
    buf_release(&forged);
}

static void a_lost_last_segment_is_missed(void **state)
{
    (void)state;
    struct err err = {0};
    make_log(1, true);
    assert_int_equal(disk_unlink(d, SECOND), 0);
    assert_string_equal(try_open(&err), "");
    assert_non_null(strstr(err.msg, "record 3 is missing, and it was durable once"));
}

static void both_slots_of_the_watermark_bad_is_damage(void **state)
{
    (void)state;
    struct err err = {0};
    make_log(1, true);
    assert_int_equal(sim_disk_flip(sim, "/a/watermark", 100), 0);
    assert_int_equal(sim_disk_flip(sim, "/a/watermark", 4096 * 8 + 100), 0);
    assert_string_equal(try_open(&err), "");
    assert_string_equal(err.msg, "/a/watermark is damaged: neither of its slots can be read");
}

static void a_rotten_directory_is_set_aside_and_filled_again(void **state)
{
    (void)state;
    char text[64] = "";
    struct disk_stat st;
    make_log(2, true);
    assert_int_equal(sim_disk_flip(sim, SECOND, (4096 + 33) * 8), 0);
    struct wal *wal = open_log();
    assert_non_null(strstr(buf_cstr(&notes), "another directory has all of it and is used"));
    assert_non_null(strstr(buf_cstr(&notes), "/a was filled again from /b"));
    assert_int_equal(wal_close(wal, NULL), 0);
    assert_int_equal(disk_stat(d, SECOND ".damaged", &st), 0);
    options.dir_count = 1;
    wal = open_log();
    assert_int_equal(wal_replay(wal, 1, collect, text, NULL), 0);
    assert_string_equal(text, "abcde");
    wal_abandon(wal);
}

static void inspection_reads_a_copy_and_changes_nothing(void **state)
{
    (void)state;
    char text[64] = "";
    struct wal_report report;
    struct err err = {0};
    make_log(1, false);
    uint64_t ops = sim_disk_ops(sim);
    struct wal_inspection from_2 = {2, collect, text}, all = {1, collect, text};
    assert_int_equal(wal_inspect(d, "/a", &from_2, &report, NULL), 0);
    assert_string_equal(text, "bcde");
    assert_int_equal(report.first, 1);
    assert_int_equal(report.last, 5);
    assert_int_equal(report.acknowledged, 0);
    assert_int_equal(report.segments, 2);
    assert_int_equal(report.wal_id, 42);
    assert_false(report.torn);
    assert_int_equal(sim_disk_flip(sim, SECOND, (4096 + 33) * 8), 0);
    text[0] = 0;
    assert_int_equal(wal_inspect(d, "/a", &all, &report, &err), ERR_CORRUPT);
    assert_string_equal(text, "ab");
    assert_int_equal(wal_inspect(d, "/", &all, &report, &err), ERR_NOENT);
    text[0] = 0;
    assert_int_equal(wal_inspect(d, SECOND, &all, &report, &err), ERR_CORRUPT);
    assert_string_equal(err.msg, SECOND ": record 3 is damaged with good records after it");
    assert_int_equal(wal_inspect(d, FIRST, &all, &report, &err), 0);
    assert_string_equal(text, "ab");
    assert_int_equal(report.last, 2);
    assert_int_equal(wal_inspect(d, "/a/watermark", &all, &report, &err), ERR_CORRUPT);
    assert_int_equal(wal_inspect(d, "/a/none", &all, &report, &err), ERR_NOENT);
    assert_int_equal(sim_disk_ops(sim), ops);
}

static void a_later_format_is_not_taken_for_damage(void **state)
{
    (void)state;
    uint8_t head[WALFILE_BLOCK] = {0};
    struct walfile_head got;
    walfile_head_encode(&(struct walfile_head){.wal_id = 1, .first_index = 1}, head);
    assert_int_equal(walfile_head_decode(slice_of(head, sizeof(head)), &got), 0);
    head[0] ^= 1;
    assert_int_equal(walfile_head_decode(slice_of(head, sizeof(head)), &got), ERR_CORRUPT);
    assert_int_equal(walfile_head_decode(slice_of(head, 100), &got), ERR_CORRUPT);
}

static void names_of_segments_are_recognised_exactly(void **state)
{
    (void)state;
    char name[WALFILE_NAME_MAX];
    uint64_t first = 0;
    assert_string_equal(walfile_name(name, 42), "log.000000000042");
    assert_true(walfile_name_parse("log.000000000042", &first));
    assert_int_equal(first, 42);
    assert_true(walfile_name_parse("log.1234567890123", &first));
    assert_false(walfile_name_parse("log.42", &first));
    assert_false(walfile_name_parse("log.000000000000", &first));
    assert_false(walfile_name_parse("log.000000000042.tmp", &first));
    assert_false(walfile_name_parse("log.next", &first));
    assert_false(walfile_name_parse("logs", &first));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_teardown(test, end)
    const struct CMUnitTest tests[] = {
        CASE(every_flipped_bit_is_refused_or_harmless),
        CASE(with_a_second_directory_every_flipped_bit_is_healed),
        CASE(an_unsealed_log_loses_at_most_its_last_commit_to_a_flipped_bit),
        CASE(every_truncation_of_a_sealed_log_is_refused_or_harmless),
        CASE(every_truncation_of_an_unsealed_log_ends_between_records),
        CASE(garbage_behind_the_end_is_a_torn_tail_and_told),
        CASE(the_words_for_rot_say_where_and_what_to_do),
        CASE(lost_or_exchanged_segments_are_refused),
        CASE(a_segment_of_another_log_is_refused),
        CASE(a_record_from_another_history_is_refused),
        CASE(a_lost_last_segment_is_missed),
        CASE(both_slots_of_the_watermark_bad_is_damage),
        CASE(a_rotten_directory_is_set_aside_and_filled_again),
        CASE(inspection_reads_a_copy_and_changes_nothing),
        CASE(a_later_format_is_not_taken_for_damage),
        CASE(names_of_segments_are_recognised_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
