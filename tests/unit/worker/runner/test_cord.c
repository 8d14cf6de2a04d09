/* SPDX-License-Identifier: Apache-2.0
 * The conversation between a runner and whoever started it, with descriptors; and what is made of a
 * runner that died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/proto/task/messages.h"
#include "worker/local/postmortem.h"
#include "worker/runner/cord.h"
#include "worker/runner/symbol.h"

static struct err err;

static void a_message_brings_its_descriptors(void **state)
{
    (void)state;
    int pair[2], sent = memfd_create("page", MFD_CLOEXEC);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(sent, "hello", 5), 5);
    struct slice lines[] = {slice_str("a line"), slice_str("another")};
    struct task_run run = {.kind = TASK_COMMIT, .manifest = {lines, 2}, .memory = 12345};
    const int fds[] = {sent, sent};
    assert_int_equal(cord_send(pair[0], &TASK_methods[TASK_AT_RUN], &run, fds, 2, &err), 0);
    assert_int_equal(cord_send(pair[0], &TASK_methods[TASK_AT_RUN], &run, NULL, 0, &err), 0);

    struct buf in = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct frame frame;
    struct sock_fds got;
    struct task_run back;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cord_recv(pair[1], &in, &frame, &got, &err), 0);
        assert_int_equal(frame.type, TASK_RUN);
        assert_int_equal(got.count, i == 0 ? 2 : 0);
        assert_int_equal(msg_decode(&task_run_desc, frame.body, &arena, &back, &err), 0);
        assert_int_equal(back.memory, 12345);
        assert_true(slice_is(back.manifest.v[1], "another"));
        char text[5];
        if (got.count) {
            assert_int_equal(pread(got.fd[1], text, 5, 0), 5);
            assert_memory_equal(text, "hello", 5);
        }
        while (got.count)
            close(got.fd[--got.count]);
    }
    close(pair[0]);
    assert_int_equal(cord_recv(pair[1], &in, &frame, &got, &err), ERR_EOF);
    close(pair[1]);
    close(sent);
    buf_release(&in);
    arena_release(&arena);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    int pair[2];
    struct buf in = BUF_INIT;
    struct frame frame;
    struct sock_fds got;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[0], "\xff\xff\xff\xff this is no frame at all", 29), 29);
    assert_int_equal(cord_recv(pair[1], &in, &frame, &got, &err), ERR_PROTO);
    close(pair[0]);
    close(pair[1]);
    buf_release(&in);
}

static int status_of(int signal, int code)
{
    return signal ? signal : code << 8;
}

static void a_death_is_told_from_its_status_and_page(void **state)
{
    (void)state;
    struct task_segment segment = {.path = slice_str("/in/a"), .length = 100};
    struct task_run run = {.kind = TASK_MAP, .input = {&segment, 1}, .id = {.task = 7}};
    struct progress_page page = {.phase = PROGRESS_MAP, .input_segment = 1, .input_offset = 42};
    struct arena arena = ARENA_INIT;
    struct task_failed failed;

    memcpy(page.record, "the record", 10);
    page.record_kept = 10;
    snprintf(page.crashed_at, sizeof(page.crashed_at), "/none/x.so+0x10 (parse)");
    postmortem(&run, &page, status_of(SIGSEGV, 0), 0, &arena, &failed);
    assert_int_equal(failed.failure, TASK_FAILED_CRASH);
    assert_int_equal(failed.code, SIGSEGV);
    assert_true(slice_is(failed.why, "crashed (signal 11, SIGSEGV)"));
    assert_true(slice_is(failed.at, "/none/x.so+0x10 (parse)"));
    assert_true(slice_is(failed.path, "/in/a"));
    assert_int_equal(failed.offset, 42);
    assert_true(slice_is(failed.record, "the record"));

    postmortem(&run, &page, status_of(0, 7), 0, &arena, &failed);
    assert_int_equal(failed.failure, TASK_FAILED_EXIT);
    assert_true(slice_is(failed.why, "ended its process by itself (exit code 7)"));
    postmortem(&run, &page, status_of(SIGKILL, 0), 2000, &arena, &failed);
    assert_int_equal(failed.failure, TASK_FAILED_TIMEOUT);
    postmortem(&run, &page, status_of(0, 127), 0, &arena, &failed);
    assert_int_equal(failed.failure, TASK_FAILED_NODE);

    /* In a reduce, or before the first record, there is none in hand; nonsense is not believed. */
    page.record_kept = 4000000;
    postmortem(&run, &page, status_of(SIGSEGV, 0), 0, &arena, &failed);
    assert_int_equal(failed.record.len, 0);
    for (page.input_segment = 0; page.input_segment < 3; page.input_segment++) {
        postmortem(&run, &page, status_of(SIGSEGV, 0), 0, &arena, &failed);
        assert_int_equal(failed.path.len > 0, page.input_segment == 1);
    }
    arena_release(&arena);
}

static void a_log_tail_begins_with_a_whole_line(void **state)
{
    (void)state;
    char path[] = "/tmp/quern-tail-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    struct buf tail = BUF_INIT;
    postmortem_log_tail(path, &tail);
    assert_int_equal(tail.len, 0);
    for (int i = 0; i < 1000; i++)
        fprintf(f, "line %d\n", i);
    fclose(f);
    postmortem_log_tail(path, &tail);
    assert_true(tail.len <= POSTMORTEM_TAIL_BYTES);
    assert_memory_equal(tail.data, "line ", 5);
    assert_non_null(strstr(buf_cstr(&tail), "line 999\n"));
    buf_release(&tail);
    postmortem_log_tail("/nowhere", &tail);
    assert_int_equal(tail.len, 0);
    unlink(path);
}

static void a_place_that_cannot_be_looked_up_is_told_as_it_is(void **state)
{
    (void)state;
    char out[200];
    symbol_place("/none/x.so+0x10 (parse)", out, sizeof(out));
    assert_string_equal(out, "/none/x.so+0x10 (parse)");
    symbol_place("nothing like an address", out, sizeof(out));
    assert_string_equal(out, "nothing like an address");
    symbol_place("", out, sizeof(out));
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_brings_its_descriptors),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_death_is_told_from_its_status_and_page),
        cmocka_unit_test(a_log_tail_begins_with_a_whole_line),
        cmocka_unit_test(a_place_that_cannot_be_looked_up_is_told_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
