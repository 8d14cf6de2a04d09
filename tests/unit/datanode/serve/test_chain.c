/* SPDX-License-Identifier: Apache-2.0
 * Several nodes in a row: damage on the way, members that die or fall silent, pipelines taken up
 * again. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include <poll.h>
#include <sys/stat.h>

static void three_nodes_hold_what_one_client_wrote(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(3, NULL);
    write_block(c, 5, 7, 2000001, 3);
    for (int i = 0; i < 3; i++) {
        expect_state(&c->node[i], 5, DN_REPLICA_FINALIZED, 7, 2000001);
        expect_bytes(&c->node[i], 5, 0, 2000001);
    }
    cluster_close(c);
}

/* ---- damage on the way ---- */

static void a_packet_damaged_on_its_way_goes_no_further(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 2, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5120, 0);
    expect_acks(&p, 0, 0, 2);
    struct parcel bad = make_parcel(&p, 5120, 5120, 0);
    bad.data[4000] ^= 1;
    assert_int_equal(send_parcel(&p, &bad), 0);
    struct packet_ack ack = recv_ack(&p);
    assert_int_equal(ack.count, 1); /* found by the first node: between the client and it */
    assert_int_equal(ack.status[0], ERR_CHECKSUM);
    peer_close(&p);
    expect_bytes(&c->node[0], 3, 0, 5120);
    expect_bytes(&c->node[1], 3, 0, 5120);
    cluster_close(c);
}

/* A node whose own memory is bad once got its healthy neighbours thrown out, one by one. */
static void a_sender_with_bad_memory_is_blamed_not_its_receiver(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(3, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 3, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    assert_int_equal(fault_arm("dn.write.forward=1:corrupt", NULL), 0);
    send_packet(&p, 0, 5120, 0);
    struct packet_ack ack = recv_ack(&p);
    assert_int_equal(ack.count, 1);
    assert_int_equal(ack.status[0], ERR_CORRUPT); /* his own, and he knows */
    peer_close(&p);
    cluster_close(c);
}

static void damage_between_two_nodes_is_seen_by_the_second(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(3, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 3, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    assert_int_equal(fault_arm("dn.write.packet=2:corrupt", NULL), 0);
    send_packet(&p, 0, 5120, 0);
    struct packet_ack ack = recv_ack(&p);
    assert_int_equal(ack.count, 2);
    assert_int_equal(ack.status[0], 0);
    assert_int_equal(ack.status[1], ERR_CHECKSUM);
    peer_close(&p);
    cluster_close(c);
}

static void repeated_bytes_of_a_chunk_must_be_the_same_bytes(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 700, PACKET_FLUSH);
    expect_acks(&p, 0, 0, 1);
    struct parcel other = make_parcel(&p, 512, 1000, 0);
    other.data[10] ^= 1; /* with a checksum to match */
    chunksum_compute(slice_of(other.data, other.data_len), 512, other.sums);
    if (p.ring)
        p.ring[512 + 10] ^= 1;
    assert_int_equal(send_parcel(&p, &other), 0);
    assert_int_equal(recv_ack(&p).status[0], ERR_CHECKSUM);
    expect_bytes(&c->node[0], 3, 0, 700);
    peer_close(&p);
    cluster_close(c);
}

/* ---- nodes and clients that go ---- */

static void a_node_that_cannot_be_reached_is_named_before_anything_is_begun(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(3, NULL);
    struct peer p;
    struct data_writing answer = {0};
    node_close(&c->node[2]);
    c->node[2].serve = c->node[1].serve; /* for msg_node_of; then a port where nobody is */
    struct msg_node targets[2] = {msg_node_of(&c->node[1]), msg_node_of(&c->node[2])};
    targets[1].data_port = 1;
    struct data_write ask = {
        .block = {.id = 3, .gs = 7}, .targets = {targets, 2}, .block_size = BLOCK_BYTES};
    peer_open(&p, c->node[0].address);
    assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &ask, &answer, NULL), 0);
    assert_true(slice_is(answer.node, "dn1"));
    assert_true(slice_is(answer.bad_node, "dn3"));
    assert_int_equal(answer.code, ERR_REFUSED);
    wait_idle(&c->node[0]);
    wait_idle(&c->node[1]);
    assert_int_equal(replica_of(&c->node[0], 3).id, 0);
    assert_int_equal(replica_of(&c->node[1], 3).id, 0);
    assert_false(has_news(&c->node[0], DN_CHANGE_RECEIVING, 3));
    /* the connection is still good for another try */
    ask.targets.n = 1;
    assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &ask, &answer, NULL), 0);
    assert_int_equal(answer.bad_node.len, 0);
    p.block = 3;
    stream(&p, 0, 10000, 2);
    peer_close(&p);
    node_open(&c->node[2], NULL);
    cluster_close(c);
}

static void a_member_killed_mid_write_is_named_and_the_others_go_on(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(3, NULL);
    struct peer p, again;
    struct chain chain = {.cluster = c, .count = 3, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5120, 0);
    send_packet(&p, 5120, 700, PACKET_FLUSH);
    expect_acks(&p, 0, 1, 3);
    node_close(&c->node[2]);
    send_packet(&p, 5632, 5120, 0);
    struct packet_ack ack = recv_ack(&p);
    assert_int_equal(ack.count, 3);
    assert_int_equal(ack.status[1], 0);
    assert_int_equal(ack.status[2], ERR_CLOSED);
    peer_close(&p);
    /* survivors are cut to what was acknowledged, under a new stamp, and the write goes on */
    struct chain rest = {.cluster = c,
                         .count = 2,
                         .id = 3,
                         .gs = 7,
                         .new_gs = 8,
                         .len = 5820,
                         .stage = DATA_WRITE_RECOVER};
    open_chain(&again, &rest);
    expect_bytes(&c->node[1], 3, 0, 5820);
    stream(&again, 5820, 50001, 2);
    peer_close(&again);
    for (int i = 0; i < 2; i++) {
        expect_state(&c->node[i], 3, DN_REPLICA_FINALIZED, 8, 50001);
        expect_bytes(&c->node[i], 3, 0, 50001);
    }
    /* the one that died comes back with its old stamp, and no longer than it can prove */
    node_open(&c->node[2], NULL);
    expect_state(&c->node[2], 3, DN_REPLICA_RWR, 7, 5820);
    cluster_close(c);
}

static void a_client_that_vanishes_leaves_the_block_as_it_is(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 2, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5120, 0);
    expect_acks(&p, 0, 0, 2);
    peer_close(&p);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 5120);
    expect_state(&c->node[1], 3, DN_REPLICA_RBW, 7, 5120);
    expect_bytes(&c->node[0], 3, 0, 5120); /* and it can still be read */
    cluster_close(c);
}

static void a_client_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    struct node_options options = {.timeout_ms = 300};
    struct cluster *c = cluster_open(1, &options);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    for (int i = 0; i < 6; i++) { /* beats keep it alive for twice the time */
        send_packet(&p, 0, 0, PACKET_BEAT);
        expect_acks(&p, p.seq - 1, p.seq - 1, 1);
        usleep(100000);
    }
    struct parcel slow = make_parcel(&p, 0, 512, 0);
    assert_int_equal(sock_send_all(p.fd, slow.header, 10, soon()), 0);
    uint8_t byte;
    assert_int_equal(sock_recv_some(p.fd, &byte, 1, soon()), ERR_EOF);
    wait_idle(&c->node[0]);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 0);
    mem_free(slow.sums);
    mem_free(slow.data);
    peer_close(&p);
    cluster_close(c);
}

/* Says hello, agrees to be part of a chain, and never acknowledges a byte. */
struct mute {
    struct thread thread;
    int listen_fd;
    char address[SOCK_TEXT_MAX];
    uint16_t port;
};

static void answer_frame(int fd, struct buf *answer)
{
    uint8_t bytes[FRAME_MAX_BYTES >> 8];
    struct frame frame;
    size_t have = 0, used = 0;
    while (frame_parse(slice_of(bytes, have), FRAME_MAX_BYTES, &frame, &used, NULL) == ERR_RETRY) {
        ssize_t n = sock_recv_some(fd, bytes + have, used - have, soon());
        if (n <= 0)
            return;
        have += (size_t)n;
    }
    if (frame.type != FRAME_HELLO) { /* answers repeat the number of the call */
        struct data_writing yes = {.node = slice_str("mute")};
        struct frame out = {.type = frame.type, .flags = FRAME_ANSWER, .call = frame.call};
        (void)frame_put(answer, &out, &data_writing_desc, &yes);
    }
    (void)sock_send_all(fd, answer->data, answer->len, soon());
    buf_release(answer);
}

static void run_mute(void *arg)
{
    struct mute *m = arg;
    struct identity self = {.role = WIRE_DATANODE, .cluster = "c1", .node = "mute"};
    struct buf out = BUF_INIT;
    struct pollfd poll_fd = {.fd = m->listen_fd, .events = POLLIN};
    (void)poll(&poll_fd, 1, 10000);
    int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    (void)hello_put(&out, &self, FRAME_ANSWER);
    answer_frame(fd, &out);
    answer_frame(fd, &out);
    uint8_t sink[4096];
    while (sock_recv_some(fd, sink, sizeof(sink), soon()) > 0)
        ;
    close(fd);
}

static void a_client_that_never_reads_its_acks_is_given_up(void **state)
{
    (void)state;
    struct node_options options = {.timeout_ms = 300};
    struct cluster *c = cluster_open(1, &options);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    int small = 4096, rc = 0;
    assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    /* Acks of a few bytes fill buffers that the kernel lets grow to megabytes. */
    for (uint64_t until = clock_mono_ms() + 60000; rc == 0 && clock_mono_ms() < until;) {
        struct parcel beat = make_parcel(&p, 0, 0, PACKET_BEAT);
        struct iovec iov = {beat.header, sizeof(beat.header)};
        rc = sock_writev_all(p.fd, &iov, 1, soon());
        mem_free(beat.sums);
        mem_free(beat.data);
    }
    assert_int_not_equal(rc, 0);
    /* Given up, not kept for ever. It may not even hear of that: what finds no room in its small
     * buffer is dropped by the kernel, news of the end included. */
    wait_idle(&c->node[0]);
    peer_close(&p);
    cluster_close(c);
}

static void a_silent_node_is_named_by_the_one_before_it(void **state)
{
    (void)state;
    struct node_options options = {.timeout_ms = 400};
    struct cluster *c = cluster_open(2, &options);
    struct mute mute = {.listen_fd = -1};
    struct peer p;
    struct data_writing answer = {0};
    assert_int_equal(listen_socket("127.0.0.1:0", 0, &mute.listen_fd, mute.address, NULL), 0);
    mute.port = (uint16_t)strtoul(strrchr(mute.address, ':') + 1, NULL, 10);
    assert_int_equal(thread_start(&mute.thread, "mute", run_mute, &mute, NULL), 0);
    struct msg_node targets[2] = {msg_node_of(&c->node[1]), msg_node_of(&c->node[1])};
    targets[1].name = slice_str("mute"), targets[1].data_port = mute.port;
    struct data_write ask = {
        .block = {.id = 3, .gs = 7}, .targets = {targets, 2}, .block_size = BLOCK_BYTES};
    peer_open(&p, c->node[0].address);
    assert_int_equal(peer_ask(&p, DATA_AT_WRITE, &ask, &answer, NULL), 0);
    assert_int_equal(answer.bad_node.len, 0);
    p.block = 3;
    send_packet(&p, 0, 512, 0);
    struct packet_ack ack = recv_ack(&p);
    assert_int_equal(ack.count, 3); /* dn1 waits longer than dn2, so dn2 is not blamed */
    assert_int_equal(ack.status[1], 0);
    assert_int_equal(ack.status[2], ERR_TIMEOUT);
    peer_close(&p);
    thread_join(&mute.thread);
    close(mute.listen_fd);
    cluster_close(c);
}

/* ---- taking up again ---- */

static void break_off(struct cluster *c, uint64_t id, uint64_t len)
{
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = id, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, (size_t)len, 0);
    expect_acks(&p, 0, 0, 1);
    peer_close(&p);
    expect_state(&c->node[0], id, DN_REPLICA_RBW, 7, len);
}

static int try_recover(struct cluster *c, uint64_t id, uint64_t gs, uint64_t new_gs, uint64_t len)
{
    struct peer p;
    struct data_writing answer = {0};
    struct err err = {0};
    struct chain chain = {.cluster = c,
                          .count = 1,
                          .id = id,
                          .gs = gs,
                          .new_gs = new_gs,
                          .len = len,
                          .stage = DATA_WRITE_RECOVER};
    int rc = ask_chain(&p, &chain, &answer, &err);
    peer_close(&p);
    return rc ? rc : (int)answer.code;
}

static void a_pipeline_goes_on_only_from_what_this_node_can_prove(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    break_off(c, 3, 6000);
    assert_int_equal(try_recover(c, 4, 7, 8, 6000), ERR_NOENT);
    assert_int_equal(try_recover(c, 3, 8, 9, 6000), ERR_STALE); /* we missed a pipeline */
    assert_int_equal(try_recover(c, 3, 6, 7, 6000), ERR_STALE);
    assert_int_equal(try_recover(c, 3, 7, 8, 6001), ERR_EOF);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 6000);
    char *path = file_of(&c->node[0], DN_DIR_RBW, 3, 7, false);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\xfe", 2, 3000), 2);
    close(fd);
    mem_free(path);
    assert_int_equal(try_recover(c, 3, 7, 8, 6000), ERR_CHECKSUM);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 6000);
    cluster_close(c);
}

static void a_recovering_client_stops_the_writer_there_is(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer old, now;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&old, &chain);
    send_packet(&old, 0, 6000, 0);
    expect_acks(&old, 0, 0, 1);
    chain.stage = DATA_WRITE_RECOVER, chain.new_gs = 8, chain.len = 5000;
    open_chain(&now, &chain);
    uint8_t byte;
    assert_true(sock_recv_some(old.fd, &byte, 1, soon()) < 0);
    stream(&now, 5000, 9000, 1);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 8, 9000);
    expect_bytes(&c->node[0], 3, 0, 9000);
    peer_close(&old);
    peer_close(&now);
    cluster_close(c);
}

static void a_new_stamp_survives_a_restart(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    break_off(c, 3, 6000);
    struct chain chain = {.cluster = c,
                          .count = 1,
                          .id = 3,
                          .gs = 7,
                          .new_gs = 8,
                          .len = 5432,
                          .stage = DATA_WRITE_RECOVER};
    open_chain(&p, &chain);
    node_close(&c->node[0]);
    peer_close(&p);
    node_open(&c->node[0], NULL);
    expect_state(&c->node[0], 3, DN_REPLICA_RWR, 8, 5432);
    assert_int_equal(try_recover(c, 3, 8, 9, 5432), ERR_INVAL); /* only a block recovery may */
    cluster_close(c);
}

/* Closed here, but not everywhere: its writer comes again. Finalized bytes stay as they are for
 * those who read them. */
static void a_block_whose_close_failed_elsewhere_is_written_on_in_a_copy(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    write_block(c, 3, 7, 6000, 1);
    char *path = file_of(&c->node[0], DN_DIR_FINALIZED, 3, 7, false);
    int held = open(path, O_RDONLY | O_CLOEXEC);
    struct chain chain = {.cluster = c,
                          .count = 1,
                          .id = 3,
                          .gs = 7,
                          .new_gs = 8,
                          .len = 5000,
                          .stage = DATA_WRITE_RECOVER};
    open_chain(&p, &chain);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 8, 5000);
    assert_int_equal(access(path, F_OK), -1);
    stream(&p, 5000, 7000, 1);
    peer_close(&p);
    uint8_t bytes[6000];
    assert_int_equal(pread(held, bytes, sizeof(bytes), 0), 6000);
    for (uint64_t i = 0; i < 6000; i++)
        assert_int_equal(bytes[i], pattern(3, i));
    close(held);
    mem_free(path);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 8, 7000);
    expect_bytes(&c->node[0], 3, 0, 7000);
    cluster_close(c);
}

static void a_block_that_is_here_is_not_created_again(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_writing answer = {0};
    write_block(c, 3, 7, 6000, 1);
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 8};
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    assert_true(slice_is(answer.bad_node, "dn1"));
    assert_int_equal(answer.code, ERR_EXIST);
    peer_close(&p);
    expect_bytes(&c->node[0], 3, 0, 6000);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(three_nodes_hold_what_one_client_wrote),
        OVER_TCP(a_packet_damaged_on_its_way_goes_no_further),
        OVER_TCP(a_sender_with_bad_memory_is_blamed_not_its_receiver),
        BOTH_WAYS(damage_between_two_nodes_is_seen_by_the_second),
        BOTH_WAYS(repeated_bytes_of_a_chunk_must_be_the_same_bytes),
        BOTH_WAYS(a_node_that_cannot_be_reached_is_named_before_anything_is_begun),
        BOTH_WAYS(a_member_killed_mid_write_is_named_and_the_others_go_on),
        BOTH_WAYS(a_client_that_vanishes_leaves_the_block_as_it_is),
        BOTH_WAYS(a_client_that_says_nothing_is_given_up),
        BOTH_WAYS(a_client_that_never_reads_its_acks_is_given_up),
        BOTH_WAYS(a_silent_node_is_named_by_the_one_before_it),
        BOTH_WAYS(a_pipeline_goes_on_only_from_what_this_node_can_prove),
        BOTH_WAYS(a_recovering_client_stops_the_writer_there_is),
        BOTH_WAYS(a_new_stamp_survives_a_restart),
        BOTH_WAYS(a_block_whose_close_failed_elsewhere_is_written_on_in_a_copy),
        BOTH_WAYS(a_block_that_is_here_is_not_created_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
