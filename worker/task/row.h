/* SPDX-License-Identifier: Apache-2.0
 * row: the attempts a process was given in one message, to run one after another. Short ones come
 * several at a time, others alone; a row of one is a row like any other. No I/O here: the page is
 * memory shared with the process, which says there which of them it has begun (proto/task).
 *
 *      answered | held back | in hand | not begun
 *                 done, and its answer waits in the process for others to go with
 *
 * Whoever is not begun can be taken out at any moment, and is then nobody's fault and nobody's
 * loss. Attempts are borrowed. */
#ifndef QUERN_WORKER_TASK_ROW_H
#define QUERN_WORKER_TASK_ROW_H

#include <stddef.h>

#include "libcommon/proto/task/progress.h"

#define WK_ROW_MAX 64

struct wk_attempt;

struct wk_row {
    struct wk_attempt *v[WK_ROW_MAX]; /* in order; NULL: it was taken out */
    uint32_t count, answered;
    uint32_t seen;   /* how many had begun when row_is_stuck last looked */
    uint16_t number; /* another for each row, never 0 */
    struct progress_page *page;
};

/* Before the process is told, with the row's number. `page` is borrowed until the row is over. */
void row_begin(struct wk_row *row, struct wk_attempt *const *attempts, size_t count,
               struct progress_page *page);
static inline bool row_is_over(const struct wk_row *row)
{
    return row->answered == row->count;
}
/* The process is at it, or was when it ended; NULL: at none, or at one that was taken out. */
struct wk_attempt *row_in_hand(const struct wk_row *row);
/* The process has answered: whom that is about. NULL: nobody waits for it any more. */
struct wk_attempt *row_answer(struct wk_row *row);
/* Nothing more is begun. Those that will not be, out of the row, into `ret` (WK_ROW_MAX); how many.
 */
size_t row_end(struct wk_row *row, struct wk_attempt **ret);
/* None has begun since the last look, and some wait for the one in hand. */
bool row_is_stuck(struct wk_row *row);
/* Those held back, out of the row, into `ret`. */
size_t row_take_held(struct wk_row *row, struct wk_attempt **ret);
/* Take it out. If it was not begun the row ends, and what else was not begun is in `ret`. false: it
 * is in hand, and only the end of its process stops it. */
bool row_take(struct wk_row *row, const struct wk_attempt *attempt, struct wk_attempt **ret,
              size_t *ret_count);
/* The process has ended: whose doing that was (NULL: nobody's), and into `ret` the others. The row
 * is over. */
struct wk_attempt *row_break(struct wk_row *row, struct wk_attempt **ret, size_t *ret_count);

#endif
