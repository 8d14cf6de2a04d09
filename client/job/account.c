/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/account.h"

#include <inttypes.h>

#include "client/job/show.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/task/times.h"

#define CELLS      60 /* of the timeline */
#define NAME_WIDTH 8  /* of attempts' names in it, at least */
#define LINES_MAX  40 /* more attempts than that are shown by node */
#define SLOWEST    5  /* attempts that are listed with all their times */
#define KEY_SHOWN  32 /* bytes */
#define PARTITIONS 8  /* listed: the largest */

/* --- asking ---------------------------------------------------------------------------------- */

int job_account_ask(struct chan *chan, const struct cl2jt_job *id, struct arena *arena,
                    struct cl2jt_attempts *ret, struct err *err)
{
    struct cl2jt_ask_attempts ask = {.id = *id};
    struct cl2jt_attempts part = {0};
    struct cl2jt_attempt *all = NULL;
    *ret = (struct cl2jt_attempts){0};
    do {
        int rc = jobtracker_ask(chan, ATTEMPTS, &ask, arena, &part, err);
        if (rc != 0)
            return rc;
        if (ask.from == 0) {
            *ret = part;
            ret->attempts.n = 0;
            all = arena_calloc(arena, part.total + 1, sizeof(*all));
        }
        if (!all)
            return err_set(err, ERR_NOMEM, "out of memory");
        for (size_t i = 0; i < part.attempts.n && ret->attempts.n < ret->total; i++)
            all[ret->attempts.n++] = part.attempts.v[i];
        ask.from = ret->attempts.n;
    } while (part.attempts.n > 0 && ask.from < ret->total);
    ret->attempts.v = all;
    return 0;
}

/* --- sums ------------------------------------------------------------------------------------ */

struct sums {
    struct task_times times;
    struct task_account account;
    uint64_t count;
};

static struct sums sum_of(const struct cl2jt_attempts *rows, struct slice stage)
{
    struct sums s = {0};
    for (size_t i = 0; i < rows->attempts.n; i++) {
        const struct cl2jt_attempt *a = &rows->attempts.v[i];
        if (!a->is_winner || !slice_eq(a->stage, stage))
            continue;
        task_times_add(&s.times, &a->times);
        task_account_add(&s.account, &a->account);
        s.count++;
    }
    return s;
}

static void show_times(FILE *out, struct slice stage, const struct sums *s)
{
    char title[32], queue[32];
    if (s->count == 0)
        return;
    snprintf(title, sizeof(title), "%-8.*s ", (int)stage.len, (const char *)stage.data);
    task_times_tell(out, title, &s->times);
    if (s->times.queue / s->count >= 100000)
        fprintf(out, "         and waited %s for a core, in the mean\n",
                str_duration(s->times.queue / s->count / 1000, queue, sizeof(queue)));
}

static void show_places(FILE *out, const struct task_account *a)
{
    uint64_t all = a->local_bytes + a->rack_bytes + a->remote_bytes;
    if (all)
        fprintf(out, "   %.0f %% on its node, %.0f %% in its rack, %.0f %% from elsewhere",
                (double)a->local_bytes * 100 / (double)all,
                (double)a->rack_bytes * 100 / (double)all,
                (double)a->remote_bytes * 100 / (double)all);
}

static void arrow(FILE *out, const char *name, uint64_t bytes, uint64_t records, const char *what)
{
    char size[32], count[32];
    fprintf(out, "%-9s%9s", name, bytes ? str_human(bytes, size, sizeof(size)) : "");
    if (records)
        fprintf(out, "  %15s %s", str_thousands(records, count, sizeof(count)), what);
}

static void show_packed(FILE *out, uint64_t packed, uint64_t raw)
{
    char size[32];
    if (packed && packed != raw)
        fprintf(out, "   (%s packed)", str_human(packed, size, sizeof(size)));
}

static void show_map_arrows(FILE *out, const struct task_account *m)
{
    char size[32], count[32];
    arrow(out, "read", m->in_raw, m->in_records, "records");
    show_packed(out, m->in_bytes, m->in_raw);
    show_places(out, m);
    fputc('\n', out);
    if (m->emitted_records) {
        arrow(out, "emitted", m->emitted_bytes, m->emitted_records, "records\n");
    }
    if (m->run_bytes) {
        bool is_packed = m->run_bytes < m->run_raw; /* else there is an index beside the records */
        arrow(out, "to runs", is_packed ? m->run_raw : m->run_bytes, m->combined_records,
              "records");
        show_packed(out, m->run_bytes, is_packed ? m->run_raw : m->run_bytes);
        fputc('\n', out);
    }
    if (m->spilled_bytes)
        fprintf(out, "spilled  %9s  %15s records\n",
                str_human(m->spilled_bytes, size, sizeof(size)),
                str_thousands(m->spilled_records, count, sizeof(count)));
}

static void show_reduce_arrows(FILE *out, const struct task_account *r)
{
    char count[32], size[32];
    arrow(out, "shuffled", r->in_bytes, r->in_records, "records");
    fprintf(out, " of %s keys", str_thousands(r->groups, count, sizeof(count)));
    show_places(out, r);
    if (r->spilled_bytes)
        fprintf(out, "   %s kept on disk", str_human(r->spilled_bytes, size, sizeof(size)));
    fputc('\n', out);
}

static void show_memory(FILE *out, struct slice stage, const struct sums *s)
{
    char size[32], cpu[32], count[32];
    if (s->count && s->account.peak_memory && !slice_is(stage, "commit"))
        fprintf(out, "%-8.*s %s of memory at most, %s of computing, %s major faults\n",
                (int)stage.len, (const char *)stage.data,
                str_human(s->account.peak_memory, size, sizeof(size)),
                str_duration(s->account.cpu_us / 1000, cpu, sizeof(cpu)),
                str_thousands(s->account.major_faults, count, sizeof(count)));
}

/* --- keys ------------------------------------------------------------------------------------ */

/* The records of a partition by their length: the range that half of them are in is told by its
 * middle, the longest by its bucket. */
static void show_lengths(FILE *out, const struct msg_u64s *lengths)
{
    uint64_t all = 0, seen = 0;
    size_t middle = 0, longest = 0;
    char usual[32], most[32];
    for (size_t i = 0; i < lengths->n; i++)
        all += lengths->v[i];
    for (size_t i = 0; i < lengths->n; i++) {
        if (seen * 2 <= all)
            middle = i;
        seen += lengths->v[i];
        longest = lengths->v[i] ? i : longest;
    }
    if (all)
        fprintf(out, ", usually under %s long, at most %s",
                str_human((uint64_t)4 << 2 * middle, usual, sizeof(usual)),
                str_human((uint64_t)4 << 2 * longest, most, sizeof(most)));
}

static void show_partition(FILE *out, const struct cl2jt_partition *p)
{
    char count[32], distinct[32], key[SLICE_SHOWN(KEY_SHOWN)];
    fprintf(out, "  partition %-4" PRIu32 " %s records of %s %s keys", p->partition,
            str_thousands(p->records, count, sizeof(count)), p->is_least ? "at least" : "about",
            str_thousands(p->distinct, distinct, sizeof(distinct)));
    show_lengths(out, &p->lengths);
    if (p->keys.n && p->records) {
        const struct task_key *top = &p->keys.v[0];
        slice_show(top->key, KEY_SHOWN, key);
        double low = (double)top->low * 100 / (double)p->records;
        double high = (double)top->high * 100 / (double)p->records;
        if (top->low > 0 && high >= 1)
            fprintf(out, "; most often \"%s\": %.1f %% (± %.1f)", key, (low + high) / 2,
                    (high - low) / 2);
    }
    fputc('\n', out);
}

static int by_records(const void *pa, const void *pb)
{
    const struct cl2jt_partition *a = pa, *b = pb;
    return a->records != b->records ? (a->records < b->records) - (a->records > b->records)
                                    : (a->partition > b->partition) - (a->partition < b->partition);
}

static void show_keys(FILE *out, const struct cl2jt_attempts *rows)
{
    size_t n = rows->partitions.n;
    if (n == 0)
        return;
    qsort(rows->partitions.v, n, sizeof(*rows->partitions.v), by_records);
    fprintf(out, "keys, from %" PRIu64 " maps:\n", rows->sketched);
    for (size_t i = 0; i < n && i < PARTITIONS; i++)
        show_partition(out, &rows->partitions.v[i]);
    if (n > PARTITIONS)
        fprintf(out, "  and %zu partitions that got less (--json has all)\n", n - PARTITIONS);
}

/* Of a stage that reduces, between others, what it emits is shuffled by the next. */
static void show_arrows(FILE *out, const struct cl2jt_status *status, const struct sums *s)
{
    char size[32];
    struct task_account written = {0};
    fprintf(out, "what moved:\n");
    for (size_t i = 0; i < status->stages.n; i++) {
        if (s[i].count && slice_is(status->stages.v[i].name, "map"))
            show_map_arrows(out, &s[i].account);
        else if (s[i].count && !slice_is(status->stages.v[i].name, "commit"))
            show_reduce_arrows(out, &s[i].account);
        task_account_add(&written, &s[i].account);
    }
    if (written.out_bytes) {
        arrow(out, "written", written.out_raw, written.out_records, "records");
        show_packed(out, written.out_bytes, written.out_raw);
        fputc('\n', out);
    } else if (status->out_bytes) {
        fprintf(out, "written  %9s\n", str_human(status->out_bytes, size, sizeof(size)));
    }
}

void job_account_show(FILE *out, const struct cl2jt_status *status,
                      const struct cl2jt_attempts *rows)
{
    size_t n = status->stages.n;
    uint64_t tasks = 0;
    struct sums *s = mem_calloc(n + 1, sizeof(*s));
    for (size_t i = 0; s && i < n; i++) {
        s[i] = sum_of(rows, status->stages.v[i].name);
        tasks += slice_is(status->stages.v[i].name, "commit") ? 0 : s[i].count;
    }
    if (tasks) {
        fprintf(out, "where the time went, over all tasks that counted:\n");
        for (size_t i = 0; i < n; i++)
            show_times(out, status->stages.v[i].name, &s[i]);
        show_arrows(out, status, s);
        for (size_t i = 0; i < n; i++)
            show_memory(out, status->stages.v[i].name, &s[i]);
        show_keys(out, rows);
    }
    mem_free(s);
}

/* --- timeline -------------------------------------------------------------------------------- */

struct scale {
    uint64_t all_ms;
    int names; /* columns that the attempts' names take */
};

static size_t cell_of(const struct scale *scale, uint64_t ms)
{
    size_t cell = scale->all_ms ? (size_t)(ms * CELLS / scale->all_ms) : 0;
    return cell < CELLS ? cell : CELLS - 1;
}

static uint64_t end_of(const struct cl2jt_attempt *a, const struct scale *scale)
{
    return a->end_ms ? a->end_ms : scale->all_ms;
}

/* Which phase an attempt was in at a share of its time: phases in the order they come to it. What
 * is not accounted for (the way there and back) is launching. */
static char letter_at(const struct cl2jt_attempt *a, double share)
{
    double all = (double)task_times_sum(&a->times), passed = 0;
    if (all <= 0)
        return slice_is(a->state, "done") || slice_is(a->state, "running") ? '-' : 'x';
    for (size_t i = 1; i < TASK_PHASES; i++) {
        passed += (double)task_phase_us(&a->times, i);
        if (share * all < passed)
            return task_phases[i].letter;
    }
    return task_phases[TASK_PHASES - 1].letter;
}

static void draw_attempt(const struct cl2jt_attempt *a, const struct scale *scale,
                         char line[CELLS + 1])
{
    uint64_t end = end_of(a, scale), queue = a->times.queue / 1000;
    size_t from = cell_of(scale, a->start_ms), to = cell_of(scale, end);
    size_t waited = cell_of(scale, a->start_ms > queue ? a->start_ms - queue : 0);
    memset(line, ' ', CELLS);
    line[CELLS] = 0;
    for (size_t i = waited; i < from; i++)
        line[i] = task_phases[0].letter;
    for (size_t i = from; i <= to; i++)
        line[i] = letter_at(a, ((double)(i - from) + 0.5) / (double)(to - from + 1));
}

/* "m3", "m3_1": of a jobtracker's next life the numbers are long. Its length. */
static int name_attempt(const struct cl2jt_attempt *a, char *out, size_t cap)
{
    char task[16];
    job_show_task(a->stage, a->task, task, sizeof(task));
    return snprintf(out, cap, "%s%s%.0" PRIu32, task, a->number ? "_" : "", a->number);
}

static void show_line(FILE *out, const struct cl2jt_attempt *a, const struct scale *scale)
{
    char line[CELLS + 1], took[32], name[32];
    draw_attempt(a, scale, line);
    (void)name_attempt(a, name, sizeof(name));
    fprintf(out, "%-*s%-12.*s |%s| %s%s" SLICE_FMT "\n", scale->names, name,
            (int)(a->worker.len < 12 ? a->worker.len : 12), (const char *)a->worker.data, line,
            str_duration(end_of(a, scale) - a->start_ms, took, sizeof(took)),
            slice_is(a->state, "done") ? "" : " ",
            SLICE_ARG(slice_is(a->state, "done") ? slice_str("") : a->state));
}

static int by_worker(const void *pa, const void *pb)
{
    const struct cl2jt_attempt *a = *(const struct cl2jt_attempt *const *)pa;
    const struct cl2jt_attempt *b = *(const struct cl2jt_attempt *const *)pb;
    return slice_cmp(a->worker, b->worker);
}

/* How many of a node's attempts ran at each time: a digit, or +. */
static void show_node(FILE *out, const struct cl2jt_attempt **of_node, size_t count, char kind,
                      const struct scale *scale)
{
    unsigned at[CELLS] = {0};
    char line[CELLS + 1] = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct cl2jt_attempt *a = of_node[i];
        if (a->stage.data[0] != (unsigned char)kind)
            continue;
        n++;
        for (size_t c = cell_of(scale, a->start_ms); c <= cell_of(scale, end_of(a, scale)); c++)
            at[c]++;
    }
    for (size_t c = 0; c < CELLS; c++)
        line[c] = at[c] == 0 ? ' ' : at[c] < 10 ? (char)('0' + at[c]) : '+';
    if (n)
        fprintf(out, "%-8s%-12.*s |%s| %zu\n", kind == 'm' ? "maps" : "reduces",
                (int)(of_node[0]->worker.len < 12 ? of_node[0]->worker.len : 12),
                (const char *)of_node[0]->worker.data, line, n);
}

static void show_nodes(FILE *out, const struct cl2jt_attempt **order, size_t count,
                       const struct scale *scale)
{
    qsort(order, count, sizeof(*order), by_worker);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from; to < count && slice_eq(order[to]->worker, order[from]->worker); to++)
            ;
        show_node(out, order + from, to - from, 'm', scale);
        show_node(out, order + from, to - from, 'r', scale);
    }
}

static void show_legend(FILE *out)
{
    fprintf(out, "       ");
    for (size_t i = 0; i < TASK_PHASES; i++)
        fprintf(out, " %c %s", task_phases[i].letter, task_phases[i].name);
    fputc('\n', out);
}

static int by_time(const void *pa, const void *pb)
{
    const struct cl2jt_attempt *a = *(const struct cl2jt_attempt *const *)pa;
    const struct cl2jt_attempt *b = *(const struct cl2jt_attempt *const *)pb;
    uint64_t x = a->end_ms - a->start_ms, y = b->end_ms - b->start_ms;
    return (x < y) - (x > y);
}

static void show_slowest(FILE *out, const struct cl2jt_attempt **order, size_t count)
{
    size_t shown = 0;
    qsort(order, count, sizeof(*order), by_time);
    for (size_t i = 0; i < count && shown < SLOWEST; i++) {
        const struct cl2jt_attempt *a = order[i];
        char took[32], memory[32], task[16];
        if (!a->is_winner)
            continue;
        job_show_task(a->stage, a->task, task, sizeof(task));
        fprintf(out, "%s %s on " SLICE_FMT ", %s, %s of memory\n", shown++ ? "       " : "slowest",
                task, SLICE_ARG(a->worker),
                str_duration(a->end_ms - a->start_ms, took, sizeof(took)),
                str_human(a->account.peak_memory, memory, sizeof(memory)));
        task_times_tell(out, "          ", &a->times);
    }
}

static void show_failed(FILE *out, const struct cl2jt_attempts *rows)
{
    for (size_t i = 0; i < rows->attempts.n; i++) {
        const struct cl2jt_attempt *a = &rows->attempts.v[i];
        if (a->exit.len == 0 || slice_is(a->exit, "done"))
            continue;
        char task[16];
        job_show_task(a->stage, a->task, task, sizeof(task));
        fprintf(out,
                "failed  %s attempt %" PRIu32 " on " SLICE_FMT " (" SLICE_FMT "): " SLICE_FMT "\n",
                task, a->number, SLICE_ARG(a->worker), SLICE_ARG(a->exit), SLICE_ARG(a->why));
        if (a->path.len)
            fprintf(out, "          in " SLICE_FMT " at offset %" PRIu64 "\n", SLICE_ARG(a->path),
                    a->offset);
    }
}

void job_account_timeline(FILE *out, const struct cl2jt_status *status,
                          const struct cl2jt_attempts *rows)
{
    struct scale scale = {status->elapsed_ms ? status->elapsed_ms : 1, NAME_WIDTH};
    size_t count = rows->attempts.n;
    const struct cl2jt_attempt **order = mem_calloc(count + 1, sizeof(*order));
    char took[32], name[32];
    if (!order || count == 0) {
        mem_free(order);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = &rows->attempts.v[i];
        int length = name_attempt(order[i], name, sizeof(name));
        scale.names = length < scale.names ? scale.names : length + 1;
    }
    fprintf(out, "timeline: %zu attempts in %s%s\n", count,
            str_duration(scale.all_ms, took, sizeof(took)),
            count > LINES_MAX ? "; how many ran at a time, by node" : "");
    if (count > LINES_MAX) {
        show_nodes(out, order, count, &scale);
    } else {
        for (size_t i = 0; i < count; i++)
            show_line(out, order[i], &scale);
        show_legend(out);
    }
    show_slowest(out, order, count);
    show_failed(out, rows);
    mem_free(order);
}
