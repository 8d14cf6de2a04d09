/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

static void a_block_of_any_length_comes_back_as_it_was_written(void **state)
{
    (void)state;
    static const uint64_t lens[] = {0, 1, 511, 512, 513, 30720, 100000, 3000001};
    struct cluster *c = cluster_open(1, NULL);
    for (uint64_t i = 0; i < ARRAY_LEN(lens); i++) {
        write_block(c, i + 1, 7, lens[i], 1);
        expect_state(&c->node[0], i + 1, DN_REPLICA_FINALIZED, 7, lens[i]);
        expect_bytes(&c->node[0], i + 1, 0, lens[i]);
        assert_true(has_news(&c->node[0], DN_CHANGE_RECEIVING, i + 1));
        assert_true(has_news(&c->node[0], DN_CHANGE_RECEIVED, i + 1));
    }
    cluster_close(c);
}

static void large_runs_may_go_past_the_page_cache(void **state)
{
    (void)state;
    struct node_options options = {.direct_min = 16384};
    struct cluster *c = cluster_open(2, &options);
    write_block(c, 5, 7, 3333333, 2);
    expect_bytes(&c->node[0], 5, 0, 3333333);
    expect_bytes(&c->node[1], 5, 0, 3333333);
    cluster_close(c);
}

static void a_connection_carries_one_block_after_the_other(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 1, .gs = 7};
    open_chain(&p, &chain);
    stream(&p, 0, 40000, 1);
    for (uint64_t id = 2; id < 6; id++) {
        struct data_write ask = {.block = {.id = id, .gs = 7}, .block_size = BLOCK_BYTES};
        struct data_writing answer = {0};
        assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &ask, &answer, NULL), 0);
        assert_int_equal(answer.bad_node.len, 0);
        p.block = id;
        p.seq = id * 1000; /* a stream's numbers may begin anywhere */
        stream(&p, 0, 40000 + id, 1);
    }
    peer_close(&p);
    for (uint64_t id = 2; id < 6; id++)
        expect_bytes(&c->node[0], id, 0, 40000 + id);
    cluster_close(c);
}

/* ---- memory rings ---- */

static void a_local_client_writes_through_shared_memory(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    for (int count = 1; count <= 2; count++) {
        uint64_t id = 10 + (uint64_t)count;
        struct chain chain = {.cluster = c, .count = count, .id = id, .gs = 7, .is_local = true};
        open_chain(&p, &chain);
        stream(&p, 0, 1500001, (unsigned)count);
        peer_close(&p);
        for (int i = 0; i < count; i++)
            expect_bytes(&c->node[i], id, 0, 1500001);
    }
    cluster_close(c);
}

static void memory_that_could_be_cut_away_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const int seals[] = {0, F_SEAL_GROW, F_SEAL_SHRINK};
    for (uint64_t i = 0; i < ARRAY_LEN(seals); i++) {
        struct peer p;
        struct data_writing answer = {0};
        struct chain chain = {.cluster = c, .count = 1, .id = i + 1, .gs = 7, .is_local = true};
        assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
        pass_ring(&p, seals[i]);
        uint8_t byte;
        assert_int_equal(sock_recv_some(p.fd, &byte, 1, soon()), ERR_EOF);
        peer_close(&p);
    }
    cluster_close(c);
}

static void rings_of_strange_sizes_are_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const size_t sizes[] = {4096, (64U << 10) + 1, 128U << 20};
    struct err err = {0};
    struct data_writing answer = {0};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct peer p;
        struct chain chain = {
            .cluster = c, .count = 1, .id = 1, .gs = 7, .is_local = true, .ring_bytes = sizes[i]};
        assert_int_equal(ask_chain(&p, &chain, &answer, &err), ERR_INVAL);
        peer_close(&p);
    }
    /* and a memfd of another size than was said */
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 1, .gs = 7, .is_local = true};
    assert_int_equal(ask_chain(&p, &chain, &answer, &err), 0);
    p.ring_bytes /= 2;
    pass_ring(&p, F_SEAL_SHRINK | F_SEAL_GROW);
    uint8_t byte;
    assert_int_equal(sock_recv_some(p.fd, &byte, 1, soon()), ERR_EOF);
    peer_close(&p);
    cluster_close(c);
}

static void memory_cannot_be_passed_over_tcp(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_write ask = {
        .block = {.id = 1, .gs = 7}, .block_size = BLOCK_BYTES, .ring_bytes = 1U << 20};
    struct data_writing answer = {0};
    peer_open(&p, c->node[0].address);
    assert_int_equal(peer_ask(&p, DATA_AT_LOCAL_WRITE, &ask, &answer, NULL), ERR_INVAL);
    peer_close(&p);
    cluster_close(c);
}

/* ---- flushing ---- */

static void readers_of_an_open_block_see_acknowledged_bytes_with_right_checksums(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 2, .id = 3, .gs = 7};
    static const uint64_t lens[] = {0, 1, 700, 812, 1024, 5000, 5001};
    open_chain(&p, &chain);
    for (size_t i = 1; i < ARRAY_LEN(lens); i++) {
        uint64_t off = lens[i - 1] - lens[i - 1] % 512;
        uint16_t how = i % 2 ? PACKET_FLUSH : PACKET_SYNC;
        send_packet(&p, off, (size_t)(lens[i] - off), how);
        struct packet_ack ack = recv_ack(&p);
        assert_int_equal(ack.flags & PACKET_SYNC, how & PACKET_SYNC);
        for (int n = 0; n < 2; n++)
            expect_bytes(&c->node[n], 3, 0, lens[i]);
    }
    send_packet(&p, 5001, 0, PACKET_LAST);
    (void)recv_ack(&p);
    expect_bytes(&c->node[1], 3, 0, 5001);
    peer_close(&p);
    cluster_close(c);
}

static void a_reader_never_sees_more_than_was_acknowledged(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p, reader;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 700, PACKET_FLUSH);
    (void)recv_ack(&p);
    struct parcel half = make_parcel(&p, 512, 4096, 0);
    assert_int_equal(sock_send_all(p.fd, half.header, sizeof(half.header), soon()), 0);
    assert_int_equal(sock_send_all(p.fd, half.sums, half.sums_len, soon()), 0);
    assert_int_equal(sock_send_all(p.fd, half.data, 3000, soon()), 0);
    struct reading r;
    struct data_read ask = {.block = {.id = 3}, .length = UINT64_MAX};
    peer_open(&reader, c->node[0].address);
    assert_int_equal(read_range(&reader, &ask, &r, NULL), 0);
    assert_int_equal(r.failed, 0);
    assert_int_equal(r.len, 700);
    assert_int_equal(r.answer.visible_len, 700);
    mem_free(r.data);
    peer_close(&reader);
    mem_free(half.sums);
    mem_free(half.data);
    peer_close(&p);
    cluster_close(c);
}

/* ---- what durable means ---- */

static uint64_t time_of_last_ack(struct cluster *c, uint64_t id, const char *fault, uint16_t flags)
{
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = id, .gs = 7};
    open_chain(&p, &chain);
    assert_int_equal(fault_arm(fault, NULL), 0);
    uint64_t start = clock_mono_ms();
    send_packet(&p, 0, 5000, flags);
    expect_acks(&p, 0, 0, 1);
    uint64_t took = clock_mono_ms() - start;
    assert_int_equal(fault_arm(NULL, NULL), 0);
    peer_close(&p);
    return took;
}

static void the_last_ack_comes_after_every_sync(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const char *const syncs[] = {"disk.fsync=1:delay80", "disk.fsync=2:delay80",
                                        "disk.fsyncdir=1+:delay80", "disk.rename=2:delay80"};
    for (size_t i = 0; i < ARRAY_LEN(syncs); i++)
        assert_true(time_of_last_ack(c, i + 1, syncs[i], PACKET_LAST) >= 80);
    assert_true(time_of_last_ack(c, 9, "disk.fsync=1:delay80", PACKET_SYNC) >= 80);
    assert_true(time_of_last_ack(c, 10, "disk.fsync=2:delay80", PACKET_SYNC) >= 80);
    cluster_close(c);
}

static void a_failed_sync_is_never_acknowledged(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const char *const faults[] = {"disk.fsync=1:eio", "disk.fsync=2:eio",
                                         "disk.fsyncdir=1+:eio", "disk.rename=1:eio"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct peer p;
        struct chain chain = {.cluster = c, .count = 1, .id = i + 1, .gs = 7};
        open_chain(&p, &chain);
        assert_int_equal(fault_arm(faults[i], NULL), 0);
        send_packet(&p, 0, 5000, PACKET_LAST);
        assert_int_equal(recv_ack(&p).status[0], ERR_IO);
        assert_int_equal(fault_arm(NULL, NULL), 0);
        peer_close(&p);
        expect_state(&c->node[0], i + 1, DN_REPLICA_RBW, 7, 5000);
        assert_false(has_news(&c->node[0], DN_CHANGE_RECEIVED, i + 1));
    }
    cluster_close(c);
}

/* ---- copies ---- */

static void a_copy_is_whole_or_nothing(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p, reader;
    struct reading r;
    struct chain chain = {
        .cluster = c, .count = 1, .id = 3, .gs = 7, .len = 6000, .stage = DATA_WRITE_COPY};
    open_chain(&p, &chain);
    send_packet(&p, 0, 3072, PACKET_FLUSH);
    expect_acks(&p, 0, 0, 1);
    struct data_read ask = {.block = {.id = 3}, .length = 1};
    peer_open(&reader, c->node[0].address);
    assert_int_equal(read_range(&reader, &ask, &r, NULL), ERR_NOENT); /* nobody sees it yet */
    peer_close(&reader);
    peer_close(&p);
    wait_idle(&c->node[0]);
    assert_int_equal(replica_of(&c->node[0], 3).id, 0);
    char *path = file_of(&c->node[0], DN_DIR_TMP, 3, 7, false);
    assert_int_equal(access(path, F_OK), -1);
    mem_free(path);
    cluster_close(c);
}

static void a_copy_of_the_wrong_length_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct chain chain = {
        .cluster = c, .count = 1, .id = 3, .gs = 7, .len = 6000, .stage = DATA_WRITE_COPY};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5000, PACKET_LAST);
    assert_int_equal(recv_ack(&p).status[0], ERR_INVAL);
    peer_close(&p);
    wait_idle(&c->node[0]);
    assert_int_equal(replica_of(&c->node[0], 3).id, 0);
    open_chain(&p, &chain);
    stream(&p, 0, 6000, 1);
    peer_close(&p);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 7, 6000);
    assert_true(has_news(&c->node[0], DN_CHANGE_RECEIVED, 3));
    assert_false(has_news(&c->node[0], DN_CHANGE_RECEIVING, 3));
    cluster_close(c);
}

/* ---- hostile streams ---- */

static void expect_hung_up(struct cluster *c, struct peer *p)
{
    uint8_t bytes[64];
    while (sock_recv_some(p->fd, bytes, sizeof(bytes), soon()) > 0)
        ;
    peer_close(p);
    wait_idle(&c->node[0]);
}

static void streams_that_break_the_rules_are_closed(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const struct packet_header strange[] = {
        {.seq = 5, .offset = 512, .data_len = 512, .sums = 1}, /* a hole */
        {.seq = 5, .data_len = 512, .flags = PACKET_RING},     /* no ring here */
        {.seq = 5, .data_len = 8, .flags = PACKET_FAILED},     /* for readers */
        {.seq = 5, .offset = 1ULL << 40, .data_len = 512, .sums = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(strange) + 2; i++) {
        struct peer p;
        uint8_t bytes[PACKET_HEADER_BYTES] = {0};
        struct chain chain = {.cluster = c, .count = 1, .id = i + 1, .gs = 7};
        open_chain(&p, &chain);
        if (i < ARRAY_LEN(strange))
            packet_header_encode(&strange[i], bytes);
        else if (i == ARRAY_LEN(strange))
            memset(bytes, 0xff, sizeof(bytes));
        assert_int_equal(sock_send_all(p.fd, bytes, sizeof(bytes), soon()), 0);
        expect_hung_up(c, &p);
        expect_state(&c->node[0], i + 1, DN_REPLICA_RBW, 7, 0);
    }
    cluster_close(c);
}

static void more_than_a_block_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_write ask = {.block = {.id = 3, .gs = 7}, .block_size = 1000};
    struct data_writing answer = {0};
    peer_open(&p, c->node[0].address);
    assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &ask, &answer, NULL), 0);
    p.block = 3;
    send_packet(&p, 0, 512, 0);
    expect_acks(&p, 0, 0, 1);
    send_packet(&p, 512, 512, 0);
    expect_hung_up(c, &p);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 512);
    cluster_close(c);
}

static void requests_that_make_no_sense_are_answered_with_an_error(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct msg_node many[20];
    memset(many, 0, sizeof(many));
    struct data_write asks[] = {
        {.block = {.id = 0, .gs = 7}, .block_size = 1000},
        {.block = {.id = 3, .gs = 7}, .block_size = 0},
        {.block = {.id = 3, .gs = 7}, .block_size = UINT64_MAX},
        {.block = {.id = 3, .gs = 7, .len = 2000}, .block_size = 1000},
        {.block = {.id = 3, .gs = 7}, .block_size = 1000, .stage = 9},
        {.block = {.id = 3, .gs = 7}, .block_size = 1000, .targets = {many, 20}},
        {.block = {.id = 3, .gs = 7}, .block_size = 1000, .stage = DATA_WRITE_RECOVER, .new_gs = 7},
    };
    struct data_writing answer = {0};
    peer_open(&p, c->node[0].address);
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &asks[i], &answer, NULL), ERR_INVAL);
    peer_close(&p);
    cluster_close(c);
}

/* ---- limits ---- */

static void an_overloaded_node_says_so(void **state)
{
    (void)state;
    struct node_options options = {.threads = 2, .timeout_ms = 800};
    struct cluster *c = cluster_open(1, &options);
    struct peer busy[2], waiting[2], p;
    struct data_writing answer = {0};
    assert_int_equal(fault_arm("dn.write.disk=1+:delay700", NULL), 0);
    for (uint64_t i = 0; i < 2; i++) { /* their threads are with the disk */
        struct chain chain = {.cluster = c, .count = 1, .id = i + 1, .gs = 7};
        open_chain(&busy[i], &chain);
        send_packet(&busy[i], 0, 512, 0);
    }
    for (uint64_t i = 0; i < 2; i++) { /* in line; nobody is free */
        peer_open(&waiting[i], c->node[0].address);
        struct data_write ask = {.block = {.id = i + 3, .gs = 7}, .block_size = BLOCK_BYTES};
        struct buf out = BUF_INIT;
        struct frame frame = {.type = DATA_WRITE, .call = 1};
        assert_int_equal(frame_put(&out, &frame, &data_write_desc, &ask), 0);
        assert_int_equal(sock_send_all(waiting[i].fd, out.data, out.len, soon()), 0);
        buf_release(&out);
    }
    usleep(50000);
    struct chain chain = {.cluster = c, .count = 1, .id = 9, .gs = 7};
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    assert_int_equal(answer.code, ERR_BUSY);
    peer_close(&p);
    /* one that has waited for too long is told, too, and may ask again */
    uint8_t byte;
    assert_true(sock_recv_some(waiting[0].fd, &byte, 1, soon()) == 1);
    assert_int_equal(fault_arm(NULL, NULL), 0);
    for (int i = 0; i < 2; i++) {
        peer_close(&busy[i]);
        peer_close(&waiting[i]);
    }
    cluster_close(c);
}

static void see_suspect(struct node *n, void *arg)
{
    *(bool *)arg = n->storage->volumes->v[0]->is_suspect;
}

/* Once nobody tries it any more. */
static bool has_failed_volume(struct node *n)
{
    bool is_suspect = true;
    wait_idle(n);
    for (int i = 0; i < 500 && is_suspect; i++) {
        on_loop(n, see_suspect, &is_suspect);
        if (is_suspect)
            usleep(5000);
    }
    assert_false(is_suspect);
    return atomic_load(&n->storage->volumes->v[0]->has_failed);
}

static void a_disk_that_fails_its_probe_takes_no_more_blocks(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    static const char *const faults[] = {"disk.fsync=1:eio", "disk.fsync=1+:eio"};
    for (uint64_t i = 0; i < ARRAY_LEN(faults);
         i++) { /* one error is the block's, more the disk's */
        struct peer p;
        struct chain chain = {.cluster = c, .count = 1, .id = i + 1, .gs = 7};
        open_chain(&p, &chain);
        assert_int_equal(fault_arm(faults[i], NULL), 0);
        send_packet(&p, 0, 5000, PACKET_LAST);
        assert_int_equal(recv_ack(&p).status[0], ERR_IO);
        peer_close(&p);
        assert_int_equal(has_failed_volume(&c->node[0]), i == 1);
    }
    assert_int_equal(fault_arm(NULL, NULL), 0);
    struct peer p;
    struct data_writing answer = {0};
    struct chain chain = {.cluster = c, .count = 1, .id = 9, .gs = 7};
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    assert_int_equal(answer.code, ERR_NOSPC);
    peer_close(&p);
    cluster_close(c);
}

static void a_full_disk_is_an_answer(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct node *n = &c->node[0];
    node_close(n);
    char *dir = n->dir;
    n->dir = str_printf("%s/small", c->base);
    assert_int_equal(mkdir(n->dir, 0700), 0);
    bool is_mounted = mount("tmpfs", n->dir, "tmpfs", 0, "size=6m") == 0;
    node_open(n, NULL);
    if (is_mounted) {
        struct peer p;
        struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
        open_chain(&p, &chain);
        int fd = -1;
        char *filler = str_printf("%s/filler", n->dir);
        assert_int_equal(disk_open(disk_real(), filler, DISK_WRITE | DISK_CREATE, &fd), 0);
        static uint8_t zeros[65536];
        for (uint64_t off = 0; disk_pwrite(disk_real(), fd, zeros, sizeof(zeros), off) == 0;)
            off += sizeof(zeros);
        disk_close(disk_real(), fd);
        send_packet(&p, 0, 512 * 1024, 0);
        assert_int_equal(recv_ack(&p).status[0], ERR_NOSPC);
        peer_close(&p);
        wait_idle(n);
        mem_free(filler);
        /* and without room for a block, none is begun */
        struct data_writing answer = {0};
        chain.id = 4;
        assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
        assert_int_equal(answer.code, ERR_NOSPC);
        peer_close(&p);
    }
    node_close(n);
    if (is_mounted)
        umount(n->dir);
    mem_free(n->dir);
    n->dir = dir;
    node_open(n, NULL);
    cluster_close(c);
    if (!is_mounted)
        skip();
}

static void remove_on_loop(struct node *n, void *arg)
{
    const struct dn_replica *r = arg;
    assert_int_equal(dn_storage_remove(n->storage, r->id, r->gs), 0);
}

static void deleting_stops_the_writer_and_spares_newer_stamps(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 6000, 0);
    expect_acks(&p, 0, 0, 1);
    struct dn_replica older = {.id = 3, .gs = 6}, newer = {.id = 3, .gs = 8};
    struct dn_replica it = {.id = 3, .gs = 7};
    on_loop(&c->node[0], remove_on_loop, &older);
    on_loop(&c->node[0], remove_on_loop, &newer);
    send_packet(&p, 5632, 1000, 0);
    expect_acks(&p, 1, 1, 1);
    on_loop(&c->node[0], remove_on_loop, &it);
    expect_news(&c->node[0], DN_CHANGE_DELETED, 3);
    assert_int_equal(replica_of(&c->node[0], 3).id, 0);
    char *path = file_of(&c->node[0], DN_DIR_RBW, 3, 7, false);
    assert_int_equal(access(path, F_OK), -1);
    mem_free(path);
    peer_close(&p);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(a_block_of_any_length_comes_back_as_it_was_written),
        BOTH_WAYS(large_runs_may_go_past_the_page_cache),
        OVER_TCP(a_connection_carries_one_block_after_the_other),
        OVER_TCP(a_local_client_writes_through_shared_memory),
        OVER_TCP(memory_that_could_be_cut_away_is_refused),
        OVER_TCP(rings_of_strange_sizes_are_refused),
        OVER_TCP(memory_cannot_be_passed_over_tcp),
        BOTH_WAYS(readers_of_an_open_block_see_acknowledged_bytes_with_right_checksums),
        OVER_TCP(a_reader_never_sees_more_than_was_acknowledged),
        BOTH_WAYS(the_last_ack_comes_after_every_sync),
        BOTH_WAYS(a_failed_sync_is_never_acknowledged),
        OVER_TCP(a_copy_is_whole_or_nothing),
        OVER_TCP(a_copy_of_the_wrong_length_is_refused),
        OVER_TCP(streams_that_break_the_rules_are_closed),
        BOTH_WAYS(more_than_a_block_is_refused),
        OVER_TCP(requests_that_make_no_sense_are_answered_with_an_error),
        BOTH_WAYS(an_overloaded_node_says_so),
        BOTH_WAYS(a_disk_that_fails_its_probe_takes_no_more_blocks),
        BOTH_WAYS(a_full_disk_is_an_answer),
        BOTH_WAYS(deleting_stops_the_writer_and_spares_newer_stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
