/* SPDX-License-Identifier: Apache-2.0
 * status: what a daemon tells about itself, as JSON that the status page shows without knowing the
 * daemon. A daemon's status callback calls these in any order:
 *
 *     status_count(st, "files", nn->file_count, "");
 *     status_bytes(st, "used", used, "#datanodes");
 *     status_table(st, "datanodes", "Datanodes", "node|state|capacity:bytes|last heard:ms");
 *     for (...) {
 *         status_row(st);
 *         status_cell(st, node->name);
 *         status_cell_u64(st, node->capacity);
 *     }
 *
 * The result:
 * {"daemon":"namenode","node":..,"version":..,"state":"serving","values":{"files":{"value":
 * 3,"unit":"count","link":""}},"notes":[..],"tables":{"datanodes":{"title":..,"columns":[{"name":..,
 * "unit":..}],"rows":[[..]]}}}. Links: "" or "#<table id>" or a path. */
#ifndef QUERN_DAEMON_STATUS_H
#define QUERN_DAEMON_STATUS_H

#include "libcommon/base/buf.h"

struct status {
    struct buf values, tables, notes; /* bodies of the three JSON members */
    bool in_table, has_row, in_row, has_cell;
};
#define STATUS_INIT ((struct status){.in_table = false})

void status_text(struct status *st, const char *name, const char *value, const char *link);
void status_count(struct status *st, const char *name, uint64_t n, const char *link);
void status_bytes(struct status *st, const char *name, uint64_t bytes, const char *link);
/* Something a person should know: shown on top. level: "info", "warn", "error". */
void status_note(struct status *st, const char *level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Columns are separated by '|', each "name" or "name:unit" (count, bytes, ms, percent, time = wall
 * ms). Rows follow until the next status_table. */
void status_table(struct status *st, const char *id, const char *title, const char *columns);
void status_row(struct status *st);
void status_cell(struct status *st, const char *text);
void status_cell_u64(struct status *st, uint64_t n);

/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void json_append_string(struct buf *out, struct slice text);

/* "notes":[..],"values":{..},"tables":{..}: the members, without the braces around. Ends the last
 * table. `out` fails when memory ran out on the way. */
void status_print(struct status *st, struct buf *out);
void status_release(struct status *st);

#endif
