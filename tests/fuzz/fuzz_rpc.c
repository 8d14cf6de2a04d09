/* SPDX-License-Identifier: Apache-2.0
 * fuzz_rpc: the bytes go to a real server over a unix socket, as whoever connects might send them.
 * The server has to close or go on, and to let go of everything. */
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/event/sock.h"
#include "libcommon/wire/rpc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/libcommon/wire/echo.h"

static const struct identity self = {WIRE_NAMENODE, "c1", "host1", "boss", "boot1", 7};
static const struct identity client = {WIRE_CLIENT, "c1", "host2", "eve", "boot2", 7};
static struct loop *loop;
static struct rpc_server *server;
static struct rpc_wait wait;

static void on_say(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    rpc_answer(call, ask);
}

static void on_fail(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    const struct echo_text *text = ask;
    rpc_fail(call, ERR_FAILED, SLICE_FMT, SLICE_ARG(text->text));
}

static void on_raw(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    struct rpc_peer *peer = rpc_call_peer(call);
    struct conn_parts parts;
    if (rpc_answer_detach(call, ask, &parts) == 0)
        (void)rpc_peer_resume(peer, &parts);
}

static void on_done(void *arg, int code, const void *answer, const struct err *err)
{
    (void)arg, (void)answer;
    if (code != 0 && !err->msg[0])
        BUG("failed without a word");
}

/* The server asks as well, so that the bytes may contain an answer. */
static void on_up(struct rpc_peer *peer, void *arg)
{
    (void)arg;
    struct echo_text text = {slice_str("who are you"), 1};
    rpc_cancel(&wait);
    wait = (struct rpc_wait){.done = on_done};
    rpc_ask(peer, ECHO_METHOD(SAY), &text, &wait);
}

static void finish(void)
{
    rpc_cancel(&wait);
    rpc_server_close(server);
    loop_free(loop);
}

static void begin(void)
{
    static rpc_handler *const handlers[ECHO_METHOD_COUNT] = {
        [ECHO_AT_SAY] = on_say,  [ECHO_AT_LATER] = on_say, [ECHO_AT_FAIL] = on_fail,
        [ECHO_AT_NOTE] = on_say, [ECHO_AT_RAW] = on_raw,   [ECHO_AT_ONCE] = on_say};
    struct rpc_service service = {ECHO_methods, handlers, ECHO_METHOD_COUNT, 0, NULL};
    struct rpc_conf conf = {
        .self = &self, .services = &service, .service_count = 1, .on_peer_up = on_up};
    struct err err;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/fuzz_rpc.%d", (int)getpid());
    loop = loop_new(&err);
    if (!loop || rpc_server_open(loop, path, &conf, &server, &err) != 0)
        BUG("%s", err.msg);
    atexit(finish);
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    (void)hello_put(out, &client, 0);
    for (uint64_t left = rand_below(rand, 5); left > 0; left--) {
        const struct msg_method *method = &ECHO_methods[rand_below(rand, ECHO_METHOD_COUNT)];
        struct frame frame = {.type = method->type, .call = rand_below(rand, 4)};
        frame.flags = rand_chance(rand, 4) ? (uint16_t)rand_below(rand, 8) : 0;
        size_t at = frame_begin(out, &frame);
        msg_seed(&echo_text_desc, rand, out);
        (void)frame_end(out, at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;
    struct err err;
    if (!loop)
        begin();
    if (sock_connect(rpc_server_address(server), SOCK_FOREVER, &fd, &err) != 0)
        BUG("%s", err.msg);
    loop_turn(loop, 0);
    size_t half = size / 2;
    (void)send(fd, data, half, MSG_NOSIGNAL | MSG_DONTWAIT);
    loop_turn(loop, 0);
    (void)send(fd, data + half, size - half, MSG_NOSIGNAL | MSG_DONTWAIT);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    close(fd);
    for (int i = 0; rpc_server_peers(server) > 0; i++) {
        if (i > 1000)
            BUG("a connection is not let go");
        loop_turn(loop, 1);
    }
    return 0;
}
