/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/pipeline.h"
#include "libcommon/base/rand.h"

#define RING   8192
#define PACKET 2048
#define BLOCK  65536

static const int16_t good[CL_PIPELINE_NODES];

static struct cl_pipeline begin(uint32_t nodes)
{
    static const uint32_t numbers[] = {10, 11, 12, 13};
    struct cl_pipeline p;
    cl_pipeline_init(&p, RING, PACKET, BLOCK);
    cl_pipeline_set_nodes(&p, numbers, nodes);
    return p;
}

static void ack_next(struct cl_pipeline *p)
{
    uint32_t bad = 0;
    const struct cl_ack ack = {p->flights[p->head].seq, p->count, good};
    assert_int_equal(cl_pipeline_ack(p, &ack, &bad), 0);
}

static void only_whole_packets_go_by_themselves(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    struct cl_packet packet;
    cl_pipeline_fill(&p, PACKET - 1);
    assert_false(cl_pipeline_next(&p, 0, &packet));
    cl_pipeline_fill(&p, 2);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_int_equal(packet.offset, 0);
    assert_int_equal(packet.len, PACKET);
    assert_false(cl_pipeline_next(&p, 0, &packet));
}

static void a_flush_sends_the_rest_and_the_next_packet_repeats_its_chunk(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    struct cl_packet packet;
    cl_pipeline_fill(&p, 700);
    assert_true(cl_pipeline_next(&p, CL_PACKET_FLUSH, &packet));
    assert_int_equal(packet.len, 700);
    assert_int_equal(packet.flags, CL_PACKET_FLUSH);
    assert_false(cl_pipeline_next(&p, CL_PACKET_FLUSH, &packet)); /* all has gone */
    cl_pipeline_fill(&p, 100);
    assert_true(cl_pipeline_next(&p, CL_PACKET_LAST, &packet));
    assert_int_equal(packet.offset, 512);
    assert_int_equal(packet.len, 288);
    ack_next(&p);
    assert_int_equal(p.acked, 700);
    assert_false(p.is_finished);
    ack_next(&p);
    assert_true(p.is_finished);
    assert_int_equal(p.acked, 800);
}

static void a_partial_chunk_stays_in_the_ring_while_it_is_partial(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    cl_pipeline_fill(&p, 700);
    assert_true(cl_pipeline_next(&p, CL_PACKET_FLUSH, &packet));
    ack_next(&p);
    assert_int_equal(cl_pipeline_room(&p), RING - (700 - 512));
}

static void room_ends_with_the_ring_and_with_the_block(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    assert_int_equal(cl_pipeline_room(&p), RING);
    cl_pipeline_fill(&p, RING);
    assert_int_equal(cl_pipeline_room(&p), 0);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_int_equal(cl_pipeline_room(&p), 0); /* sent is not acknowledged */
    ack_next(&p);
    assert_int_equal(cl_pipeline_room(&p), PACKET);
    p = begin(1);
    p.filled = p.sent = p.acked = BLOCK - 10;
    assert_int_equal(cl_pipeline_room(&p), 10);
}

static void a_packet_never_wraps_around_in_the_ring(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    cl_pipeline_fill(&p, 512);
    assert_true(cl_pipeline_next(&p, CL_PACKET_FLUSH, &packet));
    ack_next(&p);
    while (p.filled < 3 * RING) {
        cl_pipeline_fill(&p, cl_pipeline_room(&p));
        while (cl_pipeline_next(&p, 0, &packet)) {
            assert_true(packet.offset % RING + packet.len <= RING);
            assert_true(packet.len <= PACKET);
        }
        while (p.in_flight)
            ack_next(&p);
    }
}

static void hsync_of_what_has_gone_sends_an_empty_packet_once(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    cl_pipeline_fill(&p, PACKET);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_true(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_int_equal(packet.len, 0);
    ack_next(&p);
    ack_next(&p);
    assert_int_equal(p.synced, PACKET);
    assert_false(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
}

static void a_sync_is_asked_for_once_until_the_chain_breaks(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(2);
    struct cl_packet packet;
    uint32_t dropped = 0;
    cl_pipeline_fill(&p, PACKET + 100);
    assert_true(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_true(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_int_equal(packet.flags, CL_PACKET_SYNC);
    assert_false(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet)); /* not acknowledged yet */
    ack_next(&p);
    assert_false(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_int_equal(cl_pipeline_break(&p, 1, ERR_CLOSED, &dropped), 0);
    cl_pipeline_resume(&p);
    assert_true(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_int_equal(packet.flags, CL_PACKET_SYNC);
    assert_false(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    ack_next(&p);
    assert_int_equal(p.synced, PACKET + 100);
}

static void an_ack_out_of_turn_is_refused(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(2);
    struct cl_packet packet;
    uint32_t bad = 0;
    cl_pipeline_fill(&p, 2 * PACKET);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_int_equal(cl_pipeline_ack(&p, &(struct cl_ack){1, 2, good}, &bad), ERR_PROTO);
    assert_int_equal(cl_pipeline_ack(&p, &(struct cl_ack){0, 1, good}, &bad), ERR_PROTO);
    assert_int_equal(cl_pipeline_ack(&p, &(struct cl_ack){0, 2, good}, &bad), 0);
    ack_next(&p);
    assert_int_equal(cl_pipeline_ack(&p, &(struct cl_ack){2, 2, good}, &bad), ERR_PROTO);
}

static void a_bad_node_is_dropped_and_the_rest_is_sent_again(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    struct cl_packet packet;
    uint32_t bad = 9, dropped = 0;
    const int16_t status[] = {0, ERR_NOSPC};
    cl_pipeline_fill(&p, 3 * PACKET + 100);
    while (cl_pipeline_next(&p, CL_PACKET_LAST, &packet))
        continue;
    ack_next(&p);
    assert_int_equal(cl_pipeline_ack(&p, &(struct cl_ack){1, 2, status}, &bad), ERR_NOSPC);
    assert_int_equal(bad, 1);
    assert_int_equal(cl_pipeline_break(&p, bad, ERR_NOSPC, &dropped), 0);
    assert_int_equal(dropped, 11);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.nodes[1], 12);
    cl_pipeline_resume(&p);
    assert_int_equal(p.acked, PACKET);
    assert_true(cl_pipeline_next(&p, CL_PACKET_LAST, &packet));
    assert_int_equal(packet.offset, PACKET);
    assert_true(packet.seq > 3);
    while (cl_pipeline_next(&p, CL_PACKET_LAST, &packet))
        continue;
    assert_int_equal(packet.flags, CL_PACKET_LAST);
    while (p.in_flight)
        ack_next(&p);
    assert_true(p.is_finished);
}

static void the_last_node_is_not_dropped(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    uint32_t dropped = 0;
    assert_int_equal(cl_pipeline_break(&p, 0, ERR_CLOSED, &dropped), ERR_NONODE);
}

static void recoveries_without_progress_come_to_an_end(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(2);
    struct cl_packet packet;
    uint32_t dropped = 0, n = 0;
    for (int rc = 0; rc == 0; n++) {
        cl_pipeline_set_nodes(&p, (const uint32_t[]){1, 2}, 2); /* replaced each time */
        rc = cl_pipeline_break(&p, 0, ERR_CLOSED, &dropped);
        if (rc != 0)
            assert_int_equal(rc, ERR_LIMIT);
    }
    assert_int_equal(n, CL_PIPELINE_RECOVERIES + 1);
    p = begin(2);
    for (n = 0; n < 20; n++) { /* with progress it may go on for ever */
        cl_pipeline_set_nodes(&p, (const uint32_t[]){1, 2}, 2);
        assert_int_equal(cl_pipeline_break(&p, 0, ERR_CLOSED, &dropped), 0);
        cl_pipeline_resume(&p);
        cl_pipeline_fill(&p, 1);
        assert_true(cl_pipeline_next(&p, CL_PACKET_FLUSH, &packet));
        ack_next(&p);
    }
}

static void expect_nodes(const struct cl_pipeline *p, uint32_t count, const uint32_t *nodes)
{
    assert_int_equal(p->count, count);
    assert_memory_equal(p->nodes, nodes, count * sizeof(*nodes));
}

static uint32_t damaged_at(struct cl_pipeline *p, uint32_t bad)
{
    uint32_t dropped = 0;
    assert_int_equal(cl_pipeline_break(p, bad, ERR_CHECKSUM, &dropped), 0);
    cl_pipeline_resume(p);
    return dropped;
}

static void go_on(struct cl_pipeline *p)
{
    struct cl_packet packet;
    cl_pipeline_fill(p, 1);
    assert_true(cl_pipeline_next(p, CL_PACKET_FLUSH, &packet));
    ack_next(p);
}

/* Either end of the hop may be at fault: the sender goes where he sends nothing. */
static void a_faulty_sender_is_found_by_moving_him_to_the_end(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    assert_int_equal(damaged_at(&p, 1), CL_NOBODY);
    expect_nodes(&p, 3, (const uint32_t[]){11, 12, 10});
    go_on(&p);
    assert_int_equal(p.guilty, 10);
    p = begin(4);
    assert_int_equal(damaged_at(&p, 3), CL_NOBODY); /* from anywhere */
    expect_nodes(&p, 4, (const uint32_t[]){10, 11, 13, 12});
}

/* With two there is nobody to ask but the writer himself: he sends to each of them in turn. */
static void of_two_nodes_the_faulty_one_is_found_too(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(2);
    assert_int_equal(damaged_at(&p, 1), CL_NOBODY);
    expect_nodes(&p, 2, (const uint32_t[]){11, 10});
    go_on(&p); /* the sender it was */
    assert_int_equal(p.guilty, 10);
    assert_int_equal(p.count, 2);
    p = begin(2);
    assert_int_equal(damaged_at(&p, 1), CL_NOBODY);
    assert_int_equal(damaged_at(&p, 0), 11); /* ours are damaged, too: the receiver it was */
    expect_nodes(&p, 1, (const uint32_t[]){10});
    go_on(&p);
    assert_int_equal(p.guilty, CL_NOBODY);
}

static void a_faulty_receiver_is_found_by_who_sends_to_it_then(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(4);
    assert_int_equal(damaged_at(&p, 2), CL_NOBODY); /* 12 complains of 11 */
    expect_nodes(&p, 4, (const uint32_t[]){10, 12, 13, 11});
    assert_int_equal(damaged_at(&p, 1), 12); /* and of 10 */
    expect_nodes(&p, 3, (const uint32_t[]){10, 13, 11});
    go_on(&p);
    assert_int_equal(p.guilty, CL_NOBODY);
}

static void he_who_sends_damaged_bytes_twice_is_dropped_himself(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(4);
    assert_int_equal(damaged_at(&p, 1), CL_NOBODY);
    expect_nodes(&p, 4, (const uint32_t[]){11, 12, 13, 10});
    assert_int_equal(damaged_at(&p, 2), 13); /* complains of 12 */
    expect_nodes(&p, 3, (const uint32_t[]){11, 12, 10});
    assert_int_equal(damaged_at(&p, 2), 12); /* complained of again */
    expect_nodes(&p, 2, (const uint32_t[]){11, 10});
}

/* What a suspect acknowledges is proven before anybody counts on it: at the next set-up, by all. */
static void what_a_suspect_has_is_in_doubt_until_it_is_proven(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    go_on(&p);
    assert_false(cl_pipeline_has_doubts(&p));
    assert_int_equal(cl_pipeline_guilty_place(&p), CL_NOBODY);
    assert_int_equal(damaged_at(&p, 2), CL_NOBODY);
    assert_false(cl_pipeline_has_doubts(&p)); /* all of it was proven just now */
    cl_pipeline_fill(&p, 1);
    assert_true(cl_pipeline_has_doubts(&p));
    cl_pipeline_resume(&p);
    assert_true(cl_pipeline_has_doubts(&p)); /* it is not acknowledged yet */
    go_on(&p);
    assert_true(cl_pipeline_has_doubts(&p));
    assert_int_equal(cl_pipeline_guilty_place(&p), 2);
    cl_pipeline_resume(&p);
    assert_false(cl_pipeline_has_doubts(&p));
    go_on(&p); /* he stays in doubt */
    assert_true(cl_pipeline_has_doubts(&p));
    uint32_t dropped = 0;
    assert_int_equal(cl_pipeline_break(&p, 2, ERR_CORRUPT, &dropped), 0);
    assert_int_equal(dropped, 11);
    assert_int_equal(cl_pipeline_guilty_place(&p), CL_NOBODY);
    assert_false(cl_pipeline_has_doubts(&p));
}

static void whose_complainer_complains_of_two_is_not_in_doubt(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(4);
    assert_int_equal(damaged_at(&p, 2), CL_NOBODY); /* 12 complains of 11 */
    assert_int_equal(damaged_at(&p, 1), 12);        /* and of 10 */
    go_on(&p);
    assert_false(cl_pipeline_has_doubts(&p));
    p = begin(4);
    assert_int_equal(damaged_at(&p, 1), CL_NOBODY); /* 11 complains of 10 */
    assert_int_equal(damaged_at(&p, 2), 13);        /* another one of 12 */
    go_on(&p);
    assert_true(cl_pipeline_has_doubts(&p));
}

/* Whose own replica is damaged says so himself: nobody else is suspected. */
static void who_finds_his_own_bytes_damaged_goes(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    uint32_t dropped = 0;
    assert_int_equal(cl_pipeline_break(&p, 1, ERR_CORRUPT, &dropped), 0);
    assert_int_equal(dropped, 11);
    cl_pipeline_resume(&p);
    go_on(&p);
    assert_false(cl_pipeline_has_doubts(&p));
}

/* Rows: policy, replicas wanted, nodes left, counted on; is one wanted? */
static void a_further_node_is_wanted_as_the_policy_says(void **state)
{
    (void)state;
    static const struct {
        struct cl_replace_rule rule;
        uint32_t left;
        bool is_wanted;
    } rows[] = {
        {{CL_REPLACE_DEFAULT, 3, false}, 3, false}, {{CL_REPLACE_DEFAULT, 3, true}, 3, false},
        {{CL_REPLACE_DEFAULT, 3, false}, 2, false}, {{CL_REPLACE_DEFAULT, 3, true}, 2, true},
        {{CL_REPLACE_DEFAULT, 3, false}, 1, true},  {{CL_REPLACE_DEFAULT, 4, false}, 2, true},
        {{CL_REPLACE_DEFAULT, 4, false}, 3, false}, {{CL_REPLACE_DEFAULT, 2, true}, 1, false},
        {{CL_REPLACE_DEFAULT, 1, true}, 1, false},  {{CL_REPLACE_ALWAYS, 2, false}, 1, true},
        {{CL_REPLACE_ALWAYS, 2, false}, 2, false},  {{CL_REPLACE_ALWAYS, 3, false}, 2, true},
        {{CL_REPLACE_NEVER, 3, true}, 1, false},    {{CL_REPLACE_ALWAYS, 3, true}, 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cl_pipeline p = begin(rows[i].left);
        assert_int_equal(cl_pipeline_wants_node(&p, &rows[i].rule), rows[i].is_wanted);
    }
}

static void a_newcomer_is_last_and_gets_its_bytes_from_nobody_suspected(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    assert_int_equal(cl_pipeline_source(&p), 0);
    p.suspect = 10;
    assert_int_equal(cl_pipeline_source(&p), 1);
    cl_pipeline_join(&p, 77);
    expect_nodes(&p, 4, (const uint32_t[]){10, 11, 12, 77});
    p = begin(1);
    p.suspect = 10;
    assert_int_equal(cl_pipeline_source(&p), 0); /* there is no other */
}

static void an_idle_chain_gets_one_beat_at_a_time(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    assert_true(cl_pipeline_beat(&p, &packet));
    assert_int_equal(packet.flags, CL_PACKET_BEAT);
    assert_false(cl_pipeline_beat(&p, &packet));
    ack_next(&p);
    assert_true(cl_pipeline_beat(&p, &packet));
    assert_int_equal(p.acked, 0);
}

static void a_block_that_is_all_in_the_ring_can_begin_anew(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(1);
    struct cl_packet packet;
    cl_pipeline_fill(&p, RING);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    ack_next(&p);
    assert_true(cl_pipeline_restart(&p));
    assert_int_equal(p.acked, 0);
    assert_true(cl_pipeline_next(&p, 0, &packet));
    assert_int_equal(packet.offset, 0);
    ack_next(&p);
    cl_pipeline_fill(&p, 1); /* overwrites the first byte */
    assert_false(cl_pipeline_restart(&p));
}

/* A writer, a chain that breaks now and then, and bytes that must all arrive, in order. */
static void whatever_breaks_every_byte_arrives_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rand rand;
        rand_init(&rand, seed);
        struct cl_pipeline p = begin(1);
        struct cl_packet packet;
        uint64_t got = 0, total = 1 + rand_below(&rand, BLOCK);
        while (!p.is_finished) {
            uint64_t left = total - p.filled, room = cl_pipeline_room(&p);
            uint64_t most = left < room ? left : room;
            if (most)
                cl_pipeline_fill(&p, 1 + rand_below(&rand, most));
            unsigned flags = p.filled == total       ? CL_PACKET_LAST
                             : rand_chance(&rand, 4) ? CL_PACKET_FLUSH
                                                     : 0;
            while (cl_pipeline_next(&p, flags, &packet)) {
                assert_true(packet.offset <= got); /* no hole */
                if (packet.offset + packet.len > got)
                    got = packet.offset + packet.len;
            }
            uint32_t acks = (uint32_t)rand_below(&rand, p.in_flight + 1);
            while (acks--)
                ack_next(&p);
            if (rand_chance(&rand, 10) && !p.is_finished) {
                uint32_t dropped = 0;
                cl_pipeline_set_nodes(&p, (const uint32_t[]){1, 2}, 2);
                p.recoveries = 0;
                assert_int_equal(cl_pipeline_break(&p, 1, ERR_CLOSED, &dropped), 0);
                got = p.acked; /* survivors are cut to it */
                cl_pipeline_resume(&p);
            }
            assert_true(p.acked <= p.sent && p.sent <= p.filled);
            assert_true(p.filled - p.acked <= RING);
        }
        assert_int_equal(got, total);
        assert_int_equal(p.acked, total);
    }
}

/* ---- members that die ---- */

#define PACKETS 8

struct member {
    uint64_t len;          /* bytes it has */
    unsigned met, dies_at; /* packets; 0 = never */
};

/* Down the chain. The place of the one who dies of it, or the chain's length. */
static uint32_t deliver(const struct cl_pipeline *p, struct member *members,
                        const struct cl_packet *packet)
{
    for (uint32_t place = 0; place < p->count; place++) {
        struct member *m = &members[p->nodes[place]];
        if (++m->met == m->dies_at)
            return place;
        assert_true(packet->offset <= m->len); /* no hole */
        if (packet->offset + packet->len > m->len)
            m->len = packet->offset + packet->len;
    }
    return p->count;
}

/* The chain broke: whoever is left has all that was acknowledged, and is cut to it. */
static void mend(struct cl_pipeline *p, struct member *members, uint32_t bad)
{
    uint32_t dead = p->nodes[bad], dropped = CL_NOBODY;
    assert_int_equal(cl_pipeline_break(p, bad, ERR_CLOSED, &dropped), 0);
    assert_int_equal(dropped, dead);
    for (uint32_t place = 0; place < p->count; place++) {
        assert_true(members[p->nodes[place]].len >= p->acked);
        members[p->nodes[place]].len = p->acked;
    }
    cl_pipeline_resume(p);
}

/* So many packets are on their way before an answer is read; those of a chain that breaks may get
 * lost. */
static void write_through(struct cl_pipeline *p, struct member *members, uint32_t window,
                          bool loses_acks)
{
    const uint64_t total = PACKETS * PACKET - 100;
    while (!p->is_finished) {
        struct cl_packet packet;
        uint32_t stored = 0, bad = p->count;
        uint64_t room = cl_pipeline_room(p), left = total - p->filled;
        cl_pipeline_fill(p, room < left ? room : left);
        while (bad == p->count && stored < window &&
               cl_pipeline_next(p, p->filled == total ? CL_PACKET_LAST : 0, &packet)) {
            bad = deliver(p, members, &packet);
            stored += bad == p->count;
        }
        assert_true(stored > 0 || bad < p->count);
        for (; stored > 0 && (bad == p->count || !loses_acks); stored--)
            ack_next(p);
        if (bad < p->count)
            mend(p, members, bad);
    }
}

/* Any two of three places, each at any packet: at the same, or one after the other. */
static void the_third_has_it_all_whichever_two_die_at_whichever_packets(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3 * PACKETS * PACKETS * 4 * 2; n++) {
        uint32_t left = n % 3, window = 1 + n / 3 % 4;
        unsigned at = n / 24;
        struct member members[3] = {0};
        struct cl_pipeline p = begin(0);
        cl_pipeline_set_nodes(&p, (const uint32_t[]){0, 1, 2}, 3);
        members[(left + 1) % 3].dies_at = 1 + at % PACKETS;
        members[(left + 2) % 3].dies_at = 1 + at / PACKETS;
        write_through(&p, members, window, n / 12 % 2);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.nodes[0], left);
        assert_int_equal(members[left].len, PACKETS * PACKET - 100);
        assert_int_equal(p.acked, PACKETS * PACKET - 100);
    }
}

/* What the datanodes have is not sent again, but for the chunk it ends in; and it is not ours to
 * write elsewhere. */
static void a_block_that_was_begun_before_goes_on_where_it_ends(void **state)
{
    (void)state;
    struct cl_pipeline p = begin(3);
    struct cl_packet packet;
    cl_pipeline_begin_at(&p, 1300);
    assert_int_equal(cl_pipeline_room(&p), RING - (1300 - 1024));
    assert_false(cl_pipeline_next(&p, 0, &packet));
    cl_pipeline_fill(&p, 100);
    assert_true(cl_pipeline_next(&p, CL_PACKET_SYNC, &packet));
    assert_int_equal(packet.offset, 1024);
    assert_int_equal(packet.len, 376);
    ack_next(&p);
    assert_int_equal(p.acked, 1400);
    assert_int_equal(p.synced, 1400);
    assert_false(cl_pipeline_restart(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_packets_go_by_themselves),
        cmocka_unit_test(a_flush_sends_the_rest_and_the_next_packet_repeats_its_chunk),
        cmocka_unit_test(a_partial_chunk_stays_in_the_ring_while_it_is_partial),
        cmocka_unit_test(room_ends_with_the_ring_and_with_the_block),
        cmocka_unit_test(a_packet_never_wraps_around_in_the_ring),
        cmocka_unit_test(hsync_of_what_has_gone_sends_an_empty_packet_once),
        cmocka_unit_test(a_sync_is_asked_for_once_until_the_chain_breaks),
        cmocka_unit_test(an_ack_out_of_turn_is_refused),
        cmocka_unit_test(a_bad_node_is_dropped_and_the_rest_is_sent_again),
        cmocka_unit_test(the_last_node_is_not_dropped),
        cmocka_unit_test(recoveries_without_progress_come_to_an_end),
        cmocka_unit_test(a_faulty_sender_is_found_by_moving_him_to_the_end),
        cmocka_unit_test(of_two_nodes_the_faulty_one_is_found_too),
        cmocka_unit_test(a_faulty_receiver_is_found_by_who_sends_to_it_then),
        cmocka_unit_test(a_further_node_is_wanted_as_the_policy_says),
        cmocka_unit_test(a_newcomer_is_last_and_gets_its_bytes_from_nobody_suspected),
        cmocka_unit_test(he_who_sends_damaged_bytes_twice_is_dropped_himself),
        cmocka_unit_test(what_a_suspect_has_is_in_doubt_until_it_is_proven),
        cmocka_unit_test(whose_complainer_complains_of_two_is_not_in_doubt),
        cmocka_unit_test(who_finds_his_own_bytes_damaged_goes),
        cmocka_unit_test(an_idle_chain_gets_one_beat_at_a_time),
        cmocka_unit_test(a_block_that_is_all_in_the_ring_can_begin_anew),
        cmocka_unit_test(whatever_breaks_every_byte_arrives_once),
        cmocka_unit_test(the_third_has_it_all_whichever_two_die_at_whichever_packets),
        cmocka_unit_test(a_block_that_was_begun_before_goes_on_where_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
