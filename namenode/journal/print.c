/* SPDX-License-Identifier: Apache-2.0
 * print: sections as JSON lines (layout: sections.h). */
#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/daemon/status.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/rows.h"
#include "namenode/journal/sections.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/xattr.h"

struct nn_printer {
    struct nn_rows rows;
    struct buf path; /* of the inode printed last */
    size_t *ends;    /* ends[d] = length of the path of depth d; `levels` of them are known */
    size_t levels, end_cap;
};

struct nn_printer *nn_printer_new(void)
{
    return mem_calloc(1, sizeof(struct nn_printer));
}

void nn_printer_free(struct nn_printer *printer)
{
    if (!printer)
        return;
    nn_rows_release(&printer->rows);
    buf_release(&printer->path);
    mem_free(printer->ends);
    mem_free(printer);
}

static void print_text(struct buf *out, const char *key, struct slice text)
{
    buf_printf(out, "\"%s\":", key);
    json_append_string(out, text);
}

static void print_file(struct nn_printer *p, const struct nn_row_inode *row, struct buf *out)
{
    buf_printf(out, ",\"atime\":%" PRIu64 ",\"replication\":%u,\"block_size\":%" PRIu64,
               row->atime_ms, row->replication, (uint64_t)row->block_units * 512);
    if (row->flags & NN_ROW_OPEN)
        buf_printf(out, ",\"client\":\"%016" PRIx64 "\"", row->client);
    if (row->flags & (NN_ROW_WRITING | NN_ROW_RECOVERING))
        buf_printf(out, ",\"last_block\":\"%s\"",
                   row->flags & NN_ROW_WRITING ? "UNDER_CONSTRUCTION" : "UNDER_RECOVERY");
    buf_append_str(out, ",\"blocks\":[");
    for (uint32_t i = 0; i < row->blocks && !p->rows.is_bad; i++) {
        uint64_t id = nn_rows_varint(&p->rows), gs = nn_rows_varint(&p->rows);
        buf_printf(out, "%s{\"id\":%" PRIu64 ",\"gs\":%" PRIu64 ",\"len\":%" PRIu64 "}",
                   i ? "," : "", id, gs, nn_rows_varint(&p->rows));
    }
    buf_append_byte(out, ']');
}

static void print_inode(struct nn_printer *p, struct buf *out)
{
    struct nn_row_inode row;
    nn_rows_inode(&p->rows, &row);
    if (p->rows.is_bad || row.depth > p->levels ||
        mem_grow(&p->ends, &p->end_cap, row.depth, sizeof(*p->ends)) != 0) {
        p->rows.is_bad = true;
        return;
    }
    p->path.len = row.depth ? p->ends[row.depth - 1] : 0;
    if (row.depth) {
        buf_append_byte(&p->path, '/');
        buf_append_slice(&p->path, row.name);
    }
    p->ends[row.depth] = p->path.len;
    p->levels = row.depth + 1;
    buf_append_byte(out, '{');
    print_text(out, "path", row.depth ? buf_slice(&p->path) : slice_str("/"));
    buf_printf(out, ",\"id\":%" PRIu64 ",\"type\":\"%s\",\"mode\":\"%o\",", row.id,
               row.flags & NN_ROW_DIR ? "directory" : "file", row.mode);
    print_text(out, "owner", row.owner);
    buf_append_byte(out, ',');
    print_text(out, "group", row.group);
    buf_printf(out, ",\"mtime\":%" PRIu64, row.mtime_ms);
    if (!(row.flags & NN_ROW_DIR))
        print_file(p, &row, out);
    buf_append_str(out, "}\n");
}

static void print_counters(struct nn_printer *p, struct buf *out)
{
    uint64_t inode = nn_rows_varint(&p->rows), block = nn_rows_varint(&p->rows);
    buf_printf(out,
               "{\"next_inode\":%" PRIu64 ",\"next_block\":%" PRIu64 ",\"next_stamp\":%" PRIu64,
               inode, block, nn_rows_varint(&p->rows));
    if (nn_rows_has_more(&p->rows)) {
        uint64_t from = nn_rows_varint(&p->rows);
        buf_printf(out, ",\"spared_from\":%" PRIu64 ",\"spared_to\":%" PRIu64, from,
                   nn_rows_varint(&p->rows));
    }
    buf_append_str(out, "}\n");
}

static void print_answer(struct nn_printer *p, struct buf *out)
{
    uint64_t client = nn_rows_u64(&p->rows), seq = nn_rows_varint(&p->rows);
    uint64_t at = nn_rows_varint(&p->rows), op = nn_rows_varint(&p->rows);
    uint64_t first = nn_rows_varint(&p->rows);
    buf_printf(out,
               "{\"client\":\"%016" PRIx64 "\",\"seq\":%" PRIu64 ",\"time\":%" PRIu64
               ",\"op\":\"%s\",\"answer\":[%" PRIu64 ",%" PRIu64 "]}\n",
               client, seq, at, nn_op_name((uint16_t)op), first, nn_rows_varint(&p->rows));
}

static void print_job(struct nn_printer *p, struct buf *out)
{
    buf_append_byte(out, '{');
    print_text(out, "job", nn_rows_text(&p->rows));
    buf_printf(out, ",\"epoch\":%" PRIu64 "}\n", nn_rows_varint(&p->rows));
}

static void print_quota(struct nn_printer *p, const char *key, struct buf *out)
{
    uint64_t quota = nn_rows_varint(&p->rows);
    if (quota != 0)
        buf_printf(out, ",\"%s\":%" PRIu64, key, quota - 1);
}

static void print_xattrs(struct nn_printer *p, struct buf *out)
{
    uint64_t count = nn_rows_varint(&p->rows);
    if (count)
        buf_append_str(out, ",\"xattrs\":{");
    for (uint64_t i = 0; i < count && !p->rows.is_bad; i++) {
        struct buf name = BUF_INIT;
        buf_printf(&name, "%s.",
                   nn_xattr_space_name((enum nn_xattr_space)nn_rows_varint(&p->rows)));
        buf_append_slice(&name, nn_rows_text(&p->rows));
        buf_append_str(out, i ? "," : "");
        json_append_string(out, buf_slice(&name));
        buf_append_byte(out, ':');
        json_append_string(out, nn_rows_text(&p->rows));
        buf_release(&name);
    }
    if (count)
        buf_append_byte(out, '}');
}

static void print_acl(struct nn_printer *p, struct buf *out)
{
    uint64_t count = nn_rows_varint(&p->rows);
    if (count)
        buf_append_str(out, ",\"acl\":[");
    for (uint64_t i = 0; i < count && !p->rows.is_bad; i++) {
        struct buf entry = BUF_INIT;
        uint64_t what = nn_rows_varint(&p->rows), perm = nn_rows_varint(&p->rows);
        buf_printf(&entry, "%s%s:", what & 4 ? "default:" : "", nn_acl_type_name(what & 3));
        buf_append_slice(&entry, nn_rows_text(&p->rows));
        buf_printf(&entry, ":%c%c%c", perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-',
                   perm & 1 ? 'x' : '-');
        buf_append_str(out, i ? "," : "");
        json_append_string(out, buf_slice(&entry));
        buf_release(&entry);
    }
    if (count)
        buf_append_byte(out, ']');
}

static void print_extra(struct nn_printer *p, struct buf *out)
{
    buf_printf(out, "{\"extras_of\":%" PRIu64, nn_rows_varint(&p->rows));
    print_quota(p, "names_quota", out);
    print_quota(p, "space_quota", out);
    print_xattrs(p, out);
    print_acl(p, out);
    buf_append_str(out, "}\n");
}

static void print_prepared(struct nn_printer *p, struct buf *out)
{
    uint64_t file = nn_rows_varint(&p->rows), kind = nn_rows_varint(&p->rows);
    buf_printf(out, "{\"prepared_for\":%" PRIu64 ",\"kind\":\"%s\",\"len\":%" PRIu64, file,
               nn_prepared_kind_name(kind), nn_rows_varint(&p->rows));
    if (kind != NN_PREPARED_BASE) {
        uint64_t id = nn_rows_varint(&p->rows);
        buf_printf(out, ",\"id\":%" PRIu64 ",\"gs\":%" PRIu64, id, nn_rows_varint(&p->rows));
    }
    buf_append_str(out, "}\n");
}

static void print_datanode(struct nn_printer *p, struct buf *out)
{
    buf_append_byte(out, '{');
    print_text(out, "datanode", nn_rows_text(&p->rows));
    buf_append_byte(out, ',');
    print_text(out, "uuid", nn_rows_text(&p->rows));
    buf_append_str(out, "}\n");
}

int nn_printer_take(struct nn_printer *p, uint16_t section, struct slice chunk, struct buf *out,
                    struct err *err)
{
    static void (*const print[])(struct nn_printer *, struct buf *) = {
        NULL,      print_counters, print_inode,    print_answer,
        print_job, print_extra,    print_prepared, print_datanode};
    if (section >= ARRAY_LEN(print) || !print[section])
        return err_set(err, ERR_VERSION, "section %u is not known: written by a newer quern?",
                       section);
    nn_rows_begin(&p->rows, chunk);
    while (nn_rows_has_more(&p->rows))
        print[section](p, out);
    if (p->rows.is_bad)
        return err_set(err, ERR_CORRUPT, "section %s does not parse", nn_section_name(section));
    return buf_failed(out) || buf_failed(&p->path) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}
