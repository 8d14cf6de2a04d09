/* SPDX-License-Identifier: Apache-2.0
 * nn_bench: durable changes and questions a second, over RPC, as clients see them.
 *
 *   nn_bench [-clients 64] [-connections 64] [-n 100000] [-dir DIR] [-over tcp|unix]
 *            [-address HOST:PORT|/SOCKET]
 *
 * Each client has one request on its way at a time, over a connection of its own; with fewer
 * -connections several share one, as the threads of a program do. Without -address a namenode is
 * started from the same build, with its journal in a fresh directory below DIR (default: here;
 * choose a real disk), and stopped at the end; -over unix asks it through its socket for programs
 * on the same machine. Phases: mkdir, create, close, stat, open, list, rename, delete; all answers
 * to changes come after fsync.
 *
 * "CPU" is what the namenode's process took for one request, "asking" what this one did: bare
 * descriptors and one epoll, because both share the machine's cores. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/sock.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"
#include "tests/bench/nn_server.h"

#define PER_DIR     1000
#define SAMPLES_MAX 2000000

/* ---- clients ---- */

struct bench;
struct line;
/* Bare descriptors and one epoll: what answers is to be measured, not what asks. */
struct client {
    struct line *line;
    uint64_t id, seq;
    uint64_t number; /* of the request on its way */
    uint64_t asked_us;
};

/* A connection; several clients may share one, as threads of one program do. */
struct line {
    int fd;
    struct buf in, out;
};

struct phase {
    const char *name;
    int at; /* CL2NN_AT_... */
    bool is_dirs;
    void (*ask)(struct bench *b, struct client *client, uint64_t i);
};

struct bench {
    struct client *clients;
    struct line *lines;
    size_t client_count, line_count;
    int epoll;
    uint64_t n;
    uint64_t *file_ids;
    const struct server *server;
    const struct phase *phase;
    uint64_t next, total, done, failed;
    uint32_t *took_us;
    struct arena arena;
    char why[200];
};

static void path_of(char *out, size_t cap, uint64_t i, const char *kind)
{
    snprintf(out, cap, "/bench/d%05" PRIu64 "/%s%08" PRIu64, i / PER_DIR, kind, i);
}

static struct msg_origin origin(struct client *c)
{
    return (struct msg_origin){c->id, ++c->seq};
}

static void send_ask(struct bench *b, struct client *c, const void *ask)
{
    const struct msg_method *method = &CL2NN_methods[b->phase->at];
    struct frame frame = {
        .type = method->type, .call = (uint64_t)(c - b->clients), .deadline_ms = 60000};
    if (frame_put(&c->line->out, &frame, method->ask, ask) != 0)
        die(method->name, "out of memory");
}

static void ask_mkdir(struct bench *b, struct client *c, uint64_t i)
{
    (void)b;
    char path[64];
    snprintf(path, sizeof(path), "/bench/d%05" PRIu64, i);
    struct cl2nn_mkdir ask = {origin(c), slice_str(path), 0755, true};
    send_ask(b, c, &ask);
}

/* Every client writes files of his own (he closes what he opened). */
static void ask_create(struct bench *b, struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i, "f");
    struct cl2nn_create ask = {
        .origin = {1 + i % 1024, 0}, .path = slice_str(path), .mode = 0644, .replication = 1};
    send_ask(b, c, &ask);
}

static void ask_close(struct bench *b, struct client *c, uint64_t i)
{
    struct cl2nn_complete ask = {.origin = {1 + i % 1024, 0}, .file_id = b->file_ids[i]};
    send_ask(b, c, &ask);
}

static void ask_stat(struct bench *b, struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i * 7919 % b->n, "f");
    struct cl2nn_path ask = {slice_str(path)};
    send_ask(b, c, &ask);
}

static void ask_open(struct bench *b, struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i * 7919 % b->n, "f");
    struct cl2nn_locate ask = {.path = slice_str(path), .length = UINT64_MAX};
    send_ask(b, c, &ask);
}

static void ask_list(struct bench *b, struct client *c, uint64_t i)
{
    char path[64];
    snprintf(path, sizeof(path), "/bench/d%05" PRIu64, i);
    struct cl2nn_list ask = {.path = slice_str(path)};
    send_ask(b, c, &ask);
}

static void ask_rename(struct bench *b, struct client *c, uint64_t i)
{
    char from[64], to[64];
    path_of(from, sizeof(from), i, "f");
    path_of(to, sizeof(to), i, "g");
    struct cl2nn_rename ask = {origin(c), slice_str(from), slice_str(to), false};
    send_ask(b, c, &ask);
}

static void ask_delete(struct bench *b, struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i, "g");
    struct cl2nn_delete ask = {origin(c), slice_str(path), false};
    send_ask(b, c, &ask);
}

static const struct phase phases[] = {
    {"mkdir", CL2NN_AT_MKDIR, true, ask_mkdir},     {"create", CL2NN_AT_CREATE, false, ask_create},
    {"close", CL2NN_AT_COMPLETE, false, ask_close}, {"stat", CL2NN_AT_STAT, false, ask_stat},
    {"open", CL2NN_AT_LOCATE, false, ask_open},     {"list", CL2NN_AT_LIST, true, ask_list},
    {"rename", CL2NN_AT_RENAME, false, ask_rename}, {"delete", CL2NN_AT_DELETE, false, ask_delete},
};

static void ask_next(struct bench *b, struct client *c, uint64_t now_us)
{
    if (b->next == b->total)
        return;
    c->number = b->next++;
    c->asked_us = now_us;
    b->phase->ask(b, c, c->number);
}

static void note_failure(struct bench *b, const struct frame *frame)
{
    struct frame_error error = {0};
    if (b->failed++ == 0 &&
        msg_decode(&frame_error_desc, frame->body, &b->arena, &error, NULL) == 0)
        snprintf(b->why, sizeof(b->why), "%.*s", (int)(error.text.len < 190 ? error.text.len : 190),
                 (const char *)error.text.data);
}

static void on_answer(struct bench *b, const struct frame *frame, uint64_t now_us)
{
    struct client *c = &b->clients[frame->call % b->client_count];
    struct cl2nn_created created;
    if (b->done < SAMPLES_MAX)
        b->took_us[b->done] = (uint32_t)(now_us - c->asked_us);
    b->done++;
    arena_reset(&b->arena);
    if (frame->flags & FRAME_ERROR)
        note_failure(b, frame);
    else if (b->phase->at == CL2NN_AT_CREATE &&
             msg_decode(&cl2nn_created_desc, frame->body, &b->arena, &created, NULL) == 0)
        b->file_ids[c->number] = created.file_id;
    ask_next(b, c, now_us);
}

static void flush(struct line *line)
{
    if (line->out.len == 0)
        return;
    if (sock_send_all(line->fd, line->out.data, line->out.len, SOCK_FOREVER) != 0)
        die("the namenode", "is gone");
    buf_clear(&line->out);
}

static void take_answers(struct bench *b, struct line *line, uint64_t now_us)
{
    struct frame frame;
    struct err err;
    size_t used, at = 0;
    uint8_t *to = buf_reserve(&line->in, 64U << 10);
    ssize_t n = to ? recv(line->fd, to, line->in.cap - line->in.len, MSG_DONTWAIT) : -1;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the namenode", "is gone");
    line->in.len += (size_t)n;
    while (frame_parse(slice_of(line->in.data + at, line->in.len - at), FRAME_MAX_BYTES, &frame,
                       &used, &err) == 0) {
        at += used;
        on_answer(b, &frame, now_us);
    }
    buf_consume(&line->in, at);
    flush(line);
}

static void run_turns(struct bench *b)
{
    struct epoll_event ready[256];
    while (b->done < b->total) {
        int n = epoll_wait(b->epoll, ready, ARRAY_LEN(ready), 60000);
        if (n == 0 || (n < 0 && errno != EINTR))
            die("the namenode", "does not answer");
        uint64_t now_us = clock_mono_us();
        for (int i = 0; i < n; i++)
            take_answers(b, ready[i].data.ptr, now_us);
    }
}

static uint64_t own_cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000U +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void run_phase(struct bench *b, const struct phase *phase)
{
    b->phase = phase;
    b->next = b->done = b->failed = 0;
    b->total = phase->is_dirs ? (b->n + PER_DIR - 1) / PER_DIR : b->n;
    uint64_t start = clock_mono_us(), cpu = server_cpu_us(b->server), own = own_cpu_us();
    for (size_t i = 0; i < b->client_count; i++)
        ask_next(b, &b->clients[i], start);
    for (size_t i = 0; i < b->line_count; i++)
        flush(&b->lines[i]);
    run_turns(b);
    uint64_t took = clock_mono_us() - start;
    cpu = server_cpu_us(b->server) - cpu;
    own = own_cpu_us() - own;
    size_t samples = b->done < SAMPLES_MAX ? b->done : SAMPLES_MAX;
    qsort(b->took_us, samples, sizeof(*b->took_us), by_value);
    printf("%-8s %9" PRIu64 " %10.0f /s   CPU %5.1f us, asking %4.1f us   median %7.3f ms   "
           "p99 %7.3f ms",
           phase->name, b->total, (double)b->total * 1e6 / (double)took,
           (double)cpu / (double)b->total, (double)own / (double)b->total,
           b->took_us[samples / 2] / 1000.0, b->took_us[samples * 99 / 100] / 1000.0);
    if (b->failed)
        printf("   %" PRIu64 " FAILED: %s", b->failed, b->why);
    printf("\n");
    fflush(stdout);
}

static void connect_all(struct bench *b, const char *address, const struct identity *self)
{
    struct chan_conf conf = {.address = address, .self = self, .role = WIRE_NAMENODE};
    struct err err;
    for (size_t i = 0; i < b->line_count; i++) {
        struct line *line = &b->lines[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = line};
        struct chan *chan;
        if (chan_open(&conf, &chan, &err) != 0)
            die(address, err.msg);
        if (chan_steal_fd(chan, &line->fd) != 0 ||
            epoll_ctl(b->epoll, EPOLL_CTL_ADD, line->fd, &event) != 0)
            die(address, "cannot use the connection");
    }
    for (size_t i = 0; i < b->client_count; i++)
        b->clients[i] = (struct client){.line = &b->lines[i % b->line_count], .id = 1000000 + i};
}

struct options {
    const char *dir, *address;
    uint64_t clients, connections, n;
    bool is_unix;
};

static bool take_option(struct options *o, const char *name, const char *value)
{
    uint64_t v = 0;
    bool is_number = str_to_u64(value, &v) == 0 && v > 0 && v <= 100000000;
    if (strcmp(name, "-dir") == 0)
        o->dir = value;
    else if (strcmp(name, "-address") == 0)
        o->address = value;
    else if (strcmp(name, "-clients") == 0 && is_number)
        o->clients = v;
    else if (strcmp(name, "-connections") == 0 && is_number)
        o->connections = v;
    else if (strcmp(name, "-n") == 0 && is_number)
        o->n = v;
    else if (strcmp(name, "-over") == 0 &&
             (strcmp(value, "unix") == 0 || strcmp(value, "tcp") == 0))
        o->is_unix = value[0] == 'u';
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.dir = ".", .clients = 64, .n = 100000};
    struct server server = {0};
    struct identity self;
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !take_option(&o, argv[i], argv[i + 1])) {
            fprintf(stderr,
                    "usage: nn_bench [-clients 64] [-connections 64] [-n 100000] [-dir DIR] "
                    "[-over tcp|unix] [-address HOST:PORT|/SOCKET]\n");
            return 2;
        }
    if (!o.address) {
        server_make(&server, o.dir);
        server_start(&server);
        o.address = o.is_unix ? server.socket : server.address;
    }
    identity_init(&self, WIRE_CLIENT, "bench");
    struct bench b = {.client_count = o.clients,
                      .line_count =
                          o.connections && o.connections < o.clients ? o.connections : o.clients,
                      .n = o.n,
                      .server = &server,
                      .epoll = epoll_create1(EPOLL_CLOEXEC),
                      .arena = ARENA_INIT};
    b.clients = mem_calloc(b.client_count, sizeof(*b.clients));
    b.lines = mem_calloc(b.line_count, sizeof(*b.lines));
    b.file_ids = mem_calloc(b.n, sizeof(*b.file_ids));
    b.took_us = mem_calloc(SAMPLES_MAX, sizeof(*b.took_us));
    if (b.epoll < 0 || !b.clients || !b.lines || !b.file_ids || !b.took_us)
        die("start", "out of memory");
    connect_all(&b, o.address, &self);
    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        run_phase(&b, &phases[i]);
    server_stop(&server);
    server_remove(&server);
    return 0;
}
