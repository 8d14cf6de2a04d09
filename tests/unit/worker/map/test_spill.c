/* SPDX-License-Identifier: Apache-2.0
 * From records in any order to one sorted run: against an array and the C library's sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/store/fsutil.h"
#include "worker/map/spill.h"

struct item {
    char key[24];
    size_t len;
    uint32_t partition;
    uint64_t seq;
};

static struct key_order by_bytes = {QN_TEXT, NULL};

static int item_cmp(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    int c = key_cmp(&by_bytes, slice_of(a->key, a->len), slice_of(b->key, b->len));
    return c != 0 ? c : (a->seq > b->seq) - (a->seq < b->seq);
}

/* What spills and runs in files are: NULL, or packed. */
static struct run_packing *packing;

static int packed(void **state)
{
    static struct run_packing always = {.when = PACK_ALWAYS};
    (void)state;
    packing = &always;
    return 0;
}

static int plain(void **state)
{
    (void)state;
    packing = NULL;
    return 0;
}

struct fixture {
    char dirs[2][40];
    struct scratch scratch;
    void *sort_space, *io_space;
    struct spill_conf conf;
    struct spill spill;
    struct err err;
};

#define SORT_SIZE ((size_t)64 << 10)

static struct fixture *open_fixture(uint32_t partitions)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    struct slice dirs[2];
    for (int i = 0; i < 2; i++) {
        snprintf(f->dirs[i], sizeof(f->dirs[i]), "/tmp/quern-spill-XXXXXX");
        assert_non_null(mkdtemp(f->dirs[i]));
        dirs[i] = slice_str(f->dirs[i]);
    }
    assert_int_equal(scratch_open(&f->scratch, dirs, 2), 0);
    f->scratch.packing = packing;
    assert_int_equal(posix_memalign(&f->sort_space, 64, SORT_SIZE), 0);
    assert_int_equal(posix_memalign(&f->io_space, 64, SPILL_IO_MIN), 0);
    f->conf = (struct spill_conf){.partitions = partitions,
                                  .order = by_bytes,
                                  .sort_space = f->sort_space,
                                  .sort_size = SORT_SIZE,
                                  .io_space = f->io_space,
                                  .io_size = SPILL_IO_MIN,
                                  .record_max = 16384,
                                  .scratch = &f->scratch,
                                  .memfd = -1,
                                  .run_name = "run"};
    return f;
}

static void close_fixture(struct fixture *f)
{
    scratch_close(&f->scratch);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fsutil_remove_tree(disk_real(), f->dirs[i], NULL), 0);
    free(f->sort_space);
    free(f->io_space);
    mem_free(f);
}

static struct item *emit_random(struct fixture *f, uint64_t seed, size_t count, unsigned letters)
{
    struct rand rand;
    rand_init(&rand, seed);
    struct item *items = mem_calloc(count + 1, sizeof(*items));
    assert_int_equal(spill_open(&f->spill, &f->conf, &f->err), 0);
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        item->len = (size_t)rand_below(&rand, sizeof(item->key));
        for (size_t k = 0; k < item->len; k++)
            item->key[k] = (char)rand_below(&rand, letters);
        item->partition = (uint32_t)rand_below(&rand, f->conf.partitions);
        item->seq = i;
        assert_int_equal(spill_add(&f->spill, item->partition, slice_of(item->key, item->len),
                                   slice_of(&item->seq, 8), &f->err),
                         0);
    }
    qsort(items, count, sizeof(*items), item_cmp);
    return items;
}

/* The finished run holds exactly these items. */
static void check_run(struct fixture *f, int fd, const struct spill_result *result,
                      const struct item *items, size_t count)
{
    struct run_reader reader;
    void *room = mem_alloc(PIECE_BUFFER_MIN);
    assert_int_equal(run_reader_open(&reader, fd, result->len, "run", &f->err), 0);
    size_t at = 0;
    for (uint32_t p = 0; p < f->conf.partitions; p++) {
        struct run_piece piece;
        uint32_t *sums = NULL;
        struct piece_cursor c;
        assert_int_equal(run_reader_piece(&reader, p, &piece, &sums, &f->err), 0);
        assert_int_equal(piece.records, result->parts[p].records);
        assert_int_equal(result->parts[p].raw_bytes, p + 1);
        piece_cursor_open(&c, &piece,
                          &(struct piece_conf){room, PIECE_BUFFER_MIN, 1 << 20, "run", &f->err});
        int rc;
        for (; (rc = c.cursor.next(&c.cursor)) == 1; at++) {
            assert_true(at < count);
            assert_int_equal(items[at].partition, p);
            assert_true(slice_eq(c.cursor.key, slice_of(items[at].key, items[at].len)));
            assert_int_equal(get_u64(c.cursor.value.data), items[at].seq);
        }
        assert_int_equal(rc, 0);
        piece_cursor_close(&c);
        mem_free(sums);
    }
    assert_int_equal(at, count);
    mem_free(room);
}

static struct spill_result finish(struct fixture *f)
{
    struct spill_result result = {0};
    uint64_t raw[64];
    for (uint64_t p = 0; p < 64; p++)
        raw[p] = p + 1;
    int rc = spill_finish(&f->spill, raw, &result, &f->err);
    if (rc != 0)
        fail_msg("%s", f->err.msg);
    return result;
}

static void check_all(uint64_t seed, uint32_t partitions, size_t count, unsigned letters,
                      size_t most)
{
    struct fixture *f = open_fixture(partitions);
    f->conf.fan_in = most;
    struct item *items = emit_random(f, seed, count, letters);
    struct spill_result result = finish(f);
    int fd = open(result.path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    check_run(f, fd, &result, items, count);
    close(fd);
    mem_free(result.parts);
    mem_free(result.path);
    spill_close(&f->spill);
    mem_free(items);
    close_fixture(f);
}

static void what_fits_is_sorted_in_place(void **state)
{
    (void)state;
    check_all(1, 1, 500, 256, 0);
    check_all(2, 7, 500, 4, 0);
    check_all(3, 60, 20, 256, 0); /* more partitions than records */
}

static void nothing_makes_an_empty_run(void **state)
{
    (void)state;
    check_all(4, 3, 0, 256, 0);
}

static void what_does_not_fit_is_spilled_and_merged(void **state)
{
    (void)state;
    check_all(5, 1, 8000, 256, 0);
    check_all(6, 13, 8000, 3, 0);
}

static void more_spills_than_can_be_merged_at_once_are_merged_in_steps(void **state)
{
    (void)state;
    check_all(7, 3, 15000, 2, 2);
    check_all(8, 2, 15000, 200, 3);
}

static int backwards(struct qn_slice a, struct qn_slice b)
{
    return -slice_cmp(key_from_qn(a), key_from_qn(b));
}

static void the_jobs_own_order_survives_spills(void **state)
{
    (void)state;
    by_bytes.compare = backwards;
    check_all(9, 3, 5000, 3, 2);
    by_bytes.compare = NULL;
}

static void the_memfd_is_taken_when_the_run_fits(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(4);
    f->conf.memfd = memfd_create("run", MFD_CLOEXEC);
    f->conf.memfd_limit = 1 << 20;
    struct item *items = emit_random(f, 11, 5000, 256);
    struct spill_result result = finish(f);
    assert_null(result.path);
    check_run(f, f->conf.memfd, &result, items, 5000);
    mem_free(result.parts);
    spill_close(&f->spill);
    mem_free(items);

    f->conf.memfd_limit = 1000;
    items = emit_random(f, 11, 5000, 256);
    result = finish(f);
    assert_non_null(result.path);
    mem_free(result.parts);
    mem_free(result.path);
    spill_close(&f->spill);
    mem_free(items);
    close(f->conf.memfd);
    close_fixture(f);
}

static void a_directory_that_fails_is_left_for_the_next(void **state)
{
    (void)state;
    /* The N-th write fails; the file must be made again elsewhere, wherever N falls. */
    for (int n = 1; n < 12; n += 3) {
        struct fixture *f = open_fixture(5);
        char spec[40];
        snprintf(spec, sizeof(spec), "disk.write=%d:%s", n, n % 2 ? "enospc" : "eio");
        assert_int_equal(fault_arm(spec, &f->err), 0);
        struct item *items = emit_random(f, 12, 6000, 256);
        struct spill_result result = finish(f);
        fault_arm(NULL, NULL);
        int fd = open(result.path, O_RDONLY | O_CLOEXEC);
        check_run(f, fd, &result, items, 6000);
        close(fd);
        mem_free(result.parts);
        mem_free(result.path);
        spill_close(&f->spill);
        mem_free(items);
        close_fixture(f);
    }
}

static void without_a_usable_directory_it_says_so(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(1);
    assert_int_equal(fault_arm("disk.write=1+:enospc", &f->err), 0);
    assert_int_equal(spill_open(&f->spill, &f->conf, &f->err), 0);
    assert_int_equal(spill_add(&f->spill, 0, slice_str("k"), slice_str("v"), &f->err), 0);
    struct spill_result result;
    uint64_t raw = 0;
    assert_int_equal(spill_finish(&f->spill, &raw, &result, &f->err), ERR_NOSPC);
    assert_non_null(strstr(f->err.msg, "no local directory is usable"));
    fault_arm(NULL, NULL);
    spill_close(&f->spill);
    close_fixture(f);
}

static void a_record_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(1);
    static uint8_t giant[16385];
    assert_int_equal(spill_open(&f->spill, &f->conf, &f->err), 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(spill_add(&f->spill, 0, slice_str("key"), slice_str("v"), &f->err), 0);
    assert_int_equal(spill_add(&f->spill, 0, slice_of(giant, 16000), slice_str("v"), &f->err), 0);
    while (collect_add(&f->spill.collect, 0, slice_str("key"), slice_str("v")))
        ;
    assert_int_equal(
        spill_add(&f->spill, 0, slice_of(giant, sizeof(giant)), slice_str("v"), &f->err),
        ERR_TOOBIG);
    spill_close(&f->spill);
    close_fixture(f);
}

static void a_record_longer_than_the_buffer_gets_all_there_is(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(1);
    struct buf giant = BUF_INIT;
    f->conf.sort_size = 16 << 10;
    f->conf.sort_most = SORT_SIZE;
    f->conf.record_max = 60000;
    while (giant.len < 40000)
        buf_append(&giant, "b", 1);
    assert_int_equal(spill_open(&f->spill, &f->conf, &f->err), 0);
    assert_int_equal(spill_add(&f->spill, 0, slice_str("c"), slice_str("first"), &f->err), 0);
    assert_int_equal(spill_add(&f->spill, 0, buf_slice(&giant), slice_str("v"), &f->err), 0);
    assert_int_equal(spill_add(&f->spill, 0, slice_str("a"), slice_str("last"), &f->err), 0);
    assert_int_equal(f->spill.spills, 1);
    struct spill_result result = finish(f);
    assert_int_equal(result.parts[0].records, 3);
    assert_true(result.parts[0].plain_bytes > giant.len);
    mem_free(result.parts);
    mem_free(result.path);
    spill_close(&f->spill);
    buf_release(&giant);
    close_fixture(f);
}

static void neighbours_are_folded_on_the_way_out(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(1);
    f->conf.fold = (struct fold){.op = QN_SUM, .value = QN_U64};
    assert_int_equal(spill_open(&f->spill, &f->conf, &f->err), 0);
    uint64_t one = 1;
    for (int i = 0; i < 20000; i++) {
        char key[8];
        int n = snprintf(key, sizeof(key), "%d", i % 10);
        assert_int_equal(
            spill_add(&f->spill, 0, slice_of(key, (size_t)n), slice_of(&one, 8), &f->err), 0);
    }
    assert_true(f->spill.spills > 1);
    struct spill_result result = finish(f);
    assert_int_equal(result.parts[0].records, 10);
    int fd = open(result.path, O_RDONLY | O_CLOEXEC);
    struct run_reader reader;
    struct run_piece piece;
    struct piece_cursor c;
    uint32_t *sums;
    assert_int_equal(run_reader_open(&reader, fd, result.len, "run", &f->err), 0);
    assert_int_equal(run_reader_piece(&reader, 0, &piece, &sums, &f->err), 0);
    piece_cursor_open(&c, &piece,
                      &(struct piece_conf){f->io_space, PIECE_BUFFER_MIN, 100, "run", &f->err});
    while (c.cursor.next(&c.cursor) == 1)
        assert_int_equal(get_u64(c.cursor.value.data), 2000);
    piece_cursor_close(&c);
    close(fd);
    mem_free(result.parts);
    mem_free(result.path);
    spill_close(&f->spill);
    close_fixture(f);
}

#define BOTH(test)                                 \
    {#test, test, plain, NULL, NULL},              \
    {                                              \
#test ", packed", test, packed, NULL, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_fits_is_sorted_in_place),
        BOTH(nothing_makes_an_empty_run),
        BOTH(what_does_not_fit_is_spilled_and_merged),
        BOTH(more_spills_than_can_be_merged_at_once_are_merged_in_steps),
        BOTH(the_jobs_own_order_survives_spills),
        BOTH(the_memfd_is_taken_when_the_run_fits),
        BOTH(a_directory_that_fails_is_left_for_the_next),
        BOTH(without_a_usable_directory_it_says_so),
        BOTH(a_record_beyond_the_limit_is_refused),
        BOTH(a_record_longer_than_the_buffer_gets_all_there_is),
        BOTH(neighbours_are_folded_on_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
