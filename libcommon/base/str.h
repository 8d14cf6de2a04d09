/* SPDX-License-Identifier: Apache-2.0
 * str: numbers, sizes and times as people write them, and near misses. All C strings. */
#ifndef QUERN_BASE_STR_H
#define QUERN_BASE_STR_H

#include "libcommon/base/err.h"

char *str_dup(const char *s); /* mem_free it; NULL when memory is out */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* same */

/* Whole string or nothing: 0, or ERR_INVAL with *ret untouched. */
int str_to_u64(const char *s, uint64_t *ret);
int str_to_i64(const char *s, int64_t *ret);
int str_to_double(const char *s, double *ret);
int str_to_bool(const char *s, bool *ret); /* true/false, yes/no, on/off, 1/0 */
/* "128m", "128 MiB", "1.5g", "4096": bytes, powers of 1024 (k m g t p, with optional i and b). */
int str_to_size(const char *s, uint64_t *ret_bytes);
/* "250ms", "30s", "20m", "6h", "3d"; a bare number is in `unit_ms` (1 = ms, 1000 = s ...). */
int str_to_ms(const char *s, uint64_t unit_ms, uint64_t *ret_ms);

/* The shell's human form: 1024-based, one decimal unless exact: "1.5 M", "1 K", "512". */
char *str_human(uint64_t bytes, char *out, size_t cap);
/* Hadoop's report form, two decimals unless exact: "12 KB", "1.50 TB", "512 B". */
char *str_human_report(uint64_t bytes, char *out, size_t cap);
/* "1,234,567" */
char *str_thousands(uint64_t n, char *out, size_t cap);
/* "42 ms", "0.4 s", "21.4 s", "1m 12s", "3h 02m" */
char *str_duration(uint64_t ms, char *out, size_t cap);

/* Edits (insert, delete, change, swap neighbours) between two words. */
unsigned str_distance(const char *a, const char *b);
/* The name nearest to `word` among `count` names, or NULL when none is near enough to suggest. */
const char *str_nearest(const char *word, const char *const *names, size_t count);

#endif
