/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/admin/fsck_report.h"
#include "client/admin/report.h"

static struct cl2nn_node_report nodes[3];
static struct cl2nn_report report;

static int set_up(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    for (uint32_t i = 0; i < 3; i++)
        nodes[i] = (struct cl2nn_node_report){
            .node = {.name = slice_str(i == 0   ? "n0"
                                       : i == 1 ? "n1"
                                                : "n2"),
                     .host = slice_str("10.0.0.1"),
                     .data_port = 9866 + i,
                     .rack = slice_str(i == 1 ? "/r1" : "/default-rack")},
            .state = slice_str(i == 2 ? "dead" : "live"),
            .admin = slice_str("Normal"),
            .capacity = 1536,
            .used = 512,
            .remaining = 1024,
            .xceivers = 2,
            .last_contact_ms = 1704164645000,
            .blocks = 7,
        };
    report = (struct cl2nn_report){.capacity = 3072,
                                   .used = 1024,
                                   .remaining = 2048,
                                   .under_replicated = 1,
                                   .missing_blocks = 2,
                                   .nodes = {nodes, 3}};
    return 0;
}

static const char *text_of(struct buf *out)
{
    const char *text = buf_cstr(out);
    assert_non_null(text);
    return text;
}

static void the_report_has_its_fields_in_order(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    report_print(&report, 0, &out);
    static const char want[] = "Configured Capacity: 3072 (3 KB)\n"
                               "Present Capacity: 3072 (3 KB)\n"
                               "DFS Remaining: 2048 (2 KB)\n"
                               "DFS Used: 1024 (1 KB)\n"
                               "DFS Used%: 33.33%\n"
                               "Replicated Blocks:\n"
                               "\tUnder replicated blocks: 1\n"
                               "\tBlocks with corrupt replicas: 0\n"
                               "\tMissing blocks: 2\n"
                               "\tMissing blocks (with replication factor 1): 0\n"
                               "\tLow redundancy blocks with highest priority to recover: 0\n"
                               "\tPending deletion blocks: 0\n"
                               "Erasure Coded Block Groups: \n"
                               "\tLow redundancy block groups: 0\n"
                               "\tBlock groups with corrupt internal blocks: 0\n"
                               "\tMissing block groups: 0\n"
                               "\tLow redundancy blocks with highest priority to recover: 0\n"
                               "\tPending deletion blocks: 0\n"
                               "\n"
                               "-------------------------------------------------\n"
                               "Live datanodes (2):\n"
                               "\n"
                               "Name: 10.0.0.1:9866 (n0)\n"
                               "Hostname: n0\n"
                               "Decommission Status : Normal\n"
                               "Configured Capacity: 1536 (1.50 KB)\n"
                               "DFS Used: 512 (512 B)\n"
                               "Non DFS Used: 0 (0 B)\n"
                               "DFS Remaining: 1024 (1 KB)\n"
                               "DFS Used%: 33.33%\n"
                               "DFS Remaining%: 66.67%\n"
                               "Configured Cache Capacity: 0 (0 B)\n"
                               "Cache Used: 0 (0 B)\n"
                               "Cache Remaining: 0 (0 B)\n"
                               "Cache Used%: 100.00%\n"
                               "Cache Remaining%: 0.00%\n"
                               "Xceivers: 2\n"
                               "Last contact: Tue Jan 02 03:04:05 UTC 2024\n"
                               "Last Block Report: Never\n"
                               "Num of Blocks: 7\n"
                               "\n\n"
                               "Name: 10.0.0.1:9867 (n1)\n"
                               "Hostname: n1\n"
                               "Rack: /r1\n";
    assert_memory_equal(text_of(&out), want, sizeof(want) - 1);
    assert_non_null(strstr(text_of(&out), "\n\nDead datanodes (1):\n\nName: 10.0.0.1:9868 (n2)\n"));
    assert_null(strstr(text_of(&out), "Decommissioning datanodes"));
    buf_release(&out);
}

static void a_section_asked_for_is_shown_also_when_empty(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    report_print(&report, REPORT_DECOMMISSIONING, &out);
    assert_non_null(strstr(text_of(&out), "Decommissioning datanodes (0):\n\n"));
    assert_null(strstr(text_of(&out), "Live datanodes"));
    buf_release(&out);
}

static void safe_mode_is_the_first_line(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    report.safemode = true;
    report_print(&report, 0, &out);
    assert_int_equal(strncmp(text_of(&out), "Safe mode is ON\nConfigured", 26), 0);
    report.safemode = false;
    buf_release(&out);
}

static void the_topology_goes_by_rack_and_leaves_the_dead_out(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    report_topology(&report, &out);
    assert_string_equal(text_of(&out), "Rack: /default-rack\n"
                                       "   10.0.0.1:9866 (n0) In Service\n\n"
                                       "Rack: /r1\n"
                                       "   10.0.0.1:9867 (n1) In Service\n\n");
    buf_release(&out);
}

/* --- fsck ------------------------------------------------------------------------------------- */

static void floats_look_as_in_java(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(fsck_float(3, out), "3.0");
    assert_string_equal(fsck_float(100, out), "100.0");
    assert_string_equal(fsck_float(0, out), "0.0");
    assert_string_equal(fsck_float(100.0 / 3, out), "33.333332");
    assert_string_equal(fsck_float(8.0 / 3, out), "2.6666667");
    assert_string_equal(fsck_float(2.5, out), "2.5");
}

static void pages_add_up_and_the_servers_facts_do_not(void **state)
{
    (void)state;
    struct fsck_report r = {0};
    struct msg_counter page[] = {
        {slice_str(""), slice_str("files"), 2},
        {slice_str(""), slice_str("blocks"), 3},
        {slice_str("server"), slice_str("nodes"), 3},
        {slice_str(""), slice_str("from the future"), 9},
    };
    const struct msg_counter_list list = {page, ARRAY_LEN(page)};
    fsck_report_add(&r, &list);
    fsck_report_add(&r, &list);
    assert_int_equal(r.files, 4);
    assert_int_equal(r.blocks, 6);
    assert_int_equal(r.nodes, 3);
}

static void a_healthy_summary(void **state)
{
    (void)state;
    struct fsck_report r = {.dirs = 2,
                            .files = 3,
                            .size = 300,
                            .blocks = 3,
                            .replicas = 8,
                            .expected_replicas = 9,
                            .missing_replicas = 1,
                            .minimal = 3,
                            .under = 1,
                            .nodes = 3,
                            .racks = 1,
                            .replication = 3};
    struct buf out = BUF_INIT;
    fsck_report_print(&r, &out);
    static const char want[] = "Status: HEALTHY\n"
                               " Number of data-nodes:\t3\n"
                               " Number of racks:\t\t1\n"
                               " Total dirs:\t\t\t2\n"
                               " Total symlinks:\t\t0\n"
                               "\n"
                               "Replicated Blocks:\n"
                               " Total size:\t300 B\n"
                               " Total files:\t3\n"
                               " Total blocks (validated):\t3 (avg. block size 100 B)\n"
                               " Minimally replicated blocks:\t3 (100.0 %)\n"
                               " Over-replicated blocks:\t0 (0.0 %)\n"
                               " Under-replicated blocks:\t1 (33.333332 %)\n"
                               " Mis-replicated blocks:\t\t0 (0.0 %)\n"
                               " Default replication factor:\t3\n"
                               " Average block replication:\t2.6666667\n"
                               " Missing blocks:\t\t0\n"
                               " Corrupt blocks:\t\t0\n"
                               " Missing replicas:\t\t1 (11.111111 %)\n"
                               " Blocks queued for replication:\t0\n"
                               "\n"
                               "Erasure Coded Block Groups:\n";
    assert_memory_equal(text_of(&out), want, sizeof(want) - 1);
    buf_release(&out);
}

static void a_corrupt_summary_has_its_box(void **state)
{
    (void)state;
    struct fsck_report r = {.files = 2,
                            .size = 200,
                            .blocks = 2,
                            .minimal = 1,
                            .below = 1,
                            .missing_blocks = 1,
                            .missing_size = 100,
                            .corrupt_blocks = 1,
                            .corrupt_size = 100,
                            .corrupt_files = 1};
    struct buf out = BUF_INIT;
    assert_false(fsck_report_is_healthy(&r));
    fsck_report_print(&r, &out);
    assert_non_null(strstr(text_of(&out), "Status: CORRUPT\n"));
    assert_non_null(strstr(text_of(&out), "  ********************************\n"
                                          "  UNDER MIN REPL'D BLOCKS:\t1 (50.0 %)\n"
                                          "  MINIMAL BLOCK REPLICATION:\t1\n"
                                          "  CORRUPT FILES:\t1\n"
                                          "  MISSING BLOCKS:\t1\n"
                                          "  MISSING SIZE:\t\t100 B\n"
                                          "  CORRUPT BLOCKS: \t1\n"
                                          "  CORRUPT SIZE:\t\t100 B\n"
                                          "  ********************************\n"));
    buf_release(&out);
}

static void replicas_on_nodes_that_leave_or_rest_have_lines_of_their_own(void **state)
{
    (void)state;
    struct fsck_report r = {.blocks = 1, .minimal = 1, .decommissioned = 4, .decommissioning = 3};
    struct buf out = BUF_INIT;
    fsck_report_print(&r, &out);
    assert_non_null(strstr(text_of(&out), " DecommissionedReplicas:\t4\n"
                                          " DecommissioningReplicas:\t3\n"
                                          " Blocks queued for replication:\t0\n"));
    buf_clear(&out);
    r = (struct fsck_report){.blocks = 1, .minimal = 1, .entering = 2, .resting = 1};
    fsck_report_print(&r, &out);
    assert_non_null(strstr(text_of(&out), " EnteringMaintenanceReplicas:\t2\n"
                                          " InMaintenanceReplicas:\t1\n"
                                          " Blocks queued for replication:\t0\n"));
    buf_release(&out);
}

static void blocks_are_summed_by_number_of_replicas(void **state)
{
    (void)state;
    struct fsck_report r = {.policies.is_wanted = true};
    struct msg_counter page[] = {{slice_str("policy"), slice_str("3"), 2},
                                 {slice_str("policy"), slice_str("0"), 1},
                                 {slice_str("policy"), slice_str("2"), 1}};
    const struct msg_counter_list list = {page, ARRAY_LEN(page)};
    fsck_report_add(&r, &list);
    struct buf out = BUF_INIT;
    fsck_report_print(&r, &out);
    assert_non_null(strstr(text_of(&out),
                           "\nBlocks satisfying the specified storage policy:\n"
                           "Storage Policy                  # of blocks       % of blocks\n"
                           "DISK:3(HOT)                        2              50.0000%\n"
                           "DISK:2(HOT)                        1              25.0000%\n"
                           "\nBlocks NOT satisfying the specified storage policy:\n"));
    buf_release(&out);
}

static void the_exit_code_is_that_of_the_last_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
    } rows[] = {
        {"The filesystem under path '/' is HEALTHY", 0},
        {"The filesystem under path '/' is CORRUPT", 1},
        {"Block blk_1 does not exist", 0},
        {"Block replica on datanode/rack: h/default-rack is DECOMMISSIONED", 2},
        {"Block replica on datanode/rack: h/default-rack is DECOMMISSIONING", 3},
        {"Block replica on datanode/rack: h/default-rack is IN MAINTENANCE", 4},
        {"Block replica on datanode/rack: h/default-rack is ENTERING MAINTENANCE", 5},
        {"Block replica on datanode/rack: h/default-rack is STALE", 6},
        {"Incorrect blockId format: x", 0},
        {"Block replica on datanode/rack: h/r is CORRUPT\t ReasonCode: SIZE_MISMATCH", 255},
        {"Fsck on path '/' FAILED", 255},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(fsck_exit_code(slice_str(rows[i].line)), rows[i].code);
}

static void a_script_gets_one_object(void **state)
{
    (void)state;
    struct fsck_report r = {.files = 2, .missing_blocks = 1, .nodes = 3};
    struct buf out = BUF_INIT;
    fsck_report_json(&r, "/a\"b", slice_of("/x\0/y", 6), &out);
    assert_non_null(strstr(text_of(&out), "{\"path\":\"/a\\\"b\",\"status\":\"CORRUPT\","));
    assert_non_null(strstr(text_of(&out), "\"files\":2,"));
    assert_non_null(strstr(text_of(&out), "\"corrupt\":[\"/x\",\"/y\"]}\n"));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_has_its_fields_in_order),
        cmocka_unit_test(a_section_asked_for_is_shown_also_when_empty),
        cmocka_unit_test(safe_mode_is_the_first_line),
        cmocka_unit_test(the_topology_goes_by_rack_and_leaves_the_dead_out),
        cmocka_unit_test(floats_look_as_in_java),
        cmocka_unit_test(pages_add_up_and_the_servers_facts_do_not),
        cmocka_unit_test(a_healthy_summary),
        cmocka_unit_test(a_corrupt_summary_has_its_box),
        cmocka_unit_test(replicas_on_nodes_that_leave_or_rest_have_lines_of_their_own),
        cmocka_unit_test(blocks_are_summed_by_number_of_replicas),
        cmocka_unit_test(the_exit_code_is_that_of_the_last_line),
        cmocka_unit_test(a_script_gets_one_object),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
