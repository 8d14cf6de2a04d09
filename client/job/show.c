/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/show.h"

#include <ctype.h>
#include <inttypes.h>
#include <unistd.h>

#include "client/job/counters.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/task/combined.h"
#include "libcommon/proto/task/moved.h"
#include "libcommon/proto/task/times.h"

#define BAR_CELLS     30
#define LINE_EVERY_MS 10000
#define WAITS_MS      1000

const char *job_state_name(uint32_t state)
{
    static const char *const names[] = {"waiting",   "running", "committing",
                                        "succeeded", "failed",  "killed"};
    return state < ARRAY_LEN(names) ? names[state] : "?";
}

bool job_has_ended(const struct cl2jt_status *status)
{
    return status->state == CL2JT_SUCCEEDED || status->state == CL2JT_FAILED ||
           status->state == CL2JT_KILLED;
}

void job_show_task(struct slice stage, uint32_t task, char *out, size_t cap)
{
    const size_t first = sizeof("reduce ") - 1;
    unsigned letter = stage.len ? stage.data[0] : '?';
    if (stage.len > first && stage.data[first] > '1' &&
        slice_has_prefix(stage, slice_str("reduce "))) /* reduce 2: s */
        letter += stage.data[first] - (unsigned)'1';
    snprintf(out, cap, "%c%" PRIu32, (char)letter, task);
}

void job_show_init(struct job_show *show, FILE *out)
{
    *show = (struct job_show){.out = out, .next_line_ms = LINE_EVERY_MS};
    show->is_terminal = isatty(fileno(out)) == 1;
}

/* --- while it runs --------------------------------------------------------------------------- */

static double share_done(const struct cl2jt_stage *stage)
{
    if (stage->tasks == 0)
        return 1;
    double tasks = (double)stage->done / stage->tasks;
    double bytes =
        stage->bytes_total ? (double)stage->bytes_done / (double)stage->bytes_total : tasks;
    double share = bytes > tasks ? bytes : tasks;
    return share > 1 || stage->done == stage->tasks ? 1 : share;
}

static void bar(double share, char *out, size_t cap)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    unsigned units = (unsigned)(share * BAR_CELLS * 8);
    size_t n = 0;
    for (unsigned i = 0; i < units / 8 && n + 4 < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "█");
    if (units / 8 < BAR_CELLS)
        n += (size_t)snprintf(out + n, cap - n, "%s", eighths[units % 8]);
    unsigned shown = units / 8 + (units % 8 != 0);
    snprintf(out + n, cap - n, "%*s", (int)(shown < BAR_CELLS ? BAR_CELLS - shown : 0), "");
}

static void local_share(const struct cl2jt_stage *stage, char *out, size_t cap)
{
    uint32_t all = stage->node_local + stage->rack_local + stage->remote;
    out[0] = 0;
    if (all && slice_is(stage->name, "map"))
        snprintf(out, cap, "   %" PRIu32 " %% node-local", stage->node_local * 100 / all);
}

static void take_rate(struct job_show *show, const struct cl2jt_status *status)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < status->stages.n; i++)
        bytes += status->stages.v[i].bytes_done;
    if (status->elapsed_ms > show->last_ms + 200 && bytes >= show->last_bytes) {
        double now = (double)(bytes - show->last_bytes) * 1000 /
                     (double)(status->elapsed_ms - show->last_ms);
        show->rate = show->rate > 0 ? show->rate * 0.7 + now * 0.3 : now;
        show->last_bytes = bytes;
        show->last_ms = status->elapsed_ms;
    }
}

static void draw(struct job_show *show, const struct cl2jt_status *status)
{
    char text[256], rate[32], local[64];
    for (size_t i = 0; i < status->stages.n; i++) {
        const struct cl2jt_stage *stage = &status->stages.v[i];
        if (slice_is(stage->name, "commit"))
            continue;
        double share = share_done(stage);
        bar(share, text, sizeof(text));
        local_share(stage, local, sizeof(local));
        rate[0] = 0;
        if (stage->running && show->rate > 0)
            snprintf(rate, sizeof(rate), "   %s/s",
                     str_human((uint64_t)show->rate, local + 40, 20));
        fprintf(show->out, "\033[K%-7.*s %s %3.0f %%  %" PRIu32 "/%" PRIu32 "%s%.39s\n",
                (int)stage->name.len, (const char *)stage->name.data, text, share * 100,
                stage->done, stage->tasks, rate, local);
        show->lines_drawn++;
    }
    if (status->waits_for.len) {
        fprintf(show->out, "\033[Kwaits   " SLICE_FMT "\n", SLICE_ARG(status->waits_for));
        show->lines_drawn++;
    }
}

void job_show_clear(struct job_show *show)
{
    if (show->lines_drawn)
        fprintf(show->out, "\033[%uA\033[J", show->lines_drawn);
    show->lines_drawn = 0;
    fflush(show->out);
}

static void plain_line(struct job_show *show, const struct cl2jt_status *status)
{
    fprintf(show->out, "job %" PRIu64, status->id.job);
    for (size_t i = 0; i < status->stages.n; i++) {
        const struct cl2jt_stage *stage = &status->stages.v[i];
        if (!slice_is(stage->name, "commit"))
            fprintf(show->out, "  " SLICE_FMT " %.0f %% (%" PRIu32 "/%" PRIu32 ")",
                    SLICE_ARG(stage->name), share_done(stage) * 100, stage->done, stage->tasks);
    }
    if (status->waits_for.len)
        fprintf(show->out, "  waits: " SLICE_FMT, SLICE_ARG(status->waits_for));
    fputc('\n', show->out);
    fflush(show->out);
}

static bool is_line_due(struct job_show *show, const struct cl2jt_status *status)
{
    bool has_news = !show->has_told_wait && status->waits_for.len && status->elapsed_ms >= WAITS_MS;
    show->has_told_wait = show->has_told_wait || has_news;
    return has_news || status->elapsed_ms >= show->next_line_ms;
}

void job_show_progress(struct job_show *show, const struct cl2jt_status *status)
{
    take_rate(show, status);
    if (show->is_terminal) {
        if (show->lines_drawn)
            fprintf(show->out, "\033[%uA", show->lines_drawn);
        show->lines_drawn = 0;
        draw(show, status);
        fflush(show->out);
    } else if (is_line_due(show, status)) {
        plain_line(show, status);
        show->next_line_ms = (status->elapsed_ms / LINE_EVERY_MS + 1) * LINE_EVERY_MS;
    }
}

/* --- begin and end --------------------------------------------------------------------------- */

void job_show_begin(FILE *out, const struct cl2jt_status *status,
                    const struct cl2jt_shuffle *shuffles, size_t count)
{
    char bytes[32];
    uint32_t maps = 0;
    for (size_t i = 0; i < status->stages.n; i++) {
        if (slice_is(status->stages.v[i].name, "map"))
            maps = status->stages.v[i].tasks;
    }
    fprintf(out, "job %" PRIu64 "  " SLICE_FMT "  %" PRIu64 " file%s, %s in %" PRIu32 " split%s",
            status->id.job, SLICE_ARG(status->name), status->files, status->files == 1 ? "" : "s",
            str_human(status->bytes, bytes, sizeof(bytes)), maps, maps == 1 ? "" : "s");
    const struct cl2jt_shuffle *last = count ? &shuffles[count - 1] : NULL;
    if (last && last->reduces == 0)
        fprintf(out, ", reducers as the maps' output needs");
    else if (last)
        fprintf(out, ", %" PRIu32 " reducer%s", last->reduces, last->reduces == 1 ? "" : "s");
    if (count > 1)
        fprintf(out, ", %zu reduce stages", count);
    fputc('\n', out);
    fflush(out);
}

static uint64_t counter(const struct cl2jt_status *status, const char *name)
{
    for (size_t i = 0; i < status->counters.n; i++)
        if (slice_is(status->counters.v[i].name, name))
            return status->counters.v[i].value;
    return 0;
}

static void tell_moved(FILE *out, const struct cl2jt_status *status)
{
    struct task_account stages[TASK_SHUFFLES_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < status->stages.n && n < ARRAY_LEN(stages); i++)
        if (!slice_is(status->stages.v[i].name, "commit"))
            stages[n++] = status->stages.v[i].account;
    moved_tell(out,
               &(struct moved){status->elapsed_ms, status->bytes, status->out_bytes, stages, n});
}

static void show_times(FILE *out, const struct cl2jt_status *status)
{
    struct task_times all = {0};
    for (size_t i = 0; i < status->stages.n; i++)
        task_times_add(&all, &status->stages.v[i].times);
    task_times_tell(out, "time         ", &all);
}

static void show_slowest(FILE *out, const struct cl2jt_status *status)
{
    const struct cl2jt_stage *worst = NULL;
    for (size_t i = 0; i < status->stages.n; i++) {
        const struct cl2jt_stage *stage = &status->stages.v[i];
        if (stage->tasks > 1 && stage->slowest_ms > 2 * stage->median_ms + 100 &&
            (!worst || stage->slowest_ms > worst->slowest_ms))
            worst = stage;
    }
    char slow[32], median[32];
    if (worst)
        fprintf(out, "slowest      " SLICE_FMT "%s %" PRIu32 " on " SLICE_FMT ", %s (median %s)\n",
                SLICE_ARG(worst->name),
                isdigit(worst->name.data[worst->name.len - 1]) ? ", task" : "", worst->slowest_task,
                SLICE_ARG(worst->slowest_node), str_duration(worst->slowest_ms, slow, sizeof(slow)),
                str_duration(worst->median_ms, median, sizeof(median)));
}

/* The first cause of what a job took, in one line. */
static void show_first_finding(FILE *out, const struct cl2jt_status *status)
{
    if (status->findings.n == 0)
        return;
    const struct cl2jt_finding *f = &status->findings.v[0];
    fprintf(out, "why          " SLICE_FMT " (quern job -why %" PRIu64 ")\n", SLICE_ARG(f->says),
            status->id.job);
}

/* What the job counts itself. */
static void show_own_counters(FILE *out, const struct cl2jt_status *status)
{
    char value[32];
    for (size_t i = 0; i < status->counters.n; i++) {
        const struct msg_counter *c = &status->counters.v[i];
        if (!slice_is(c->group, "Map-Reduce Framework"))
            fprintf(out, "counter      " SLICE_FMT ": " SLICE_FMT " = %s\n", SLICE_ARG(c->group),
                    SLICE_ARG(c->name), str_thousands(c->value, value, sizeof(value)));
    }
}

static void show_success(FILE *out, const struct cl2jt_status *status)
{
    tell_moved(out, status);
    combined_tell(out, counter(status, "Combine input records"),
                  counter(status, "Combine output records"),
                  counter(status, "combine stepped aside"));
    show_times(out, status);
    show_slowest(out, status);
    show_first_finding(out, status);
    fprintf(out, "output       " SLICE_FMT ", %" PRIu32 " file%s, _SUCCESS\n",
            SLICE_ARG(status->out), status->out_files, status->out_files == 1 ? "" : "s");
    show_own_counters(out, status);
}

/* A record as C would write it, short. */
static void show_record(FILE *out, struct slice record)
{
    fprintf(out, "  record    \"");
    for (size_t i = 0; i < record.len && i < 60; i++) {
        uint8_t c = record.data[i];
        if (c == '\t')
            fprintf(out, "\\t");
        else if (isprint(c) && c != '"' && c != '\\')
            fputc(c, out);
        else
            fprintf(out, "\\x%02x", c);
    }
    fprintf(out, "%s\" (%zu bytes%s)\n", record.len > 60 ? "…" : "", record.len,
            record.len == 1024 ? " or more" : "");
}

static void show_last_words(FILE *out, struct slice log)
{
    size_t from = log.len, lines = 0;
    while (from > 0 && lines < 6) {
        from--;
        lines += from > 0 && log.data[from - 1] == '\n';
    }
    if (log.len == 0)
        return;
    fprintf(out, "  log       ");
    for (size_t i = from; i < log.len; i++) {
        uint8_t c = log.data[i];
        if (c == '\n' && i + 1 < log.len)
            fprintf(out, "\n            ");
        else if (c != '\n')
            fputc(isprint(c) || c >= 0x80 || c == '\t' ? c : '?', out);
    }
    fputc('\n', out);
}

static void show_failure(FILE *out, const struct cl2jt_status *status)
{
    const struct task_failed *f = &status->failure;
    char task[16];
    fprintf(out, "job %" PRIu64 " %s: " SLICE_FMT, status->id.job, job_state_name(status->state),
            SLICE_ARG(status->why));
    if (f->id.job == 0) {
        fputc('\n', out);
        return;
    }
    for (size_t i = status->failed_on.n; i-- > 0;) /* the latest comes first */
        fprintf(out, "%s" SLICE_FMT, i + 1 == status->failed_on.n ? ", on " : ", ",
                SLICE_ARG(status->failed_on.v[i]));
    fprintf(out, ": " SLICE_FMT "\n", SLICE_ARG(f->why));
    if (f->at.len || f->path.len)
        fprintf(out, "  at        " SLICE_FMT "%s", SLICE_ARG(f->at),
                f->at.len && f->path.len ? ", " : "");
    if (f->path.len)
        fprintf(out, "record at " SLICE_FMT " offset %" PRIu64, SLICE_ARG(f->path), f->offset);
    if (f->at.len || f->path.len)
        fputc('\n', out);
    if (f->record.len)
        show_record(out, f->record);
    show_last_words(out, f->log_tail);
    if (f->id.stage >= status->stages.n)
        return;
    job_show_task(status->stages.v[f->id.stage].name, f->id.task, task, sizeof(task));
    fprintf(out, "  more      quern job -logs %" PRIu64 " -task %s\n", status->id.job, task);
    if (task[0] != 'c')
        fprintf(out, "  again     quern job -replay %" PRIu64 " -task %s%s\n", status->id.job, task,
                f->path.len ? "   (-record: just that record; -gdb: in a debugger)"
                            : "   (-gdb: in a debugger)");
}

void job_show_end(FILE *out, const struct cl2jt_status *status)
{
    if (status->state == CL2JT_SUCCEEDED)
        show_success(out, status);
    else
        show_failure(out, status);
    fflush(out);
}

/* --- quern job ------------------------------------------------------------------------------- */

void job_show_counters(FILE *out, const struct msg_counter_list *counters)
{
    fprintf(out, "Counters: %zu\n", counters->n);
    for (size_t i = 0; i < counters->n; i++) {
        const struct msg_counter *c = &counters->v[i];
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen = seen || slice_eq(counters->v[j].group, c->group);
        if (seen)
            continue;
        fprintf(out, "\t" SLICE_FMT "\n", SLICE_ARG(c->group));
        for (size_t j = i; j < counters->n; j++)
            if (slice_eq(counters->v[j].group, c->group))
                fprintf(out, "\t\t" SLICE_FMT "=%" PRIu64 "\n", SLICE_ARG(counters->v[j].name),
                        counters->v[j].value);
    }
}

static void show_counters(FILE *out, const struct cl2jt_status *status)
{
    struct arena arena = ARENA_INIT;
    struct msg_counter_list counters;
    if (job_counters(status, &arena, &counters) == 0)
        job_show_counters(out, &counters);
    arena_release(&arena);
}

void job_show_why(FILE *out, const struct cl2jt_status *status)
{
    char cost[32];
    if (status->state == CL2JT_FAILED || status->state == CL2JT_KILLED)
        show_failure(out, status);
    else if (!job_has_ended(status))
        fprintf(out, "job %" PRIu64 " is %s%s" SLICE_FMT "; causes are looked for at its end\n",
                status->id.job, job_state_name(status->state), status->waits_for.len ? ": " : "",
                SLICE_ARG(status->waits_for));
    else if (status->findings.n == 0)
        fprintf(out, "job %" PRIu64 ": nothing held it up\n", status->id.job);
    for (size_t i = 0; i < status->findings.n; i++) {
        const struct cl2jt_finding *f = &status->findings.v[i];
        fprintf(out, SLICE_FMT, SLICE_ARG(f->code));
        if (f->cost_ms)
            fprintf(out, ", about %s of the job", str_duration(f->cost_ms, cost, sizeof(cost)));
        fprintf(out, "\n  " SLICE_FMT "\n  to do: " SLICE_FMT "\n", SLICE_ARG(f->says),
                SLICE_ARG(f->fix));
    }
}

static void show_stage(FILE *out, const struct cl2jt_stage *stage)
{
    fprintf(out,
            "%-8.*s %5" PRIu32 " tasks  %5" PRIu32 " done  %4" PRIu32 " running  %4" PRIu32
            " waiting  %3" PRIu32 " failed  %3" PRIu32 " killed  %3" PRIu32 " speculative\n",
            (int)stage->name.len, (const char *)stage->name.data, stage->tasks, stage->done,
            stage->running, stage->waiting, stage->failed_attempts, stage->killed_attempts,
            stage->speculative);
}

void job_show_status(FILE *out, const struct cl2jt_status *status)
{
    char id[ID_TEXT_MAX], took[32];
    job_id_text((struct job_id){status->id.cluster_ms, status->id.job}, id, sizeof(id));
    fprintf(out, "job %" PRIu64 " (%s)  " SLICE_FMT "  of " SLICE_FMT "\n", status->id.job, id,
            SLICE_ARG(status->name), SLICE_ARG(status->user));
    fprintf(out, "state    %s, %s\n", job_state_name(status->state),
            str_duration(status->elapsed_ms, took, sizeof(took)));
    if (status->queue.len)
        fprintf(out, "queue    " SLICE_FMT "\n", SLICE_ARG(status->queue));
    fprintf(out, "output   " SLICE_FMT "\n", SLICE_ARG(status->out));
    for (size_t i = 0; i < status->stages.n; i++)
        show_stage(out, &status->stages.v[i]);
    if (status->waits_for.len)
        fprintf(out, "waits    " SLICE_FMT "\n", SLICE_ARG(status->waits_for));
    if (job_has_ended(status))
        job_show_end(out, status);
    if (status->counters.n)
        show_counters(out, status);
}
