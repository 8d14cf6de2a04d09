/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/serve/watchers.h"

#include "jobtracker/serve/clients.h"

/* Progress of a running job is told at most this often; its end at once. */
#define TELL_EVERY_MS 100

struct watcher {
    struct list link;     /* of its record */
    struct heap_node due; /* in jobtracker.watchers, by when it may be told */
    struct record *record;
    struct rpc_call *call;
    uint64_t version, until_ms;
    bool only_end;
    bool is_kill; /* wants to hear that the job is over, and no more */
};

/* That a job succeeded does not hang on its END: its winners were durable before they were
 * published, the namenode has that on its disk, and a next life without the END asks it again. */
bool watchers_may_hear_end(const struct jobtracker *jt, const struct record *record)
{
    return record->end_index &&
           (record->job->state == JT_JOB_SUCCEEDED || record->end_index <= joblog_durable(jt->log));
}

static void forget(struct jobtracker *jt, struct watcher *watcher)
{
    heap_remove(&jt->watchers, &watcher->due);
    list_remove(&watcher->link);
    mem_free(watcher);
}

static void answer(const struct jobtracker *jt, const struct watcher *watcher)
{
    if (watcher->is_kill)
        rpc_answer(watcher->call, NULL);
    else
        clients_answer_status(jt, watcher->record, watcher->call);
    watcher->record->told_ms = jobtracker_now(jt);
}

static void tell(struct jobtracker *jt, struct watcher *watcher)
{
    answer(jt, watcher);
    forget(jt, watcher);
}

static uint64_t next_ms(const struct watcher *watcher, uint64_t not_before_ms)
{
    bool may_be_sooner = !watcher->only_end && not_before_ms < watcher->until_ms;
    return may_be_sooner ? not_before_ms : watcher->until_ms;
}

/* One more of the job's; ERR_NOMEM: none. */
static int keep(struct jobtracker *jt, const struct watcher *like)
{
    struct watcher *watcher = mem_calloc(1, sizeof(*watcher));
    if (!watcher)
        return ERR_NOMEM;
    *watcher = *like;
    watcher->due = HEAP_NODE_INIT;
    uint64_t due_ms = next_ms(watcher, watcher->record->told_ms + TELL_EVERY_MS);
    if (!watcher->is_kill && heap_add(&jt->watchers, &watcher->due, due_ms) != 0) {
        mem_free(watcher);
        return ERR_NOMEM;
    }
    list_push_back(&watcher->record->watchers, &watcher->link);
    return 0;
}

static bool has_news(const struct jobtracker *jt, const struct watcher *watcher)
{
    uint64_t now = jobtracker_now(jt);
    const struct record *record = watcher->record;
    if (watchers_may_hear_end(jt, record))
        return true;
    if (watcher->is_kill)
        return false;
    if (now >= watcher->until_ms)
        return true;
    return !watcher->only_end && record->job->version > watcher->version &&
           now >= record->told_ms + TELL_EVERY_MS;
}

static int add(struct jobtracker *jt, const struct watcher *watcher)
{
    if (!has_news(jt, watcher))
        return keep(jt, watcher);
    answer(jt, watcher);
    return 0;
}

int watchers_add(struct jobtracker *jt, struct record *record, struct rpc_call *call,
                 const struct cl2jt_watch *ask)
{
    struct watcher watcher = {
        .record = record,
        .call = call,
        .version = ask->version,
        .only_end = ask->only_end,
        .until_ms = jobtracker_now(jt) + ask->max_wait_ms,
    };
    return add(jt, &watcher);
}

int watchers_add_kill(struct jobtracker *jt, struct record *record, struct rpc_call *call)
{
    struct watcher watcher = {.record = record, .call = call, .is_kill = true};
    return add(jt, &watcher);
}

void watchers_tell_due(struct jobtracker *jt)
{
    uint64_t now = jobtracker_now(jt);
    struct heap_node *first;
    while ((first = heap_min(&jt->watchers)) != NULL && first->key <= now) {
        struct watcher *watcher = CONTAINER_OF(first, struct watcher, due);
        if (has_news(jt, watcher)) {
            tell(jt, watcher);
            continue;
        }
        heap_remove(&jt->watchers, first);
        int rc = heap_add(&jt->watchers, first, next_ms(watcher, now + TELL_EVERY_MS));
        BUG_ON(rc != 0); /* its place has just become free */
    }
}

void watchers_tell_end(struct jobtracker *jt, struct record *record)
{
    list_remove(&record->ended);
    list_each_safe (&record->watchers, it)
        tell(jt, list_entry(it, struct watcher, link));
}

void watchers_tell_ended(struct jobtracker *jt, uint64_t durable)
{
    list_each_safe (&jt->ended, it) {
        struct record *record = list_entry(it, struct record, ended);
        if (record->end_index > durable)
            break;
        watchers_tell_end(jt, record);
    }
}

void watchers_release(struct jobtracker *jt)
{
    list_each_safe (&jt->core.all, it) {
        struct record *record = record_of(list_entry(it, struct jt_job, all));
        list_each_safe (&record->watchers, w) {
            struct watcher *watcher = list_entry(w, struct watcher, link);
            rpc_fail(watcher->call, ERR_CLOSED, "the jobtracker is stopping");
            forget(jt, watcher);
        }
    }
}
