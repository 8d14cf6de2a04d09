/* SPDX-License-Identifier: Apache-2.0
 * qn_view: bytes of a file where they lie. */

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/rand.h"
#include "tests/unit/client/lib/fake_cluster.h"

#define BLOCK  (1U << 20)
#define LENGTH (3 * BLOCK + 12345)

static struct qn_error error;
static uint8_t content[LENGTH];

static int set_up(void **state)
{
    struct rand rand;
    rand_init(&rand, 7);
    for (size_t i = 0; i < LENGTH; i++)
        content[i] = (uint8_t)rand_below(&rand, 256);
    return fake_set_up(state);
}

static int begin(void **state)
{
    (void)state;
    fake_reset();
    fake.same_host = true;
    fake.block_size = BLOCK;
    return 0;
}

static int end(void **state)
{
    (void)state;
    return fault_arm(NULL, NULL);
}

static void write_some(struct qn_file *file, size_t size)
{
    if (qn_write(file, content, size, &error) != (ssize_t)size)
        fail_msg("write: %s", error.message);
}

/* Open for reading, from `node` (NULL = elsewhere), a file that is there. */
static struct qn_file *open_written(struct qn_fs **fs, const char *node)
{
    *fs = fake_connect(node);
    struct qn_file *file = qn_open(*fs, "/f", QN_WRITE, NULL, &error);
    assert_non_null(file);
    write_some(file, LENGTH);
    assert_int_equal(qn_close(file, &error), 0);
    file = qn_open(*fs, "/f", QN_READ, NULL, &error);
    assert_non_null(file);
    return file;
}

static void end_with(struct qn_fs *fs, struct qn_file *file)
{
    assert_int_equal(qn_close(file, NULL), 0);
    qn_fs_close(fs);
}

static void check_view(struct qn_file *file, uint64_t offset, size_t most, bool is_copy)
{
    struct qn_view view;
    if (qn_view(file, offset, most, &view, &error) != 0)
        fail_msg("view: %s", error.message);
    assert_true(view.size > 0 && view.size <= most);
    assert_true(offset + view.size <= (offset / BLOCK + 1) * BLOCK);
    assert_memory_equal(view.data, content + offset, view.size);
    assert_int_equal(view.is_copy, is_copy);
    qn_view_release(&view);
    assert_null(view.data);
}

/* As a program's loop would. */
static void check_all(struct qn_file *file, bool is_copy)
{
    struct qn_view view;
    uint64_t at = 0;
    for (; qn_view(file, at, SIZE_MAX, &view, &error) == 0 && view.size > 0;
         at += view.size, qn_view_release(&view)) {
        assert_memory_equal(view.data, content + at, view.size);
        assert_int_equal(view.is_copy, is_copy);
    }
    assert_int_equal(at, LENGTH);
}

static void on_the_same_node_it_is_the_pages_themselves_from_any_offset(void **state)
{
    (void)state;
    struct qn_fs *fs;
    struct qn_file *file = open_written(&fs, "n0");
    struct rand rand;
    rand_init(&rand, 3);
    for (int i = 0; i < 200; i++)
        check_view(file, rand_below(&rand, LENGTH), 1 + rand_below(&rand, 30000), false);
    check_view(file, BLOCK - 1, 100, false);
    check_view(file, LENGTH - 1, 100, false);
    check_all(file, false);
    assert_int_equal(fake.nodes[0].reads, 0);
    end_with(fs, file);
}

static void elsewhere_it_is_a_copy(void **state)
{
    (void)state;
    struct qn_fs *fs;
    fake.same_host = false;
    struct qn_file *file = open_written(&fs, NULL);
    check_view(file, 777, 5000, true);
    check_all(file, true);
    end_with(fs, file);
}

static void it_outlives_handle_and_file(void **state)
{
    (void)state;
    struct qn_fs *fs;
    struct qn_view view;
    struct qn_file *file = open_written(&fs, "n0");
    assert_int_equal(qn_view(file, 4000, 50000, &view, &error), 0);
    assert_int_equal(qn_delete(fs, "/f", false, &error), 1);
    end_with(fs, file);
    assert_memory_equal(view.data, content + 4000, 50000);
    qn_view_release(&view);
}

static void behind_the_end_there_is_nothing(void **state)
{
    (void)state;
    struct qn_fs *fs;
    struct qn_view view;
    struct qn_file *file = open_written(&fs, "n0");
    assert_int_equal(qn_view(file, LENGTH, 10, &view, &error), 0);
    assert_int_equal(view.size, 0);
    assert_int_equal(qn_view(file, UINT64_MAX, 10, &view, &error), 0);
    assert_int_equal(view.size, 0);
    assert_int_equal(qn_view(file, 0, 0, &view, &error), 0);
    assert_int_equal(view.size, 0);
    qn_view_release(&view);
    qn_view_release(NULL);
    end_with(fs, file);
}

static void damaged_pages_are_never_shown_and_are_told(void **state)
{
    (void)state;
    struct qn_fs *fs;
    struct qn_file *file = open_written(&fs, "n0");
    fake.nodes[0].corrupts = true;
    check_view(file, 0, BLOCK, true);
    assert_true(fake.bad_reports > 0);
    assert_string_equal(fake.last_bad, "n0");
    end_with(fs, file);
}

static void pages_the_disk_does_not_give_are_read_elsewhere(void **state)
{
    (void)state;
    struct qn_fs *fs;
    struct qn_file *file = open_written(&fs, "n0");
    assert_int_equal(fault_arm("client.read.populate=1+:eio", NULL), 0);
    check_view(file, 0, BLOCK, true);
    end_with(fs, file);
}

static void a_disk_that_says_nothing_is_left_and_its_pages_are_given_back(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect_with("n0", "dfs.client.socket-timeout", "300ms");
    struct qn_fs *writer;
    struct qn_file *file = open_written(&writer, "n0");
    end_with(writer, file);
    file = qn_open(fs, "/f", QN_READ, NULL, &error);
    assert_non_null(file);
    assert_int_equal(fault_arm("client.read.cached=1+:drop,client.read.disk=1+:delay1500", NULL),
                     0);
    uint64_t begun_ms = clock_mono_ms();
    check_view(file, 0, BLOCK, true);
    assert_in_range(clock_mono_ms() - begun_ms, 300, 60000);
    assert_true(fake.nodes[1].reads + fake.nodes[2].reads > 0);
    end_with(fs, file);
}

static void of_a_block_that_is_being_written_it_is_a_copy(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect("n0");
    struct qn_file *out = qn_open(fs, "/f", QN_WRITE, NULL, &error);
    assert_non_null(out);
    write_some(out, 70000);
    assert_int_equal(qn_hflush(out, &error), 0);
    struct qn_file *in = qn_open(fs, "/f", QN_READ, NULL, &error);
    assert_non_null(in);
    check_view(in, 100, 60000, true);
    assert_int_equal(qn_close(in, NULL), 0);
    assert_int_equal(qn_close(out, &error), 0);
    qn_fs_close(fs);
}

static void a_file_that_is_written_has_no_views(void **state)
{
    (void)state;
    struct qn_view view;
    struct qn_fs *fs = fake_connect("n0");
    struct qn_file *out = qn_open(fs, "/f", QN_WRITE, NULL, &error);
    assert_int_equal(qn_view(out, 0, 1, &view, &error), QN_EINVAL);
    assert_int_equal(qn_view(NULL, 0, 1, &view, &error), QN_EINVAL);
    assert_int_equal(qn_view(out, 0, 1, NULL, &error), QN_EINVAL);
    qn_abort(out);
    qn_fs_close(fs);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(on_the_same_node_it_is_the_pages_themselves_from_any_offset),
        CASE(elsewhere_it_is_a_copy),
        CASE(it_outlives_handle_and_file),
        CASE(behind_the_end_there_is_nothing),
        CASE(damaged_pages_are_never_shown_and_are_told),
        CASE(pages_the_disk_does_not_give_are_read_elsewhere),
        CASE(a_disk_that_says_nothing_is_left_and_its_pages_are_given_back),
        CASE(of_a_block_that_is_being_written_it_is_a_copy),
        CASE(a_file_that_is_written_has_no_views),
    };
    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
