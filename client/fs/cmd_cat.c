/* SPDX-License-Identifier: Apache-2.0
 * cat, head, tail: bytes to stdout. */
#include <errno.h>
#include <unistd.h>

#include "client/fs/commands.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define PIECE      (1U << 20)
#define HEAD_BYTES 1024
#define FOLLOW_MS  5000

int fs_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR && !fs_is_interrupted())
            continue;
        if (n < 0)
            return err_from_errno(errno);
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Up to `limit` bytes of an open file to stdout; the count, or negative and told. */
static int64_t pour(struct fs_run *run, const struct fs_item *item, void *file, uint64_t limit)
{
    struct qn_error err;
    char *piece = mem_alloc(PIECE);
    if (!piece) {
        fs_fail(run, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    int64_t done = 0;
    fflush(stdout);
    while ((uint64_t)done < limit && !fs_is_interrupted()) {
        size_t want = limit - (uint64_t)done < PIECE ? (size_t)(limit - (uint64_t)done) : PIECE;
        ssize_t n = item->volume->ops->read(file, piece, want, &err);
        if (n < 0)
            fs_fail_error(run, item->text, &err);
        else if (n > 0 && fs_write_all(STDOUT_FILENO, piece, (size_t)n) != 0) {
            fs_fail(run, "Unable to write to output stream.");
            n = ERR_IO;
        }
        if (n <= 0) {
            done = n < 0 ? n : done;
            break;
        }
        done += n;
    }
    mem_free(piece);
    return done;
}

/* From `offset` (negative: from the end) up to `limit` bytes. */
static int64_t show(struct fs_run *run, const struct fs_item *item, int64_t offset, uint64_t limit)
{
    struct qn_error err;
    void *file = item->volume->ops->open(item->volume, item->path, &err);
    if (!file)
        return fs_fail_error(run, item->text, &err) == 0 ? 0 : ERR_IO;
    uint64_t length = item->volume->ops->length(file);
    uint64_t at = offset >= 0                  ? (uint64_t)offset
                  : (uint64_t)-offset < length ? length - (uint64_t)-offset
                                               : 0;
    int64_t done = 0;
    if (at && item->volume->ops->seek(file, at, &err) != 0) {
        fs_fail_error(run, item->text, &err);
        done = ERR_IO;
    }
    if (done == 0)
        done = pour(run, item, file, limit);
    item->volume->ops->close_read(file);
    return done < 0 ? done : (int64_t)at + done;
}

static int cat_path(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    return show(run, item, 0, UINT64_MAX) < 0 ? FS_STOP : 0;
}

static const struct fs_option cat_options[] = {
    {"ignoreCrc", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_cat = {
    .name = "cat",
    .usage = "[-ignoreCrc] <src> ...",
    .help = "Fetch all files that match the file pattern <src> and display their content on "
            "stdout.\n",
    .syntax = {cat_options, 1, FS_NO_LIMIT, false},
    .path = cat_path,
};

static int head_path(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    return show(run, item, 0, HEAD_BYTES) < 0 ? FS_STOP : 0;
}

const struct fs_command fs_head = {
    .name = "head",
    .usage = "<file>",
    .help = "Show the first 1KB of the file.\n",
    .syntax = {NULL, 1, 1, false},
    .flags = FS_NO_GLOB,
    .path = head_path,
};

/* --- tail ------------------------------------------------------------------------------------- */

static int tail_begin(struct fs_run *run)
{
    uint64_t ms;
    const char *pause = fs_value(run, "s");
    if (fs_has(run, "f") && pause && *pause && str_to_u64(pause, &ms) != 0)
        return fs_bad_usage(run, "For input string: \"%s\"", pause);
    return 0;
}

static int tail_path(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    uint64_t ms = FOLLOW_MS;
    const char *pause = fs_value(run, "s");
    if (pause && *pause && str_to_u64(pause, &ms) != 0)
        ms = FOLLOW_MS;
    int64_t at = show(run, item, -HEAD_BYTES, UINT64_MAX);
    while (at >= 0 && fs_has(run, "f") && !fs_is_interrupted()) {
        usleep((useconds_t)(ms ? ms : 1) * 1000);
        at = show(run, item, at, UINT64_MAX);
    }
    return at < 0 ? FS_STOP : 0;
}

static const struct fs_option tail_options[] = {
    {"f", NULL, "Shows appended data as the file grows."},
    {"s", "", NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_tail = {
    .name = "tail",
    .usage = "[-f] [-s <sleep interval>] <file>",
    .help = "Show the last 1KB of the file.\n" FS_HELP_OPTIONS "\n"
            "-s: With -f , defines the sleep interval between iterations in milliseconds.\n",
    .syntax = {tail_options, 1, 1, false},
    .flags = FS_NO_GLOB,
    .begin = tail_begin,
    .path = tail_path,
};
