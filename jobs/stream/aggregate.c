/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "jobs/stream/aggregate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct type {
    const char *name;
    int (*make)(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                const struct type *type, struct qn_slice *ret);
    int is_max;
};

static struct qn_slice say(struct aggregate *a, int len)
{
    return qn_bytes(a->best.data, (size_t)len);
}

/* Of a value, which has no end of its own, as a text; NULL: the task has failed. */
static const char *text_of(struct qn_task *task, struct aggregate *a, struct qn_slice value)
{
    if (qn_grow(task, &a->best, value.len + 512) != 0)
        return NULL;
    if (value.len)
        memcpy(a->best.data, value.data, value.len);
    a->best.data[value.len] = 0;
    return (const char *)a->best.data;
}

static int to_whole(struct qn_task *task, struct aggregate *a, struct qn_slice value, int64_t *ret)
{
    const char *text = text_of(task, a, value);
    char *end;
    if (!text)
        return -1;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (errno || end == text || *end || strchr(" \t\n\v\f\r", *text))
        return qn_fail(task, "aggregate: \"%.100s\" is no whole number", text);
    return 0;
}

/* --- numbers --------------------------------------------------------------------------------- */

static int long_sum(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                    const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value = qn_nothing();
    int64_t n = 0, sum = 0;
    (void)type;
    while (qn_next(values, &value)) {
        if (to_whole(task, a, value, &n) != 0)
            return -1;
        sum = (int64_t)((uint64_t)sum + (uint64_t)n);
    }
    *ret = say(a, snprintf((char *)a->best.data, 32, "%lld", (long long)sum));
    return 0;
}

static int long_best(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                     const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value;
    int64_t n = 0, best = 0;
    for (int first = 1; qn_next(values, &value); first = 0) {
        if (to_whole(task, a, value, &n) != 0)
            return -1;
        if (first || (type->is_max ? n > best : n < best))
            best = n;
    }
    *ret = say(a, snprintf((char *)a->best.data, 32, "%lld", (long long)best));
    return 0;
}

/* As Java prints a double: the fewest digits that tell it from its neighbours; with a point, or
 * with an exponent from ten million up and below a thousandth. */
static int print_double(char *out, double v)
{
    char digits[40];
    int precision = 0, exponent;
    if (isnan(v) || isinf(v))
        return sprintf(out, "%s", isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
    do
        snprintf(digits, sizeof(digits), "%.*e", precision, v);
    while (strtod(digits, NULL) != v && ++precision < 17);
    exponent = atoi(strchr(digits, 'e') + 1);
    if (v == 0 || (exponent >= -3 && exponent < 7)) {
        int places = precision - exponent;
        return sprintf(out, "%.*f", v == 0 || places < 1 ? 1 : places, v);
    }
    snprintf(digits, sizeof(digits), "%.*e", precision ? precision : 1, v);
    *strchr(digits, 'e') = 0;
    return sprintf(out, "%sE%d", digits, exponent);
}

static int double_sum(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                      const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value;
    double sum = 0;
    (void)type;
    while (qn_next(values, &value)) {
        const char *text = text_of(task, a, value);
        char *end;
        if (!text)
            return -1;
        sum += strtod(text, &end);
        if (end == text || *end)
            return qn_fail(task, "aggregate: \"%.100s\" is no number", text);
    }
    *ret = say(a, print_double((char *)a->best.data, sum));
    return 0;
}

/* --- texts ----------------------------------------------------------------------------------- */

static int order(struct qn_slice a, struct qn_slice b)
{
    int c = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int text_best(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                     const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value, best = qn_nothing();
    for (int first = 1; qn_next(values, &value); first = 0) {
        int c = first ? 0 : order(value, best);
        if (!first && (type->is_max ? c <= 0 : c >= 0))
            continue;
        if (!text_of(task, a, value))
            return -1;
        best = qn_bytes(a->best.data, value.len);
    }
    *ret = best;
    return 0;
}

/* --- a table of texts, each with a count ----------------------------------------------------- */

static struct aggregate_count *entry(const struct aggregate *a, uint32_t i)
{
    return (struct aggregate_count *)(void *)a->counts.data + i;
}

static uint32_t *slots(const struct aggregate *a)
{
    return (uint32_t *)(void *)a->slots.data;
}

static uint64_t hash_of(struct qn_slice text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ ((const unsigned char *)text.data)[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

/* Where `text` is, or the free slot for it. Linear; never more than half full. */
static uint32_t *find(const struct aggregate *a, struct qn_slice text, uint64_t hash)
{
    uint32_t mask = a->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &slots(a)[at];
        const struct aggregate_count *e = *slot ? entry(a, *slot - 1) : NULL;
        if (!e || (e->hash == hash && e->len == text.len &&
                   (text.len == 0 || memcmp(a->texts.data + e->off, text.data, text.len) == 0)))
            return slot;
    }
}

static int grow_table(struct qn_task *task, struct aggregate *a)
{
    uint32_t want = a->slot_count ? a->slot_count * 2 : 64;
    if (qn_grow(task, &a->slots, want * sizeof(uint32_t)) != 0)
        return -1;
    memset(a->slots.data, 0, want * sizeof(uint32_t));
    a->slot_count = want;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct aggregate_count *e = entry(a, i);
        *find(a, qn_bytes(a->texts.data + e->off, (size_t)e->len), e->hash) = i + 1;
    }
    return 0;
}

static int count_text(struct qn_task *task, struct aggregate *a, struct qn_slice text, int64_t n)
{
    uint64_t hash = hash_of(text);
    if (a->count >= a->slot_count / 2 && grow_table(task, a) != 0)
        return -1;
    uint32_t *slot = find(a, text, hash);
    if (*slot) {
        entry(a, *slot - 1)->count += n;
        return 0;
    }
    if (qn_grow(task, &a->texts, a->text_bytes + text.len + 1) != 0 ||
        qn_grow(task, &a->counts, (a->count + 1) * sizeof(struct aggregate_count)) != 0)
        return -1;
    if (text.len)
        memcpy(a->texts.data + a->text_bytes, text.data, text.len);
    *entry(a, a->count) = (struct aggregate_count){a->text_bytes, text.len, hash, n};
    a->text_bytes += text.len;
    *slot = ++a->count;
    return 0;
}

static void begin_table(struct aggregate *a)
{
    a->count = 0;
    a->text_bytes = 0;
    if (a->slot_count)
        memset(a->slots.data, 0, a->slot_count * sizeof(uint32_t));
}

static int unique(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                  const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value;
    (void)type;
    begin_table(a);
    while (qn_next(values, &value))
        if (count_text(task, a, value, 1) != 0)
            return -1;
    if (!text_of(task, a, qn_nothing()))
        return -1;
    *ret = say(a, snprintf((char *)a->best.data, 32, "%u", a->count));
    return 0;
}

static int by_count(const void *a, const void *b)
{
    const struct aggregate_count *x = a, *y = b;
    return (x->count > y->count) - (x->count < y->count);
}

static struct qn_slice tell_histogram(struct aggregate *a)
{
    uint32_t n = a->count;
    double sum = 0, squares = 0;
    qsort(entry(a, 0), n, sizeof(struct aggregate_count), by_count);
    for (uint32_t i = 0; i < n; i++)
        sum += (double)entry(a, i)->count;
    for (uint32_t i = 0; i < n; i++)
        squares += ((double)entry(a, i)->count - sum / n) * ((double)entry(a, i)->count - sum / n);
    char *out = (char *)a->best.data;
    int len = sprintf(out, "%u\t%lld\t%lld\t%lld\t", n, (long long)entry(a, 0)->count,
                      (long long)entry(a, n / 2)->count, (long long)entry(a, n - 1)->count);
    len += print_double(out + len, sum / n);
    out[len++] = '\t';
    len += print_double(out + len, sqrt(squares / n));
    return say(a, len);
}

static int histogram(struct qn_task *task, struct aggregate *a, struct qn_values *values,
                     const struct type *type, struct qn_slice *ret)
{
    struct qn_slice value;
    (void)type;
    begin_table(a);
    while (qn_next(values, &value)) {
        const char *tab = value.len ? memrchr(value.data, '\t', value.len) : NULL;
        int64_t n = 1;
        if (tab) {
            size_t len = (size_t)(tab - (const char *)value.data);
            if (to_whole(task, a, qn_bytes(tab + 1, value.len - len - 1), &n) != 0)
                return -1;
            value.len = len;
        }
        if (count_text(task, a, value, n) != 0)
            return -1;
    }
    if (!text_of(task, a, qn_nothing()))
        return -1;
    *ret = tell_histogram(a);
    return 0;
}

/* --- all of them ----------------------------------------------------------------------------- */

static const struct type types[] = {
    {"LongValueSum", long_sum, 0},    {"LongValueMax", long_best, 1},
    {"LongValueMin", long_best, 0},   {"DoubleValueSum", double_sum, 0},
    {"StringValueMax", text_best, 1}, {"StringValueMin", text_best, 0},
    {"UniqValueCount", unique, 0},    {"ValueHistogram", histogram, 0},
};

int aggregate_reduce(struct qn_task *task, struct aggregate *a, struct qn_slice key,
                     struct qn_values *values)
{
    const char *p = (const char *)key.data;
    const char *colon = key.len ? memchr(p, ':', key.len) : NULL;
    size_t len = colon ? (size_t)(colon - p) : 0;
    struct qn_slice result = qn_nothing();
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strlen(types[i].name) == len && memcmp(types[i].name, p, len) == 0)
            return types[i].make(task, a, values, &types[i], &result) != 0
                       ? -1
                       : qn_emit(task, qn_bytes(colon + 1, key.len - len - 1), result);
    return qn_fail(
        task,
        "aggregate: the key \"%.*s\" is not TYPE:ID; types are LongValueSum, -Max, -Min, "
        "DoubleValueSum, StringValueMax, -Min, UniqValueCount and ValueHistogram",
        (int)(key.len < 100 ? key.len : 100), p);
}

void aggregate_release(struct aggregate *a)
{
    qn_give_back(&a->texts);
    qn_give_back(&a->counts);
    qn_give_back(&a->slots);
    qn_give_back(&a->best);
}
