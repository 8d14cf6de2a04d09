/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

char *fs_format_mode(uint32_t mode, char out[FS_MODE_TEXT])
{
    static const char letters[] = "rwxrwxrwx";
    for (unsigned i = 0; i < 9; i++)
        out[i] = mode & (0400U >> i) ? letters[i] : '-';
    if (mode & 01000)
        out[8] = mode & 1 ? 't' : 'T';
    out[9] = '\0';
    return out;
}

/* A time no calendar holds is shown as it is. */
static char *raw_time(uint64_t ms, char out[FS_TIME_TEXT])
{
    snprintf(out, FS_TIME_TEXT, "%" PRIu64, ms);
    return out;
}

char *fs_format_local_minute(uint64_t ms, char out[FS_TIME_TEXT])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    bool ok = localtime_r(&seconds, &tm) && strftime(out, FS_TIME_TEXT, "%Y-%m-%d %H:%M", &tm);
    return ok ? out : raw_time(ms, out);
}

char *fs_format_utc_second(uint64_t ms, char out[FS_TIME_TEXT])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    bool ok = gmtime_r(&seconds, &tm) && strftime(out, FS_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
    return ok ? out : raw_time(ms, out);
}

char *fs_format_size(uint64_t bytes, bool human, char out[FS_SIZE_TEXT])
{
    if (human)
        return str_human(bytes, out, FS_SIZE_TEXT);
    snprintf(out, FS_SIZE_TEXT, "%" PRIu64, bytes);
    return out;
}

int fs_parse_timestamp(const char *text, int64_t *ret_ms)
{
    struct tm tm = {.tm_isdst = -1};
    char sep = 0;
    int used = 0;
    if (sscanf(text, "%4d%2d%2d%c%2d%2d%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &sep,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 7 ||
        sep != ':' || used != 15 || text[15])
        return ERR_INVAL;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 59)
        return ERR_INVAL;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t t = mktime(&tm);
    if (t == (time_t)-1)
        return ERR_INVAL;
    *ret_ms = (int64_t)t * 1000;
    return 0;
}

/* Length of the UTF-8 sequence at p, 0 when it is none. */
static size_t utf8_len(const unsigned char *p)
{
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (n == 2 && p[0] < 0xc2)
        return 0; /* a longer form than needed */
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void fs_append_printable(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_len(p);
        bool control = n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0);
        if (control)
            buf_append_byte(out, '?');
        else
            buf_append(out, p, n);
        p += n ? n : 1;
    }
}

void fs_append_json(struct buf *out, const char *text)
{
    buf_append_byte(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_len(p);
        if (n == 0)
            buf_append_str(out, "\\ufffd");
        else if (*p == '"' || *p == '\\')
            buf_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            buf_printf(out, "\\u%04x", *p);
        else
            buf_append(out, p, n);
        p += n ? n : 1;
    }
    buf_append_byte(out, '"');
}

/* As few digits as tell it from its neighbours, two at least: "-1.25e+01". */
static void shortest(double v, bool is_double, char *text, size_t size)
{
    for (int digits = 2; digits <= (is_double ? 17 : 9); digits++) {
        snprintf(text, size, "%.*e", digits - 1, v);
        if (is_double ? strtod(text, NULL) == v : strtof(text, NULL) == (float)v)
            return;
    }
}

/* From one thousandth up to ten million as a plain number, else with an exponent. */
static void append_digits(struct buf *out, const char *digits, int n, int exponent)
{
    int before = exponent < -3 || exponent >= 7 ? 1 : exponent + 1; /* digits before the point */
    if (before <= 0)
        buf_printf(out, "0.%.*s", -before, "000");
    for (int i = 0; i < n || i < before; i++) {
        buf_append_byte(out, i < n ? (uint8_t)digits[i] : '0');
        if (i + 1 == before)
            buf_append_byte(out, '.');
    }
    if (before >= n)
        buf_append_byte(out, '0');
    if (exponent < -3 || exponent >= 7)
        buf_printf(out, "E%d", exponent);
}

void fs_append_java_real(struct buf *out, uint64_t bits, bool is_double)
{
    double v;
    float single;
    uint32_t low = (uint32_t)bits;
    memcpy(&single, &low, sizeof(single));
    memcpy(&v, &bits, sizeof(v));
    if (!is_double)
        v = single;
    if (isnan(v)) {
        buf_append_str(out, "NaN");
        return;
    }
    if (signbit(v))
        buf_append_byte(out, '-');
    v = fabs(v);
    if (isinf(v)) {
        buf_append_str(out, "Infinity");
        return;
    }
    char text[40], digits[20];
    shortest(v, is_double, text, sizeof(text));
    const char *e = strchr(text, 'e');
    int n = 0;
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    append_digits(out, digits, n, (int)strtol(e + 1, NULL, 10));
}

void fs_table_init(struct fs_table *table, uint32_t columns, uint32_t right)
{
    *table = (struct fs_table){.columns = columns, .right = right};
}

void fs_table_release(struct fs_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        mem_free(table->cells[i]);
    mem_free(table->cells);
    *table = (struct fs_table){0};
}

int fs_table_add(struct fs_table *table, const char *const *cells)
{
    for (uint32_t i = 0; i < table->columns; i++) {
        if (mem_grow(&table->cells, &table->cap, table->count, sizeof(*table->cells)) != 0)
            return ERR_NOMEM;
        char *copy = str_dup(cells[i]);
        if (!copy)
            return ERR_NOMEM;
        table->cells[table->count++] = copy;
        size_t n = strlen(copy);
        if (n > table->width[i])
            table->width[i] = n;
    }
    return 0;
}

void fs_table_print(const struct fs_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        uint32_t column = (uint32_t)(i % table->columns);
        int width = (int)table->width[column];
        bool last = column + 1 == table->columns;
        if (table->right & (1U << column))
            fprintf(out, "%*s%s", width, table->cells[i], last ? "\n" : "  ");
        else if (last)
            fprintf(out, "%s\n", table->cells[i]);
        else
            fprintf(out, "%-*s  ", width, table->cells[i]);
    }
}
