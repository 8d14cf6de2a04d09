/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/report.h"

#include <signal.h>
#include <sys/wait.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "worker/task/last_words.h"

#define LOG_TAIL_BYTES 4096

static void outgrew(const struct wk_attempt *attempt, uint64_t peak, const char *evidence,
                    char why[REPORT_WHY_MAX])
{
    char used[32], share[32];
    snprintf(why, REPORT_WHY_MAX,
             "used %s of memory where %s is its share, and was killed: give it more with -D "
             "mapreduce.%s.memory.mb=..., or mend the leak (%s)",
             str_human(peak, used, sizeof(used)),
             str_human(attempt->task.memory, share, sizeof(share)),
             attempt->task.kind == TASK_REDUCE ? "reduce" : "map", evidence);
}

/* Has the kernel killed for memory? Then class and reason are filled in. */
static bool was_for_memory(const struct wk_attempt *attempt, bool is_killed,
                           struct task_failed *failed, char why[REPORT_WHY_MAX])
{
    char evidence[256];
    uint64_t peak = 0;
    if (attempt->outgrown_bytes) {
        failed->failure = TASK_FAILED_MEMORY;
        outgrew(attempt, attempt->outgrown_bytes, "all its processes, added up", why);
        return true;
    }
    enum fence_verdict verdict = attempt->process ? fence_judge(&attempt->process->fence, is_killed,
                                                                &peak, evidence, sizeof(evidence))
                                                  : FENCE_QUIET;
    if (verdict == FENCE_LIMIT) {
        failed->failure = TASK_FAILED_MEMORY;
        outgrew(attempt, peak, evidence, why);
    } else if (verdict == FENCE_NODE) {
        failed->failure = TASK_FAILED_NODE_MEMORY;
        snprintf(why, REPORT_WHY_MAX,
                 "the kernel killed it because the machine had no memory left (%s): offer less "
                 "with worker.memory, or see what else runs there",
                 evidence);
    }
    return verdict != FENCE_QUIET;
}

static bool has_cut_cord(const struct wk_attempt *attempt, int status)
{
    return (attempt->process && attempt->process->has_hung_up) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == TASK_CUT);
}

void report_death(const struct wk_attempt *attempt, int status, struct task_failed *failed,
                  char why[REPORT_WHY_MAX])
{
    char ms[32];
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (attempt->timed_out) {
        failed->failure = TASK_FAILED_TIMEOUT;
        snprintf(
            why, REPORT_WHY_MAX,
            "made no progress for %s and was killed (what takes long must say so with qn_status or "
            "qn_count, or have more with -D mapreduce.task.timeout)",
            str_duration(attempt->job->spec.timeout_ms, ms, sizeof(ms)));
    } else if (was_for_memory(attempt, is_killed, failed, why)) {
        failed->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    } else if (has_cut_cord(attempt, status)) {
        failed->failure = TASK_FAILED_EXIT;
        snprintf(why, REPORT_WHY_MAX,
                 "closed its connection to the worker, and was killed: a job must not close "
                 "descriptors that it has not opened");
    } else if (WIFSIGNALED(status)) {
        failed->failure = TASK_FAILED_CRASH;
        failed->code = WTERMSIG(status);
        snprintf(why, REPORT_WHY_MAX, "crashed (signal %d, SIG%s)", WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == 127) {
        failed->failure = TASK_FAILED_NODE;
        snprintf(why, REPORT_WHY_MAX, "%s could not be executed", attempt->worker->task_program);
    } else {
        failed->failure = TASK_FAILED_EXIT;
        failed->code = WEXITSTATUS(status);
        snprintf(why, REPORT_WHY_MAX, "ended its process by itself (exit code %d)",
                 WEXITSTATUS(status));
    }
    failed->why = slice_str(why);
}

void report_limit(const struct wk_attempt *attempt, struct task_failed *failed,
                  char why[REPORT_WHY_MAX])
{
    if (!was_for_memory(attempt, true, failed, why))
        return;
    size_t len = strlen(why);
    snprintf(why + len, REPORT_WHY_MAX - len, "; the task said: " SLICE_FMT,
             SLICE_ARG(failed->why));
    failed->why = slice_str(why);
}

static void record_in_hand(struct wk_attempt *attempt, struct task_failed *failed)
{
    const struct progress_page *page = attempt->page;
    if (!page || attempt->task.kind == TASK_REDUCE || failed->path.len ||
        page->phase != PROGRESS_MAP)
        return;
    uint32_t segment = page->input_segment, len = page->record_kept;
    if (segment == 0) /* in setup, or behind the last one */
        return;
    if (segment <= attempt->task.input.n)
        failed->path = attempt->task.input.v[segment - 1].path;
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
    bool is_known = failed->failure == TASK_FAILED_CRASH || failed->failure == TASK_FAILED_TIMEOUT;
    if (!page || !is_known || failed->at.len || !page->crashed_at[0])
        return;
    char *copy = arena_calloc(&attempt->arena, 1, sizeof(page->crashed_at) + 1);
    if (!copy)
        return;
    memcpy(copy, page->crashed_at, sizeof(page->crashed_at));
    failed->at = slice_str(copy);
}

/* "crashed (signal 6, SIGABRT)", and what it said of that. */
static void add_last_words(struct wk_attempt *attempt, struct task_failed *failed)
{
    char words[REPORT_WHY_MAX], *whole;
    if (failed->failure != TASK_FAILED_CRASH || failed->code != SIGABRT ||
        !last_words(failed->log_tail, words, sizeof(words)))
        return;
    size_t cap = failed->why.len + strlen(words) + 3;
    whole = arena_alloc(&attempt->arena, cap);
    if (!whole)
        return;
    snprintf(whole, cap, SLICE_FMT ": %s", SLICE_ARG(failed->why), words);
    failed->why = slice_str(whole);
}

/* What is known of its time: the page says since when it counts, what it did was its last phase. */
static void time_taken(const struct wk_attempt *attempt, struct task_times *ret)
{
    const struct progress_page *page = attempt->page;
    uint64_t now = clock_mono_us(), began = page ? page->began_us : 0;
    uint64_t ready = began && page->ready_us >= began ? page->ready_us : now;
    uint64_t *const of_phase[] = {
        [PROGRESS_MAP] = &ret->map,     [PROGRESS_SORT] = &ret->sort,
        [PROGRESS_FETCH] = &ret->fetch, [PROGRESS_REDUCE] = &ret->reduce,
        [PROGRESS_WRITE] = &ret->write, [PROGRESS_END] = &ret->write,
    };
    uint32_t phase = page ? page->phase : PROGRESS_START;
    if (began < attempt->ordered_us || began > now || ready > now)
        began = attempt->ordered_us; /* it did not get so far, or it wrote nonsense there */
    if (ready < began || ready > now)
        ready = now;
    *ret = (struct task_times){
        .queue = began - attempt->ordered_us, .launch = ready - began, .total = now - began};
    *(phase > PROGRESS_START && phase < ARRAY_LEN(of_phase) ? of_phase[phase] : &ret->launch) +=
        now - ready;
}

void report_complete(struct wk_attempt *attempt, struct task_failed *failed, struct buf *tail)
{
    uint64_t total;
    failed->id = attempt->task.id;
    time_taken(attempt, &failed->times);
    record_in_hand(attempt, failed);
    place_of_crash(attempt, failed);
    if (failed->log_tail.len == 0 &&
        sandbox_read_log(attempt->worker, attempt->job_name, attempt->name, true, 0, LOG_TAIL_BYTES,
                         tail, &total) == 0)
        failed->log_tail = buf_slice(tail);
    add_last_words(attempt, failed);
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
