/* SPDX-License-Identifier: Apache-2.0
 * The relay's loop: a turn of everything that can be done at once, then waiting, on this thread or
 * parked; and how a relay begins and ends. */
#include "datanode/serve/relay_inside.h"

#include <limits.h>
#include <poll.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

struct interest {
    int fd;
    short events;
};

static void list_interests(struct dn_relay *r, struct interest ret[DN_PARK_FDS])
{
    short up = (short)((dn_relay_wants_input(r) ? POLLIN : 0) | (r->acks_len > 0 ? POLLOUT : 0));
    short down = (short)(POLLIN | (dn_relay_has_forward(r) ? POLLOUT : 0));
    ret[0] = (struct interest){r->conf->cancel_fd, POLLIN};
    ret[1] = (struct interest){r->conf->up_fd, up};
    ret[2] = (struct interest){dn_relay_expects_acks(r) ? r->conf->down_fd : -1, down};
}

/* When somebody has to be given up, or told who is slow. */
static uint64_t deadline_ms(struct dn_relay *r)
{
    uint64_t at = dn_pipeline_deadline_ms(&r->p), deaf_at = r->took_acks_ms + r->conf->timeout_ms;
    if (r->acks_len > 0 && deaf_at < at)
        at = deaf_at;
    return dn_relay_report_is_wanted(r) && r->lags.next_ms < at ? r->lags.next_ms : at;
}

static int wait_for_something(struct dn_relay *r, const struct dn_move *move)
{
    uint64_t now = clock_mono_ms(), deadline = deadline_ms(r);
    uint64_t wait_ms = deadline > now ? deadline - now : 0, patience = dn_move_patience_ms(move);
    struct interest list[DN_PARK_FDS];
    struct pollfd fds[DN_PARK_FDS + 1];
    list_interests(r, list);
    for (size_t i = 0; i < DN_PARK_FDS; i++)
        fds[i] = (struct pollfd){.fd = list[i].fd, .events = list[i].events};
    fds[DN_PARK_FDS] = (struct pollfd){.fd = -1, .events = POLLIN};
    if (dn_relay_is_draining(r)) {
        fds[DN_PARK_FDS].fd = dn_drain_fd(r->drain);
        patience = UINT64_MAX; /* not to be parked */
    }
    uint64_t most_ms = wait_ms < patience ? wait_ms : patience;
    int n = poll(fds, DN_PARK_FDS + 1, most_ms < INT_MAX ? (int)most_ms : INT_MAX);
    if (n > 0 && fds[0].revents)
        return ERR_CANCELLED;
    if (n > 0 && (fds[1].revents & (POLLERR | POLLHUP)) && !dn_relay_wants_input(r))
        return ERR_CLOSED; /* gone, and we were not even going to read */
    now = clock_mono_ms();
    int rc = dn_relay_is_deaf(r, now) ? ERR_TIMEOUT : dn_pipeline_expire(&r->p, now);
    if (rc != 0)
        return rc;
    /* A neighbour that was just given up is news that has to go up. */
    return n == 0 && wait_ms > patience ? DN_RELAY_WAITS : 0;
}

void dn_relay_park(struct dn_relay *relay, struct dn_park *ret)
{
    struct interest list[DN_PARK_FDS];
    list_interests(relay, list);
    for (size_t i = 0; i < DN_PARK_FDS; i++) {
        ret->fds[i].fd = list[i].events ? list[i].fd : -1;
        ret->fds[i].ready = (list[i].events & POLLIN ? (unsigned)LOOP_READ : 0U) |
                            (list[i].events & POLLOUT ? (unsigned)LOOP_WRITE : 0U);
    }
    ret->until_ms = deadline_ms(relay);
}

bool dn_relay_needs_ring(const struct dn_relay *relay)
{
    return relay->in_body || relay->p.count > 0 || dn_relay_unwritten(relay) > 0;
}

void dn_relay_set_ring(struct dn_relay *relay, uint8_t *ring)
{
    relay->own.ring = ring;
}

/* Everything that can be done without waiting. True when anything was. */
static bool turn(struct dn_relay *r, uint8_t last_ack[PACKET_ACK_BYTES], int *ret_in)
{
    bool any = dn_relay_take_drained(r);
    int in = 1;
    uint64_t enough = r->p.received + DN_RELAY_NOW_BYTES;
    while (in > 0 && r->p.received < enough && !dn_relay_has_run(r))
        any |= (in = dn_relay_come_in(r)) > 0;
    *ret_in = in < 0 ? in : 0;
    any |= dn_relay_go_down(r);
    any |= dn_relay_listen_down(r);
    dn_relay_report(r); /* before our own disk keeps us: that is not their silence */
    any |= dn_relay_write_some(r, in <= 0);
    any |= dn_relay_do_duties(r);
    any |= dn_relay_pop_acks(r, last_ack);
    any |= dn_relay_go_up(r);
    return any;
}

static int run(struct dn_relay *r, const struct dn_move *move, uint8_t last_ack[PACKET_ACK_BYTES])
{
    while (!dn_pipeline_is_over(&r->p)) {
        int in = 0;
        bool any = turn(r, last_ack, &in);
        if (in < 0 && !dn_pipeline_is_over(&r->p))
            return in == ERR_EOF ? ERR_CLOSED : in;
        if (!any) {
            int rc = wait_for_something(r, move);
            if (rc != 0)
                return rc;
        }
    }
    if (r->is_final)
        return 0;
    return r->end_code < 0 ? r->end_code : ERR_FAILED; /* a neighbour may say what it likes */
}

struct dn_relay *dn_relay_new(const struct dn_relay_conf *conf)
{
    struct dn_relay *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->own = *conf;
    r->conf = &r->own;
    r->sum_count = conf->ring_bytes / DN_SUM_CHUNK;
    r->sums = mem_alloc(r->sum_count * DN_SUM_BYTES);
    if (!r->sums) {
        mem_free(r);
        return NULL;
    }
    r->tail_sum = conf->file->tail_sum;
    struct dn_pipeline_conf pipeline = {.start_len = conf->file->len,
                                        .start_tail_sum = conf->file->tail_sum,
                                        .max_len = conf->max_len,
                                        .has_mirror = conf->down_fd >= 0,
                                        .idle_ms = conf->timeout_ms,
                                        .ack_ms = conf->ack_timeout_ms};
    uint64_t now_ms = clock_mono_ms();
    dn_pipeline_init(&r->p, &pipeline, now_ms);
    dn_lags_begin(&r->lags, conf->reports_ms, conf->down_fd, now_ms);
    return r;
}

void dn_relay_free(struct dn_relay *relay)
{
    if (!relay)
        return;
    dn_relay_end_drain(relay);
    mem_free(relay->sums);
    mem_free(relay);
}

int dn_relay_run(struct dn_relay *relay, const struct dn_move *move,
                 uint8_t last_ack[PACKET_ACK_BYTES])
{
    int rc = run(relay, move, last_ack);
    if (rc < 0) {
        dn_relay_write_the_rest(relay);
        if (rc != ERR_CANCELLED && dn_pipeline_is_over(&relay->p))
            dn_relay_say_farewell(relay);
    }
    dn_relay_end_drain(relay);
    return rc;
}
