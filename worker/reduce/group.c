/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reduce/group.h"

void group_open(struct group *g, const struct group_conf *conf)
{
    *g = (struct group){.merge = conf->merge,
                        .order = conf->order,
                        .alike = conf->alike,
                        .space = conf->space,
                        .space_size = conf->space_size};
}

static struct slice kept_key(const struct group *g)
{
    return slice_of(g->space, g->key_len);
}

/* Of a mapped record by steps, so that its key is not in memory twice. */
static int keep_key(struct group *g)
{
    struct slice key = g->at->key;
    if (key.len > g->space_size)
        return ERR_TOOBIG;
    g->key_len = key.len;
    g->prefix = g->at->prefix;
    if (!g->at->is_mapped) {
        if (key.len)
            memcpy(g->space, key.data, key.len);
        return 0;
    }
    run_cursor_let_go(g->space + key.len, g->space_size - key.len);
    for (size_t at = 0; at < key.len; at += RUN_STEP) {
        size_t n = key.len - at < RUN_STEP ? key.len - at : RUN_STEP;
        memcpy(g->space + at, key.data + at, n);
        run_cursor_let_go(key.data + at, n);
    }
    return 0;
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
        return key_cmp(&g->order, kept_key(g), kept) == 0;
    return g->at->prefix == g->prefix && run_cursor_has_key(g->at, kept_key(g));
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
    return false;
}

bool group_value(struct group *g, struct slice *ret_value)
{
    if (!g->is_open)
        return false;
    if (!g->at && (!advance(g) || !is_alike(g))) { /* the one before was given out, and the last */
        g->is_open = false;
        g->given = kept_key(g);
        return false;
    }
    *ret_value = g->at->value;
    g->given = g->at->key;
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
    int rc = keep_key(g);
    if (rc != 0)
        return rc;
    g->own_key = key_restore(&g->order, kept_key(g), g->room);
    g->given = kept_key(g);
    g->is_open = true;
    g->groups++;
    g->first = g->records - 1;
    *ret_key = g->own_key;
    return 1;
}
