/* SPDX-License-Identifier: Apache-2.0
 * core_fixture: the core of the jobtracker, driven by hand: workers that say what a test wants them
 * to say, and a clock that it turns. */
#ifndef QUERN_TESTS_EVENTS_CORE_FIXTURE_H
#define QUERN_TESTS_EVENTS_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/events/events.h"
#include "jobtracker/jobs/attempts.h"
#include "libcommon/base/ids.h"

#define GIB ((uint64_t)1 << 30)

struct fixture {
    struct jt_core core;
    uint64_t now;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct jt_config config = jt_config_default;
    assert_non_null(f);
    f->now = 1000;
    jt_core_init(&f->core, &config, f->now);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    assert_false(f->core.out_of_memory);
    jt_core_release(&f->core);
    free(f);
    return 0;
}

static inline struct jt_worker *worker(struct fixture *f, const char *name, uint32_t cores,
                                       uint64_t incarnation)
{
    struct jt_worker_offer offer = {
        .name = slice_str(name),
        .rack = slice_str("/r"),
        .host = slice_str("h"),
        .cores = cores,
        .memory = cores * GIB,
        .incarnation = incarnation,
    };
    struct jt_worker *w = jt_on_register(&f->core, &offer, f->now);
    jt_on_beat(&f->core, w, f->now);
    return w;
}

static inline struct jt_job *submit(struct fixture *f, uint32_t maps, uint32_t reduces,
                                    const char *node)
{
    struct slice nodes[1] = {slice_str(node ? node : "")};
    struct jt_split splits[64] = {0};
    for (uint32_t i = 0; i < maps; i++) {
        splits[i].bytes = 1000;
        splits[i].nodes = nodes;
        splits[i].node_count = node != NULL;
    }
    struct jt_submit s = {.name = slice_str("j"),
                          .user = slice_str("u"),
                          .priority = 2,
                          .partitions = reduces,
                          .splits = splits,
                          .split_count = maps};
    return jt_on_submit(&f->core, 0, &s, f->now);
}

static inline struct jt_job *submit_asking(struct fixture *f, uint32_t maps,
                                           struct jt_submit asking)
{
    struct jt_split splits[64] = {0};
    asking.name = slice_str("j");
    asking.user = slice_str("u");
    asking.splits = splits;
    asking.split_count = maps;
    return jt_on_submit(&f->core, 0, &asking, f->now);
}

static inline size_t count(const struct fixture *f, enum jt_effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < f->core.effect_count; i++)
        n += f->core.effects[i].kind == kind;
    return n;
}

static inline struct attempt_id id_of(const struct jt_attempt *a)
{
    return (struct attempt_id){
        {0, a->task->stage->job->number}, a->task->stage->index, a->task->index, a->number};
}

static inline struct jt_attempt *running_on(struct jt_worker *w)
{
    return list_first(&w->attempts, struct jt_attempt, on_worker);
}

static inline bool done(struct fixture *f, struct jt_attempt *a)
{
    struct attempt_id id = id_of(a);
    struct jt_progress p = {1000, 1000, 10, 10, 0};
    return jt_on_done(&f->core, a->worker, &id, &p, slice_str("result"), f->now);
}

static inline void has_failed(struct fixture *f, struct jt_attempt *a, bool counts)
{
    struct attempt_id id = id_of(a);
    jt_on_failed(&f->core, a->worker, &id, counts ? JT_FAULT_TASK : JT_FAULT_NODE, "because",
                 f->now);
}

/* Let every running attempt finish, until nothing runs. */
static inline void finish_all(struct fixture *f)
{
    bool again = true;
    while (again) {
        again = false;
        list_each (&f->core.fleet.all, it) {
            struct jt_attempt *a = running_on(list_entry(it, struct jt_worker, all));
            if (a) {
                f->now += 10;
                assert_true(done(f, a));
                again = true;
                break;
            }
        }
        f->now += 50;
        jt_on_tick(&f->core, f->now);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
