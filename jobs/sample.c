/* SPDX-License-Identifier: Apache-2.0
 * sample: some of the lines, each with the same probability. Whether a line is taken hangs on its
 * file, its place in it and the seed only: the same sample every time, on any cluster. */
#include <stdlib.h>

#include <quern/option.h>

struct state {
    uint64_t limit, seed;
};

static int setup(struct qn_task *task)
{
    double p;
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    if (qn_option_f64(task, "sample.probability", 0, 1, &p) != 0)
        return -1;
    s->limit = p >= 1 ? UINT64_MAX : (uint64_t)(p * 18446744073709551616.0);
    return qn_option_u64(task, "sample.seed", 0, UINT64_MAX, &s->seed);
}

/* The finisher of splitmix64: every bit of the result hangs on every bit of v. */
static uint64_t mix(uint64_t v)
{
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ULL;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebULL;
    return v ^ (v >> 31);
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    const struct state *s = *qn_state(task);
    uint64_t hash = mix(s->seed + 0x9e3779b97f4a7c15ULL);
    for (const char *p = qn_input(task)->path; *p; p++)
        hash = mix(hash ^ (unsigned char)*p);
    hash = mix(hash ^ qn_to_u64(where));
    return hash <= s->limit && s->limit ? qn_emit(task, line, qn_nothing()) : 0;
}

static int cleanup(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static const struct qn_option_row options[] = {
    {"sample.probability", "0.01", "how likely a line is taken"},
    {"sample.seed", "0", "another number, another sample"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "sample",
    .about = "takes each line with the same probability",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_NONE,
    .options = options,
    .check = setup,
};
