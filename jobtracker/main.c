/* SPDX-License-Identifier: Apache-2.0
 * quern-jobtracker: jobs -> stages -> tasks -> workers. See DESIGN.md. */
#include "jobtracker/life.h"

static const struct daemon_flag flags[] = {
    {"dir", "DIR", "where journal, plugins and history are kept", "jobtracker.dir", NULL},
    {"listen", "HOST:PORT", "where clients and workers find it", "mapreduce.jobtracker.address",
     NULL},
};

static const struct daemon_desc desc = {
    .name = "quern-jobtracker",
    .about = "places the tasks of jobs on workers and sees every job to its end",
    .role = "jobtracker",
    .http_key = "mapreduce.jobtracker.http.address",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .start = jobtracker_start,
    .stop = jobtracker_stop,
    .release = jobtracker_release,
    .reload = jobtracker_reload,
    .status = jobtracker_status,
    .measure = jobtracker_measure,
};

int main(int argc, char **argv)
{
    return daemon_main(&desc, argc, argv);
}
