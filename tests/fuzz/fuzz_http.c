/* SPDX-License-Identifier: Apache-2.0
 * fuzz_http: the bytes go to a real http server over a unix socket. It answers or closes, and lets
 * go of everything; handlers look at every part of a request they may be asked for. */
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/http.h"
#include "libcommon/event/sock.h"
#include "tests/fuzz/fuzz.h"

static struct loop *loop;
static struct http_server *server;

void fuzz_seed(struct rand *rand, struct buf *out)
{
    static const char *const methods[] = {"GET",    "HEAD",    "PUT", "POST",
                                          "DELETE", "OPTIONS", "BREW"};
    static const char *const paths[] = {"/show/a%20b?q=1%2B+2&flag", "/none", "/",    "/show/../x",
                                        "http://localhost/show",     "*",     "/%00", "//"};
    bool has_body = rand_chance(rand, 3);
    buf_printf(out, "%s %s HTTP/1.%u\r\nHost: %s\r\n",
               methods[rand_below(rand, ARRAY_LEN(methods))],
               paths[rand_below(rand, ARRAY_LEN(paths))], (unsigned)rand_below(rand, 2),
               rand_chance(rand, 5) ? "[::1]:80" : "localhost");
    if (has_body && rand_chance(rand, 2))
        buf_append_str(out, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    else
        buf_append_str(out, has_body ? "Content-Length: 5\r\n\r\nhello" : "X-Test: 1\r\n\r\n");
}

static void on_show(struct http_request *req, void *arg)
{
    (void)arg;
    const char *q = http_query(req, "q"), *x = http_header(req, "X-Test");
    http_set_header(req, "X-Back", x ? x : "none");
    http_reply_text(req, 200, "%d %s %s %s " SLICE_FMT, (int)http_method(req), http_path(req),
                    q ? q : "", http_peer(req), SLICE_ARG(http_body(req)));
}

static void finish(void)
{
    http_server_free(server);
    loop_free(loop);
}

static void begin(void)
{
    char path[64];
    struct err err;
    snprintf(path, sizeof(path), "/tmp/quern-fuzz-http-%d.sock", (int)getpid());
    loop = loop_new(&err);
    if (!loop || http_server_new(loop, path, &server, &err) != 0)
        BUG("%s", err.msg);
    BUG_ON(http_route(server, "/show", on_show, NULL) != 0);
    atexit(finish);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t room[4096];
    int fd = -1;
    ssize_t got;
    if (!loop)
        begin();
    BUG_ON(sock_connect(http_server_address(server), clock_mono_ms() + 5000, &fd, NULL) != 0);
    (void)sock_send_all(fd, data, size < 60000 ? size : 60000, clock_mono_ms() + 1);
    for (int turn = 0; turn < 4; turn++)
        loop_turn(loop, 0);
    (void)shutdown(fd, SHUT_WR);
    for (int turn = 0; turn < 3; turn++)
        loop_turn(loop, 0);
    while ((got = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
        loop_turn(loop, 0);
    close(fd);
    loop_turn(loop, 0);
    return 0;
}
