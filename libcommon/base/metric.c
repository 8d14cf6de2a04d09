/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/metric.h"

#include <inttypes.h>

static struct metric *_Atomic head;

void metric_register(struct metric *metric)
{
    int no = 0;
    if (!__atomic_compare_exchange_n((int *)&metric->registered, &no, 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return;
    struct metric *first = head;
    do
        metric->next = first;
    while (!__atomic_compare_exchange_n((struct metric **)&head, &first, metric, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

void metric_add(struct metric *metric, uint64_t n)
{
    if (__builtin_expect(!metric->registered, 0))
        metric_register(metric);
    __atomic_fetch_add((uint64_t *)&metric->value, n, __ATOMIC_RELAXED);
}

void metric_set(struct metric *metric, uint64_t value)
{
    if (__builtin_expect(!metric->registered, 0))
        metric_register(metric);
    metric->value = value;
}

/* A few dozen metrics: selection by name, no allocation. */
void metric_each(void (*visit)(const struct metric *metric, void *arg), void *arg)
{
    const char *last = "";
    for (;;) {
        const struct metric *best = NULL;
        for (const struct metric *m = head; m; m = m->next)
            if (strcmp(m->name, last) > 0 && (!best || strcmp(m->name, best->name) < 0))
                best = m;
        if (!best)
            return;
        visit(best, arg);
        last = best->name;
    }
}

struct print_state {
    struct buf *out;
    char family[128];
};

static void print_one(const struct metric *m, void *arg)
{
    struct print_state *st = arg;
    size_t n = strcspn(m->name, "{");
    if (n < sizeof(st->family) && (strncmp(st->family, m->name, n) != 0 || st->family[n] != 0)) {
        memcpy(st->family, m->name, n);
        st->family[n] = 0;
        buf_printf(st->out, "# HELP %s %s\n# TYPE %s %s\n", st->family, m->help, st->family,
                   m->kind == METRIC_KIND_COUNTER ? "counter" : "gauge");
    }
    buf_printf(st->out, "%s %" PRIu64 "\n", m->name, (uint64_t)m->value);
}

void metric_print(struct buf *out)
{
    struct print_state st = {.out = out};
    metric_each(print_one, &st);
}
