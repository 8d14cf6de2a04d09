/* SPDX-License-Identifier: Apache-2.0
 * One stream, and what its worker may say that it must not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "tests/unit/worker/shuffle/peer.h"
#include "worker/run/record.h"
#include "worker/shuffle/stream.h"

#define PARTITIONS 3
#define SPACE      400000U

static struct identity self;
static struct err err;
static char dir[] = "/tmp/quern-stream-XXXXXX";
static char socket_path[64];

/* A run whose first partition is empty, the others some chunks long. */
static struct output run;
static int other_fd;

static void make_run(void)
{
    static const uint32_t records[PARTITIONS] = {0, 3000, 6000};
    output_make(&run, memfd_create("run", MFD_CLOEXEC), records, PARTITIONS);
    other_fd = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(pwrite(other_fd, run.bytes, run.len / 2, 0), run.len / 2);
}

/* --- what a worker says ---------------------------------------------------------------------- */

static struct said bytes_of(uint32_t map, uint32_t p)
{
    return output_bytes(&run, map, 0, p);
}

static struct said passed(uint32_t map, uint32_t p, bool is_first)
{
    return output_passed(&run, map, p, is_first);
}

/* --- who listens ----------------------------------------------------------------------------- */

struct listener {
    struct scratch scratch;
    struct pieces pieces;
    uint8_t *space;
    size_t size;
    bool is_indifferent, expects;
    int keep_code; /* instead of keeping */
    unsigned asked, empties;
    uint32_t empty_map;
    uint64_t empty_from, empty_count;
    struct shuffle_fetch ask;
    uint32_t stall_ms;
    bool (*looks)(void *arg); /* instead of on_expects */
    atomic_bool *gate;
    atomic_int fd;
    int code;
};

static bool on_wants(void *arg, const struct shuffle_header *header)
{
    struct listener *l = arg;
    (void)header;
    l->asked++;
    return !l->is_indifferent;
}

static int on_keep(void *arg, const struct piece *piece, struct pieces_slot *slot)
{
    struct listener *l = arg;
    if (l->keep_code == ERR_NOMEM && slot) { /* as those two do when they fail */
        pieces_cancel(&l->pieces, slot);
    } else if (l->keep_code == ERR_NOMEM) {
        mem_free(piece->sums);
        close(piece->own_fd);
    }
    if (l->keep_code)
        return l->keep_code;
    return slot ? pieces_commit(&l->pieces, slot, piece) : pieces_add_passed(&l->pieces, piece);
}

static void on_empty(void *arg, uint32_t map, uint64_t partition, uint64_t count)
{
    struct listener *l = arg;
    l->empties++;
    l->empty_map = map;
    l->empty_from = partition;
    l->empty_count = count;
}

static bool on_expects(void *arg)
{
    return ((struct listener *)arg)->expects;
}

static void open_listener(struct listener *l)
{
    struct slice scratch = slice_str(dir);
    if (!l->size)
        l->size = SPACE;
    l->space = mem_alloc(l->size);
    atomic_init(&l->fd, -1);
    if (!l->stall_ms)
        l->stall_ms = 60000;
    assert_int_equal(scratch_open(&l->scratch, &scratch, 1), 0);
    pieces_open(&l->pieces, l->space, l->size, &l->scratch);
}

static void close_listener(struct listener *l)
{
    pieces_close(&l->pieces);
    scratch_close(&l->scratch);
    mem_free(l->space);
}

static void listen_to(struct listener *l, const char *address)
{
    l->ask.pass_fds = address[0] == '/';
    struct stream_conf conf = {.address = address,
                               .self = &self,
                               .ask = &l->ask,
                               .pieces = &l->pieces,
                               .stall_ms = l->stall_ms,
                               .wants = on_wants,
                               .keep = on_keep,
                               .empty = on_empty,
                               .expects = l->looks ? l->looks : on_expects,
                               .arg = l,
                               .fd = &l->fd};
    l->code = stream_run(&conf, &err);
    assert_int_equal(atomic_load(&l->fd), -1);
    assert_int_equal(l->pieces.receiving, 0); /* or nothing in memory could ever move to disk */
}

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

/* One connection, one talk; whatever comes of it, no descriptor stays open. */
static int hear(struct listener *l, const char *address, const struct said *said, size_t count,
                enum peer_end then)
{
    struct peer peer = {.self = &self};
    struct talk talk = {said, count, then};
    size_t fds = count_fds();
    peer_start(&peer, address, &talk, 1);
    listen_to(l, peer.address);
    peer_stop(&peer);
    if (address[0] == '/')
        unlink(address);
    for (size_t i = 0; i < l->pieces.count; i++)
        fds += l->pieces.all[i].own_fd >= 0;
    assert_int_equal(count_fds(), fds + l->pieces.file_count);
    return l->code;
}

static const char *const network = "127.0.0.1:0";

/* --- descriptors ----------------------------------------------------------------------------- */

static void refuses(const struct said *said, size_t count, const char *address, int code,
                    size_t kept)
{
    struct listener l = {0};
    open_listener(&l);
    assert_int_equal(hear(&l, address, said, count, THEN_END), code);
    assert_int_equal(l.pieces.count, kept);
    close_listener(&l);
}

static void a_descriptor_belongs_to_the_first_piece_that_has_bytes(void **state)
{
    (void)state;
    struct listener l = {0};
    struct said said[] = {passed(4, 0, true), passed(4, 1, false), passed(4, 2, false)};
    open_listener(&l);
    assert_int_equal(hear(&l, socket_path, said, 3, THEN_END), 0);
    assert_int_equal(l.pieces.count, 2); /* of nothing nothing is kept */
    assert_true(l.pieces.all[0].own_fd >= 0);
    assert_int_equal(l.pieces.all[1].own_fd, -1);
    for (uint32_t p = 1; p < PARTITIONS; p++) {
        const struct piece *piece = &l.pieces.all[p - 1];
        assert_int_equal(piece->map, 4);
        assert_int_equal(piece->partition, p);
        assert_int_equal(piece->run.fd, l.pieces.all[0].own_fd);
        assert_int_equal(piece->run.records, run.parts[p].records);
        assert_false(pieces_is_damaged(piece));
    }
    close_listener(&l);
}

static void each_map_has_its_own_descriptor(void **state)
{
    (void)state;
    struct listener l = {0};
    struct said said[] = {passed(1, 1, true), passed(1, 2, false), passed(2, 1, true),
                          passed(2, 2, false)};
    said[2].has_two = true; /* one too many is closed */
    open_listener(&l);
    assert_int_equal(hear(&l, socket_path, said, 4, THEN_END), 0);
    assert_int_equal(l.pieces.count, 4);
    assert_true(l.pieces.all[2].own_fd >= 0 && l.pieces.all[2].own_fd != l.pieces.all[0].own_fd);
    assert_int_equal(l.pieces.all[3].run.fd, l.pieces.all[2].own_fd);
    close_listener(&l);
}

static void a_run_that_is_not_what_its_header_says_is_not_taken(void **state)
{
    (void)state;
    struct said long_one = passed(1, 1, true), elsewhere = long_one, other = long_one,
                torn = long_one, third = long_one;
    long_one.header.len++;
    elsewhere.header.offset++;
    other.header.crc++;
    torn.fd = other_fd;
    third.header.partition = 2;
    refuses(&long_one, 1, socket_path, ERR_CORRUPT, 0);
    refuses(&elsewhere, 1, socket_path, ERR_CORRUPT, 0);
    refuses(&other, 1, socket_path, ERR_CORRUPT, 0);
    refuses(&torn, 1, socket_path, ERR_CORRUPT, 0);
    refuses(&third, 1, socket_path, ERR_CORRUPT, 0);
}

static void a_descriptor_is_that_of_the_map_it_came_with(void **state)
{
    (void)state;
    struct said none[] = {passed(0, 1, false)};
    struct said of_another[] = {passed(1, 1, true), passed(2, 2, false)};
    struct said missing[] = {passed(1, 1, true), passed(2, 2, true)};
    struct said too_many[] = {passed(1, 1, true), passed(1, 2, true)};
    missing[1].has_fd = false;
    too_many[1].header.flags |= SHUFFLE_SAME;
    refuses(none, 1, socket_path, ERR_PROTO, 0);
    refuses(of_another, 2, socket_path, ERR_PROTO, 1);
    refuses(missing, 2, socket_path, ERR_PROTO, 1);
    refuses(too_many, 2, socket_path, ERR_PROTO, 1);
    none[0].header.flags = SHUFFLE_FD; /* what was not asked for */
    refuses(none, 1, network, ERR_PROTO, 0);
}

static void what_is_not_wanted_or_here_already_is_passed_over(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct said first = way == 2 ? passed(1, 1, true) : bytes_of(1, 1);
        struct said second = way == 2 ? passed(1, 2, false) : bytes_of(1, 2);
        struct said said[] = {first, second, {.header = {.flags = SHUFFLE_EMPTY, .map_task = 3}}};
        size_t size = way == 1 ? 100000 : SPACE; /* 1: by way of the disk */
        struct listener unwanted = {.is_indifferent = true, .size = size},
                        there = {.keep_code = ERR_EXIST, .size = size};
        const char *address = way == 2 ? socket_path : network;
        open_listener(&unwanted);
        assert_int_equal(hear(&unwanted, address, said, 3, THEN_END), 0);
        assert_int_equal(unwanted.asked, 2);
        assert_int_equal(unwanted.empties, 1);
        assert_int_equal(unwanted.pieces.count, 0);
        assert_int_equal(unwanted.pieces.used, 0);
        close_listener(&unwanted);
        open_listener(&there);
        assert_int_equal(hear(&there, address, said, 3, THEN_END), 0);
        assert_int_equal(there.empties, 1);
        assert_int_equal(there.pieces.count, 0);
        close_listener(&there);
    }
}

static void what_cannot_be_kept_ends_the_stream(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct said said[] = {way ? passed(1, 1, true) : bytes_of(1, 1)};
        struct listener l = {.keep_code = ERR_NOMEM};
        open_listener(&l);
        assert_int_equal(hear(&l, way ? socket_path : network, said, 1, THEN_STAY), ERR_NOMEM);
        close_listener(&l);
    }
}

/* --- headers --------------------------------------------------------------------------------- */

static void what_is_said_of_nothing_is_told_as_it_is(void **state)
{
    (void)state;
    struct said said[] = {
        {.header = {
             .map_task = 7, .partition = 2, .records = 40, .len = 12, .flags = SHUFFLE_EMPTY}}};
    struct listener l = {0};
    open_listener(&l);
    assert_int_equal(hear(&l, network, said, 1, THEN_END), 0);
    assert_int_equal(l.empties, 1);
    assert_int_equal(l.empty_map, 7);
    assert_int_equal(l.empty_from, 2);
    assert_int_equal(l.empty_count, 40);
    assert_int_equal(l.asked, 0);
    close_listener(&l);
}

static void packed_bytes_stay_known_as_packed(void **state)
{
    (void)state;
    struct said said[] = {bytes_of(1, 1), bytes_of(1, 2)};
    said[1].header.flags = SHUFFLE_PACKED;
    struct listener l = {0};
    open_listener(&l);
    assert_int_equal(hear(&l, network, said, 2, THEN_END), 0);
    assert_int_equal(l.pieces.count, 2);
    assert_false(l.pieces.all[0].run.is_packed);
    assert_true(l.pieces.all[1].run.is_packed);
    close_listener(&l);
}

static void a_garbled_header_ends_the_stream(void **state)
{
    (void)state;
    struct said said[] = {bytes_of(1, 1), bytes_of(1, 2)};
    said[1].is_garbled = true;
    refuses(said, 2, network, ERR_PROTO, 1);
}

static void whoever_hangs_up_without_saying_so_has_not_sent_all(void **state)
{
    (void)state;
    struct said said[] = {bytes_of(1, 1)};
    struct listener l = {0};
    open_listener(&l);
    assert_true(hear(&l, network, said, 1, THEN_HANG_UP) < 0);
    assert_int_equal(l.pieces.count, 1);
    close_listener(&l);
}

/* --- silence --------------------------------------------------------------------------------- */

static void silence_is_a_fault_of_whoever_has_something(void **state)
{
    (void)state;
    struct said said[] = {bytes_of(1, 1)};
    struct listener l = {.stall_ms = 2000, .expects = true};
    open_listener(&l);
    assert_int_equal(hear(&l, network, said, 1, THEN_STAY), ERR_TIMEOUT);
    assert_int_equal(l.pieces.count, 1);
    close_listener(&l);
}

static void standing_still_in_the_middle_is_a_fault_in_any_case(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) { /* to memory, to disk, past */
        struct said said[] = {bytes_of(1, 1)};
        said[0].waits = true;
        struct listener l = {
            .stall_ms = 300, .size = way == 1 ? 100000 : SPACE, .is_indifferent = way == 2};
        open_listener(&l);
        assert_int_equal(hear(&l, network, said, 1, THEN_END), ERR_TIMEOUT);
        assert_int_equal(l.pieces.count, 0);
        close_listener(&l);
    }
}

static void on_gate_thread(void *arg)
{
    struct peer *peer = arg;
    assert_true(peer_waits_for(&peer->waiting, 1));
    usleep(3500000);
    atomic_store(&peer->gate, true);
}

/* Silent for longer than it might be if it owed something, and then it does. */
static bool on_expects_late(void *arg)
{
    struct listener *l = arg;
    if (++l->asked < 20) /* looks, of 200 ms */
        return false;
    atomic_store(l->gate, true);
    return true;
}

static void patience_begins_when_something_is_owed(void **state)
{
    (void)state;
    struct said said[] = {{.header = {.flags = SHUFFLE_EMPTY, .map_task = 3}, .waits = true}};
    struct talk talk = {said, 1, THEN_END};
    struct peer peer = {.self = &self};
    struct listener l = {.stall_ms = 3000, .looks = on_expects_late, .gate = &peer.gate};
    open_listener(&l);
    peer_start(&peer, network, &talk, 1);
    listen_to(&l, peer.address);
    peer_stop(&peer);
    assert_int_equal(l.code, 0);
    close_listener(&l);
}

static void whoever_owes_nothing_may_be_silent_however_long(void **state)
{
    (void)state;
    struct said said[] = {bytes_of(1, 1),
                          {.header = {.flags = SHUFFLE_EMPTY, .map_task = 3}, .waits = true}};
    struct talk talk = {said, 2, THEN_END};
    struct peer peer = {.self = &self};
    struct thread thread;
    struct listener l = {.stall_ms = 2000};
    open_listener(&l);
    peer_start(&peer, network, &talk, 1);
    assert_int_equal(thread_start(&thread, "gate", on_gate_thread, &peer, &err), 0);
    listen_to(&l, peer.address);
    thread_join(&thread);
    peer_stop(&peer);
    assert_int_equal(l.code, 0);
    assert_int_equal(l.empties, 1);
    close_listener(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_belongs_to_the_first_piece_that_has_bytes),
        cmocka_unit_test(each_map_has_its_own_descriptor),
        cmocka_unit_test(a_run_that_is_not_what_its_header_says_is_not_taken),
        cmocka_unit_test(a_descriptor_is_that_of_the_map_it_came_with),
        cmocka_unit_test(what_is_not_wanted_or_here_already_is_passed_over),
        cmocka_unit_test(what_cannot_be_kept_ends_the_stream),
        cmocka_unit_test(what_is_said_of_nothing_is_told_as_it_is),
        cmocka_unit_test(packed_bytes_stay_known_as_packed),
        cmocka_unit_test(a_garbled_header_ends_the_stream),
        cmocka_unit_test(whoever_hangs_up_without_saying_so_has_not_sent_all),
        cmocka_unit_test(silence_is_a_fault_of_whoever_has_something),
        cmocka_unit_test(standing_still_in_the_middle_is_a_fault_in_any_case),
        cmocka_unit_test(patience_begins_when_something_is_owed),
        cmocka_unit_test(whoever_owes_nothing_may_be_silent_however_long),
    };
    identity_init(&self, WIRE_TASK, "here");
    if (!mkdtemp(dir))
        return 1;
    snprintf(socket_path, sizeof(socket_path), "%s/w.sock", dir);
    make_run();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    output_release(&run);
    close(other_fd);
    return failed;
}
