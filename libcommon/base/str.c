/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <strings.h>

#include "libcommon/base/mem.h"

char *str_dup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *str_printf(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

int str_to_u64(const char *s, uint64_t *ret)
{
    if (!isdigit((unsigned char)s[0]))
        return ERR_INVAL;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno || *end)
        return ERR_INVAL;
    *ret = v;
    return 0;
}

int str_to_i64(const char *s, int64_t *ret)
{
    if (!isdigit((unsigned char)s[0]) && !(s[0] == '-' && isdigit((unsigned char)s[1])))
        return ERR_INVAL;
    char *end = NULL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end)
        return ERR_INVAL;
    *ret = v;
    return 0;
}

int str_to_double(const char *s, double *ret)
{
    char *end = NULL;
    if (s[strspn(s, "+-.0123456789eE")]) /* no space, hex, inf or nan */
        return ERR_INVAL;
    errno = 0;
    double v = strtod(s, &end);
    if (errno || end == s || *end || !isfinite(v))
        return ERR_INVAL;
    *ret = v;
    return 0;
}

int str_to_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
            *ret = strcasecmp(s, yes[i]) == 0;
            return 0;
        }
    }
    return ERR_INVAL;
}

/* Digits, an optional fraction, then a unit; the unit's text is left for the caller. */
static int number_then_unit(const char *s, double *ret_number, uint64_t *ret_whole, bool *ret_exact,
                            const char **ret_unit)
{
    if (!isdigit((unsigned char)s[0]))
        return ERR_INVAL;
    char *end = NULL;
    errno = 0;
    *ret_whole = strtoull(s, &end, 10);
    if (errno)
        return ERR_INVAL;
    *ret_exact = *end != '.';
    *ret_number = (double)*ret_whole;
    if (!*ret_exact) {
        if (!isdigit((unsigned char)end[1]))
            return ERR_INVAL;
        double scale = 0.1;
        for (end++; isdigit((unsigned char)*end); end++, scale /= 10)
            *ret_number += scale * (*end - '0');
    }
    while (*end == ' ')
        end++;
    *ret_unit = end;
    return 0;
}

static int scale(double number, uint64_t whole, bool exact, uint64_t unit, uint64_t *ret)
{
    if (exact)
        return __builtin_mul_overflow(whole, unit, ret) ? ERR_INVAL : 0;
    if (unit == 1)
        return ERR_INVAL; /* half a byte, half a millisecond */
    double v = number * (double)unit;
    if (v >= 18446744073709549568.0)
        return ERR_INVAL;
    *ret = (uint64_t)v;
    return 0;
}

int str_to_size(const char *s, uint64_t *ret_bytes)
{
    double number;
    uint64_t whole, v, unit = 1;
    bool exact;
    const char *u;
    if (number_then_unit(s, &number, &whole, &exact, &u) != 0)
        return ERR_INVAL;
    if (*u && !(tolower((unsigned char)*u) == 'b' && !u[1])) {
        const char *letters = "kmgtp";
        const char *at = strchr(letters, tolower((unsigned char)*u));
        if (!at)
            return ERR_INVAL;
        unit = (uint64_t)1 << (10 * (at - letters + 1));
        u++;
        if (tolower((unsigned char)*u) == 'i')
            u++;
        if (tolower((unsigned char)*u) == 'b')
            u++;
        if (*u)
            return ERR_INVAL;
    }
    if (scale(number, whole, exact, unit, &v) != 0)
        return ERR_INVAL;
    *ret_bytes = v;
    return 0;
}

int str_to_ms(const char *s, uint64_t unit_ms, uint64_t *ret_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},    {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    double number;
    uint64_t whole, v;
    bool exact;
    const char *u;
    if (number_then_unit(s, &number, &whole, &exact, &u) != 0)
        return ERR_INVAL;
    if (*u) {
        unit_ms = 0;
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (strcasecmp(u, units[i].name) == 0)
                unit_ms = units[i].ms;
    }
    if (unit_ms == 0 || scale(number, whole, exact, unit_ms, &v) != 0)
        return ERR_INVAL;
    *ret_ms = v;
    return 0;
}

char *str_human(uint64_t bytes, char *out, size_t cap)
{
    const char *units = "KMGTPE";
    if (bytes < 1024) {
        snprintf(out, cap, "%" PRIu64, bytes);
        return out;
    }
    unsigned u = 0;
    uint64_t unit = 1024;
    while (u < 5 && bytes / unit >= 1024) {
        unit *= 1024;
        u++;
    }
    if (bytes % unit == 0) {
        snprintf(out, cap, "%" PRIu64 " %c", bytes / unit, units[u]);
        return out;
    }
    double v = (double)bytes / (double)unit;
    if (v >= 1023.95 && u < 5) { /* would be rounded to 1024.0 */
        v /= 1024;
        u++;
    }
    snprintf(out, cap, "%.1f %c", v, units[u]);
    return out;
}

char *str_human_report(uint64_t bytes, char *out, size_t cap)
{
    static const char letters[] = "KMGTPE";
    unsigned i = 0;
    while (i < 6 && bytes >> (10 * (i + 1)))
        i++;
    if (i == 0) {
        snprintf(out, cap, "%" PRIu64 " B", bytes);
    } else if ((bytes & ((1ULL << (10 * i)) - 1)) == 0) {
        snprintf(out, cap, "%" PRIu64 " %cB", bytes >> (10 * i), letters[i - 1]);
    } else {
        double rounded = (double)((bytes * 100.0L) / (double)(1ULL << (10 * i)));
        i += rounded >= 102399.5 && i < 6; /* never "1024.00 KB" */
        snprintf(out, cap, "%.2f %cB", (double)bytes / (double)(1ULL << (10 * i)), letters[i - 1]);
    }
    return out;
}

char *str_thousands(uint64_t n, char *out, size_t cap)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    size_t o = 0;
    for (int i = 0; i < len && o + 2 < cap; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = 0;
    return out;
}

char *str_duration(uint64_t ms, char *out, size_t cap)
{
    uint64_t s = ms / 1000;
    if (ms < 100)
        snprintf(out, cap, "%" PRIu64 " ms", ms);
    else if (ms < 59950)
        snprintf(out, cap, "%.1f s", (double)ms / 1000);
    else if (s < 60)
        snprintf(out, cap, "1m 00s");
    else if (s < 3600)
        snprintf(out, cap, "%" PRIu64 "m %02" PRIu64 "s", s / 60, s % 60);
    else
        snprintf(out, cap, "%" PRIu64 "h %02" PRIu64 "m", s / 3600, s / 60 % 60);
    return out;
}

#define WORD_MAX 64

unsigned str_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return strcmp(a, b) == 0 ? 0 : WORD_MAX;
    /* three rows of the optimal-string-alignment table */
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *str_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(word, names[i]) == 0)
            return names[i];
        unsigned d = str_distance(word, names[i]);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
