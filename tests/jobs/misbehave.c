/* SPDX-License-Identifier: Apache-2.0
 * misbehave: does what its option says when it meets a line that is "now". For tests. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quern/job.h>

static int is(struct qn_task *task, const char *what)
{
    return strcmp(qn_option(task, "misbehave.how"), what) == 0;
}

__attribute__((noinline)) static void write_to_nothing(volatile int *where)
{
    *where = 1;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    static char giant[64 << 20];
    (void)where;
    if (line.len != 3 || memcmp(line.data, "now", 3) != 0)
        return qn_emit(task, line, qn_nothing());
    if (is(task, "segv"))
        write_to_nothing((volatile int *)8);
    if (is(task, "abort"))
        abort();
    if (is(task, "loop"))
        for (volatile int forever = 1; forever;)
            ;
    if (is(task, "exit"))
        exit(7);
    if (is(task, "kill"))
        kill(getpid(), SIGKILL);
    if (is(task, "fail"))
        return qn_fail(task, "cannot stand \"%.*s\"", (int)line.len, (const char *)line.data);
    if (is(task, "giant"))
        return qn_emit(task, qn_bytes(giant, sizeof(giant)), qn_nothing());
    if (is(task, "stdout")) {
        fclose(stdout);
        close(1);
        if (write(1, "lost\n", 5) > 0)
            return qn_fail(task, "a closed descriptor took bytes");
        fprintf(stderr, "stderr is still there\n");
    }
    if (is(task, "print"))
        printf("printed by the job\n");
    if (is(task, "counters"))
        for (int i = 0; i < 5000; i++) {
            char name[32];
            snprintf(name, sizeof(name), "counter %d", i);
            qn_count(task, "many", name, 1);
        }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)values;
    if (is(task, "segv in reduce"))
        write_to_nothing((volatile int *)8);
    return qn_emit(task, key, qn_nothing());
}

static int setup(struct qn_task *task)
{
    return is(task, "setup") ? qn_fail(task, "no such table") : 0;
}

static const struct qn_option_row options[] = {
    {"misbehave.how", "not", "what to do"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "misbehave",
    .about = "breaks in ways that tests ask for",
    .setup = setup,
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
    .options = options,
};
