/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/merge.h"

#include "libcommon/base/mem.h"

/* Does a come before b? The prefixes are equal or both have ended. */
static bool is_before_slow(const struct merge *m, const struct merge_node *a,
                           const struct merge_node *b)
{
    if (a->ended != b->ended)
        return b->ended;
    if (!a->ended) {
        int c = run_cursor_cmp(&m->order, m->cursors[a->cursor], m->cursors[b->cursor]);
        if (c != 0)
            return c < 0;
    }
    return a->cursor < b->cursor;
}

static inline bool is_before(const struct merge *m, const struct merge_node *a,
                             const struct merge_node *b)
{
    if (__builtin_expect(a->prefix != b->prefix, 1))
        return a->prefix < b->prefix;
    return is_before_slow(m, a, b);
}

/* Move a cursor on and take its new head into *node. */
static inline int advance(const struct merge *m, struct merge_node *node)
{
    struct run_cursor *c = m->cursors[node->cursor];
    int rc = c->next(c);
    if (rc < 0)
        return rc;
    node->ended = rc == 0;
    node->prefix = rc == 0 ? UINT64_MAX : m->order.compare ? 0 : c->prefix;
    return 0;
}

/* The winner below inner node i (leaves are count .. 2 * count - 1); losers stay on the way. */
static int play(struct merge *m, uint32_t i, struct merge_node *ret)
{
    if (i >= m->count) {
        *ret = (struct merge_node){.cursor = i - m->count};
        return advance(m, ret);
    }
    struct merge_node left, right;
    int rc = play(m, 2 * i, &left);
    if (rc == 0)
        rc = play(m, 2 * i + 1, &right);
    if (rc != 0)
        return rc;
    bool left_wins = is_before(m, &left, &right);
    m->nodes[i] = left_wins ? right : left;
    *ret = left_wins ? left : right;
    return 0;
}

int merge_open(struct merge *merge, struct run_cursor **cursors, size_t count,
               const struct key_order *order)
{
    *merge = (struct merge){.cursors = cursors, .count = (uint32_t)count, .order = *order};
    merge->nodes = mem_calloc(count ? count : 1, sizeof(*merge->nodes));
    return merge->nodes ? 0 : ERR_NOMEM;
}

/* The winner so far against the one that lost here last. Who wins is as good as random: so they
 * change places without a branch on it, which would be guessed wrong every other time. */
static inline void play_again(const struct merge *m, struct merge_node *here,
                              struct merge_node *winner)
{
    struct merge_node was = *here, is = *winner;
    uint64_t all = -(uint64_t)is_before(m, &was, &is);
    uint64_t prefix = (was.prefix ^ is.prefix) & all;
    uint32_t cursor = (was.cursor ^ is.cursor) & (uint32_t)all;
    uint32_t ended = (was.ended ^ is.ended) & (uint32_t)all;
    *here = (struct merge_node){was.prefix ^ prefix, was.cursor ^ cursor, was.ended ^ ended};
    *winner = (struct merge_node){is.prefix ^ prefix, is.cursor ^ cursor, is.ended ^ ended};
}

static int replay(struct merge *m)
{
    struct merge_node winner = m->nodes[0];
    int rc = advance(m, &winner);
    if (rc != 0)
        return rc;
    for (uint32_t i = (winner.cursor + m->count) / 2; i > 0; i /= 2)
        play_again(m, &m->nodes[i], &winner);
    m->nodes[0] = winner;
    return 0;
}

int merge_next(struct merge *merge, struct run_cursor **ret_cursor)
{
    if (merge->count == 0)
        return 0;
    int rc = merge->started ? replay(merge) : play(merge, 1, &merge->nodes[0]);
    merge->started = true;
    if (rc != 0)
        return rc;
    if (merge->nodes[0].ended)
        return 0;
    *ret_cursor = merge->cursors[merge->nodes[0].cursor];
    return 1;
}

void merge_close(struct merge *merge)
{
    mem_free(merge->nodes);
    merge->nodes = NULL;
}
