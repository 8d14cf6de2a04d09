/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/fs/acl_spec.h"
#include "libcommon/base/mem.h"

static struct qn_acl_entry entries[FS_ACL_SPEC_MAX];
static size_t count;
static struct err err;

static int parse(const char *text, bool has_perm)
{
    static char copy[2048];
    snprintf(copy, sizeof(copy), "%s", text);
    return fs_acl_parse(copy, has_perm, entries, &count, &err);
}

static void entries_are_scope_type_name_and_permission(void **state)
{
    (void)state;
    assert_int_equal(parse("user:bob:rw-,group::r-x,default:mask::---,other::--x", true), 0);
    assert_int_equal(count, 4);
    assert_string_equal(entries[0].name, "bob");
    assert_int_equal(entries[0].perm, 6);
    assert_string_equal(entries[1].name, "");
    assert_int_equal(entries[1].type, QN_ACL_GROUP);
    assert_true(entries[2].is_default);
    assert_int_equal(entries[2].type, QN_ACL_MASK);
    assert_int_equal(entries[3].perm, 1);
    assert_int_equal(parse("user:bob,default:group:ops,mask", false), 0);
    assert_int_equal(count, 3);
    assert_string_equal(entries[1].name, "ops");
    assert_int_equal(parse("mask::,user:bob:", false), 0);
    assert_int_equal(count, 2);
    assert_int_equal(parse(",user:bob:rwx,,", true), 0); /* what is empty is passed over */
    assert_int_equal(count, 1);
}

static void what_is_wrong_is_told_in_hadoops_words(void **state)
{
    (void)state;
    assert_int_equal(parse("user:bob", true), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid <aclSpec> : user:bob");
    assert_int_equal(parse("user::rwx,usr:bob:rwx", true), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid type of acl in <aclSpec> :usr:bob:rwx");
    assert_int_equal(parse("user:bob:rwz", true), ERR_INVAL);
    assert_string_equal(err.msg, "Invalid permission in <aclSpec> : user:bob:rwz");
    assert_int_equal(parse("user:bob:rwx:more", true), ERR_INVAL);
    assert_int_equal(parse("user:bob:rwx", false), ERR_INVAL);
    assert_int_equal(parse("default", true), ERR_INVAL);
}

static void the_whole_list_takes_from_the_mode_what_is_not_stored(void **state)
{
    (void)state;
    struct qn_acl_entry stored[] = {{"bob", QN_ACL_USER, 7, false}, {"", QN_ACL_GROUP, 5, false}};
    struct qn_acl acl = {.mode = 0751, .count = 2, .entries = stored};
    size_t n = 0;
    struct qn_acl_entry *all = fs_acl_whole(&acl, &n);
    assert_int_equal(n, 5);
    assert_int_equal(all[0].perm, 7);
    assert_string_equal(all[1].name, "bob");
    assert_int_equal(all[3].type, QN_ACL_MASK);
    assert_int_equal(all[3].perm, 5);
    assert_int_equal(all[4].perm, 1);
    mem_free(all);
    acl.count = 0;
    all = fs_acl_whole(&acl, &n);
    assert_int_equal(n, 3);
    assert_int_equal(all[1].type, QN_ACL_GROUP);
    mem_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_scope_type_name_and_permission),
        cmocka_unit_test(what_is_wrong_is_told_in_hadoops_words),
        cmocka_unit_test(the_whole_list_takes_from_the_mode_what_is_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
