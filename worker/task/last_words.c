/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/task/last_words.h"

#include <stdio.h>

#define CAUGHT " (nothing caught it: catch it, and return qn_fail)"

static struct slice take_line(struct slice *rest)
{
    const uint8_t *nl = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = nl ? (size_t)(nl - rest->data) : rest->len;
    struct slice line = slice_of(rest->data, len);
    *rest = slice_of(rest->data + len + (nl != NULL), rest->len - len - (nl != NULL));
    return line;
}

/* What stands behind the first `mark` in the line; NULL data when it is not there. */
static struct slice behind(struct slice line, const char *mark)
{
    const uint8_t *at = line.len ? memmem(line.data, line.len, mark, strlen(mark)) : NULL;
    if (!at)
        return slice_of(NULL, 0);
    at += strlen(mark);
    return slice_of(at, line.len - (size_t)(at - line.data));
}

static bool is_told_by_the_system(struct slice line)
{
    static const char *const marks[] = {
        "Assertion `",         "free(): ",   "malloc(): ",     "realloc(): ",
        "double free",         "corrupted",  "stack smashing", "buffer overflow detected",
        "pure virtual method", "libc++abi: "};
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
        if (behind(line, marks[i]).data)
            return true;
    return false;
}

/* terminate called after throwing an instance of 'std::runtime_error'
 *   what():  no date */
static void tell_exception(struct slice type, struct slice rest, char *out, size_t cap)
{
    struct slice what = behind(take_line(&rest), "what():  ");
    if (type.len && type.data[type.len - 1] == '\'')
        type.len--;
    snprintf(out, cap, "threw " SLICE_FMT "%s" SLICE_FMT CAUGHT, SLICE_ARG(type),
             what.data ? ": " : "", SLICE_ARG(what));
}

/* thread '<unnamed>' panicked at src/lib.rs:12:9:
 * no date */
static void tell_panic(struct slice place, struct slice rest, char *out, size_t cap)
{
    struct slice words = take_line(&rest);
    snprintf(out, cap, "panicked at " SLICE_FMT " " SLICE_FMT, SLICE_ARG(place), SLICE_ARG(words));
}

bool last_words(struct slice log, char *out, size_t cap)
{
    bool is_found = false;
    while (log.len) {
        struct slice line = take_line(&log);
        struct slice thrown = behind(line, "terminate called after throwing an instance of '");
        struct slice panicked = behind(line, " panicked at ");
        if (thrown.data) {
            tell_exception(thrown, log, out, cap);
            return true;
        }
        if (panicked.data) { /* a second one only says that the first cannot leave */
            tell_panic(panicked, log, out, cap);
            return true;
        }
        if (!is_told_by_the_system(line))
            continue;
        snprintf(out, cap, SLICE_FMT, SLICE_ARG(line));
        is_found = true;
    }
    return is_found;
}
