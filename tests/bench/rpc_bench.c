/* SPDX-License-Identifier: Apache-2.0
 * rpc_bench: questions per second over loopback TCP, one server thread, one client process with
 * many connections.
 *
 *     rpc_bench [connections [outstanding per connection [seconds]]]
 *
 * Without arguments: 1, 4, 16 and 64 connections with one question each, and 64 with 16 each. Both
 * sides are this library, so the client costs about as much as the server; "server cpu" is what the
 * server's thread used per question, its reciprocal what one core could serve. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/event/sock.h"
#include "libcommon/wire/rpc.h"
#include "tests/unit/libcommon/wire/echo.h"

struct plan {
    unsigned connections, outstanding, ms;
};

static const struct identity server_id = {WIRE_NAMENODE, "bench", "server", "bench", "boot", 0};
static const struct identity client_id = {WIRE_CLIENT, "", "client", "bench", "boot", 0};

/* ---- server process ---- */

static void on_say(struct rpc_call *call, const void *ask, void *arg)
{
    (void)arg;
    rpc_answer(call, ask);
}

/* The client has finished: tell what a question cost, and end. */
static void on_note(struct rpc_call *call, const void *ask, void *arg)
{
    const struct echo_text *text = ask;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    uint64_t us = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000U +
                  (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    printf("   server cpu %5.2f us\n", (double)us / (double)text->number);
    fflush(stdout);
    rpc_answer(call, NULL);
    loop_stop(arg);
}

static void serve(int address_fd)
{
    static rpc_handler *const handlers[ECHO_METHOD_COUNT] = {
        [ECHO_AT_SAY] = on_say, [ECHO_AT_NOTE] = on_note};
    struct err err;
    struct rpc_server *server = NULL;
    struct loop *loop = loop_new(&err);
    struct rpc_service service = {ECHO_methods, handlers, ECHO_METHOD_COUNT, 0, loop};
    struct rpc_conf conf = {.self = &server_id, .services = &service, .service_count = 1};
    if (!loop || rpc_server_open(loop, "127.0.0.1:0", &conf, &server, &err) != 0)
        BUG("%s", err.msg);
    const char *address = rpc_server_address(server);
    if (write(address_fd, address, strlen(address) + 1) < 0)
        BUG("cannot tell the address");
    close(address_fd);
    loop_run(loop);
    rpc_server_close(server);
    loop_free(loop);
}

/* ---- client process ---- */

struct client {
    struct loop *loop;
    struct plan plan;
    struct rpc_link **links;
    struct asker *askers;
    unsigned ups;
    uint64_t answers;
    bool is_over;
};

struct asker {
    struct client *client;
    struct rpc_peer *peer;
    struct rpc_wait wait;
};

static void on_answer(void *arg, int code, const void *answer, const struct err *err);

static void ask(struct asker *asker)
{
    struct echo_text text = {slice_str("/user/alice/logs/2026-11-21"), 42};
    asker->wait = (struct rpc_wait){.done = on_answer, .arg = asker};
    rpc_ask(asker->peer, ECHO_METHOD(SAY), &text, &asker->wait);
}

static void on_answer(void *arg, int code, const void *answer, const struct err *err)
{
    (void)answer;
    struct asker *asker = arg;
    if (asker->client->is_over)
        return; /* the last ones are not waited for */
    if (code != 0)
        BUG("%s", err->msg);
    asker->client->answers++;
    ask(asker);
}

static void on_up(struct rpc_peer *peer, void *arg)
{
    struct client *client = arg;
    for (unsigned i = 0; i < client->plan.outstanding; i++)
        client->askers[client->ups * client->plan.outstanding + i] =
            (struct asker){.client = client, .peer = peer};
    client->ups++;
}

static void on_over(void *arg)
{
    struct client *client = arg;
    client->is_over = true;
    loop_stop(client->loop);
}

static double measure(struct client *client)
{
    struct loop_timer over = {0};
    for (unsigned i = 0; i < client->plan.connections * client->plan.outstanding; i++)
        ask(&client->askers[i]);
    uint64_t start_us = clock_mono_us();
    if (loop_after(client->loop, &over, client->plan.ms, on_over, client) != 0)
        BUG("out of memory");
    loop_run(client->loop);
    return (double)client->answers * 1e6 / (double)(clock_mono_us() - start_us);
}

static void run_client(struct client *client, const char *address)
{
    struct rpc_conf conf = {.self = &client_id, .on_peer_up = on_up, .arg = client};
    struct err err;
    for (unsigned i = 0; i < client->plan.connections; i++)
        if (rpc_link_open(client->loop, address, &conf, &client->links[i], &err) != 0)
            BUG("%s", err.msg);
    while (client->ups < client->plan.connections)
        loop_turn(client->loop, 100);
    double rate = measure(client);
    printf("%4u connections x %2u   %9.0f rpc/s", client->plan.connections,
           client->plan.outstanding, rate);
    fflush(stdout);
    struct echo_text text = {slice_str(""), client->answers};
    rpc_tell(rpc_link_peer(client->links[0]), ECHO_METHOD(NOTE), &text);
    for (unsigned i = 0; i < client->plan.connections; i++)
        rpc_link_close(client->links[i]);
}

static void run(struct plan plan)
{
    int fds[2];
    char address[SOCK_TEXT_MAX] = "";
    if (pipe(fds) != 0)
        BUG("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        serve(fds[1]);
        exit(0);
    }
    close(fds[1]);
    if (pid < 0 || read(fds[0], address, sizeof(address) - 1) <= 0)
        BUG("the server does not start");
    close(fds[0]);
    struct client client = {.loop = loop_new(NULL), .plan = plan};
    client.links = calloc(plan.connections, sizeof(*client.links));
    client.askers = calloc((size_t)plan.connections * plan.outstanding, sizeof(*client.askers));
    if (!client.loop || !client.links || !client.askers)
        BUG("out of memory");
    run_client(&client, address);
    loop_free(client.loop);
    free(client.links);
    free(client.askers);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    static const struct plan plans[] = {
        {1, 1, 1000}, {4, 1, 1000}, {16, 1, 1000}, {64, 1, 2000}, {64, 16, 1000}};
    uint64_t numbers[3] = {64, 1, 2};
    for (int i = 1; i < argc && i <= 3; i++)
        if (str_to_u64(argv[i], &numbers[i - 1]) != 0 || numbers[i - 1] == 0) {
            fprintf(stderr, "usage: rpc_bench [connections [outstanding [seconds]]]\n");
            return 2;
        }
    if (argc > 1) {
        run((struct plan){(unsigned)numbers[0], (unsigned)numbers[1], (unsigned)numbers[2] * 1000});
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(plans); i++)
        run(plans[i]);
    return 0;
}
