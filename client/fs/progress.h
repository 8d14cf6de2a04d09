/* SPDX-License-Identifier: Apache-2.0
 * progress: one line on a terminal that says how far a copy is, redrawn in place; only when it
 * takes more than a second, and never when stderr is not a terminal. Any thread may add. */
#ifndef QUERN_FS_PROGRESS_H
#define QUERN_FS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct fs_progress {
    const char *verb; /* "put" */
    bool is_on;
    uint64_t begin_ms;
    _Atomic uint64_t next_ms; /* when to draw again */
    _Atomic uint64_t files, bytes;
    _Atomic uint64_t total; /* bytes known to come so far; 0 = unknown */
    _Atomic bool is_drawn;
};

void fs_progress_begin(struct fs_progress *progress, const char *verb);
void fs_progress_expect(struct fs_progress *progress, uint64_t bytes);
void fs_progress_add(struct fs_progress *progress, uint64_t bytes);
void fs_progress_file_done(struct fs_progress *progress);
/* Wipe the line: before other output and at the end. */
void fs_progress_clear(struct fs_progress *progress);

/* The line for these numbers. Pure. */
char *fs_progress_line(const char *verb, uint64_t files, uint64_t bytes, uint64_t total,
                       uint64_t elapsed_ms, char out[160]);

#endif
