/* SPDX-License-Identifier: Apache-2.0
 * A namenode with many files: how soon it serves after a restart, what it takes of memory, and how
 * long one client waits while another sums up or deletes a tree with half of them, as superuser and
 * as its owner (who needs permission on every directory of it).
 *
 *   namespace_served [FILES [DIR]]        default two million files; choose a real disk
 *
 * The image is made in this process and loaded by the daemon, as after any restart; its datanodes
 * are waited for by nobody. Waits are those of STAT, asked again and again over a connection of its
 * own; those of an idle namenode are told first, because the machine has a part in all of them. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"
#include "namenode/journal/journal.h"
#include "namenode/namenode.h"
#include "tests/bench/many_files.h"
#include "tests/bench/nn_server.h"

#define STARTS      3
#define IDLE_MS     1000
#define SAMPLES_MAX 4000000

/* ---- the image ---- */

static void on_durable(void *arg, uint64_t durable)
{
    (void)arg;
    (void)durable;
}

static void on_failed(void *arg, const struct err *err)
{
    (void)arg;
    die("journal", err->msg);
}

static void on_full(void *arg, bool is_full)
{
    (void)arg;
    (void)is_full;
}

static void on_saved(void *arg, const struct err *err)
{
    bool *is_saved = arg;
    if (err)
        die("image", err->msg);
    *is_saved = true;
}

/* An image is of more than the last one when a record came after it. */
static void append_one(struct nn_journal *journal)
{
    const struct nn_op_row *row = nn_op_find(NN_OP_SET_TIMES);
    struct op_set_times op = {.path = slice_str("/"), .mtime_ms = 1, .atime_ms = -1};
    struct buf record = BUF_INIT;
    struct err err;
    msg_encode(row->desc, &op, &record);
    if (nn_journal_append(journal, row->number, buf_slice(&record), &state.applied, &err) != 0)
        die("journal", err.msg);
    buf_release(&record);
}

/* As if a namenode that had made all this had saved its namespace and died. */
static void make_image(const struct server *server, const char *user, uint32_t files)
{
    char name[300];
    const char *dirs[] = {name};
    struct err err;
    struct nn_journal *journal = NULL;
    bool is_saved = false;
    struct loop *loop = loop_new(&err);
    snprintf(name, sizeof(name), "%s/name", server->dir);
    many_begin(user);
    struct nn_journal_options options = {.disk = disk_real(),
                                         .dirs = dirs,
                                         .dir_count = 1,
                                         .state = &state,
                                         .loop = loop,
                                         .checkpoint_ms = UINT64_MAX / 2,
                                         .checkpoint_records = UINT64_MAX / 2,
                                         .on_durable = on_durable,
                                         .on_failed = on_failed,
                                         .on_full = on_full};
    if (!loop || nn_journal_open(&options, &journal, &err) != 0)
        die(name, err.msg);
    append_one(journal);
    many_make(many_dir(NN_ROOT, "one"), files / 2);
    uint32_t two = many_dir(NN_ROOT, "two");
    many_make(many_dir(two, "below"), files / 2);
    if (nn_journal_checkpoint(journal, on_saved, &is_saved, &err) != 0)
        die(name, err.msg);
    while (!is_saved || nn_journal_durable(journal) < state.applied)
        loop_turn(loop, 100);
    nn_journal_close(journal);
    nn_state_release(&state);
    nn_blocks_release(&blocks);
    loop_free(loop);
}

/* ---- the daemon ---- */

static uint64_t memory_mb(const struct server *server)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)server->pid);
    FILE *f = fopen(path, "r");
    while (f && kb == 0 && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmRSS: %llu", &kb) != 1)
            kb = 0;
    if (f)
        fclose(f);
    return kb / 1024;
}

static void measure_starts(struct server *server, uint32_t files)
{
    for (int i = 0; i < STARTS; i++) {
        server_stop(server);
        uint64_t start = clock_mono_us();
        server_start(server);
        uint64_t took = clock_mono_us() - start, cpu = server_cpu_us(server);
        printf("started     with %u files: serves after %.2f s (%.2f s of CPU), %" PRIu64
               " MB, %.0f B a file\n",
               files, (double)took / 1e6, (double)cpu / 1e6, memory_mb(server),
               (double)memory_mb(server) * 1048576 / files);
        fflush(stdout);
    }
}

/* ---- clients ---- */

static struct chan *connect_as(const struct server *server, const char *user)
{
    static struct identity self[4];
    static size_t count;
    struct identity *me = &self[count++];
    struct chan *chan = NULL;
    struct err err;
    identity_init(me, WIRE_CLIENT, "bench");
    me->user = user;
    struct chan_conf conf = {.address = server->address, .self = me, .role = WIRE_NAMENODE};
    if (chan_open(&conf, &chan, &err) != 0)
        die(server->address, err.msg);
    return chan;
}

static void ask(struct chan *chan, size_t method, const void *question)
{
    struct arena arena = ARENA_INIT;
    struct err err;
    if (chan_call(chan, &CL2NN_methods[method], question, &arena, NULL, 600000, &err) != 0)
        die(CL2NN_methods[method].name, err.msg);
    arena_release(&arena);
}

/* Who waits: STAT after STAT. */
static struct {
    struct chan *chan;
    struct thread thread;
    atomic_bool must_stop;
    uint32_t *took_us;
    size_t count;
} waiter;

static void wait_on(void *arg)
{
    const struct cl2nn_stat question = {slice_str("/"), 0};
    (void)arg;
    while (!atomic_load(&waiter.must_stop) && waiter.count < SAMPLES_MAX) {
        uint64_t start = clock_mono_us();
        ask(waiter.chan, CL2NN_AT_STAT, &question);
        waiter.took_us[waiter.count++] = (uint32_t)(clock_mono_us() - start);
    }
}

static void waiter_begin(void)
{
    struct err err;
    waiter.count = 0;
    atomic_store(&waiter.must_stop, false);
    if (thread_start(&waiter.thread, "waiter", wait_on, NULL, &err) != 0)
        die("thread", err.msg);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void waiter_end(const char *what, uint64_t took_us)
{
    atomic_store(&waiter.must_stop, true);
    thread_join(&waiter.thread);
    qsort(waiter.took_us, waiter.count, sizeof(*waiter.took_us), by_value);
    size_t long_ones = 0;
    for (size_t i = 0; i < waiter.count; i++)
        long_ones += waiter.took_us[i] > 5000;
    printf("%-34s %9.1f ms   others wait %7.3f ms at most, %.3f in 999 of 1000, %zu of %zu more "
           "than 5 ms\n",
           what, (double)took_us / 1000, waiter.took_us[waiter.count - 1] / 1000.0,
           waiter.took_us[waiter.count * 999 / 1000] / 1000.0, long_ones, waiter.count);
    fflush(stdout);
}

/* Until the daemon computes no more than the waiter's questions take: what it left is done. */
static void settle(const struct server *server)
{
    uint64_t before, share;
    do {
        before = server_cpu_us(server);
        usleep(500 * 1000);
        share = (server_cpu_us(server) - before) / 5000; /* per cent of a core */
    } while (share > 90);
}

static void measure(const struct server *server, struct chan *chan, const char *what, size_t method,
                    const void *question)
{
    waiter_begin();
    uint64_t start = clock_mono_us();
    ask(chan, method, question);
    uint64_t took = clock_mono_us() - start;
    if (method == CL2NN_AT_DELETE)
        settle(server);
    waiter_end(what, took);
}

int main(int argc, char **argv)
{
    uint64_t n = 2000000;
    struct server server = {0};
    struct err err;
    char user[256];
    if (argc > 3 || (argc > 1 && (str_to_u64(argv[1], &n) != 0 || n < 2 || n > 100000000))) {
        fprintf(stderr, "usage: namespace_served [FILES [DIR]]\n");
        return 2;
    }
    if (namenode_user(user, sizeof(user), &err) != 0)
        die("user", err.msg);
    waiter.took_us = mem_calloc(SAMPLES_MAX, sizeof(*waiter.took_us));
    server_make(&server, argc > 2 ? argv[2] : ".");
    make_image(&server, user, (uint32_t)n);
    measure_starts(&server, (uint32_t)n);

    waiter.chan = connect_as(&server, user);
    struct chan *root = connect_as(&server, user), *alice = connect_as(&server, "alice");
    struct cl2nn_path one = {slice_str("/one")}, two = {slice_str("/two")};
    struct cl2nn_delete rm_one = {{1, 1}, slice_str("/one"), true, 0};
    struct cl2nn_delete rm_two = {{2, 1}, slice_str("/two/below"), true, 0};
    waiter_begin();
    usleep(IDLE_MS * 1000);
    waiter_end("nothing else", IDLE_MS * 1000);
    measure(&server, root, "summary of half, superuser", CL2NN_AT_SUMMARY, &one);
    measure(&server, alice, "summary of half, owner", CL2NN_AT_SUMMARY, &two);
    measure(&server, root, "delete of half, superuser", CL2NN_AT_DELETE, &rm_one);
    measure(&server, alice, "delete of half, owner", CL2NN_AT_DELETE, &rm_two);
    chan_close(waiter.chan);
    chan_close(root);
    chan_close(alice);
    server_stop(&server);
    server_remove(&server);
    mem_free(waiter.took_us);
    return 0;
}
