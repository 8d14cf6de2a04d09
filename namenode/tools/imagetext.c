/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/tools/imagetext.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/sections.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/xattr.h"

void nn_imagetext_init(struct nn_imagetext *text)
{
    *text = (struct nn_imagetext){0};
}

void nn_imagetext_release(struct nn_imagetext *text)
{
    nn_rows_release(&text->rows);
    buf_release(&text->path);
    mem_free(text->ends);
    *text = (struct nn_imagetext){0};
}

/* A name may hold any byte; what a terminal might obey is shown as \ooo. */
static void put_path(struct buf *out, struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            buf_printf(out, "\\%03o", c);
        else
            buf_append_byte(out, c);
    }
}

static void put_time(struct buf *out, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char when[32] = "?";
    if (gmtime_r(&seconds, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    buf_append_str(out, when);
}

static void put_mode(struct buf *out, const struct nn_row_inode *row)
{
    static const char bits[] = "rwxrwxrwx";
    char mode[11] = "-";
    mode[0] = row->flags & NN_ROW_DIR ? 'd' : '-';
    for (int i = 0; i < 9; i++)
        mode[i + 1] = row->mode & (0400U >> i) ? bits[i] : '-';
    if (row->mode & 01000)
        mode[9] = row->mode & 1 ? 't' : 'T';
    buf_append(out, mode, 10);
}

static struct slice path_of(struct nn_imagetext *t, const struct nn_row_inode *row)
{
    t->path.len = row->depth ? t->ends[row->depth - 1] : 0;
    if (row->depth) {
        buf_append_byte(&t->path, '/');
        buf_append_slice(&t->path, row->name);
    }
    t->ends[row->depth] = t->path.len;
    t->levels = row->depth + 1;
    return row->depth ? buf_slice(&t->path) : slice_str("/");
}

/* "  blk_1073741825_1001 134217728" for each block; their bytes are added up. */
static uint64_t put_blocks(struct nn_imagetext *t, const struct nn_row_inode *row, struct buf *out)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < row->blocks && !t->rows.is_bad; i++) {
        uint64_t id = nn_rows_varint(&t->rows), gs = nn_rows_varint(&t->rows);
        uint64_t len = nn_rows_varint(&t->rows);
        bool is_last = i + 1 == row->blocks;
        buf_printf(out, "    blk_%" PRIu64 "_%" PRIu64 "  %" PRIu64 "%s\n", id, gs, len,
                   is_last && row->flags & NN_ROW_WRITING      ? "  being written"
                   : is_last && row->flags & NN_ROW_RECOVERING ? "  under recovery"
                                                               : "");
        bytes += len;
    }
    t->blocks += row->blocks;
    t->bytes += bytes;
    return bytes;
}

static void print_inode(struct nn_imagetext *t, struct buf *out)
{
    struct nn_row_inode row;
    struct buf blocks = BUF_INIT;
    nn_rows_inode(&t->rows, &row);
    if (t->rows.is_bad || row.depth > t->levels ||
        mem_grow(&t->ends, &t->end_cap, row.depth, sizeof(*t->ends)) != 0) {
        t->rows.is_bad = true;
        return;
    }
    bool is_dir = row.flags & NN_ROW_DIR;
    uint64_t bytes = is_dir ? 0 : put_blocks(t, &row, &blocks);
    t->directories += is_dir;
    t->files += !is_dir;
    t->open_files += !is_dir && (row.flags & NN_ROW_OPEN);
    put_mode(out, &row);
    if (is_dir)
        buf_append_str(out, "   -");
    else
        buf_printf(out, " %3u", row.replication);
    buf_printf(out, " %-10.*s %-10.*s %14" PRIu64 "  ", SLICE_ARG(row.owner), SLICE_ARG(row.group),
               bytes);
    put_time(out, row.mtime_ms);
    buf_append_str(out, "  ");
    put_path(out, path_of(t, &row));
    if (!is_dir && (row.flags & NN_ROW_OPEN))
        buf_printf(out, "  (open, client %016" PRIx64 ")", row.client);
    buf_append_byte(out, '\n');
    buf_append_slice(out, buf_slice(&blocks));
    out->failed = out->failed || blocks.failed;
    buf_release(&blocks);
}

static void print_counters(struct nn_imagetext *t, struct buf *out)
{
    uint64_t inode = nn_rows_varint(&t->rows), block = nn_rows_varint(&t->rows);
    buf_printf(out,
               "# next inode %" PRIu64 ", block %" PRIu64 ", stamp %" PRIu64 " (times are UTC)\n",
               inode, block, nn_rows_varint(&t->rows));
    if (nn_rows_has_more(&t->rows)) {
        uint64_t from = nn_rows_varint(&t->rows);
        buf_printf(out, "# blocks %" PRIu64 " to %" PRIu64 " are spared: their records were lost\n",
                   from, nn_rows_varint(&t->rows));
    }
}

static void print_answer(struct nn_imagetext *t, struct buf *out)
{
    uint64_t client = nn_rows_u64(&t->rows), seq = nn_rows_varint(&t->rows);
    uint64_t at_ms = nn_rows_varint(&t->rows), op = nn_rows_varint(&t->rows);
    uint64_t first = nn_rows_varint(&t->rows), second = nn_rows_varint(&t->rows);
    buf_printf(out, "answer  client %016" PRIx64 " call %" PRIu64 "  %s  %" PRIu64 " %" PRIu64 "  ",
               client, seq, nn_op_name((uint16_t)op), first, second);
    put_time(out, at_ms);
    buf_append_byte(out, '\n');
}

static void print_job(struct nn_imagetext *t, struct buf *out)
{
    buf_append_str(out, "published  ");
    put_path(out, nn_rows_text(&t->rows));
    buf_printf(out, "  epoch %" PRIu64 "\n", nn_rows_varint(&t->rows));
}

static void print_quota(struct nn_imagetext *t, const char *what, struct buf *out)
{
    uint64_t quota = nn_rows_varint(&t->rows);
    if (quota != 0)
        buf_printf(out, "  quota of %s %" PRIu64, what, quota - 1);
}

static void print_xattrs(struct nn_imagetext *t, struct buf *out)
{
    uint64_t count = nn_rows_varint(&t->rows);
    for (uint64_t i = 0; i < count && !t->rows.is_bad; i++) {
        uint64_t space = nn_rows_varint(&t->rows);
        buf_printf(out, "  %s.", nn_xattr_space_name((enum nn_xattr_space)space));
        put_path(out, nn_rows_text(&t->rows));
        buf_append_byte(out, '=');
        put_path(out, nn_rows_text(&t->rows));
    }
}

static void print_acl(struct nn_imagetext *t, struct buf *out)
{
    uint64_t count = nn_rows_varint(&t->rows);
    for (uint64_t i = 0; i < count && !t->rows.is_bad; i++) {
        uint64_t what = nn_rows_varint(&t->rows), perm = nn_rows_varint(&t->rows);
        buf_printf(out, "  %s%s:", what & 4 ? "default:" : "", nn_acl_type_name(what & 3));
        put_path(out, nn_rows_text(&t->rows));
        buf_printf(out, ":%c%c%c", perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-',
                   perm & 1 ? 'x' : '-');
    }
}

static void print_extra(struct nn_imagetext *t, struct buf *out)
{
    buf_printf(out, "extras  of inode %" PRIu64, nn_rows_varint(&t->rows));
    print_quota(t, "names", out);
    print_quota(t, "space", out);
    print_xattrs(t, out);
    print_acl(t, out);
    buf_append_byte(out, '\n');
}

static void print_prepared(struct nn_imagetext *t, struct buf *out)
{
    uint64_t file = nn_rows_varint(&t->rows), kind = nn_rows_varint(&t->rows);
    buf_printf(out, "prepared  for inode %" PRIu64 "  %s  %" PRIu64 " bytes", file,
               nn_prepared_kind_name(kind), nn_rows_varint(&t->rows));
    if (kind != NN_PREPARED_BASE) {
        uint64_t id = nn_rows_varint(&t->rows);
        buf_printf(out, "  blk_%" PRIu64 "_%" PRIu64, id, nn_rows_varint(&t->rows));
    }
    buf_append_byte(out, '\n');
}

static void print_datanode(struct nn_imagetext *t, struct buf *out)
{
    buf_append_str(out, "datanode  ");
    put_path(out, nn_rows_text(&t->rows));
    buf_append_str(out, "  ");
    put_path(out, nn_rows_text(&t->rows));
    buf_append_byte(out, '\n');
}

int nn_imagetext_take(struct nn_imagetext *text, uint16_t section, struct slice chunk,
                      struct buf *out, struct err *err)
{
    static void (*const print[])(struct nn_imagetext *, struct buf *) = {
        [NN_SECTION_COUNTERS] = print_counters,  [NN_SECTION_INODES] = print_inode,
        [NN_SECTION_ANSWERS] = print_answer,     [NN_SECTION_JOBS] = print_job,
        [NN_SECTION_EXTRAS] = print_extra,       [NN_SECTION_PREPARED] = print_prepared,
        [NN_SECTION_DATANODES] = print_datanode,
    };
    if (section >= ARRAY_LEN(print) || !print[section])
        return err_set(err, ERR_VERSION, "section %u is not known: written by a newer quern?",
                       section);
    nn_rows_begin(&text->rows, chunk);
    while (nn_rows_has_more(&text->rows))
        print[section](text, out);
    if (text->rows.is_bad)
        return err_set(err, ERR_CORRUPT, "section %s does not parse", nn_section_name(section));
    return buf_failed(out) || buf_failed(&text->path) ? err_set(err, ERR_NOMEM, "out of memory")
                                                      : 0;
}

void nn_imagetext_sum(const struct nn_imagetext *text, struct buf *out)
{
    char bytes[40];
    buf_printf(out,
               "# %" PRIu64 " directories, %" PRIu64 " files (%" PRIu64 " open), %" PRIu64
               " blocks, %s bytes\n",
               text->directories, text->files, text->open_files, text->blocks,
               str_thousands(text->bytes, bytes, sizeof(bytes)));
}
