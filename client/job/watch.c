/* SPDX-License-Identifier: Apache-2.0
 * watch: long questions to the jobtracker, each answered when the job has news. Ctrl-C ends the
 * watching, not the job. */
#include <inttypes.h>
#include <signal.h>

#include "client/job/job.h"
#include "client/talk/jobtracker.h"

#define WAIT_MS 500

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    interrupted = 1;
}

int job_exit_of_error(int code)
{
    switch (code) {
    case ERR_REFUSED:
    case ERR_UNREACHABLE:
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_EOF:
        return JOB_EXIT_NO_CLUSTER;
    case ERR_USAGE:
    case ERR_CONFIG:
        return JOB_EXIT_USAGE;
    default:
        return JOB_EXIT_FAILED;
    }
}

int job_exit_of_words(int code)
{
    return code == ERR_NOENT || code == ERR_PLUGIN || code == ERR_ISDIR ? JOB_EXIT_USAGE
                                                                        : job_exit_of_error(code);
}

int job_exit_of_state(const struct cl2jt_status *status)
{
    return status->state == CL2JT_SUCCEEDED ? JOB_EXIT_DONE
           : status->state == CL2JT_KILLED  ? JOB_EXIT_KILLED
                                            : JOB_EXIT_FAILED;
}

int job_watch(struct chan *chan, const struct cl2jt_job *id, bool quiet, struct arena *arena,
              struct cl2jt_status *ret, struct err *err)
{
    struct cl2jt_watch ask = {.id = *id, .max_wait_ms = WAIT_MS, .only_end = quiet};
    struct job_show show;
    struct sigaction action = {.sa_handler = on_interrupt}, old;
    int rc = 0;
    job_show_init(&show, stderr);
    sigaction(SIGINT, &action, &old);
    for (;;) {
        arena_reset(arena);
        rc = jobtracker_ask(chan, WATCH, &ask, arena, ret, err);
        if (rc != 0 || job_has_ended(ret) || interrupted)
            break;
        if (!quiet)
            job_show_progress(&show, ret);
        ask.version = ret->version;
    }
    job_show_clear(&show);
    sigaction(SIGINT, &old, NULL);
    if (rc != 0)
        return job_exit_of_error(rc);
    if (job_has_ended(ret))
        return job_exit_of_state(ret);
    fprintf(stderr,
            "job %" PRIu64 " runs on: `quern job -wait %" PRIu64 "` waits for it, `quern job "
            "-kill %" PRIu64 "` ends it\n",
            id->job, id->job, id->job);
    return JOB_EXIT_INTERRUPTED;
}
