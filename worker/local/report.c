/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/report.h"

#include <inttypes.h>

#include "libcommon/base/str.h"
#include "libcommon/proto/task/combined.h"
#include "libcommon/proto/task/moved.h"
#include "libcommon/proto/task/times.h"
#include "libcommon/store/fsutil.h"

#define RECORD_SHOWN 60U

void report_begin(FILE *out, const struct job *job, uint64_t file_count, uint64_t bytes)
{
    char size[32];
    fprintf(out, "job      %s  %llu file%s, %s in %zu split%s", job->name,
            (unsigned long long)file_count, file_count == 1 ? "" : "s",
            str_human(bytes, size, sizeof(size)), job->stages[0].count,
            job->stages[0].count == 1 ? "" : "s");
    uint32_t reduces = job->shuffle_count ? job->shuffles[job->shuffle_count - 1].reduces : 0;
    if (reduces)
        fprintf(out, ", %u reducer%s", reduces, reduces == 1 ? "" : "s");
    fprintf(out, "\n");
}

void report_progress(FILE *out, const struct job *job, uint64_t done_bytes, bool is_terminal)
{
    char done[32], all[32];
    fprintf(out, "%smap      %zu/%zu  %s of %s", is_terminal ? "\r\033[K" : "", job->stages[0].done,
            job->stages[0].count, str_human(done_bytes, done, sizeof(done)),
            str_human(job->splits.bytes, all, sizeof(all)));
    for (size_t s = 1; s <= job->shuffle_count && job->stages[s].is_planned; s++)
        fprintf(out, "   reduce %zu/%zu", job->stages[s].done, job->stages[s].count);
    fprintf(out, "%s", is_terminal ? "" : "\n");
    (void)fflush(out);
}

/* --- done ------------------------------------------------------------------------------------ */

static uint64_t counter(struct job *job, const char *name)
{
    return counters_get(&job->counters, COUNTERS_GROUP, name)->value;
}

static int by_wall(const void *pa, const void *pb)
{
    const struct job_task *a = *(const struct job_task *const *)pa;
    const struct job_task *b = *(const struct job_task *const *)pb;
    return (a->wall_us > b->wall_us) - (a->wall_us < b->wall_us);
}

static void print_slowest(FILE *out, struct job *job, struct job_task *tasks, size_t count)
{
    const struct job_task **order = arena_calloc(&job->arena, count + 1, sizeof(*order));
    char name[48], slow[32], median[32];
    if (count < 2 || !order)
        return;
    for (size_t i = 0; i < count; i++)
        order[i] = &tasks[i];
    qsort(order, count, sizeof(*order), by_wall);
    const struct job_task *worst = order[count - 1];
    struct task_attempt id = {.stage = worst->stage, .task = worst->index};
    fprintf(out, "slowest      %s, %s (median %s)\n",
            report_task_name(worst->kind, &id, name, sizeof(name)),
            str_duration(worst->wall_us / 1000, slow, sizeof(slow)),
            str_duration(order[count / 2]->wall_us / 1000, median, sizeof(median)));
}

static void print_counters(FILE *out, struct job *job, bool is_verbose)
{
    struct msg_counter_list list;
    char value[32];
    if (counters_list(&job->counters, &job->arena, &list) != 0)
        return;
    for (size_t i = 0; i < list.n; i++) {
        const struct msg_counter *c = &list.v[i];
        if (is_verbose || !slice_is(c->group, COUNTERS_GROUP))
            fprintf(out, "counter      " SLICE_FMT ": " SLICE_FMT " = %s\n", SLICE_ARG(c->group),
                    SLICE_ARG(c->name), str_thousands(c->value, value, sizeof(value)));
    }
}

int report_counters(const char *path, struct job *job, struct err *err)
{
    struct msg_counter_list list;
    struct buf text = BUF_INIT;
    int rc = counters_list(&job->counters, &job->arena, &list);
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        buf_printf(&text, SLICE_FMT "\t" SLICE_FMT "\t%" PRIu64 "\n", SLICE_ARG(list.v[i].group),
                   SLICE_ARG(list.v[i].name), list.v[i].value);
    rc = rc != 0 || buf_failed(&text) ? err_set(err, ERR_NOMEM, "out of memory")
                                      : fsutil_write_all(disk_real(), path, buf_slice(&text), err);
    buf_release(&text);
    return rc;
}

void report_done(FILE *out, struct job *job, const char *output, uint64_t wall_us, bool is_verbose)
{
    size_t files = job_last(job)->count;
    moved_tell(out, &(struct moved){wall_us / 1000, job->splits.bytes, job->out_bytes,
                                    job->accounts, job->shuffle_count + 1});
    combined_tell(out, counter(job, "Combine input records"),
                  counter(job, "Combine output records"), counter(job, "combine stepped aside"));
    task_times_tell(out, "time         ", &job->times);
    for (size_t s = 0; s <= job->shuffle_count; s++)
        print_slowest(out, job, job->stages[s].tasks, job->stages[s].count);
    fprintf(out, "output       %s, %zu file%s, _SUCCESS\n", output, files, files == 1 ? "" : "s");
    print_counters(out, job, is_verbose);
}

/* --- failed ---------------------------------------------------------------------------------- */

/* Bytes as a C string would have them. */
static void print_bytes(FILE *out, struct slice bytes)
{
    fputc('"', out);
    for (size_t i = 0; i < bytes.len && i < RECORD_SHOWN; i++) {
        uint8_t b = bytes.data[i];
        if (b == '"' || b == '\\')
            fprintf(out, "\\%c", b);
        else if (b == '\t')
            fputs("\\t", out);
        else if (b < 0x20 || b == 0x7f)
            fprintf(out, "\\x%02x", b);
        else
            fputc(b, out);
    }
    fprintf(out, "%s\"", bytes.len > RECORD_SHOWN ? "…" : "");
}

static void print_log(FILE *out, struct slice tail)
{
    while (tail.len) {
        const uint8_t *nl = memchr(tail.data, '\n', tail.len);
        size_t n = nl ? (size_t)(nl - tail.data) : tail.len;
        fprintf(out, "  log       " SLICE_FMT "\n", (int)n, (const char *)tail.data);
        n += nl != NULL;
        tail = slice_of(tail.data + n, tail.len - n);
    }
}

char *report_task_name(uint32_t kind, const struct task_attempt *id, char *out, size_t cap)
{
    if (kind == TASK_COMMIT)
        snprintf(out, cap, "commit");
    else if (kind == TASK_REDUCE && id->stage > 1)
        snprintf(out, cap, "reduce %u, task %u", id->stage, id->task);
    else
        snprintf(out, cap, "%s %u", kind == TASK_REDUCE ? "reduce" : "map", id->task);
    return out;
}

void report_failed(FILE *out, const struct job *job)
{
    char name[48], who[64];
    const struct task_attempt *id = &job->failed.id;
    uint32_t kind = id->stage == 0                    ? TASK_MAP
                    : id->stage <= job->shuffle_count ? TASK_REDUCE
                                                      : TASK_COMMIT;
    snprintf(who, sizeof(who), "job failed: %s", report_task_name(kind, id, name, sizeof(name)));
    report_task_failed(out, who, &job->failed);
    if (job->failed.failure == TASK_FAILED_CRASH)
        fprintf(out, "  again     add -D local.inprocess=true and run it under gdb\n");
}

void report_task_failed(FILE *out, const char *who, const struct task_failed *f)
{
    fprintf(out, "%s: " SLICE_FMT "\n", who, SLICE_ARG(f->why));
    if (f->at.len || f->path.len)
        fprintf(out, "  at        " SLICE_FMT "%s", SLICE_ARG(f->at),
                f->at.len && f->path.len ? ", " : "");
    if (f->path.len)
        fprintf(out, "record at " SLICE_FMT " offset %llu", SLICE_ARG(f->path),
                (unsigned long long)f->offset);
    if (f->at.len || f->path.len)
        fprintf(out, "\n");
    if (f->record.len) {
        fprintf(out, "  record    ");
        print_bytes(out, f->record);
        fprintf(out, " (%zu bytes)\n", f->record.len);
    }
    print_log(out, f->log_tail);
}
