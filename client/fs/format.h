/* SPDX-License-Identifier: Apache-2.0
 * format: numbers, times, modes and tables in the shapes scripts parse. Pure (the time zone is the
 * C library's affair). */
#ifndef QUERN_FS_FORMAT_H
#define QUERN_FS_FORMAT_H

#include "libcommon/base/buf.h"

#define FS_MODE_TEXT 10
#define FS_TIME_TEXT 32
#define FS_SIZE_TEXT 32

/* "rwxr-xr-t": nine characters. */
char *fs_format_mode(uint32_t mode, char out[FS_MODE_TEXT]);

/* "2024-01-02 03:04" in the local time zone; "2024-01-02 03:04:05" in UTC. */
char *fs_format_local_minute(uint64_t ms, char out[FS_TIME_TEXT]);
char *fs_format_utc_second(uint64_t ms, char out[FS_TIME_TEXT]);

/* "1366", or "1.3 K" when human. */
char *fs_format_size(uint64_t bytes, bool human, char out[FS_SIZE_TEXT]);

/* yyyyMMdd:HHmmss in local time, to ms since 1970. ERR_INVAL. */
int fs_parse_timestamp(const char *text, int64_t *ret_ms);

/* Append a float's or double's bits as Java's toString() shows them: "1.0E10", "-0.001", "NaN". */
void fs_append_java_real(struct buf *out, uint64_t bits, bool is_double);

/* Append `text` with every byte that is no printable character as '?'. UTF-8 stays. */
void fs_append_printable(struct buf *out, const char *text);

/* Append `text` as a JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD. */
void fs_append_json(struct buf *out, const char *text);

/* Rows of words in aligned columns, two spaces between; the last column is not padded. */
#define FS_TABLE_COLUMNS_MAX 6
struct fs_table {
    uint32_t columns;
    uint32_t right; /* bit set of right-justified columns */
    size_t width[FS_TABLE_COLUMNS_MAX];
    char **cells; /* row by row */
    size_t count, cap;
};
void fs_table_init(struct fs_table *table, uint32_t columns, uint32_t right);
void fs_table_release(struct fs_table *table);
int fs_table_add(struct fs_table *table, const char *const *cells); /* copies; ERR_NOMEM */
void fs_table_print(const struct fs_table *table, FILE *out);

#endif
