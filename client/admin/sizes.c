/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/sizes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/slice.h"

static int parse(struct slice digits, int64_t *ret, struct err *err)
{
    char text[32];
    char *end = text;
    size_t sign = digits.len && (digits.data[0] == '-' || digits.data[0] == '+');
    bool is_number = digits.len > sign && digits.len < sizeof(text);
    for (size_t i = sign; is_number && i < digits.len; i++)
        is_number = isdigit(digits.data[i]);
    if (is_number) {
        memcpy(text, digits.data, digits.len);
        text[digits.len] = '\0';
        errno = 0;
        *ret = strtoll(text, &end, 10);
        is_number = errno == 0;
    }
    return is_number
               ? 0
               : err_set(err, ERR_INVAL, "For input string: \"" SLICE_FMT "\"", SLICE_ARG(digits));
}

int admin_size(const char *word, int64_t *ret, struct err *err)
{
    static const char prefixes[] = "kmgtpe";
    struct slice s = slice_str(word);
    while (s.len && isspace(s.data[0]))
        s = slice_of(s.data + 1, s.len - 1);
    while (s.len && isspace(s.data[s.len - 1]))
        s.len--;
    if (s.len == 0 || isdigit(s.data[s.len - 1]))
        return parse(s, ret, err);
    char last = (char)s.data[s.len - 1];
    const char *prefix = strchr(prefixes, tolower((unsigned char)last));
    if (!prefix)
        return err_set(err, ERR_LIMIT,
                       "Invalid size prefix '%c' in '" SLICE_FMT
                       "'. Allowed prefixes are k, m, g, t, p, e(case insensitive)",
                       last, SLICE_ARG(s));
    int64_t n = 0, unit = (int64_t)1 << (10 * (prefix - prefixes + 1));
    int rc = parse(slice_of(s.data, s.len - 1), &n, err);
    if (rc == 0 && (n > INT64_MAX / unit || n < INT64_MIN / unit))
        return err_set(err, ERR_LIMIT, SLICE_FMT " does not fit in a Long", SLICE_ARG(s));
    if (rc == 0)
        *ret = n * unit;
    return rc;
}
