/* SPDX-License-Identifier: Apache-2.0
 * fsimage and images: what comes back is exactly what went in, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/images.h"
#include "tests/sim/disk.h"

static struct sim_disk *sim;
static struct disk *d;
static const struct nn_image_head head = {77, 42, 1700};

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    return fsutil_mkdirs(d, "/a", NULL) || fsutil_mkdirs(d, "/b", NULL);
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(sim);
    return 0;
}

static void write_small(const char *path)
{
    struct nn_image_writer writer;
    assert_int_equal(nn_image_begin(&writer, d, path, &head, NULL), 0);
    nn_image_put(&writer, 1, slice_str("counters"));
    nn_image_put(&writer, 2, slice_str("inodes one"));
    nn_image_put(&writer, 2, slice_str(""));
    nn_image_put(&writer, 4, slice_str("jobs"));
    assert_int_equal(nn_image_commit(&writer, NULL), 0);
}

static int join(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    (void)err;
    buf_printf(arg, "%u:%.*s ", section, (int)chunk.len, chunk.len ? (char *)chunk.data : "");
    return 0;
}

static int refuse(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    (void)arg;
    (void)chunk;
    return section == 2 ? err_set(err, ERR_CORRUPT, "no") : 0;
}

static void chunks_come_back_in_order(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    struct nn_image_head back;
    write_small("/a/i");
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(nn_image_read(d, "/a/i", &back, join, &got, NULL), 0);
    assert_string_equal(buf_cstr(&got), "1:counters 2:inodes one 2: 4:jobs ");
    assert_memory_equal(&back, &head, sizeof(head));
    assert_int_equal(nn_image_read(d, "/a/i", NULL, refuse, NULL, NULL), ERR_CORRUPT);
    buf_release(&got);
}

static void chunks_of_megabytes_pass(void **state)
{
    (void)state;
    struct nn_image_writer writer;
    uint8_t *big = mem_alloc(5U << 20);
    memset(big, 7, 5U << 20);
    assert_int_equal(nn_image_begin(&writer, d, "/a/i", &head, NULL), 0);
    for (int i = 0; i < 3; i++)
        nn_image_put(&writer, 2, slice_of(big, 5U << 20));
    nn_image_put(&writer, 2, slice_of(big, 100));
    assert_int_equal(nn_image_commit(&writer, NULL), 0);
    assert_int_equal(nn_image_read(d, "/a/i", NULL, NULL, NULL, NULL), 0);
    mem_free(big);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct disk_stat st;
    write_small("/a/i");
    assert_int_equal(disk_stat(d, "/a/i", &st), 0);
    for (uint64_t bit = 0; bit < st.size_bytes * 8; bit++) {
        struct err err = {0};
        assert_int_equal(sim_disk_flip(sim, "/a/i", bit), 0);
        assert_int_equal(nn_image_read(d, "/a/i", NULL, NULL, NULL, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "/a/i is damaged: "));
        assert_int_equal(sim_disk_flip(sim, "/a/i", bit), 0);
    }
}

static void every_truncation_and_every_tail_is_seen(void **state)
{
    (void)state;
    struct disk_stat st;
    int fd = -1;
    write_small("/a/i");
    assert_int_equal(disk_stat(d, "/a/i", &st), 0);
    assert_int_equal(disk_open(d, "/a/i", DISK_WRITE, &fd), 0);
    assert_int_equal(disk_append(d, fd, "x", 1), 0);
    assert_int_equal(nn_image_read(d, "/a/i", NULL, NULL, NULL, NULL), ERR_CORRUPT);
    for (uint64_t size = st.size_bytes; size-- > 0;) {
        assert_int_equal(disk_truncate(d, fd, size), 0);
        assert_int_equal(nn_image_read(d, "/a/i", NULL, NULL, NULL, NULL), ERR_CORRUPT);
    }
    disk_close(d, fd);
    assert_int_equal(nn_image_read(d, "/a/none", NULL, NULL, NULL, NULL), ERR_NOENT);
}

static void names_are_recognised_exactly(void **state)
{
    (void)state;
    char name[NN_IMAGE_NAME_MAX];
    uint64_t index = 0;
    assert_string_equal(nn_image_name(name, 0), "image.000000000000");
    assert_true(nn_image_name_parse("image.000000000042", &index));
    assert_int_equal(index, 42);
    assert_false(nn_image_name_parse("image.42", &index));
    assert_false(nn_image_name_parse("image.000000000042.new", &index));
}

/* ---- images in several directories ---- */

static const struct nn_dir_set *both(void)
{
    static struct nn_dir_set set;
    set = (struct nn_dir_set){.disk = d, .paths = {"/a", "/b"}, .count = 2};
    return &set;
}

static int save(void *state, nn_image_put_fn *put, void *arg)
{
    return put(arg, 1, slice_str(state));
}

static int save_badly(void *state, nn_image_put_fn *put, void *arg)
{
    save(state, put, arg);
    return ERR_NOMEM;
}

static int make_image(uint64_t index, struct err *err)
{
    struct nn_image_head of = {77, index, 0};
    static char text[] = "state";
    int rc = nn_images_write(both(), &of, save, text, err);
    return rc ? rc : nn_images_swap(both(), index, err);
}

static const char *listed(struct disk *disk)
{
    static char text[512];
    struct buf out = BUF_INIT;
    struct nn_image_list list;
    struct nn_dir_set set = *both();
    set.disk = disk;
    assert_int_equal(nn_images_list(&set, &list, NULL), 0);
    for (size_t i = 0; i < list.n; i++)
        buf_printf(&out, "%s%s/%d", i ? " " : "", set.paths[list.v[i].dir], (int)list.v[i].index);
    snprintf(text, sizeof(text), "%.*s", (int)out.len, out.len ? (char *)out.data : "");
    nn_images_release(&list);
    buf_release(&out);
    return text;
}

static void old_images_retire_when_two_newer_are_there(void **state)
{
    (void)state;
    assert_int_equal(make_image(5, NULL), 0);
    assert_int_equal(make_image(9, NULL), 0);
    assert_int_equal(make_image(12, NULL), 0);
    assert_string_equal(listed(d), "/a/12 /b/12 /a/9 /b/9 /a/5 /b/5");
    assert_int_equal(nn_images_retire(both(), 9, NULL), 0);
    assert_string_equal(listed(d), "/a/12 /b/12 /a/9 /b/9");
}

static void a_state_that_cannot_be_saved_leaves_nothing(void **state)
{
    (void)state;
    struct err err = {0};
    struct disk_stat st;
    static char text[] = "state";
    assert_int_equal(nn_images_write(both(), &head, save_badly, text, &err), ERR_NOMEM);
    assert_string_equal(listed(d), "");
    assert_int_equal(disk_stat(d, "/a/image.000000000042.new", &st), ERR_NOENT);
    assert_int_equal(disk_stat(d, "/a/image.000000000042.new.tmp", &st), ERR_NOENT);
}

static void one_directory_failing_fails_the_image_and_leaves_the_old_one(void **state)
{
    (void)state;
    assert_int_equal(make_image(5, NULL), 0);
    for (uint64_t n = 1;; n++) {
        struct err err = {0};
        sim_disk_fail(sim, "/b", n, ERR_NOSPC, false);
        int rc = make_image(9, &err);
        sim_disk_fail(sim, "/b", 0, 0, false);
        if (rc == 0)
            break;
        assert_non_null(strstr(err.msg, "/b"));
        assert_non_null(strstr(listed(d), "/a/5 /b/5"));
    }
    assert_string_equal(listed(d), "/a/9 /b/9 /a/5 /b/5");
}

struct crashing {
    unsigned before, after;
};

static void cut_the_power(void *arg, uint64_t op)
{
    struct crashing *seen = arg;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, op * 10 + seed);
        struct disk *disk = sim_disk(clone);
        bool has_new = strstr(listed(disk), "/9");
        seen->before += !has_new;
        seen->after += has_new;
        assert_non_null(strstr(listed(disk), "/a/5 /b/5"));
        struct nn_image_list list;
        struct nn_dir_set set = *both();
        set.disk = disk;
        assert_int_equal(nn_images_list(&set, &list, NULL), 0);
        for (size_t i = 0; i < list.n; i++) {
            char *path = nn_image_path(set.paths[list.v[i].dir], list.v[i].index, "");
            assert_int_equal(nn_image_read(disk, path, NULL, NULL, NULL, NULL), 0);
            mem_free(path);
        }
        nn_images_release(&list);
        sim_disk_free(clone);
    }
}

static void whatever_a_crash_leaves_under_an_image_name_is_whole(void **state)
{
    (void)state;
    struct crashing seen = {0};
    assert_int_equal(make_image(5, NULL), 0);
    sim_disk_on_op(sim, cut_the_power, &seen);
    assert_int_equal(make_image(9, NULL), 0);
    assert_true(seen.before > 0 && seen.after > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(chunks_come_back_in_order),
        CASE(chunks_of_megabytes_pass),
        CASE(every_flipped_bit_is_seen),
        CASE(every_truncation_and_every_tail_is_seen),
        CASE(names_are_recognised_exactly),
        CASE(old_images_retire_when_two_newer_are_there),
        CASE(a_state_that_cannot_be_saved_leaves_nothing),
        CASE(one_directory_failing_fails_the_image_and_leaves_the_old_one),
        CASE(whatever_a_crash_leaves_under_an_image_name_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
