/* SPDX-License-Identifier: Apache-2.0
 * Fetching, step by step: what a worker said, what was learned meanwhile, and what became of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/listen.h"
#include "tests/unit/worker/shuffle/peer.h"
#include "worker/run/record.h"
#include "worker/shuffle/fetch.h"

#define PARTITIONS 3
#define LONG_MS    60000U

static struct identity self;
static struct err err;
static char dir[] = "/tmp/quern-talks-XXXXXX";
static char socket_path[64], run_path[64];
static const char *const network = "127.0.0.1:0";

/* A run with some records in each partition: every map's output, as far as anybody here knows. */
static struct output run;

static void make_run(void)
{
    static const uint32_t records[PARTITIONS] = {100, 200, 300};
    int fd = open(run_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    output_make(&run, fd, records, PARTITIONS);
}

/* --- what a worker says ---------------------------------------------------------------------- */

static struct said bytes_of(uint32_t map, uint32_t attempt, uint32_t p)
{
    return output_bytes(&run, map, attempt, p);
}

static struct said passed(uint32_t map, uint32_t p)
{
    return output_passed(&run, map, p, p == 0);
}

static struct said nothing_in(uint32_t map, uint32_t p, uint32_t count)
{
    return (struct said){
        .header = {.map_task = map, .partition = p, .records = count, .flags = SHUFFLE_EMPTY}};
}

/* In the middle of its bytes, or before its header. */
static struct said waiting(struct said said)
{
    said.waits = true;
    return said;
}

/* --- the reducer's side ---------------------------------------------------------------------- */

struct reducer {
    struct task_run run;
    struct scratch scratch;
    struct pieces pieces;
    uint8_t *space;
    struct fetch *fetch;
    void (*on_tick)(struct reducer *r, uint64_t bytes);
    struct peer *peer; /* for on_tick */
    unsigned step;
    unsigned blames;
};
static const uint64_t all_three[] = {0, 1, 2};

static int on_news(void *arg, struct err *e)
{
    (void)arg, (void)e;
    return 0;
}

static void on_tick(void *arg, uint64_t bytes)
{
    struct reducer *r = arg;
    if (r->on_tick)
        r->on_tick(r, bytes);
}

static void learn(struct reducer *r, const struct peer *peer, uint32_t map, uint32_t attempt);
static void on_blame(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why)
{
    struct reducer *r = arg;
    (void)worker, (void)why;
    r->blames++;
    for (size_t i = 0; i < count; i++) /* it is made again there, once more */
        learn(r, r->peer, (uint32_t)maps[i], 9);
}

static void open_reducer_with(struct reducer *r, uint32_t maps, uint32_t streams, uint32_t stall_ms)
{
    static const struct fetch_ops ops = {on_news, on_blame, on_tick};
    struct slice scratch = slice_str(dir);
    const size_t size = 1 << 20;
    r->space = mem_alloc(size);
    r->run = (struct task_run){.maps = maps, .reduce_partitions = {all_three, PARTITIONS}};
    assert_int_equal(scratch_open(&r->scratch, &scratch, 1), 0);
    pieces_open(&r->pieces, r->space, size, &r->scratch);
    struct fetch_conf conf = {.run = &r->run,
                              .self = &self,
                              .pieces = &r->pieces,
                              .streams_max = streams,
                              .stall_ms = stall_ms,
                              .ops = &ops,
                              .arg = r,
                              .fd = -1};
    assert_int_equal(fetch_open(&conf, &r->fetch, &err), 0);
}

static void open_reducer(struct reducer *r, uint32_t maps)
{
    open_reducer_with(r, maps, 4, LONG_MS);
}

static void close_reducer(struct reducer *r)
{
    fetch_close(r->fetch);
    pieces_close(&r->pieces);
    scratch_close(&r->scratch);
    mem_free(r->space);
}

/* Workers are named after their addresses. */
static struct task_source source_of(const struct peer *peer, uint32_t map, uint32_t attempt)
{
    const char *colon = strrchr(peer->address, ':');
    uint64_t port = 0;
    assert_int_equal(str_to_u64(colon + 1, &port), 0);
    return (struct task_source){.map_task = map,
                                .map_attempt = attempt,
                                .worker = slice_str(peer->address),
                                .host = slice_of(peer->address, (size_t)(colon - peer->address)),
                                .port = (uint32_t)port};
}

static void learn(struct reducer *r, const struct peer *peer, uint32_t map, uint32_t attempt)
{
    struct task_source source = source_of(peer, map, attempt);
    assert_int_equal(fetch_learn(r->fetch, &source, 1, &err), 0);
}

static void learn_near(struct reducer *r, const struct peer *peer, const char *path, uint32_t map)
{
    struct task_source source = source_of(peer, map, 0);
    source.socket = slice_str(path);
    source.boot_id = slice_str(self.boot);
    source.netns = self.netns;
    assert_int_equal(fetch_learn(r->fetch, &source, 1, &err), 0);
}

/* All is here: `count` pieces, each once, whole. */
static void run_to_the_end(struct reducer *r, size_t count)
{
    if (fetch_run(r->fetch, &err) != 0)
        fail_msg("%s", err.msg);
    pieces_sort(&r->pieces);
    assert_int_equal(r->pieces.count, count);
    uint8_t *bytes = mem_alloc(run.parts[PARTITIONS - 1].len);
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &r->pieces.all[i], *before = piece - 1;
        const struct run_part *part = &run.parts[piece->partition];
        assert_true(i == 0 || before->partition != piece->partition || before->map != piece->map);
        assert_int_equal(piece->run.len, part->len);
        const uint8_t *at = piece->run.data;
        if (piece->run.fd >= 0) {
            assert_int_equal(pread(piece->run.fd, bytes, part->len, (off_t)piece->run.offset),
                             part->len);
            at = bytes;
        }
        assert_memory_equal(at, run.bytes + part->offset, part->len);
    }
    mem_free(bytes);
}

static uint64_t one_map(void)
{
    return run.parts[0].len + run.parts[1].len + run.parts[2].len;
}

/* Pieces that have begun to come: what was sent is not received yet. */
static unsigned in_hand(struct reducer *r)
{
    mutex_lock(&r->pieces.lock);
    unsigned count = r->pieces.receiving;
    mutex_unlock(&r->pieces.lock);
    return count;
}

/* --- nothing twice, nothing left out --------------------------------------------------------- */

/* Both stand in the middle of the map; then the second one goes on, and then the first. */
static struct peer *second_peer;
static void open_gates_in_turn(struct reducer *r, uint64_t bytes)
{
    if (in_hand(r) == 2)
        atomic_store(&second_peer->gate, true);
    if (bytes >= 2 * one_map())
        atomic_store(&r->peer->gate, true);
}

/* One stands in the middle of a map that another one brings meanwhile, and goes on then: what it
 * has in hand came too late, and what it has behind it did not. */
static void what_two_bring_at_once_is_kept_once(void **state)
{
    (void)state;
    const struct said first[] = {waiting(bytes_of(1, 0, 0)), bytes_of(1, 0, 1), bytes_of(1, 0, 2),
                                 bytes_of(2, 0, 0),          bytes_of(2, 0, 1), bytes_of(2, 0, 2)};
    const struct said second[] = {bytes_of(0, 0, 0),          bytes_of(0, 0, 1), bytes_of(0, 0, 2),
                                  waiting(bytes_of(1, 1, 0)), bytes_of(1, 1, 1), bytes_of(1, 1, 2)};
    const struct talk talks[] = {{first, 6, THEN_END}, {second, 6, THEN_END}};
    struct peer a = {.self = &self}, b = {.self = &self};
    struct reducer r = {.on_tick = open_gates_in_turn, .peer = &a};
    second_peer = &b;
    peer_start(&a, network, &talks[0], 1);
    peer_start(&b, network, &talks[1], 1);
    open_reducer(&r, 3);
    learn(&r, &a, 1, 0);
    learn(&r, &a, 2, 0);
    learn(&r, &b, 0, 0);
    run_to_the_end(&r, 9);
    uint64_t remote = 0, local = 0;
    fetch_totals(r.fetch, &remote, &local);
    assert_int_equal(r.pieces.used,
                     remote + run.parts[0].len); /* that one alone took room for nothing */
    assert_int_equal(atomic_load(&a.connections), 1);
    close_reducer(&r);
    peer_stop(&a);
    peer_stop(&b);
}

static void what_is_said_twice_or_of_no_map_of_ours_is_taken_once(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 1),   bytes_of(0, 0, 1),   bytes_of(77, 0, 0),
                                nothing_in(0, 0, 1), nothing_in(0, 0, 1), nothing_in(77, 0, 3),
                                nothing_in(0, 9, 3), bytes_of(0, 0, 2)};
    const struct talk talk = {said, 8, THEN_END};
    struct peer a = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 1);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 2);
    assert_int_equal(r.pieces.used, run.parts[1].len + run.parts[2].len);
    assert_int_equal(atomic_load(&a.connections), 1);
    close_reducer(&r);
    peer_stop(&a);
}

static void of_as_many_partitions_as_it_says_a_map_has_nothing(void **state)
{
    (void)state;
    const struct said said[] = {nothing_in(0, 0, 2), bytes_of(0, 0, 2),   bytes_of(1, 0, 0),
                                nothing_in(1, 1, 2), nothing_in(2, 0, 1), bytes_of(2, 0, 1),
                                bytes_of(2, 0, 2)};
    const struct talk talk = {said, 7, THEN_END};
    struct peer a = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 3);
    for (uint32_t map = 0; map < 3; map++)
        learn(&r, &a, map, 0);
    run_to_the_end(&r, 4);
    assert_int_equal(atomic_load(&a.connections), 1);
    close_reducer(&r);
    peer_stop(&a);
}

static void nobody_is_asked_for_what_is_known_to_be_empty(void **state)
{
    (void)state;
    const struct peer nobody = {.address = "none.invalid:1"};
    struct reducer r = {0};
    open_reducer(&r, 2);
    for (uint32_t i = 0; i < 4; i++) { /* and it does no harm to be told of it again */
        struct task_source source = source_of(&nobody, i % 2, i / 2);
        source.is_empty = true;
        assert_int_equal(fetch_learn(r.fetch, &source, 1, &err), 0);
    }
    run_to_the_end(&r, 0);
    assert_int_equal(r.blames, 0);
    close_reducer(&r);
}

static void when_all_is_here_no_stream_goes_on(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2)};
    const struct talk talk = {said, 3, THEN_STAY};
    struct peer a = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 1);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_true(peer_waits_for(&a.hang_ups, 1)); /* before it is closed */
    close_reducer(&r);
    peer_stop(&a);
}

/* --- who is left, and who is not ------------------------------------------------------------- */

static void learn_others_then_open_the_gate(struct reducer *r, uint64_t bytes)
{
    if (r->step || bytes < one_map() || in_hand(r) == 0)
        return;
    r->step = 1;
    learn(r, r->peer, 0, 2); /* made again: it is here, and in nobody's hands */
    learn(r, r->peer, 1, 1); /* the very attempt that is in hand */
    learn(r, r->peer, 2, 2); /* not begun with */
    atomic_store(&r->peer->gate, true);
}

static void only_whoever_has_a_former_attempt_in_hand_is_left(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 0),          bytes_of(0, 0, 1), bytes_of(0, 0, 2),
                                waiting(bytes_of(1, 1, 0)), bytes_of(1, 1, 1), bytes_of(1, 1, 2),
                                bytes_of(2, 2, 0),          bytes_of(2, 2, 1), bytes_of(2, 2, 2)};
    const struct talk talk = {said, 9, THEN_END};
    struct peer a = {.self = &self};
    struct reducer r = {.on_tick = learn_others_then_open_the_gate, .peer = &a};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 3);
    learn(&r, &a, 0, 0);
    learn(&r, &a, 1, 1);
    learn(&r, &a, 2, 0);
    run_to_the_end(&r, 9);
    assert_int_equal(atomic_load(&a.connections), 1);
    close_reducer(&r);
    peer_stop(&a);
}

static void learn_with_nothing_in_hand(struct reducer *r, uint64_t bytes)
{
    if (r->step || bytes < one_map())
        return;
    r->step = 1;
    learn(r, r->peer, 0, 1);
    learn(r, r->peer, 1, 1);
    atomic_store(&r->peer->gate, true);
}

static void whoever_has_nothing_in_hand_is_not_left(void **state)
{
    (void)state;
    const struct said said[] = {
        bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2), waiting(nothing_in(5, 0, 1)),
        bytes_of(1, 1, 0), bytes_of(1, 1, 1), bytes_of(1, 1, 2)};
    const struct talk talk = {said, 7, THEN_END};
    struct peer a = {.self = &self};
    struct reducer r = {.on_tick = learn_with_nothing_in_hand, .peer = &a};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 2);
    learn(&r, &a, 0, 0);
    learn(&r, &a, 1, 0);
    run_to_the_end(&r, 6);
    assert_int_equal(atomic_load(&a.connections), 1);
    close_reducer(&r);
    peer_stop(&a);
}

static void learn_the_next_attempt(struct reducer *r, uint64_t bytes)
{
    (void)bytes;
    if (r->step < 4 && atomic_load(&r->peer->waiting) > r->step && in_hand(r))
        learn(r, r->peer, 0, ++r->step);
}

static void whoever_was_left_is_not_blamed_for_it(void **state)
{
    (void)state;
    struct said said[5][3];
    struct talk talks[5];
    for (uint32_t i = 0; i < 5; i++) { /* four attempts that stand still, and one that does not */
        said[i][0] = i < 4 ? waiting(bytes_of(0, i, 0)) : bytes_of(0, i, 0);
        said[i][1] = bytes_of(0, i, 1);
        said[i][2] = bytes_of(0, i, 2);
        talks[i] = (struct talk){said[i], 3, THEN_END};
    }
    struct peer a = {.self = &self};
    struct reducer r = {.on_tick = learn_the_next_attempt, .peer = &a};
    peer_start(&a, network, talks, 5);
    open_reducer(&r, 1);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(r.blames, 0);
    assert_int_equal(atomic_load(&a.connections), 5);
    close_reducer(&r);
    peer_stop(&a);
}

static void whoever_was_left_once_is_blamed_for_what_it_does_later(void **state)
{
    (void)state;
    const struct said stands[] = {waiting(bytes_of(0, 0, 0))};
    const struct said good[] = {bytes_of(0, 9, 0), bytes_of(0, 9, 1), bytes_of(0, 9, 2)};
    const struct talk talks[] = {{stands, 1, THEN_STAY},
                                 {stands, 0, THEN_HANG_UP},
                                 {stands, 0, THEN_END},
                                 {stands, 0, THEN_HANG_UP},
                                 {good, 3, THEN_END}};
    struct peer a = {.self = &self};
    struct reducer r = {.on_tick = learn_the_next_attempt, .peer = &a};
    peer_start(&a, network, talks, 5);
    open_reducer(&r, 1);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(r.blames, 1);
    close_reducer(&r);
    peer_stop(&a);
}

static void learn_late(struct reducer *r, uint64_t bytes)
{
    if (bytes && ++r->step == 10) /* most of them half a second apart */
        learn(r, r->peer, 1, 0);
}

static void whoever_owes_nothing_is_not_asked_again_for_being_silent(void **state)
{
    (void)state;
    const struct said first[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2)};
    const struct said second[] = {nothing_in(1, 0, 3)};
    const struct talk talks[] = {{first, 3, THEN_STAY}, {second, 1, THEN_END}};
    struct peer a = {.self = &self}, b = {.self = &self};
    struct reducer r = {.on_tick = learn_late, .peer = &b};
    peer_start(&a, network, &talks[0], 1);
    peer_start(&b, network, &talks[1], 1);
    open_reducer_with(&r, 2, 4, 2000);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 1);
    assert_true(peer_waits_for(&a.hang_ups, 1));
    close_reducer(&r);
    peer_stop(&a);
    peer_stop(&b);
}

static void one_map_is_owed_as_well_as_many(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2)};
    const struct talk talks[] = {{said, 2, THEN_STAY}, {said, 3, THEN_END}};
    struct peer a = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, talks, 2);
    open_reducer_with(&r, 1, 4, 600);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 2);
    close_reducer(&r);
    peer_stop(&a);
}

static void a_whole_map_makes_up_for_the_failures_before_it(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2),
                                bytes_of(1, 0, 0), bytes_of(1, 0, 1), bytes_of(1, 0, 2)};
    const struct talk talks[] = {{said, 0, THEN_HANG_UP},
                                 {said, 0, THEN_HANG_UP},
                                 {said, 3, THEN_HANG_UP},
                                 {said, 0, THEN_HANG_UP},
                                 {said + 3, 3, THEN_END}};
    struct peer a = {.self = &self};
    struct reducer r = {.peer = &a};
    peer_start(&a, network, talks, 5);
    open_reducer(&r, 2);
    learn(&r, &a, 0, 0);
    learn(&r, &a, 1, 0);
    run_to_the_end(&r, 6);
    assert_int_equal(r.blames, 0);
    assert_int_equal(atomic_load(&a.connections), 5);
    close_reducer(&r);
    peer_stop(&a);
}

static void it_asks_for_outputs_of_its_own_job_and_stage(void **state)
{
    (void)state;
    const struct said said[] = {nothing_in(0, 0, 3)};
    const struct talk talk = {said, 1, THEN_END};
    struct peer a = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, &talk, 1);
    open_reducer(&r, 1);
    r.run.id = (struct task_attempt){.cluster_ms = 11, .job = 22, .stage = 4};
    r.run.reads = 3;
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 0);
    close_reducer(&r);
    peer_stop(&a);
    assert_int_equal(a.cluster_ms, 11);
    assert_int_equal(a.job, 22);
    assert_int_equal(a.stage, 3);
}

static void learn_the_other_addresses(struct reducer *r, uint64_t bytes)
{
    (void)bytes;
    if (r->step || !atomic_load(&r->peer->waiting))
        return;
    r->step = 1;
    learn(r, r->peer, 1, 0); /* in the middle of a stream, which breaks then and tells of whom */
    atomic_store(&r->peer->gate, true);
}

static void news_of_a_worker_that_sends_do_not_touch_its_stream(void **state)
{
    (void)state;
    struct said said[] = {waiting(bytes_of(0, 0, 0)), bytes_of(0, 0, 0), bytes_of(0, 0, 1),
                          bytes_of(0, 0, 2), nothing_in(1, 0, 3)};
    const struct talk talks[] = {{said, 1, THEN_HANG_UP}, {said + 1, 4, THEN_END}};
    said[0].header.crc++;
    struct peer a = {.self = &self};
    struct reducer r = {.on_tick = learn_the_other_addresses, .peer = &a};
    peer_start(&a, network, talks, 2);
    open_reducer(&r, 2);
    learn(&r, &a, 0, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(atomic_load(&a.connections), 2);
    close_reducer(&r);
    peer_stop(&a);
}

static void idle_streams_are_closed_for_those_who_wait(void **state)
{
    (void)state;
    struct peer peers[3];
    struct said said[3][3];
    struct talk talks[3];
    struct reducer r = {0};
    open_reducer_with(&r, 3, 1, LONG_MS);
    for (uint32_t i = 0; i < 3; i++) {
        peers[i] = (struct peer){.self = &self};
        for (uint32_t p = 0; p < PARTITIONS; p++)
            said[i][p] = bytes_of(i, 0, p);
        talks[i] = (struct talk){said[i], 3, THEN_STAY};
        peer_start(&peers[i], network, &talks[i], 1);
        learn(&r, &peers[i], i, 0);
    }
    run_to_the_end(&r, 9);
    close_reducer(&r);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&peers[i].connections), 1);
        peer_stop(&peers[i]);
    }
}

/* --- the socket, and the network instead ----------------------------------------------------- */

/* One map, from a worker that is near, and not to be reached at `path`. */
static void goes_by_the_network(const char *path)
{
    const struct said said[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2)};
    const struct talk talk = {said, 3, THEN_END};
    struct peer far = {.self = &self};
    struct reducer r = {0};
    peer_start(&far, network, &talk, 1);
    open_reducer(&r, 1);
    learn_near(&r, &far, path, 0);
    run_to_the_end(&r, 3);
    assert_false(atomic_load(&far.was_asked_for_fds));
    assert_int_equal(r.blames, 0);
    close_reducer(&r);
    peer_stop(&far);
}

static void a_socket_that_nobody_answers_is_left_for_the_network(void **state)
{
    (void)state;
    char path[80], address[128];
    int fd = -1;
    snprintf(path, sizeof(path), "%s/none/w.sock", dir);
    goes_by_the_network(path); /* nor the directory */
    snprintf(path, sizeof(path), "%s/w.sock", run_path);
    goes_by_the_network(path); /* a file, not a directory */
    assert_int_equal(listen_socket(socket_path, 0600, &fd, address, &err), 0);
    close(fd);
    goes_by_the_network(socket_path); /* left behind by nobody */
    unlink(socket_path);
}

static void on_another_machine_or_network_the_same_path_is_somebody_elses(void **state)
{
    (void)state;
    const struct said said[] = {bytes_of(0, 0, 0), bytes_of(0, 0, 1), bytes_of(0, 0, 2)};
    const struct said near_said[] = {passed(0, 0), passed(0, 1), passed(0, 2)};
    const struct talk talk = {said, 3, THEN_END}, near_talk = {near_said, 3, THEN_END};
    const uint64_t own_netns = self.netns;
    for (int way = 0; way < 5; way++) {
        struct peer far = {.self = &self}, near = {.self = &self};
        struct reducer r = {0};
        peer_start(&far, network, &talk, 1);
        peer_start(&near, socket_path, &near_talk, 1);
        open_reducer(&r, 1);
        struct task_source source = source_of(&far, 0, 0);
        source.socket = slice_str(way == 1 ? "" : socket_path);
        source.boot_id = slice_str(way == 2 ? "another-boot" : self.boot);
        if (way == 4)
            self.netns = 0; /* not known */
        source.netns = way == 3 ? self.netns + 1 : self.netns;
        assert_int_equal(fetch_learn(r.fetch, &source, 1, &err), 0);
        self.netns = own_netns;
        run_to_the_end(&r, 3);
        uint64_t remote = 0, local = 0,
                 all = run.parts[0].len + run.parts[1].len + run.parts[2].len;
        fetch_totals(r.fetch, &remote, &local);
        assert_int_equal(atomic_load(&near.connections), way == 0);
        assert_int_equal(local, way == 0 ? all : 0);
        assert_int_equal(remote, way == 0 ? 0 : all);
        close_reducer(&r);
        peer_stop(&far);
        peer_stop(&near);
        unlink(socket_path);
    }
}

/* Found broken, not out of sight: then it is the worker's failure, and asked there again. */
static void a_socket_that_was_answered_is_not_left(void **state)
{
    (void)state;
    const struct said said[] = {passed(0, 0), passed(0, 1), passed(0, 2)};
    const struct talk talks[] = {{said, 1, THEN_HANG_UP}, {said, 3, THEN_END}};
    struct peer far = {.self = &self}, near = {.self = &self};
    struct reducer r = {0};
    peer_start(&far, network, &talks[1], 1);
    peer_start(&near, socket_path, talks, 2);
    open_reducer(&r, 1);
    learn_near(&r, &far, socket_path, 0);
    run_to_the_end(&r, 3);
    assert_int_equal(atomic_load(&near.connections), 2);
    assert_int_equal(atomic_load(&far.connections), 0);
    close_reducer(&r);
    peer_stop(&far);
    peer_stop(&near);
    unlink(socket_path);
}

/* When the network has brought all, the socket is there, and there is more to bring. */
static struct peer late;
static void learn_near_when_it_is_over(struct reducer *r, uint64_t bytes)
{
    static const struct talk talk = {NULL, 0, THEN_END};
    (void)bytes;
    if (atomic_load(&r->peer->hang_ups) == 0 || ++r->step != 2)
        return;
    peer_start(&late, socket_path, &talk, 1);
    learn_near(r, r->peer, socket_path, 1);
}

static void a_socket_out_of_sight_is_not_looked_for_again(void **state)
{
    (void)state;
    const struct said said[] = {nothing_in(0, 0, 3), nothing_in(1, 0, 3)};
    const struct talk talks[] = {{said, 1, THEN_END}, {said + 1, 1, THEN_END}};
    struct peer far = {.self = &self};
    struct reducer r = {.on_tick = learn_near_when_it_is_over, .peer = &far};
    late = (struct peer){.self = &self};
    peer_start(&far, network, talks, 2);
    open_reducer(&r, 2);
    learn_near(&r, &far, socket_path, 0);
    run_to_the_end(&r, 0);
    assert_int_equal(atomic_load(&late.connections), 0);
    close_reducer(&r);
    peer_stop(&far);
    peer_stop(&late);
    unlink(socket_path);
}

/* --- outputs that are files here ------------------------------------------------------------- */

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

static void an_output_that_is_a_file_is_read_where_it_is(void **state)
{
    (void)state;
    const struct peer nobody = {.address = "none.invalid:1"};
    struct reducer r = {0};
    uint64_t remote = 1, local = 0;
    open_reducer(&r, 1);
    size_t fds = count_fds();
    for (int i = 0; i < 2; i++) { /* told twice */
        struct task_source source = source_of(&nobody, 0, 0);
        source.run = slice_str(run_path);
        assert_int_equal(fetch_learn(r.fetch, &source, 1, &err), 0);
    }
    assert_int_equal(count_fds(), fds + 1); /* one descriptor for all its partitions */
    run_to_the_end(&r, 3);
    unsigned owners = 0;
    for (size_t i = 0; i < r.pieces.count; i++)
        owners += r.pieces.all[i].own_fd >= 0;
    assert_int_equal(owners, 1);
    fetch_totals(r.fetch, &remote, &local);
    assert_int_equal(remote, 0);
    assert_int_equal(local, run.parts[0].len + run.parts[1].len + run.parts[2].len);
    close_reducer(&r);
    assert_int_equal(count_fds(), fds - 1); /* and fetch_open's own */
}

static void without_a_thread_for_a_stream_the_fetch_fails_and_ends_the_others(void **state)
{
    (void)state;
    const struct said said[] = {waiting(bytes_of(0, 0, 0))};
    const struct talk talk = {said, 1, THEN_STAY};
    struct peer a = {.self = &self}, b = {.self = &self};
    struct reducer r = {0};
    peer_start(&a, network, &talk, 1);
    peer_start(&b, network, &talk, 1);
    open_reducer(&r, 2);
    learn(&r, &a, 0, 0);
    learn(&r, &b, 1, 0);
    assert_int_equal(fault_arm("thread.start=2:eio", &err), 0);
    assert_int_equal(fetch_run(r.fetch, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "cannot start thread fetch"));
    fault_arm(NULL, NULL);
    close_reducer(&r);
    peer_stop(&a);
    peer_stop(&b);
    assert_int_equal(atomic_load(&b.connections), 0);
}

static void a_reducer_without_partitions_waits_for_nobody(void **state)
{
    (void)state;
    struct reducer r = {0};
    open_reducer(&r, 1);
    r.run.reduce_partitions.n = 0;
    run_to_the_end(&r, 0);
    close_reducer(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_two_bring_at_once_is_kept_once),
        cmocka_unit_test(what_is_said_twice_or_of_no_map_of_ours_is_taken_once),
        cmocka_unit_test(of_as_many_partitions_as_it_says_a_map_has_nothing),
        cmocka_unit_test(nobody_is_asked_for_what_is_known_to_be_empty),
        cmocka_unit_test(when_all_is_here_no_stream_goes_on),
        cmocka_unit_test(only_whoever_has_a_former_attempt_in_hand_is_left),
        cmocka_unit_test(whoever_has_nothing_in_hand_is_not_left),
        cmocka_unit_test(whoever_was_left_is_not_blamed_for_it),
        cmocka_unit_test(whoever_was_left_once_is_blamed_for_what_it_does_later),
        cmocka_unit_test(whoever_owes_nothing_is_not_asked_again_for_being_silent),
        cmocka_unit_test(one_map_is_owed_as_well_as_many),
        cmocka_unit_test(a_whole_map_makes_up_for_the_failures_before_it),
        cmocka_unit_test(it_asks_for_outputs_of_its_own_job_and_stage),
        cmocka_unit_test(news_of_a_worker_that_sends_do_not_touch_its_stream),
        cmocka_unit_test(idle_streams_are_closed_for_those_who_wait),
        cmocka_unit_test(a_socket_that_nobody_answers_is_left_for_the_network),
        cmocka_unit_test(on_another_machine_or_network_the_same_path_is_somebody_elses),
        cmocka_unit_test(a_socket_that_was_answered_is_not_left),
        cmocka_unit_test(a_socket_out_of_sight_is_not_looked_for_again),
        cmocka_unit_test(an_output_that_is_a_file_is_read_where_it_is),
        cmocka_unit_test(without_a_thread_for_a_stream_the_fetch_fails_and_ends_the_others),
        cmocka_unit_test(a_reducer_without_partitions_waits_for_nobody),
    };
    identity_init(&self, WIRE_TASK, "here");
    if (!mkdtemp(dir))
        return 1;
    snprintf(socket_path, sizeof(socket_path), "%s/w.sock", dir);
    snprintf(run_path, sizeof(run_path), "%s/run", dir);
    make_run();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(run_path);
    rmdir(dir);
    output_release(&run);
    return failed;
}
