/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/report.h"

#define LOG_TAIL_BYTES 4096

static void record_in_hand(struct wk_attempt *attempt, struct task_failed *failed)
{
    const struct progress_page *page = attempt->page;
    if (!page || attempt->task.kind == TASK_REDUCE || failed->path.len ||
        page->phase != PROGRESS_MAP)
        return;
    uint32_t segment = page->input_segment, len = page->record_len;
    if (segment < attempt->task.input.n)
        failed->path = attempt->task.input.v[segment].path;
    failed->offset = page->input_offset;
    uint8_t *copy = arena_alloc(&attempt->arena, sizeof(page->record));
    if (!copy)
        return;
    memcpy(copy, page->record, sizeof(page->record));
    failed->record = slice_of(copy, len < sizeof(page->record) ? len : sizeof(page->record));
}

void report_complete(struct wk_attempt *attempt, struct task_failed *failed, struct buf *tail)
{
    uint64_t total;
    failed->id = attempt->task.id;
    record_in_hand(attempt, failed);
    if (failed->log_tail.len == 0 &&
        sandbox_read_log(attempt->worker, attempt->job_name, attempt->name, true, 0, LOG_TAIL_BYTES,
                         tail, &total) == 0)
        failed->log_tail = buf_slice(tail);
}

struct telling {
    struct rpc_wait wait;
};

static void told(void *arg, int code, const void *answer, const struct err *err)
{
    (void)code;
    (void)answer;
    (void)err;
    mem_free(arg); /* the reducer reports again if it still cannot fetch */
}

void report_fetch_failed(struct worker *worker, const struct task_fetch_failed *failed)
{
    struct telling *telling = mem_calloc(1, sizeof(*telling));
    if (!telling)
        return;
    telling->wait.done = told;
    telling->wait.arg = telling;
    rpc_link_ask(worker->jobtracker, &WK2JT_methods[WK2JT_AT_FETCH_FAILED], failed, &telling->wait);
}
