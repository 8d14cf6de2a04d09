/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/drain.h"

#include <stdatomic.h>

#define TICK_EACH 4096U
#define FOLD_MAX  ((size_t)64 << 10) /* longer records pass by: reduce folds them */

/* Where records come from: a merge, or the only cursor. */
struct feed {
    struct merge merge;
    struct run_cursor *only;
    _Atomic uint64_t *ticks;
    struct run_writer *writer;
    uint32_t since_tick;
};

/* 1 with *ret, 0 at the end (or when the writer has failed: what follows is lost anyway). */
static inline int feed_next(struct feed *f, struct run_cursor **ret)
{
    if (__builtin_expect(++f->since_tick >= TICK_EACH, 0)) {
        f->since_tick = 0;
        if (f->ticks)
            atomic_fetch_add_explicit(f->ticks, 1, memory_order_relaxed);
        if (run_writer_has_failed(f->writer))
            return 0;
    }
    if (!f->only)
        return merge_next(&f->merge, ret);
    *ret = f->only;
    return f->only->next(f->only);
}

static void put_mapped(struct feed *f, const struct run_cursor *c)
{
    struct slice left = c->raw;
    run_writer_begin_long(f->writer, left.len);
    while (left.len) {
        size_t n = left.len < RUN_STEP ? left.len : RUN_STEP;
        run_writer_go_on(f->writer, left.data, n);
        run_cursor_let_go(left.data, n);
        left = slice_of(left.data + n, left.len - n);
        if (f->ticks)
            atomic_fetch_add_explicit(f->ticks, 1, memory_order_relaxed);
    }
}

static inline void put(struct feed *f, const struct run_cursor *c)
{
    if (__builtin_expect(c->is_mapped, 0))
        put_mapped(f, c);
    else
        run_writer_add(f->writer, c->raw.data, c->raw.len);
}

static int copy(struct feed *f)
{
    struct run_cursor *c = NULL;
    int rc;
    while ((rc = feed_next(f, &c)) == 1)
        put(f, c);
    return rc;
}

/* The record being folded, encoded; its last eight bytes are the value when that is a number. */
static void put_held(const struct feed *f, const struct buf *held)
{
    if (held->len)
        run_writer_add(f->writer, held->data, held->len);
}

static int copy_folded(struct feed *f, const struct fold *fold, struct err *err)
{
    struct buf held = BUF_INIT;
    size_t key_at = 0, key_len = 0;
    struct run_cursor *c = NULL;
    int rc;
    while ((rc = feed_next(f, &c)) == 1) {
        bool is_same = held.len && c->key.len == key_len &&
                       (key_len == 0 || memcmp(held.data + key_at, c->key.data, key_len) == 0);
        if (__builtin_expect(c->raw.len > FOLD_MAX, 0)) {
            put_held(f, &held);
            buf_clear(&held);
            put(f, c);
        } else if (!is_same) {
            put_held(f, &held);
            buf_clear(&held);
            buf_append_slice(&held, c->raw);
            if (buf_failed(&held))
                break;
            key_at = (size_t)(c->key.data - c->raw.data);
            key_len = c->key.len;
        } else if (fold_is_number(fold) && c->value.len == 8) {
            uint8_t *value = held.data + held.len - 8;
            put_u64(value, fold_numbers(fold, get_u64(value), get_u64(c->value.data)));
        }
    }
    put_held(f, &held);
    if (buf_failed(&held))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    buf_release(&held);
    return rc;
}

int drain(struct run_cursor **cursors, size_t count, const struct drain *conf, struct err *err)
{
    struct feed f = {.ticks = conf->ticks, .writer = conf->writer};
    if (count == 1)
        f.only = cursors[0];
    else if (merge_open(&f.merge, cursors, count, conf->order) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = conf->fold && fold_is_free(conf->fold) && !conf->order->compare
                 ? copy_folded(&f, conf->fold, err)
                 : copy(&f);
    merge_close(&f.merge);
    return rc;
}
