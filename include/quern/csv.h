/* SPDX-License-Identifier: Apache-2.0
 * quern/csv.h: the fields of a record of CSV, for jobs with .input = QN_CSV.
 *
 *     static int map(struct qn_task *task, struct qn_slice record, struct qn_slice where)
 *     {
 *         struct qn_csv *csv = *qn_state(task);    // calloc'ed in setup
 *         struct qn_slice name;
 *         if (qn_csv_begin(task, csv, record, ',') != 0)
 *             return -1;
 *         while (qn_csv_next(csv, &name))
 *             ...
 *
 * and qn_give_back(&csv->room) in cleanup. A field comes as its text: without the quotes around it,
 * doubled quotes inside it single. A record of n separators outside quotes has n + 1 fields; an
 * empty record has one, which is empty. The first record of a file is often its header: it is the
 * one where qn_input(task)->offset is 0. */
#ifndef QUERN_CSV_H
#define QUERN_CSV_H

#include <quern/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed at first; for any number of records, one after another. */
struct qn_csv {
    struct qn_slice rest;
    struct qn_room room; /* fields that had doubled quotes in them */
    size_t used;
    char separator;
    char is_open; /* another field follows */
};

/* Fields borrow the record, or csv->room: they are good until the next qn_csv_begin. 0, or the task
 * has failed. */
static inline int qn_csv_begin(struct qn_task *task, struct qn_csv *csv, struct qn_slice record,
                               char separator)
{
    csv->rest = record;
    csv->used = 0;
    csv->separator = separator;
    csv->is_open = 1;
    return qn_grow(task, &csv->room, record.len);
}

/* The text up to the quote that closes it, which goes too. */
static inline struct qn_slice qn_csv_quoted(struct qn_csv *csv)
{
    const unsigned char *from = (const unsigned char *)csv->rest.data + 1;
    const unsigned char *end = from - 1 + csv->rest.len, *p = from;
    unsigned char *to = csv->room.data + csv->used;
    size_t doubled = 0;
    while ((p = (const unsigned char *)memchr(p, '"', (size_t)(end - p))) != NULL && p + 1 < end &&
           p[1] == '"') {
        doubled++;
        p += 2;
    }
    size_t len = (size_t)((p ? p : end) - from);
    p = p ? p + 1 : end;
    csv->rest = qn_bytes(p, (size_t)(end - p));
    if (doubled == 0)
        return qn_bytes(from, len);
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        to[kept++] = from[i];
        i += from[i] == '"';
    }
    csv->used += kept;
    return qn_bytes(to, kept);
}

/* Take the next field: 1 with it, 0 when the record has no more. */
static inline int qn_csv_next(struct qn_csv *csv, struct qn_slice *field)
{
    if (!csv->is_open)
        return 0;
    const char *p = (const char *)csv->rest.data;
    if (csv->rest.len && *p == '"') {
        *field = qn_csv_quoted(csv);
        p = (const char *)csv->rest.data;
        csv->is_open = csv->rest.len != 0;
        csv->rest = qn_bytes(p + csv->is_open, csv->rest.len - (size_t)csv->is_open);
        return 1;
    }
    const char *cut = csv->rest.len ? (const char *)memchr(p, csv->separator, csv->rest.len) : NULL;
    size_t len = cut ? (size_t)(cut - p) : csv->rest.len;
    *field = qn_bytes(p, len);
    csv->is_open = cut != NULL;
    csv->rest = cut ? qn_bytes(cut + 1, csv->rest.len - len - 1) : qn_nothing();
    return 1;
}
/* The n-th field of a record, counted from 1: begins the record anew. 1, 0 = it has not that many,
 * -1 = the task has failed. */
static inline int qn_csv_field(struct qn_task *task, struct qn_csv *csv, struct qn_slice record,
                               char separator, uint64_t n, struct qn_slice *field)
{
    if (qn_csv_begin(task, csv, record, separator) != 0)
        return -1;
    while (n > 0 && qn_csv_next(csv, field))
        if (--n == 0)
            return 1;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
