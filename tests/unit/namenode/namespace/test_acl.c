/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "namenode/namespace/access.h"
#include "namenode/namespace/acl.h"

static struct nn_tree tree;
static struct err err;
static char text[1024];

static uint32_t add(const char *path, bool is_dir, uint32_t mode)
{
    uint32_t slot = 0;
    struct nn_birth birth = {.id = tree.next_id,
                             .is_dir = is_dir,
                             .mode = mode,
                             .owner = slice_str("alice"),
                             .group = slice_str("staff")};
    struct slice p = slice_str(path);
    assert_int_equal(
        nn_tree_add(&tree, nn_tree_find(&tree, path_parent(p)), path_name(p), &birth, &slot), 0);
    assert_int_equal(nn_acl_inherit(&tree, slot), 0);
    return slot;
}

static int setup(void **state)
{
    (void)state;
    return nn_tree_init(&tree, slice_str("hdfs"), slice_str("supergroup"), 0755);
}
static int teardown(void **state)
{
    (void)state;
    nn_tree_release(&tree);
    return 0;
}

/* "u:bob:6 d:g::5": first letters, the permission as a digit. */
static void parse(const char *spec, struct nn_acl_list *ret)
{
    ret->n = 0;
    for (const char *p = spec; *p;) {
        struct nn_acl_item *item = &ret->v[ret->n++];
        *item = (struct nn_acl_item){0};
        if (p[0] == 'd') {
            item->is_default = true;
            p += 2;
        }
        item->type = (uint8_t)(strchr("ugmo", *p) - "ugmo");
        size_t name = strcspn(p + 2, ":");
        item->name = slice_of(p + 2, name);
        item->perm = (uint8_t)(p[2 + name + 1] - '0');
        p += 2 + name + 2;
        p += *p == ' ';
    }
}

static const char *show(const struct nn_acl_list *list)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < list->n; i++)
        buf_printf(&out, "%s%s%c:" SLICE_FMT ":%u", i ? " " : "", list->v[i].is_default ? "d:" : "",
                   "ugmo"[list->v[i].type], SLICE_ARG(list->v[i].name), list -> v[i].perm);
    snprintf(text, sizeof(text), "%s", out.len ? buf_cstr(&out) : "");
    buf_release(&out);
    return text;
}

static int edit(const char *now, enum nn_acl_action action, const char *spec)
{
    struct nn_acl_list before, wish, after;
    parse(now, &before);
    parse(spec, &wish);
    int rc = nn_acl_edit(&before, action, &wish, &after, &err);
    if (rc == 0)
        show(&after);
    return rc;
}

static void a_mask_is_what_the_named_entries_and_the_group_may_together(void **state)
{
    (void)state;
    assert_int_equal(edit("u::7 g::5 o::0", NN_ACL_MODIFY, "u:bob:6"), 0);
    assert_string_equal(text, "u::7 u:bob:6 g::5 m::7 o::0");
    assert_int_equal(edit("u::7 u:bob:6 g::5 m::7 o::0", NN_ACL_MODIFY, "m::4"), 0);
    assert_string_equal(text, "u::7 u:bob:6 g::5 m::4 o::0");
    assert_int_equal(edit("u::7 u:bob:6 g::5 m::4 o::0", NN_ACL_MODIFY, "g:ops:1"), 0);
    assert_string_equal(text, "u::7 u:bob:6 g::5 g:ops:1 m::7 o::0");
    assert_int_equal(edit("u::7 g::5 o::0", NN_ACL_MODIFY, "o::4 u::6"), 0);
    assert_string_equal(text, "u::6 g::5 o::4");
}

static void removing_the_last_named_entry_leaves_a_mask_until_it_is_removed_too(void **state)
{
    (void)state;
    const char *now = "u::7 u:bob:6 g::5 m::7 o::0";
    assert_int_equal(edit(now, NN_ACL_REMOVE, "m::0"), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid ACL: mask is required and cannot be deleted.");
    assert_int_equal(edit(now, NN_ACL_REMOVE, "u:bob:0"), 0);
    assert_string_equal(text, "u::7 g::5 m::5 o::0");
    assert_int_equal(edit(now, NN_ACL_REMOVE, "u:bob:0 m::0"), 0);
    assert_string_equal(text, "u::7 g::5 o::0");
    assert_int_equal(edit(now, NN_ACL_REMOVE, "u:nobody:0"), 0);
    assert_string_equal(text, now);
    assert_int_equal(edit(now, NN_ACL_REMOVE, "u::0"), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid ACL: the user, group and other entries are required.");
    assert_int_equal(edit(now, NN_ACL_REMOVE_ALL, ""), 0);
    assert_string_equal(text, "u::7 g::5 o::0");
}

static void a_default_list_is_completed_from_the_access_list(void **state)
{
    (void)state;
    assert_int_equal(edit("u::7 g::5 o::1", NN_ACL_MODIFY, "d:u:bob:7"), 0);
    assert_string_equal(text, "u::7 g::5 o::1 d:u::7 d:u:bob:7 d:g::5 d:m::7 d:o::1");
    const char *both = "u::7 u:eve:4 g::5 m::5 o::1 d:u::7 d:u:bob:7 d:g::5 d:m::7 d:o::1";
    assert_int_equal(edit(both, NN_ACL_REMOVE_DEFAULT, ""), 0);
    assert_string_equal(text, "u::7 u:eve:4 g::5 m::5 o::1");
    assert_int_equal(edit(both, NN_ACL_SET, "u::6 g::4 o::0"), 0);
    assert_string_equal(text, "u::6 g::4 o::0 d:u::7 d:u:bob:7 d:g::5 d:m::7 d:o::1");
    assert_int_equal(edit(both, NN_ACL_SET, "d:u::1 d:g::2 d:o::3"), 0);
    assert_string_equal(text, "u::7 u:eve:4 g::5 m::5 o::1 d:u::1 d:g::2 d:o::3");
    assert_int_equal(edit(both, NN_ACL_SET, "u:bob:7"), ERR_INVAL);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct nn_acl_list now, many, after;
    static char names[40][8];
    assert_int_equal(edit("u::7 g::5 o::0", NN_ACL_MODIFY, "u:bob:6 u:bob:4"), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid ACL: multiple entries with same scope, type and name.");
    assert_int_equal(edit("u::7 g::5 o::0", NN_ACL_MODIFY, "m:bob:6"), ERR_INVAL);
    assert_string_equal(err.msg,
                        "Invalid ACL: this entry type must not have a name: mask:bob:rw-.");
    assert_int_equal(edit("u::7 g::5 o::0", NN_ACL_ACTIONS, ""), ERR_INVAL);
    parse("u::7 g::5 o::0", &now);
    for (many.n = 0; many.n < 29; many.n++) {
        snprintf(names[many.n], sizeof(names[0]), "n%u", (unsigned)many.n);
        many.v[many.n] = (struct nn_acl_item){.perm = 4, .name = slice_str(names[many.n])};
    }
    assert_int_equal(nn_acl_edit(&now, NN_ACL_MODIFY, &many, &after, &err), ERR_INVAL);
    assert_string_equal(err.msg,
                        "Invalid ACL: ACL has 33 access entries, which exceeds maximum of 32.");
    many.n--;
    assert_int_equal(nn_acl_edit(&now, NN_ACL_MODIFY, &many, &after, &err), 0);
}

static void give(uint32_t slot, const char *logical)
{
    struct nn_acl_list list, stored;
    parse(logical, &list);
    nn_acl_sort(&list);
    struct nn_inode *inode = nn_inode(&tree.store, slot);
    inode->mode = nn_acl_split(&list, (uint32_t)inode->mode, &stored) & 07777;
    assert_true(nn_acl_is_sound(&stored, inode->is_dir));
    assert_int_equal(nn_acl_store(&tree, slot, &stored), 0);
    struct nn_acl_list again;
    nn_acl_logical(&tree, slot, &again);
    assert_string_equal(show(&again), logical);
}

static bool may(const char *user, const char *group, uint32_t slot, enum nn_access want)
{
    struct slice g = slice_str(group ? group : "");
    struct nn_caller caller = {.user = slice_str(user), .groups = &g, .group_count = group != NULL};
    struct nn_walk walk;
    struct buf path = BUF_INIT;
    nn_tree_path(&tree, slot, &path);
    nn_tree_walk(&tree, buf_slice(&path), &walk);
    int rc = nn_access_path(&tree, &walk, &caller, want, &err);
    buf_release(&path);
    return rc == 0;
}

static void entries_decide_in_the_order_user_groups_others(void **state)
{
    (void)state;
    uint32_t f = add("/f", false, 0640);
    give(f, "u::7 u:bob:0 u:eve:7 g::4 g:dev:6 g:ops:2 m::6 o::1");
    assert_true(may("alice", NULL, f, NN_RWX)); /* no mask for the owner */
    assert_false(may("bob", "dev", f, NN_R));   /* his own entry comes first */
    assert_true(may("eve", NULL, f, NN_RW));
    assert_false(may("eve", NULL, f, NN_X)); /* the mask takes it */
    assert_true(may("carol", "dev", f, NN_RW));
    assert_true(may("carol", "staff", f, NN_R));
    assert_true(may("carol", "ops", f, NN_W));
    assert_false(may("carol", "ops", f, NN_RW));
    assert_false(may("carol", "ops", f, NN_X)); /* met by a group: not one of the others */
    assert_true(may("carol", NULL, f, NN_X));
    assert_false(may("bob", NULL, f, NN_R));
    assert_string_equal(err.msg, "Permission denied: user=bob, access=READ, "
                                 "inode=\"/f\":alice:staff:-rwxrw---x");
    nn_inode(&tree.store, f)->mode = 0701; /* chmod g=: the mask */
    assert_false(may("eve", NULL, f, NN_R));
}

static void what_is_made_in_a_directory_begins_with_its_default_list(void **state)
{
    (void)state;
    struct nn_acl_list list;
    uint32_t d = add("/d", true, 0755);
    give(d, "u::7 g::5 o::5 d:u::7 d:u:bob:7 d:g::5 d:m::7 d:o::0");
    uint32_t f = add("/d/f", false, 0666);
    nn_acl_logical(&tree, f, &list);
    assert_string_equal(show(&list), "u::6 u:bob:7 g::5 m::6 o::0");
    assert_int_equal(nn_inode(&tree.store, f)->mode, 0660);
    uint32_t sub = add("/d/sub", true, 01750);
    nn_acl_logical(&tree, sub, &list);
    assert_string_equal(show(&list), "u::7 u:bob:7 g::5 m::5 o::0 "
                                     "d:u::7 d:u:bob:7 d:g::5 d:m::7 d:o::0");
    assert_int_equal(nn_inode(&tree.store, sub)->mode, 01750);
    uint32_t e = add("/e", true, 0755);
    give(e, "u::7 g::5 o::5 d:u::7 d:g::5 d:o::4");
    nn_acl_logical(&tree, add("/e/f", false, 0620), &list);
    assert_string_equal(show(&list), "u::6 g::0 o::0");
    assert_false(nn_acl_has_any(&tree, nn_tree_find(&tree, slice_str("/e/f"))));
}

static void only_lists_that_can_be_are_taken_from_a_disk(void **state)
{
    (void)state;
    struct nn_acl_list list;
    static const char *const bad[] = {
        "u:bob:6",   "d:u:bob:6", "g::5 g::4",         "d:u::7 d:g::5",
        "g::5 u::7", "m::5 g::5", "u:bob:6 g::5 o::0", "d:u::7 d:u:bob:7 d:g::5 d:o::0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        parse(bad[i], &list);
        if (nn_acl_is_sound(&list, true))
            fail_msg("%s is taken", bad[i]);
    }
    parse("d:u::7 d:g::5 d:o::0", &list);
    assert_true(nn_acl_is_sound(&list, true));
    assert_false(nn_acl_is_sound(&list, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_mask_is_what_the_named_entries_and_the_group_may_together),
        T(removing_the_last_named_entry_leaves_a_mask_until_it_is_removed_too),
        T(a_default_list_is_completed_from_the_access_list),
        T(nonsense_is_refused),
        T(entries_decide_in_the_order_user_groups_others),
        T(what_is_made_in_a_directory_begins_with_its_default_list),
        T(only_lists_that_can_be_are_taken_from_a_disk),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
