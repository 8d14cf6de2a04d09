/* SPDX-License-Identifier: Apache-2.0
 * A client on the same node that means harm: what it does to the ring it passed hurts its own block
 * at most. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include <dirent.h>

#define LEN 65536U

static size_t open_descriptors(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static bool is_mapped(const char *name)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        found |= strstr(line, name) != NULL;
    (void)fclose(maps);
    return found;
}

enum harm { SCRIBBLE, PUNCH };

static void harm(struct peer *p, enum harm how)
{
    if (how == SCRIBBLE)
        memset(p->ring, 0xee, LEN);
    else
        assert_int_equal(fallocate(p->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN),
                         0);
    assert_int_equal(ftruncate(p->memfd, 0), -1); /* sealed */
}

/* A packet whose bytes are changed between being summed and being written and passed on. */
static struct packet_ack write_and_harm(struct cluster *c, struct peer *p, uint64_t id,
                                        enum harm how)
{
    struct chain chain = {.cluster = c,
                          .count = c->count,
                          .id = id,
                          .gs = 7,
                          .is_local = true,
                          .ring_bytes = 1 << 20};
    open_chain(p, &chain);
    assert_int_equal(fault_arm("dn.write.forward=1:delay300", NULL), 0);
    send_packet(p, 0, LEN, PACKET_LAST);
    usleep(150000);
    harm(p, how);
    return recv_ack(p);
}

static void expect_honest_writes(struct cluster *c, uint64_t id)
{
    write_block(c, id, 7, 100000, c->count);
    for (int i = 0; i < c->count; i++)
        expect_bytes(&c->node[i], id, 0, 100000);
}

static void bytes_changed_after_they_were_summed_are_never_read(void **state)
{
    (void)state;
    for (enum harm how = SCRIBBLE; how <= PUNCH; how++) {
        struct cluster *c = cluster_open(1, NULL);
        struct peer p, reader;
        struct reading r;
        struct data_read ask = {.block = {.id = 3}, .length = LEN};
        assert_int_equal(write_and_harm(c, &p, 3, how).status[0], 0);
        peer_close(&p);
        peer_open(&reader, c->node[0].address);
        assert_int_equal(read_range(&reader, &ask, &r, NULL), 0);
        assert_int_equal(r.failed, ERR_CHECKSUM);
        assert_int_equal(r.len, 0);
        mem_free(r.data);
        peer_close(&reader);
        expect_honest_writes(c, 4);
        cluster_close(c);
    }
}

static void they_go_no_further_than_the_first_node_and_it_blames_itself(void **state)
{
    (void)state;
    for (enum harm how = SCRIBBLE; how <= PUNCH; how++) {
        struct cluster *c = cluster_open(2, NULL);
        struct peer p;
        struct packet_ack ack = write_and_harm(c, &p, 3, how);
        assert_int_equal(ack.count, 1);
        assert_int_equal(ack.status[0], ERR_CORRUPT); /* its own, nobody else's */
        peer_close(&p);
        expect_honest_writes(c, 4);
        cluster_close(c);
    }
}

static void a_client_that_dies_leaves_neither_memory_nor_descriptors(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    expect_honest_writes(c, 100);
    wait_idle(&c->node[0]);
    size_t before = open_descriptors();
    for (uint64_t id = 1; id <= 5; id++) {
        struct peer p;
        struct chain chain = {.cluster = c, .count = 1, .id = id, .gs = 7, .is_local = true};
        open_chain(&p, &chain);
        send_packet(&p, 0, LEN, 0);
        if (id % 2)
            (void)recv_ack(&p);
        assert_true(is_mapped("memfd:ring"));
        peer_close(&p);
    }
    wait_idle(&c->node[0]);
    /* the files of an open block stay open for its readers: two for each */
    for (int i = 0; i < 500 && open_descriptors() > before + 10; i++)
        usleep(10000);
    assert_in_range(open_descriptors(), before, before + 10);
    assert_false(is_mapped("memfd:ring"));
    cluster_close(c);
}

/* Of huge pages a hole may not be filled again: whoever touches it then is killed. */
static void memory_of_huge_pages_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_writing answer = {0};
    struct chain chain = {
        .cluster = c, .count = 1, .id = 1, .gs = 7, .is_local = true, .ring_bytes = 2U << 20};
    int memfd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (memfd < 0) { /* a kernel without them */
        cluster_close(c);
        skip();
    }
    assert_int_equal(ftruncate(memfd, 2 << 20), 0);
    assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    uint8_t byte = 'M';
    assert_int_equal(sock_send_fds(p.fd, slice_of(&byte, 1), &memfd, 1, soon()), 0);
    assert_int_equal(sock_recv_some(p.fd, &byte, 1, soon()), ERR_EOF);
    peer_close(&p);
    close(memfd);
    expect_honest_writes(c, 4);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_changed_after_they_were_summed_are_never_read),
        cmocka_unit_test(they_go_no_further_than_the_first_node_and_it_blames_itself),
        cmocka_unit_test(a_client_that_dies_leaves_neither_memory_nor_descriptors),
        cmocka_unit_test(memory_of_huge_pages_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
