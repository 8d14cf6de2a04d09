/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/report.h"

#define LOG_TAIL_BYTES 4096

static void record_in_hand(struct wk_attempt *attempt, struct task_failed *failed)
{
    const struct progress_page *page = attempt->page;
    if (!page || attempt->task.kind == TASK_REDUCE || failed->path.len ||
        page->phase != PROGRESS_MAP)
        return;
    uint32_t segment = page->input_segment, len = page->record_kept;
    if (segment < attempt->task.input.n)
        failed->path = attempt->task.input.v[segment].path;
    failed->offset = page->input_offset;
    uint8_t *copy = arena_alloc(&attempt->arena, sizeof(page->record));
    if (!copy)
        return;
    memcpy(copy, page->record, sizeof(page->record));
    failed->record = slice_of(copy, len < sizeof(page->record) ? len : sizeof(page->record));
}

/* Where the plugin's code was when a signal ended it. */
static void place_of_crash(struct wk_attempt *attempt, struct task_failed *failed)
{
    const struct progress_page *page = attempt->page;
    if (!page || failed->failure != TASK_FAILED_CRASH || failed->at.len || !page->crashed_at[0])
        return;
    char *copy = arena_calloc(&attempt->arena, 1, sizeof(page->crashed_at) + 1);
    if (!copy)
        return;
    memcpy(copy, page->crashed_at, sizeof(page->crashed_at));
    failed->at = slice_str(copy);
}

void report_complete(struct wk_attempt *attempt, struct task_failed *failed, struct buf *tail)
{
    uint64_t total;
    failed->id = attempt->task.id;
    record_in_hand(attempt, failed);
    place_of_crash(attempt, failed);
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
