/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/daemon/racks.h"

struct place {
    struct loop *loop;
    struct racks *racks;
    struct err err;
    char dir[64], file[96];
    char answer[64]; /* of the last question */
    unsigned answers;
    struct racks_wait wait;
};

static void setup(struct place *p)
{
    *p = (struct place){.loop = loop_new(NULL)};
    assert_non_null(p->loop);
    snprintf(p->dir, sizeof(p->dir), "/tmp/quern-racks-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->file, sizeof(p->file), "%s/file", p->dir);
}

static void write_file(struct place *p, const char *text)
{
    FILE *f = fopen(p->file, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(p->file, 0700), 0);
}

static void teardown(struct place *p)
{
    racks_close(p->racks);
    loop_turn(p->loop, 0);
    loop_free(p->loop);
    unlink(p->file);
    rmdir(p->dir);
}

static void answered(void *arg, struct slice rack)
{
    struct place *p = arg;
    snprintf(p->answer, sizeof(p->answer), SLICE_FMT, SLICE_ARG(rack));
    p->answers++;
}

static const char *ask(struct place *p, const char *node, const char *claim)
{
    unsigned before = p->answers;
    p->wait = (struct racks_wait){.done = answered, .arg = p};
    racks_ask(p->racks, slice_str(node), slice_str("10.0.0.1"), slice_str(claim), &p->wait);
    for (int i = 0; i < 500 && p->answers == before; i++)
        loop_turn(p->loop, 20);
    assert_int_equal(p->answers, before + 1);
    return p->answer;
}

static void without_table_and_script_a_nodes_own_claim_counts(void **state)
{
    (void)state;
    struct place p;
    setup(&p);
    assert_int_equal(racks_open(p.loop, NULL, "", &p.racks, &p.err), 0);
    assert_string_equal(ask(&p, "a", ""), "/default-rack");
    assert_string_equal(ask(&p, "a", "/r9"), "/r9");
    assert_string_equal(ask(&p, "a", "r9"), "/default-rack"); /* no rack begins without a slash */
    teardown(&p);
}

static void a_table_names_racks_by_node_or_host_and_can_be_read_again(void **state)
{
    (void)state;
    struct place p;
    setup(&p);
    write_file(&p, "# racks\na /r1\n\n  b\t/r2   # beside the window\r\n10.0.0.1 /r3\n");
    assert_int_equal(racks_open(p.loop, p.file, NULL, &p.racks, &p.err), 0);
    assert_string_equal(ask(&p, "a", "/own"), "/r1");
    assert_string_equal(ask(&p, "b", ""), "/r2");
    assert_string_equal(ask(&p, "c", ""), "/r3");
    write_file(&p, "a /other\n");
    assert_int_equal(racks_reload(p.racks, &p.err), 0);
    assert_string_equal(ask(&p, "a", ""), "/other");
    write_file(&p, "a other\n");
    assert_int_equal(racks_reload(p.racks, &p.err), ERR_CONFIG);
    assert_string_equal(ask(&p, "a", ""), "/other"); /* the old table stays */
    teardown(&p);
}

static void a_bad_line_is_named_with_its_file_and_number(void **state)
{
    (void)state;
    struct place p;
    char expected[160];
    setup(&p);
    write_file(&p, "a /r1\nb r2\n");
    assert_int_equal(racks_open(p.loop, p.file, NULL, &p.racks, &p.err), ERR_CONFIG);
    snprintf(expected, sizeof(expected), "%s:2: expected \"NODE /rack\", such as \"b /rack1\"",
             p.file);
    assert_string_equal(p.err.msg, expected);
    unlink(p.file);
    assert_int_equal(racks_open(p.loop, p.file, NULL, &p.racks, &p.err), ERR_NOENT);
    teardown(&p);
}

static void a_script_is_asked_once_for_each_node(void **state)
{
    (void)state;
    struct place p;
    char script[256];
    setup(&p);
    snprintf(script, sizeof(script),
             "#!/bin/sh\necho run >>%s/runs\nfor n in \"$@\"; do echo /rack-$n; done\n", p.dir);
    write_file(&p, script);
    assert_int_equal(racks_open(p.loop, NULL, p.file, &p.racks, &p.err), 0);
    assert_string_equal(ask(&p, "a", "/own"), "/rack-a");
    assert_string_equal(ask(&p, "a", ""), "/rack-a");
    assert_string_equal(ask(&p, "b", ""), "/rack-b");
    char runs[96];
    struct stat st;
    snprintf(runs, sizeof(runs), "%s/runs", p.dir);
    assert_int_equal(stat(runs, &st), 0);
    assert_int_equal(st.st_size, 2 * 4);
    unlink(runs);
    teardown(&p);
}

static void a_script_that_fails_leaves_nodes_on_the_default_rack(void **state)
{
    (void)state;
    struct place p;
    setup(&p);
    write_file(&p, "#!/bin/sh\necho /nowhere\nexit 3\n");
    assert_int_equal(racks_open(p.loop, NULL, p.file, &p.racks, &p.err), 0);
    assert_string_equal(ask(&p, "a", ""), "/default-rack");
    write_file(&p, "#!/bin/sh\necho nonsense\n");
    assert_string_equal(ask(&p, "a", ""), "/default-rack");
    write_file(&p, "#!/bin/sh\necho /r5\n"); /* mended: the next question is asked again */
    assert_string_equal(ask(&p, "a", ""), "/r5");
    unlink(p.file);
    assert_string_equal(ask(&p, "b", ""), "/default-rack");
    teardown(&p);
}

static void a_script_that_prints_garbage_dies_or_does_not_end_holds_up_nobody(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "#!/bin/sh\nprintf '/a\\033[2Jb\\n'\n",            /* what a terminal would obey */
        "#!/bin/sh\nhead -c 3000000 /dev/zero\n",          /* without end */
        "#!/bin/sh\necho /r; kill -9 $$\n",                /* dies */
        "#!/bin/sh\necho /r; exec >&-; exec sleep 1000\n", /* has said all, and stays */
        "#!/bin/sh\nprintf /; head -c 300 /dev/zero | tr '\\0' x\n", /* too long for a name */
        "",                                                          /* no program */
    };
    struct place p;
    setup(&p);
    write_file(&p, scripts[0]);
    assert_int_equal(racks_open(p.loop, NULL, p.file, &p.racks, &p.err), 0);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        write_file(&p, scripts[i]);
        assert_string_equal(ask(&p, "a", ""), "/default-rack");
    }
    write_file(&p, "#!/bin/sh\necho /r5\n");
    assert_string_equal(ask(&p, "a", ""), "/r5");
    teardown(&p);
}

static void a_cancelled_question_is_never_answered(void **state)
{
    (void)state;
    struct place p;
    setup(&p);
    write_file(&p, "#!/bin/sh\necho /r5\n");
    assert_int_equal(racks_open(p.loop, NULL, p.file, &p.racks, &p.err), 0);
    p.wait = (struct racks_wait){.done = answered, .arg = &p};
    racks_ask(p.racks, slice_str("x"), slice_str("h"), slice_str(""), &p.wait);
    racks_cancel(&p.wait);
    assert_string_equal(ask(&p, "y", ""), "/r5");
    assert_int_equal(p.answers, 1);
    teardown(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_table_and_script_a_nodes_own_claim_counts),
        cmocka_unit_test(a_table_names_racks_by_node_or_host_and_can_be_read_again),
        cmocka_unit_test(a_bad_line_is_named_with_its_file_and_number),
        cmocka_unit_test(a_script_is_asked_once_for_each_node),
        cmocka_unit_test(a_script_that_fails_leaves_nodes_on_the_default_rack),
        cmocka_unit_test(a_script_that_prints_garbage_dies_or_does_not_end_holds_up_nobody),
        cmocka_unit_test(a_cancelled_question_is_never_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
