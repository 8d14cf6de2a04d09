/* SPDX-License-Identifier: Apache-2.0
 * Draining a merge into a run: records longer than any buffer come in order, whole, and take no
 * memory for each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "worker/run/drain.h"
#include "worker/run/record.h"

#define RUNS    6U
#define KEY_LEN ((size_t)8 << 20)
#define BUFFER  PIECE_BUFFER_MIN

static uint8_t *long_key;
static struct err err;

/* Key number i differs from the others in its last byte only. */
static struct slice key_of(unsigned i)
{
    long_key[KEY_LEN - 1] = (uint8_t)i;
    return slice_of(long_key, KEY_LEN);
}

static void add(struct run_writer *w, struct slice key, uint64_t value)
{
    struct buf record = BUF_INIT;
    uint8_t head[RECORD_HEAD_MAX];
    buf_append(&record, head, record_head(head, key.len, sizeof(value)));
    buf_append_slice(&record, key);
    buf_append_u64(&record, value);
    assert_false(buf_failed(&record));
    run_writer_add(w, record.data, record.len);
    buf_release(&record);
}

static struct run_writer begin(int *ret_fd, void *room, size_t size)
{
    struct run_writer w;
    *ret_fd = memfd_create("run", MFD_CLOEXEC);
    struct run_target target = {*ret_fd, UINT64_MAX, room, size};
    assert_int_equal(run_writer_open(&w, &target, 1, &err), 0);
    return w;
}

static uint64_t end(struct run_writer *w)
{
    struct run_part *parts = NULL;
    uint64_t len = 0;
    assert_int_equal(run_writer_close(w, &parts, &len, &err), 0);
    mem_free(parts);
    return len;
}

/* A short key, two long ones, and a short one that sorts behind; key s is in every run. */
static uint64_t make_run(unsigned s, int *ret_fd)
{
    static uint8_t room[256 * 1024];
    struct run_writer w = begin(ret_fd, room, sizeof(room));
    add(&w, slice_str("a"), 1);
    add(&w, key_of(s), 100 + s);
    add(&w, key_of(s + 1), 200 + s);
    add(&w, slice_str("z"), 1);
    return end(&w);
}

static void open_piece(int fd, uint64_t len, uint8_t *room, struct piece_cursor *ret,
                       uint32_t **ret_sums)
{
    struct run_reader reader;
    struct run_piece piece;
    assert_int_equal(run_reader_open(&reader, fd, len, "run", &err), 0);
    assert_int_equal(run_reader_piece(&reader, 0, &piece, ret_sums, &err), 0);
    piece_cursor_open(ret, &piece,
                      &(struct piece_conf){room, BUFFER, 2 * KEY_LEN, "a run of the test", &err});
}

/* Bytes this process has had in memory at once since it was asked to begin anew. */
static uint64_t peak(bool anew)
{
    char line[128];
    unsigned long long kib = 0;
    if (anew) {
        FILE *f = fopen("/proc/self/clear_refs", "w");
        if (f) {
            fputs("5", f);
            fclose(f);
        }
    }
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %llu", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib << 10;
}

static void check_result(int fd, uint64_t len, bool is_folded)
{
    static uint8_t room[BUFFER];
    struct piece_cursor c;
    uint32_t *sums = NULL;
    open_piece(fd, len, room, &c, &sums);
    for (unsigned i = 0; i < (is_folded ? 1 : RUNS); i++) {
        assert_int_equal(c.cursor.next(&c.cursor), 1);
        assert_true(slice_is(c.cursor.key, "a"));
        assert_int_equal(get_u64(c.cursor.value.data), is_folded ? RUNS : 1);
    }
    for (unsigned i = 0; i <= RUNS; i++) {
        if (i > 0) { /* the run before has it as its second, and comes first */
            assert_int_equal(c.cursor.next(&c.cursor), 1);
            assert_true(run_cursor_has_key(&c.cursor, key_of(i)));
            assert_int_equal(get_u64(c.cursor.value.data), 200 + i - 1);
        }
        if (i < RUNS) {
            assert_int_equal(c.cursor.next(&c.cursor), 1);
            assert_true(c.cursor.is_mapped);
            assert_true(run_cursor_has_key(&c.cursor, key_of(i)));
            assert_false(run_cursor_has_key(&c.cursor, key_of(i + 1)));
            assert_int_equal(get_u64(c.cursor.value.data), 100 + i);
        }
    }
    for (unsigned i = 0; i < (is_folded ? 1 : RUNS); i++) {
        assert_int_equal(c.cursor.next(&c.cursor), 1);
        assert_true(slice_is(c.cursor.key, "z"));
    }
    assert_int_equal(c.cursor.next(&c.cursor), 0);
    piece_cursor_close(&c);
    mem_free(sums);
}

static void drain_all(enum qn_fold op)
{
    static uint8_t rooms[RUNS][BUFFER], out[256 * 1024];
    struct piece_cursor pieces[RUNS];
    struct run_cursor *cursors[RUNS];
    uint32_t *sums[RUNS] = {NULL};
    int fds[RUNS], fd = -1;
    const struct key_order order = {QN_TEXT, NULL};
    const struct fold fold = {.op = op, .value = QN_U64};
    for (unsigned s = 0; s < RUNS; s++) {
        uint64_t len = make_run(s, &fds[s]);
        open_piece(fds[s], len, rooms[s], &pieces[s], &sums[s]);
        cursors[s] = &pieces[s].cursor;
    }
    _Atomic uint64_t ticks = 0;
    struct run_writer w = begin(&fd, out, sizeof(out));
    uint64_t before = peak(true);
    assert_int_equal(drain(cursors, RUNS, &(struct drain){&order, &fold, &w, &ticks}, &err), 0);
    uint64_t len = end(&w);
    assert_in_range(peak(false), 0, before + KEY_LEN);
    assert_true(ticks > RUNS * (KEY_LEN / RUN_STEP));
    for (unsigned s = 0; s < RUNS; s++) {
        piece_cursor_close(&pieces[s]);
        mem_free(sums[s]);
        close(fds[s]);
    }
    check_result(fd, len, op != QN_NO_FOLD);
    close(fd);
}

static void long_keys_come_in_order_without_memory_for_each(void **state)
{
    (void)state;
    drain_all(QN_NO_FOLD);
}

static void folding_passes_long_records_by(void **state)
{
    (void)state;
    drain_all(QN_SUM);
}

static void damage_in_a_long_record_is_noticed(void **state)
{
    (void)state;
    int fd = -1;
    uint64_t len = make_run(3, &fd);
    static uint8_t room[BUFFER];
    struct piece_cursor c;
    uint32_t *sums = NULL;
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, KEY_LEN / 2), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, KEY_LEN / 2), 1);
    open_piece(fd, len, room, &c, &sums);
    assert_int_equal(c.cursor.next(&c.cursor), 1);
    assert_int_equal(c.cursor.next(&c.cursor), ERR_CORRUPT);
    assert_true(c.is_bad);
    piece_cursor_close(&c);
    mem_free(sums);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_keys_come_in_order_without_memory_for_each),
        cmocka_unit_test(folding_passes_long_records_by),
        cmocka_unit_test(damage_in_a_long_record_is_noticed),
    };
    long_key = mem_alloc(KEY_LEN);
    memset(long_key, 'k', KEY_LEN);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(long_key);
    return failed;
}
