/* SPDX-License-Identifier: Apache-2.0
 * pagerank: how much each page of a graph is pointed at, by pages that are pointed at themselves.
 * One run is one step; `quern run -iterate N pagerank LINKS OUT` does N of them, each from what the
 * one before made, and says which it is by pagerank.step:
 *
 *   0     gather: lines "page TAB link TAB link ..." or edges "page TAB link" (several of a page
 *         add up; lines that begin with # are comments) -> each page, also one only pointed at,
 *         with rank 1
 *   1 ..  "page TAB rank TAB link ..." -> the same with the next rank: (1 - d) + d times the sum of
 *         what pages that point here have to give: their rank, in equal parts to all they point at.
 *         A page without links gives nothing.
 *
 * Ranks are counted in units of 10^-9: their sums are exact in any order, so that the result is the
 * same bytes however the input is cut. */
#include <stdio.h>
#include <stdlib.h>

#include <quern/option.h>

#define ONE        ((uint64_t)1000000000)
#define RANK_BYTES 40

/* What map emits of a page: all its links, each behind a tab; or what it is given. */
enum part { LINKS, GIVEN };

struct state {
    uint64_t damping; /* in units of 1 / ONE */
    int is_gathering;
    struct qn_room room; /* of what map emits */
    struct qn_room line; /* a page's links, behind RANK_BYTES for its rank */
    size_t links_len;
};

/* "1.25" in units, digits beyond the ninth dropped. 0 = that is no such number. */
static int to_units(struct qn_slice text, uint64_t *ret)
{
    const char *p = (const char *)text.data, *end = p + text.len;
    uint64_t units = 0, unit = ONE;
    if (text.len == 0 || text.len > 30 || *p == '.')
        return 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (units > UINT64_MAX / ONE / 100)
            return 0;
        units = units * 10 + (uint64_t)(*p - '0');
    }
    units *= ONE;
    if (p < end && *p++ != '.')
        return 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        units += (uint64_t)(*p - '0') * (unit /= 10);
    *ret = units;
    return p == end;
}

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    uint64_t step;
    if (qn_option_u64(task, "pagerank.step", 0, UINT64_MAX, &step) != 0)
        return -1;
    s->is_gathering = step == 0;
    if (!to_units(qn_text(qn_option(task, "pagerank.damping")), &s->damping) || s->damping > ONE)
        return qn_fail(task, "pagerank.damping \"%s\" is no number from 0 to 1",
                       qn_option(task, "pagerank.damping"));
    return 0;
}

static int emit_links(struct qn_task *task, struct state *s, struct qn_slice page,
                      struct qn_slice links)
{
    if (qn_grow(task, &s->room, links.len + 1) != 0)
        return -1;
    s->room.data[0] = LINKS;
    if (links.len)
        memcpy(s->room.data + 1, links.data, links.len);
    return qn_emit(task, page, qn_bytes(s->room.data, links.len + 1));
}

static int emit_given(struct qn_task *task, struct qn_slice page, uint64_t units)
{
    unsigned char value[1 + sizeof(units)] = {GIVEN};
    memcpy(value + 1, &units, sizeof(units));
    return qn_emit(task, page, qn_bytes(value, sizeof(value)));
}

/* What stands behind a field, with the tab before it: nothing, or links as emit_links has them. */
static struct qn_slice behind(struct qn_slice line, struct qn_slice field)
{
    const char *at = (const char *)field.data + field.len;
    return qn_bytes(at, (size_t)((const char *)line.data + line.len - at));
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice rest = line.data ? line : qn_nothing(), whole = rest, page, rank, link;
    uint64_t units = 0, count = 0;
    (void)where;
    if (s->is_gathering && line.len && *(const char *)line.data == '#')
        return 0;
    (void)qn_next_field(&rest, '\t', &page);
    rank = page;
    if (!s->is_gathering && (!qn_next_field(&rest, '\t', &rank) || !to_units(rank, &units)))
        return qn_fail(task, "no rank behind \"%.*s\": what step 0 made is wanted here",
                       (int)(page.len < 80 ? page.len : 80), (const char *)page.data);
    struct qn_slice links = behind(whole, rank), each = rest;
    while (qn_next_field(&each, '\t', &link))
        count++;
    if (emit_links(task, s, page, links) != 0)
        return -1;
    while (qn_next_field(&rest, '\t', &link))
        if (s->is_gathering ? emit_links(task, s, link, qn_nothing()) != 0
                            : emit_given(task, link, units / count) != 0)
            return -1;
    return 0;
}

static enum part part_of(struct qn_slice value)
{
    return *(const unsigned char *)value.data;
}

static uint64_t given_of(struct qn_slice value)
{
    return qn_to_u64(qn_bytes((const char *)value.data + 1, value.len - 1));
}

/* Links pass as they are, but empty ones, of which one is enough; gifts are added up. */
static int combine(struct qn_task *task, struct qn_slice page, struct qn_values *values)
{
    struct qn_slice value;
    uint64_t sum = 0;
    int is_linked = 0;
    while (qn_next(values, &value))
        if (part_of(value) == GIVEN)
            sum += given_of(value);
        else if (!is_linked || value.len > 1) {
            is_linked = 1;
            if (qn_emit(task, page, value) != 0)
                return -1;
        }
    return sum ? emit_given(task, page, sum) : 0;
}

static int keep_links(struct qn_task *task, struct state *s, struct qn_slice value)
{
    if (qn_grow(task, &s->line, RANK_BYTES + s->links_len + value.len) != 0)
        return -1;
    memcpy(s->line.data + RANK_BYTES + s->links_len, (const char *)value.data + 1, value.len - 1);
    s->links_len += value.len - 1;
    return 0;
}

/* "rank TAB link TAB ...": the links stay where they are. */
static int emit_rank(struct qn_task *task, struct state *s, struct qn_slice page, uint64_t rank)
{
    char text[RANK_BYTES];
    int n = snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(rank / ONE),
                     (unsigned long long)(rank % ONE));
    if (qn_grow(task, &s->line, RANK_BYTES) != 0)
        return -1;
    unsigned char *from = s->line.data + RANK_BYTES - n;
    memcpy(from, text, (size_t)n);
    return qn_emit(task, page, qn_bytes(from, (size_t)n + s->links_len));
}

static int reduce(struct qn_task *task, struct qn_slice page, struct qn_values *values)
{
    struct state *s = *qn_state(task);
    struct qn_slice value;
    uint64_t sum = 0;
    s->links_len = 0;
    while (qn_next(values, &value))
        if (part_of(value) == GIVEN)
            sum += given_of(value);
        else if (keep_links(task, s, value) != 0)
            return -1;
    if (s->is_gathering)
        return emit_rank(task, s, page, ONE);
    return emit_rank(task, s, page,
                     ONE - s->damping + (uint64_t)((__uint128_t)s->damping * sum / ONE));
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->room);
        qn_give_back(&s->line);
    }
    free(s);
    return 0;
}

static const struct qn_option_row options[] = {
    {"pagerank.damping", "0.85", "the share of a rank that comes from other pages"},
    {"pagerank.step", "0", "0 gathers links, others make ranks from ranks (set by -iterate)"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "pagerank",
    .about = "ranks pages by what points at them (with -iterate N)",
    .setup = setup,
    .map = map,
    .combine = combine,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_BYTES,
    .value = QN_BYTES,
    .out_key = QN_TEXT,
    .out_value = QN_TEXT,
    .options = options,
    .needs_reduce = 1,
    .check = setup,
};
