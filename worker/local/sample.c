/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/sample.h"

#include "worker/runner/sample.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int add_side(struct job *job, const char *path)
{
    size_t n = job->sides.n;
    struct task_side *sides = arena_calloc(&job->arena, n + 1, sizeof(*sides));
    if (!sides)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        sides[i] = job->sides.v[i];
    sides[n] = (struct task_side){.name = slice_str(TASK_SIDE_RANGES), .path = slice_str(path)};
    job->sides = (struct task_side_list){sides, n + 1};
    return 0;
}

int sample_for_job(struct job *job, size_t file_count, struct err *err)
{
    if (!job->probe.has_ranges || job->shuffles[0].partitions < 2)
        return 0;
    size_t cap = strlen(job->scratch) + sizeof("/" TASK_SIDE_RANGES ".keys");
    char *path = arena_alloc(&job->arena, cap);
    struct slice dir = slice_str(job->scratch);
    struct task_run run = {.kind = TASK_SAMPLE,
                           .job_name = slice_str(job->name),
                           .plugin = slice_str(job->plugin),
                           .conf = job->conf,
                           .sides = job->sides,
                           .partitions = 1,
                           .maps = 1,
                           .local_dirs = {&dir, 1},
                           .memory = job->map_memory};
    struct split split;
    if (!path || splits_sample(job->files, file_count, &job->arena, &split) != 0 ||
        job_describe_input(job, &split, &job->arena, &run.input) != 0)
        return no_memory(err);
    /* Not by the name of the link that tasks find beside it. */
    snprintf(path, cap, "%s/" TASK_SIDE_RANGES ".keys", job->scratch);
    int rc = sample_in_child(&run, path, err);
    return rc == 0 && add_side(job, path) != 0 ? no_memory(err) : rc;
}
