/* SPDX-License-Identifier: Apache-2.0
 * Who waits, reads: of the threads waiting for answers one at a time reads from the socket
 * (`has_reader`), hands each answer to the waiter it belongs to, and leaves the reading to another
 * when his own has come. So no thread of our own is needed, and a lone caller pays two receives and
 * no switch.
 *
 * Receives are exact, header then body: what follows an answer stays in the socket, so that
 * descriptors passed behind it are not lost.
 *
 * `lock` guards everything but the socket itself; `sending` keeps frames whole. A broken connection
 * is shut down at once, which wakes whoever is in it, and closed when nobody is (busy == 0). */
#include "libcommon/wire/chan.h"

#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/sock.h"
#include "libcommon/event/thread.h"

#define TIMEOUT_DEFAULT_MS 60000
#define CONNECT_DEFAULT_MS 10000
#define RETRY_MIN_MS       20
#define RETRY_MAX_MS       2000

struct chan {
    char *address;
    const struct identity *self;
    uint32_t roles;
    uint32_t connect_ms;
    atomic_int *shown; /* or NULL */

    struct mutex lock, sending;
    struct cond changed;
    int fd; /* -1 = none */
    bool is_broken;
    bool is_connecting;
    bool is_lent;
    bool has_reader;
    unsigned busy;     /* threads that use fd without the lock */
    unsigned callers;  /* threads inside chan_call */
    struct buf in;     /* the frame being read */
    struct list waits; /* struct wait of threads that have asked */
    uint64_t next_call;
    struct rand rand;

    char node[HELLO_TEXT_MAX + 1], cluster[HELLO_TEXT_MAX + 1], boot[HELLO_TEXT_MAX + 1];
    uint64_t netns;
};

/* One call, on its caller's stack. */
struct wait {
    struct list link;
    const struct msg_method *method;
    const void *ask;
    uint64_t deadline_ms;
    uint32_t timeout_ms;
    uint64_t call;
    struct cond turn; /* his answer is here, or it is his turn to read */
    bool was_sent;
    bool is_over; /* answered, or the connection broke under it */
    int code;
    struct buf frame; /* the answer */
};

/* ---- reading frames ---- */

/* Go on with the frame in `in` until it is whole. ERR_TIMEOUT leaves what has come for the next
 * try. */
static int read_frame(int fd, struct buf *in, size_t max_bytes, uint64_t deadline_ms,
                      struct err *err)
{
    struct frame frame;
    size_t need;
    int rc;
    while ((rc = frame_parse(buf_slice(in), max_bytes, &frame, &need, err)) == ERR_RETRY) {
        uint8_t *at = buf_reserve(in, need - in->len);
        if (!at)
            return err_set(err, ERR_NOMEM, "out of memory for an answer of %zu bytes", need);
        ssize_t n = sock_recv_some(fd, at, need - in->len, deadline_ms);
        if (n < 0)
            return err_set(err, (int)n, "%s", err_text((int)n));
        in->len += (size_t)n;
    }
    return rc;
}

static struct frame whole_frame(const struct buf *in)
{
    struct frame frame = {0};
    size_t used;
    if (frame_parse(buf_slice(in), FRAME_MAX_BYTES, &frame, &used, NULL) != 0)
        BUG("a frame that was whole no longer is");
    return frame;
}

/* ---- connecting ---- */

static void copy_text(char *to, struct slice text)
{
    snprintf(to, HELLO_TEXT_MAX + 1, SLICE_FMT, SLICE_ARG(text));
}

static int take_hello(struct chan *chan, const struct buf *in, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct hello hello;
    struct frame frame = whole_frame(in);
    struct hello_want want = {chan->self, chan->roles, chan->address};
    int rc = hello_check(&frame, &want, &arena, &hello, err);
    if (rc == 0) {
        mutex_lock(&chan->lock);
        copy_text(chan->node, hello.node);
        copy_text(chan->cluster, hello.cluster);
        copy_text(chan->boot, hello.boot);
        chan->netns = hello.netns;
        mutex_unlock(&chan->lock);
    }
    arena_release(&arena);
    return rc;
}

/* The bytes are no hello. Whatever else has come helps to tell what is there. */
static int explain_stranger(struct chan *chan, int fd, struct buf *in, struct err *err)
{
    uint8_t *at = buf_reserve(in, 512);
    ssize_t n = at ? sock_recv_some(fd, at, 512, clock_mono_ms() + 100) : 0;
    if (n > 0)
        in->len += (size_t)n;
    if (hello_stranger(buf_slice(in), chan->address, err) == 0)
        err_wrap(err, "%s does not speak quern's protocol", chan->address);
    return ERR_PROTO;
}

static int say_hello(struct chan *chan, int fd, uint64_t deadline_ms, struct err *err)
{
    struct buf out = BUF_INIT, in = BUF_INIT;
    int rc = hello_put(&out, chan->self, 0);
    if (rc == 0)
        rc = sock_send_all(fd, out.data, out.len, deadline_ms);
    if (rc == 0)
        rc = read_frame(fd, &in, FRAME_HELLO_MAX_BYTES, deadline_ms, err);
    if (rc == 0)
        rc = take_hello(chan, &in, err);
    else if (rc == ERR_PROTO)
        rc = explain_stranger(chan, fd, &in, err);
    else
        hello_unreachable(err, rc, chan->address, chan->roles);
    buf_release(&out);
    buf_release(&in);
    return rc;
}

static void close_fd(struct chan *chan, int fd)
{
    if (chan->shown)
        atomic_store(chan->shown, -1);
    close(fd);
}

/* Connect without the lock; *ret_fd is set on success only. */
static int open_fd(struct chan *chan, uint64_t deadline_ms, int *ret_fd, struct err *err)
{
    atomic_int unseen = -1, *shown = chan->shown ? chan->shown : &unseen;
    uint64_t limit_ms = clock_mono_ms() + chan->connect_ms;
    if (deadline_ms > limit_ms)
        deadline_ms = limit_ms;
    int rc = sock_connect_shown(chan->address, deadline_ms, shown, err);
    if (rc == ERR_REFUSED || rc == ERR_NOENT)
        hello_unreachable(err, rc, chan->address, chan->roles);
    if (rc != 0)
        return rc;
    int fd = atomic_load(shown);
    sock_set_keepalive(fd);
    rc = say_hello(chan, fd, deadline_ms, err);
    if (rc != 0) {
        close_fd(chan, fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- the connection; all with the lock held ---- */

/* Everybody whose question went over it is told; he knows whether he may ask again. */
static void break_connection(struct chan *chan, int code)
{
    if (chan->fd < 0 || chan->is_broken)
        return;
    chan->is_broken = true;
    (void)shutdown(chan->fd, SHUT_RDWR); /* wakes the reader and the sender, if any */
    while (!list_is_empty(&chan->waits)) {
        struct wait *wait = list_first(&chan->waits, struct wait, link);
        list_remove(&wait->link);
        wait->is_over = true;
        wait->code = code;
        cond_signal(&wait->turn);
    }
    cond_broadcast(&chan->changed);
}

static void close_broken(struct chan *chan)
{
    if (!chan->is_broken || chan->busy > 0)
        return;
    close_fd(chan, chan->fd);
    chan->fd = -1;
    chan->is_broken = false;
    buf_clear(&chan->in);
    cond_broadcast(&chan->changed);
}

/* Has the other side closed while nobody was talking? Then nothing has been asked yet, and asking
 * over a new connection is safe for every method. */
static void check_idle(struct chan *chan)
{
    uint8_t byte;
    if (chan->fd < 0 || chan->is_broken || chan->is_lent || chan->busy > 0 ||
        !list_is_empty(&chan->waits))
        return;
    if (recv(chan->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 || sock_connected(chan->fd) != 0)
        break_connection(chan, ERR_CLOSED);
}

static int connect_now(struct chan *chan, uint64_t deadline_ms, struct err *err)
{
    int fd = -1;
    chan->is_connecting = true;
    mutex_unlock(&chan->lock);
    int rc = open_fd(chan, deadline_ms, &fd, err);
    mutex_lock(&chan->lock);
    chan->is_connecting = false;
    if (rc == 0)
        chan->fd = fd;
    cond_broadcast(&chan->changed);
    return rc;
}

/* 0 with a connection that can be used. */
static int get_connection(struct chan *chan, uint64_t deadline_ms, struct err *err)
{
    for (;;) {
        check_idle(chan);
        close_broken(chan);
        bool must_wait = chan->is_connecting || chan->is_lent || chan->is_broken;
        if (!must_wait && chan->fd >= 0)
            return 0;
        if (!must_wait)
            return connect_now(chan, deadline_ms, err);
        if (cond_wait_until(&chan->changed, &chan->lock, deadline_ms) != 0)
            return err_set(err, ERR_TIMEOUT, "%s: busy with another conversation", chan->address);
    }
}

/* ---- one attempt; with the lock held ---- */

static int send_question(struct chan *chan, struct wait *wait, struct err *err)
{
    struct buf out = BUF_INIT;
    uint64_t now_ms = clock_mono_ms();
    uint64_t left_ms = wait->deadline_ms > now_ms ? wait->deadline_ms - now_ms : 1;
    struct frame frame = {.type = wait->method->type,
                          .call = wait->call = ++chan->next_call,
                          .deadline_ms = (uint32_t)left_ms};
    bool is_oneway = wait->method->flags & MSG_ONEWAY;
    if (is_oneway)
        frame.flags = FRAME_ONEWAY;
    int fd = chan->fd, rc = frame_put(&out, &frame, wait->method->ask, wait->ask);
    if (rc != 0) {
        buf_release(&out);
        return err_set(err, rc, "%s: %s", wait->method->name, err_text(rc));
    }
    wait->is_over = is_oneway;
    wait->code = 0;
    if (!is_oneway)
        list_push_back(&chan->waits, &wait->link); /* before sending: the answer may be quick */
    chan->busy++;
    mutex_unlock(&chan->lock);
    mutex_lock(&chan->sending);
    rc = sock_send_all(fd, out.data, out.len, wait->deadline_ms);
    mutex_unlock(&chan->sending);
    mutex_lock(&chan->lock);
    chan->busy--;
    wait->was_sent = true; /* some of it, perhaps */
    buf_release(&out);
    if (rc != 0) {
        break_connection(chan, ERR_CLOSED); /* a part of a frame may have gone */
        close_broken(chan);
        err_set(err, rc, "%s at %s: %s", wait->method->name, chan->address, err_text(rc));
    }
    return rc;
}

/* Hand the frame in chan->in to its waiter; nobody may want it any more. */
static void hand_over(struct chan *chan)
{
    struct frame frame = whole_frame(&chan->in);
    list_each (&chan->waits, it) {
        struct wait *wait = list_entry(it, struct wait, link);
        if (wait->call != frame.call || !(frame.flags & FRAME_ANSWER))
            continue;
        list_remove(&wait->link);
        wait->is_over = true;
        wait->frame = chan->in;
        chan->in = BUF_INIT;
        cond_signal(&wait->turn);
        break;
    }
    buf_clear(&chan->in);
}

static void read_for_all(struct chan *chan, uint64_t deadline_ms)
{
    struct err why;
    int fd = chan->fd;
    chan->has_reader = true;
    chan->busy++;
    mutex_unlock(&chan->lock);
    int rc = read_frame(fd, &chan->in, FRAME_MAX_BYTES, deadline_ms, &why);
    mutex_lock(&chan->lock);
    chan->busy--;
    chan->has_reader = false;
    if (rc == 0 && !chan->is_broken)
        hand_over(chan);
    else if (rc == ERR_PROTO || rc == ERR_NOMEM)
        break_connection(chan, rc);
    else if (rc != 0 && rc != ERR_TIMEOUT)
        break_connection(chan, ERR_CLOSED);
    close_broken(chan);
}

/* Somebody must read as long as anybody waits. Only he is woken: with many callers, waking all of
 * them for each answer would cost more than the answers. */
static void pass_reading_on(struct chan *chan)
{
    if (!chan->has_reader && !list_is_empty(&chan->waits))
        cond_signal(&list_first(&chan->waits, struct wait, link)->turn);
}

static int wait_for_answer(struct chan *chan, struct wait *wait, struct err *err)
{
    while (!wait->is_over && clock_mono_ms() < wait->deadline_ms) {
        if (!chan->has_reader)
            read_for_all(chan, wait->deadline_ms);
        else
            (void)cond_wait_until(&wait->turn, &chan->lock, wait->deadline_ms);
    }
    list_remove(&wait->link);
    pass_reading_on(chan);
    if (!wait->is_over)
        return err_set(err, ERR_TIMEOUT, "%s at %s: no answer within %u ms", wait->method->name,
                       chan->address, wait->timeout_ms);
    if (wait->code != 0)
        return err_set(err, wait->code, "%s at %s: the connection was lost: %s", wait->method->name,
                       chan->address, err_text(wait->code));
    return 0;
}

/* ERR_CLOSED, and why, when the answer is that the other side stops: then nothing was done, as far
 * as it knows, and who comes next at that address may be asked the same. */
static int check_stopping(struct wait *wait, struct err *err)
{
    struct frame frame = whole_frame(&wait->frame);
    struct frame_error error;
    struct arena arena = ARENA_INIT;
    int rc = 0;
    if ((frame.flags & FRAME_ERROR) &&
        msg_decode(&frame_error_desc, frame.body, &arena, &error, NULL) == 0 &&
        error.code == ERR_CLOSED)
        rc = err_set(err, ERR_CLOSED, SLICE_FMT, SLICE_ARG(error.text));
    arena_release(&arena);
    if (rc != 0)
        buf_release(&wait->frame);
    return rc;
}

static int attempt(struct chan *chan, struct wait *wait, struct err *err)
{
    int rc = get_connection(chan, wait->deadline_ms, err);
    if (rc == 0)
        rc = send_question(chan, wait, err);
    if (rc == 0)
        rc = wait_for_answer(chan, wait, err);
    if (rc == 0 && !(wait->method->flags & MSG_ONEWAY))
        rc = check_stopping(wait, err);
    return rc;
}

/* ---- calls ---- */

static bool may_ask_again(const struct wait *wait, int code)
{
    bool is_lost = code == ERR_CLOSED || code == ERR_EOF || code == ERR_REFUSED ||
                   code == ERR_UNREACHABLE || code == ERR_NOENT || code == ERR_BUSY ||
                   code == ERR_IO || (code == ERR_TIMEOUT && !wait->was_sent);
    return is_lost && (!wait->was_sent || (wait->method->flags & (MSG_READS | MSG_RECORDED)));
}

static int decode(const struct wait *wait, struct arena *arena, void *ret_answer, struct err *err)
{
    struct frame frame = whole_frame(&wait->frame);
    struct slice in = slice_keep(frame.body, arena);
    if (!in.data)
        return err_set(err, ERR_NOMEM, "%s: out of memory for the answer", wait->method->name);
    if (frame.flags & FRAME_ERROR) {
        struct frame_error error;
        int rc = msg_decode(&frame_error_desc, in, arena, &error, err);
        if (rc != 0)
            return rc;
        int code = error.code < 0 && error.code > -1000 ? (int)error.code : ERR_FAILED;
        return err_set(err, code, SLICE_FMT, SLICE_ARG(error.text));
    }
    if (frame.type != wait->method->type)
        return err_set(err, ERR_PROTO, "%s: an answer of type 0x%04x", wait->method->name,
                       frame.type);
    void *answer = ret_answer ? ret_answer : arena_alloc(arena, wait->method->answer->size);
    if (!answer)
        return err_set(err, ERR_NOMEM, "%s: out of memory for the answer", wait->method->name);
    int rc = msg_decode(wait->method->answer, in, arena, answer, err);
    if (rc != 0)
        err_wrap(err, "the answer to %s", wait->method->name);
    return rc;
}

static int call_until_over(struct chan *chan, struct wait *wait, struct err *err)
{
    uint64_t pause_ms = RETRY_MIN_MS;
    for (;;) {
        int rc = attempt(chan, wait, err);
        uint64_t now_ms = clock_mono_ms();
        uint64_t until_ms = now_ms + pause_ms / 2 + rand_below(&chan->rand, pause_ms);
        if (!may_ask_again(wait, rc) || until_ms >= wait->deadline_ms)
            return rc;
        while (clock_mono_ms() < until_ms)
            (void)cond_wait_until(&chan->changed, &chan->lock, until_ms);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
    }
}

int chan_call(struct chan *chan, const struct msg_method *method, const void *ask,
              struct arena *arena, void *ret_answer, uint32_t timeout_ms, struct err *err)
{
    struct err why = {
        0}; /* of attempts: a caller whose question was answered hears nothing of them */
    struct wait wait = {.method = method, .ask = ask};
    list_init(&wait.link);
    wait.timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS;
    wait.deadline_ms = clock_mono_ms() + wait.timeout_ms;
    cond_init(&wait.turn);
    mutex_lock(&chan->lock);
    chan->callers++;
    int rc = call_until_over(chan, &wait, &why);
    chan->callers--;
    mutex_unlock(&chan->lock);
    cond_release(&wait.turn);
    if (rc == 0 && !(method->flags & MSG_ONEWAY))
        rc = decode(&wait, arena, ret_answer, &why);
    buf_release(&wait.frame);
    if (rc != 0 && err)
        *err = why;
    return rc;
}

/* ---- life ---- */

static void release(struct chan *chan)
{
    buf_release(&chan->in);
    cond_release(&chan->changed);
    mutex_release(&chan->sending);
    mutex_release(&chan->lock);
    mem_free(chan->address);
    mem_free(chan);
}

static struct chan *make(const struct chan_conf *conf)
{
    uint64_t seed;
    struct chan *chan = mem_calloc(1, sizeof(*chan));
    char *address = str_dup(conf->address);
    if (!chan || !address) {
        mem_free(chan);
        mem_free(address);
        return NULL;
    }
    chan->address = address;
    chan->self = conf->self;
    chan->roles = conf->role ? HELLO_ROLE(conf->role) : 0;
    chan->connect_ms = conf->timeout_ms ? conf->timeout_ms : CONNECT_DEFAULT_MS;
    chan->shown = conf->shown;
    chan->fd = -1;
    mutex_init(&chan->lock);
    mutex_init(&chan->sending);
    cond_init(&chan->changed);
    list_init(&chan->waits);
    rand_secret(&seed, sizeof(seed));
    rand_init(&chan->rand, seed);
    return chan;
}

int chan_open(const struct chan_conf *conf, struct chan **ret, struct err *err)
{
    struct err local;
    struct chan *chan = make(conf);
    if (!chan)
        return err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", conf->address);
    int rc = open_fd(chan, SOCK_FOREVER, &chan->fd, err ? err : &local);
    if (rc != 0)
        release(chan);
    else
        *ret = chan;
    return rc;
}

int chan_adopt_fd(const struct chan_conf *conf, int fd, struct chan **ret)
{
    struct chan *chan = make(conf);
    if (!chan)
        return ERR_NOMEM;
    chan->fd = fd;
    *ret = chan;
    return 0;
}

void chan_close(struct chan *chan)
{
    if (!chan)
        return;
    BUG_ON(chan->callers > 0 || chan->is_lent);
    if (chan->fd >= 0)
        close_fd(chan, chan->fd);
    release(chan);
}

int chan_lend_fd(struct chan *chan, int *ret_fd)
{
    int rc = 0;
    mutex_lock(&chan->lock);
    if (chan->callers > 0 || chan->is_lent)
        rc = ERR_BUSY;
    else if (chan->fd < 0 || chan->is_broken || chan->in.len > 0)
        rc = ERR_CLOSED;
    if (rc == 0) {
        chan->is_lent = true;
        *ret_fd = chan->fd;
    }
    mutex_unlock(&chan->lock);
    return rc;
}

void chan_return_fd(struct chan *chan, bool is_usable)
{
    mutex_lock(&chan->lock);
    BUG_ON(!chan->is_lent);
    chan->is_lent = false;
    if (!is_usable) {
        break_connection(chan, ERR_CLOSED);
        close_broken(chan);
    }
    cond_broadcast(&chan->changed);
    mutex_unlock(&chan->lock);
}

int chan_steal_fd(struct chan *chan, int *ret_fd)
{
    int rc = chan_lend_fd(chan, ret_fd);
    if (rc == 0)
        release(chan);
    return rc;
}

/* ---- asking about it ---- */

const char *chan_peer_node(const struct chan *chan)
{
    return chan->node;
}

const char *chan_peer_cluster(const struct chan *chan)
{
    return chan->cluster;
}

const char *chan_peer_boot(const struct chan *chan)
{
    return chan->boot;
}

uint64_t chan_peer_netns(const struct chan *chan)
{
    return chan->netns;
}

const char *chan_address(const struct chan *chan)
{
    return chan->address;
}
