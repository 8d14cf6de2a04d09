/* SPDX-License-Identifier: Apache-2.0
 * quern-worker: runs tasks and hands out map outputs. See DESIGN.md. */
#include "worker/worker.h"

static const struct daemon_flag flags[] = {
    {"dir", "DIR", "where task files go (several with commas)", "worker.local.dir", NULL},
};

static const struct daemon_desc desc = {
    .name = "quern-worker",
    .about = "runs the tasks of jobs and hands map outputs to reducers",
    .role = "worker",
    .http_key = "worker.http.address",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .start = worker_start,
    .stop = worker_stop,
    .release = worker_release,
    .status = worker_status,
    .measure = worker_measure,
};

int main(int argc, char **argv)
{
    return daemon_main(&desc, argc, argv);
}
