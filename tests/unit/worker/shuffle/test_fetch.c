/* SPDX-License-Identifier: Apache-2.0
 * Fetching from workers that behave, and from those that do not. A worker here is a thread that
 * speaks the real conversation: hello, FETCH, answer, segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/event/listen.h"
#include "tests/unit/worker/shuffle/peer.h"
#include "worker/run/record.h"
#include "worker/shuffle/fetch.h"

#define MAPS_MAX 8
#define LONG_MS  60000U /* nothing here takes so long but waiting for one that stands still */

enum trouble {
    NONE,
    CORRUPT_ONCE, /* the first segment ever sent has a flipped byte */
    CUT_ONCE,     /* the first connection breaks in the middle of a segment */
    SILENT_ONCE,  /* the first connection sends nothing */
    FORGETFUL,    /* says END without sending anything, always */
    ONLY_HELLO,   /* then it stands still */
    ROTTEN,       /* each segment of one map has a flipped byte, always */
    STANDS_ONCE,  /* the first connection stands still in the middle of its first segment */
};

struct fake_worker {
    char address[SOCK_TEXT_MAX];
    char name[16];
    int listen_fd;
    struct thread thread;
    atomic_bool stop;
    enum trouble trouble;
    unsigned trouble_at; /* which of the segments ever sent, or which map, it is that has it */
    bool passes_fds;
    uint32_t maps[MAPS_MAX];
    size_t count;
    uint32_t attempt; /* of all its maps */
    atomic_uint connections, sent;
    atomic_bool was_in_trouble; /* with its first segment, of whatever kind */
    struct fake_worker *after;  /* sends nothing before that one was */
    atomic_uint had;            /* maps the last FETCH said it had */
};

static struct identity self;
static struct err err;

/* Of each map: one run with two partitions, in a memfd. */
static struct output outputs[MAPS_MAX];

static void make_output(uint32_t map)
{
    const uint32_t records[] = {3000 * map, 3000 * map};
    output_make(&outputs[map], memfd_create("run", MFD_CLOEXEC), records, 2);
}

/* --- the worker's side ----------------------------------------------------------------------- */

static void until_they_hang_up(struct fake_worker *w, int fd)
{
    uint8_t byte;
    while (!atomic_load(&w->stop) &&
           sock_recv_exact(fd, &byte, 1, clock_mono_ms() + 50) == ERR_TIMEOUT)
        ;
}

static int answer_hello_and_fetch(struct fake_worker *w, int fd, struct arena *arena,
                                  struct shuffle_fetch *ask, struct buf *in)
{
    struct frame frame;
    int rc = peer_answer_hello(fd, &self, in);
    if (rc == 0)
        rc = peer_read_frame(fd, in, &frame);
    if (rc == 0 && w->trouble == ONLY_HELLO) {
        atomic_store(&w->was_in_trouble, true);
        until_they_hang_up(w, fd);
        rc = ERR_CLOSED;
    }
    if (rc == 0)
        rc = msg_decode(&shuffle_fetch_desc, frame.body, arena, ask, NULL);
    if (rc == 0) {
        atomic_store(&w->had, (unsigned)ask->have.n);
        rc = peer_answer_fetch(fd, &frame);
    }
    return rc;
}

static int send_segment(struct fake_worker *w, int fd, uint32_t map, uint32_t partition)
{
    const struct run_part *part = &outputs[map].parts[partition];
    struct shuffle_header header = {.map_task = map,
                                    .map_attempt = w->attempt,
                                    .partition = partition,
                                    .crc = part->crc,
                                    .len = part->len,
                                    .records = part->records,
                                    .offset = part->offset,
                                    .flags = !w->passes_fds   ? 0
                                             : partition == 0 ? SHUFFLE_FD
                                                              : SHUFFLE_FD | SHUFFLE_SAME};
    uint8_t head[SHUFFLE_HEADER_BYTES];
    shuffle_header_encode(&header, head);
    uint64_t deadline = clock_mono_ms() + 5000;
    unsigned sent = atomic_fetch_add(&w->sent, 1);
    if (w->passes_fds && partition > 0)
        return sock_send_all(fd, head, sizeof(head), deadline);
    if (w->passes_fds)
        return sock_send_fds(fd, slice_of(head, sizeof(head)), &outputs[map].fd, 1, deadline);
    int rc = sock_send_all(fd, head, sizeof(head), deadline);
    uint8_t *bytes = mem_alloc(part->len + 1);
    assert_int_equal(pread(outputs[map].fd, bytes, part->len, (off_t)part->offset), part->len);
    bool is_rotten = w->trouble == ROTTEN && map == w->trouble_at;
    if ((is_rotten || (w->trouble == CORRUPT_ONCE && sent == w->trouble_at)) && part->len)
        bytes[part->len / 2] ^= 1;
    size_t len = part->len;
    if ((w->trouble == CUT_ONCE || w->trouble == STANDS_ONCE) && sent == w->trouble_at)
        len /= 2;
    if (rc == 0)
        rc = sock_send_all(fd, bytes, len, deadline);
    mem_free(bytes);
    atomic_store(&w->was_in_trouble, true);
    if (rc == 0 && w->trouble == STANDS_ONCE && sent == w->trouble_at)
        until_they_hang_up(w, fd);
    return len == part->len ? rc : ERR_CLOSED;
}

/* One header for both partitions of a map that made nothing. */
static int send_empty(const struct fake_worker *w, int fd, uint32_t map)
{
    struct shuffle_header header = {
        .map_task = map, .map_attempt = w->attempt, .records = 2, .flags = SHUFFLE_EMPTY};
    uint8_t head[SHUFFLE_HEADER_BYTES];
    shuffle_header_encode(&header, head);
    return sock_send_all(fd, head, sizeof(head), clock_mono_ms() + 5000);
}

static int send_map(struct fake_worker *w, int fd, uint32_t map, const struct shuffle_fetch *ask)
{
    int rc = 0;
    if (outputs[map].parts[0].records == 0)
        return send_empty(w, fd, map);
    for (size_t p = 0; rc == 0 && p < ask->partitions.n; p++)
        rc = send_segment(w, fd, map, (uint32_t)ask->partitions.v[p]);
    return rc;
}

static bool has(const struct shuffle_fetch *ask, uint32_t map)
{
    for (size_t i = 0; i < ask->have.n; i++)
        if (ask->have.v[i] == map)
            return true;
    return false;
}

static void serve(struct fake_worker *w, int fd)
{
    struct arena arena = ARENA_INIT;
    struct buf in = BUF_INIT;
    struct shuffle_fetch ask;
    unsigned connection = atomic_fetch_add(&w->connections, 1);
    int rc = answer_hello_and_fetch(w, fd, &arena, &ask, &in);
    bool is_silent = w->trouble == SILENT_ONCE && connection == 0;
    while (w->after && !atomic_load(&w->after->was_in_trouble) && !atomic_load(&w->stop))
        usleep(1000);
    for (size_t i = 0; rc == 0 && i < w->count && !is_silent && w->trouble != FORGETFUL; i++)
        rc = has(&ask, w->maps[i]) ? 0 : send_map(w, fd, w->maps[i], &ask);
    if (rc == 0 && is_silent)
        until_they_hang_up(w, fd);
    if (rc == 0 && !is_silent) {
        struct shuffle_header end = {.flags = SHUFFLE_END};
        uint8_t head[SHUFFLE_HEADER_BYTES];
        shuffle_header_encode(&end, head);
        (void)sock_send_all(fd, head, sizeof(head), clock_mono_ms() + 5000);
    }
    buf_release(&in);
    arena_release(&arena);
    close(fd);
}

static void on_thread(void *arg)
{
    struct fake_worker *w = arg;
    while (!atomic_load(&w->stop)) {
        int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(w, fd);
        else
            usleep(1000);
    }
}

static void start(struct fake_worker *w, const char *name, const char *address,
                  const uint32_t *maps, size_t count)
{
    snprintf(w->name, sizeof(w->name), "%s", name);
    memcpy(w->maps, maps, count * sizeof(*maps));
    w->count = count;
    atomic_init(&w->stop, false);
    if (listen_socket(address, 0600, &w->listen_fd, w->address, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(thread_start(&w->thread, "worker", on_thread, w, &err), 0);
}

static void stop(struct fake_worker *w)
{
    atomic_store(&w->stop, true);
    thread_join(&w->thread);
    close(w->listen_fd);
}

/* --- the reducer's side ---------------------------------------------------------------------- */

struct reducer {
    struct task_run run;
    struct scratch scratch;
    struct pieces pieces;
    uint8_t *space;
    struct fetch *fetch;
    const struct fetch_ops *ops; /* NULL = those that do nothing */
    unsigned blames;
    uint64_t blamed[MAPS_MAX];
    size_t blamed_count;
};
static const uint64_t both[] = {0, 1};

static int on_news(void *arg, struct err *e)
{
    (void)arg, (void)e;
    return 0;
}
static void on_blame(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why)
{
    struct reducer *r = arg;
    assert_true(worker.len > 0);
    assert_true(why[0] != 0);
    r->blames++;
    r->blamed_count = count;
    memcpy(r->blamed, maps, count * sizeof(*maps));
}
static void on_tick(void *arg, uint64_t bytes)
{
    (void)arg, (void)bytes;
}
static const struct fetch_ops ops = {on_news, on_blame, on_tick};

static void open_reducer(struct reducer *r, uint32_t maps, size_t memory, uint32_t stall_ms)
{
    struct slice dir = slice_str("/tmp");
    r->space = mem_alloc(memory);
    r->run = (struct task_run){
        .id = {.cluster_ms = 1, .job = 7}, .maps = maps, .reduce_partitions = {both, 2}};
    assert_int_equal(scratch_open(&r->scratch, &dir, 1), 0);
    pieces_open(&r->pieces, r->space, memory, &r->scratch);
    struct fetch_conf conf = {.run = &r->run,
                              .self = &self,
                              .pieces = &r->pieces,
                              .streams_max = 4,
                              .stall_ms = stall_ms,
                              .ops = r->ops ? r->ops : &ops,
                              .arg = r,
                              .fd = -1};
    assert_int_equal(fetch_open(&conf, &r->fetch, &err), 0);
}

static struct task_source source_of(const struct fake_worker *w, uint32_t map)
{
    struct task_source source = {
        .map_task = map, .map_attempt = w->attempt, .worker = slice_str(w->name)};
    if (w->address[0] == '/') {
        source.socket = slice_str(w->address);
        source.boot_id = slice_str(self.boot);
        source.netns = self.netns;
        source.host = slice_str("none.invalid");
    } else {
        const char *colon = strrchr(w->address, ':');
        uint64_t port = 0;
        assert_int_equal(str_to_u64(colon + 1, &port), 0);
        source.host = slice_of(w->address, (size_t)(colon - w->address));
        source.port = (uint32_t)port;
    }
    return source;
}

static void learn(struct reducer *r, const struct fake_worker *w, uint32_t map)
{
    struct task_source source = source_of(w, map);
    assert_int_equal(fetch_learn(r->fetch, &source, 1, &err), 0);
}

/* Every partition of every map is there, byte for byte; but for map 0, which made nothing. */
static void check_all(struct reducer *r, uint32_t maps)
{
    pieces_sort(&r->pieces);
    uint32_t with = maps - 1;
    assert_int_equal(r->pieces.count, 2 * with);
    for (uint32_t i = 0; i < 2 * with; i++) {
        const struct piece *piece = &r->pieces.all[i];
        const struct run_part *part = &outputs[1 + i % with].parts[i / with];
        assert_int_equal(piece->map, 1 + i % with);
        assert_int_equal(piece->partition, i / with);
        assert_int_equal(piece->run.len, part->len);
        uint8_t *bytes = mem_alloc(part->len + 1);
        const uint8_t *at = piece->run.data;
        if (piece->run.fd >= 0) {
            assert_int_equal(pread(piece->run.fd, bytes, part->len, (off_t)piece->run.offset),
                             part->len);
            at = bytes;
        }
        assert_int_equal(crc32c(0, at, part->len), part->crc);
        mem_free(bytes);
    }
}

static void close_reducer(struct reducer *r)
{
    fetch_close(r->fetch);
    pieces_close(&r->pieces);
    scratch_close(&r->scratch);
    mem_free(r->space);
}

static void fetch_from(enum trouble trouble, size_t memory, unsigned want_connections)
{
    struct fake_worker a = {.trouble = trouble}, b = {0};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){0, 2, 3}, 3);
    start(&b, "b", "127.0.0.1:0", (uint32_t[]){1}, 1);
    open_reducer(&r, 4, memory, 600);
    for (uint32_t map = 0; map < 4; map++)
        learn(&r, map == 1 ? &b : &a, map);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    check_all(&r, 4);
    assert_int_equal(atomic_load(&a.connections), want_connections);
    assert_int_equal(r.blames, 0);
    close_reducer(&r);
    stop(&a);
    stop(&b);
}

static void every_map_of_every_worker_comes(void **state)
{
    (void)state;
    fetch_from(NONE, 4 << 20, 1);
}

static void with_little_memory_it_comes_by_way_of_the_disk(void **state)
{
    (void)state;
    fetch_from(NONE, 200000, 1);
}

static void a_stream_that_stands_still_is_asked_again(void **state)
{
    (void)state;
    fetch_from(SILENT_ONCE, 4 << 20, 2);
}

static void trouble_in_the_first_segment(enum trouble trouble, size_t memory)
{
    struct fake_worker a = {.trouble = trouble};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){2, 1, 0}, 3);
    open_reducer(&r, 3, memory, 2000);
    for (uint32_t map = 0; map < 3; map++)
        learn(&r, &a, map);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    check_all(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 3); /* what broke comes last, alone */
    close_reducer(&r);
    stop(&a);
}

static void damage_and_cuts_are_noticed_in_memory_and_on_the_way_to_disk(void **state)
{
    (void)state;
    trouble_in_the_first_segment(CORRUPT_ONCE, 4 << 20);
    trouble_in_the_first_segment(CORRUPT_ONCE, 100000);
    trouble_in_the_first_segment(CUT_ONCE, 4 << 20);
    trouble_in_the_first_segment(CUT_ONCE, 100000);
}

static void what_is_here_is_not_asked_for_again(void **state)
{
    (void)state;
    struct fake_worker a = {.trouble = CUT_ONCE, .trouble_at = 2}; /* in the second map */
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){1, 2, 0}, 3);
    open_reducer(&r, 3, 4 << 20, 2000);
    for (uint32_t map = 0; map < 3; map++)
        learn(&r, &a, map);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    check_all(&r, 3);
    assert_int_equal(atomic_load(&a.had), 2); /* but what broke comes last */
    close_reducer(&r);
    stop(&a);
}

static void on_the_same_node_descriptors_come_instead_of_bytes(void **state)
{
    (void)state;
    struct fake_worker a = {.passes_fds = true};
    struct reducer r = {0};
    char path[] = "/tmp/quern-fetch-XXXXXX";
    assert_non_null(mkdtemp(path));
    char address[64];
    snprintf(address, sizeof(address), "%s/w.sock", path);
    start(&a, "a", address, (uint32_t[]){0, 1, 2}, 3);
    open_reducer(&r, 3, 1 << 20, 2000);
    for (uint32_t map = 0; map < 3; map++)
        learn(&r, &a, map);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    check_all(&r, 3);
    uint64_t remote = 1, local = 0;
    fetch_totals(r.fetch, &remote, &local);
    assert_int_equal(remote, 0);
    assert_true(local > 0);
    close_reducer(&r);
    stop(&a);
    unlink(address);
    rmdir(path);
}

static void a_socket_that_cannot_be_seen_from_here_is_no_hindrance(void **state)
{
    (void)state;
    struct fake_worker a = {0};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){0, 1}, 2);
    open_reducer(&r, 2, 1 << 20, 2000);
    for (uint32_t map = 0; map < 2; map++) {
        struct task_source source = source_of(&a, map);
        source.socket = slice_str("/in/another/container.sock");
        source.boot_id = slice_str(self.boot);
        source.netns = self.netns;
        assert_int_equal(fetch_learn(r.fetch, &source, 1, &err), 0);
    }
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    check_all(&r, 2);
    assert_int_equal(r.blames, 0);
    close_reducer(&r);
    stop(&a);
}

/* As a jobtracker would: when a is blamed, its maps have been run again on c, and it is told. */
static struct fake_worker *elsewhere;
static struct reducer *told;
static void on_blame_move(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                          const char *why)
{
    on_blame(arg, worker, maps, count, why);
    for (size_t i = 0; i < count; i++)
        learn(told, elsewhere, (uint32_t)maps[i]);
}

static void a_worker_without_what_it_should_have_is_blamed_for_it(void **state)
{
    (void)state;
    static const struct fetch_ops moving = {on_news, on_blame_move, on_tick};
    struct fake_worker a = {.trouble = FORGETFUL}, b = {0}, c = {.attempt = 1};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){1, 2}, 2);
    start(&b, "b", "127.0.0.1:0", (uint32_t[]){0}, 1);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){1, 2}, 2);
    r.ops = &moving;
    open_reducer(&r, 3, 1 << 20, 2000);
    elsewhere = &c;
    told = &r;
    learn(&r, &b, 0);
    learn(&r, &a, 1);
    learn(&r, &a, 2);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(r.blames, 1);
    assert_int_equal(r.blamed_count, 2);
    assert_int_equal(r.blamed[0], 1);
    assert_int_equal(r.blamed[1], 2);
    assert_true(slice_is(fetch_worker_of(r.fetch, 1), "c"));
    check_all(&r, 3);
    close_reducer(&r);
    stop(&a);
    stop(&b);
    stop(&c);
}

static void one_bad_output_does_not_keep_back_those_behind_it(void **state)
{
    (void)state;
    static const struct fetch_ops moving = {on_news, on_blame_move, on_tick};
    struct fake_worker a = {.trouble = ROTTEN, .trouble_at = 3}, c = {.attempt = 1};
    struct reducer r = {.ops = &moving};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){1, 3, 2, 0}, 4);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){3}, 1);
    open_reducer(&r, 4, 4 << 20, LONG_MS);
    elsewhere = &c;
    told = &r;
    for (uint32_t map = 0; map < 4; map++)
        learn(&r, &a, map);
    if (fetch_run(r.fetch, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(r.blames, 1);
    assert_int_equal(r.blamed_count, 1);
    assert_int_equal(r.blamed[0], 3);
    assert_true(slice_is(fetch_worker_of(r.fetch, 2), "a"));
    assert_int_equal(atomic_load(&a.connections), 2 + PLAN_BLAME_AFTER);
    check_all(&r, 4);
    close_reducer(&r);
    stop(&a);
    stop(&c);
}

/* --- a worker that stands still, and what was run again because of it ------------------------ */

static void run_quickly(struct reducer *r)
{
    uint64_t begin = clock_mono_ms();
    if (fetch_run(r->fetch, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(clock_mono_ms() - begin < 8000);
    assert_int_equal(r->blames, 0);
}

/* The map it stands in has been run again on another worker. */
static struct fake_worker *standing;
static void on_tick_move(void *arg, uint64_t bytes)
{
    (void)bytes;
    if (!standing || !atomic_load(&standing->was_in_trouble))
        return;
    standing = NULL;
    learn(arg, elsewhere, 2);
}

static void stands_still_in_a_map_that_moves(size_t memory)
{
    static const struct fetch_ops moving = {on_news, on_blame, on_tick_move};
    struct fake_worker a = {.trouble = STANDS_ONCE}, c = {.attempt = 1};
    struct reducer r = {.ops = &moving};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){2, 1, 0}, 3);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){2}, 1);
    open_reducer(&r, 3, memory, LONG_MS);
    standing = &a;
    elsewhere = &c;
    for (uint32_t map = 0; map < 3; map++)
        learn(&r, &a, map);
    run_quickly(&r);
    check_all(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 2); /* its other maps are still there */
    close_reducer(&r);
    stop(&a);
    stop(&c);
}

static void a_worker_that_stands_still_in_a_map_is_left_when_the_map_has_moved(void **state)
{
    (void)state;
    stands_still_in_a_map_that_moves(4 << 20);
    stands_still_in_a_map_that_moves(100000);
}

static void a_copy_may_come_before_it_is_told_of_and_beside_the_first(void **state)
{
    (void)state;
    struct fake_worker a = {.trouble = STANDS_ONCE}, c = {.attempt = 1, .after = &a};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){2}, 1);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){2, 1, 0}, 3);
    open_reducer(&r, 3, 4 << 20, LONG_MS);
    learn(&r, &c, 0);
    learn(&r, &c, 1);
    learn(&r, &a, 2);
    run_quickly(&r);
    check_all(&r, 3);
    close_reducer(&r);
    stop(&a);
    stop(&c);
}

static void what_has_moved_is_not_taken_from_its_former_place(void **state)
{
    (void)state;
    struct fake_worker a = {.trouble = CORRUPT_ONCE}, c = {.attempt = 1, .after = &a};
    struct reducer r = {0};
    start(&a, "a", "127.0.0.1:0", (uint32_t[]){1, 2}, 2);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){1, 0}, 2);
    open_reducer(&r, 3, 4 << 20, LONG_MS);
    learn(&r, &a, 1);
    learn(&r, &a, 2);
    learn(&r, &c, 1);
    learn(&r, &c, 0);
    run_quickly(&r);
    check_all(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 1); /* nobody looked at the damage */
    close_reducer(&r);
    stop(&a);
    stop(&c);
}

static void on_tick_found(void *arg, uint64_t bytes)
{
    (void)bytes;
    if (standing && !atomic_load(&standing->was_in_trouble))
        return;
    if (elsewhere)
        learn(arg, elsewhere, 1);
    elsewhere = NULL;
}

/* Not the connection that nobody accepts, or not the question. */
static void does_not_answer_any_more(enum trouble trouble)
{
    static const struct fetch_ops moving = {on_news, on_blame, on_tick_found};
    struct fake_worker a = {.name = "a", .trouble = trouble}, c = {.attempt = 1};
    struct reducer r = {.ops = &moving};
    standing = trouble == ONLY_HELLO ? &a : NULL;
    if (standing)
        start(&a, "a", "127.0.0.1:0", (uint32_t[]){1}, 1);
    else
        assert_int_equal(listen_socket("127.0.0.1:0", 0600, &a.listen_fd, a.address, &err), 0);
    start(&c, "c", "127.0.0.1:0", (uint32_t[]){0, 1}, 2);
    open_reducer(&r, 2, 4 << 20, LONG_MS);
    elsewhere = &c;
    learn(&r, &a, 1);
    learn(&r, &c, 0);
    run_quickly(&r);
    check_all(&r, 2);
    close_reducer(&r);
    if (trouble == ONLY_HELLO)
        stop(&a);
    else
        close(a.listen_fd);
    stop(&c);
}

static void nobody_waits_for_a_worker_that_does_not_answer_any_more(void **state)
{
    (void)state;
    does_not_answer_any_more(NONE);
    does_not_answer_any_more(ONLY_HELLO);
}

int main(void)
{
    for (uint32_t map = 0; map < MAPS_MAX; map++)
        make_output(map);
    identity_init(&self, WIRE_TASK, "here");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_map_of_every_worker_comes),
        cmocka_unit_test(with_little_memory_it_comes_by_way_of_the_disk),
        cmocka_unit_test(a_stream_that_stands_still_is_asked_again),
        cmocka_unit_test(damage_and_cuts_are_noticed_in_memory_and_on_the_way_to_disk),
        cmocka_unit_test(what_is_here_is_not_asked_for_again),
        cmocka_unit_test(on_the_same_node_descriptors_come_instead_of_bytes),
        cmocka_unit_test(a_socket_that_cannot_be_seen_from_here_is_no_hindrance),
        cmocka_unit_test(one_bad_output_does_not_keep_back_those_behind_it),
        cmocka_unit_test(a_worker_without_what_it_should_have_is_blamed_for_it),
        cmocka_unit_test(a_worker_that_stands_still_in_a_map_is_left_when_the_map_has_moved),
        cmocka_unit_test(a_copy_may_come_before_it_is_told_of_and_beside_the_first),
        cmocka_unit_test(what_has_moved_is_not_taken_from_its_former_place),
        cmocka_unit_test(nobody_waits_for_a_worker_that_does_not_answer_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
