/* SPDX-License-Identifier: Apache-2.0
 * scheduler_bench: the jobtracker's core around a big cluster in virtual time (tests/sim/crowd):
 * how many tasks it starts a second of this machine's time, what an event costs, and how many bytes
 * a task takes.
 *
 *   scheduler_bench [-workers 10000] [-cores 2] [-jobs 500] [-tasks 100000]
 *
 * Tasks are maps of 0.2 to 1 s on nodes drawn at random, three replicas each, in four queues of
 * different weights; beats of all workers are in the time. Bytes are of the heap while all maps of
 * a job are done and its reduces run: nothing of it may leave yet. Inputs and results are what a
 * word count's maps have. Prints one line for each. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "tests/sim/crowd.h"

#define QUEUES 4

struct bench {
    uint64_t workers, cores, jobs, tasks;
};

static uint64_t uneven(const struct crowd *crowd, const struct jt_attempt *a)
{
    (void)crowd;
    return 200 + hash_u64(a->task->index ^ a->task->stage->job->number << 32) % 800;
}

static struct slice encoded(const struct msg_desc *desc, const void *msg, struct buf *out)
{
    msg_encode(desc, msg, out);
    BUG_ON(buf_failed(out));
    return buf_slice(out);
}

/* Of a map of a word count, as its worker tells it. */
static struct slice typical_result(struct buf *out)
{
    static const char *const names[] = {
        "Combine input records",
        "Combine output records",
        "Map input bytes",
        "Map input records",
        "Map output bytes",
        "Map output records",
        "Map output materialized bytes",
        "Spilled Records",
        "spills",
    };
    struct msg_counter counters[ARRAY_LEN(names)];
    uint64_t raw[8];
    struct task_done done = {.id = {1795292336588, 17, 0, 4711, 0}, .peak_memory = 70123456};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        counters[i] = (struct msg_counter){slice_str("quern"), slice_str(names[i]), 12345678};
    for (size_t i = 0; i < ARRAY_LEN(raw); i++)
        raw[i] = 1234567;
    done.counters = (struct msg_counter_list){counters, ARRAY_LEN(counters)};
    done.raw = (struct msg_u64s){raw, ARRAY_LEN(raw)};
    done.run_len = 1234567;
    done.times = (struct task_times){.total = 412345, .read = 12345, .sort = 12345};
    done.account = (struct task_account){
        .in_bytes = 134217728, .in_records = 1234567, .cpu_us = 412345, .peak_memory = 70123456};
    return encoded(&task_done_desc, &done, out);
}

static struct slice typical_input(struct buf *out)
{
    struct task_segment segment = {slice_str("/data/logs/2026/11/21/server-0017.log"), 134217728,
                                   134217728, 1073741824};
    struct slice nodes[] = {slice_str("node17.example"), slice_str("node4.example"),
                            slice_str("node23.example")};
    struct cl2jt_split split = {
        .segments = {&segment, 1}, .bytes = 134217728, .nodes = {nodes, ARRAY_LEN(nodes)}};
    return encoded(&cl2jt_split_desc, &split, out);
}

static void starts(const struct bench *b)
{
    struct jt_queue_conf queues[QUEUES] = {{.name = slice_str(JT_QUEUE_DEFAULT), .weight = 1},
                                           {.name = slice_str("two"), .weight = 2},
                                           {.name = slice_str("three"), .weight = 3},
                                           {.name = slice_str("four"), .weight = 4}};
    struct crowd *crowd = crowd_new(&(struct crowd_conf){.workers = (uint32_t)b->workers,
                                                         .cores = (uint32_t)b->cores,
                                                         .racks = 100,
                                                         .work_ms = uneven});
    BUG_ON(jt_queues_configure(&crowd->core.queues, queues, QUEUES) != 0);
    uint64_t began_us = clock_mono_us();
    for (uint64_t i = 0; i < b->jobs; i++)
        crowd_submit(crowd, (struct jt_submit){.priority = 2, .queue = queues[i % QUEUES].name},
                     (uint32_t)(b->tasks / b->jobs), 3);
    uint64_t submitted_us = clock_mono_us();
    crowd_run(crowd, UINT64_MAX);
    double s = (double)(clock_mono_us() - began_us) / 1e6;
    printf("scheduler: %llu workers, %llu jobs, %llu tasks in %.3f s (submitted in %.3f s), %.0f "
           "starts/s, %.1f steps an event, at most %llu\n",
           (unsigned long long)b->workers, (unsigned long long)b->jobs,
           (unsigned long long)crowd->dones, s, (double)(submitted_us - began_us) / 1e6,
           (double)crowd->starts / s, (double)crowd->event_steps / (double)crowd->events,
           (unsigned long long)crowd->most_steps);
    crowd_free(crowd);
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd; /* big pieces are mapped */
}

static void bytes(const struct bench *b)
{
    struct buf input = BUF_INIT, result = BUF_INIT;
    struct crowd *crowd = crowd_new(&(struct crowd_conf){.workers = 100,
                                                         .cores = 64,
                                                         .racks = 4,
                                                         .task_ms = 1000,
                                                         .input = typical_input(&input),
                                                         .result = typical_result(&result)});
    size_t before = heap();
    struct jt_job *job = crowd_submit(crowd, (struct jt_submit){.priority = 2, .partitions = 1},
                                      (uint32_t)b->tasks, 3);
    while (job->stages[0].done < job->stages[0].count)
        crowd_run(crowd, crowd->now + 1);
    size_t used = heap() - before;
    printf("memory: %zu bytes a task (%zu of them its result, %zu its input)\n",
           used / job->stages[0].count, result.len, input.len);
    crowd_free(crowd);
    buf_release(&input);
    buf_release(&result);
}

static bool take(struct bench *b, const char *name, const char *value)
{
    static const char *const names[] = {"-workers", "-cores", "-jobs", "-tasks"};
    uint64_t *into[] = {&b->workers, &b->cores, &b->jobs, &b->tasks};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return str_to_u64(value, into[i]) == 0 && *into[i] > 0 && *into[i] <= 1000000;
    return false;
}

int main(int argc, char **argv)
{
    struct bench b = {.workers = 10000, .cores = 2, .jobs = 500, .tasks = 100000};
    bool is_good = argc % 2 == 1;
    for (int i = 1; is_good && i + 1 < argc; i += 2)
        is_good = take(&b, argv[i], argv[i + 1]);
    if (!is_good || b.jobs >= CROWD_JOBS_MAX || b.tasks < b.jobs) {
        fprintf(stderr, "usage: scheduler_bench [-workers N] [-cores N] [-jobs N] [-tasks N]\n");
        return 2;
    }
    starts(&b);
    bytes(&b);
    return 0;
}
