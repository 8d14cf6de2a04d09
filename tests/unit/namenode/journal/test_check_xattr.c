/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/xattr.h"
#include "tests/unit/namenode/journal/world.h"

#define BOTH (CL2NN_XATTR_CREATE | CL2NN_XATTR_REPLACE)

static struct world w;
static const struct nn_caller bob = {.user = {(const uint8_t *)"bob", 3}};

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    make_file(&w, "/f", 0);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    world_release(&w);
    return 0;
}

static int set(const char *path, const char *name, struct slice value, uint32_t flags)
{
    struct nn_view view = world_view(&w);
    struct cl2nn_set_xattr ask = {
        .path = slice_str(path), .name = slice_str(name), .value = value, .flags = flags};
    enum nn_op number = NN_OP_SET_XATTR;
    union nn_op_xattr op;
    int rc = nn_check_set_xattr(&view, &ask, &number, &op, &w.err);
    return world_done(&w, rc, number, &op);
}

static struct slice get(const char *path, const char *name)
{
    const struct nn_xattr *x =
        nn_xattr_find(&w.state.tree, slot_of(&w, path), NN_XATTR_USER, slice_str(name));
    return x ? nn_xattr_value(x) : slice_str("(none)");
}

static void a_value_is_any_bytes_and_may_be_empty(void **state)
{
    (void)state;
    assert_int_equal(set("/f", "user.a", slice_of("x\0y", 3), BOTH), 0);
    assert_true(slice_eq(get("/f", "a"), slice_of("x\0y", 3)));
    assert_int_equal(set("/f", "USER.a", slice_str("other"), BOTH), 0);
    assert_true(slice_is(get("/f", "a"), "other"));
    assert_int_equal(set("/f", "user.A", slice_of(NULL, 0), BOTH), 0); /* names have case */
    assert_int_equal(get("/f", "A").len, 0);
    assert_int_equal(set("/f", "user.a", slice_of(NULL, 0), CL2NN_XATTR_REMOVE), 0);
    assert_true(slice_is(get("/f", "a"), "(none)"));
    assert_int_equal(set("/f", "user.a", slice_of(NULL, 0), CL2NN_XATTR_REMOVE), ERR_FAILED);
    assert_string_equal(w.err.msg, "No matching attributes found for remove operation");
}

static void creating_and_replacing_are_asked_for(void **state)
{
    (void)state;
    assert_int_equal(set("/f", "user.a", slice_str("1"), CL2NN_XATTR_REPLACE), ERR_NOENT);
    assert_int_equal(set("/f", "user.a", slice_str("1"), CL2NN_XATTR_CREATE), 0);
    assert_int_equal(set("/f", "user.a", slice_str("1"), CL2NN_XATTR_CREATE), ERR_EXIST);
    assert_string_equal(w.err.msg, "XAttr: a already exists. The REPLACE flag must be specified.");
}

static void each_space_has_its_own_rule(void **state)
{
    (void)state;
    static const char *const bad[] = {"a", "a.b", "usr.a", "", "userx.a", ".a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(set("/f", bad[i], slice_str("1"), BOTH), ERR_INVAL);
        assert_non_null(
            strstr(w.err.msg, "must be prefixed with user/trusted/security/system/raw"));
    }
    assert_int_equal(set("/f", "user.", slice_str("1"), BOTH), ERR_INVAL);
    assert_string_equal(w.err.msg, "XAttr name cannot be empty.");
    assert_int_equal(set("/f", "trusted.a", slice_str("1"), BOTH), 0);
    assert_int_equal(set("/f", "security.a", slice_str("1"), BOTH), ERR_ACCESS);
    assert_int_equal(set("/f", "system.a", slice_str("1"), BOTH), ERR_ACCESS);
    assert_int_equal(set("/f", "raw.a", slice_str("1"), BOTH), ERR_ACCESS);
    assert_string_equal(w.err.msg, "User doesn't have permission for xattr: raw.a");
    w.caller = bob;
    assert_int_equal(set("/f", "trusted.b", slice_str("1"), BOTH), ERR_ACCESS);
    assert_int_equal(set("/f", "user.b", slice_str("1"), BOTH), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "access=WRITE"));
}

static void raw_attributes_are_for_superusers_below_reserved_raw(void **state)
{
    (void)state;
    assert_int_equal(set("/.reserved/raw/f", "raw.a", slice_str("1"), BOTH), 0);
    assert_true(slice_is(get("/f", "a"), "(none)")); /* another space */
    assert_int_equal(set("/f", "raw.a", slice_str("1"), BOTH), ERR_ACCESS);
    assert_int_equal(set("/.reserved/rawf", "raw.a", slice_str("1"), BOTH), ERR_ACCESS);
    w.caller = bob;
    assert_int_equal(set("/.reserved/raw/f", "raw.b", slice_str("1"), BOTH), ERR_ACCESS);
}

static void what_closes_a_file_to_superusers_stays(void **state)
{
    (void)state;
    static const char name[] = "security.hdfs.unreadable.by.superuser";
    assert_int_equal(set("/f", name, slice_str("1"), BOTH), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "Values are not allowed for this xattr."));
    assert_int_equal(set("/f", name, slice_of(NULL, 0), BOTH), 0);
    assert_int_equal(set("/f", name, slice_of(NULL, 0), CL2NN_XATTR_REMOVE), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "can not be deleted"));
    assert_int_equal(do_mkdir(&w, "/d", false), 0);
    assert_int_equal(set("/d", name, slice_of(NULL, 0), BOTH), ERR_INVAL);
}

static void a_sticky_directory_has_only_its_owners_attributes(void **state)
{
    (void)state;
    assert_int_equal(do_mkdir(&w, "/tmp", false), 0);
    struct op_set_mode op = {.path = slice_str("/tmp"), .mode = 01777};
    assert_int_equal(world_commit(&w, NN_OP_SET_MODE, &op), 0);
    w.caller = bob;
    assert_int_equal(set("/tmp", "user.a", slice_str("1"), BOTH), ERR_ACCESS);
    assert_non_null(strstr(w.err.msg, "is not the owner"));
    assert_int_equal(set("/nope", "user.a", slice_str("1"), BOTH), ERR_NOENT);
}

static void there_are_limits_on_number_and_size(void **state)
{
    (void)state;
    static char big[NN_XATTR_BYTES + 1];
    char name[32];
    assert_int_equal(set("/f", "user.a", slice_of(big, NN_XATTR_BYTES), BOTH), ERR_TOOBIG);
    assert_string_equal(w.err.msg,
                        "The XAttr is too big. The maximum combined size of the name and "
                        "value is 16384, but the total size is 16385");
    assert_int_equal(set("/f", "user.a", slice_of(big, NN_XATTR_BYTES - 1), BOTH), 0);
    for (int i = 1; i < NN_XATTR_MAX; i++) {
        snprintf(name, sizeof(name), "user.%d", i);
        assert_int_equal(set("/f", name, slice_str("v"), BOTH), 0);
    }
    assert_int_equal(set("/f", "user.more", slice_str("v"), BOTH), ERR_LIMIT);
    assert_string_equal(w.err.msg,
                        "Cannot add additional XAttr to inode, would exceed limit of 32");
    assert_int_equal(set("/f", "user.5", slice_str("w"), BOTH), 0);
}

static void they_are_in_the_image_and_go_with_the_inode(void **state)
{
    (void)state;
    struct world other;
    struct world_image image = {BUF_INIT};
    assert_int_equal(set("/f", "user.z", slice_str("1"), BOTH), 0);
    assert_int_equal(set("/f", "user.a", slice_of("\0", 1), BOTH), 0);
    assert_int_equal(set("/", "trusted.a", slice_str("root"), BOTH), 0);
    assert_int_equal(nn_state_save(&w.state, world_put_chunk, &image), 0);
    world_init(&other);
    if (world_load(&other, &image) != 0)
        fail_msg("%s", other.err.msg);
    assert_int_equal(nn_state_hash(&w.state), nn_state_hash(&other.state));
    size_t count = 0;
    const struct nn_xattr *all = nn_xattr_all(&other.state.tree, slot_of(&other, "/f"), &count);
    assert_int_equal(count, 2);
    assert_true(slice_is(nn_xattr_name(&all[0]), "a"));
    world_release(&other);
    buf_release(&image.bytes);
    assert_int_equal(do_delete(&w, "/f", false), 0);
    while (nn_state_reap(&w.state, 10))
        ;
    assert_int_equal(w.state.tree.store.extras.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_value_is_any_bytes_and_may_be_empty),
        T(creating_and_replacing_are_asked_for),
        T(each_space_has_its_own_rule),
        T(raw_attributes_are_for_superusers_below_reserved_raw),
        T(what_closes_a_file_to_superusers_stays),
        T(a_sticky_directory_has_only_its_owners_attributes),
        T(there_are_limits_on_number_and_size),
        T(they_are_in_the_image_and_go_with_the_inode),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
