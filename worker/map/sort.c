/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/sort.h"

#include "worker/run/record.h"

#define INSERTION_MAX 24
#define QUICK_MAX     128
#define DIGIT_BITS    12
#define SCATTERS_MAX  12 /* then quicksort, whose own guard is a heap sort */
#define DEPTH_MAX     512 /* bytes of key looked at eight by eight; beyond, whole keys are compared */

__extension__ typedef unsigned __int128 sort_number;

static inline sort_number number(const struct sort_entry *e)
{
    return (sort_number)e->prefix << 64 | e->ref;
}

struct slice sort_key(const struct sort_space *space, const struct sort_entry *entry)
{
    struct slice key, value;
    (void)record_of(space->base + sort_offset(entry->ref), space->end, &key, &value);
    return key;
}

void sort_scatter(const struct sort_entry *newest_first, size_t count, struct sort_entry *out,
                  uint32_t partitions, size_t *ret_starts)
{
    memset(ret_starts, 0, (partitions + (size_t)1) * sizeof(*ret_starts));
    if (partitions == 1) {
        for (size_t i = 0; i < count; i++)
            out[i] = newest_first[count - 1 - i];
        ret_starts[1] = count;
        return;
    }
    for (size_t i = 0; i < count; i++)
        ret_starts[sort_partition(newest_first[i].ref) + 1]++;
    for (uint32_t p = 0; p < partitions; p++)
        ret_starts[p + 1] += ret_starts[p];
    for (size_t i = count; i-- > 0;)
        out[ret_starts[sort_partition(newest_first[i].ref)]++] = newest_first[i];
    /* Each start has walked to its partition's end: that is the next one's start. */
    for (uint32_t p = partitions; p > 0; p--)
        ret_starts[p] = ret_starts[p - 1];
    ret_starts[0] = 0;
}

static void insertion_sort(struct sort_entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct sort_entry moving = e[i];
        size_t j = i;
        for (; j > 0 && number(&moving) < number(&e[j - 1]); j--)
            e[j] = e[j - 1];
        e[j] = moving;
    }
}

static void sift_down(struct sort_entry *e, size_t root, size_t n)
{
    struct sort_entry moving = e[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && number(&e[child]) < number(&e[child + 1]))
            child++;
        if (number(&e[child]) <= number(&moving))
            break;
        e[root] = e[child];
    }
    e[root] = moving;
}

void sort_by_heap(struct sort_entry *e, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(e, i, n);
    for (size_t i = n; i-- > 1;) {
        struct sort_entry top = e[0];
        e[0] = e[i];
        e[i] = top;
        sift_down(e, 0, i);
    }
}

static size_t median_of_three(const struct sort_entry *e, size_t a, size_t b, size_t c)
{
    sort_number x = number(&e[a]), y = number(&e[b]), z = number(&e[c]);
    if (x < y)
        return y < z ? b : x < z ? c : a;
    return x < z ? a : y < z ? c : b;
}

static size_t choose_pivot(const struct sort_entry *e, size_t n)
{
    if (n < 128)
        return median_of_three(e, 0, n / 2, n - 1);
    size_t s = n / 8;
    return median_of_three(e, median_of_three(e, 0, s, 2 * s),
                           median_of_three(e, 3 * s, 4 * s, 5 * s),
                           median_of_three(e, 6 * s, 7 * s, n - 1));
}

/* Move what is below e[0] in front of it, without a branch on the comparison. */
static size_t split_by_first(struct sort_entry *e, size_t n)
{
    const sort_number pivot = number(&e[0]);
    size_t low = 1;
    for (size_t i = 1; i < n; i++) {
        struct sort_entry seen = e[i];
        e[i] = e[low];
        e[low] = seen;
        low += number(&seen) < pivot;
    }
    struct sort_entry first = e[0];
    e[0] = e[low - 1];
    e[low - 1] = first;
    return low - 1;
}

static void quick_sort(struct sort_entry *e, size_t n, unsigned depth)
{
    while (n > INSERTION_MAX) {
        if (depth-- == 0) {
            sort_by_heap(e, n);
            return;
        }
        size_t pivot = choose_pivot(e, n);
        struct sort_entry chosen = e[pivot];
        e[pivot] = e[0];
        e[0] = chosen;
        size_t at = split_by_first(e, n);
        if (at < n - at) {
            quick_sort(e, at, depth);
            e += at + 1;
            n -= at + 1;
        } else {
            quick_sort(e + at + 1, n - at - 1, depth);
            n = at;
        }
    }
    insertion_sort(e, n);
}

static void small_sort(struct sort_entry *e, size_t n)
{
    unsigned depth = 2 * (unsigned)(64 - __builtin_clzll(n | 1));
    quick_sort(e, n, depth);
}

/* The bits by which `e` is scattered next: from the first in which any two prefixes differ. False
 * when all prefixes are equal: then a stable order is the final one. */
static bool choose_digit(const struct sort_entry *e, size_t n, unsigned *ret_shift,
                         unsigned *ret_bits)
{
    uint64_t all = e[0].prefix, any = e[0].prefix;
    for (size_t i = 1; i < n; i++) {
        all &= e[i].prefix;
        any |= e[i].prefix;
    }
    if (all == any)
        return false;
    unsigned top = 64 - (unsigned)__builtin_clzll(all ^ any);
    unsigned wanted = 64 - (unsigned)__builtin_clzll(n >> 2 | 1);
    *ret_bits = wanted < DIGIT_BITS ? wanted : DIGIT_BITS;
    if (*ret_bits > top)
        *ret_bits = top;
    *ret_shift = top - *ret_bits;
    return true;
}

/* Entries are in emission order within equal prefixes, here and after every scatter. The result
 * goes to `to`, which is `e` itself or `room`. */
static void radix_sort(struct sort_entry *e, struct sort_entry *room, size_t n,
                       struct sort_entry *to, unsigned scatters)
{
    unsigned shift = 0, bits = 0;
    bool is_small = n <= QUICK_MAX || scatters == 0;
    if (is_small)
        small_sort(e, n);
    if (is_small || !choose_digit(e, n, &shift, &bits)) {
        if (to != e)
            memcpy(to, e, n * sizeof(*e));
        return;
    }
    size_t ends[1U << DIGIT_BITS];
    size_t mask = ((size_t)1 << bits) - 1, at = 0;
    memset(ends, 0, (mask + 1) * sizeof(ends[0]));
    for (size_t i = 0; i < n; i++)
        ends[e[i].prefix >> shift & mask]++;
    for (size_t b = 0; b <= mask; b++) {
        size_t count = ends[b];
        ends[b] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++)
        room[ends[e[i].prefix >> shift & mask]++] = e[i];
    for (size_t b = 0, start = 0; b <= mask; start = ends[b++])
        if (ends[b] > start)
            radix_sort(room + start, e + start, ends[b] - start, to + start, scatters - 1);
}

static const struct key_order by_bytes = {QN_BYTES, NULL};

/* Keys that are equal as far as the prefix reaches: those that end first (a shorter one before a
 * longer one, its further bytes being zeros), then the longer ones by their next eight bytes. */
static void sort_equal(struct sort_entry *e, struct sort_entry *room, size_t n,
                       const struct sort_space *space, size_t depth);

/* After sorting by prefix: look into runs of equal ones. */
static void sort_ties(struct sort_entry *e, struct sort_entry *room, size_t n,
                      const struct sort_space *space, size_t depth)
{
    for (size_t i = 0; i < n;) {
        size_t j = i + 1;
        uint64_t longs = e[i].ref;
        while (j < n && e[j].prefix == e[i].prefix)
            longs |= e[j++].ref;
        if (j - i > 1 && (longs & 1)) {
            if (depth < DEPTH_MAX)
                sort_equal(e + i, room + i, j - i, space, depth + 8);
            else
                sort_by_compare(e + i, room + i, j - i, space, &by_bytes);
        }
        i = j;
    }
}

static void sort_equal(struct sort_entry *e, struct sort_entry *room, size_t n,
                       const struct sort_space *space, size_t depth)
{
    size_t ended = 0, longer = 0;
    bool lengths_differ = false;
    for (size_t i = 0; i < n; i++) {
        struct slice key = sort_key(space, &e[i]);
        if (key.len > depth) {
            e[i].prefix = key_prefix(slice_of(key.data + depth, key.len - depth));
            room[longer++] = e[i];
        } else {
            e[i].prefix = key.len;
            lengths_differ |= ended > 0 && e[0].prefix != key.len;
            e[ended++] = e[i];
        }
    }
    memcpy(e + ended, room, longer * sizeof(*e));
    if (lengths_differ)
        radix_sort(e, room, ended, e, SCATTERS_MAX);
    if (longer > 1) {
        radix_sort(e + ended, room, longer, e + ended, SCATTERS_MAX);
        sort_ties(e + ended, room, longer, space, depth);
    }
}

void sort_entries(struct sort_entry *entries, struct sort_entry *room, size_t count,
                  const struct sort_space *space)
{
    if (count < 2)
        return;
    radix_sort(entries, room, count, entries, SCATTERS_MAX);
    sort_ties(entries, room, count, space, 0);
}

/* Bottom up: runs of `width` from `from` are merged into runs of twice that in `to`. */
static void merge_pass(const struct sort_entry *from, struct sort_entry *to, size_t count,
                       size_t width, const struct sort_space *space, const struct key_order *order)
{
    for (size_t start = 0; start < count; start += 2 * width) {
        size_t a = start, a_end = start + width < count ? start + width : count;
        size_t b = a_end, b_end = a_end + width < count ? a_end + width : count;
        for (size_t o = start; o < b_end; o++) {
            bool take_a = b == b_end || (a < a_end && key_cmp(order, sort_key(space, &from[a]),
                                                              sort_key(space, &from[b])) <= 0);
            to[o] = take_a ? from[a++] : from[b++];
        }
    }
}

void sort_by_compare(struct sort_entry *entries, struct sort_entry *room, size_t count,
                     const struct sort_space *space, const struct key_order *order)
{
    struct sort_entry *from = entries, *to = room;
    for (size_t width = 1; width < count; width *= 2) {
        merge_pass(from, to, count, width, space, order);
        struct sort_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof(*entries));
}
