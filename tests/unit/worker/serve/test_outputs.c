/* SPDX-License-Identifier: Apache-2.0
 * A worker's map outputs, asked for by reducers: what is left of one that has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/daemon/daemon_inside.h"
#include "libcommon/daemon/options.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/shuffle/messages.h"
#include "libcommon/wire/chan.h"
#include "worker/serve/outputs.h"
#include "worker/task/jobs.h"

#define ROUNDS 5

static struct worker worker;
static struct identity self, reducer;
static atomic_bool is_over; /* the reducers are all gone */

/* Asks for all of a stage; *ret_fd is the stream. */
static int fetch(const char *address, uint32_t stage, int *ret_fd)
{
    static const uint64_t partitions[] = {0};
    struct arena arena = ARENA_INIT;
    struct chan *chan = NULL;
    struct err err;
    struct shuffle_fetch ask = {
        .cluster_ms = 1, .job = 7, .stage = stage, .partitions = {partitions, 1}};
    struct chan_conf conf = {
        .address = address, .self = &reducer, .role = WIRE_WORKER, .timeout_ms = 30000};
    int rc = chan_open(&conf, &chan, &err);
    if (rc == 0)
        rc = chan_call(chan, &SHUFFLE_methods[SHUFFLE_AT_FETCH], &ask, &arena, NULL, 30000, &err);
    if (rc == 0)
        rc = chan_steal_fd(chan, ret_fd);
    if (rc != 0)
        chan_close(chan);
    arena_release(&arena);
    return rc;
}

/* One that gets all there is, and one that hangs up while it waits for more. */
static void on_reducers(void *arg)
{
    uint8_t header[SHUFFLE_HEADER_BYTES];
    for (int i = 0; i < ROUNDS; i++) {
        int fd = -1;
        assert_int_equal(fetch(arg, 0, &fd), 0);
        assert_int_equal(sock_recv_exact(fd, header, sizeof(header), SOCK_FOREVER), 0);
        close(fd);
        assert_int_equal(fetch(arg, 1, &fd), 0);
        close(fd);
    }
    atomic_store(&is_over, true);
}

static void look(void *arg)
{
    if (atomic_load(&is_over) && rpc_server_peers(arg) == 0)
        loop_stop(worker.loop);
}

static void a_reducer_that_has_gone_is_not_counted_any_more(void **state)
{
    (void)state;
    struct err err;
    struct daemon daemon = {.conf = conf_new()};
    struct wk_job job = {
        .worker = &worker, .spec = {.cluster_ms = 1, .job = 7}, .complete = 1}; /* stage 0 */
    struct loop_timer timer = {0};
    struct thread thread;
    assert_int_equal(options_register(daemon.conf, &err), 0);
    assert_int_equal(conf_set(daemon.conf, "worker.address", "127.0.0.1:0", CONF_FROM_DEFINE, &err),
                     0);
    identity_init(&self, WIRE_WORKER, "w");
    identity_init(&reducer, WIRE_TASK, "r");
    worker = (struct worker){.daemon = &daemon,
                             .loop = loop_new(&err),
                             .self = self,
                             .dirs = {{.path = "without a socket"}},
                             .dir_count = 1};
    list_init(&worker.jobs);
    list_init(&worker.streams);
    list_init(&worker.segments.all);
    list_push_back(&worker.jobs, &job.link);
    if (outputs_listen(&worker, &err) != 0)
        fail_msg("%s", err.msg);
    char *address = (char *)(uintptr_t)rpc_server_address(worker.tcp_server);
    assert_int_equal(thread_start(&thread, "reducers", on_reducers, address, &err), 0);
    assert_int_equal(loop_timer_start(worker.loop, &timer, 5, 5, look, worker.tcp_server, "look"),
                     0);
    loop_run(worker.loop);
    thread_join(&thread);
    assert_true(list_is_empty(&worker.streams));
    loop_timer_stop(&timer);
    outputs_close(&worker);
    outputs_release(&worker);
    loop_free(worker.loop);
    conf_free(daemon.conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reducer_that_has_gone_is_not_counted_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
