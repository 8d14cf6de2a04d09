/* SPDX-License-Identifier: Apache-2.0
 * journal: format, open, append, checkpoint, stop, on a real disk with a real loop, and what is
 * refused in which words. Power cuts are in test_recover.c. */
#include <signal.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/version.h"
#include "namenode/journal/images.h"
#include "namenode/journal/journal.h"
#include "namenode/journal/recover.h"
#include "tests/unit/namenode/journal/world.h"

static struct world w;
static struct loop *loop;
static struct nn_journal *journal;
static struct disk *d;
static char base[64], one[80], two[80];
static const char *paths[2] = {one, two};
static struct nn_journal_options options;
static uint64_t told_durable;
static unsigned failures, done_calls;
static struct err done_err;
static bool stopped, told_full;

static void on_durable(void *arg, uint64_t durable)
{
    (void)arg;
    told_durable = durable;
}

static void on_failed(void *arg, const struct err *err)
{
    (void)arg;
    (void)err;
    failures++;
}

static void on_full(void *arg, bool is_full)
{
    (void)arg;
    told_full = is_full;
}

static void on_done(void *arg, const struct err *err)
{
    (void)arg;
    done_calls++;
    done_err = err ? *err : (struct err){0};
}

static void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
}

static int format(bool force, struct err *err)
{
    struct nn_journal_format f = {.disk = d,
                                  .dirs = paths,
                                  .dir_count = options.dir_count,
                                  .force = force,
                                  .segment_bytes = 16384,
                                  .superuser = "hdfs",
                                  .supergroup = "supergroup"};
    return nn_journal_format(&f, err);
}

static int setup(void **state)
{
    (void)state;
    d = disk_real();
    snprintf(base, sizeof(base), "/tmp/quern-journal-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(one, sizeof(one), "%s/one", base);
    snprintf(two, sizeof(two), "%s/two", base);
    loop = loop_new(NULL);
    world_init(&w);
    options = (struct nn_journal_options){.disk = d,
                                          .dirs = paths,
                                          .dir_count = 2,
                                          .state = &w.state,
                                          .loop = loop,
                                          .checkpoint_ms = 3600000,
                                          .checkpoint_records = 1000000,
                                          .segment_bytes = 65536,
                                          .on_durable = on_durable,
                                          .on_failed = on_failed,
                                          .on_full = on_full};
    told_durable = 0;
    failures = done_calls = 0;
    stopped = told_full = false;
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fault_arm(NULL, NULL);
    nn_journal_close(journal);
    journal = NULL;
    loop_free(loop);
    world_release(&w);
    return fsutil_remove_tree(d, base, NULL);
}

static void open_journal(void)
{
    struct err err = {0};
    if (nn_journal_open(&options, &journal, &err) != 0)
        fail_msg("%s", err.msg);
}

/* As if the process had died, or after a stop: a new process with a new state. */
static void restart(void)
{
    nn_journal_close(journal);
    journal = NULL;
    world_release(&w);
    world_init(&w);
    open_journal();
}

static void turn_until(bool (*is_done)(void))
{
    for (uint64_t end = clock_mono_ms() + 20000; !is_done();) {
        loop_turn(loop, 100);
        if (clock_mono_ms() > end)
            fail_msg("nothing happens any more");
    }
}

static bool is_durable(void)
{
    return told_durable == nn_journal_last(journal);
}

static bool is_done(void)
{
    return done_calls > 0;
}

static bool is_stopped(void)
{
    return stopped;
}

/* A directory is made as in the daemon: checked, appended, applied. */
static uint64_t mkdir_(const char *path)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_mkdir ask = {.path = slice_str(path), .mode = 0755, .parents = true};
    struct op_mkdir op;
    struct buf record = BUF_INIT;
    uint64_t index = 0, answer[2];
    assert_int_equal(nn_check_mkdir(&view, &ask, &op, &w.err), 0);
    const struct nn_op_row *row = nn_op_find(NN_OP_MKDIR);
    msg_encode(row->desc, &op, &record);
    struct err err = {0};
    if (nn_journal_append(journal, row->number, buf_slice(&record), &index, &err) != 0)
        fail_msg("%s", err.msg);
    w.state.applied = index;
    assert_int_equal(nn_op_apply(&w.state, row, &op, answer), 0);
    buf_release(&record);
    return index;
}

static bool has_dir(const char *path)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_mkdir ask = {.path = slice_str(path), .mode = 0755, .parents = true};
    struct op_mkdir op;
    return nn_check_mkdir(&view, &ask, &op, &w.err) == NN_CHECK_NOTHING;
}

static bool has_file(const char *dir, const char *name)
{
    struct disk_stat st;
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return disk_stat(d, path, &st) == 0;
}

static void checkpoint(void)
{
    struct err err = {0};
    done_calls = 0;
    if (nn_journal_checkpoint(journal, on_done, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    turn_until(is_done);
}

static void what_was_durable_is_there_after_the_process_died(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    assert_int_equal(mkdir_("/a"), 1);
    assert_int_equal(mkdir_("/b/c"), 2);
    assert_int_equal(nn_journal_durable(journal), 0);
    turn_until(is_durable);
    assert_int_equal(nn_journal_durable(journal), 2);
    uint64_t hash = nn_state_hash(&w.state);
    restart();
    assert_int_equal(nn_journal_last(journal), 2);
    assert_int_equal(w.state.applied, 2);
    assert_int_equal(nn_state_hash(&w.state), hash);
    assert_true(has_dir("/b/c"));
}

static void a_turn_of_the_loop_is_one_commit(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    char path[32];
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof(path), "/d%d", i);
        mkdir_(path);
    }
    assert_int_equal(fault_arm("disk.nothing=1:kill", NULL), 0); /* counts */
    turn_until(is_durable);
    struct buf counts = BUF_INIT;
    fault_report(&counts);
    const char *syncs = strstr(buf_cstr(&counts), "disk.fsync ");
    assert_non_null(syncs);
    assert_in_range(strtoul(syncs + strlen("disk.fsync "), NULL, 10), 1, 30);
    buf_release(&counts);
}

static void an_image_replaces_the_records_before_it(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    checkpoint();
    assert_int_equal(done_err.code, 0);
    assert_int_equal(nn_journal_image_index(journal), 1);
    assert_true(has_file(one, "image.000000000001"));
    assert_true(has_file(two, "image.000000000001"));
    assert_true(has_file(two, "image.000000000000")); /* two are kept */
    mkdir_("/b");
    checkpoint();
    assert_true(has_file(one, "image.000000000002"));
    assert_false(has_file(one, "image.000000000000"));
    mkdir_("/c");
    turn_until(is_durable);
    uint64_t hash = nn_state_hash(&w.state);
    restart();
    assert_int_equal(nn_journal_image_index(journal), 2);
    assert_int_equal(nn_state_hash(&w.state), hash);
    checkpoint();
    checkpoint(); /* nothing changed since: done at once */
    assert_int_equal(done_err.code, 0);
    assert_int_equal(nn_journal_image_index(journal), 3);
}

static void flip_byte(const char *dir, const char *name, uint64_t off)
{
    char path[160];
    uint8_t byte = 0;
    int fd = -1;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(disk_open(d, path, DISK_READ | DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(d, fd, &byte, 1, off), 1);
    byte ^= 1;
    assert_int_equal(disk_pwrite(d, fd, &byte, 1, off), 0);
    disk_close(d, fd);
}

static void old_segments_go_when_no_kept_image_needs_them(void **state)
{
    (void)state;
    char path[300];
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++) {
            snprintf(path, sizeof(path), "/round%d/dir%d%0200d", round, i, i);
            mkdir_(path);
            if (i % 100 == 0)
                turn_until(is_durable);
        }
        turn_until(is_durable);
        checkpoint();
        assert_int_equal(done_err.code, 0);
    }
    mkdir_("/last");
    turn_until(is_durable);
    mkdir_("/very/last");
    turn_until(is_durable);
    assert_false(has_file(one, "log.000000000001"));
    uint64_t hash = nn_state_hash(&w.state);
    flip_byte(one, "image.000000000900", 70);
    flip_byte(two, "image.000000000900", 70);
    restart(); /* from the older image: its part of the log is still there */
    assert_int_equal(nn_journal_image_index(journal), 600);
    assert_int_equal(nn_state_hash(&w.state), hash);
}

static void the_image_is_of_the_moment_it_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/before");
    assert_int_equal(nn_journal_checkpoint(journal, on_done, NULL, NULL), 0);
    assert_int_equal(nn_journal_checkpoint(journal, on_done, NULL, NULL), ERR_BUSY);
    mkdir_("/after");
    turn_until(is_done);
    assert_int_equal(nn_journal_image_index(journal), 1);
    turn_until(is_durable);
    restart();
    assert_true(has_dir("/before") && has_dir("/after"));
}

static void an_image_gets_its_name_only_when_its_records_are_durable(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    assert_int_equal(nn_journal_checkpoint(journal, on_done, NULL, NULL), 0);
    assert_int_equal(fault_arm("disk.fsync=1:delay1500", NULL), 0); /* the log's, not the child's */
    for (uint64_t end = clock_mono_ms() + 1000; clock_mono_ms() < end;)
        loop_turn(loop, 20);
    assert_true(has_file(one, "image.000000000001.new"));
    assert_false(has_file(one, "image.000000000001"));
    turn_until(is_done);
    assert_int_equal(nn_journal_durable(journal), 1);
    assert_true(has_file(one, "image.000000000001"));
}

static void a_log_that_lost_its_version_is_not_formatted_away(void **state)
{
    (void)state;
    char path[128];
    struct err err = {0};
    options.dir_count = 1;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/precious");
    turn_until(is_durable);
    nn_journal_close(journal);
    journal = NULL;
    snprintf(path, sizeof(path), "%s/VERSION", one);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(format(false, &err), ERR_EXIST);
    assert_non_null(strstr(err.msg, "holds a log with records but no VERSION"));
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "bring that file back"));
    assert_int_equal(format(true, &err), 0);
}

static void a_directory_listed_twice_is_told(void **state)
{
    (void)state;
    struct err err = {0};
    char again[100];
    snprintf(again, sizeof(again), "%s/", one);
    paths[1] = again;
    int rc = format(false, &err);
    paths[1] = two;
    assert_int_equal(rc, ERR_CONFIG);
    assert_non_null(strstr(err.msg, "twice"));
}

static pid_t test_pid;

/* As an event loop's would: into a descriptor that the writer has closed, and maybe used again. */
static void on_signal(int signo)
{
    (void)signo;
    for (int fd = 4; fd < 12 && getpid() != test_pid; fd++) {
        ssize_t ignored = write(fd, "x", 1);
        (void)ignored;
    }
}

static pid_t only_child(void)
{
    char path[64];
    int pid = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%d", &pid) != 1)
        fail_msg("no child");
    fclose(f);
    return pid;
}

static void a_signal_to_the_writer_does_not_get_into_the_image(void **state)
{
    (void)state;
    test_pid = getpid();
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    struct sigaction ours = {.sa_handler = on_signal}, before;
    sigaction(SIGHUP, &ours, &before);
    assert_int_equal(fault_arm("disk.fsync=1:delay700", NULL), 0);
    assert_int_equal(nn_journal_checkpoint(journal, on_done, NULL, NULL), 0);
    for (int i = 0; i < 500 && !has_file(two, "image.000000000001.new.tmp"); i++)
        usleep(1000);
    assert_int_equal(kill(only_child(), SIGHUP), 0);
    turn_until(is_done);
    fault_arm(NULL, NULL);
    sigaction(SIGHUP, &before, NULL);
    assert_int_equal(done_err.code, 0);
    restart();
    assert_int_equal(nn_journal_image_index(journal), 1);
}

static void a_writer_that_dies_or_fails_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    /* the writer's first operations are its opens: the parent makes none meanwhile */
    assert_int_equal(fault_arm("disk.open=2:kill", NULL), 0);
    checkpoint();
    assert_int_equal(done_err.code, ERR_KILLED);
    assert_int_equal(fault_arm("disk.open=2:enospc", NULL), 0);
    checkpoint();
    assert_int_equal(done_err.code, ERR_NOSPC);
    assert_non_null(strstr(done_err.msg, two));
    assert_int_equal(fault_arm(NULL, NULL), 0);
    assert_int_equal(nn_journal_image_index(journal), 0);
    checkpoint();
    assert_int_equal(done_err.code, 0);
    assert_int_equal(nn_journal_image_index(journal), 1);
}

static bool has_image(void)
{
    return nn_journal_image_index(journal) > 0;
}

static void enough_records_or_time_make_an_image(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    options.checkpoint_records = 3;
    open_journal();
    for (int i = 0; i < 3; i++)
        mkdir_(i == 0 ? "/a" : i == 1 ? "/b" : "/c");
    turn_until(has_image);
    assert_int_equal(nn_journal_image_index(journal), 3);
    options.checkpoint_records = 1000;
    options.checkpoint_ms = 1;
    restart();
    mkdir_("/d");
    while (nn_journal_image_index(journal) != 4)
        loop_turn(loop, 100);
}

static void a_stop_waits_for_the_disk_and_ends_the_writer(void **state)
{
    (void)state;
    struct err err = {0};
    uint64_t index = 0;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    assert_int_equal(nn_journal_checkpoint(journal, on_done, NULL, NULL), 0);
    nn_journal_stop(journal, on_stopped, NULL);
    assert_int_equal(nn_journal_append(journal, 1, slice_str("x"), &index, &err), ERR_CLOSED);
    turn_until(is_stopped);
    assert_int_equal(nn_journal_durable(journal), 1);
    assert_int_equal(done_calls, 1);
    restart();
    assert_true(has_dir("/a"));
}

/* Points are counted while any is armed, over all tests. */
static uint64_t count_fsyncs(void)
{
    struct buf met = BUF_INIT;
    unsigned long long count = 0;
    fault_report(&met);
    buf_append(&met, "", 1);
    const char *at = strstr((const char *)met.data, "disk.fsync ");
    if (at)
        sscanf(at, "disk.fsync %llu", &count);
    buf_release(&met);
    return count;
}

static uint64_t fsyncs_before;

static bool is_sealing(void)
{
    return count_fsyncs() > fsyncs_before;
}

static void a_stop_while_the_idle_tail_is_sealed_ends_behind_that(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    fsyncs_before = count_fsyncs();
    assert_int_equal(fault_arm("disk.fsync=1:delay500", NULL), 0);
    turn_until(is_sealing);
    nn_journal_stop(journal, on_stopped, NULL);
    assert_false(stopped);
    turn_until(is_stopped);
    restart();
    assert_true(has_dir("/a"));
}

static void a_log_that_cannot_be_written_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    assert_int_equal(fault_arm("disk.fsync=1+:eio", NULL), 0);
    mkdir_("/a");
    for (int i = 0; i < 20; i++)
        loop_turn(loop, 20);
    assert_int_equal(failures, 1);
    assert_int_equal(told_durable, 0);
}

static void one_directory_may_fail_while_serving(void **state)
{
    (void)state;
    struct nn_journal_dir dirs[2];
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    assert_int_equal(fault_arm("disk.fsync=2:eio", NULL), 0); /* of the second directory */
    mkdir_("/b");
    turn_until(is_durable);
    assert_int_equal(fault_arm(NULL, NULL), 0);
    assert_int_equal(nn_journal_dirs(journal, dirs, 2), 2);
    assert_true(dirs[0].is_alive);
    assert_false(dirs[1].is_alive);
    checkpoint(); /* into the first only */
    assert_int_equal(done_err.code, 0);
    assert_false(has_file(two, "image.000000000002"));
    restart(); /* it is filled again */
    nn_journal_dirs(journal, dirs, 2);
    assert_true(dirs[1].is_alive);
    assert_true(has_file(two, "image.000000000002"));
}

static void a_new_directory_is_filled_at_the_start(void **state)
{
    (void)state;
    options.dir_count = 1;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    assert_int_equal(fsutil_mkdirs(d, two, NULL), 0);
    options.dir_count = 2;
    restart();
    assert_true(has_file(two, "VERSION"));
    mkdir_("/b");
    turn_until(is_durable);
    nn_journal_close(journal);
    journal = NULL;
    assert_int_equal(fsutil_remove_tree(d, one, NULL), 0);
    options.dirs = paths + 1; /* the operator: the first one is gone */
    options.dir_count = 1;
    restart();
    assert_true(has_dir("/a") && has_dir("/b"));
    options.dirs = paths;
}

/* ---- what is refused ---- */

static void formatting_again_needs_force(void **state)
{
    (void)state;
    struct err err = {0};
    char stray[100];
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    turn_until(is_durable);
    assert_int_equal(format(true, &err), ERR_BUSY); /* in use, whatever force says */
    assert_non_null(strstr(err.msg, "is in use: locked by process"));
    nn_journal_close(journal);
    journal = NULL;
    assert_int_equal(format(false, &err), ERR_EXIST);
    assert_non_null(strstr(err.msg, "is formatted already (cluster "));
    restart();
    assert_true(has_dir("/a"));
    nn_journal_close(journal);
    journal = NULL;
    assert_int_equal(format(true, &err), 0);
    restart();
    assert_false(has_dir("/a"));
    snprintf(stray, sizeof(stray), "%s/stray", base);
    assert_int_equal(fsutil_mkdirs(d, stray, NULL), 0);
    const char *const strays[] = {base};
    struct nn_journal_format f = {.disk = d,
                                  .dirs = strays,
                                  .dir_count = 1,
                                  .segment_bytes = 16384,
                                  .superuser = "u",
                                  .supergroup = "g"};
    assert_int_equal(nn_journal_format(&f, &err), ERR_EXIST);
    assert_non_null(strstr(err.msg, "holds other files"));
}

static void opening_says_what_is_wrong_with_a_directory(void **state)
{
    (void)state;
    struct err err = {0};
    struct version version = {.type = "namenode", .layout = 1, .cluster_id = "other"};
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_NOENT);
    assert_non_null(strstr(err.msg, "is not formatted: `quern namenode -format`"));
    assert_int_equal(format(false, NULL), 0);
    assert_int_equal(version_write(d, two, &version, NULL), 0);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_FOREIGN);
    assert_non_null(strstr(err.msg, "to cluster other: one of them is wrong"));
    version.layout = 99;
    assert_int_equal(version_write(d, two, &version, NULL), 0);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_VERSION);
    assert_int_equal(fsutil_remove_tree(d, two, NULL), 0);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "must have every record"));
    options.dir_count = 1;
    open_journal();
    struct nn_journal *again = NULL;
    assert_int_equal(nn_journal_open(&options, &again, &err), ERR_BUSY);
}

static void a_version_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct version own, other;
    options.dir_count = 1;
    assert_int_equal(format(false, NULL), 0);
    assert_int_equal(version_read(d, one, "namenode", 1, &other, NULL), 0);
    assert_int_equal(format(true, NULL), 0);
    assert_int_equal(version_read(d, one, "namenode", 1, &own, NULL), 0);
    assert_int_equal(version_write(d, one, &other, NULL), 0);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_FOREIGN);
    assert_non_null(strstr(err.msg, "/one/VERSION (of cluster "));
    assert_non_null(strstr(err.msg, "was not made with the log beside it: bring back the one that "
                                    "was"));
    own.log_id = 0; /* as a quern of before wrote it */
    assert_int_equal(version_write(d, one, &own, NULL), 0);
    open_journal();
}

static void a_cluster_may_be_given_a_name(void **state)
{
    (void)state;
    struct nn_journal_format f = {.disk = d,
                                  .dirs = paths,
                                  .dir_count = 2,
                                  .cluster_id = "a/b",
                                  .segment_bytes = 16384,
                                  .superuser = "u",
                                  .supergroup = "g"};
    assert_int_equal(nn_journal_format(&f, NULL), ERR_INVAL);
    f.cluster_id = "CID-eu.west_1";
    assert_int_equal(nn_journal_format(&f, NULL), 0);
    open_journal();
    assert_string_equal(nn_journal_cluster_id(journal), "CID-eu.west_1");
}

static void a_damaged_image_costs_time_only(void **state)
{
    (void)state;
    assert_int_equal(format(false, NULL), 0);
    open_journal();
    mkdir_("/a");
    checkpoint();
    mkdir_("/b");
    checkpoint();
    mkdir_("/c");
    turn_until(is_durable);
    uint64_t hash = nn_state_hash(&w.state);
    flip_byte(one, "image.000000000002", 70);
    restart(); /* the other directory's */
    assert_int_equal(nn_journal_image_index(journal), 2);
    assert_int_equal(nn_state_hash(&w.state), hash);
    assert_true(has_file(one, "image.000000000002.damaged"));
    assert_true(has_file(one, "image.000000000002")); /* copied from there */
    flip_byte(one, "image.000000000002", 70);
    flip_byte(two, "image.000000000002", 80);
    restart(); /* the older one, and more of the log */
    assert_int_equal(nn_journal_image_index(journal), 1);
    assert_int_equal(nn_state_hash(&w.state), hash);
}

static void without_an_image_that_the_log_continues_it_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    options.dir_count = 1;
    assert_int_equal(format(false, NULL), 0);
    flip_byte(one, "image.000000000000", 70);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "no older image can take its place. Nothing was changed"));
    struct buf report = BUF_INIT;
    nn_recover_report(d, paths, 1, &report);
    assert_non_null(strstr(buf_cstr(&report), "image    of record 0: "));
    assert_non_null(strstr(buf_cstr(&report), "is damaged: a chunk"));
    buf_release(&report);
}

static void an_image_beyond_the_end_of_the_log_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    char from[160], to[160];
    options.dir_count = 1;
    assert_int_equal(format(false, NULL), 0);
    snprintf(from, sizeof(from), "%s/image.000000000000", one);
    snprintf(to, sizeof(to), "%s/image.000000000007", one);
    assert_int_equal(fsutil_copy(d, from, to, NULL), 0);
    assert_int_equal(nn_journal_open(&options, &journal, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "an image of record 7, but the log ends at record 0"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    log_set_level(LOG_ERROR_);
    const struct CMUnitTest tests[] = {
        CASE(what_was_durable_is_there_after_the_process_died),
        CASE(a_turn_of_the_loop_is_one_commit),
        CASE(an_image_replaces_the_records_before_it),
        CASE(old_segments_go_when_no_kept_image_needs_them),
        CASE(the_image_is_of_the_moment_it_was_asked_for),
        CASE(an_image_gets_its_name_only_when_its_records_are_durable),
        CASE(a_log_that_lost_its_version_is_not_formatted_away),
        CASE(a_directory_listed_twice_is_told),
        CASE(a_signal_to_the_writer_does_not_get_into_the_image),
        CASE(a_writer_that_dies_or_fails_changes_nothing),
        CASE(enough_records_or_time_make_an_image),
        CASE(a_stop_waits_for_the_disk_and_ends_the_writer),
        CASE(a_stop_while_the_idle_tail_is_sealed_ends_behind_that),
        CASE(a_log_that_cannot_be_written_is_told_once),
        CASE(one_directory_may_fail_while_serving),
        CASE(a_new_directory_is_filled_at_the_start),
        CASE(formatting_again_needs_force),
        CASE(opening_says_what_is_wrong_with_a_directory),
        CASE(a_version_of_another_cluster_is_refused),
        CASE(a_cluster_may_be_given_a_name),
        CASE(a_damaged_image_costs_time_only),
        CASE(without_an_image_that_the_log_continues_it_is_refused),
        CASE(an_image_beyond_the_end_of_the_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
