/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reduce/group.h"

void group_open(struct group *g, struct merge *merge, const struct key_order *order,
                int (*alike)(struct qn_slice, struct qn_slice))
{
    *g = (struct group){.merge = merge, .order = *order, .alike = alike};
}

void group_close(struct group *g)
{
    buf_release(&g->key);
}

/* Does the record at hand belong to the group? */
static bool is_alike(struct group *g)
{
    struct slice kept = g->at->key;
    if (g->alike) {
        uint8_t room[KEY_NUMBER_BYTES];
        struct slice own = key_restore(&g->order, kept, room);
        return g->alike(key_to_qn(g->own_key), key_to_qn(own)) == 0;
    }
    if (g->order.compare)
        return key_cmp(&g->order, buf_slice(&g->key), kept) == 0;
    return run_cursor_has_key(g->at, buf_slice(&g->key));
}

/* Read one record on. False: the stream has ended, or failed. */
static bool advance(struct group *g)
{
    int rc = merge_next(g->merge, &g->at);
    if (rc == 1) {
        g->records++;
        return true;
    }
    g->failed = rc;
    g->at = NULL;
    g->is_open = false;
    return false;
}

bool group_value(struct group *g, struct slice *ret_value)
{
    if (!g->is_open)
        return false;
    if (!g->at) { /* the one before was given out */
        if (!advance(g))
            return false;
        if (!is_alike(g)) {
            g->is_open = false;
            return false;
        }
    }
    *ret_value = g->at->value;
    g->at = NULL;
    return true;
}

/* The group in hand was read to its end, and perhaps the first record behind it. */
static void note_size(struct group *g)
{
    uint64_t size = g->records - g->first - (g->at != NULL);
    if (g->groups == 0 || size <= g->top.records)
        return;
    g->top.records = size;
    g->top.key_len = g->own_key.len < GROUP_TOP_KEY ? g->own_key.len : GROUP_TOP_KEY;
    if (g->top.key_len)
        memcpy(g->top.key, g->own_key.data, g->top.key_len);
}

int group_next(struct group *g, struct slice *ret_key)
{
    struct slice ignored;
    while (group_value(g, &ignored))
        ;
    note_size(g);
    if (g->failed == 0 && !g->at)
        advance(g);
    if (!g->at)
        return g->failed;
    buf_clear(&g->key);
    buf_append_slice(&g->key, g->at->key);
    if (buf_failed(&g->key))
        return ERR_NOMEM;
    if (g->at->is_mapped)
        run_cursor_let_go(g->at->key.data, g->at->key.len);
    g->own_key = key_restore(&g->order, buf_slice(&g->key), g->room);
    g->is_open = true;
    g->groups++;
    g->first = g->records - 1;
    *ret_key = g->own_key;
    return 1;
}
