/* SPDX-License-Identifier: Apache-2.0
 * quern/option.h: options that are numbers, words, yes and no, or names of side
 * files. For setup and check:
 *
 *     if (qn_option_u64(task, "topn.n", 1, 1000, &s->n) != 0 ||
 *         qn_option_word(task, "join.type", "inner left right", &s->type) != 0)
 *         return -1;
 *
 * Each gives 0, or fails the task with a line that has the option, what was typed, and what is
 * wanted: "topn.n = "1x": a whole number from 1 to 1000 is wanted". Nothing is read as the number
 * or the word that it merely begins with. */
#ifndef QUERN_OPTION_H
#define QUERN_OPTION_H

#include <quern/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Digits and nothing else. */
static inline int qn_option_u64(struct qn_task *task, const char *name, uint64_t low, uint64_t high,
                                uint64_t *ret)
{
    const char *text = qn_option(task, name), *p = text;
    uint64_t v = 0;
    while (*p >= '0' && *p <= '9' && !__builtin_mul_overflow(v, (uint64_t)10, &v) &&
           !__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
        p++;
    if (p > text && !*p && v >= low && v <= high) {
        *ret = v;
        return 0;
    }
    if (high == UINT64_MAX)
        qn_fail(task, "%s = \"%s\": a whole number from %llu up is wanted", name, text,
                (unsigned long long)low);
    else
        qn_fail(task, "%s = \"%s\": a whole number from %llu to %llu is wanted", name, text,
                (unsigned long long)low, (unsigned long long)high);
    return -1;
}

static inline int qn_option_f64(struct qn_task *task, const char *name, double low, double high,
                                double *ret)
{
    const char *text = qn_option(task, name);
    char *end;
    double v = strtod(text, &end);
    int begins = (*text >= '0' && *text <= '9') || *text == '-' || *text == '+' || *text == '.';
    if (begins && !*end && v >= low && v <= high) { /* which no NaN is */
        *ret = v;
        return 0;
    }
    qn_fail(task, "%s = \"%s\": a number from %g to %g is wanted", name, text, low, high);
    return -1;
}

/* Which of the words, which one space parts, it is: 0 = the first. Small and capital letters are
 * alike. */
static inline int qn_option_word(struct qn_task *task, const char *name, const char *words,
                                 unsigned *ret)
{
    const char *text = qn_option(task, name), *p = words;
    for (unsigned n = 0; *p; n++) {
        size_t i = 0;
        while (text[i] && p[i] != ' ' && (text[i] | 32) == p[i])
            i++;
        if (!text[i] && (p[i] == ' ' || !p[i])) {
            *ret = n;
            return 0;
        }
        while (*p && *p++ != ' ')
            continue;
    }
    qn_fail(task, "%s = \"%s\": one of these is wanted: %s", name, text, words);
    return -1;
}

/* true or false. */
static inline int qn_option_bool(struct qn_task *task, const char *name, int *ret)
{
    unsigned which = 0;
    if (qn_option_word(task, name, "false true", &which) != 0)
        return -1;
    *ret = which == 1;
    return 0;
}

/* The name of a file that comes with the job: for qn_side_file. */
static inline int qn_option_side_file(struct qn_task *task, const char *name, const char **ret)
{
    const char *text = qn_option(task, name), *side;
    for (uint32_t i = 0; (side = qn_side_at(task, i)) != NULL; i++)
        if (strcmp(side, text) == 0) {
            *ret = text;
            return 0;
        }
    qn_fail(task,
            "%s = \"%s\": the name of a file that comes with the job is wanted (-file PATH#%s)",
            name, text, *text ? text : "NAME");
    return -1;
}

/* What the paths of some inputs begin with, for .check: does any, as far as what was typed tells? A
 * task's qn_input(task)->path is whole, so one that lacks its beginning is like none of them. */
static inline int qn_option_input_prefix(struct qn_task *task, const char *name)
{
    const char *prefix = qn_option(task, name), *path, *input;
    size_t len = strlen(prefix);
    uint32_t i = 0;
    if (*prefix != '/')
        return qn_fail(task,
                       "%s = \"%s\": the beginning of a whole path is wanted, from its first / on",
                       name, prefix);
    for (; (path = qn_input_at(task, i, &input)) != NULL; i++) {
        size_t plain = strcspn(path, "*?[{\\");
        if (*path != '/' || strstr(path, "//") || strstr(path, "/.") ||
            strncmp(path, prefix, plain < len ? plain : len) == 0)
            return 0;
    }
    return i ? qn_fail(task, "%s = \"%s\": the path of no input begins so", name, prefix) : 0;
}

#ifdef __cplusplus
}
#endif

#endif
