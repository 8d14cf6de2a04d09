/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "libcommon/wire/hello.h"

static const struct identity namenode = {WIRE_NAMENODE, "c1", "host1", "boss", "boot1", 7};
static struct err err;

static int check(struct buf *bytes, const struct hello_want *want, struct hello *ret)
{
    static struct arena arena;
    struct frame frame;
    size_t used;
    arena_release(&arena);
    assert_int_equal(frame_parse(buf_slice(bytes), FRAME_HELLO_MAX_BYTES, &frame, &used, &err), 0);
    int rc = hello_check(&frame, want, &arena, ret, &err);
    arena_release(&arena);
    return rc;
}

static void a_hello_comes_back_as_it_went(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    struct hello got;
    struct identity me = {.role = WIRE_CLIENT, .cluster = "c1"};
    struct hello_want want = {&me, HELLO_ROLE(WIRE_NAMENODE), "host1:8020"};
    assert_int_equal(hello_put(&bytes, &namenode, 0), 0);
    assert_int_equal(check(&bytes, &want, &got), 0);
    assert_int_equal(got.role, WIRE_NAMENODE);
    assert_int_equal(got.netns, 7);
    assert_true(slice_is(got.node, "host1") && slice_is(got.user, "boss"));
    assert_true(slice_is(got.cluster, "c1") && slice_is(got.boot, "boot1"));
    buf_release(&bytes);
}

static void what_we_do_not_know_of_ourselves_is_empty(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    struct hello got;
    struct identity nobody = {.role = WIRE_TOOL};
    struct hello_want want = {&namenode, 0, "1.2.3.4:5"};
    assert_int_equal(hello_put(&bytes, &nobody, 0), 0);
    assert_int_equal(check(&bytes, &want, &got), 0); /* an empty cluster fits every cluster */
    assert_int_equal(got.cluster.len + got.node.len + got.user.len, 0);
    buf_release(&bytes);
}

static void another_cluster_or_role_is_one_clear_sentence(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    struct hello got;
    struct identity me = {.role = WIRE_DATANODE, .cluster = "c2"};
    struct hello_want want = {&me, 0, "host1:8020"};
    assert_int_equal(hello_put(&bytes, &namenode, 0), 0);
    assert_int_equal(check(&bytes, &want, &got), ERR_FOREIGN);
    assert_string_equal(err.msg, "namenode host1:8020 belongs to cluster c1, this datanode to c2");
    want.roles = HELLO_ROLE(WIRE_JOBTRACKER);
    assert_int_equal(check(&bytes, &want, &got), ERR_ACCESS);
    assert_string_equal(err.msg, "host1:8020 is a namenode, which this datanode does not talk to");
    buf_release(&bytes);
}

static void names_that_are_too_long_are_cut_when_sent_and_refused_when_received(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    struct hello got;
    char name[400];
    memset(name, 'n', sizeof(name));
    name[399] = 0;
    struct identity me = {.role = WIRE_CLIENT, .node = name};
    struct hello_want want = {&namenode, 0, "x"};
    assert_int_equal(hello_put(&bytes, &me, 0), 0);
    assert_int_equal(check(&bytes, &want, &got), 0);
    buf_clear(&bytes);
    struct frame frame = {.type = FRAME_HELLO};
    struct hello hello = {.magic = slice_str(WIRE_MAGIC),
                          .version_min = 1,
                          .version_max = 1,
                          .role = WIRE_CLIENT,
                          .node = slice_str(name)};
    assert_int_equal(frame_put(&bytes, &frame, &hello_desc, &hello), 0);
    assert_int_equal(check(&bytes, &want, &got), ERR_PROTO);
    buf_release(&bytes);
}

static void a_range_of_versions_that_meets_ours_is_fine(void **state)
{
    (void)state;
    static const struct {
        uint32_t min, max;
        int rc;
    } cases[] = {{1, 1, 0}, {0, 5, 0}, {1, 9, 0}, {2, 9, ERR_VERSION}, {0, 0, ERR_VERSION}};
    struct hello_want want = {&namenode, 0, "x"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf bytes = BUF_INIT;
        struct hello got;
        struct frame frame = {.type = FRAME_HELLO};
        struct hello hello = {.magic = slice_str(WIRE_MAGIC),
                              .version_min = cases[i].min,
                              .version_max = cases[i].max,
                              .role = WIRE_CLIENT};
        assert_int_equal(frame_put(&bytes, &frame, &hello_desc, &hello), 0);
        assert_int_equal(check(&bytes, &want, &got), cases[i].rc);
        buf_release(&bytes);
    }
}

static void an_error_answer_becomes_our_error(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    struct hello got;
    struct hello_want want = {&namenode, 0, "1.2.3.4:5"};
    assert_int_equal(frame_put_error(&bytes, FRAME_HELLO, 0, ERR_LIMIT, "too many connections"), 0);
    assert_int_equal(check(&bytes, &want, &got), ERR_LIMIT);
    assert_string_equal(err.msg, "1.2.3.4:5 refuses: too many connections");
    buf_clear(&bytes);
    assert_int_equal(frame_put_error(&bytes, FRAME_HELLO, 0, 77, "no error code"), 0);
    assert_int_equal(check(&bytes, &want, &got), ERR_PROTO);
    buf_release(&bytes);
}

static void another_frame_is_no_hello(void **state)
{
    (void)state;
    struct hello_want want = {&namenode, 0, "x"};
    struct frame frame = {.type = 1};
    struct hello got;
    assert_int_equal(hello_check(&frame, &want, NULL, &got, &err), ERR_PROTO);
}

static void known_strangers_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"hrpc\x09", "10.0.0.5:8020 is a Hadoop client: this port speaks quern's protocol"},
        {"....org.apache.hadoop.ipc.RPC$VersionMismatch",
         "10.0.0.5:8020 speaks Hadoop's protocol, not quern's: reach it as "
         "webhdfs://10.0.0.5:9870"},
        {"HTTP/1.1 400", "10.0.0.5:8020 is a web server's port, not quern's RPC port"},
        {"GET / HTTP/1.0", "10.0.0.5:8020 asks for a web page: this is quern's RPC port"},
        {"\x16\x03\x01", "10.0.0.5:8020 speaks TLS, which is not expected here"},
        {"SSH-2.0-OpenSSH", "10.0.0.5:8020 is an SSH server"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(hello_stranger(slice_str(cases[i].bytes), "10.0.0.5:8020", &err),
                         ERR_PROTO);
        assert_string_equal(err.msg, cases[i].text);
    }
    assert_int_equal(hello_stranger(slice_str("what is this"), "x", &err), 0);
    assert_int_equal(hello_stranger(slice_of(NULL, 0), "x", &err), 0);
}

static void a_hadoop_server_takes_us_for_a_version_it_answers(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    assert_int_equal(hello_put(&bytes, &namenode, 0), 0);
    assert_true(bytes.data[4] >= 9); /* what it reads as the protocol version */
    buf_release(&bytes);
}

static void the_user_comes_from_the_environment_or_the_system(void **state)
{
    (void)state;
    struct identity identity;
    char user[64];
    assert_int_equal(setenv("HADOOP_USER_NAME", "alice", 1), 0);
    identity_init(&identity, WIRE_CLIENT, NULL);
    assert_string_equal(identity.user, "alice");
    assert_true(identity.node[0] != 0 && identity.boot[0] != 0);
    assert_true(identity.netns != 0);
    assert_int_equal(unsetenv("HADOOP_USER_NAME"), 0);
    identity_init(&identity, WIRE_CLIENT, "n1");
    assert_string_equal(identity.user, identity_user_of(geteuid(), user, sizeof(user)));
    assert_string_equal(identity.node, "n1");
    assert_string_equal(identity_user_of(4000123, user, sizeof(user)), "4000123");
}

static void an_unreachable_server_is_named_by_its_role(void **state)
{
    (void)state;
    assert_int_equal(hello_unreachable(&err, ERR_REFUSED, "h:1", HELLO_ROLE(WIRE_NAMENODE)),
                     ERR_REFUSED);
    assert_string_equal(err.msg, "cannot reach h:1: connection refused: is the namenode running?");
    hello_unreachable(&err, ERR_TIMEOUT, "h:1", 0);
    assert_string_equal(err.msg, "cannot reach h:1: timed out");
    hello_unreachable(&err, ERR_EOF, "h:1", HELLO_ROLE(WIRE_NAMENODE));
    assert_string_equal(err.msg,
                        "h:1 closed the connection instead of saying hello: is it a namenode?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_comes_back_as_it_went),
        cmocka_unit_test(what_we_do_not_know_of_ourselves_is_empty),
        cmocka_unit_test(another_cluster_or_role_is_one_clear_sentence),
        cmocka_unit_test(names_that_are_too_long_are_cut_when_sent_and_refused_when_received),
        cmocka_unit_test(a_range_of_versions_that_meets_ours_is_fine),
        cmocka_unit_test(an_error_answer_becomes_our_error),
        cmocka_unit_test(another_frame_is_no_hello),
        cmocka_unit_test(known_strangers_are_recognised),
        cmocka_unit_test(a_hadoop_server_takes_us_for_a_version_it_answers),
        cmocka_unit_test(the_user_comes_from_the_environment_or_the_system),
        cmocka_unit_test(an_unreachable_server_is_named_by_its_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
