/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/row.h"

#include "libcommon/base/err.h"

void row_begin(struct wk_row *row, struct wk_attempt *const *attempts, size_t count,
               struct progress_page *page)
{
    BUG_ON(count == 0 || count > WK_ROW_MAX);
    uint16_t number = row->number == UINT16_MAX ? 1 : (uint16_t)(row->number + 1);
    *row = (struct wk_row){.count = (uint32_t)count, .page = page, .number = number};
    for (size_t i = 0; i < count; i++)
        row->v[i] = attempts[i];
    page->row = progress_row_word(number, row->count, count == 1); /* one alone need not ask */
}

/* What the process writes is believed only as far as it can be true. */
static uint32_t within(const struct wk_row *row, uint32_t begun)
{
    return begun < row->answered ? row->answered : begun > row->count ? row->count : begun;
}

static uint32_t begun(const struct wk_row *row)
{
    return row->page ? within(row, progress_row_begun(row->page)) : row->answered;
}

struct wk_attempt *row_in_hand(const struct wk_row *row)
{
    uint32_t n = begun(row);
    return n > row->answered ? row->v[n - 1] : NULL;
}

struct wk_attempt *row_answer(struct wk_row *row)
{
    return row_is_over(row) ? NULL : row->v[row->answered++];
}

/* Out of the row, those in [from, to). */
static size_t take(struct wk_row *row, uint32_t from, uint32_t to, struct wk_attempt **ret)
{
    size_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        if (row->v[i])
            ret[n++] = row->v[i];
        row->v[i] = NULL;
    }
    return n;
}

size_t row_end(struct wk_row *row, struct wk_attempt **ret)
{
    uint32_t kept = row->page ? within(row, progress_row_end(row->page)) : row->answered;
    size_t n = take(row, kept, row->count, ret);
    row->count = kept;
    return n;
}

bool row_is_stuck(struct wk_row *row)
{
    uint32_t n = begun(row), before = row->seen;
    row->seen = n;
    return n == before && row->count - row->answered > 1;
}

size_t row_take_held(struct wk_row *row, struct wk_attempt **ret)
{
    uint32_t n = begun(row);
    return n > row->answered ? take(row, row->answered, n - 1, ret) : 0;
}

static uint32_t find(const struct wk_row *row, const struct wk_attempt *attempt)
{
    uint32_t i = row->answered;
    while (i < row->count && row->v[i] != attempt)
        i++;
    return i;
}

bool row_take(struct wk_row *row, const struct wk_attempt *attempt, struct wk_attempt **ret,
              size_t *ret_count)
{
    uint32_t at = find(row, attempt);
    *ret_count = 0;
    if (at == row->count)
        return true;
    row->v[at] = NULL;
    if (at >= begun(row))
        *ret_count = row_end(row, ret); /* but it may have begun meanwhile */
    return at >= row->count || at + 1 != begun(row);
}

/* A process that ends before it begins the first had been told to begin it. One that ends between
 * two is at neither. */
struct wk_attempt *row_break(struct wk_row *row, struct wk_attempt **ret, size_t *ret_count)
{
    uint32_t n = begun(row);
    uint32_t guilty = n > row->answered ? n - 1 : n == 0 ? 0 : row->count;
    struct wk_attempt *culprit = guilty < row->count ? row->v[guilty] : NULL;
    if (culprit)
        row->v[guilty] = NULL;
    *ret_count = take(row, row->answered, row->count, ret);
    row->answered = row->count = 0;
    row->page = NULL;
    return culprit;
}
