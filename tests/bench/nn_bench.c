/* SPDX-License-Identifier: Apache-2.0
 * nn_bench: durable changes and questions a second, over RPC, as clients see them.
 *
 *   nn_bench [-clients 64] [-n 100000] [-dir DIR] [-address HOST:PORT]
 *
 * Each client is a connection with one request on its way at a time. Without -address a namenode is
 * started from the same build, with its journal in a fresh directory below DIR (default: here;
 * choose a real disk), and stopped at the end. Phases: mkdir, create, close, stat, list, rename,
 * delete; all answers to changes come after fsync. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/rpc.h"

#define PER_DIR     1000
#define SAMPLES_MAX 2000000

/* ---- the namenode ---- */

struct server {
    pid_t pid;
    char dir[256];
    char address[64];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "nn_bench: %s: %s\n", what, why);
    exit(1);
}

static pid_t spawn(const char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static void write_conf(const struct server *server, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        die(path, strerror(errno));
    fprintf(f,
            "node.name = bench\n"
            "dfs.namenode.name.dir = %s/name\n"
            "dfs.namenode.rpc-address = %s\n"
            "dfs.namenode.http-address = 127.0.0.1:0\n"
            "dfs.namenode.safemode.extension = 0\n"
            "dfs.namenode.resource.du.reserved = 0\n",
            server->dir, server->address);
    fclose(f);
}

/* build/FLAVOUR/tests/bench/nn_bench -> build/FLAVOUR/quern-namenode */
static void find_namenode(char out[600])
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        die("/proc/self/exe", strerror(errno));
    self[n] = 0;
    for (int up = 0; up < 3 && strrchr(self, '/'); up++)
        *strrchr(self, '/') = 0;
    snprintf(out, 600, "%s/quern-namenode", self);
}

static void start_server(struct server *server, const char *below)
{
    char program[600], conf[300], ready[32], line[600] = "";
    int fds[2], status = 0;
    find_namenode(program);
    snprintf(server->dir, sizeof(server->dir), "%.200s/nn_bench.XXXXXX", below);
    if (!mkdtemp(server->dir) || pipe(fds) != 0)
        die(server->dir, strerror(errno));
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%d", 20000 + getpid() % 20000);
    snprintf(conf, sizeof(conf), "%s/quern.conf", server->dir);
    snprintf(ready, sizeof(ready), "%d", fds[1]);
    write_conf(server, conf);
    const char *format[] = {program, "-conf", conf, "-format", NULL};
    const char *serve[] = {program, "-conf", conf, "--ready-fd", ready, NULL};
    if (waitpid(spawn(format), &status, 0) < 0 || status != 0)
        die(program, "cannot format");
    server->pid = spawn(serve);
    close(fds[1]);
    if (read(fds[0], line, sizeof(line) - 1) <= 0 || strncmp(line, "ok", 2) != 0)
        die(program, line[0] ? line : "does not start");
    close(fds[0]);
}

static void stop_server(struct server *server)
{
    if (!server->pid)
        return;
    char command[400];
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", server->dir);
    if (system(command) != 0)
        fprintf(stderr, "nn_bench: %s was left behind\n", server->dir);
}

/* CPU time the namenode has taken so far; 0 when it is not ours. A number that stays the same on a
 * machine that is busy with other things. */
static uint64_t server_cpu_us(const struct server *server)
{
    char path[64], line[1024] = "";
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)server->pid);
    FILE *f = server->pid ? fopen(path, "r") : NULL;
    if (!f)
        return 0;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                        &system) != 2)
        return 0;
    return (user + system) * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* ---- clients ---- */

struct bench;
struct client {
    struct bench *bench;
    struct rpc_link *link;
    struct rpc_wait wait;
    uint64_t id, seq;
    uint64_t number; /* of the request on its way */
    uint64_t asked_us;
};

struct phase {
    const char *name;
    int at; /* CL2NN_AT_... */
    void (*ask)(struct client *client, uint64_t i);
};

struct bench {
    struct loop *loop;
    struct client *clients;
    size_t client_count, up;
    uint64_t n;
    uint64_t *file_ids;
    const struct server *server;
    const struct phase *phase;
    uint64_t next, total, done, failed;
    uint32_t *took_us;
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

static void send_ask(struct client *c, const void *ask)
{
    rpc_link_ask(c->link, &CL2NN_methods[c->bench->phase->at], ask, &c->wait);
}

static void ask_mkdir(struct client *c, uint64_t i)
{
    char path[64];
    snprintf(path, sizeof(path), "/bench/d%05" PRIu64, i);
    struct cl2nn_mkdir ask = {origin(c), slice_str(path), 0755, true};
    send_ask(c, &ask);
}

/* Every client writes files of his own (he closes what he opened). */
static void ask_create(struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i, "f");
    struct cl2nn_create ask = {
        .origin = origin(c), .path = slice_str(path), .mode = 0644, .replication = 1};
    ask.origin.client = 1 + i % 1024;
    ask.origin.seq = 0;
    send_ask(c, &ask);
}

static void ask_close(struct client *c, uint64_t i)
{
    struct cl2nn_complete ask = {.origin = {1 + i % 1024, 0}, .file_id = c->bench->file_ids[i]};
    send_ask(c, &ask);
}

static void ask_stat(struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i * 7919 % c->bench->n, "f");
    struct cl2nn_stat ask = {slice_str(path), 0};
    send_ask(c, &ask);
}

static void ask_list(struct client *c, uint64_t i)
{
    char path[64];
    snprintf(path, sizeof(path), "/bench/d%05" PRIu64, i);
    struct cl2nn_list ask = {.path = slice_str(path)};
    send_ask(c, &ask);
}

static void ask_rename(struct client *c, uint64_t i)
{
    char from[64], to[64];
    path_of(from, sizeof(from), i, "f");
    path_of(to, sizeof(to), i, "g");
    struct cl2nn_rename ask = {origin(c), slice_str(from), slice_str(to), false};
    send_ask(c, &ask);
}

static void ask_delete(struct client *c, uint64_t i)
{
    char path[64];
    path_of(path, sizeof(path), i, "g");
    struct cl2nn_delete ask = {origin(c), slice_str(path), false};
    send_ask(c, &ask);
}

static const struct phase phases[] = {
    {"mkdir", CL2NN_AT_MKDIR, ask_mkdir},    {"create", CL2NN_AT_CREATE, ask_create},
    {"close", CL2NN_AT_COMPLETE, ask_close}, {"stat", CL2NN_AT_STAT, ask_stat},
    {"list", CL2NN_AT_LIST, ask_list},       {"rename", CL2NN_AT_RENAME, ask_rename},
    {"delete", CL2NN_AT_DELETE, ask_delete},
};

static void ask_next(struct client *c)
{
    struct bench *b = c->bench;
    if (b->next == b->total)
        return;
    c->number = b->next++;
    c->asked_us = clock_mono_us();
    b->phase->ask(c, c->number);
}

static void on_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct client *c = arg;
    struct bench *b = c->bench;
    if (b->done < SAMPLES_MAX)
        b->took_us[b->done] = (uint32_t)(clock_mono_us() - c->asked_us);
    b->done++;
    if (code != 0 && b->failed++ == 0)
        snprintf(b->why, sizeof(b->why), "%.190s", err->msg);
    if (code == 0 && b->phase->at == CL2NN_AT_CREATE)
        b->file_ids[c->number] = ((const struct cl2nn_created *)answer)->file_id;
    if (b->done == b->total)
        loop_stop(b->loop);
    else
        ask_next(c);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void run_phase(struct bench *b, const struct phase *phase)
{
    bool is_dirs = phase->at == CL2NN_AT_MKDIR || phase->at == CL2NN_AT_LIST;
    b->phase = phase;
    b->next = b->done = b->failed = 0;
    b->total = is_dirs ? (b->n + PER_DIR - 1) / PER_DIR : b->n;
    uint64_t start = clock_mono_us(), cpu = server_cpu_us(b->server);
    for (size_t i = 0; i < b->client_count; i++)
        ask_next(&b->clients[i]);
    loop_run(b->loop);
    uint64_t took = clock_mono_us() - start;
    cpu = server_cpu_us(b->server) - cpu;
    size_t samples = b->done < SAMPLES_MAX ? b->done : SAMPLES_MAX;
    qsort(b->took_us, samples, sizeof(*b->took_us), by_value);
    printf("%-8s %9" PRIu64 " %10.0f /s   %6.1f us CPU   median %6.2f ms   p99 %6.2f ms",
           phase->name, b->total, (double)b->total * 1e6 / (double)took,
           (double)cpu / (double)b->total, b->took_us[samples / 2] / 1000.0,
           b->took_us[samples * 99 / 100] / 1000.0);
    if (b->failed)
        printf("   %" PRIu64 " FAILED: %s", b->failed, b->why);
    printf("\n");
    fflush(stdout);
}

static void connect_all(struct bench *b, const char *address, const struct identity *self)
{
    struct rpc_conf conf = {.self = self};
    struct err err;
    for (size_t i = 0; i < b->client_count; i++) {
        struct client *c = &b->clients[i];
        *c = (struct client){.bench = b, .id = 1000000 + i};
        c->wait.done = on_done;
        c->wait.arg = c;
        if (rpc_link_open(b->loop, address, &conf, &c->link, &err) != 0)
            die(address, err.msg);
    }
    uint64_t until = clock_mono_ms() + 10000;
    for (size_t up = 0; up < b->client_count;) {
        loop_turn(b->loop, 10);
        for (up = 0; up < b->client_count && rpc_link_peer(b->clients[up].link);)
            up++;
        if (clock_mono_ms() > until)
            die(address, "no connection within 10 s");
    }
}

int main(int argc, char **argv)
{
    struct server server = {0};
    struct bench b = {.client_count = 64, .n = 100000, .server = &server};
    const char *dir = ".", *address = NULL;
    struct identity self;
    struct err err;
    for (int i = 1; i < argc; i += 2) {
        uint64_t v = 0;
        if (i + 1 < argc && strcmp(argv[i], "-dir") == 0)
            dir = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "-address") == 0)
            address = argv[i + 1];
        else if (i + 1 < argc && str_to_u64(argv[i + 1], &v) == 0 && v > 0 && v <= 100000000 &&
                 (strcmp(argv[i], "-clients") == 0 || strcmp(argv[i], "-n") == 0))
            *(argv[i][1] == 'n' ? &b.n : (uint64_t *)&b.client_count) = v;
        else {
            fprintf(stderr, "usage: nn_bench [-clients 64] [-n 100000] [-dir DIR] "
                            "[-address HOST:PORT]\n");
            return 2;
        }
    }
    if (!address) {
        start_server(&server, dir);
        address = server.address;
    }
    identity_init(&self, WIRE_CLIENT, "bench");
    b.loop = loop_new(&err);
    b.clients = mem_calloc(b.client_count, sizeof(*b.clients));
    b.file_ids = mem_calloc(b.n, sizeof(*b.file_ids));
    b.took_us = mem_calloc(SAMPLES_MAX, sizeof(*b.took_us));
    if (!b.loop || !b.clients || !b.file_ids || !b.took_us)
        die("start", "out of memory");
    connect_all(&b, address, &self);
    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        run_phase(&b, &phases[i]);
    for (size_t i = 0; i < b.client_count; i++)
        rpc_link_close(b.clients[i].link);
    for (int i = 0; i < 3; i++)
        loop_turn(b.loop, 1);
    loop_free(b.loop);
    stop_server(&server);
    return 0;
}
