/* SPDX-License-Identifier: Apache-2.0
 * grep: what matches a regular expression (POSIX extended), and how often: each match is one output
 * line, "match TAB count", in order of the matched text. A line may hold several matches. With
 * grep.group, what that group matched stands for the match, also if it is empty; where the group
 * took no part (the other side of a |), nothing is counted.
 *
 * Few lines match, as a rule, and looking at each with a regular expression takes longer than all
 * else. So setup looks for a text that every match must contain: then only lines where that text
 * stands are looked at, and it is found 64 bytes at a time (quern/find.h). A pattern without one
 * (a|b, [0-9]+, all with grep.ignore.case) meets every line. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <regex.h>

#include <quern/find.h>
#include <quern/option.h>

struct state {
    regex_t regex;
    struct qn_counter *lines;
    char *text; /* in every match; empty: none is known */
    size_t text_len;
    int is_plain; /* the pattern is that text, and nothing else */
    uint64_t group;
    regoff_t *from, *end; /* of the match and its groups, up to the one that is asked for */
};

/* --- what every match contains --------------------------------------------------------------- */

static const char *behind_bracket(const char *p)
{
    p += p[1] == '^' ? 2 : 1;
    p += *p == ']';
    for (; *p && *p != ']'; p++)
        if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
            const char ends[] = {p[1], ']', 0}, *end = strstr(p + 2, ends);
            if (!end)
                return p + strlen(p);
            p = end + 1;
        }
    return *p ? p + 1 : p;
}

static const char *behind_group(const char *p)
{
    int depth = 0;
    while (*p) {
        if (*p == '[') {
            p = behind_bracket(p);
            continue;
        }
        depth += (*p == '(') - (*p == ')');
        p += *p == '\\' && p[1] ? 2 : 1;
        if (depth == 0)
            break;
    }
    return p;
}

/* A piece of the pattern, and what follows it. */
struct atom {
    const char *next;
    char c;
    int is_char; /* stands for c, once */
};

static struct atom atom_at(const char *p)
{
    struct atom atom = {p + 1, *p, !strchr("|()[]{}*+?.^$\\\n", *p)};
    if (*p == '[') {
        atom.next = behind_bracket(p);
    } else if (*p == '(') {
        atom.next = behind_group(p);
    } else if (*p == '{') { /* a count: its digits are none of the text */
        atom.next += strcspn(atom.next, "}");
    } else if (*p == '\\' && p[1]) {
        atom.next = p + 2;
        atom.c = p[1];
        atom.is_char = strchr("|()[]{}*+?.^$\\/-", p[1]) != NULL;
    }
    if (*atom.next && strchr("*+?{", *atom.next))
        atom.is_char = 0; /* it may be absent */
    return atom;
}

/* The longest run of characters that stand for themselves, outside of groups and brackets. What is
 * not understood ends a run; an alternative at the top ends it all. s->text has room for the whole
 * pattern, `run` too. */
static void find_text(struct state *s, const char *pattern, char *run)
{
    size_t len = 0;
    s->is_plain = 1;
    for (const char *p = pattern; *p;) {
        struct atom atom = atom_at(p);
        if (*p == '|') {
            s->text_len = 0;
            return;
        }
        if (atom.is_char)
            run[len++] = atom.c;
        else
            s->is_plain = 0;
        p = atom.next;
        if (!atom.is_char || !*p) {
            if (len > s->text_len)
                memcpy(s->text, run, s->text_len = len);
            len = 0;
        }
    }
}

/* Where the whole match is, and the group: no more is looked for. */
static int setup_group(struct qn_task *task, struct state *s)
{
    if (qn_option_u64(task, "grep.group", 0, s->regex.re_nsub, &s->group) != 0)
        return -1;
    s->from = calloc(2 * (s->group + 1), sizeof(*s->from));
    if (!s->from)
        return qn_fail(task, "out of memory");
    s->end = s->from + s->group + 1;
    s->regex.regs_allocated = REGS_FIXED;
    return 0;
}

static int setup(struct qn_task *task)
{
    const char *pattern = qn_option(task, "grep.pattern");
    int icase;
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    if (qn_option_bool(task, "grep.ignore.case", &icase) != 0) {
        free(s);
        return -1;
    }
    int rc = regcomp(&s->regex, pattern, REG_EXTENDED | (icase ? REG_ICASE : 0));
    if (rc != 0) {
        char why[200];
        regerror(rc, &s->regex, why, sizeof(why));
        free(s);
        return qn_fail(task, "grep.pattern \"%s\": %s", pattern, why);
    }
    *qn_state(task) = s;
    if (setup_group(task, s) != 0)
        return -1;
    s->lines = qn_counter(task, "grep", "matching lines");
    size_t room = strlen(pattern) + 1;
    s->text = malloc(2 * room);
    if (!s->text)
        return qn_fail(task, "out of memory");
    if (!icase)
        find_text(s, pattern, s->text + room);
    return 0;
}

/* --- lines ----------------------------------------------------------------------------------- */

static int emit(struct qn_task *task, struct qn_slice match)
{
    const uint64_t one = 1;
    return qn_emit(task, match, qn_from_u64(&one));
}

/* All matches of a line. GNU's re_search beside POSIX's regexec: a line has a length and no zero
 * byte at its end. */
static int map_line(struct qn_task *task, struct qn_slice line)
{
    struct state *s = *qn_state(task);
    const char *text = (const char *)line.data;
    regoff_t from, end, len = (regoff_t)line.len;
    unsigned group = (unsigned)s->group;
    struct re_registers found = {group + 1, s->from, s->end};
    if (line.len > INT_MAX - 1)
        return qn_fail(task, "a line of %zu bytes: 2 GiB is the longest that can be searched",
                       line.len);
    for (from = 0; from <= len; from = end + (end == s->from[0])) { /* an empty match: the next */
        regoff_t at = re_search(&s->regex, text, len, from, len - from, &found);
        if (at == -2)
            return qn_fail(task, "out of memory: searching a line of %zu bytes", line.len);
        if (at < 0)
            break;
        end = s->end[0];
        s->lines->value += from == 0;
        regoff_t begin = s->from[group], size = s->end[group] - begin;
        if (begin >= 0 && (size > 0 || group > 0) &&
            emit(task, qn_bytes(text + begin, (size_t)size)) != 0)
            return -1;
    }
    return 0;
}

static int map_all(struct qn_task *task, struct qn_slice lines)
{
    struct qn_slice line;
    while (qn_next_line(&lines, &line))
        if (map_line(task, line) != 0)
            return -1;
    return 0;
}

/* The line around `hit`, in what is left of the lines; *rest begins behind it then. */
static struct qn_slice take_line(struct qn_slice *rest, const char *hit)
{
    const char *from = (const char *)rest->data, *end = from + rest->len;
    const char *before = (const char *)memrchr(from, '\n', (size_t)(hit - from));
    const char *start = before ? before + 1 : from;
    const char *nl = (const char *)memchr(hit, '\n', (size_t)(end - hit));
    const char *next = nl ? nl + 1 : end;
    *rest = qn_bytes(next, (size_t)(end - next));
    return qn_bytes(start, (size_t)((nl ? nl : end) - start));
}

/* Of a line in which the pattern's plain text stands at `hit`: no expression is needed. */
static int map_plain(struct qn_task *task, struct qn_slice line, const char *hit,
                     const struct qn_find *find)
{
    struct state *s = *qn_state(task);
    const char *end = (const char *)line.data + line.len;
    s->lines->value++;
    while (hit) {
        if (emit(task, qn_bytes(hit, find->len)) != 0)
            return -1;
        hit += find->len;
        hit = (const char *)qn_find_next(find, qn_bytes(hit, (size_t)(end - hit)));
    }
    return 0;
}

static int map_lines(struct qn_task *task, struct qn_slice lines, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    (void)where;
    if (s->text_len == 0)
        return map_all(task, lines);
    struct qn_find find = qn_find_of(qn_bytes(s->text, s->text_len));
    const char *hit;
    while ((hit = (const char *)qn_find_next(&find, lines)) != NULL) {
        struct qn_slice line = take_line(&lines, hit);
        int rc = s->is_plain ? map_plain(task, line, hit, &find) : map_line(task, line);
        if (rc != 0)
            return -1;
    }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice match, struct qn_values *counts)
{
    uint64_t sum = 0;
    struct qn_slice count;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    return qn_emit(task, match, qn_from_u64(&sum));
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        regfree(&s->regex);
        free(s->text);
        free(s->from);
        free(s);
    }
    return 0;
}

static const struct qn_option_row options[] = {
    {"grep.pattern", NULL, "POSIX extended regular expression to look for"},
    {"grep.ignore.case", "false", "true: upper and lower case are the same"},
    {"grep.group", "0", "which group of the expression is counted; 0: all that matched"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "grep",
    .about = "counts what matches a regular expression",
    .setup = setup,
    .map_lines = map_lines,
    .combine_op = QN_SUM,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_U64,
    .options = options,
    .default_reducers = 1,
    .check = setup,
};
