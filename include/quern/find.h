/* SPDX-License-Identifier: Apache-2.0
 * quern/find.h: where a text stands in many bytes. For jobs with .map_lines that look for few lines
 * among many:
 *
 *     struct qn_find find = qn_find_of(qn_text("error"));
 *     const void *hit = qn_find_next(&find, lines);
 *
 * Two bytes of the text, the rarest by experience, are compared with 64 places at a time, in a loop
 * without branches that compilers make vector instructions of; only where both are right somewhere
 * in such a block it is gone through place by place. So it runs as fast as memory gives bytes, as
 * long as the two are seldom right by chance, and never slower than comparing everywhere. */
#ifndef QUERN_FIND_H
#define QUERN_FIND_H

#include <quern/job.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QN_FIND_BLOCK 64

/* What is looked for, borrowed. */
struct qn_find {
    const unsigned char *text;
    size_t len;
    size_t first, second; /* which two bytes of it are looked for */
};

/* How often a byte comes in texts and logs, roughly: 0 = hardly ever. */
static inline int qn_find_often(unsigned char c)
{
    static const char often[] = "zqjxkvbpygfwmucldrhsnioate";
    const char *at = c >= 'a' && c <= 'z' ? strchr(often, c) : NULL;
    if (at)
        return 20 + (int)(at - often);
    if (c == ' ')
        return 50;
    if ((c >= '0' && c <= '9') || c == '.' || c == ',' || c == '-' || c == '/' || c == ':')
        return 25;
    return c >= 'A' && c <= 'Z' ? 10 : c < 128 ? 5 : 0;
}

/* An empty text is found nowhere. */
static inline struct qn_find qn_find_of(struct qn_slice text)
{
    struct qn_find find;
    find.text = (const unsigned char *)text.data;
    find.len = text.len;
    find.first = find.second = 0;
    for (size_t i = 1; i < text.len; i++)
        if (qn_find_often(find.text[i]) < qn_find_often(find.text[find.first]))
            find.first = i;
    find.second = find.first == 0 && text.len > 1;
    for (size_t i = 0; i < text.len; i++)
        if (i != find.first && qn_find_often(find.text[i]) < qn_find_often(find.text[find.second]))
            find.second = i;
    return find;
}

/* Place by place, from `p` on while it is before `end`; behind a place all of the text must be
 * readable. */
static inline const unsigned char *qn_find_slowly(const struct qn_find *find,
                                                  const unsigned char *p, const unsigned char *end)
{
    unsigned char first = find->text[find->first], second = find->text[find->second];
    for (; p < end; p++)
        if (p[find->first] == first && p[find->second] == second &&
            memcmp(p, find->text, find->len) == 0)
            return p;
    return NULL;
}

static inline int qn_find_may_be_here(const unsigned char *a, unsigned char first,
                                      const unsigned char *b, unsigned char second)
{
    unsigned char any = 0;
    for (int i = 0; i < QN_FIND_BLOCK; i++)
        any |= (unsigned char)((a[i] == first) & (b[i] == second));
    return any;
}

/* The first place in `bytes` where the text begins, or NULL. */
static inline const void *qn_find_next(const struct qn_find *find, struct qn_slice bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.data, *hit;
    if (find->len == 0 || bytes.len < find->len)
        return NULL;
    const unsigned char *end = p + (bytes.len - find->len) + 1; /* places */
    unsigned char first = find->text[find->first], second = find->text[find->second];
    for (; end - p >= QN_FIND_BLOCK; p += QN_FIND_BLOCK)
        if (qn_find_may_be_here(p + find->first, first, p + find->second, second) &&
            (hit = qn_find_slowly(find, p, p + QN_FIND_BLOCK)) != NULL)
            return hit;
    return qn_find_slowly(find, p, end);
}

#ifdef __cplusplus
}
#endif

#endif
