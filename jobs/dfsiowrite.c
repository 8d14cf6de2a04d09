/* SPDX-License-Identifier: Apache-2.0
 * dfsiowrite: large files, as fast as tasks can write them; `quern bench` reads the clock, and
 * reads them again with dfsioread. As many files as mapreduce.job.maps says, or rows; each row is
 * `dfsio.size` bytes of lines, 1 KiB each, that tell their place. */
#include <stdio.h>
#include <stdlib.h>

#include <quern/job.h>

#define LINE  1024
#define CHUNK ((uint64_t)1 << 20)

struct state {
    unsigned char chunk[CHUNK];
    uint64_t bytes; /* of a row */
    struct qn_counter *written;
};

static int take_size(struct qn_task *task, uint64_t *bytes)
{
    static const char units[] = "kmgt";
    const char *text = qn_option(task, "dfsio.size");
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end | 32) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (end == text || (*end && (!unit || end[1])) || n > (UINT64_MAX >> (shift + 1)))
        return qn_fail(task, "dfsio.size = \"%s\" is no number of bytes: 128m, 1g", text);
    *bytes = (uint64_t)n << shift;
    return 0;
}

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->written = qn_counter(task, "dfsio", "bytes written");
    return take_size(task, &s->bytes);
}

/* The lines of the chunk that begins at `off`. */
static void fill(struct state *s, uint64_t off)
{
    for (uint64_t at = 0; at < CHUNK; at += LINE) {
        unsigned char *line = s->chunk + at;
        int n = snprintf((char *)line, LINE, "%020llu ", (unsigned long long)(off + at));
        memset(line + n, 'a' + (int)(at / LINE % 26), (size_t)(LINE - n - 1));
        line[LINE - 1] = '\n';
    }
}

static int map(struct qn_task *task, struct qn_slice nothing, struct qn_slice row)
{
    struct state *s = *qn_state(task);
    (void)nothing;
    (void)row;
    for (uint64_t off = 0; off < s->bytes; off += CHUNK) {
        uint64_t left = s->bytes - off, n = left < CHUNK ? left : CHUNK;
        fill(s, off);
        if (qn_emit(task, qn_bytes(s->chunk, (size_t)n), qn_nothing()) != 0)
            return -1;
        s->written->value += n;
        if (off % (64 * CHUNK) == 0)
            qn_status(task, "%llu of %llu bytes", (unsigned long long)off,
                      (unsigned long long)s->bytes);
    }
    return 0;
}

static int cleanup(struct qn_task *task)
{
    free(*qn_state(task));
    return 0;
}

static const struct qn_option_row options[] = {
    {"dfsiowrite.rows", "1", "how many times to write so much, over all files"},
    {"dfsio.size", "128m", "how many bytes each time"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "dfsiowrite",
    .about = "writes large files, to see how fast that is",
    .setup = setup,
    .map = map,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_NONE,
    .options = options,
    .input = QN_ROWS,
    .output = QN_RAW,
    .check = setup,
};
