/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/postmortem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "worker/runner/symbol.h"

#define WHY_MAX 800U

static void classify(int status, uint64_t timed_out_ms, char why[WHY_MAX], struct task_failed *ret)
{
    char text[32];
    if (timed_out_ms) {
        ret->failure = TASK_FAILED_TIMEOUT;
        snprintf(
            why, WHY_MAX,
            "made no progress for %s and was killed (what takes long must say so with qn_status or "
            "qn_count, or have more with -D mapreduce.task.timeout)",
            str_duration(timed_out_ms, text, sizeof(text)));
    } else if (WIFSIGNALED(status)) {
        ret->failure = TASK_FAILED_CRASH;
        ret->code = WTERMSIG(status);
        snprintf(why, WHY_MAX, "crashed (signal %d, SIG%s)", WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == 127) {
        ret->failure = TASK_FAILED_NODE;
        snprintf(why, WHY_MAX, "quern-task could not be executed");
    } else {
        ret->failure = TASK_FAILED_EXIT;
        ret->code = WEXITSTATUS(status);
        snprintf(why, WHY_MAX, "ended its process by itself (exit code %d)", WEXITSTATUS(status));
    }
}

static void tell_place(const struct progress_page *page, struct arena *arena,
                       struct task_failed *ret)
{
    char place[sizeof(page->crashed_at) + 1], text[WHY_MAX];
    memcpy(place, page->crashed_at, sizeof(page->crashed_at));
    place[sizeof(page->crashed_at)] = 0;
    symbol_place(place, text, sizeof(text));
    ret->at = slice_keep(slice_str(text), arena);
}

void postmortem(const struct task_run *run, const struct progress_page *page, int status,
                uint64_t timed_out_ms, struct arena *arena, struct task_failed *ret)
{
    char why[WHY_MAX];
    *ret = (struct task_failed){.id = run->id};
    classify(status, timed_out_ms, why, ret);
    ret->why = slice_keep(slice_str(why), arena);
    bool may_tell = ret->failure == TASK_FAILED_CRASH || ret->failure == TASK_FAILED_TIMEOUT;
    if (may_tell && page->crashed_at[0])
        tell_place(page, arena, ret);
    if (run->kind == TASK_REDUCE || page->phase != PROGRESS_MAP || page->input_segment == 0 ||
        page->input_segment > run->input.n)
        return;
    ret->path = run->input.v[page->input_segment - 1].path;
    ret->offset = page->input_offset;
    uint32_t kept = page->record_kept;
    if (kept <= sizeof(page->record))
        ret->record = slice_keep(slice_of(page->record, kept), arena);
}

void postmortem_log_tail(const char *path, struct buf *out)
{
    struct stat st;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        if (fd >= 0)
            close(fd);
        return;
    }
    off_t from = st.st_size > (off_t)POSTMORTEM_TAIL_BYTES ? st.st_size - POSTMORTEM_TAIL_BYTES : 0;
    uint8_t *room = buf_reserve(out, POSTMORTEM_TAIL_BYTES);
    ssize_t n = room ? pread(fd, room, POSTMORTEM_TAIL_BYTES, from) : 0;
    close(fd);
    if (n <= 0)
        return;
    out->len += (size_t)n;
    const uint8_t *nl = from ? memchr(out->data, '\n', out->len) : NULL;
    if (nl)
        buf_consume(out, (size_t)(nl - out->data) + 1);
}
