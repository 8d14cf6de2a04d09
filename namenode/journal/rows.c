/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/rows.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

void nn_rows_release(struct nn_rows *rows)
{
    for (size_t i = 0; i < rows->word_count; i++)
        mem_free(rows->words[i]);
    mem_free(rows->words);
    *rows = (struct nn_rows){0};
}

void nn_rows_begin(struct nn_rows *rows, struct slice chunk)
{
    rows->at = chunk.data;
    rows->end = chunk.data + chunk.len;
}

static void give_up(struct nn_rows *rows)
{
    rows->is_bad = true;
    rows->at = rows->end;
}

/* Most are below 128. Nothing is left of bad rows: at = end. */
uint64_t nn_rows_varint(struct nn_rows *rows)
{
    uint64_t v = 0;
    if (rows->at < rows->end && *rows->at < 0x80)
        return *rows->at++;
    size_t used = rows->is_bad ? 0 : get_varint(rows->at, (size_t)(rows->end - rows->at), &v);
    if (used == 0) {
        give_up(rows);
        return 0;
    }
    rows->at += used;
    return v;
}

/* A varint that must be smaller than `limit`. */
static uint32_t below(struct nn_rows *rows, uint32_t limit)
{
    uint64_t v = nn_rows_varint(rows);
    if (v < limit)
        return (uint32_t)v;
    give_up(rows);
    return 0;
}

uint64_t nn_rows_u64(struct nn_rows *rows)
{
    if (rows->is_bad || rows->end - rows->at < 8) {
        give_up(rows);
        return 0;
    }
    rows->at += 8;
    return get_u64(rows->at - 8);
}

struct slice nn_rows_text(struct nn_rows *rows)
{
    uint64_t len = nn_rows_varint(rows);
    if (rows->is_bad || len > (uint64_t)(rows->end - rows->at)) {
        give_up(rows);
        return slice_of(NULL, 0);
    }
    rows->at += len;
    return slice_of(rows->at - len, (size_t)len);
}

static struct slice word(struct nn_rows *rows)
{
    uint64_t number = nn_rows_varint(rows);
    if (number == 0) {
        struct slice fresh = nn_rows_text(rows);
        if (rows->is_bad ||
            mem_grow(&rows->words, &rows->word_cap, rows->word_count, sizeof(*rows->words)) != 0 ||
            !(rows->words[rows->word_count] = slice_dup(fresh))) {
            give_up(rows);
            return slice_of(NULL, 0);
        }
        number = ++rows->word_count;
    }
    if (number > rows->word_count) {
        give_up(rows);
        return slice_of(NULL, 0);
    }
    return slice_str(rows->words[number - 1]);
}

void nn_rows_inode(struct nn_rows *rows, struct nn_row_inode *ret)
{
    *ret = (struct nn_row_inode){0};
    ret->depth = below(rows, UINT32_MAX);
    ret->name = nn_rows_text(rows);
    ret->id = nn_rows_varint(rows);
    ret->mode = below(rows, 01777U + 1);
    ret->flags = below(rows, NN_ROW_FLAGS + 1);
    ret->owner = word(rows);
    ret->group = word(rows);
    ret->mtime_ms = nn_rows_varint(rows);
    if (!(ret->flags & NN_ROW_DIR) || ret->flags & NN_ROW_DIR_ATIME)
        ret->atime_ms = nn_rows_varint(rows);
    if (ret->flags & NN_ROW_DIR)
        return;
    ret->replication = below(rows, UINT16_MAX + 1);
    ret->block_units = below(rows, 1U << 24);
    ret->blocks = below(rows, 1U << 24);
    if (ret->flags & NN_ROW_OPEN)
        ret->client = nn_rows_u64(rows);
}
