/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>

#include "libcommon/base/mem.h"
#include "tests/sim/sim_conn.h"

struct event {
    struct heap_node by_time;
    struct sim_host *host; /* NULL: nobody's */
    uint32_t life;
    void (*fn)(void *arg);
    void (*drop)(void *arg); /* frees arg when fn is not run */
    void *arg;
};

static void event_free(struct event *event, bool was_run)
{
    if (!was_run && event->drop)
        event->drop(event->arg);
    mem_free(event);
}

void sim_init(struct sim *sim, uint64_t seed, bool is_traced)
{
    *sim = (struct sim){.seed = seed, .is_traced = is_traced, .now_ms = 1000};
    sim->net = (struct sim_net){.delay_min_ms = 1, .delay_max_ms = 5};
    rand_init(&sim->rand, seed);
    list_init(&sim->conns);
}

void sim_release(struct sim *sim)
{
    struct heap_node *n = NULL;
    while ((n = heap_min(&sim->events)) != NULL) {
        struct event *event = CONTAINER_OF(n, struct event, by_time);
        heap_remove(&sim->events, n);
        event_free(event, false);
    }
    heap_release(&sim->events);
    sim_conns_release(sim);
}

bool sim_step(struct sim *sim)
{
    struct heap_node *n = heap_min(&sim->events);
    if (!n)
        return false;
    struct event *event = CONTAINER_OF(n, struct event, by_time);
    heap_remove(&sim->events, n);
    sim->now_ms = n->key;
    sim->steps++;
    bool is_due = !event->host || (event->host->is_up && event->host->life == event->life);
    if (is_due)
        event->fn(event->arg);
    event_free(event, is_due);
    return true;
}

void sim_after(struct sim *sim, struct sim_host *host, uint64_t ms, void (*fn)(void *arg),
               void *arg)
{
    sim_after_owned(sim, host, ms, &(struct sim_call){fn, NULL, arg});
}

void sim_after_owned(struct sim *sim, struct sim_host *host, uint64_t ms,
                     const struct sim_call *call)
{
    struct event *event = mem_calloc(1, sizeof(*event));
    BUG_ON(!event);
    *event = (struct event){.by_time = HEAP_NODE_INIT,
                            .host = host,
                            .life = host ? host->life : 0,
                            .fn = call->fn,
                            .drop = call->drop,
                            .arg = call->arg};
    BUG_ON(heap_add(&sim->events, &event->by_time, sim->now_ms + ms) < 0);
}

/* ---- trace ---- */

void sim_trace(struct sim *sim, const char *fmt, ...)
{
    char line[512];
    va_list args;
    int head = snprintf(line, sizeof(line), "%8llu.%03llu ", (unsigned long long)sim->now_ms / 1000,
                        (unsigned long long)sim->now_ms % 1000);
    va_start(args, fmt);
    vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, args);
    va_end(args);
    sim->hash = slice_hash(slice_str(line), sim->hash);
    if (sim->is_traced)
        puts(line);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list args;
    if (sim->has_failed)
        return;
    va_start(args, fmt);
    vsnprintf(sim->failure, sizeof(sim->failure), fmt, args);
    va_end(args);
    sim->has_failed = true;
    sim_trace(sim, "FAILED %s", sim->failure);
}

/* ---- hosts ---- */

void sim_host_add(struct sim *sim, struct sim_host *host, const char *name,
                  const struct sim_host_ops *ops)
{
    BUG_ON(sim->host_count == SIM_HOSTS_MAX);
    *host = (struct sim_host){
        .sim = sim, .ops = ops, .index = sim->host_count, .life = 1, .is_up = true};
    snprintf(host->name, sizeof(host->name), "%s", name);
    sim->hosts[sim->host_count++] = host;
}

void sim_host_crash(struct sim_host *host)
{
    sim_trace(host->sim, "%s dies", host->name);
    host->is_up = false;
    sim_conns_of_dead(host);
}

void sim_host_start(struct sim_host *host)
{
    BUG_ON(host->is_up);
    host->is_up = true;
    host->life++;
    sim_trace(host->sim, "%s starts", host->name);
}
