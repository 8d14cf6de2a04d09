/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

#define FIRST_MS 1000
#define EVERY_MS 200

void fs_progress_begin(struct fs_progress *progress, const char *verb)
{
    uint64_t now = clock_mono_ms();
    *progress = (struct fs_progress){.verb = verb, .begin_ms = now, .next_ms = now + FIRST_MS};
    progress->is_on = isatty(STDERR_FILENO) == 1;
}

char *fs_progress_line(const char *verb, uint64_t files, uint64_t bytes, uint64_t total,
                       uint64_t elapsed_ms, char out[160])
{
    char done[32], rate[32], left[32], percent[16] = "", rest[48] = "";
    uint64_t per_s = elapsed_ms ? bytes * 1000 / elapsed_ms : 0;
    if (total && bytes <= total) {
        snprintf(percent, sizeof(percent), "%3u %%  ",
                 (unsigned)(100 * (double)bytes / (double)total));
        if (per_s)
            snprintf(rest, sizeof(rest), "   about %s left",
                     str_duration((total - bytes) * 1000 / per_s, left, sizeof(left)));
    }
    snprintf(out, 160, "%s  %s%s  %s/s   %" PRIu64 " %s done%s", verb, percent,
             str_human(bytes, done, sizeof(done)), str_human(per_s, rate, sizeof(rate)), files,
             files == 1 ? "file" : "files", rest);
    return out;
}

static void draw(struct fs_progress *progress, uint64_t now)
{
    char line[160];
    fs_progress_line(progress->verb, progress->files, progress->bytes, progress->total,
                     now - progress->begin_ms, line);
    progress->is_drawn = true;
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

void fs_progress_expect(struct fs_progress *progress, uint64_t bytes)
{
    progress->total += bytes;
}

void fs_progress_add(struct fs_progress *progress, uint64_t bytes)
{
    progress->bytes += bytes;
    if (!progress->is_on)
        return;
    uint64_t now = clock_mono_ms(), next = progress->next_ms;
    if (now >= next &&
        __atomic_compare_exchange_n((uint64_t *)&progress->next_ms, &next, now + EVERY_MS, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        draw(progress, now);
}

void fs_progress_file_done(struct fs_progress *progress)
{
    progress->files++;
}

void fs_progress_clear(struct fs_progress *progress)
{
    if (progress->is_drawn) {
        progress->is_drawn = false;
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}
