/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/tools/imageforms.h"

#include <inttypes.h>
#include <time.h>

#include "libcommon/base/mem.h"
#include "namenode/namespace/access.h"
#include "namenode/tools/jsonxml.h"

#define STEPS_MAX 0x8000000 /* as Hadoop */

/* ---- life ---- */

int nn_imageforms_init(struct nn_imageforms *f, struct err *err)
{
    f->rows = (struct nn_rows){0};
    f->printer = nn_printer_new();
    if (f->form == NN_FORM_DISTRIBUTION) {
        if (f->step == 0 || f->max_size / f->step >= STEPS_MAX)
            return err_set(err, ERR_INVAL, "-maxSize / -step is %s: use fewer, larger steps",
                           f->step ? "too much" : "infinite");
        f->size_count = (size_t)((f->max_size + f->step - 1) / f->step) + 1;
        f->sizes = mem_calloc(f->size_count, sizeof(*f->sizes));
    }
    return f->printer && (f->sizes || f->form != NN_FORM_DISTRIBUTION)
               ? 0
               : err_set(err, ERR_NOMEM, "out of memory");
}

void nn_imageforms_release(struct nn_imageforms *f)
{
    nn_rows_release(&f->rows);
    nn_printer_free(f->printer);
    buf_release(&f->path);
    buf_release(&f->json);
    mem_free(f->ends);
    mem_free(f->ids);
    mem_free(f->few);
    mem_free(f->sizes);
}

/* ---- what few inodes have ---- */

static void skip_attributes(struct nn_rows *rows)
{
    uint64_t count = nn_rows_varint(rows);
    for (uint64_t i = 0; i < count && !rows->is_bad; i++) {
        (void)nn_rows_varint(rows);
        (void)nn_rows_text(rows);
        (void)nn_rows_text(rows);
    }
}

static bool skip_acl(struct nn_rows *rows)
{
    uint64_t count = nn_rows_varint(rows);
    for (uint64_t i = 0; i < count && !rows->is_bad; i++) {
        (void)nn_rows_varint(rows);
        (void)nn_rows_varint(rows);
        (void)nn_rows_text(rows);
    }
    return count > 0;
}

int nn_imageforms_look(struct nn_imageforms *f, uint16_t section, struct slice chunk,
                       struct err *err)
{
    if (section != NN_SECTION_EXTRAS)
        return 0;
    nn_rows_begin(&f->rows, chunk);
    while (nn_rows_has_more(&f->rows)) {
        struct nn_few few = {.id = nn_rows_varint(&f->rows)};
        few.names = nn_rows_varint(&f->rows);
        few.space = nn_rows_varint(&f->rows);
        skip_attributes(&f->rows);
        few.has_acl = skip_acl(&f->rows);
        if (mem_grow(&f->few, &f->few_cap, f->few_count, sizeof(*f->few)) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
        f->few[f->few_count++] = few;
    }
    return f->rows.is_bad ? err_set(err, ERR_CORRUPT, "section extras does not parse") : 0;
}

/* They come in order of ids. */
static struct nn_few few_of(const struct nn_imageforms *f, uint64_t id)
{
    size_t low = 0, high = f->few_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->few[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->few_count && f->few[low].id == id ? f->few[low] : (struct nn_few){.id = id};
}

/* As Hadoop's image has it: -1 for none, but for the names below "/". */
static int64_t quota_of(uint64_t quota, bool is_names_of_root)
{
    return quota ? (int64_t)(quota - 1) : is_names_of_root ? INT64_MAX : -1;
}

/* ---- an inode ---- */

struct inode {
    struct nn_row_inode row;
    struct slice path;
    uint64_t parent, bytes;
    struct buf blocks; /* XML: its block elements */
};

static void take_blocks(struct nn_imageforms *f, struct inode *inode)
{
    for (uint32_t i = 0; i < inode->row.blocks && !f->rows.is_bad; i++) {
        uint64_t id = nn_rows_varint(&f->rows), gs = nn_rows_varint(&f->rows);
        uint64_t len = nn_rows_varint(&f->rows);
        inode->bytes += len;
        if (f->form == NN_FORM_XML)
            buf_printf(&inode->blocks,
                       "<block><id>%" PRIu64 "</id><genstamp>%" PRIu64
                       "</genstamp><numBytes>%" PRIu64 "</numBytes></block>\n",
                       id, gs, len);
    }
}

static bool take_inode(struct nn_imageforms *f, struct inode *inode)
{
    struct nn_row_inode *row = &inode->row;
    nn_rows_inode(&f->rows, row);
    if (f->rows.is_bad || row->depth > f->levels ||
        mem_grow(&f->ends, &f->end_cap, row->depth, sizeof(*f->ends)) != 0 ||
        mem_grow(&f->ids, &f->id_cap, row->depth, sizeof(*f->ids)) != 0) {
        f->rows.is_bad = true;
        return false;
    }
    f->path.len = row->depth ? f->ends[row->depth - 1] : 0;
    if (row->depth) {
        buf_append_byte(&f->path, '/');
        buf_append_slice(&f->path, row->name);
    }
    f->ends[row->depth] = f->path.len;
    f->ids[row->depth] = row->id;
    f->levels = row->depth + 1;
    inode->path = row->depth ? buf_slice(&f->path) : slice_str("/");
    inode->parent = row->depth ? f->ids[row->depth - 1] : 0;
    if (!(row->flags & NN_ROW_DIR))
        take_blocks(f, inode);
    return !f->rows.is_bad;
}

/* ---- XML ---- */

static void xml_inode(struct nn_imageforms *f, const struct inode *inode, struct buf *out)
{
    const struct nn_row_inode *row = &inode->row;
    struct nn_few few = few_of(f, row->id);
    bool is_dir = row->flags & NN_ROW_DIR;
    buf_printf(out, "<inode><id>%" PRIu64 "</id><type>%s</type><name>", row->id,
               is_dir ? "DIRECTORY" : "FILE");
    jsonxml_text(row->name, out);
    buf_append_str(out, "</name>");
    if (!is_dir)
        buf_printf(out, "<replication>%u</replication>", row->replication);
    buf_printf(out, "<mtime>%" PRIu64 "</mtime>", row->mtime_ms);
    if (!is_dir)
        buf_printf(out,
                   "<atime>%" PRIu64 "</atime><preferredBlockSize>%" PRIu64 "</preferredBlockSize>",
                   row->atime_ms, (uint64_t)row->block_units * 512);
    buf_append_str(out, "<permission>");
    jsonxml_text(row->owner, out);
    buf_append_byte(out, ':');
    jsonxml_text(row->group, out);
    buf_printf(out, ":%04o</permission>", row->mode);
    if (is_dir)
        buf_printf(out, "<nsquota>%" PRId64 "</nsquota><dsquota>%" PRId64 "</dsquota>",
                   quota_of(few.names, row->depth == 0), quota_of(few.space, false));
    if (inode->blocks.len) {
        buf_append_str(out, "<blocks>");
        buf_append_slice(out, buf_slice(&inode->blocks));
        buf_append_str(out, "</blocks>\n");
    }
    if (row->flags & NN_ROW_OPEN)
        buf_printf(out,
                   "<file-under-construction><clientName>client_%016" PRIx64
                   "</clientName><clientMachine></clientMachine></file-under-construction>\n",
                   row->client);
    if (row->depth)
        buf_printf(out, "<parent>%" PRIu64 "</parent>", inode->parent);
    buf_append_str(out, "</inode>\n");
}

static const char *xml_section(uint16_t section)
{
    static const char *const names[] = {
        [NN_SECTION_COUNTERS] = "NameSection",      [NN_SECTION_INODES] = "INodeSection",
        [NN_SECTION_ANSWERS] = "AnswerSection",     [NN_SECTION_JOBS] = "PublishedSection",
        [NN_SECTION_EXTRAS] = "AttributeSection",   [NN_SECTION_PREPARED] = "PreparedSection",
        [NN_SECTION_DATANODES] = "DatanodeSection",
    };
    return section < ARRAY_LEN(names) && names[section] ? names[section] : "OtherSection";
}

/* The rows of any other section are what the JSON form says, with its names. */
static int xml_rows(struct nn_imageforms *f, uint16_t section, struct slice chunk, struct buf *out,
                    struct err *err)
{
    static const struct jsonxml_style style = {false, 2};
    bool is_single = section == NN_SECTION_COUNTERS;
    buf_clear(&f->json);
    int rc = nn_printer_take(f->printer, section, chunk, &f->json, err);
    struct slice rest = buf_slice(&f->json);
    while (rc == 0 && rest.len) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct slice line = slice_of(rest.data, end ? (size_t)(end - rest.data) : rest.len);
        buf_append_str(out, is_single ? "" : "<entry>\n");
        if (jsonxml(line, &style, out) != 0)
            rc = err_set(err, ERR_CORRUPT, "section %s does not print", nn_section_name(section));
        buf_append_str(out, is_single ? "" : "</entry>\n");
        rest = slice_of(line.data + line.len + 1, rest.len - line.len - (end ? 1 : 0));
    }
    return rc;
}

/* ---- Delimited ---- */

static void put_cell(const struct nn_imageforms *f, struct slice text, struct buf *out)
{
    bool is_plain = !memmem(text.data, text.len, f->delimiter, strlen(f->delimiter)) &&
                    !memchr(text.data, '\n', text.len) && !memchr(text.data, '"', text.len) &&
                    !memchr(text.data, '\r', text.len);
    if (is_plain) {
        buf_append_slice(out, text);
        return;
    }
    buf_append_byte(out, '"'); /* as spreadsheets read it */
    for (size_t i = 0; i < text.len; i++) {
        buf_append_byte(out, text.data[i]);
        if (text.data[i] == '"')
            buf_append_byte(out, '"');
    }
    buf_append_byte(out, '"');
}

static void put_date(const struct nn_imageforms *f, uint64_t ms, struct buf *out)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char when[32] = "?";
    if (localtime_r(&seconds, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    buf_printf(out, "%s%s", when, f->delimiter);
}

static void delimited_inode(struct nn_imageforms *f, const struct inode *inode, struct buf *out)
{
    const struct nn_row_inode *row = &inode->row;
    struct nn_few few = few_of(f, row->id);
    bool is_dir = row->flags & NN_ROW_DIR;
    const char *d = f->delimiter;
    char bits[11];
    put_cell(f, inode->path, out);
    buf_printf(out, "%s%u%s", d, is_dir ? 0 : row->replication, d);
    put_date(f, row->mtime_ms, out);
    put_date(f, is_dir ? 0 : row->atime_ms, out);
    buf_printf(out, "%" PRIu64 "%s%u%s%" PRIu64 "%s", is_dir ? 0 : (uint64_t)row->block_units * 512,
               d, is_dir ? 0 : row->blocks, d, inode->bytes, d);
    buf_printf(out, "%" PRId64 "%s%" PRId64 "%s", is_dir ? quota_of(few.names, row->depth == 0) : 0,
               d, is_dir ? quota_of(few.space, false) : 0, d);
    buf_printf(out, "%s%s%s", nn_access_bits(is_dir, row->mode, bits), few.has_acl ? "+" : "", d);
    put_cell(f, row->owner, out);
    buf_append_str(out, d);
    put_cell(f, row->group, out);
    buf_append_byte(out, '\n');
}

static void delimited_head(const struct nn_imageforms *f, struct buf *out)
{
    static const char *const names[] = {
        "Path",        "Replication", "ModificationTime", "AccessTime", "PreferredBlockSize",
        "BlocksCount", "FileSize",    "NSQUOTA",          "DSQUOTA",    "Permission",
        "UserName",    "GroupName"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_printf(out, "%s%s", i ? f->delimiter : "", names[i]);
    buf_append_byte(out, '\n');
}

/* ---- FileDistribution ---- */

static void count_inode(struct nn_imageforms *f, const struct inode *inode)
{
    if (inode->row.flags & NN_ROW_DIR) {
        f->directories++;
        return;
    }
    uint64_t at = (inode->bytes + f->step - 1) / f->step;
    f->files++;
    f->blocks += inode->row.blocks;
    f->space += inode->bytes * inode->row.replication;
    f->largest = inode->bytes > f->largest ? inode->bytes : f->largest;
    f->sizes[inode->bytes > f->max_size || at >= f->size_count ? f->size_count - 1 : at]++;
}

/* "2 MB", "1.50 GB": as Hadoop's shell says sizes in words. */
static void put_size(uint64_t n, struct buf *out)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t u = 0;
    double v = (double)n;
    for (; v >= 1024 && u + 1 < ARRAY_LEN(units); u++)
        v /= 1024;
    if (v == (double)(uint64_t)v)
        buf_printf(out, "%" PRIu64 " %s", (uint64_t)v, units[u]);
    else
        buf_printf(out, "%.2f %s", v, units[u]);
}

static void distribution_end(struct nn_imageforms *f, struct buf *out)
{
    buf_printf(out, "%s\tNumFiles\n", f->is_formatted ? "Size Range" : "Size");
    for (size_t i = 0; i < f->size_count; i++) {
        if (f->sizes[i] == 0)
            continue;
        if (f->is_formatted) {
            buf_append_byte(out, i ? '(' : '[');
            put_size(i ? (i - 1) * f->step : 0, out);
            buf_append_str(out, ", ");
            put_size(i == f->size_count - 1 ? f->largest : i * f->step, out);
            buf_append_byte(out, ']');
        } else {
            buf_printf(out, "%" PRIu64, i * f->step);
        }
        buf_printf(out, "\t%" PRIu64 "\n", f->sizes[i]);
    }
    buf_printf(out,
               "totalFiles = %" PRIu64 "\ntotalDirectories = %" PRIu64 "\ntotalBlocks = %" PRIu64
               "\ntotalSpace = %" PRIu64 "\nmaxFileSize = %" PRIu64 "\n",
               f->files, f->directories, f->blocks, f->space, f->largest);
}

/* ---- all of it ---- */

void nn_imageforms_begin(struct nn_imageforms *f, uint64_t image, struct buf *out)
{
    if (f->form == NN_FORM_XML)
        buf_printf(out,
                   "<?xml version=\"1.0\"?>\n<fsimage><version><layoutVersion>1</layoutVersion>"
                   "<imageIndex>%" PRIu64 "</imageIndex></version>\n",
                   image);
    else if (f->form == NN_FORM_DELIMITED)
        delimited_head(f, out);
}

static void put_inode(struct nn_imageforms *f, struct buf *out)
{
    struct inode inode = {.blocks = BUF_INIT};
    if (take_inode(f, &inode)) {
        if (f->form == NN_FORM_XML)
            xml_inode(f, &inode, out);
        else if (f->form == NN_FORM_DELIMITED)
            delimited_inode(f, &inode, out);
        else
            count_inode(f, &inode);
    }
    out->failed = out->failed || inode.blocks.failed;
    buf_release(&inode.blocks);
}

int nn_imageforms_take(struct nn_imageforms *f, uint16_t section, struct slice chunk,
                       struct buf *out, struct err *err)
{
    if (f->form == NN_FORM_XML && section != f->section) {
        if (f->section)
            buf_printf(out, "</%s>\n", xml_section(f->section));
        buf_printf(out, "<%s>\n", xml_section(section));
    }
    f->section = section;
    if (section != NN_SECTION_INODES)
        return f->form == NN_FORM_XML ? xml_rows(f, section, chunk, out, err) : 0;
    nn_rows_begin(&f->rows, chunk);
    while (nn_rows_has_more(&f->rows))
        put_inode(f, out);
    if (f->rows.is_bad)
        return err_set(err, ERR_CORRUPT, "section %s does not parse", nn_section_name(section));
    return buf_failed(out) || buf_failed(&f->path) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

void nn_imageforms_end(struct nn_imageforms *f, struct buf *out)
{
    if (f->form == NN_FORM_XML) {
        if (f->section)
            buf_printf(out, "</%s>\n", xml_section(f->section));
        buf_append_str(out, "</fsimage>\n");
    } else if (f->form == NN_FORM_DISTRIBUTION) {
        distribution_end(f, out);
    }
}
