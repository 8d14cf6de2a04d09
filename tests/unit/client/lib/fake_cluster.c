/* SPDX-License-Identifier: Apache-2.0
 * Its doors, its conversations, its life. */
#include "tests/unit/client/lib/fake_cluster.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/event/listen.h"
#include "tests/unit/client/lib/fake_conn.h"

struct fake fake;

/* --- conversations ---------------------------------------------------------------------------- */

int fake_recv(struct fake_conn *c)
{
    buf_clear(&c->in);
    uint8_t *p = buf_reserve(&c->in, FRAME_HEADER_BYTES);
    int rc = sock_recv_exact(c->fd, p, FRAME_HEADER_BYTES, FAKE_WAIT);
    if (rc != 0)
        return rc;
    size_t len = get_u32(p);
    p = buf_reserve(&c->in, len);
    c->in.len = len;
    rc = sock_recv_exact(c->fd, p + FRAME_HEADER_BYTES, len - FRAME_HEADER_BYTES, FAKE_WAIT);
    size_t used = 0;
    return rc ? rc : frame_parse(buf_slice(&c->in), FRAME_MAX_BYTES, &c->frame, &used, NULL);
}

void fake_send(struct fake_conn *c, struct buf *out)
{
    (void)sock_send_all(c->fd, out->data, out->len, FAKE_WAIT);
    buf_release(out);
}

void fake_answer(struct fake_conn *c, const struct msg_desc *desc, const void *answer)
{
    struct buf out = BUF_INIT;
    const struct frame head = {.type = c->frame.type, .flags = FRAME_ANSWER, .call = c->frame.call};
    frame_put(&out, &head, desc, answer);
    fake_send(c, &out);
}

void fake_fail(struct fake_conn *c, int code, const char *text)
{
    struct buf out = BUF_INIT;
    frame_put_error(&out, c->frame.type, c->frame.call, code, text);
    fake_send(c, &out);
}

/* --- life ------------------------------------------------------------------------------------- */

static void fake_start_thread(void (*fn)(void *arg), void *arg)
{
    assert_true(fake.thread_count < FAKE_THREADS);
    assert_int_equal(thread_start(&fake.threads[fake.thread_count++], "fake", fn, arg, NULL), 0);
}

static void fake_serve(void *arg)
{
    struct fake_conn *c = arg;
    struct buf out = BUF_INIT;
    struct identity self = fake.self;
    self.role = c->node ? WIRE_DATANODE : WIRE_NAMENODE;
    bool goes_on = fake_recv(c) == 0 && c->frame.type == FRAME_HELLO;
    mutex_lock(&fake.lock);
    if (goes_on && c->node)
        fake_be_silent(c);
    mutex_unlock(&fake.lock);
    if (goes_on) {
        hello_put(&out, &self, FRAME_ANSWER);
        fake_send(c, &out);
    }
    while (goes_on && fake_recv(c) == 0) {
        mutex_lock(&fake.lock);
        if (c->node)
            fake_be_silent(c);
        if (c->node && c->node->is_down)
            goes_on = false;
        else
            goes_on = c->node ? fake_datanode(c) : fake_namenode(c);
        mutex_unlock(&fake.lock);
        arena_reset(&c->arena);
    }
    close(c->fd);
    buf_release(&c->in);
    arena_release(&c->arena);
    mem_free(c);
}

struct fake_door {
    int listener;
    struct fake_node *node;
};

static void fake_accept(void *arg)
{
    struct fake_door *door = arg;
    for (;;) {
        struct pollfd ready = {.fd = door->listener, .events = POLLIN};
        (void)poll(&ready, 1, 50);
        int fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && !fake.is_ending)
            continue;
        if (fd < 0)
            break;
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct fake_conn *c = mem_calloc(1, sizeof(*c));
        *c = (struct fake_conn){.fd = fd, .node = door->node};
        mutex_lock(&fake.lock);
        if (door->node && door->node->is_down) {
            close(fd);
            mem_free(c);
        } else {
            fake_start_thread(fake_serve, c);
        }
        mutex_unlock(&fake.lock);
    }
    mem_free(door);
}

static int fake_open_door(const char *address, struct fake_node *node, char bound[SOCK_TEXT_MAX])
{
    struct err err = {0};
    struct fake_door *door = mem_calloc(1, sizeof(*door));
    int fd = -1;
    assert_int_equal(listen_socket(address, 0600, &fd, bound, &err), 0);
    *door = (struct fake_door){fd, node};
    fake_start_thread(fake_accept, door);
    return fd;
}

void fake_reset(void)
{
    mutex_lock(&fake.lock);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        for (size_t b = 0; b < FAKE_BLOCKS; b++)
            buf_release(&n->replicas[b].data);
        memset(n->replicas, 0, sizeof(n->replicas));
        n->is_down = n->is_mute = n->refuses = n->corrupts = n->loses = false;
        n->refuse_code = 0;
        n->refused = n->packet_ms = 0;
        n->fail_packet = n->close_packet = n->mute_packet = 0;
        n->reads = n->local_reads = n->writes = n->ring_writes = n->transfers = 0;
    }
    fake.generation++;
    memset(fake.blocks, 0, sizeof(fake.blocks));
    fake.block_count = 0;
    fake.replication = FAKE_NODES;
    fake.block_size = 1U << 20;
    fake.next_gs = 1000;
    fake.file_id = 7;
    fake.exists = fake.is_complete = fake.same_host = false;
    fake.renews = fake.bad_reports = fake.stamps = fake.flushes = fake.deletes = 0;
    fake.extras = fake.spares = fake.adds = 0;
    fake.last_bad[0] = '\0';
    mutex_unlock(&fake.lock);
}

void fake_start(void)
{
    memset(&fake, 0, sizeof(fake));
    mutex_init(&fake.lock);
    identity_init(&fake.self, WIRE_NAMENODE, "fake");
    snprintf(fake.self_node, sizeof(fake.self_node), "%s", fake.self.node);
    snprintf(fake.self_user, sizeof(fake.self_user), "%s", fake.self.user);
    snprintf(fake.self_boot, sizeof(fake.self_boot), "%s", fake.self.boot);
    fake.self.node = fake.self_node;
    fake.self.user = fake.self_user;
    fake.self.boot = fake.self_boot;
    fake.nn_listener = fake_open_door("127.0.0.1:0", NULL, fake.nn_address);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        char bound[SOCK_TEXT_MAX];
        snprintf(n->name, sizeof(n->name), "n%zu", i);
        snprintf(n->sock, sizeof(n->sock), "/tmp/quern-fake-%d-%zu.sock", (int)getpid(), i);
        n->listeners[0] = fake_open_door("127.0.0.1:0", n, n->tcp);
        n->listeners[1] = fake_open_door(n->sock, n, bound);
        n->port = (uint32_t)strtoul(strrchr(n->tcp, ':') + 1, NULL, 10);
    }
    fake_reset();
}

void fake_stop(void)
{
    fake_reset();
    fake.is_ending = true;
    for (unsigned i = 0; i < fake.thread_count; i++)
        thread_join(&fake.threads[i]);
    close(fake.nn_listener);
    for (size_t i = 0; i < FAKE_ALL; i++) {
        close(fake.nodes[i].listeners[0]);
        close(fake.nodes[i].listeners[1]);
        unlink(fake.nodes[i].sock);
    }
}

struct qn_fs *fake_connect_with(const char *node, const char *key, const char *value)
{
    char uri[SOCK_TEXT_MAX + 16];
    struct qn_error error;
    snprintf(uri, sizeof(uri), "quern://%s", fake.nn_address);
    const struct qn_option set[] = {{"node.name", node             ? node
                                                  : fake.same_host ? "n0"
                                                                   : "elsewhere"},
                                    {"dfs.client.socket-timeout", "5s"},
                                    {key, value},
                                    {NULL, NULL}};
    const struct qn_fs_options options = {.user = "tester", .options = set};
    struct qn_fs *fs = qn_fs_open(uri, &options, &error);
    if (!fs)
        fail_msg("%s", error.message);
    return fs;
}

struct qn_fs *fake_connect(const char *node)
{
    return fake_connect_with(node, NULL, NULL);
}

int fake_set_up(void **state)
{
    (void)state;
    setenv("QUERN_CONF", "/dev/null", 1);
    fake_start();
    return 0;
}

int fake_tear_down(void **state)
{
    (void)state;
    fake_stop();
    return 0;
}

int fake_fresh(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}
