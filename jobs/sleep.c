/* SPDX-License-Identifier: Apache-2.0
 * sleep: tasks that take time and nothing else, to see how a cluster shares out its cores. As many
 * map tasks as mapreduce.job.maps says, or rows; each row sleeps, and so does each reducer. */
#include <errno.h>
#include <time.h>

#include <quern/option.h>

#define SLICE_MS 1000 /* between signs of life */
#define MOST_MS  1000000000

static int rest(struct qn_task *task, const char *option)
{
    uint64_t ms, done = 0;
    if (qn_option_u64(task, option, 0, MOST_MS, &ms) != 0)
        return -1;
    while (done < ms) {
        uint64_t now = ms - done < SLICE_MS ? ms - done : SLICE_MS;
        struct timespec left = {(time_t)(now / 1000), (long)(now % 1000) * 1000000L};
        qn_status(task, "asleep for %llu of %llu ms", (unsigned long long)done,
                  (unsigned long long)ms);
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            continue;
        done += now;
    }
    return 0;
}

static int setup(struct qn_task *task)
{
    return task->is_reduce ? rest(task, "sleep.reduce.ms") : 0;
}

static int check(struct qn_task *task)
{
    uint64_t ms;
    int rc = qn_option_u64(task, "sleep.map.ms", 0, MOST_MS, &ms);
    return rc ? rc : qn_option_u64(task, "sleep.reduce.ms", 0, MOST_MS, &ms);
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice row)
{
    (void)nothing;
    int rc = rest(task, "sleep.map.ms");
    return rc != 0 ? rc : qn_emit(task, row, qn_nothing());
}

static int reduce(struct qn_task *task, struct qn_slice row, struct qn_values *values)
{
    (void)task;
    (void)row;
    (void)values;
    return 0;
}

static const struct qn_option_row options[] = {
    {"sleep.rows", "1", "how often maps sleep, over all of them"},
    {"sleep.map.ms", "1000", "how long, each time"},
    {"sleep.reduce.ms", "0", "how long each reducer sleeps"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "sleep",
    .about = "sleeps, in maps and reducers",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .key = QN_U64,
    .value = QN_NONE,
    .options = options,
    .default_reducers = 1,
    .input = QN_ROWS,
    .check = check,
};
