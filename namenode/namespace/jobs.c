/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/jobs.h"

#include "libcommon/base/mem.h"

void nn_jobs_init(struct nn_jobs *jobs)
{
    jobs->names = HMAP_INIT;
    list_init(&jobs->ages);
}

static void forget(struct nn_jobs *jobs, struct nn_job *job)
{
    list_remove(&job->by_age);
    hmap_remove(&jobs->names, &job->by_name);
    mem_free(job->name);
    mem_free(job);
}

void nn_jobs_release(struct nn_jobs *jobs)
{
    while (!list_is_empty(&jobs->ages))
        forget(jobs, list_first(&jobs->ages, struct nn_job, by_age));
    hmap_release(&jobs->names);
    nn_jobs_init(jobs);
}

static struct nn_job *find(const struct nn_jobs *jobs, struct slice name)
{
    for (struct hmap_node *n = hmap_find(&jobs->names, slice_hash(name, 0)); n;
         n = hmap_find_next(n)) {
        struct nn_job *job = CONTAINER_OF(n, struct nn_job, by_name);
        if (slice_is(name, job->name))
            return job;
    }
    return NULL;
}

const struct nn_job *nn_jobs_find(const struct nn_jobs *jobs, struct slice name)
{
    return find(jobs, name);
}

int nn_jobs_put(struct nn_jobs *jobs, struct slice name, uint64_t epoch)
{
    struct nn_job *job = find(jobs, name);
    if (!job) {
        job = mem_calloc(1, sizeof(*job));
        if (!job)
            return ERR_NOMEM;
        list_init(&job->by_age);
        job->name = slice_dup(name);
        if (!job->name || hmap_add(&jobs->names, &job->by_name, slice_hash(name, 0)) != 0) {
            mem_free(job->name);
            mem_free(job);
            return ERR_NOMEM;
        }
    }
    job->epoch = epoch;
    list_remove(&job->by_age);
    list_push_back(&jobs->ages, &job->by_age);
    if (jobs->names.count > NN_JOBS_MAX)
        forget(jobs, list_first(&jobs->ages, struct nn_job, by_age));
    return 0;
}
