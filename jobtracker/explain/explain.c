/* SPDX-License-Identifier: Apache-2.0
 * explain: see the header. One function a rule, one row a rule in `rules` at the end. Each compares
 * like with like inside one run (a task with the others of its stage), so that neither the size of
 * the machine nor of the job matters. */
#include "jobtracker/explain/explain.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h> /* qsort */
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define SKEW_TIMES    5  /* a partition so many times the median is skewed */
#define HOT_TIMES     2  /* a hot key's reduce has so many times the median's values */
#define HOT_PERCENT   5  /* a key with such a share of a stage's values is hot */
#define SLOW_PERCENT  70 /* a node below this share of the others' rate is slow */
#define SLOW_TASKS    3  /* ... when so many tasks say so */
#define SPILL_PERCENT 30 /* of the maps' time in spills and merges */
#define SORT_EACH     40 /* bytes a record takes in the sort buffer beside its own */
#define SMALL_FILES   1000
#define SMALL_BYTES   (1U << 20)
#define LOCAL_PERCENT 80
#define GROWN_PERCENT 150
#define READ_BYTES_MS 200000 /* 200 MB/s: reading large files takes about so long */
#define KEY_SHOWN     40     /* bytes, of the one a finding is about */
#define NAME_SHOWN    12     /* of others */
#define PATH_SHOWN    100

struct findings {
    const struct explain_job *job;
    struct finding *list;
    size_t count;
};

static void tell(struct findings *f, const char *code, uint64_t cost_ms, const char *fix,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void tell(struct findings *f, const char *code, uint64_t cost_ms, const char *fix,
                 const char *fmt, ...)
{
    if (f->count == EXPLAIN_MAX)
        return;
    struct finding *one = &f->list[f->count++];
    va_list args;
    uint64_t all_ms = f->job->elapsed_ms; /* side by side more may have been lost */
    *one = (struct finding){.code = code, .cost_ms = cost_ms < all_ms ? cost_ms : all_ms};
    va_start(args, fmt);
    vsnprintf(one->says, sizeof(one->says), fmt, args);
    va_end(args);
    snprintf(one->fix, sizeof(one->fix), "%s", fix);
}

static bool is_worth_it(const struct explain_job *job, uint64_t cost_ms)
{
    return cost_ms >= EXPLAIN_MIN_MS && cost_ms * 100 >= job->elapsed_ms * EXPLAIN_MIN_SHARE;
}

/* --- what tasks have in common --------------------------------------------------------------- */

static int by_ms(const void *a, const void *b)
{
    const struct explain_task *x = a, *y = b;
    return x->ms != y->ms ? (x->ms > y->ms) - (x->ms < y->ms)
                          : (x->index > y->index) - (x->index < y->index);
}

/* Tasks are in order of their times; the middle one. Of two it is the shorter: with it the longer
 * is compared. */
static uint64_t median_ms(const struct explain_stage *stage)
{
    return stage->count ? stage->tasks[(stage->count - 1) / 2].ms : 0;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t median_of(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_number);
    return count ? values[(count - 1) / 2] : 0;
}

static uint64_t bytes_of(const struct explain_task *task)
{
    return task->bytes;
}

static uint64_t records_of(const struct explain_task *task)
{
    return task->records;
}

/* The middle one of the tasks' sizes; a size nothing is skewed against when memory is out. */
static uint64_t median_size(const struct explain_stage *stage,
                            uint64_t (*size_of)(const struct explain_task *task))
{
    uint64_t *sizes = mem_alloc(stage->count * sizeof(*sizes));
    for (size_t i = 0; sizes && i < stage->count; i++)
        sizes[i] = size_of(&stage->tasks[i]);
    uint64_t middle = sizes ? median_of(sizes, stage->count) : UINT64_MAX / SKEW_TIMES;
    mem_free(sizes);
    return middle;
}

/* Bytes a second; a task without bytes says nothing about its node. */
static uint64_t rate_of(const struct explain_task *task)
{
    return task->ms ? task->bytes * 1000 / task->ms : 0;
}

/* Of the stage's wall time, what took `us` of its tasks' time together. */
static uint64_t share_of_wall(const struct explain_stage *stage, uint64_t us)
{
    uint64_t total = 0;
    for (size_t i = 0; i < stage->count; i++)
        total += stage->tasks[i].total_us;
    return total ? (uint64_t)((double)stage->elapsed_ms * (double)us / (double)total) : 0;
}

/* --- the rules ------------------------------------------------------------------------------- */

static const struct explain_task *last_of(const struct explain_stage *stage)
{
    return stage->count ? &stage->tasks[stage->count - 1] : NULL;
}

/* What its keys cost a reduce: a disk that was slow to take what it made says nothing of them. */
static uint64_t keys_ms(const struct explain_task *task)
{
    uint64_t aside = task->aside_us / 1000;
    return task->ms > aside ? task->ms - aside : 0;
}

static const struct explain_task *slowest_by_keys(const struct explain_stage *stage)
{
    const struct explain_task *slow = last_of(stage);
    for (size_t i = stage->count; i-- > 0;)
        if (keys_ms(&stage->tasks[i]) > keys_ms(slow))
            slow = &stage->tasks[i];
    return slow;
}

/* More than they cost the usual one. */
static uint64_t cost_of_keys(const struct explain_stage *stage, const struct explain_task *slow)
{
    uint64_t most = keys_ms(slow), usual = median_size(stage, keys_ms);
    return most > usual ? most - usual : 0;
}

/* True when the slowest reduce is slow because of one key: it has more values than is usual, and
 * most of them are that key's. */
static bool is_hot(const struct explain_stage *stage, uint64_t *ret_all)
{
    uint64_t all = 0;
    for (size_t i = 0; i < stage->count; i++)
        all += stage->tasks[i].records;
    *ret_all = all;
    const struct explain_task *slow = slowest_by_keys(stage);
    return stage->count > 1 && slow->top_records * 2 >= slow->records &&
           slow->records > HOT_TIMES * median_size(stage, records_of) &&
           (slow->top_records * 100 >= all * HOT_PERCENT ||
            slow->bytes > SKEW_TIMES * median_size(stage, bytes_of));
}

/* Of the maps' keys only the first bytes are known. */
static bool is_told(struct slice told, struct slice key)
{
    return key.len ? slice_has_prefix(told, key) : told.len == 0;
}

/* Others that are hot too, by what the maps have told: these are counted within bounds. */
static void tell_more_keys(const struct explain_job *job, struct slice told, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < job->key_count && n + 1 < cap; i++) {
        const struct explain_key *key = &job->keys[i];
        char name[SLICE_SHOWN(NAME_SHOWN)];
        if (key->low * 100 < job->key_records * HOT_PERCENT || is_told(told, key->key))
            continue;
        slice_show(key->key, NAME_SHOWN, name);
        double middle = (double)(key->low + key->high) / 2, all = (double)job->key_records;
        int len = snprintf(out + n, cap - n, ", \"%s\" %.1f %% (± %.1f)", name, middle * 100 / all,
                           (double)(key->high - key->low) * 50 / all);
        if (len < 0 || (size_t)len >= cap - n) { /* not half of it */
            out[n] = 0;
            return;
        }
        n += (size_t)len;
    }
}

static void hot_key(struct findings *f, const struct explain_stage *stage)
{
    uint64_t all;
    if (stage->kind != EXPLAIN_REDUCE || !is_hot(stage, &all) || all == 0)
        return;
    const struct explain_task *slow = slowest_by_keys(stage);
    uint64_t cost = cost_of_keys(stage, slow);
    char key[SLICE_SHOWN(KEY_SHOWN)], values[32], took[32], others[32], more[80];
    if (!is_worth_it(f->job, cost))
        return;
    slice_show(slow->top_key, KEY_SHOWN, key);
    tell_more_keys(f->job, slow->top_key, more, sizeof(more));
    tell(f, "HOT_KEY", cost,
         "more reducers will not help: declare a combiner, or split that key and join its parts "
         "later",
         "the key \"%s\" has %" PRIu64 " %% of all values (%s ± 0)%s: reduce %" PRIu32
         " took %s, the others %s",
         key, slow->top_records * 100 / all,
         str_thousands(slow->top_records, values, sizeof(values)), more, slow->index,
         str_duration(slow->ms, took, sizeof(took)),
         str_duration(median_ms(stage), others, sizeof(others)));
}

static void skew_reduce(struct findings *f, const struct explain_stage *stage)
{
    uint64_t all;
    if (stage->kind != EXPLAIN_REDUCE || stage->count < 2 || is_hot(stage, &all))
        return;
    const struct explain_task *slow = slowest_by_keys(stage);
    uint64_t cost = cost_of_keys(stage, slow), middle = median_size(stage, bytes_of);
    char size[32], usual[32];
    if (slow->bytes > SKEW_TIMES * middle && is_worth_it(f->job, cost))
        tell(f, "SKEW_REDUCE", cost,
             "more reducers spread many keys better (-reduces N); or give the job a partition "
             "function",
             "reduce %" PRIu32 " got %s, the usual one %s: many keys fall into one partition",
             slow->index, str_human(slow->bytes, size, sizeof(size)),
             str_human(middle, usual, sizeof(usual)));
}

/* A gzip file is one split, however long; so is a line. */
static void skew_split(struct findings *f, const struct explain_stage *stage)
{
    const struct explain_task *slow = last_of(stage);
    uint64_t cost = slow->ms - median_ms(stage), middle = median_size(stage, bytes_of);
    char name[SLICE_SHOWN(PATH_SHOWN)], size[32], usual[32], took[32], others[32];
    if (stage->kind != EXPLAIN_MAP || stage->count < 2 || slow->bytes <= SKEW_TIMES * middle ||
        !is_worth_it(f->job, cost))
        return;
    slice_show(slow->input, PATH_SHOWN, name);
    tell(f, "SKEW_SPLIT", cost,
         "store that file so that it can be split: as plain text, lz4, or zstd of several "
         "frames; or smaller splits (mapreduce.input.fileinputformat.split.maxsize)",
         "map %" PRIu32 " read %s (%s), the usual one %s: it took %s, the others %s", slow->index,
         str_human(slow->bytes, size, sizeof(size)), name, str_human(middle, usual, sizeof(usual)),
         str_duration(slow->ms, took, sizeof(took)),
         str_duration(median_ms(stage), others, sizeof(others)));
}

struct pace {
    uint64_t node, others; /* median rates */
    size_t tasks;
    uint64_t excess_ms; /* the longest any task there took more than it would elsewhere */
};

/* Of those that read from as near as the slowest did: what comes from afar is slow anywhere. */
static struct pace pace_of(const struct explain_stage *stage, const struct explain_task *slow,
                           uint64_t *room)
{
    const char *node = slow->node;
    struct pace p = {0};
    size_t here = 0, elsewhere = 0;
    for (size_t i = 0; i < stage->count;
         i++) { /* those here from the front, others from the back */
        const struct explain_task *t = &stage->tasks[i];
        if (t->bytes == 0 || t->is_local != slow->is_local)
            continue;
        if (strcmp(t->node, node) == 0)
            room[here++] = rate_of(t);
        else
            room[stage->count - ++elsewhere] = rate_of(t);
    }
    p.tasks = here;
    p.node = median_of(room, here);
    p.others = median_of(room + stage->count - elsewhere, elsewhere);
    for (size_t i = 0; p.others && i < stage->count; i++) {
        const struct explain_task *t = &stage->tasks[i];
        uint64_t healthy = t->bytes * 1000 / p.others;
        if (strcmp(t->node, node) == 0 && t->is_local == slow->is_local && t->ms > healthy &&
            t->ms - healthy > p.excess_ms)
            p.excess_ms = t->ms - healthy;
    }
    return p;
}

static void slow_node(struct findings *f, const struct explain_stage *stage)
{
    const struct explain_task *slow = last_of(stage);
    uint64_t *room =
        stage->count >= 2 * SLOW_TASKS ? mem_alloc(stage->count * sizeof(*room)) : NULL;
    if (!room)
        return;
    struct pace p = pace_of(stage, slow, room);
    mem_free(room);
    char here[32], there[32];
    if (p.tasks >= SLOW_TASKS && p.node * 100 < p.others * SLOW_PERCENT &&
        is_worth_it(f->job, p.excess_ms))
        tell(f, "SLOW_NODE", p.excess_ms,
             "look at that machine's disks, memory and network (quern job -workers)",
             "%zu tasks on %s ran at %s/s, those of the same stage elsewhere at %s/s", p.tasks,
             slow->node, str_human(p.node, here, sizeof(here)),
             str_human(p.others, there, sizeof(there)));
}

/* A buffer that holds all that a map sorts. What its combiner leaves is known by what was spilled:
 * as much again may have been left at the end. */
static uint64_t buffer_for(const struct explain_task *t)
{
    uint64_t records = 2 * t->spilled < t->emitted ? 2 * t->spilled : t->emitted;
    uint64_t bytes = t->emitted ? t->emitted_bytes / t->emitted + 1 : 0;
    return records * (bytes + SORT_EACH);
}

static uint64_t in_megabytes(uint64_t bytes)
{
    return (bytes >> 20) + 1;
}

static void tell_spill(struct findings *f, uint64_t cost, uint64_t percent,
                       const struct explain_task *all, const struct explain_task *most)
{
    uint64_t buffer = buffer_for(most), set = f->job->sort_bytes;
    bool has_little = buffer > most->memory / 2;
    char size[32], count[32], needs[32], fix[sizeof(f->list->fix)], sort[64] = "", memory[64] = "";
    if (set)
        snprintf(sort, sizeof(sort), " -D mapreduce.task.io.sort.mb=%" PRIu64,
                 in_megabytes(buffer));
    if (has_little || !set)
        snprintf(memory, sizeof(memory), " -D mapreduce.map.memory.mb=%" PRIu64,
                 2 * in_megabytes(buffer));
    snprintf(fix, sizeof(fix),
             "give the maps a larger buffer:%s%s; or smaller splits, or a combiner", sort, memory);
    tell(f, "SPILL", cost, fix,
         "the maps wrote %s (%s records) to disk before the end and merged them, %" PRIu64
         " %% of their time: the records of one need a buffer of %s",
         str_human(all->spilled_bytes, size, sizeof(size)),
         str_thousands(all->spilled, count, sizeof(count)), percent,
         str_human(buffer, needs, sizeof(needs)));
}

static void spill(struct findings *f, const struct explain_stage *stage)
{
    struct explain_task all = {0};
    const struct explain_task *most = last_of(stage);
    for (size_t i = 0; i < stage->count; i++) {
        const struct explain_task *t = &stage->tasks[i];
        all.spill_us += t->spill_us;
        all.merge_us += t->merge_us;
        all.total_us += t->total_us;
        all.spilled += t->spilled;
        all.spilled_bytes += t->spilled_bytes;
        if (buffer_for(t) > buffer_for(most))
            most = t;
    }
    uint64_t spent = all.spill_us + all.merge_us, cost = share_of_wall(stage, spent);
    if (stage->kind == EXPLAIN_MAP && all.spilled && spent * 100 > all.total_us * SPILL_PERCENT &&
        is_worth_it(f->job, cost))
        tell_spill(f, cost, spent * 100 / all.total_us, &all, most);
}

static void small_files(struct findings *f, const struct explain_stage *stage)
{
    const struct explain_job *job = f->job;
    uint64_t read_us = 0;
    for (size_t i = 0; i < stage->count; i++)
        read_us += stage->tasks[i].read_us;
    uint64_t large_us = job->bytes * 1000 / READ_BYTES_MS;
    uint64_t cost = share_of_wall(stage, read_us > large_us ? read_us - large_us : 0);
    char mean[32], files[32];
    if (stage->kind == EXPLAIN_MAP && job->files >= SMALL_FILES &&
        job->bytes / job->files < SMALL_BYTES && is_worth_it(job, cost))
        tell(f, "SMALL_FILES", cost,
             "store them joined: quern fs -getmerge, or a map-only job over them",
             "%s files of %s in the mean: opening them took longer than reading them",
             str_thousands(job->files, files, sizeof(files)),
             str_human(job->bytes / job->files, mean, sizeof(mean)));
}

static void locality_low(struct findings *f, const struct explain_stage *stage)
{
    uint64_t local = 0, near_rate = 0, far_rate = 0, far_us = 0;
    for (size_t i = 0; i < stage->count; i++) {
        const struct explain_task *t = &stage->tasks[i];
        local += t->is_local;
        *(t->is_local ? &near_rate : &far_rate) += rate_of(t);
        far_us += t->is_local ? 0 : t->total_us;
    }
    uint64_t far = stage->count - local;
    if (stage->kind != EXPLAIN_MAP || stage->count < 10 || local == 0 ||
        local * 100 >= stage->count * LOCAL_PERCENT)
        return;
    near_rate /= local;
    far_rate /= far;
    uint64_t cost =
        far_rate < near_rate
            ? share_of_wall(
                  stage, far_us - (uint64_t)((double)far_us * (double)far_rate / (double)near_rate))
            : 0;
    if (is_worth_it(f->job, cost))
        tell(f, "LOCALITY_LOW", cost,
             "raise the replication of that input (quern fs -setrep), or jobtracker.locality.wait",
             "%" PRIu64 " of %zu maps read from other nodes, %" PRIu64 " %% slower", far,
             stage->count, 100 - far_rate * 100 / near_rate);
}

static void fetch_fail(struct findings *f, const struct explain_stage *stage)
{
    const char *task = stage->kind == EXPLAIN_REDUCE ? "reduce" : "map";
    if (stage->again)
        tell(f, "FETCH_FAIL", (uint64_t)stage->again * median_ms(stage),
             stage->unread ? "look at that machine's local disks (worker.local.dir) and network"
                           : "see the log of that worker, and of its machine, for why it was gone",
             "%" PRIu32 " finished %s%s ran again: what %s had made %s %s", stage->again, task,
             stage->again == 1 ? "" : "s", stage->again == 1 ? "it" : "they",
             stage->unread ? "could not be read from" : "was lost with",
             stage->again_node ? stage->again_node : "its worker");
}

static void node_lost(struct findings *f, const struct explain_stage *stage)
{
    if (stage->cut_off && stage->kind != EXPLAIN_OTHER)
        tell(f, "NODE_LOST", stage->cut_off_ms,
             "see the log of that worker, and of its machine, for why it was gone",
             "%" PRIu32 " running %s%s had to begin again: %s was lost", stage->cut_off,
             stage->kind == EXPLAIN_REDUCE ? "reduce" : "map", stage->cut_off == 1 ? "" : "s",
             stage->lost_node ? stage->lost_node : "its worker");
}

static void oom_limit(struct findings *f)
{
    const struct explain_memory *m = &f->job->memory;
    char limit[32], fix[sizeof(f->list->fix)];
    if (m->count == 0)
        return;
    snprintf(fix, sizeof(fix),
             "find what grows with the data in the plugin; else -D mapreduce.%s.memory.mb=%" PRIu64,
             m->is_reduce ? "reduce" : "map", 2 * (m->limit >> 20));
    tell(f, "OOM_LIMIT", m->ms, fix,
         "%" PRIu32 " attempt%s wanted more memory than %s limit: %sa %s on %s with %s", m->count,
         m->count == 1 ? "" : "s", m->count == 1 ? "its" : "their", m->count == 1 ? "" : "last ",
         m->is_reduce ? "reduce" : "map", m->node, str_human(m->limit, limit, sizeof(limit)));
}

bool explain_is_alike(struct slice a, struct slice b)
{
    size_t i = 0, j = 0;
    for (;;) {
        bool is_number = i < a.len && j < b.len && isdigit(a.data[i]) && isdigit(b.data[j]);
        while (is_number && i < a.len && isdigit(a.data[i]))
            i++;
        while (is_number && j < b.len && isdigit(b.data[j]))
            j++;
        if (i == a.len || j == b.len)
            return i == a.len && j == b.len;
        if (a.data[i++] != b.data[j++])
            return false;
    }
}

static void volume_up(struct findings *f)
{
    const struct explain_job *job = f->job;
    char now[32], before[32];
    if (job->previous_bytes == 0 || job->bytes * 100 < job->previous_bytes * GROWN_PERCENT)
        return;
    uint64_t cost = job->elapsed_ms - (uint64_t)((double)job->elapsed_ms *
                                                 (double)job->previous_bytes / (double)job->bytes);
    if (is_worth_it(job, cost))
        tell(f, "VOLUME_UP", cost, "nothing is wrong with the job: it has more to do",
             "%s of input, the run before had %s", str_human(job->bytes, now, sizeof(now)),
             str_human(job->previous_bytes, before, sizeof(before)));
}

typedef void stage_rule(struct findings *f, const struct explain_stage *stage);
typedef void job_rule(struct findings *f);

static stage_rule *const stage_rules[] = {hot_key,     skew_reduce,  skew_split, slow_node, spill,
                                          small_files, locality_low, fetch_fail, node_lost};
static job_rule *const job_rules[] = {oom_limit, volume_up};

static int by_cost(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    return (x->cost_ms < y->cost_ms) - (x->cost_ms > y->cost_ms);
}

size_t explain(const struct explain_job *job, struct finding *ret)
{
    struct findings f = {.job = job, .list = ret};
    for (size_t s = 0; s < job->count; s++) {
        struct explain_stage *stage = &job->stages[s];
        if (stage->count == 0)
            continue;
        qsort(stage->tasks, stage->count, sizeof(*stage->tasks), by_ms);
        for (size_t i = 0; i < ARRAY_LEN(stage_rules); i++)
            stage_rules[i](&f, stage);
    }
    for (size_t i = 0; i < ARRAY_LEN(job_rules); i++)
        job_rules[i](&f);
    qsort(f.list, f.count, sizeof(*f.list), by_cost);
    return f.count;
}
