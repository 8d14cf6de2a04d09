/* SPDX-License-Identifier: Apache-2.0
 * Many pieces through few buffers, and the groups they make: against one sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/crc32c.h"
#include "worker/reduce/group.h"
#include "worker/reduce/sources.h"
#include "worker/run/record.h"

struct item {
    char key[16];
    uint32_t map, seq;
};

static int item_cmp(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    int c = strcmp(a->key, b->key);
    if (c != 0)
        return c;
    if (a->map != b->map)
        return a->map < b->map ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

#define MAPS  40
#define FIRST 100 /* their numbers; others' outputs are of no interest here */

struct fixture {
    struct piece pieces[MAPS];
    struct buf bytes[MAPS];
    struct item *items;
    size_t count;
    struct scratch scratch;
    uint8_t *io;
    struct key_order order;
    struct fold fold;
    struct sources_conf conf;
    struct err err;
    size_t fds; /* that were open before all */
};

static size_t open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void put(struct buf *out, const struct item *item)
{
    uint8_t head[RECORD_HEAD_MAX];
    size_t len = strlen(item->key);
    buf_append(out, head, record_head(head, len, 8));
    buf_append(out, item->key, len);
    buf_append_u32(out, item->map);
    buf_append_u32(out, item->seq);
}

/* Every third map's piece is in memory, the others in descriptors; some are empty. */
static struct fixture *make(uint64_t seed, size_t each, unsigned keys)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    struct rand rand;
    struct slice dir = slice_str("/tmp");
    f->fds = open_fds();
    rand_init(&rand, seed);
    f->items = mem_calloc(MAPS * each, sizeof(*f->items));
    for (uint32_t m = 0; m < MAPS; m++) {
        size_t n = m % 7 == 3 ? 0 : (size_t)rand_below(&rand, each), first = f->count;
        for (size_t i = 0; i < n; i++) {
            struct item *item = &f->items[f->count++];
            snprintf(item->key, sizeof(item->key), "%u", (unsigned)rand_below(&rand, keys));
            item->map = FIRST + m;
        }
        qsort(f->items + first, n, sizeof(*f->items), item_cmp);
        for (size_t i = first; i < f->count; i++) {
            f->items[i].seq = (uint32_t)(i - first);
            put(&f->bytes[m], &f->items[i]);
        }
        struct run_piece *run = &f->pieces[m].run;
        *run = (struct run_piece){.fd = -1,
                                  .data = f->bytes[m].data,
                                  .len = f->bytes[m].len,
                                  .records = n,
                                  .crc = crc32c(0, f->bytes[m].data, f->bytes[m].len)};
        if (m % 3 && run->len && run->len <= RUN_CHUNK) {
            run->fd = memfd_create("piece", MFD_CLOEXEC);
            assert_int_equal(write(run->fd, f->bytes[m].data, run->len), run->len);
        }
        f->pieces[m].map = FIRST + m;
    }
    qsort(f->items, f->count, sizeof(*f->items), item_cmp);
    assert_int_equal(scratch_open(&f->scratch, &dir, 1), 0);
    f->io = mem_alloc(SOURCES_IO_MIN);
    f->order = (struct key_order){QN_TEXT, NULL};
    f->conf = (struct sources_conf){.io_space = f->io,
                                    .io_size = SOURCES_IO_MIN,
                                    .record_max = 1000,
                                    .scratch = &f->scratch,
                                    .order = &f->order,
                                    .fold = &f->fold,
                                    .err = &f->err};
    return f;
}

static void drop(struct fixture *f)
{
    for (size_t m = 0; m < MAPS; m++) {
        if (f->pieces[m].run.fd >= 0)
            close(f->pieces[m].run.fd);
        buf_release(&f->bytes[m]);
    }
    assert_int_equal(open_fds(), f->fds);
    scratch_close(&f->scratch);
    mem_free(f->items);
    mem_free(f->io);
    mem_free(f);
}

static void check_order(struct fixture *f, size_t fan_in, bool merges_again)
{
    struct sources sources;
    struct merge merge;
    struct run_cursor *at = NULL;
    f->conf.fan_in = fan_in;
    assert_int_equal(sources_open(&sources, f->pieces, MAPS, &f->conf), 0);
    assert_int_equal(sources.merged_again > 0, merges_again);
    assert_int_equal(merge_open(&merge, sources.cursors, sources.count, &f->order), 0);
    for (size_t i = 0; i < f->count; i++) {
        assert_int_equal(merge_next(&merge, &at), 1);
        assert_true(slice_is(at->key, f->items[i].key));
        assert_int_equal(get_u32(at->value.data), f->items[i].map);
        assert_int_equal(get_u32(at->value.data + 4), f->items[i].seq);
    }
    assert_int_equal(merge_next(&merge, &at), 0);
    merge_close(&merge);
    sources_close(&sources);
}

static void few_enough_are_merged_at_once(void **state)
{
    (void)state;
    struct fixture *f = make(1, 100, 50);
    f->conf.io_size = SOURCES_IO_MIN * 8;
    mem_free(f->io);
    f->conf.io_space = f->io = mem_alloc(f->conf.io_size);
    check_order(f, 0, false);
    drop(f);
}

static void too_many_are_merged_with_their_neighbours_first(void **state)
{
    (void)state;
    for (size_t fan_in = 2; fan_in < 12; fan_in += 3) {
        struct fixture *f = make(fan_in, 100, 30);
        check_order(f, fan_in, true);
        drop(f);
    }
    struct fixture *f = make(2, 100, 1); /* equal keys only: order is all there is to see */
    check_order(f, 3, true);
    drop(f);
}

/* Buffered ones: as many as can be, each with a buffer of its own, behind that of the writer. */
static uint64_t check_buffers(const struct fixture *f, const struct sources *s, size_t limit)
{
    const uint8_t *from = f->io + (128 << 10), *end = f->io + f->conf.io_size;
    uint64_t longest = 0;
    size_t buffered = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct piece_cursor *c = &s->pieces[i];
        assert_true(c->piece.len > 0);
        if (c->piece.fd < 0)
            continue;
        assert_true(c->buf >= from && c->cap <= 256 << 10 && c->buf + c->cap <= end);
        from = c->buf + c->cap;
        buffered++;
        longest = c->piece.len > longest ? c->piece.len : longest;
    }
    assert_int_equal(buffered, limit);
    return longest;
}

static void no_more_is_merged_again_than_must_be(void **state)
{
    (void)state;
    const size_t room = (SOURCES_IO_MIN - (128 << 10)) / PIECE_BUFFER_MIN;
    for (size_t fan_in = 0; fan_in < 10; fan_in++) {
        struct fixture *f = make(11, 100, 50);
        struct sources s;
        size_t wanted = fan_in == 1 ? 2 : fan_in, buffered = 0;
        size_t limit = wanted && wanted < room ? wanted : room;
        for (size_t m = 0; m < MAPS; m++)
            buffered += f->pieces[m].run.fd >= 0;
        assert_true(buffered > 2 * limit);
        f->conf.fan_in = fan_in;
        assert_int_equal(sources_open(&s, f->pieces, MAPS, &f->conf), 0);
        assert_int_equal(s.merged_again, (buffered - limit + limit - 2) / (limit - 1));
        uint64_t longest = check_buffers(f, &s, limit), all = 0;
        for (size_t m = 0; m < MAPS; m++)
            all += f->pieces[m].run.len;
        assert_true(longest <
                    all / 4 * 3); /* in turn, not again and again what is merged already */
        sources_close(&s);
        drop(f);
    }
}

static void what_is_merged_again_is_folded_and_packed(void **state)
{
    (void)state;
    static struct run_packing always = {.when = PACK_ALWAYS};
    struct fixture *f = make(12, 100, 10);
    struct sources s;
    struct merge merge;
    struct run_cursor *at = NULL;
    size_t records = 0, packed = 0;
    uint64_t sum = 0;
    int rc;
    f->scratch.packing = &always;
    f->fold = (struct fold){.op = QN_SUM, .value = QN_U64};
    f->conf.fan_in = 2;
    assert_int_equal(sources_open(&s, f->pieces, MAPS, &f->conf), 0);
    for (size_t i = 0; i < s.count; i++)
        packed += s.pieces[i].piece.is_packed;
    assert_true(packed > 0);
    assert_int_equal(merge_open(&merge, s.cursors, s.count, &f->order), 0);
    while ((rc = merge_next(&merge, &at)) == 1) {
        records++;
        sum += get_u64(at->value.data);
    }
    assert_int_equal(rc, 0);
    assert_true(records < f->count / 2);
    for (size_t i = 0; i < f->count; i++)
        sum -= f->items[i].map | (uint64_t)f->items[i].seq << 32;
    assert_int_equal(sum, 0);
    merge_close(&merge);
    sources_close(&s);
    drop(f);
}

static void damage_in_a_scratch_run_is_no_maps_fault(void **state)
{
    (void)state;
    struct fixture *f = make(13, 200, 30);
    struct sources s;
    struct merge merge;
    struct run_cursor *at = NULL;
    f->conf.fan_in = 2;
    assert_int_equal(sources_open(&s, f->pieces, MAPS, &f->conf), 0);
    for (size_t i = 0; i < s.count; i++) {
        const struct run_piece *piece = &s.pieces[i].piece;
        if (piece->fd >= 0)
            assert_int_equal(
                pwrite(piece->fd, "damage", 6, (off_t)(piece->offset + piece->len / 2)), 6);
    }
    int rc = merge_open(&merge, s.cursors, s.count, &f->order);
    while (rc == 0 && (rc = merge_next(&merge, &at)) == 1)
        rc = 0;
    merge_close(&merge);
    uint32_t map = 0;
    assert_int_equal(rc, ERR_CORRUPT);
    assert_false(sources_bad(&s, &map));
    assert_non_null(strstr(f->err.msg, "a scratch run of this task"));
    sources_close(&s);
    drop(f);
}

static void a_scratch_disk_that_fails_is_an_error(void **state)
{
    (void)state;
    struct fixture *f = make(3, 100, 30);
    struct sources sources;
    f->conf.fan_in = 2;
    assert_int_equal(fault_arm("disk.write=1+:enospc", &f->err), 0);
    assert_int_equal(sources_open(&sources, f->pieces, MAPS, &f->conf), ERR_NOSPC);
    fault_arm(NULL, NULL);
    uint32_t map;
    assert_false(sources_bad(&sources, &map));
    sources_close(&sources);
    drop(f);
}

static void a_disk_that_fails_in_a_merge_is_left_for_the_next(void **state)
{
    (void)state;
    struct fixture *f = make(3, 100, 30);
    char other[] = "/tmp/quern-sources-XXXXXX";
    assert_non_null(mkdtemp(other));
    struct slice dirs[] = {slice_str("/tmp"), slice_str(other)};
    scratch_close(&f->scratch);
    assert_int_equal(scratch_open(&f->scratch, dirs, 2), 0);
    assert_int_equal(fault_arm("disk.write=1:eio", &f->err), 0);
    check_order(f, 2, true);
    fault_arm(NULL, NULL);
    assert_true(f->scratch.is_bad[0] != f->scratch.is_bad[1]);
    drop(f);
    assert_int_equal(rmdir(other), 0);
}

static void a_damaged_piece_is_told_by_its_map(void **state)
{
    (void)state;
    for (size_t fan_in = 0; fan_in < 4; fan_in += 3) {
        struct fixture *f = make(4, 200, 30);
        f->pieces[16].run.crc ^= 1;
        assert_true(f->pieces[16].run.fd >= 0);
        struct sources sources;
        struct merge merge;
        struct run_cursor *at = NULL;
        f->conf.fan_in = fan_in;
        int rc = sources_open(&sources, f->pieces, MAPS, &f->conf);
        if (rc == 0) {
            assert_int_equal(merge_open(&merge, sources.cursors, sources.count, &f->order), 0);
            while ((rc = merge_next(&merge, &at)) == 1)
                ;
            merge_close(&merge);
        }
        uint32_t map = 0;
        assert_int_equal(rc, ERR_CORRUPT);
        assert_true(sources_bad(&sources, &map));
        assert_int_equal(map, FIRST + 16);
        assert_non_null(strstr(f->err.msg, "output of map 116"));
        sources_close(&sources);
        drop(f);
    }
}

/* --- groups ---------------------------------------------------------------------------------- */

static int by_first_letter(struct qn_slice a, struct qn_slice b)
{
    return (a.len ? *(const char *)a.data : 0) - (b.len ? *(const char *)b.data : 0);
}

/* Walk the groups; from each take at most `most` values. Returns how many groups there were. */
static uint64_t walk(struct fixture *f, int (*alike)(struct qn_slice, struct qn_slice), size_t most)
{
    struct sources sources;
    struct merge merge;
    struct group group;
    struct slice key, value;
    assert_int_equal(sources_open(&sources, f->pieces, MAPS, &f->conf), 0);
    assert_int_equal(merge_open(&merge, sources.cursors, sources.count, &f->order), 0);
    static uint8_t key_space[1 << 20];
    group_open(&group, &(struct group_conf){&merge, f->order, alike, key_space, sizeof(key_space)});
    size_t at = 0;
    int rc;
    while ((rc = group_next(&group, &key)) == 1) {
        assert_true(slice_is(key, f->items[at].key));
        size_t size = 1;
        while (at + size < f->count &&
               (alike ? f->items[at + size].key[0] == f->items[at].key[0]
                      : strcmp(f->items[at + size].key, f->items[at].key) == 0))
            size++;
        for (size_t i = 0; i < size && i < most; i++) {
            assert_true(group_value(&group, &value));
            assert_int_equal(get_u32(value.data), f->items[at + i].map);
            assert_int_equal(get_u32(value.data + 4), f->items[at + i].seq);
        }
        if (size <= most)
            assert_false(group_value(&group, &value));
        assert_true(slice_is(key, f->items[at].key)); /* still there behind its values */
        at += size;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(at, f->count);
    assert_int_equal(group.records, f->count);
    uint64_t groups = group.groups;
    merge_close(&merge);
    sources_close(&sources);
    return groups;
}

static void each_key_is_one_group_with_all_its_values(void **state)
{
    (void)state;
    struct fixture *f = make(5, 150, 40);
    assert_int_equal(walk(f, NULL, SIZE_MAX), 40);
    drop(f);
}

static void values_left_unread_are_passed_over(void **state)
{
    (void)state;
    struct fixture *f = make(6, 150, 40);
    assert_int_equal(walk(f, NULL, 0), 40);
    assert_int_equal(walk(f, NULL, 3), 40);
    drop(f);
}

static void the_jobs_own_grouping_joins_neighbours(void **state)
{
    (void)state;
    struct fixture *f = make(7, 150, 400);
    assert_int_equal(walk(f, by_first_letter, SIZE_MAX), 10);
    assert_int_equal(walk(f, by_first_letter, 2), 10);
    drop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_enough_are_merged_at_once),
        cmocka_unit_test(too_many_are_merged_with_their_neighbours_first),
        cmocka_unit_test(no_more_is_merged_again_than_must_be),
        cmocka_unit_test(what_is_merged_again_is_folded_and_packed),
        cmocka_unit_test(damage_in_a_scratch_run_is_no_maps_fault),
        cmocka_unit_test(a_scratch_disk_that_fails_is_an_error),
        cmocka_unit_test(a_disk_that_fails_in_a_merge_is_left_for_the_next),
        cmocka_unit_test(a_damaged_piece_is_told_by_its_map),
        cmocka_unit_test(each_key_is_one_group_with_all_its_values),
        cmocka_unit_test(values_left_unread_are_passed_over),
        cmocka_unit_test(the_jobs_own_grouping_joins_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
