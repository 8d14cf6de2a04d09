/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/storage/blockfile_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

static void what_was_written_is_read_in_any_pieces(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 100);
    for (uint64_t end = 100; end < 5000; end += 333)
        assert_int_equal(grow(f, end), 0);
    uint64_t len = f->len;
    struct dn_visible visible = {.len = len};
    for (uint64_t off = 0; off < len; off += 512)
        for (uint64_t end = off + 512;; end += 512) {
            uint8_t data[5120], sums[40];
            end = end < len ? end : len;
            struct dn_extent extent = {.off = off, .len = (uint32_t)(end - off)};
            assert_int_equal(dn_blockfile_read(f, extent, &visible, data, sums), 0);
            assert_int_equal(data[end - off - 1], pattern(end - 1));
            if (end == len)
                break;
        }
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static void a_reader_of_a_growing_block_sees_what_is_acknowledged_with_its_own_sum(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 700);
    struct dn_visible visible = {.len = 700, .tail_sum = f->tail_sum, .has_tail_sum = true};
    assert_int_equal(grow(f, 900), 0); /* the file's sum of chunk 1 now covers 388 bytes */
    uint8_t data[700], sums[8];
    struct dn_extent all = {.off = 0, .len = 700};
    assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), 0);
    assert_int_equal(data[699], pattern(699));
    assert_int_equal(get_u32(sums + 4), crc32c(0, data + 512, 188));
    visible.has_tail_sum = false;
    assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), ERR_CHECKSUM);
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static void no_flipped_bit_is_ever_read(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    dn_blockfile_close(created(sim_disk(sim), 1300));
    struct dn_visible visible = {.len = 1300};
    struct dn_extent all = {.off = 0, .len = 1300};
    uint8_t data[1300], sums[12];
    for (uint64_t bit = 0; bit < 1300 * 8; bit += 13) {
        flip(sim, "/rbw/blk_42", bit);
        struct dn_blockfile *f = opened(sim_disk(sim), "/rbw", GS);
        assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), ERR_CHECKSUM);
        dn_blockfile_close(f);
        flip(sim, "/rbw/blk_42", bit);
    }
    for (uint64_t bit = DN_SUM_OFF * 8; bit < (DN_SUM_OFF + 12) * 8; bit++) {
        flip(sim, "/rbw/blk_42_7.meta", bit);
        struct dn_blockfile *f = opened(sim_disk(sim), "/rbw", GS);
        assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), ERR_CHECKSUM);
        dn_blockfile_close(f);
        flip(sim, "/rbw/blk_42_7.meta", bit);
    }
    sim_disk_free(sim);
}

static void a_truncated_file_is_damage_not_the_end(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 1300);
    struct dn_visible visible = {.len = 1300};
    struct dn_extent all = {.off = 0, .len = 1300};
    uint8_t data[1300], sums[12];
    assert_int_equal(disk_truncate(f->disk, f->sums_fd, DN_SUM_OFF + 8), 0);
    assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), ERR_CORRUPT);
    assert_int_equal(disk_truncate(f->disk, f->data_fd, 1299), 0);
    assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), ERR_CORRUPT);
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static void the_files_of_another_block_or_stamp_are_seen(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct disk *disk = sim_disk(sim);
    struct dn_blockfile *f = NULL;
    struct err err = {0};
    dn_blockfile_close(created(disk, 1300));
    struct dn_blockfile_new other = {.dir = "/rbw", .id = 43, .gs = GS};
    assert_int_equal(dn_blockfile_open(disk, &other, DISK_READ, &f, &err), ERR_NOENT);
    assert_int_equal(disk_rename(disk, "/rbw/blk_42", "/rbw/blk_43"), 0);
    assert_int_equal(disk_rename(disk, "/rbw/blk_42_7.meta", "/rbw/blk_43_7.meta"), 0);
    assert_int_equal(dn_blockfile_open(disk, &other, DISK_READ, &f, &err), ERR_STALE);
    assert_string_equal(err.msg,
                        "/rbw/blk_43_7.meta: these are the checksums of another block or stamp");
    assert_int_equal(disk_rename(disk, "/rbw/blk_43", "/rbw/blk_42"), 0);
    assert_int_equal(disk_rename(disk, "/rbw/blk_43_7.meta", "/rbw/blk_42_8.meta"), 0);
    struct dn_blockfile_new newer = named("/rbw", 8);
    assert_int_equal(dn_blockfile_open(disk, &newer, DISK_READ, &f, &err), ERR_STALE);
    sim_disk_free(sim);
}

static void a_damaged_checksum_header_is_refused(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    dn_blockfile_close(created(sim_disk(sim), 10));
    for (uint64_t bit = 0; bit < 36 * 8; bit++) {
        struct dn_blockfile *f = NULL;
        struct dn_blockfile_new what = named("/rbw", GS);
        flip(sim, "/rbw/blk_42_7.meta", bit);
        assert_int_equal(dn_blockfile_open(sim_disk(sim), &what, DISK_READ, &f, NULL), ERR_CORRUPT);
        flip(sim, "/rbw/blk_42_7.meta", bit);
    }
    sim_disk_free(sim);
}

static void a_failing_disk_leaves_no_half_made_block(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = NULL;
        struct dn_blockfile_new what = named("/rbw", GS);
        sim_disk_fail(sim, "/rbw", n, ERR_NOSPC, false);
        struct err err = {0};
        assert_int_equal(dn_blockfile_create(sim_disk(sim), &what, &f, &err), ERR_NOSPC);
        assert_int_equal(fsutil_is_empty_dir(sim_disk(sim), "/rbw"), 1);
        sim_disk_free(sim);
    }
}

/* What hsync promised is there after any power cut, whatever was written behind it. */
static void synced_bytes_survive_a_power_cut_whatever_was_written_later(void **state)
{
    (void)state;
    static const uint64_t lens[] = {0, 1, 512, 700, 1024, 5000};
    for (uint64_t seed = 0; seed < 240; seed++) {
        uint64_t synced = lens[seed % 6];
        struct sim_disk *sim = new_sim();
        struct rand rand;
        rand_init(&rand, seed);
        struct dn_blockfile *f = created(sim_disk(sim), synced);
        assert_int_equal(dn_blockfile_sync(f), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(grow(f, f->len + 1 + rand_below(&rand, 600)), 0);
            if (rand_chance(&rand, 3)) {
                assert_int_equal(dn_blockfile_sync(f), 0);
                synced = f->len;
            }
        }
        uint64_t written = f->len;
        dn_blockfile_close(f);
        sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
        uint64_t len = verified(sim_disk(sim), "/rbw", GS);
        assert_in_range(len, synced, written);
        sim_disk_free(sim);
    }
}

static void without_a_mark_a_growing_chunk_would_lose_synced_bytes(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 700);
    assert_int_equal(dn_blockfile_sync(f), 0);
    /* the crash keeps the new sum of chunk 1 but not its new bytes */
    uint8_t sum[4] = {1, 2, 3, 4};
    assert_int_equal(disk_pwrite(f->disk, f->sums_fd, sum, 4, dn_sum_place(512)), 0);
    dn_blockfile_close(f);
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 700);
    uint8_t zeros[1024] = {0};
    int fd = -1;
    assert_int_equal(disk_open(sim_disk(sim), "/rbw/blk_42_7.meta", DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pwrite(sim_disk(sim), fd, zeros, sizeof(zeros), 512), 0);
    disk_close(sim_disk(sim), fd);
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 512);
    sim_disk_free(sim);
}

/* ---- the real disk: large runs past the page cache ---- */

static char *real_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = str_printf("%s/quern-blockfile-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(char *dir)
{
    assert_int_equal(fsutil_remove_tree(disk_real(), dir, NULL), 0);
    mem_free(dir);
}

/* Every mix of ragged ends and whole pages, from memory aligned like the file. */
static void direct_and_cached_writes_make_one_block(void **state)
{
    (void)state;
    enum { RING = 256 << 10 };
    uint8_t *ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ring, MAP_FAILED);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rand rand;
        rand_init(&rand, seed);
        char *dir = real_dir();
        struct dn_blockfile *f = NULL;
        struct dn_blockfile_new what = named(dir, GS);
        what.direct_min = 16384;
        assert_int_equal(dn_blockfile_create(disk_real(), &what, &f, NULL), 0);
        while (f->len < 600000) {
            uint64_t off = f->len - f->len % DN_SUM_CHUNK;
            uint64_t end = off + 1 + rand_below(&rand, 90000);
            if (rand_chance(&rand, 2))
                end = (end + 4095) / 4096 * 4096;
            if (end <= f->len || end / RING != off / RING)
                end = (off / RING + 1) * RING;
            uint8_t *data = ring + off % RING, sums[RING / 128];
            for (uint64_t i = off; i < end; i++)
                ring[i % RING] = pattern(i);
            chunksum_compute(slice_of(data, (size_t)(end - off)), DN_SUM_CHUNK, sums);
            assert_int_equal(dn_blockfile_write(f, off, slice_of(data, (size_t)(end - off)), sums),
                             0);
            if (rand_chance(&rand, 8))
                assert_int_equal(dn_blockfile_sync(f), 0);
        }
        expect_content(f, f->len);
        struct err err = {0};
        uint64_t len = f->len;
        assert_int_equal(dn_settle_finalize(f, dir, &err), 0);
        dn_blockfile_close(f);
        f = opened(disk_real(), dir, GS);
        assert_int_equal(dn_settle_verify(f, UINT64_MAX / 2, NULL), 0);
        assert_int_equal(f->len, len);
        dn_blockfile_close(f);
        remove_dir(dir);
    }
    munmap(ring, RING);
}

/* ---- early write-out ---- */

static const struct disk_ops *real_ops;
static uint64_t write_out_end; /* everything below was told to be written out, without a gap */

static int count_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    assert_int_equal(off, write_out_end);
    write_out_end = off + len;
    return real_ops->writeback(disk, fd, off, len);
}

static void cached_bytes_begin_to_be_written_out_long_before_the_fsync(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct disk *disk = sim_disk(sim);
    struct disk_ops ops = *disk->ops;
    real_ops = disk->ops;
    ops.writeback = count_writeback;
    disk->ops = &ops;
    write_out_end = 0;
    struct dn_blockfile_new what = named("/rbw", GS);
    what.max_len = 16U << 20;
    struct dn_blockfile *f = NULL;
    assert_int_equal(dn_blockfile_create(disk, &what, &f, NULL), 0);
    for (uint64_t end = 100000; end < (8U << 20); end += 100000) {
        assert_int_equal(grow(f, end), 0);
        assert_in_range(write_out_end, end < (1U << 20) ? 0 : end - (1U << 20), end);
    }
    assert_true(write_out_end > (7U << 20) - 200000);
    dn_blockfile_close(f);
    disk->ops = real_ops;
    sim_disk_free(sim);
}

static char events[64]; /* w: written out, s: fsynced; then which of the two files */
static const struct dn_blockfile *watched;

static void note_event(char what, int fd)
{
    size_t at = strlen(events);
    if (at + 2 < sizeof(events) && (fd == watched->data_fd || fd == watched->sums_fd)) {
        events[at] = what;
        events[at + 1] = fd == watched->data_fd ? 'd' : 'c';
    }
}

static int note_writeback(struct disk *disk, int fd, uint64_t off, uint64_t len)
{
    note_event('w', fd);
    return real_ops->writeback(disk, fd, off, len);
}

static int note_sync(struct disk *disk, int fd, bool data_only)
{
    note_event('s', fd);
    return real_ops->sync(disk, fd, data_only);
}

static void checksums_are_on_their_way_while_the_data_are_waited_for(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct disk *disk = sim_disk(sim);
    struct dn_blockfile *f = created(disk, 4096);
    struct disk_ops ops = *disk->ops;
    struct err err = {0};
    real_ops = disk->ops;
    ops.writeback = note_writeback;
    ops.sync = note_sync;
    disk->ops = &ops;
    watched = f;
    assert_int_equal(dn_blockfile_sync(f), 0);
    assert_string_equal(events, "wcsdsc");
    memset(events, 0, sizeof(events));
    assert_int_equal(dn_settle_finalize(f, "/final", &err), 0);
    assert_string_equal(events, "wcsdsc");
    dn_blockfile_close(f);
    disk->ops = real_ops;
    sim_disk_free(sim);
}

static void room_is_reserved_ahead_and_given_back(void **state)
{
    (void)state;
    char *dir = real_dir();
    struct dn_blockfile *f = NULL;
    struct dn_blockfile_new what = named(dir, GS);
    what.max_len = 8U << 20;
    assert_int_equal(dn_blockfile_create(disk_real(), &what, &f, NULL), 0);
    assert_int_equal(grow(f, (5U << 20) + 77), 0);
    struct disk_stat st = {0};
    assert_int_equal(disk_stat_fd(disk_real(), f->data_fd, &st), 0);
    assert_int_equal(st.size_bytes, 8U << 20);
    expect_content(f, f->len);
    struct err err = {0};
    assert_int_equal(dn_settle_finalize(f, dir, &err), 0);
    assert_int_equal(disk_stat_fd(disk_real(), f->data_fd, &st), 0);
    assert_int_equal(st.size_bytes, (5U << 20) + 77);
    dn_blockfile_close(f);
    remove_dir(dir);
}

/* A crash leaves the reserved length: the zeros behind the last byte are not taken for data. */
static void reserved_room_is_not_mistaken_for_bytes(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 1300);
    assert_int_equal(disk_allocate(f->disk, f->data_fd, 8192), 0);
    dn_blockfile_close(f);
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 1300);
    sim_disk_free(sim);
}

static void block_files_are_private(void **state)
{
    (void)state;
    char *dir = real_dir();
    struct dn_blockfile *f = NULL;
    struct dn_blockfile_new what = named(dir, GS);
    assert_int_equal(dn_blockfile_create(disk_real(), &what, &f, NULL), 0);
    struct stat st;
    assert_int_equal(fstat(f->data_fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fstat(f->sums_fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    dn_blockfile_close(f);
    remove_dir(dir);
}

static void names_say_which_file_it_is(void **state)
{
    (void)state;
    enum dn_name_kind kind;
    uint64_t id = 0, gs = 0;
    assert_true(dn_block_name_parse("blk_17", &kind, &id, &gs));
    assert_int_equal(kind, DN_NAME_DATA);
    assert_int_equal(id, 17);
    assert_true(dn_block_name_parse("blk_17_1001.meta", &kind, &id, &gs));
    assert_int_equal(kind, DN_NAME_SUMS);
    assert_int_equal(gs, 1001);
    assert_true(dn_block_name_parse("blk_17_1001.meta.tmp", &kind, &id, &gs));
    assert_int_equal(kind, DN_NAME_UNFINISHED);
    static const char *const strange[] = {
        "blk_",        "blk_x",         "blk_017", "blk_1_2",
        "blk_1_.meta", "blk_1_2.metal", "BLK_1",   "blk_99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(strange); i++)
        assert_false(dn_block_name_parse(strange[i], &kind, &id, &gs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_in_any_pieces),
        cmocka_unit_test(a_reader_of_a_growing_block_sees_what_is_acknowledged_with_its_own_sum),
        cmocka_unit_test(no_flipped_bit_is_ever_read),
        cmocka_unit_test(a_truncated_file_is_damage_not_the_end),
        cmocka_unit_test(the_files_of_another_block_or_stamp_are_seen),
        cmocka_unit_test(a_damaged_checksum_header_is_refused),
        cmocka_unit_test(a_failing_disk_leaves_no_half_made_block),
        cmocka_unit_test(synced_bytes_survive_a_power_cut_whatever_was_written_later),
        cmocka_unit_test(without_a_mark_a_growing_chunk_would_lose_synced_bytes),
        cmocka_unit_test(direct_and_cached_writes_make_one_block),
        cmocka_unit_test(cached_bytes_begin_to_be_written_out_long_before_the_fsync),
        cmocka_unit_test(checksums_are_on_their_way_while_the_data_are_waited_for),
        cmocka_unit_test(room_is_reserved_ahead_and_given_back),
        cmocka_unit_test(reserved_room_is_not_mistaken_for_bytes),
        cmocka_unit_test(block_files_are_private),
        cmocka_unit_test(names_say_which_file_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
