/* SPDX-License-Identifier: Apache-2.0
 * tasks_bench: what a job and a task cost beyond their work, over the same path as all others.
 *
 *   tasks_bench -address JOBTRACKER -fs quern://NAMENODE -plugin nothing.so
 *               [-jobs 200] [-tasks 0] [-reduces 1] [-D key=value]...
 *
 * -jobs N: N jobs of one map and one reduce, one after the other over one connection; each is timed
 * from SUBMIT to the answer that says it is over, which comes when its end is on disk and its
 * output is published. -tasks N: then one job of N maps and one reduce. The plugin is `nothing`
 * (tests/jobs): there is no work in any of them. Prints one line for each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/talk/jobtracker.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/store/fsutil.h"

#define PLUGIN_MAX   (64U << 20)
#define SETTINGS_MAX 16
#define SPLITS_MAX   1000000U
#define WAIT_MS      30000

struct bench {
    const char *address, *fs, *plugin;
    uint64_t jobs, tasks, reduces;
    struct msg_pair settings[SETTINGS_MAX];
    size_t setting_count;
    struct identity self;
    struct chan *chan;
    char digest[72];
    struct msg_origin origin;
    uint64_t serial;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "tasks_bench: %s: %s\n", what, why);
    exit(1);
}

static void connect_to(struct bench *b)
{
    struct err err = {0};
    struct buf bytes = BUF_INIT;
    struct chan_conf conf = {.address = b->address, .self = &b->self, .role = WIRE_JOBTRACKER};
    identity_init(&b->self, WIRE_CLIENT, NULL);
    rand_secret(&b->origin.client, sizeof(b->origin.client));
    if (chan_open(&conf, &b->chan, &err) != 0 ||
        fsutil_read_all(disk_real(), b->plugin, PLUGIN_MAX, &bytes, &err) != 0 ||
        jobtracker_bring(b->chan, buf_slice(&bytes), b->digest, &err) != 0)
        die("cannot begin", err.msg);
    buf_release(&bytes);
}

/* One row each, of no file. */
static struct cl2jt_splits splits_of(uint64_t n, struct arena *arena)
{
    struct cl2jt_split *splits = arena_calloc(arena, n, sizeof(*splits));
    struct task_segment *rows = arena_calloc(arena, n, sizeof(*rows));
    if (!splits || !rows)
        die("splits", "out of memory");
    for (uint64_t i = 0; i < n; i++) {
        rows[i] = (struct task_segment){slice_str(""), i, 1, n};
        splits[i] = (struct cl2jt_split){.segments = {&rows[i], 1}, .bytes = 1};
    }
    return (struct cl2jt_splits){.splits = {splits, n}, .bytes = n};
}

/* Many splits go ahead, as with `quern run`. */
static void bring_splits(struct bench *b, struct cl2jt_submit *ask, char digest[72])
{
    struct buf bytes = BUF_INIT;
    struct err err = {0};
    if (ask->splits.splits.n < 1000)
        return;
    msg_encode(&cl2jt_splits_desc, &ask->splits, &bytes);
    if (buf_failed(&bytes) || jobtracker_bring(b->chan, buf_slice(&bytes), digest, &err) != 0)
        die("splits", err.msg);
    ask->splits = (struct cl2jt_splits){0};
    ask->splits_digest = slice_str(digest);
    buf_release(&bytes);
}

static void must_succeed(const struct cl2jt_status *status)
{
    char why[512];
    if (status->state == CL2JT_SUCCEEDED)
        return;
    snprintf(why, sizeof(why), SLICE_FMT, SLICE_ARG(status->why));
    die("a job did not succeed", why);
}

static uint64_t run_job(struct bench *b, uint64_t maps, struct arena *arena)
{
    char out[64], digest[72];
    struct err err = {0};
    struct cl2jt_status status;
    struct cl2jt_watch watch = {.max_wait_ms = WAIT_MS, .only_end = true};
    snprintf(out, sizeof(out), "/bench/%d.%" PRIu64, getpid(), b->serial++);
    b->origin.seq++;
    struct cl2jt_submit ask = {
        .origin = b->origin,
        .name = slice_str("nothing"),
        .plugin_name = slice_str("nothing"),
        .plugin_digest = slice_str(b->digest),
        .conf = {b->settings, b->setting_count},
        .partitions = (uint32_t)b->reduces,
        .mode = CL2NN_PUBLISH_FAIL,
        .priority = CL2JT_NORMAL,
        .fs_uri = slice_str(b->fs),
        .out = slice_str(out),
        .splits = splits_of(maps, arena),
        .map_memory = 64 << 20,
        .reduce_memory = 64 << 20,
        .replication = 1,
    };
    bring_splits(b, &ask, digest);
    uint64_t start = clock_mono_us();
    int rc = jobtracker_ask(b->chan, SUBMIT, &ask, arena, &watch.id, &err);
    do {
        if (rc == 0)
            rc = jobtracker_ask(b->chan, WATCH, &watch, arena, &status, &err);
        if (rc != 0)
            die("a job", err.msg);
    } while (status.state < CL2JT_SUCCEEDED);
    uint64_t took = clock_mono_us() - start;
    must_succeed(&status);
    return took;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void empty_jobs(struct bench *b)
{
    struct arena arena = ARENA_INIT;
    uint64_t *took = mem_calloc(b->jobs, sizeof(*took));
    if (!took)
        die("jobs", "out of memory");
    for (uint64_t i = 0; i < b->jobs; i++) {
        arena_reset(&arena);
        took[i] = run_job(b, 1, &arena);
    }
    qsort(took, b->jobs, sizeof(*took), by_size);
    printf("empty job: %" PRIu64 " of them, median %.3f ms, p90 %.3f, p99 %.3f, least %.3f, most "
           "%.3f\n",
           b->jobs, (double)took[b->jobs / 2] / 1000, (double)took[b->jobs * 9 / 10] / 1000,
           (double)took[b->jobs * 99 / 100] / 1000, (double)took[0] / 1000,
           (double)took[b->jobs - 1] / 1000);
    mem_free(took);
    arena_release(&arena);
}

static void many_tasks(struct bench *b)
{
    struct arena arena = ARENA_INIT;
    uint64_t took = run_job(b, b->tasks, &arena);
    printf("tasks: %" PRIu64 " maps in %.3f s, %.0f tasks/s\n", b->tasks, (double)took / 1e6,
           (double)b->tasks * 1e6 / (double)took);
    arena_release(&arena);
}

static void take_setting(struct bench *b, const char *word)
{
    const char *equals = strchr(word, '=');
    if (!equals || b->setting_count == SETTINGS_MAX)
        die("-D", "key=value is wanted");
    b->settings[b->setting_count++] =
        (struct msg_pair){slice_of(word, (size_t)(equals - word)), slice_str(equals + 1)};
}

static void take_option(struct bench *b, const char *name, const char *value)
{
    static const char *const words[] = {"-address", "-fs", "-plugin"};
    static const char *const numbers[] = {"-jobs", "-tasks", "-reduces"};
    const char **texts[] = {&b->address, &b->fs, &b->plugin};
    uint64_t *counts[] = {&b->jobs, &b->tasks, &b->reduces};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(name, words[i]) == 0) {
            *texts[i] = value;
            return;
        }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(name, numbers[i]) == 0 && str_to_u64(value, counts[i]) == 0 &&
            *counts[i] <= SPLITS_MAX)
            return;
    if (strcmp(name, "-D") != 0)
        die(name,
            "unknown, or no number up to a million; see the head of tests/bench/tasks_bench.c");
    take_setting(b, value);
}

int main(int argc, char **argv)
{
    struct bench b = {.jobs = 200, .reduces = 1};
    for (int i = 1; i + 1 < argc; i += 2)
        take_option(&b, argv[i], argv[i + 1]);
    if (argc % 2 == 0 || !b.address || !b.fs || !b.plugin)
        die("usage",
            "tasks_bench -address JT -fs quern://NN -plugin nothing.so [-jobs N] [-tasks N]");
    connect_to(&b);
    if (b.jobs)
        empty_jobs(&b);
    if (b.tasks)
        many_tasks(&b);
    chan_close(b.chan);
    return 0;
}
