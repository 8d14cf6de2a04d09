/* SPDX-License-Identifier: Apache-2.0
 * plugin: a job's shared object, loaded and checked before anything of it runs.
 *
 * Every mistake an author can make in his table is one line that says what to do. A plugin built
 * against an older header (same ABI, smaller structs) is taken: what its table lacks is absent. One
 * built against a newer header is taken unless it uses what we do not have. */
#ifndef QUERN_WORKER_PLUGIN_PLUGIN_H
#define QUERN_WORKER_PLUGIN_PLUGIN_H

#include "include/quern/job.h"
#include "libcommon/base/err.h"
#include "libcommon/proto/task/probe.h"
#include "worker/run/fold.h"
#include "worker/run/key.h"

struct plugin {
    void *handle;
    char *path;
    bool is_memory;    /* its code, and that of stages appended, can change only memory (reach.h) */
    struct qn_job job; /* a copy; strings and functions live in the shared object */
    /* The types with what was left out filled in. */
    enum qn_type key, value;         /* what map emits */
    enum qn_type out_key, out_value; /* what the job's output has */
    enum qn_type reduce_value;       /* what reduce sees: QN_U64 for QN_COUNT */
    struct qn_job *inputs;           /* copies of its .inputs, checked; owned */
    size_t input_count;
    struct plugin *then; /* the next stage's table, checked; owned. NULL: there is none */
};

/* ERR_PLUGIN with the line for the user (it begins with the path); ERR_NOENT, ERR_NOMEM. */
int plugin_load(struct plugin *plugin, const char *path, struct err *err);
/* Never unloads the code: it may have left threads, exit handlers or thread-locals behind. */
void plugin_close(struct plugin *plugin);
/* Check a table that is already in memory: what plugin_load does after dlopen. */
int plugin_take(struct plugin *plugin, const struct qn_job *table, const char *path,
                struct err *err);

/* Another job behind the last stage of this one: it maps what that reduces. ERR_PLUGIN: they do not
 * fit; ERR_NOMEM. */
int plugin_append(struct plugin *plugin, const char *path, struct err *err);
/* The table whose .reduce is stage `stage` (1 ...); and of stage 0, whose map is. NULL: none. */
const struct plugin *plugin_of_stage(const struct plugin *plugin, uint32_t stage);

/* The table that reads a segment of this input (task_segment.input): 0 = the job's own, if it has a
 * map. NULL: there is none. */
const struct qn_job *plugin_input(const struct plugin *plugin, uint32_t input);

struct key_order plugin_order(const struct plugin *plugin);
struct fold plugin_fold(const struct plugin *plugin);

/* `grep: no option "grep.patern": it knows grep.pattern, grep.ignore.case`; ERR_CONFIG. */
int plugin_no_option(const struct plugin *plugin, const char *name, struct err *err);

/* What the plugin is, for clients. Borrows the plugin; lists live in the arena. 0 or ERR_NOMEM. */
int plugin_describe(const struct plugin *plugin, struct arena *arena, struct task_probe *ret);

#endif
