/* SPDX-License-Identifier: Apache-2.0
 * text: cat that unpacks gzip, bzip2, zstd and lz4, known by their first bytes, and .deflate, known
 * by its name only; and shows the records of SequenceFiles and Avro files. */
#include <unistd.h>

#include "client/fs/avro.h"
#include "client/fs/commands.h"
#include "client/fs/seqfile.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/frames.h"

#define PIECE (256U << 10)

struct text {
    struct fs_run *run;
    const struct fs_item *item;
    void *file;
    char *in, *out;  /* PIECE bytes each */
    size_t at, have; /* of a file of records: what of `in` is still to be taken */
};

static int write_out(struct text *text, const void *data, size_t size)
{
    if (size == 0 || fs_write_all(STDOUT_FILENO, data, size) == 0)
        return 0;
    return fs_fail(text->run, "Unable to write to output stream.");
}

static ssize_t read_some(struct text *text)
{
    struct qn_error err;
    ssize_t n = text->item->volume->ops->read(text->file, text->in, PIECE, &err);
    if (n < 0)
        fs_fail_error(text->run, text->item->text, &err);
    return n;
}

/* All that comes out of `in`. */
static int unpack_piece(struct text *text, struct unpack *unpack, struct slice in)
{
    size_t len = 0;
    do {
        if (unpack_step(unpack, &in, text->out, PIECE, &len) != 0)
            return fs_fail_path(text->run, text->item->text, "damaged compressed data");
        if (write_out(text, text->out, len) != 0)
            return FS_STOP;
    } while (in.len || len);
    return 0;
}

static int pour(struct text *text, struct unpack *unpack, size_t n)
{
    int rc = 0;
    ssize_t more = (ssize_t)n;
    while (rc == 0 && more > 0 && !fs_is_interrupted()) {
        rc = unpack ? unpack_piece(text, unpack, slice_of(text->in, (size_t)more))
                    : write_out(text, text->in, (size_t)more);
        more = rc == 0 ? read_some(text) : 0;
    }
    if (more < 0)
        return FS_STOP;
    if (rc == 0 && unpack && !unpack_is_complete(unpack) && !fs_is_interrupted())
        rc = fs_fail_path(text->run, text->item->text, "compressed data ends too early");
    return rc;
}

/* ---- files of records ---- */

static ssize_t take(void *arg, void *to, size_t n)
{
    struct text *text = arg;
    size_t done = 0;
    while (done < n) {
        if (text->at == text->have) {
            ssize_t more = fs_is_interrupted() ? 0 : read_some(text);
            if (more < 0)
                return more;
            if (more == 0)
                break;
            text->at = 0;
            text->have = (size_t)more;
        }
        size_t some = n - done < text->have - text->at ? n - done : text->have - text->at;
        memcpy((char *)to + done, text->in + text->at, some);
        text->at += some;
        done += some;
    }
    return (ssize_t)done;
}

static int put_line(void *arg, struct slice line)
{
    bool is_out = fwrite(line.data, 1, line.len, stdout) == line.len;
    return fs_is_interrupted() ? FS_STOP : is_out ? 0 : write_out(arg, "", 1);
}

static int show_records(struct text *text, size_t n, bool is_avro)
{
    struct err err;
    const struct fs_records in = {text, take, put_line, is_avro ? "Avro file" : "SequenceFile",
                                  &err};
    text->have = n;
    int rc = is_avro ? fs_avro_show(&in) : fs_seq_show(&in);
    fflush(stdout);
    if (rc == 0 || rc == ERR_CANCELLED || fs_is_interrupted())
        return rc == 0 ? 0 : FS_STOP;
    return fs_fail_path(text->run, text->item->text, err.msg);
}

static int64_t read_head(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    const struct slice *head = arg;
    (void)err;
    size_t left = off < head->len ? head->len - (size_t)off : 0, n = len < left ? len : left;
    if (n)
        memcpy(data, head->data + off, n);
    return (int64_t)n;
}

static enum unpack_kind kind_of(const struct text *text, struct slice head)
{
    static const char suffix[] = ".deflate";
    const struct frames_file file = {read_head, &head, head.len};
    size_t n = strlen(text->item->path);
    enum unpack_kind kind = UNPACK_PLAIN;
    (void)frames_detect(&file, &kind, NULL); /* memory can be read */
    bool is_deflate =
        n > sizeof(suffix) - 1 && strcmp(text->item->path + n - (sizeof(suffix) - 1), suffix) == 0;
    return kind == UNPACK_PLAIN && is_deflate ? UNPACK_ZLIB : kind;
}

static int show(struct text *text)
{
    struct unpack *unpack = NULL;
    ssize_t n = read_some(text);
    if (n <= 0)
        return n < 0 ? FS_STOP : 0;
    struct slice head = slice_of(text->in, (size_t)n);
    bool is_avro = fs_avro_is(head);
    if (is_avro || fs_seq_is(head))
        return show_records(text, (size_t)n, is_avro);
    enum unpack_kind kind = kind_of(text, head);
    if (kind != UNPACK_PLAIN && unpack_open(kind, &unpack) != 0)
        return fs_fail(text->run, "%s", err_text(ERR_NOMEM));
    fflush(stdout);
    int rc = pour(text, unpack, (size_t)n);
    unpack_close(unpack);
    return rc;
}

static int text_path(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    struct text text = {.run = run, .item = item};
    text.file = item->volume->ops->open(item->volume, item->path, &err);
    if (!text.file)
        return fs_fail_error(run, item->text, &err);
    text.in = mem_alloc(PIECE);
    text.out = mem_alloc(PIECE);
    int rc = text.in && text.out ? show(&text) : fs_fail(run, "%s", err_text(ERR_NOMEM));
    mem_free(text.in);
    mem_free(text.out);
    item->volume->ops->close_read(text.file);
    return rc;
}

static const struct fs_option options[] = {
    {"ignoreCrc", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_text = {
    .name = "text",
    .usage = "[-ignoreCrc] <src> ...",
    .help = "Takes a source file and outputs the file in text format.\n"
            "The allowed formats are zip and TextRecordInputStream and Avro.\n"
            "That is, gzip, bzip2, zstd and lz4 files are unpacked, whatever their names, .deflate "
            "files by theirs; of SequenceFiles the keys and values are shown, of Avro files the "
            "records as JSON; all others are shown as they are.",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .path = text_path,
};
