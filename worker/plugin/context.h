/* SPDX-License-Identifier: Apache-2.0
 * context: one attempt as its callbacks see it: what stands behind `struct qn_task`.
 *
 * The host's functions that are the same everywhere are here; emit and next belong to whoever runs
 * the callbacks (map, combine, reduce) and are put into `host` by it. What a callback does wrong,
 * or what fails under its hands, is kept in `failed`, the first failure wins, whatever the callback
 * then returns: an author who ignores what emit returned loses nothing. */
#ifndef QUERN_WORKER_PLUGIN_CONTEXT_H
#define QUERN_WORKER_PLUGIN_CONTEXT_H

#include <stdatomic.h>

#include "libcommon/proto/task/messages.h"
#include "libcommon/proto/task/progress.h"
#include "worker/plugin/counters.h"
#include "worker/plugin/plugin.h"
#include "worker/plugin/sides.h"
#include "worker/run/files.h"
#include "worker/run/scratch.h"

struct context_option {
    const char *name;
    const char *value;
};

struct context {
    struct qn_task task; /* first: a struct qn_task * is a struct context * */
    struct qn_host host;
    const struct plugin *plugin;
    const struct task_run *run;
    struct files *files;
    const char *thread;            /* &context_thread of the one that runs the callbacks */
    void *further;                 /* struct further, behind emit_to; NULL in combine */
    void *owner;                   /* whoever put emit and next into host */
    void (*on_often)(void *owner); /* now and then, after some thousand host calls; may be NULL */
    struct progress_page *page;
    struct counters counters;
    struct sides sides;
    struct arena arena; /* dies with the attempt */
    struct context_option *options;
    size_t option_count;
    struct context_option *settings; /* filled when first asked for */
    size_t setting_count;
    struct qn_input input;
    struct slice record; /* in hand, for the report of a crash */
    uint32_t failure;    /* enum task_failure of `failed` */
    struct err failed;   /* code 0 = nothing has */
    uint32_t calls;      /* host calls since the page was last told */
};

struct context_conf {
    const struct plugin *plugin;
    const struct task_run *run;
    struct files *files;
    struct progress_page *page;
};

/* Borrows all of it until close. ERR_CONFIG: an option that had to be given was not. */
int context_open(struct context *c, const struct context_conf *conf, struct err *err);
void context_close(struct context *c);

static inline struct context *context_of(struct qn_task *task)
{
    return (struct context *)(void *)task;
}

/* Its address is the thread's name, and had without a call: emit asks for it every time. */
extern _Thread_local char context_thread __attribute__((tls_model("initial-exec")));
__attribute__((noreturn)) void context_other_thread(void);

static inline bool context_is_here(const struct context *c)
{
    return c->thread == &context_thread;
}

/* Whoever put emit and next into the host. A job's callbacks and what they call belong to one
 * thread: another one that emits would spoil buffers, or lose records unseen, so it ends here. */
static inline void *context_owner(struct qn_task *task)
{
    const struct context *c = (const struct context *)(const void *)task;
    if (__builtin_expect(!context_is_here(c), 0))
        context_other_thread();
    return c->owner;
}

/* The host's emit_keys where nobody knows better: one by one. */
int context_emit_keys(struct qn_task *task, const struct qn_slice *keys, size_t count,
                      struct qn_slice value);

/* Note a failure (the first one stays); returns a negative code. */
int context_fail(struct context *c, uint32_t failure, const struct err *why);
/* A failure of the engine's, classed by its code. */
int context_fail_engine(struct context *c, const struct err *why);
/* How did a callback end? 0, or the code of what failed. */
static inline int context_check(struct context *c, int returned, const char *callback);
int context_check_slow(struct context *c, int returned, const char *callback);
static inline int context_check(struct context *c, int returned, const char *callback)
{
    if (__builtin_expect(returned == 0 && c->failed.code == 0, 1))
        return 0;
    return context_check_slow(c, returned, callback);
}
/* Run setup or cleanup, if the job has one; or its look at how it was called, where run->input are
 * the paths as typed. */
int context_setup(struct context *c);
int context_check_call(struct context *c, bool has_inputs);
int context_cleanup(struct context *c);

/* A setting of the job (-D), or NULL. */
const char *context_conf(const struct context *c, const char *key);
/* The same as a size; `fallback` when it is absent or none. */
uint64_t context_conf_size(const struct context *c, const char *key, uint64_t fallback);
/* The same, of a key whose bare numbers count megabytes. */
uint64_t context_conf_megabytes(const struct context *c, const char *key, uint64_t fallback);

static inline void context_tick(struct context *c)
{
    atomic_fetch_add_explicit(&c->page->ticks, 1, memory_order_relaxed);
}
static inline void context_phase(struct context *c, enum progress_phase phase)
{
    atomic_store_explicit(&c->page->phase, phase, memory_order_relaxed);
    context_tick(c);
}
/* Now and then from host calls: a callback may emit for hours from one record. */
void context_often(struct context *c);
static inline bool context_is_often(uint64_t calls)
{
    return __builtin_expect((calls & 4095) == 0, 0);
}
static inline void context_called(struct context *c)
{
    if (context_is_often(++c->calls))
        context_often(c);
}
/* The record in hand is this one. */
static inline void context_record(struct context *c, struct slice record, uint64_t offset)
{
    struct progress_page *page = c->page;
    c->record = record;
    atomic_store_explicit(&page->input_offset, offset, memory_order_relaxed);
    atomic_store_explicit(&page->record_len, (uint32_t)record.len, memory_order_relaxed);
    /* Only this thread writes: no locked addition is needed. */
    atomic_store_explicit(&page->records_in,
                          atomic_load_explicit(&page->records_in, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}
/* What fails from here on, fails at none. */
static inline void context_no_record(struct context *c)
{
    c->record = slice_of(NULL, 0);
    atomic_store_explicit(&c->page->input_segment, 0, memory_order_relaxed);
}

#endif
