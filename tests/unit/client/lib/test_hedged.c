/* SPDX-License-Identifier: Apache-2.0
 * Hedged reads against datanodes that fall silent, fail and lie, in every order, and readers of
 * slow ones. The first of the
 * three is asked first; with a time-out of five seconds, a read that ends at once was not waited
 * for. */
#include <dirent.h>
#include <unistd.h>

#include "client/lib/handle.h"
#include "libcommon/base/fault.h"
#include "tests/unit/client/lib/fake_cluster.h"

#define SIZE (2500000U) /* three blocks */
#define SOON 2500U      /* ms; well below the time-out, well above what is needed */

static struct qn_error error;

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)hash_u64(offset / 7 + 1);
}

static size_t descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void make_file(void)
{
    struct qn_fs *fs = fake_connect(NULL);
    uint8_t *bytes = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    struct qn_file *file = qn_open(fs, "/f", QN_WRITE, NULL, &error);
    assert_non_null(file);
    assert_int_equal(qn_write(file, bytes, SIZE, &error), SIZE);
    assert_int_equal(qn_close(file, &error), 0);
    mem_free(bytes);
    qn_fs_close(fs);
}

static struct qn_fs *connect_from(const char *node, const char *size)
{
    char uri[SOCK_TEXT_MAX + 16];
    snprintf(uri, sizeof(uri), "quern://%s", fake.nn_address);
    const struct qn_option set[] = {{"node.name", node},
                                    {"dfs.client.socket-timeout", "5s"},
                                    {"dfs.client.hedged.read.threadpool.size", size},
                                    {"dfs.client.hedged.read.threshold.millis", "100"},
                                    {NULL, NULL}};
    const struct qn_fs_options options = {.user = "tester", .options = set};
    struct qn_fs *fs = qn_fs_open(uri, &options, &error);
    if (!fs)
        fail_msg("%s", error.message);
    return fs;
}

static struct qn_fs *connect_hedged(const char *size)
{
    return connect_from("elsewhere", size);
}

static struct qn_file *open_file(struct qn_fs *fs)
{
    struct qn_file *file = qn_open(fs, "/f", QN_READ, NULL, &error);
    if (!file)
        fail_msg("open: %s", error.message);
    return file;
}

static void check_bytes(const uint8_t *bytes, uint64_t off, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(off + i))
            fail_msg("byte %llu is wrong", (unsigned long long)(off + i));
}

static void check_pread(struct qn_file *file, uint64_t off, size_t size)
{
    struct qn_error mine; /* several threads read */
    uint8_t *bytes = mem_alloc(size);
    ssize_t n = qn_pread(file, bytes, size, off, &mine);
    if (n != (ssize_t)size)
        fail_msg("pread gave %zd: %s", n, mine.message);
    check_bytes(bytes, off, size);
    mem_free(bytes);
}

/* From the first byte to the last, in pieces of `step`. */
static void check_read_on(struct qn_file *file, size_t step)
{
    uint8_t *bytes = mem_alloc(step);
    uint64_t at = 0;
    ssize_t n;
    qn_seek(file, 0, &error);
    while ((n = qn_read(file, bytes, step, &error)) > 0) {
        check_bytes(bytes, at, (size_t)n);
        at += (uint64_t)n;
    }
    if (n < 0)
        fail_msg("read: %s", error.message);
    assert_int_equal(at, SIZE);
    mem_free(bytes);
}

static void set_mute(size_t node, bool is_mute)
{
    mutex_lock(&fake.lock);
    fake.nodes[node].is_mute = is_mute;
    mutex_unlock(&fake.lock);
}

static unsigned reads_of(size_t node)
{
    mutex_lock(&fake.lock);
    unsigned reads = fake.nodes[node].reads;
    mutex_unlock(&fake.lock);
    return reads;
}

/* Positional reads, or the stream's own. */
static void check_both_ways(struct qn_fs *fs, bool goes_on)
{
    struct qn_file *file = open_file(fs);
    if (goes_on)
        check_read_on(file, 70001);
    else
        check_pread(file, 100, SIZE - 200);
    qn_close(file, NULL);
}

static void well_nodes_are_asked_one_at_a_time(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_hedged("10");
    struct qn_file *file = open_file(fs);
    unsigned before = fake.thread_count;
    check_read_on(file, 10000);
    for (uint64_t off = 0; off < SIZE - 5000; off += 99991)
        check_pread(file, off, 1 + off % 4999);
    assert_int_equal(reads_of(1) + reads_of(2), 0);
    assert_true(fake.thread_count - before <= 2); /* connections are used again */
    uint8_t byte;
    assert_int_equal(qn_pread(file, &byte, 1, SIZE, &error), 0);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

static void a_silent_node_is_not_waited_for(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        for (int is_known = 0; is_known < 2; is_known++) {
            fake_reset();
            make_file();
            size_t had = descriptors();
            struct qn_fs *fs = connect_hedged("10");
            if (is_known) /* it has a connection, which says nothing from now on */
                check_both_ways(fs, false);
            set_mute(0, true);
            uint64_t begun_ms = clock_mono_ms();
            check_both_ways(fs, goes_on);
            check_both_ways(fs, goes_on); /* who was silent is asked last now */
            assert_in_range(clock_mono_ms() - begun_ms, 80, SOON);
            assert_true(reads_of(1) > 0);
            assert_int_equal(reads_of(2), 0);
            assert_int_equal(fake.bad_reports, 0);
            qn_fs_close(fs);
            fake_reset();
            for (int i = 0; i < 400 && descriptors() > had; i++)
                usleep(5000); /* the nodes' own ends close a little later */
            assert_true(descriptors() <= had);
        }
    }
}

static void a_node_that_falls_silent_in_the_middle_is_left(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        for (int packet = 1; packet < 30; packet += 13) {
            fake_reset();
            make_file();
            fake.nodes[0].mute_packet = packet;
            struct qn_fs *fs = connect_hedged("10");
            uint64_t begun_ms = clock_mono_ms();
            check_both_ways(fs, goes_on);
            assert_in_range(clock_mono_ms() - begun_ms, 80, SOON);
            qn_fs_close(fs);
        }
    }
}

static void without_hedging_it_is_waited_for(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = fake_connect_with(NULL, "dfs.client.socket-timeout", "400ms");
    set_mute(0, true);
    uint64_t begun_ms = clock_mono_ms();
    check_both_ways(fs, false);
    assert_true(clock_mono_ms() - begun_ms >= 400);
    qn_fs_close(fs);
}

static void speak_later(void *arg)
{
    (void)arg;
    usleep(400000); /* when the second one has been asked, and is silent too */
    set_mute(0, false);
}

static void the_first_may_win_still(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_hedged("10");
    struct qn_file *file = open_file(fs);
    struct thread waker;
    for (size_t i = 0; i < FAKE_NODES; i++)
        set_mute(i, true);
    assert_int_equal(thread_start(&waker, "waker", speak_later, NULL, NULL), 0);
    uint64_t begun_ms = clock_mono_ms();
    check_pread(file, 70000, 200000);
    assert_true(clock_mono_ms() - begun_ms < SOON);
    assert_int_equal(reads_of(0), 1);
    assert_int_equal(reads_of(1) + reads_of(2), 0);
    thread_join(&waker);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

static void damaged_bytes_do_not_win(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        fake_reset();
        make_file();
        struct qn_fs *fs = connect_hedged("10");
        set_mute(0, true);
        fake.nodes[1].corrupts = true;
        uint64_t begun_ms = clock_mono_ms();
        check_both_ways(fs, goes_on);
        assert_true(clock_mono_ms() - begun_ms < SOON);
        assert_string_equal(fake.last_bad, "n1");
        assert_true(reads_of(2) > 0);
        qn_fs_close(fs);
    }
}

static void who_fails_makes_room_at_once(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        for (int cut = 1; cut < 20; cut += 9) {
            fake_reset();
            make_file();
            struct qn_fs *fs = connect_hedged("10");
            fake.nodes[0].close_packet = cut;
            fake.nodes[1].is_down = true;
            check_both_ways(fs, goes_on);
            assert_int_equal(fake.bad_reports, 0);
            qn_fs_close(fs);
        }
    }
}

static void a_replica_that_ends_too_early_is_passed_over(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_hedged("10");
    mutex_lock(&fake.lock);
    for (size_t i = 0; i < FAKE_BLOCKS; i++)
        if (fake.nodes[0].replicas[i].is_there)
            fake.nodes[0].replicas[i].data.len -= 5000;
    mutex_unlock(&fake.lock);
    check_both_ways(fs, false);
    check_both_ways(fs, true);
    qn_fs_close(fs);
}

static void when_nobody_helps_the_error_names_each(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_hedged("10");
    struct qn_file *file = open_file(fs);
    uint8_t byte;
    fake.nodes[0].is_down = true;
    fake.nodes[1].corrupts = true;
    for (size_t i = 0; i < FAKE_BLOCKS; i++)
        fake.nodes[2].replicas[i].is_there = false;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        assert_true(
            (goes_on ? qn_read(file, &byte, 1, &error) : qn_pread(file, &byte, 1, 5, &error)) < 0);
        assert_non_null(strstr(error.message, "cannot read block blk_1000_"));
        assert_non_null(strstr(error.message, "n0: "));
        assert_non_null(strstr(error.message, "n2: no such replica"));
    }
    qn_close(file, NULL);
    qn_fs_close(fs);
}

/* The bytes are not cached, and the disk says nothing for three seconds. */
static void hang_disk(void)
{
    struct err err;
    assert_int_equal(fault_arm("client.read.cached=1+:drop,client.read.disk=1+:delay3000", &err),
                     0);
}

static void a_local_disk_that_says_nothing_is_not_waited_for(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        fake_reset();
        fake.same_host = true;
        make_file();
        struct qn_fs *fs = connect_from("n0", "10");
        hang_disk();
        uint64_t begun_ms = clock_mono_ms();
        check_both_ways(fs, goes_on);
        assert_in_range(clock_mono_ms() - begun_ms, 80, SOON);
        qn_fs_close(fs); /* nor for who waits for it */
        assert_true(clock_mono_ms() - begun_ms < SOON);
        assert_int_equal(fake.bad_reports, 0);
        assert_true(fake.nodes[0].local_reads > 0 && fake.nodes[1].reads > 0);
        assert_int_equal(fault_arm(NULL, NULL), 0);
    }
}

static void without_hedging_a_local_disk_is_waited_for_as_long_as_a_datanode(void **state)
{
    (void)state;
    make_file();
    fake.same_host = true;
    struct qn_fs *fs = fake_connect_with("n0", "dfs.client.socket-timeout", "400ms");
    hang_disk();
    uint64_t begun_ms = clock_mono_ms();
    check_both_ways(fs, false);
    assert_in_range(clock_mono_ms() - begun_ms, 400, SOON);
    assert_int_equal(fault_arm(NULL, NULL), 0);
    check_both_ways(fs, false);
    qn_fs_close(fs);
}

/* --- slow ones -------------------------------------------------------------------------------- */

#define SLOW_MS                                                                      \
    120 /* for a packet of 64 KiB: four of them are more than the floor and a window \
         */

static struct qn_fs *connect_impatient(const char *key, const char *value)
{
    struct qn_fs *fs = fake_connect_with("elsewhere", key, value);
    fs->slow.window_ms = 300;
    return fs;
}

/* What of the file the first node, which is slow, was asked for. */
static unsigned asked_of_slow(struct qn_fs *fs, bool goes_on)
{
    struct qn_file *file = open_file(fs);
    if (goes_on)
        check_read_on(file, 400000);
    for (uint64_t at = 0; !goes_on && at < SIZE; at += SIZE / 5)
        check_pread(file, at, SIZE / 5);
    qn_close(file, NULL);
    return fake.nodes[0].reads;
}

static void a_slow_datanode_is_left_for_another(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        fake_reset();
        make_file();
        struct qn_fs *fs = connect_impatient(NULL, NULL);
        fake.nodes[0].packet_ms = SLOW_MS;
        assert_int_equal(asked_of_slow(fs, goes_on), 1);
        assert_int_equal(fake.nodes[2].reads, 0);
        assert_int_equal(fake.bad_reports, 0);
        qn_fs_close(fs);
    }
}

static void where_all_are_slow_readers_stay_where_they_are(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_impatient(NULL, NULL);
    for (size_t i = 0; i < FAKE_NODES; i++)
        fake.nodes[i].packet_ms = SLOW_MS / 2;
    struct qn_file *file = open_file(fs);
    check_read_on(file, 400000);
    assert_in_range(fake.nodes[1].reads, 0, 2);
    assert_in_range(fake.nodes[2].reads, 0, 2);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

static void without_a_factor_a_slow_datanode_is_read_to_the_end(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_impatient("dfs.client.slow.datanode.factor", "0");
    fake.nodes[0].packet_ms = SLOW_MS;
    struct qn_file *file = open_file(fs);
    check_pread(file, 0, 600000);
    assert_int_equal(fake.nodes[1].reads + fake.nodes[2].reads, 0);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

static void the_only_replica_is_read_however_slow_it_is(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_impatient(NULL, NULL);
    fake.nodes[0].packet_ms = SLOW_MS;
    fake.nodes[1].is_down = fake.nodes[2].is_down = true;
    struct qn_file *file = open_file(fs);
    check_pread(file, 0, 600000);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

struct job {
    struct thread thread;
    struct qn_file *file;
    uint64_t off;
};

static void read_some(void *arg)
{
    struct job *job = arg;
    for (int i = 0; i < 5; i++)
        check_pread(job->file, job->off + (uint64_t)i * 300000, 5000);
}

static void no_more_are_hedged_than_allowed_and_all_end(void **state)
{
    (void)state;
    make_file();
    struct qn_fs *fs = connect_hedged("1");
    struct qn_file *file = open_file(fs);
    set_mute(0, true);
    struct job jobs[4];
    uint64_t begun_ms = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = (struct job){.file = file, .off = i * 77777};
        assert_int_equal(thread_start(&jobs[i].thread, "read", read_some, &jobs[i], NULL), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        thread_join(&jobs[i].thread);
    assert_true(clock_mono_ms() - begun_ms < SOON);
    assert_int_equal(fs->hedges, 0);
    qn_close(file, NULL);
    qn_fs_close(fs);
}

#define CASE(name) cmocka_unit_test_setup(name, fake_fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(well_nodes_are_asked_one_at_a_time),
        CASE(a_silent_node_is_not_waited_for),
        CASE(a_node_that_falls_silent_in_the_middle_is_left),
        CASE(without_hedging_it_is_waited_for),
        CASE(the_first_may_win_still),
        CASE(damaged_bytes_do_not_win),
        CASE(who_fails_makes_room_at_once),
        CASE(a_replica_that_ends_too_early_is_passed_over),
        CASE(when_nobody_helps_the_error_names_each),
        CASE(no_more_are_hedged_than_allowed_and_all_end),
        CASE(a_slow_datanode_is_left_for_another),
        CASE(where_all_are_slow_readers_stay_where_they_are),
        CASE(without_a_factor_a_slow_datanode_is_read_to_the_end),
        CASE(the_only_replica_is_read_however_slow_it_is),
        CASE(a_local_disk_that_says_nothing_is_not_waited_for),
        CASE(without_hedging_a_local_disk_is_waited_for_as_long_as_a_datanode),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
