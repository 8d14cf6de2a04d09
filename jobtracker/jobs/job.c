/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/job.h"

static const struct sm_state job_rows[] = {
    [JT_JOB_WAITING] = {"waiting",
                        SM_TO(JT_JOB_RUNNING) | SM_TO(JT_JOB_FAILED) | SM_TO(JT_JOB_KILLED),
                        SM_INITIAL},
    [JT_JOB_RUNNING] = {"running",
                        SM_TO(JT_JOB_COMMITTING) | SM_TO(JT_JOB_FAILED) | SM_TO(JT_JOB_KILLED), 0},
    [JT_JOB_COMMITTING] = {"committing",
                           SM_TO(JT_JOB_SUCCEEDED) | SM_TO(JT_JOB_FAILED) | SM_TO(JT_JOB_KILLED),
                           0},
    [JT_JOB_SUCCEEDED] = {"succeeded", 0, SM_FINAL},
    [JT_JOB_FAILED] = {"failed", 0, SM_FINAL | SM_FAILURE},
    [JT_JOB_KILLED] = {"killed", 0, SM_FINAL | SM_FAILURE},
};
const struct sm_table jt_job_states = {"job", job_rows, ARRAY_LEN(job_rows)};

static const struct sm_state task_rows[] = {
    [JT_TASK_BLOCKED] = {"blocked", SM_TO(JT_TASK_WAITING) | SM_TO(JT_TASK_DONE), SM_INITIAL},
    [JT_TASK_WAITING] = {"waiting", SM_TO(JT_TASK_RUNNING) | SM_TO(JT_TASK_DONE), 0},
    [JT_TASK_RUNNING] = {"running", SM_TO(JT_TASK_WAITING) | SM_TO(JT_TASK_DONE), 0},
    [JT_TASK_DONE] = {"done", SM_TO(JT_TASK_WAITING), 0},
};
const struct sm_table jt_task_states = {"task", task_rows, ARRAY_LEN(task_rows)};

static const struct sm_state attempt_rows[] = {
    [JT_ATTEMPT_RUNNING] = {"running",
                            SM_TO(JT_ATTEMPT_DONE) | SM_TO(JT_ATTEMPT_FAILED) |
                                SM_TO(JT_ATTEMPT_KILLED),
                            SM_INITIAL},
    [JT_ATTEMPT_DONE] = {"done", SM_TO(JT_ATTEMPT_KILLED), 0}, /* its output was lost */
    [JT_ATTEMPT_FAILED] = {"failed", 0, SM_FINAL | SM_FAILURE},
    [JT_ATTEMPT_KILLED] = {"killed", 0, SM_FINAL},
};
const struct sm_table jt_attempt_states = {"attempt", attempt_rows, ARRAY_LEN(attempt_rows)};

static int make_tasks(struct jt_stage *stage, uint32_t count)
{
    stage->tasks = mem_calloc(count, sizeof(struct jt_task));
    if (!stage->tasks)
        return ERR_NOMEM;
    stage->count = stage->blocked = count;
    stage->outputs_missing = stage->feeds ? count : 0;
    for (uint32_t i = 0; i < count; i++) {
        stage->tasks[i].stage = stage;
        stage->tasks[i].index = i;
        list_init(&stage->tasks[i].attempts);
    }
    return 0;
}

int jt_stage_make_tasks(struct jt_stage *stage, uint32_t count)
{
    struct jt_task *before = stage->tasks;
    BUG_ON(stage->blocked != stage->count);
    int rc = make_tasks(stage, count);
    if (rc == 0)
        mem_free(before);
    else
        stage->tasks = before;
    return rc;
}

static int stage_init(struct jt_job *job, enum jt_stage_kind kind, uint32_t count, bool feeds)
{
    struct jt_stage *stage = &job->stages[job->stage_count];
    stage->job = job;
    stage->index = job->stage_count;
    stage->kind = kind;
    stage->reads_from = job->stage_count ? job->stage_count - 1 : JT_NO_STAGE;
    stage->asks.cores = 1;
    stage->feeds = feeds;
    stage->delay = stage->check = HEAP_NODE_INIT;
    list_init(&stage->attempts);
    list_init(&stage->matching);
    int rc = make_tasks(stage, count);
    job->stage_count += rc == 0;
    return rc;
}

/* The reduce stages, each behind the other. Of a packed one whose number of tasks nobody knows yet
 * there is one task, so that it is not done. */
static int add_shuffles(struct jt_job *job, const struct jt_shuffle *shuffles, uint32_t count)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const struct jt_shuffle *s = &shuffles[i];
        struct jt_stage *stage = &job->stages[job->stage_count];
        uint32_t tasks = !s->is_packed ? s->partitions : s->tasks ? s->tasks : 1;
        rc = stage_init(job, JT_STAGE_REDUCE, tasks, i + 1 < count);
        stage->partitions = s->partitions;
        stage->is_packed = s->is_packed;
    }
    return rc;
}

/* Splits name the same few nodes over and over. */
struct node_name {
    struct hmap_node by_hash;
    const char *text; /* in the job's arena, as this is */
};

static const char *keep_name(struct jt_job *job, struct hmap *names, struct slice text)
{
    uint64_t hash = slice_hash(text, 0);
    for (struct hmap_node *n = hmap_find(names, hash); n; n = hmap_find_next(n)) {
        const struct node_name *name = CONTAINER_OF(n, struct node_name, by_hash);
        if (slice_is(text, name->text))
            return name->text;
    }
    struct node_name *name = arena_calloc(&job->arena, 1, sizeof(*name));
    char *copy = slice_text(text, &job->arena);
    if (!name || !copy || hmap_add(names, &name->by_hash, hash) != 0)
        return NULL;
    name->text = copy;
    return copy;
}

static int take_split(struct jt_job *job, struct jt_task *task, const struct jt_split *split,
                      struct hmap *names)
{
    task->bytes = split->bytes;
    task->input = slice_keep(split->input, &job->arena);
    task->nodes = arena_calloc(&job->arena, split->node_count + 1, sizeof(char *));
    if (!task->input.data || !task->nodes)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < split->node_count; i++) {
        task->nodes[i] = keep_name(job, names, split->nodes[i]);
        if (!task->nodes[i])
            return ERR_NOMEM;
        task->node_count++;
    }
    return 0;
}

/* What the submitter wants of each stage. */
static void ask_for(struct jt_job *job, const struct jt_submit *submit)
{
    for (uint32_t i = 0; i < job->stage_count; i++) {
        struct jt_stage *stage = &job->stages[i];
        bool is_reduce = stage->kind == JT_STAGE_REDUCE;
        if (stage->kind == JT_STAGE_COMMIT) {
            if (submit->most_memory) { /* a core's share may be more: no more than a map takes */
                stage->asks.memory = submit->map.memory;
                stage->asks.bends = submit->map.bends;
            }
            continue;
        }
        stage->asks = is_reduce ? submit->reduce : submit->map;
        stage->asks.is_reduce = is_reduce;
        stage->asks.cores += stage->asks.cores == 0;
        stage->max_attempts = is_reduce ? submit->reduce_attempts : submit->map_attempts;
        stage->has_slowstart = is_reduce && submit->has_slowstart;
        stage->slowstart_percent = submit->slowstart_percent;
        stage->most_running = is_reduce ? submit->most_reduces : submit->most_maps;
        stage->no_copies = is_reduce ? submit->reduce_no_copies : submit->map_no_copies;
    }
}

static int fill(struct jt_job *job, const struct jt_submit *submit)
{
    job->name = slice_text(submit->name, &job->arena);
    job->user = slice_text(submit->user, &job->arena);
    if (!job->name || !job->user)
        return ERR_NOMEM;
    const struct jt_shuffle plain = {.partitions = submit->partitions};
    const struct jt_shuffle *shuffles = submit->shuffle_count ? submit->shuffles : &plain;
    uint32_t count = submit->shuffle_count ? submit->shuffle_count : submit->partitions > 0;
    if (count > JT_SHUFFLES_MAX)
        return ERR_INVAL;
    int rc =
        stage_init(job, count ? JT_STAGE_MAP : JT_STAGE_MAP_OUT, submit->split_count, count > 0);
    if (rc == 0)
        rc = add_shuffles(job, shuffles, count);
    if (rc == 0)
        rc = stage_init(job, JT_STAGE_COMMIT, 1, false);
    if (rc == 0)
        ask_for(job, submit);
    struct hmap names = {0};
    for (uint32_t i = 0; rc == 0 && i < submit->split_count; i++)
        rc = take_split(job, &job->stages[0].tasks[i], &submit->splits[i], &names);
    hmap_release(&names);
    return rc;
}

struct jt_job *jt_job_new(uint64_t number, const struct jt_submit *submit, uint64_t now_ms)
{
    struct jt_job *job = mem_calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->number = number;
    job->priority = submit->priority;
    job->submitted_ms = now_ms;
    job->spec = submit->spec;
    job->version = 1;
    list_init(&job->all);
    list_init(&job->active);
    list_init(&job->changed);
    list_init(&job->aside);
    list_init(&job->cornered);
    list_init(&job->untold);
    list_init(&job->links);
    list_init(&job->fetching);
    list_init(&job->claim.of_queue);
    job->claim.poor = job->claim.rich = job->claim.waits = HEAP_NODE_INIT;
    job->claim.most_memory = submit->most_memory;
    if (fill(job, submit) != 0) {
        jt_job_free(job);
        return NULL;
    }
    return job;
}

static void free_places(struct hmap *places)
{
    hmap_each (places, n)
        mem_free(CONTAINER_OF(n, struct jt_place, by_name)->tasks);
    hmap_release(places); /* the places themselves are in the job's arena */
}

static void free_stage(struct jt_stage *stage)
{
    for (uint32_t i = 0; i < stage->count; i++) {
        struct jt_task *task = &stage->tasks[i];
        list_each_safe (&task->attempts, it) {
            struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
            list_remove(&attempt->on_worker);
            list_remove(&attempt->of_stage);
            mem_free(attempt->why);
            mem_free(attempt);
        }
        mem_free((void *)(uintptr_t)task->result.data);
    }
    list_remove(&stage->matching);
    free_places(&stage->nodes);
    free_places(&stage->racks);
    mem_free(stage->anywhere.tasks);
    mem_free(stage->unrestricted.tasks);
    jt_middle_release(&stage->rates);
    jt_middle_release(&stage->run_ms);
    mem_free(stage->tasks);
}

void jt_job_free(struct jt_job *job)
{
    if (!job)
        return;
    for (uint32_t i = 0; i < job->stage_count; i++)
        free_stage(&job->stages[i]);
    list_each_safe (&job->links, it)
        jt_link_free(list_entry(it, struct jt_link, of_job));
    hmap_release(&job->links_by_worker);
    list_remove(&job->all);
    list_remove(&job->active);
    list_remove(&job->changed);
    list_remove(&job->aside);
    list_remove(&job->cornered);
    list_remove(&job->untold);
    list_remove(&job->claim.of_queue);
    mem_free(job->outputs);
    mem_free(job->why);
    arena_release(&job->arena);
    mem_free(job);
}

static uint32_t *count_of(struct jt_stage *stage, unsigned state)
{
    switch (state) {
    case JT_TASK_BLOCKED:
        return &stage->blocked;
    case JT_TASK_WAITING:
        return &stage->waiting;
    case JT_TASK_RUNNING:
        return &stage->running;
    default:
        return &stage->done;
    }
}

void jt_task_move(struct jt_task *task, enum jt_task_state to)
{
    --*count_of(task->stage, task->state);
    sm_move(&jt_task_states, &task->state, to);
    ++*count_of(task->stage, task->state);
}

struct jt_attempt *jt_attempt_new(struct jt_task *task, struct jt_worker *worker, uint64_t now_ms)
{
    struct jt_attempt *attempt = mem_calloc(1, sizeof(*attempt));
    if (!attempt)
        return NULL;
    attempt->task = task;
    attempt->worker = worker;
    attempt->number = task->next_attempt++;
    attempt->start_ms = now_ms;
    list_init(&attempt->on_worker);
    list_init(&attempt->of_stage);
    list_init(&attempt->in_row);
    list_push_back(&task->attempts, &attempt->of_task);
    return attempt;
}

void jt_attempt_take_progress(struct jt_attempt *attempt, const struct jt_progress *progress)
{
    attempt->bytes_in = progress->bytes_in;
    attempt->bytes_total = progress->bytes_total;
    attempt->records_in = progress->records_in;
    attempt->records_out = progress->records_out;
    attempt->idle_ms = progress->idle_ms;
}

struct jt_attempt *jt_attempt_find(const struct jt_task *task, uint32_t number)
{
    list_each (&task->attempts, it) {
        struct jt_attempt *attempt = list_entry(it, struct jt_attempt, of_task);
        if (attempt->number == number)
            return attempt;
    }
    return NULL;
}

struct jt_task *jt_job_task(struct jt_job *job, uint32_t stage, uint32_t task)
{
    if (stage >= job->stage_count || task >= job->stages[stage].count)
        return NULL;
    return &job->stages[stage].tasks[task];
}

struct jt_link *jt_link_find(const struct jt_job *job, const struct jt_worker *worker)
{
    struct hmap_node *n = hmap_find(&job->links_by_worker, hash_u64(worker->number));
    for (; n; n = hmap_find_next(n)) {
        struct jt_link *link = CONTAINER_OF(n, struct jt_link, by_worker);
        if (link->worker == worker)
            return link;
    }
    return NULL;
}

struct jt_link *jt_link_get(struct jt_job *job, struct jt_worker *worker)
{
    struct jt_link *link = jt_link_find(job, worker);
    if (link)
        return link;
    link = mem_calloc(1, sizeof(*link));
    if (!link || hmap_add(&job->links_by_worker, &link->by_worker, hash_u64(worker->number)) != 0) {
        mem_free(link);
        return NULL;
    }
    link->job = job;
    link->worker = worker;
    list_init(&link->fetching);
    list_push_front(&worker->links, &link->of_worker);
    list_push_back(&job->links, &link->of_job);
    return link;
}

void jt_link_free(struct jt_link *link)
{
    hmap_remove(&link->job->links_by_worker, &link->by_worker);
    list_remove(&link->of_worker);
    list_remove(&link->of_job);
    list_remove(&link->fetching);
    mem_free(link);
}

void jt_stage_note_run(struct jt_stage *stage, uint64_t ms)
{
    stage->run_ms_sum += ms;
    jt_middle_add(&stage->run_ms, ms);
}

uint64_t jt_stage_mean_ms(const struct jt_stage *stage)
{
    return stage->run_ms.seen ? stage->run_ms_sum / stage->run_ms.seen : 0;
}

bool jt_stage_is_done(const struct jt_stage *stage)
{
    return stage->done == stage->count;
}

bool jt_stage_is_needed(const struct jt_stage *stage)
{
    if (!stage->feeds || jt_job_is_over(stage->job))
        return false;
    for (uint32_t i = 0; i < stage->job->stage_count; i++) {
        const struct jt_stage *reader = &stage->job->stages[i];
        if (reader->reads_from == stage->index && !jt_stage_is_done(reader))
            return true;
    }
    return false;
}

bool jt_job_is_over(const struct jt_job *job)
{
    return sm_is_final(&jt_job_states, job->state);
}

/* Few tasks ever fail: the others have no room for it. Without memory the task may go back there.
 */
void jt_task_blame(struct jt_task *task, const struct jt_worker *worker)
{
    if (!task->failed_on)
        task->failed_on = arena_calloc(&task->stage->job->arena, JT_FAILED_ON, sizeof(char *));
    if (!task->failed_on)
        return;
    memmove(&task->failed_on[1], &task->failed_on[0], sizeof(char *) * (JT_FAILED_ON - 1));
    task->failed_on[0] = worker->name;
}

bool jt_task_failed_on(const struct jt_task *task, const struct jt_worker *worker)
{
    for (size_t i = 0; task->failed_on && i < JT_FAILED_ON && task->failed_on[i]; i++)
        if (task->failed_on[i] == worker->name)
            return true;
    return false;
}
