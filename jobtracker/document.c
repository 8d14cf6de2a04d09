/* SPDX-License-Identifier: Apache-2.0
 * document: a job as one JSON object (record_history): its status, its settings, every attempt. */
#include <inttypes.h>

#include "jobtracker/account.h"
#include "libcommon/base/str.h"

static void print_attempt(const struct cl2jt_attempt *a, struct buf *out)
{
    buf_printf(out, "{\"attempt\":%" PRIu32 ",\"state\":\"" SLICE_FMT "\",\"worker\":", a->number,
               SLICE_ARG(a->state));
    json_append_string(out, a->worker);
    buf_printf(out,
               ",\"start_ms\":%" PRIu64 ",\"end_ms\":%" PRIu64 ",\"speculative\":%s,\"winner\":%s,"
               "\"locality\":\"" SLICE_FMT "\",\"bytes_in\":%" PRIu64 ",\"records_in\":%" PRIu64
               ",\"records_out\":%" PRIu64 ",\"exit\":\"" SLICE_FMT "\",\"why\":",
               a->start_ms, a->end_ms, a->is_speculative ? "true" : "false",
               a->is_winner ? "true" : "false", SLICE_ARG(a->locality), a->account.in_bytes,
               a->account.in_records,
               a->account.out_records ? a->account.out_records : a->account.emitted_records,
               SLICE_ARG(a->exit));
    json_append_string(out, a->why);
    buf_append_str(out, ",\"path\":");
    json_append_string(out, a->path);
    buf_printf(out, ",\"offset\":%" PRIu64 ",\"times\":", a->offset);
    msg_print(&task_times_desc, &a->times, out);
    buf_append_str(out, ",\"account\":");
    msg_print(&task_account_desc, &a->account, out);
    buf_append_byte(out, '}');
}

/* Rows are in order of task; those of this stage begin at *at. */
static void print_stage(const struct jt_stage *stage, const struct cl2jt_attempt_list *rows,
                        size_t *at, struct buf *out)
{
    buf_printf(out, "{\"stage\":\"%s\",\"tasks\":[", account_stage_name(stage));
    for (uint32_t i = 0; i < stage->count; i++) {
        const struct jt_task *task = &stage->tasks[i];
        buf_printf(out,
                   "%s{\"task\":%" PRIu32 ",\"state\":\"%s\",\"bytes\":%" PRIu64 ",\"attempts\":[",
                   i ? "," : "", i, sm_name(&jt_task_states, task->state), task->bytes);
        bool first = true;
        list_each (&task->attempts, it) {
            buf_append_str(out, first ? "" : ",");
            print_attempt(&rows->v[(*at)++], out);
            first = false;
        }
        buf_append_str(out, "]}");
    }
    buf_append_str(out, "]}");
}

static void print_conf(const struct msg_pair_list *conf, struct buf *out)
{
    for (size_t i = 0; i < conf->n; i++) {
        buf_append_str(out, i ? "," : "");
        json_append_string(out, conf->v[i].key);
        buf_append_byte(out, ':');
        json_append_string(out, conf->v[i].value);
    }
}

int record_history(const struct jobtracker *jt, const struct record *record, struct buf *out)
{
    struct arena arena = ARENA_INIT;
    struct cl2jt_status status;
    struct cl2jt_attempts rows;
    size_t at = 0;
    int rc = record_status(jt, record, &arena, &status);
    if (rc == 0)
        rc = account_rows(record, 0, UINT64_MAX, &arena, &rows);
    if (rc == 0) {
        buf_append_str(out, "{\"status\":");
        msg_print(&cl2jt_status_desc, &status, out);
        buf_append_str(out, ",\"conf\":{");
        print_conf(&record->spec.job.conf, out);
        buf_append_str(out, "},\"stages\":[");
        for (uint32_t i = 0; i < record->job->stage_count; i++) {
            buf_append_str(out, i ? "," : "");
            print_stage(&record->job->stages[i], &rows.attempts, &at, out);
        }
        buf_append_str(out, "],\"partitions\":[");
        for (size_t i = 0; i < rows.partitions.n; i++) {
            buf_append_str(out, i ? "," : "");
            msg_print(&cl2jt_partition_desc, &rows.partitions.v[i], out);
        }
        buf_append_str(out, "]}\n");
    }
    arena_release(&arena);
    return rc == 0 && buf_failed(out) ? ERR_NOMEM : rc;
}
