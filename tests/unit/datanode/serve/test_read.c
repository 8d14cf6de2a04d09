/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include "libcommon/codec/digest.h"

static void any_range_comes_in_whole_chunks_around_it(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 200001, 1);
    static const uint64_t ranges[][2] = {
        {0, 0},         {0, 1},        {0, 200001}, {511, 2},    {512, 512},   {65535, 2},
        {65536, 65536}, {199999, 100}, {200000, 1}, {200001, 0}, {200001, 50}, {100, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        struct peer p;
        struct reading r;
        struct data_read ask = {.block = {.id = 3}, .offset = ranges[i][0], .length = ranges[i][1]};
        peer_open(&p, c->node[0].address);
        assert_int_equal(read_range(&p, &ask, &r, NULL), 0);
        assert_int_equal(r.failed, 0);
        uint64_t end = ranges[i][0] + ranges[i][1];
        if (end > 200001 || end < ranges[i][0])
            end = 200001;
        assert_int_equal(r.answer.start, ranges[i][0] - ranges[i][0] % 512);
        assert_true(r.answer.start + r.len >= end);
        assert_true(r.answer.start + r.len < end + 512);
        assert_int_equal(r.answer.visible_len, 200001);
        assert_int_equal(r.answer.gs, 7);
        for (uint64_t b = 0; b < r.len; b++)
            assert_int_equal(r.data[b], pattern(3, r.answer.start + b));
        mem_free(r.data);
        peer_close(&p);
    }
    cluster_close(c);
}

static void a_connection_serves_one_reading_after_the_other(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    write_block(c, 3, 7, 100000, 1);
    peer_open(&p, c->node[0].address);
    for (uint64_t i = 0; i < 50; i++) {
        struct reading r;
        struct err err = {0};
        struct data_read ask = {.block = {.id = i % 5 ? 3 : 4}, .offset = i * 1000, .length = 1000};
        int rc = read_range(&p, &ask, &r, &err);
        assert_int_equal(rc, i % 5 ? 0 : ERR_NOENT);
        assert_int_equal(r.failed, 0);
        mem_free(r.data);
    }
    peer_close(&p);
    cluster_close(c);
}

static int ask_range(struct cluster *c, const struct data_read *ask, struct err *err)
{
    struct peer p;
    struct reading r;
    peer_open(&p, c->node[0].address);
    int rc = read_range(&p, ask, &r, err);
    mem_free(r.data);
    peer_close(&p);
    return rc;
}

static void what_cannot_be_read_is_an_error_answer(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct err err = {0};
    write_block(c, 3, 7, 1000, 1);
    struct data_read none = {.block = {.id = 4}, .length = 1};
    assert_int_equal(ask_range(c, &none, &err), ERR_NOENT);
    assert_string_equal(err.msg, "blk_4 is not on dn1");
    struct data_read newer = {.block = {.id = 3, .gs = 8}, .length = 1};
    assert_int_equal(ask_range(c, &newer, &err), ERR_STALE);
    assert_string_equal(err.msg, "blk_3 on dn1 has stamp 7, not 8");
    struct data_read beyond = {.block = {.id = 3}, .offset = 1001, .length = 1};
    assert_int_equal(ask_range(c, &beyond, &err), ERR_EOF);
    struct data_read older = {.block = {.id = 3, .gs = 6}, .length = 1};
    assert_int_equal(ask_range(c, &older, &err), 0);
    cluster_close(c);
}

/* ---- damage ---- */

static void expect_damage(struct cluster *c, uint64_t id, int code, uint64_t good_bytes)
{
    struct peer p;
    struct reading r;
    struct data_read ask = {.block = {.id = id}, .length = UINT64_MAX};
    peer_open(&p, c->node[0].address);
    int rc = read_range(&p, &ask, &r, NULL);
    assert_int_equal(rc ? rc : r.failed, code);
    assert_int_equal(r.len, good_bytes);
    for (uint64_t i = 0; i < r.len; i++)
        assert_int_equal(r.data[i], pattern(id, i));
    mem_free(r.data);
    peer_close(&p);
    expect_news(&c->node[0], DN_CHANGE_BAD, id);
}

static void damaged_bytes_are_never_sent_and_are_reported(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 200001, 1);
    flip_byte(&c->node[0], 3, 7, false, 100000);
    expect_damage(c, 3, ERR_CHECKSUM, 65536);
    write_block(c, 4, 7, 200001, 1);
    flip_byte(&c->node[0], 4, 7, true, DN_SUM_OFF + 4);
    expect_damage(c, 4, ERR_CHECKSUM, 0);
    write_block(c, 5, 7, 200001, 1);
    flip_byte(&c->node[0], 5, 7, true, 20);
    expect_damage(c, 5, ERR_CORRUPT, 0);
    /* told once, however often it is read */
    expect_damage(c, 3, ERR_CHECKSUM, 65536);
    unsigned told = 0;
    for (size_t i = 0; i < c->node[0].news_count; i++)
        told += c->node[0].news[i].change == DN_CHANGE_BAD && c->node[0].news[i].id == 3;
    assert_int_equal(told, 1);
    cluster_close(c);
}

static void a_truncated_or_missing_file_is_damage(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct node *n = &c->node[0];
    for (uint64_t id = 3; id <= 6; id++)
        write_block(c, id, 7, 200001, 1);
    char *path = file_of(n, DN_DIR_FINALIZED, 3, 7, false);
    assert_int_equal(truncate(path, 150000), 0);
    mem_free(path);
    expect_damage(c, 3, ERR_CORRUPT, 131072);
    path = file_of(n, DN_DIR_FINALIZED, 4, 7, true);
    assert_int_equal(truncate(path, DN_SUM_OFF + 600), 0);
    mem_free(path);
    expect_damage(c, 4, ERR_CORRUPT, 65536);
    path = file_of(n, DN_DIR_FINALIZED, 5, 7, false);
    assert_int_equal(unlink(path), 0);
    mem_free(path);
    expect_damage(c, 5, ERR_NOENT, 0);
    path = file_of(n, DN_DIR_FINALIZED, 6, 7, true);
    assert_int_equal(truncate(path, 0), 0);
    mem_free(path);
    expect_damage(c, 6, ERR_CORRUPT, 0);
    cluster_close(c);
}

static void swapped_files_are_seen(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct node *n = &c->node[0];
    for (uint64_t id = 3; id <= 6; id++)
        write_block(c, id, 7, 100000, 1);
    for (uint64_t id = 3; id <= 5; id += 2) {
        for (int sums = 0; sums < 2; sums++) {
            char *a = file_of(n, DN_DIR_FINALIZED, id, 7, sums);
            char *b = file_of(n, DN_DIR_FINALIZED, id + 1, 7, sums);
            if (id == 5 && sums == 0) /* only the checksums of 5 and 6 */
                assert_non_null(a);
            else
                assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
            mem_free(a);
            mem_free(b);
        }
    }
    for (uint64_t id = 3; id <= 6; id++)
        expect_damage(c, id, ERR_STALE, 0);
    cluster_close(c);
}

static void a_disk_that_fails_is_an_error_to_the_reader(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 200001, 1);
    assert_int_equal(fault_arm("disk.read=4:eio", NULL), 0);
    struct peer p;
    struct reading r;
    struct data_read ask = {.block = {.id = 3}, .length = UINT64_MAX};
    peer_open(&p, c->node[0].address);
    assert_int_equal(read_range(&p, &ask, &r, NULL), 0);
    assert_int_equal(r.failed, ERR_IO);
    mem_free(r.data);
    peer_close(&p);
    cluster_close(c);
}

/* The wire may lie, too: the reader has the checksums to see it. */
static void damage_behind_our_check_is_for_the_reader_to_see(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 200001, 1);
    assert_int_equal(fault_arm("dn.read.packet=2:corrupt", NULL), 0);
    struct peer p;
    struct reading r;
    struct data_read ask = {.block = {.id = 3}, .length = UINT64_MAX};
    peer_open(&p, c->node[0].address);
    assert_int_equal(read_range(&p, &ask, &r, NULL), 0);
    assert_int_equal(r.failed, ERR_CHECKSUM);
    assert_int_equal(r.len, 65536);
    mem_free(r.data);
    peer_close(&p);
    wait_idle(&c->node[0]); /* the first reading's packets do not count */
    assert_int_equal(fault_arm("dn.read.packet=2:drop", NULL), 0);
    peer_open(&p, c->node[0].address);
    assert_int_equal(read_range(&p, &ask, &r, NULL), 0);
    assert_true(r.failed == ERR_EOF || r.failed == ERR_CLOSED);
    mem_free(r.data);
    peer_close(&p);
    wait_idle(&c->node[0]);
    assert_false(has_news(&c->node[0], DN_CHANGE_BAD, 3));
    cluster_close(c);
}

static void a_reader_that_goes_away_takes_nothing_with_it(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 3000000, 1);
    for (int i = 0; i < 5; i++) {
        struct peer p;
        struct data_reading answer = {0};
        struct data_read ask = {.block = {.id = 3}, .length = UINT64_MAX};
        peer_open(&p, c->node[0].address);
        assert_int_equal(peer_ask(&p, DATA_AT_READ, &ask, &answer, NULL), 0);
        peer_close(&p);
    }
    wait_idle(&c->node[0]);
    assert_false(has_news(&c->node[0], DN_CHANGE_BAD, 3));
    expect_bytes(&c->node[0], 3, 0, 3000000);
    cluster_close(c);
}

/* ---- descriptors ---- */

static int local_read(struct peer *p, uint64_t id, struct data_local_reading *answer, int fds[2],
                      struct err *err)
{
    struct data_local_read ask = {.block = {.id = id}};
    struct sock_fds got = {.count = 0};
    uint8_t byte;
    int rc = peer_ask(p, DATA_AT_LOCAL_READ, &ask, answer, err);
    if (rc != 0)
        return rc;
    assert_int_equal(sock_recv_fds(p->fd, &byte, 1, &got, soon()), 0);
    assert_int_equal(got.count, 2);
    fds[0] = got.fd[0], fds[1] = got.fd[1];
    return 0;
}

static void a_local_reader_gets_descriptors_it_can_only_read(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    write_block(c, 3, 7, 5001, 1);
    write_block(c, 4, 7, 0, 1);
    peer_open(&p, c->node[0].unix_path);
    for (uint64_t id = 3; id <= 4; id++) { /* on one connection */
        struct data_local_reading answer = {0};
        int fds[2];
        assert_int_equal(local_read(&p, id, &answer, fds, NULL), 0);
        assert_int_equal(answer.block.len, id == 3 ? 5001 : 0);
        assert_int_equal(answer.block.gs, 7);
        uint8_t data[6000], sums[48];
        ssize_t n = pread(fds[0], data, sizeof(data), 0);
        assert_int_equal(n, answer.block.len);
        assert_int_equal(pread(fds[1], sums, sizeof(sums), answer.sums_off), (n + 511) / 512 * 4);
        if (n > 0)
            assert_int_equal(chunksum_verify(slice_of(data, (size_t)n), 512,
                                             slice_of(sums, (size_t)(n + 511) / 512 * 4)),
                             CHUNKSUM_GOOD);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pwrite(fds[i], "x", 1, 0), -1);
            assert_int_equal(ftruncate(fds[i], 0), -1);
            close(fds[i]);
        }
    }
    peer_close(&p);
    cluster_close(c);
}

static void descriptors_are_of_finalized_blocks_and_over_the_unix_socket_only(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p, writer;
    struct data_local_reading answer = {0};
    int fds[2];
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&writer, &chain);
    send_packet(&writer, 0, 1000, PACKET_FLUSH);
    expect_acks(&writer, 0, 0, 1);
    peer_open(&p, c->node[0].unix_path);
    assert_int_equal(local_read(&p, 3, &answer, fds, NULL), ERR_RETRY);
    assert_int_equal(local_read(&p, 4, &answer, fds, NULL), ERR_NOENT);
    peer_close(&p);
    peer_open(&p, c->node[0].address);
    assert_int_equal(local_read(&p, 3, &answer, fds, NULL), ERR_INVAL);
    peer_close(&p);
    peer_close(&writer);
    cluster_close(c);
}

/* ---- questions ---- */

static void a_replicas_state_and_length_can_be_asked(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p, writer;
    struct data_replica answer = {0};
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&writer, &chain);
    send_packet(&writer, 0, 1000, PACKET_FLUSH);
    expect_acks(&writer, 0, 0, 1);
    write_block(c, 4, 8, 2000, 1);
    peer_open(&p, c->node[0].address);
    struct msg_block ask = {.id = 3};
    assert_int_equal(peer_ask(&p, DATA_AT_REPLICA, &ask, &answer, NULL), 0);
    assert_int_equal(answer.state, DN2NN_RBW);
    assert_int_equal(answer.visible_len, 1000);
    ask.id = 4;
    assert_int_equal(peer_ask(&p, DATA_AT_REPLICA, &ask, &answer, NULL), 0);
    assert_int_equal(answer.state, DN2NN_FINALIZED);
    assert_int_equal(answer.visible_len, 2000);
    assert_int_equal(answer.block.gs, 8);
    ask.id = 5;
    assert_int_equal(peer_ask(&p, DATA_AT_REPLICA, &ask, &answer, NULL), ERR_NOENT);
    peer_close(&p);
    peer_close(&writer);
    cluster_close(c);
}

/* As HDFS defines it: MD5 over the big-endian CRC32Cs of the chunks. */
static void a_blocks_checksum_is_what_hadoop_would_say(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_checksum answer = {0};
    uint8_t data[1300], sums[12], md5[16];
    write_block(c, 3, 7, sizeof(data), 1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = pattern(3, i);
    chunksum_compute(slice_of(data, sizeof(data)), 512, sums);
    for (size_t i = 0; i < sizeof(sums); i += 4)
        put_u32(sums + i, __builtin_bswap32(get_u32(sums + i)));
    assert_int_equal(digest_of(DIGEST_MD5, slice_of(sums, sizeof(sums)), md5), 0);
    peer_open(&p, c->node[0].address);
    struct msg_block ask = {.id = 3, .gs = 7};
    assert_int_equal(peer_ask(&p, DATA_AT_CHECKSUM, &ask, &answer, NULL), 0);
    assert_int_equal(answer.len, sizeof(data));
    assert_int_equal(answer.md5.len, sizeof(md5));
    assert_memory_equal(answer.md5.data, md5, sizeof(md5));
    ask.id = 4;
    assert_int_equal(peer_ask(&p, DATA_AT_CHECKSUM, &ask, &answer, NULL), ERR_NOENT);
    peer_close(&p);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_range_comes_in_whole_chunks_around_it),
        cmocka_unit_test(a_connection_serves_one_reading_after_the_other),
        cmocka_unit_test(what_cannot_be_read_is_an_error_answer),
        cmocka_unit_test(damaged_bytes_are_never_sent_and_are_reported),
        cmocka_unit_test(a_truncated_or_missing_file_is_damage),
        cmocka_unit_test(swapped_files_are_seen),
        cmocka_unit_test(a_disk_that_fails_is_an_error_to_the_reader),
        cmocka_unit_test(damage_behind_our_check_is_for_the_reader_to_see),
        cmocka_unit_test(a_reader_that_goes_away_takes_nothing_with_it),
        cmocka_unit_test(a_local_reader_gets_descriptors_it_can_only_read),
        cmocka_unit_test(descriptors_are_of_finalized_blocks_and_over_the_unix_socket_only),
        cmocka_unit_test(a_replicas_state_and_length_can_be_asked),
        cmocka_unit_test(a_blocks_checksum_is_what_hadoop_would_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
