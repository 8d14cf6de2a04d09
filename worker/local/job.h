/* SPDX-License-Identifier: Apache-2.0
 * job: the state of a job under the local driver: its tasks, what they left, what is to run next.
 * It neither starts processes nor reads clocks: pool.c and local.c do. */
#ifndef QUERN_WORKER_LOCAL_JOB_H
#define QUERN_WORKER_LOCAL_JOB_H

#include "client/lib/reducers.h"
#include "client/lib/splits.h"
#include "libcommon/base/ids.h"
#include "libcommon/proto/cl_nn/publish.h"
#include "libcommon/proto/task/messages.h"
#include "libcommon/proto/task/probe.h"
#include "worker/plugin/counters.h"

struct job_task {
    uint32_t kind; /* enum task_kind */
    uint32_t stage;
    uint32_t index;
    uint32_t attempts; /* started */
    bool is_running, is_done;
    int memfd;      /* a map's run, owned; -1 */
    char *run_path; /* where a reducer opens it; owned */
    uint64_t bytes; /* of input */
    uint64_t wall_us;
};

/* Tasks of one kind. What those of a stage that is not the last make, the next one fetches. */
struct job_stage {
    struct job_task *tasks;
    size_t count, done;
    bool is_planned;   /* it has its tasks; of a reduce stage: when what it reads is there */
    uint64_t *raw;     /* reduce: bytes in each partition, before combining */
    uint32_t *task_of; /* which of its tasks has which partition */
    struct task_source *sources; /* of its tasks' outputs, as they finish */
};

struct job {
    struct arena arena;
    const char *name, *plugin; /* plugin: absolute path */
    const char *scratch;       /* directory of its own */
    const char *stage;         /* directory in which the output is made */
    struct task_probe probe;
    struct msg_pair_list conf;
    struct task_side_list sides;
    const struct split_file *files;
    struct splits splits;
    struct cl2jt_shuffle shuffles[TASK_SHUFFLES_MAX];
    size_t shuffle_count; /* stages that reduce; 0 = what maps emit is the output */
    uint64_t map_memory, reduce_memory;
    uint32_t max_attempts;
    uint32_t mode; /* enum cl2nn_publish_mode */
    uint64_t cluster_ms;
    struct job_stage stages[TASK_SHUFFLES_MAX + 1]; /* [0]: maps */
    struct job_task commit;
    uint64_t output_memory;      /* what memfds may hold in all */
    uint64_t output_memory_used; /* finished ones */
    struct counters counters;
    struct task_times times;                             /* summed over tasks */
    struct task_account accounts[TASK_SHUFFLES_MAX + 1]; /* likewise, by stage */
    uint64_t out_bytes;
    struct task_file *out_files; /* of tasks that are done; strings in the arena */
    size_t out_count, out_cap;
    bool has_failed;
    struct task_failed failed; /* copied into the arena */
};

/* Make the maps; name, plugin, probe,
 * conf, splits ... are set. 0 or ERR_NOMEM. */
int job_plan(struct job *job);
void job_release(struct job *job);

/* The next task to start, or NULL: nothing is startable now. Stages in order, then the commit, each
 * when those before are done. */
struct job_task *job_next(struct job *job);
bool job_is_over(const struct job *job);

/* What the task is to do, as its next attempt (counts it). The arena holds what the job does not. 0
 * or ERR_NOMEM. `output_memory`: what the memfd offered may hold, 0 = none is offered. */
int job_describe(struct job *job, struct job_task *task, uint64_t output_memory,
                 struct arena *arena, struct task_run *ret);
/* A split as a task is told it; paths are the job's. */
int job_describe_input(const struct job *job, const struct split *split, struct arena *arena,
                       struct task_segment_list *ret);
/* Memory a map may be offered when `slots` of them run at once. */
uint64_t job_output_memory(const struct job *job, size_t slots);

/* "job_1763740000000_0001": as a jobtracker would call it. */
const char *job_id(const struct job *job, char out[ID_TEXT_MAX]);
/* What the tasks that are done have left, in order of name. */
struct task_file_list job_out_files(struct job *job);

/* A task is done; takes memfd (-1 = none), which is closed when its run is not in it. */
int job_done(struct job *job, struct job_task *task, const struct task_done *done, int memfd,
             struct err *err);
/* An attempt failed: the task runs again, or the job has failed. */
void job_failed(struct job *job, struct job_task *task, const struct task_failed *failed);

/* The last stage: whose files are the output. */
const struct job_stage *job_last(const struct job *job);

#endif
