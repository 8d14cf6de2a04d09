/* SPDX-License-Identifier: Apache-2.0
 * workers: who can run tasks: registry, liveness, cores and memory offered and taken. Pure.
 *
 * A worker is its node.name; a new incarnation (the process restarted) has none of the old one's
 * running attempts, and of its map outputs only those it says it still holds. A lost worker stays
 * in the registry, so that it can be shown, until it registers again.
 *
 * No question that events ask here walks the workers: the silent ones are found in a heap by when
 * they were due, the largest in heaps of their own, and who has gained room since it was last
 * offered to the jobs stands in a list. */
#ifndef QUERN_JOBTRACKER_FLEET_WORKERS_H
#define QUERN_JOBTRACKER_FLEET_WORKERS_H

#include "libcommon/base/heap.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"
#include "libcommon/base/slice.h"

#define JT_FOR_GOOD UINT64_MAX

struct jt_worker {
    struct hmap_node by_name;
    struct list all;     /* in registry order */
    struct list free;    /* in fleet.free while live with a core to spare */
    struct list offered; /* in fleet.offers, since it gained room */
    struct heap_node due, by_memory, by_cores;
    uint32_t number; /* in registry order */
    char *name;      /* owned, as the strings below */
    char *rack;
    char *host;
    char *socket;
    char *boot_id;
    uint64_t netns;
    uint32_t port, http_port;
    uint64_t incarnation;
    uint32_t cores, cores_used;
    uint64_t memory, memory_used;
    uint64_t last_beat_ms; /* monotonic */
    uint32_t failures;     /* attempts that failed here, ever, whose fault it was */
    uint32_t slow_tasks;   /* attempts found slow in rate here; each healthy one takes one off */
    uint32_t doubts;       /* jobs in a row that speak against it (schedule/exclude) */
    uint32_t exclusions;   /* in a row */
    uint64_t doubted_by;   /* the last of those jobs */
    uint64_t excluded_until_ms; /* gets no task before; 0: may; JT_FOR_GOOD: never in this life */
    struct list excluded;       /* in fleet.excluded while so */
    bool is_live;
    bool takes_rows;               /* it knows of attempts in a row (schedule/row) */
    struct list attempts;          /* running here: jt_attempt.on_worker */
    struct list held;              /* whose output lies here: the same */
    struct jt_stage *reserved_for; /* only a task of it begins here; NULL: any */
    struct list links;             /* per job: jt_link.of_worker */
    void *edge;                    /* the edge's: its connection, NULL while there is none */
};

struct jt_stage;

struct jt_fleet {
    struct hmap by_name;
    struct list all;
    struct list free;
    struct list offers;   /* live, have gained room, and nobody has looked since */
    struct list excluded; /* live, and get no tasks */
    uint32_t excluded_count;
    struct heap due;                 /* live ones, by when to look whether they are silent */
    struct heap by_memory, by_cores; /* live ones, largest first */
    uint32_t live, known;
    uint64_t cores, memory; /* of all live workers that may get tasks */
    uint64_t most_memory;   /* of any live worker: what a task can ask for at most */
    uint32_t most_cores;
};

/* What one task takes of a worker while it runs. */
struct jt_need {
    uint32_t cores;
    uint64_t memory;
};

/* What a worker says of itself when it registers; strings are borrowed. */
struct jt_worker_offer {
    struct slice name, rack, host, socket, boot_id;
    uint64_t netns, incarnation, memory;
    uint32_t port, http_port, cores;
    bool takes_rows;
};

void jt_fleet_init(struct jt_fleet *fleet);
void jt_fleet_release(struct jt_fleet *fleet);

struct jt_worker *jt_fleet_find(const struct jt_fleet *fleet, struct slice name);
/* Adds or refreshes the entry and makes it live with nothing taken. The caller has dealt with the
 * attempts of an earlier incarnation. NULL when memory is out. */
struct jt_worker *jt_fleet_put(struct jt_fleet *fleet, const struct jt_worker_offer *offer,
                               uint64_t now_ms);
void jt_worker_lose(struct jt_fleet *fleet, struct jt_worker *worker);
/* Somebody live who was last heard of more than `timeout_ms` ago; NULL: nobody. Lose it, or it is
 * found again. */
struct jt_worker *jt_fleet_silent(struct jt_fleet *fleet, uint64_t now_ms, uint64_t timeout_ms);
/* Its last beat was set back: look again at the next question. */
void jt_worker_doubt(struct jt_fleet *fleet, struct jt_worker *worker);
/* It may take more than it could when it was last offered. */
void jt_worker_offer_again(struct jt_fleet *fleet, struct jt_worker *worker);

/* It is live, and offered to nobody until then; jt_worker_include, or its loss, ends that. */
void jt_worker_exclude(struct jt_fleet *fleet, struct jt_worker *worker, uint64_t until_ms);
void jt_worker_include(struct jt_fleet *fleet, struct jt_worker *worker);
/* "live", "excluded" or "lost". */
const char *jt_worker_state(const struct jt_worker *worker);
/* For how long it gets no tasks; 0 = it is not excluded, JT_FOR_GOOD = until it is started anew. */
uint64_t jt_worker_excluded_ms(const struct jt_worker *worker, uint64_t now_ms);

#define JT_SLOW_TASKS 3 /* so many slow attempts make a slow node */
static inline bool jt_worker_is_slow(const struct jt_worker *worker)
{
    return worker->slow_tasks >= JT_SLOW_TASKS;
}

/* Could it ever, were it idle? Does it now? */
bool jt_worker_could_fit(const struct jt_worker *worker, struct jt_need need);
bool jt_worker_fits(const struct jt_worker *worker, struct jt_need need);
void jt_worker_take(struct jt_fleet *fleet, struct jt_worker *worker, struct jt_need need);
void jt_worker_give_back(struct jt_fleet *fleet, struct jt_worker *worker, struct jt_need need);

#endif
