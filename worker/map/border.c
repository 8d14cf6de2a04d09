/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/border.h"

#include "libcommon/base/mem.h"

#define ROOM ((size_t)64 << 10)

enum reading_state { FIELD_BEGINS, PLAIN, QUOTED, BEHIND_QUOTE, BEHIND_RETURN, BROKEN };

struct reading {
    enum reading_state state;
    uint64_t first; /* UINT64_MAX = not found yet */
};

struct search {
    const struct border *border;
    uint64_t at;   /* the border */
    uint64_t from; /* both readings begin here, a little before it */
    uint64_t next; /* looked at up to here */
    bool has_quotes;
    struct reading outside, inside;
    uint8_t *room;
    size_t fill;
    struct err *err;
};

static int read_at(struct search *s, uint64_t off, size_t len)
{
    const struct border *b = s->border;
    int64_t n = files_pread(b->files, b->in, s->room, len, off, s->err);
    if (n < 0)
        return (int)n;
    s->fill = (size_t)n;
    return s->fill == len ? 0
                          : err_set(s->err, ERR_IO,
                                    "%s: has become shorter than when the job began "
                                    "(%llu bytes)",
                                    b->path, (unsigned long long)b->file_len);
}

/* --- one reading ----------------------------------------------------------------------------- */

static bool is_alive(const struct reading *r)
{
    return r->state != BROKEN;
}

static enum reading_state step(enum reading_state state, uint8_t c, uint8_t separator)
{
    bool ends = c == separator || c == '\n';
    switch (state) {
    case FIELD_BEGINS:
        return c == '"' ? QUOTED : ends ? FIELD_BEGINS : PLAIN;
    case PLAIN:
        return c == '"' ? BROKEN : ends ? FIELD_BEGINS : PLAIN;
    case QUOTED:
        return c == '"' ? BEHIND_QUOTE : QUOTED;
    case BEHIND_QUOTE:
        return c == '"' ? QUOTED : ends ? FIELD_BEGINS : c == '\r' ? BEHIND_RETURN : BROKEN;
    case BEHIND_RETURN:
        return c == '\n' ? FIELD_BEGINS : BROKEN;
    case BROKEN:
        break;
    }
    return BROKEN;
}

static void note_line(struct search *s, struct reading *r, uint64_t next)
{
    if (r->first == UINT64_MAX && next >= s->at)
        r->first = next;
}

static void read_on(struct search *s, struct reading *r)
{
    for (size_t i = 0; i < s->fill && is_alive(r); i++) {
        r->state = step(r->state, s->room[i], s->border->separator);
        if (s->room[i] == '\n' && r->state == FIELD_BEGINS)
            note_line(s, r, s->next + i + 1);
    }
}

/* The same where there is no quote: what is plain stays so. */
static void skip_on(struct search *s, struct reading *r)
{
    if (r->state == QUOTED || !is_alive(r))
        return;
    uint64_t from = s->next < s->at - 1 ? s->at - 1 - s->next : 0;
    const uint8_t *nl = NULL;
    if (from < s->fill && r->first == UINT64_MAX)
        nl = memchr(s->room + from, '\n', s->fill - (size_t)from);
    if (nl)
        note_line(s, r, s->next + (uint64_t)(nl - s->room) + 1);
    uint8_t last = s->room[s->fill - 1];
    r->state = last == '\n' || last == s->border->separator ? FIELD_BEGINS : PLAIN;
}

static bool is_simple(const struct reading *r)
{
    return r->state != BEHIND_QUOTE && r->state != BEHIND_RETURN;
}

static int look_on(struct search *s)
{
    uint64_t left = s->border->file_len - s->next;
    int rc = read_at(s, s->next, left < ROOM ? (size_t)left : ROOM);
    if (rc != 0)
        return rc;
    bool has_quote = memchr(s->room, '"', s->fill) != NULL;
    bool may_skip = !has_quote && is_simple(&s->outside) && is_simple(&s->inside);
    (may_skip ? skip_on : read_on)(s, &s->outside);
    (may_skip ? skip_on : read_on)(s, &s->inside);
    s->has_quotes = s->has_quotes || has_quote;
    s->next += s->fill;
    if (s->next == s->border->file_len && s->inside.state == QUOTED)
        s->inside.state = BROKEN;
    if (s->next == s->border->file_len && s->outside.state == QUOTED)
        s->outside.state = BROKEN;
    return 0;
}

/* --- both ------------------------------------------------------------------------------------ */

static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* byte order: may begin a file */

/* Back over quotes: one that follows another is the second half of a doubled one, or not. */
static int find_begin(struct search *s)
{
    uint64_t at = s->at - 1;
    uint8_t before = '"';
    while (at > sizeof(mark) && before == '"') {
        size_t len = at < ROOM ? (size_t)at : ROOM, i = len;
        int rc = read_at(s, at - len, len);
        if (rc != 0)
            return rc;
        while (i > 0 && s->room[i - 1] == '"')
            i--;
        at -= len - i;
        before = i > 0 ? s->room[i - 1] : '"';
    }
    bool is_known = at <= sizeof(mark);
    bool begins = before == '\n' || before == s->border->separator;
    if (is_known) {
        uint64_t len = s->border->file_len;
        int rc = read_at(s, 0, len < sizeof(mark) ? (size_t)len : sizeof(mark));
        if (rc != 0)
            return rc;
        bool is_marked = s->fill == sizeof(mark) && memcmp(s->room, mark, sizeof(mark)) == 0;
        at = is_marked ? sizeof(mark) : 0;
    }
    s->from = s->next = at;
    s->outside = (struct reading){is_known || begins ? FIELD_BEGINS : PLAIN, UINT64_MAX};
    s->inside = (struct reading){is_known ? BROKEN : QUOTED, UINT64_MAX};
    return 0;
}

/* Are there an odd number of quotes before s->from? */
static int count_quotes(struct search *s, bool *ret_odd)
{
    *ret_odd = false;
    for (uint64_t off = 0; off < s->from; off += s->fill) {
        uint64_t left = s->from - off;
        int rc = read_at(s, off, left < ROOM ? (size_t)left : ROOM);
        if (rc != 0)
            return rc;
        const uint8_t *end = s->room + s->fill;
        for (const uint8_t *p = s->room; (p = memchr(p, '"', (size_t)(end - p))) != NULL; p++)
            *ret_odd = !*ret_odd;
    }
    return 0;
}

/* Both readings make sense so far. */
static int decide(struct search *s)
{
    bool is_odd = false;
    int rc = s->has_quotes ? count_quotes(s, &is_odd) : 0;
    (is_odd ? &s->outside : &s->inside)->state = BROKEN;
    return rc;
}

static int search(struct search *s, uint64_t *ret_first)
{
    const struct border *b = s->border;
    int rc = find_begin(s);
    while (rc == 0) {
        bool outside = is_alive(&s->outside), inside = is_alive(&s->inside);
        const struct reading *r = outside ? &s->outside : &s->inside;
        if (!outside && !inside)
            return err_set(s->err, ERR_CORRUPT,
                           "%s: is no CSV before offset %llu: its quotes cannot be paired", b->path,
                           (unsigned long long)s->next);
        if (outside != inside && (r->first != UINT64_MAX || s->next == b->file_len)) {
            *ret_first = r->first < b->file_len ? r->first : b->file_len;
            return 0;
        }
        if (outside && inside && s->next - s->from >= b->look_max &&
            (s->has_quotes || s->outside.first != UINT64_MAX))
            rc = decide(s);
        else
            rc = look_on(s);
    }
    return rc;
}

int border_find(const struct border *border, uint64_t at, uint64_t *ret_first, struct err *err)
{
    struct search s = {.border = border, .at = at, .err = err, .room = mem_alloc(ROOM)};
    if (!s.room)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = search(&s, ret_first);
    mem_free(s.room);
    return rc;
}
