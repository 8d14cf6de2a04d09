/* SPDX-License-Identifier: Apache-2.0 */

#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/rand.h"
#include "tests/unit/client/lib/fake_cluster.h"

static struct qn_error error;

static uint8_t byte_at(uint64_t offset);

/* A table of one period; its length is no power of two, so that swapped pieces are noticed. */
#define PERIOD 65521
static uint8_t period[2 * PERIOD];

static void pattern(uint8_t *out, uint64_t offset, size_t size)
{
    while (size) {
        size_t n = size < PERIOD ? size : PERIOD;
        memcpy(out, period + offset % PERIOD, n);
        out += n;
        offset += n;
        size -= n;
    }
}

/* Index of the first byte that is not the pattern's; `size` when all are. */
static size_t first_wrong(const uint8_t *bytes, uint64_t offset, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t n = size - at < PERIOD ? size - at : PERIOD;
        if (memcmp(bytes + at, period + (offset + at) % PERIOD, n) != 0) {
            while (bytes[at] == byte_at(offset + at))
                at++;
            return at;
        }
        at += n;
    }
    return size;
}

static uint8_t byte_at(uint64_t offset)
{
    return period[offset % PERIOD];
}

static int set_up(void **state)
{
    for (size_t i = 0; i < PERIOD; i++)
        period[i] = period[i + PERIOD] = (uint8_t)hash_u64(i + 1);
    return fake_set_up(state);
}

/* The same on the first node: through its ring and by its descriptors. */
static int begin_local(void **state)
{
    (void)fake_fresh(state);
    fake.same_host = true;
    return 0;
}

static void put(struct qn_file *file, uint64_t offset, size_t size)
{
    uint8_t *bytes = mem_alloc(size + 1);
    pattern(bytes, offset, size);
    if (qn_write(file, bytes, size, &error) != (ssize_t)size)
        fail_msg("write: %s", error.message);
    mem_free(bytes);
}

static struct qn_file *create(struct qn_fs *fs)
{
    struct qn_file *file = qn_open(fs, "/f", QN_WRITE, NULL, &error);
    if (!file)
        fail_msg("create: %s", error.message);
    return file;
}

static void finish(struct qn_file *file)
{
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
}

/* A file of this length is there, whatever nodes do from now on. */
static void make_file(struct qn_fs *fs, size_t size)
{
    struct qn_file *file = create(fs);
    put(file, 0, size);
    finish(file);
    assert_true(fake.is_complete);
}

/* What the good replicas of every block hold is the pattern, `size` bytes of it. */
static void check_stored(uint64_t size, uint32_t replicas)
{
    uint64_t offset = 0;
    for (uint32_t b = 0; b < fake.block_count; b++) {
        const struct fake_block *block = &fake.blocks[b];
        uint32_t good = 0;
        if (block->is_abandoned)
            continue;
        for (size_t n = 0; n < FAKE_NODES; n++) {
            struct fake_replica *r = fake_replica_of(&fake.nodes[n], block->id, false);
            if (!r || r->gs != block->gs || !r->is_final)
                continue;
            assert_int_equal(r->data.len, block->len);
            assert_int_equal(first_wrong(r->data.data, offset, block->len), block->len);
            good++;
        }
        assert_int_equal(good, replicas);
        offset += block->len;
    }
    assert_int_equal(offset, size);
}

static void check_read(struct qn_fs *fs, uint64_t size)
{
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    if (!file)
        fail_msg("open: %s", error.message);
    assert_int_equal(qn_length(file), size);
    uint8_t *bytes = mem_alloc(size + 1);
    ssize_t n = qn_read(file, bytes, size + 1, &error);
    if (n != (ssize_t)size)
        fail_msg("read gave %zd: %s", n, error.message);
    assert_int_equal(first_wrong(bytes, 0, size), size);
    mem_free(bytes);
    qn_close(file, NULL);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void a_file_of_several_blocks_arrives_everywhere(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    struct rand rand;
    rand_init(&rand, 1);
    uint64_t at = 0, size = 2500000;
    while (at < size) {
        size_t n = 1 + rand_below(&rand, 100000);
        n = n < size - at ? n : (size_t)(size - at);
        put(file, at, n);
        at += n;
    }
    assert_int_equal(qn_tell(file), (int64_t)size);
    finish(file);
    check_stored(size, 3);
    assert_int_equal(fake.nodes[0].ring_writes, 0);
    check_read(fs, size);
    qn_fs_close(fs);
}

static void on_the_same_node_bytes_go_through_the_ring_and_come_by_descriptor(void **state)
{
    (void)state;
    fake.same_host = true;
    fake.block_size = 12U << 20; /* more than the ring */
    struct qn_fs *fs = fake_connect("n0");
    make_file(fs, 20000001);
    check_stored(20000001, 3);
    assert_int_equal(fake.nodes[0].ring_writes, 2);
    check_read(fs, 20000001);
    assert_int_equal(fake.nodes[0].local_reads, 2);
    assert_int_equal(fake.nodes[0].reads, 0);
    qn_fs_close(fs);
}

static void a_small_file_is_sent_inline_over_one_connection(void **state)
{
    (void)state;
    fake.same_host = true;
    struct qn_fs *fs = fake_connect("n0");
    unsigned before = fake.thread_count;
    for (int i = 0; i < 5; i++) {
        fake.is_complete = false;
        fake.block_count = 0;
        make_file(fs, 4096);
    }
    assert_int_equal(fake.nodes[0].ring_writes, 0);
    assert_int_equal(fake.nodes[0].writes, 5);
    assert_true(fake.thread_count - before <= 1);
    qn_fs_close(fs);
}

static void an_empty_file_needs_no_block(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 0);
    assert_int_equal(fake.block_count, 0);
    check_read(fs, 0);
    qn_fs_close(fs);
}

static uint64_t acked_on(size_t node)
{
    mutex_lock(&fake.lock);
    uint64_t acked = fake.nodes[node].replicas[0].acked;
    mutex_unlock(&fake.lock);
    return acked;
}

static void hflush_makes_bytes_visible_at_any_offset(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    uint64_t at = 0;
    static const size_t sizes[] = {1, 511, 512, 700, 65536, 3, 100001};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        put(file, at, sizes[i]);
        at += sizes[i];
        assert_int_equal((i % 2 ? qn_hsync : qn_hflush)(file, &error), 0);
        for (size_t n = 0; n < FAKE_NODES; n++)
            assert_int_equal(acked_on(n), at);
        check_read(fs, at);
    }
    finish(file);
    check_stored(at, 3);
    qn_fs_close(fs);
}

static void what_was_flushed_is_seen_or_the_file_cannot_be_opened(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    put(file, 0, 81);
    assert_int_equal(qn_hflush(file, &error), 0); /* the namenode is told of this one only */
    put(file, 81, 5000);
    assert_int_equal(qn_hflush(file, &error), 0);
    mutex_lock(&fake.lock);
    for (size_t n = 0; n < FAKE_NODES; n++)
        fake.nodes[n].is_down = true;
    mutex_unlock(&fake.lock);
    struct qn_fs *other = fake_connect(NULL);
    assert_null(qn_open(other, "/f", QN_READ, NULL, &error));
    assert_non_null(strstr(error.message, "nobody says how long it is"));
    /* one that the pipeline left behind has the first bytes under an older stamp, and is no witness
     */
    struct fake_replica *r = fake_replica_of(&fake.nodes[FAKE_NODES - 1], fake.blocks[0].id, false);
    assert_non_null(r);
    mutex_lock(&fake.lock);
    fake.nodes[FAKE_NODES - 1].is_down = false;
    uint64_t acked = r->acked;
    r->gs--;
    r->acked = 81;
    mutex_unlock(&fake.lock);
    assert_null(qn_open(other, "/f", QN_READ, NULL, &error));
    mutex_lock(&fake.lock);
    r->gs++;
    r->acked = acked;
    mutex_unlock(&fake.lock);
    check_read(other, 5081);
    qn_fs_close(other);
    finish(file);
    qn_fs_close(fs);
}

static void a_node_that_refuses_is_left_out(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.nodes[1].refuses = true;
    make_file(fs, 100000);
    assert_int_equal(fake.block_count, 2); /* the first one was given up */
    assert_true(fake.blocks[0].is_abandoned);
    check_stored(100000, 2);
    qn_fs_close(fs);
}

/* Refused by whom? The first one, next door, answered: it is not asked once more over TCP, where it
 * would find that it has the new stamp already. */
static void a_first_node_is_not_taken_for_gone_when_one_behind_it_is(void **state)
{
    (void)state;
    fake.same_host = true;
    struct qn_fs *fs = fake_connect("n0");
    fake.nodes[1].refuses = true;
    fake.nodes[1].refuse_code = ERR_REFUSED;
    make_file(fs, 100000);
    assert_int_equal(fake.block_count, 2);
    assert_int_equal(fake.nodes[0].refused, 1);
    check_stored(100000, 2);
    qn_fs_close(fs);
}

static void a_first_node_that_is_down_is_left_out(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.nodes[0].is_down = true;
    make_file(fs, 100000);
    check_stored(100000, 2);
    qn_fs_close(fs);
}

/* The n-th node fails with the k-th packet: the others go on under a new stamp. */
static void a_node_that_fails_on_the_way_is_dropped(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    for (size_t node = 0; node < FAKE_NODES; node++) {
        for (int packet = 1; packet <= 3; packet++) {
            fake_reset();
            fake.nodes[node].fail_packet = packet;
            fake.nodes[node].fail_code = ERR_IO;
            make_file(fs, 600000);
            assert_int_equal(fake.stamps, 1);
            check_stored(600000, 2);
        }
    }
    qn_fs_close(fs);
}

static void a_connection_that_breaks_costs_the_first_node_only(void **state)
{
    (void)state;
    fake.same_host = true;
    fake.block_size = 16U << 20;
    struct qn_fs *fs = fake_connect("n0");
    fake.nodes[0].close_packet = 20;
    make_file(fs, 15000000); /* first by ring, then on over TCP */
    assert_int_equal(fake.nodes[0].ring_writes, 1);
    assert_int_equal(fake.stamps, 1);
    check_stored(15000000, 2);
    qn_fs_close(fs);
}

static void the_last_packet_may_break_too(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.nodes[0].close_packet = 1;
    make_file(fs, 1000); /* its only packet is the last one */
    check_stored(1000, 2);
    qn_fs_close(fs);
}

static void when_nobody_is_left_a_small_block_is_written_elsewhere(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.replication = 1;
    fake.nodes[0].fail_packet = 2;
    fake.nodes[0].fail_code = ERR_NOSPC;
    make_file(fs, 1000000);
    assert_int_equal(fake.block_count, 2);
    assert_true(fake.blocks[0].is_abandoned);
    check_stored(1000000, 1);
    qn_fs_close(fs);
}

static void when_nobody_is_left_at_all_the_error_names_each_reason(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.replication = 1;
    for (size_t i = 0; i < FAKE_NODES; i++) {
        fake.nodes[i].fail_packet = 1;
        fake.nodes[i].fail_code = i == 1 ? ERR_NOSPC : ERR_IO;
    }
    struct qn_file *file = create(fs);
    put(file, 0, 1000);
    assert_int_equal(qn_hflush(file, &error), QN_EIO - ERR_IO + ERR_NONODE);
    assert_non_null(strstr(error.message, "n0: Input/output error"));
    assert_non_null(strstr(error.message, "n1: No space left on device"));
    assert_non_null(strstr(error.message, "n2: Input/output error"));
    uint8_t byte = 0;
    assert_true(qn_write(file, &byte, 1, &error) < 0); /* the first failure stays */
    assert_true(qn_close(file, &error) < 0);
    assert_false(fake.is_complete);
    qn_fs_close(fs);
}

static void an_aborted_file_is_removed(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    put(file, 0, 600000);
    qn_abort(file);
    assert_int_equal(fake.deletes, 1);
    assert_false(fake.exists);
    qn_fs_close(fs);
}

static struct qn_file *create_with_block(struct qn_fs *fs)
{
    struct qn_file *file = qn_open(fs, "/f", QN_WRITE | QN_FIRST_BLOCK, NULL, &error);
    if (!file)
        fail_msg("create: %s", error.message);
    return file;
}

static void a_block_that_came_with_the_file_is_written_unasked(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create_with_block(fs);
    put(file, 0, fake.block_size + 5000);
    finish(file);
    assert_int_equal(fake.adds, 1); /* the second one */
    check_stored(fake.block_size + 5000, 3);
    qn_fs_close(fs);
}

static void a_block_that_came_with_the_file_may_be_refused(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.nodes[1].refuses = true;
    struct qn_file *file = create_with_block(fs);
    put(file, 0, 5000);
    finish(file);
    assert_true(fake.blocks[0].is_abandoned);
    assert_int_equal(fake.adds, 1);
    check_stored(5000, 2);
    qn_fs_close(fs);
}

static void a_block_that_came_for_nothing_is_given_back(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    finish(create_with_block(fs));
    assert_true(fake.is_complete);
    assert_int_equal(fake.block_count, 1);
    assert_true(fake.blocks[0].is_abandoned);
    qn_fs_close(fs);
}

static void closing_the_handle_abandons_what_is_open(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    put(create(fs), 0, 600000);
    qn_fs_close(fs);
    assert_false(fake.is_complete);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void reads_anywhere_give_just_what_was_asked(void **state)
{
    (void)state;
    for (int local = 0; local < 2; local++) {
        fake_reset();
        fake.same_host = local;
        struct qn_fs *fs = fake_connect("n0");
        const uint64_t size = 2500000;
        make_file(fs, size);
        struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
        uint8_t *bytes = mem_alloc(size);
        struct rand rand;
        rand_init(&rand, 3);
        for (int i = 0; i < 100; i++) {
            uint64_t off = rand_below(&rand, size + 100);
            size_t n = (size_t)rand_below(&rand, i % 10 ? 3000 : 200000);
            uint64_t want = off >= size ? 0 : n < size - off ? n : size - off;
            ssize_t got = qn_pread(file, bytes, n, off, &error);
            if (got != (ssize_t)want)
                fail_msg("pread %zu at %llu: %s", n, (unsigned long long)off, error.message);
            assert_int_equal(first_wrong(bytes, off, want), want);
        }
        mem_free(bytes);
        qn_close(file, NULL);
        qn_fs_close(fs);
    }
}

static void reading_on_asks_rarely(void **state)
{
    (void)state;
    fake.block_size = 32U << 20;
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 12000000);
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    uint8_t bytes[10000];
    uint64_t at = 0;
    ssize_t n = 0;
    while ((n = qn_read(file, bytes, sizeof(bytes), &error)) > 0) {
        assert_int_equal(bytes[0], byte_at(at));
        at += (uint64_t)n;
    }
    assert_int_equal(at, 12000000);
    unsigned reads = 0;
    for (size_t i = 0; i < FAKE_NODES; i++)
        reads += fake.nodes[i].reads;
    assert_true(reads < 10);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

static void damaged_bytes_are_never_returned_and_are_told(void **state)
{
    (void)state;
    for (int local = 0; local < 2; local++) {
        fake_reset();
        fake.same_host = local;
        struct qn_fs *fs = fake_connect("n0");
        make_file(fs, 300000);
        fake.nodes[0].corrupts = true;
        check_read(fs, 300000);
        assert_int_equal(fake.bad_reports, 1);
        assert_string_equal(fake.last_bad, "n0");
        qn_fs_close(fs);
    }
}

static void a_node_that_dies_under_a_read_is_replaced(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 900000);
    fake.nodes[0].close_packet = 3;
    fake.nodes[1].is_down = true;
    check_read(fs, 900000);
    assert_int_equal(fake.bad_reports, 0);
    qn_fs_close(fs);
}

static void a_replica_that_is_too_short_is_passed_over(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 100000);
    mutex_lock(&fake.lock);
    for (size_t i = 0; i < FAKE_BLOCKS; i++)
        if (fake.nodes[0].replicas[i].is_there)
            fake.nodes[0].replicas[i].data.len -= 5000;
    mutex_unlock(&fake.lock);
    check_read(fs, 100000);
    qn_fs_close(fs);
}

static void when_no_replica_can_be_read_the_error_names_each(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    uint8_t byte;
    make_file(fs, 1000);
    fake.nodes[0].is_down = true;
    fake.nodes[1].corrupts = true;
    fake.nodes[2].replicas[0].is_there = false;
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    assert_true(qn_read(file, &byte, 1, &error) < 0);
    assert_non_null(strstr(error.message, "cannot read block blk_1000_"));
    assert_non_null(strstr(error.message, "n0: "));
    assert_non_null(strstr(error.message, "n2: no such replica"));
    qn_close(file, NULL);
    qn_fs_close(fs);
}

/* The old file's blocks go, another file of the same length has its name. */
static void replace_file(struct qn_fs *fs)
{
    mutex_lock(&fake.lock);
    for (uint32_t b = 0; b < fake.block_count; b++) {
        fake.blocks[b].is_abandoned = true;
        for (size_t n = 0; n < FAKE_NODES; n++) {
            struct fake_replica *r = fake_replica_of(&fake.nodes[n], fake.blocks[b].id, true);
            buf_release(&r->data);
            r->is_there = false;
        }
    }
    fake.file_id++;
    mutex_unlock(&fake.lock);
    make_file(fs, 3U << 20);
}

static void bytes_of_two_files_of_one_name_are_never_mixed(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    uint8_t byte;
    make_file(fs, 3U << 20);
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    assert_int_equal(qn_pread(file, &byte, 1, 5, &error), 1);
    replace_file(fs);
    assert_true(qn_pread(file, &byte, 1, (2U << 20) + 5, &error) < 0);
    assert_non_null(strstr(error.message, "/f was replaced while it was read"));
    qn_close(file, NULL);
    check_read(fs, 3U << 20);
    qn_fs_close(fs);
}

/* As after the namenode was cut off from all of them, and has given them up. */
static void a_read_waits_for_datanodes_that_come_back_a_little_later(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 1000);
    fake.nowhere = 4;
    check_read(fs, 1000);
    assert_int_equal(fake.nowhere, 0);
    qn_fs_close(fs);
}

/* Somebody else's daemons at the same addresses, in the middle of a read: their bytes are not ours.
 */
static void a_datanode_of_another_cluster_is_not_read(void **state)
{
    (void)state;
    uint8_t byte;
    fake.self.cluster = "c1";
    struct qn_fs *fs = fake_connect(NULL);
    make_file(fs, 5000);
    qn_fs_close(fs);
    fs = fake_connect(NULL);
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    assert_non_null(file);
    fake.self.cluster = "c2";
    assert_true(qn_pread(file, &byte, 1, 0, &error) < 0);
    assert_non_null(strstr(error.message, "belongs to cluster c2"));
    assert_int_equal(qn_close(file, &error), 0);
    qn_fs_close(fs);
    fake.self.cluster = NULL;
}

static void a_missing_file_is_no_file(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    assert_null(qn_open(fs, "/f", QN_READ, NULL, &error));
    assert_int_equal(error.code, QN_ENOENT);
    assert_null(qn_open(fs, "", QN_READ, NULL, &error));
    assert_int_equal(error.code, QN_EINVAL);
    qn_fs_close(fs);
}

struct job {
    struct thread thread;
    struct qn_file *file;
    uint64_t seed;
};

static void read_many(void *arg)
{
    struct job *job = arg;
    struct rand rand;
    struct qn_error mine;
    uint8_t bytes[5000];
    rand_init(&rand, job->seed);
    for (int i = 0; i < 60; i++) {
        uint64_t off = rand_below(&rand, 1990000);
        size_t n = 1 + (size_t)rand_below(&rand, sizeof(bytes));
        assert_int_equal(qn_pread(job->file, bytes, n, off, &mine), n);
        assert_int_equal(first_wrong(bytes, off, n), n);
    }
}

static void several_threads_read_one_file(void **state)
{
    (void)state;
    for (int local = 0; local < 2; local++) {
        fake_reset();
        fake.same_host = local;
        struct qn_fs *fs = fake_connect("n0");
        make_file(fs, 2000000);
        struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
        struct job jobs[4];
        for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
            jobs[i] = (struct job){.file = file, .seed = i};
            assert_int_equal(thread_start(&jobs[i].thread, "read", read_many, &jobs[i], NULL), 0);
        }
        for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
            thread_join(&jobs[i].thread);
        qn_close(file, NULL);
        qn_fs_close(fs);
    }
}

/* The namenode closes its file when the hard limit is over, whatever the soft one is. */
static void a_writer_is_heard_of_within_the_shorter_of_both_limits(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect_with(NULL, "dfs.namenode.lease-hard-limit-sec", "1s");
    struct qn_file *file = create(fs);
    uint64_t until = clock_mono_ms() + 10000;
    unsigned renews = 0;
    while (renews == 0 && clock_mono_ms() < until) {
        (void)usleep(20000);
        mutex_lock(&fake.lock);
        renews = fake.renews;
        mutex_unlock(&fake.lock);
    }
    assert_true(renews > 0);
    finish(file);
    qn_fs_close(fs);
}

#define OVER_TCP(name) cmocka_unit_test_setup(name, fake_fresh)
#define BOTH_WAYS(name)                                 \
    OVER_TCP(name),                                     \
    {                                                   \
#name " (local)", name, begin_local, NULL, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_TCP(a_file_of_several_blocks_arrives_everywhere),
        OVER_TCP(on_the_same_node_bytes_go_through_the_ring_and_come_by_descriptor),
        OVER_TCP(a_small_file_is_sent_inline_over_one_connection),
        BOTH_WAYS(an_empty_file_needs_no_block),
        BOTH_WAYS(hflush_makes_bytes_visible_at_any_offset),
        BOTH_WAYS(what_was_flushed_is_seen_or_the_file_cannot_be_opened),
        BOTH_WAYS(a_node_that_refuses_is_left_out),
        OVER_TCP(a_first_node_is_not_taken_for_gone_when_one_behind_it_is),
        BOTH_WAYS(a_first_node_that_is_down_is_left_out),
        BOTH_WAYS(a_node_that_fails_on_the_way_is_dropped),
        BOTH_WAYS(a_connection_that_breaks_costs_the_first_node_only),
        BOTH_WAYS(the_last_packet_may_break_too),
        BOTH_WAYS(when_nobody_is_left_a_small_block_is_written_elsewhere),
        BOTH_WAYS(when_nobody_is_left_at_all_the_error_names_each_reason),
        BOTH_WAYS(an_aborted_file_is_removed),
        BOTH_WAYS(a_block_that_came_with_the_file_is_written_unasked),
        BOTH_WAYS(a_block_that_came_with_the_file_may_be_refused),
        BOTH_WAYS(a_block_that_came_for_nothing_is_given_back),
        BOTH_WAYS(closing_the_handle_abandons_what_is_open),
        BOTH_WAYS(reads_anywhere_give_just_what_was_asked),
        BOTH_WAYS(reading_on_asks_rarely),
        BOTH_WAYS(damaged_bytes_are_never_returned_and_are_told),
        BOTH_WAYS(a_node_that_dies_under_a_read_is_replaced),
        BOTH_WAYS(a_replica_that_is_too_short_is_passed_over),
        BOTH_WAYS(when_no_replica_can_be_read_the_error_names_each),
        OVER_TCP(bytes_of_two_files_of_one_name_are_never_mixed),
        OVER_TCP(a_read_waits_for_datanodes_that_come_back_a_little_later),
        BOTH_WAYS(a_datanode_of_another_cluster_is_not_read),
        BOTH_WAYS(a_missing_file_is_no_file),
        BOTH_WAYS(several_threads_read_one_file),
        OVER_TCP(a_writer_is_heard_of_within_the_shorter_of_both_limits),
    };
    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
