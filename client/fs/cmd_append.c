/* SPDX-License-Identifier: Apache-2.0
 * appendToFile, truncate and concat: files that are there are changed at their end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "client/fs/commands.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* --- appendToFile ----------------------------------------------------------------------------- */

#define PIECE (256U << 10)

/* The one item the last operand means; it need not be there. */
static int find_target(struct fs_run *run, struct fs_item *ret)
{
    const char *text = fs_pop_operand(run);
    struct qn_error err;
    struct fs_items found = {0};
    int rc = fs_expand(run, text, &found, &err);
    if (rc != 0) {
        rc = fs_fail_error(run, text, &err);
    } else if (found.n != 1) {
        rc = fs_fail_path(run, text, found.n ? "Too many matches" : err_text(ERR_NOENT));
    } else {
        *ret = found.v[0];
        found.v[0] = (struct fs_item){0};
    }
    fs_items_release(&found);
    if (rc == 0 && !ret->volume->qn)
        rc = fs_fail(run, "Append is not supported by ChecksumFileSystem");
    return rc;
}

static struct qn_file *open_target(struct fs_run *run, const struct fs_item *target)
{
    struct qn_fs *fs = target->volume->qn;
    int flags = QN_WRITE | QN_APPEND | (fs_has(run, "n") ? QN_NEW_BLOCK : 0);
    struct qn_error err;
    struct qn_file *file = NULL;
    int rc = 0;
    if (!target->exists) {
        file = qn_open(fs, target->path, QN_WRITE, NULL, &err);
        rc = file ? qn_close(file, &err) : err.code;
    }
    file = rc == 0 ? qn_open(fs, target->path, flags, NULL, &err) : NULL;
    if (!file && err.code == QN_EISDIR)
        fs_fail(run, "%s", err.message);
    else if (!file)
        fs_fail_error(run, target->text, &err);
    return file;
}

/* All that comes out of `fd` goes to the end. */
static int pump(struct fs_run *run, int fd, const char *name, struct qn_file *file)
{
    char *piece = mem_alloc(PIECE);
    struct qn_error err;
    int rc = piece ? 0 : fs_fail(run, "%s", err_text(ERR_NOMEM));
    while (rc == 0 && !fs_is_interrupted()) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = errno == EISDIR ? fs_fail(run, "%s", strerror(errno))
                                 : fs_fail(run, "reading %s: %s", name, strerror(errno));
        else if (n > 0 && qn_write(file, piece, (size_t)n, &err) < 0)
            rc = fs_fail_error(run, name, &err);
        if (n == 0)
            break;
    }
    mem_free(piece);
    return rc;
}

/* As Java names it: whole. */
static int append_source(struct fs_run *run, const char *operand, struct qn_file *file)
{
    struct qn_error err;
    struct fs_item item = {0};
    struct fs_volume *local = fs_volume_local(run->shell, &err);
    if (!local || fs_item_init(&item, local, operand, &err) != 0)
        return fs_fail_error(run, operand, &err);
    int fd = open(item.path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? fs_fail(run, "%s", item.path) : pump(run, fd, item.path, file);
    if (fd >= 0)
        close(fd);
    fs_item_release(&item);
    return rc;
}

static void append_all(struct fs_run *run, const struct fs_item *target, struct qn_file *file)
{
    struct qn_error err;
    bool has_stdin = false;
    int rc = 0;
    for (uint32_t i = 0; i < run->parsed.count; i++)
        has_stdin = has_stdin || strcmp(run->parsed.operands[i], "-") == 0;
    if (has_stdin && run->parsed.count > 1)
        rc = fs_fail(run, "stdin (-) must be the sole input argument when present");
    else if (has_stdin)
        rc = pump(run, STDIN_FILENO, "stdin", file);
    for (uint32_t i = 0; i < run->parsed.count && rc == 0 && !has_stdin; i++)
        rc = append_source(run, run->parsed.operands[i], file);
    if (fs_is_interrupted())
        qn_abort(file);
    else if (qn_close(file, &err) != 0 && rc == 0)
        fs_fail_error(run, target->text, &err);
}

static int append_begin(struct fs_run *run)
{
    struct fs_item target = {0};
    if (run->parsed.count < 2)
        return fs_fail(run, "missing destination argument");
    int rc = find_target(run, &target);
    struct qn_file *file = rc == 0 ? open_target(run, &target) : NULL;
    if (file)
        append_all(run, &target, file);
    fs_item_release(&target);
    return 0;
}

static const struct fs_option append_options[] = {
    {"n", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_append_to_file = {
    .name = "appendToFile",
    .usage = "[-n] <localsrc> ... <dst>",
    .help = "Appends the contents of all the given local files to the given dst file. The dst file "
            "will be created if it does not exist. If <localSrc> is -, then the input is read from "
            "stdin. Option -n represents that use NEW_BLOCK create flag to append file.",
    .syntax = {append_options, 0, FS_NO_LIMIT, false},
    .flags = FS_RAW,
    .begin = append_begin,
};

/* --- truncate --------------------------------------------------------------------------------- */

#define POLL_FIRST_MS 20
#define POLL_MS       1000

struct truncate {
    uint64_t length;
    struct fs_items waiting;
};

static int truncate_begin(struct fs_run *run)
{
    struct truncate *state = run->state;
    const char *text = fs_shift_operand(run);
    int64_t n = 0;
    if (str_to_i64(text, &n) != 0) {
        fs_warn(run, "Illegal length, a non-negative integer expected");
        return fs_bad_usage(run, "For input string: \"%s\"", text);
    }
    if (n < 0)
        return fs_bad_usage(run, "length must be >= 0");
    state->length = (uint64_t)n;
    return 0;
}

static int wait_later(struct fs_run *run, const struct fs_item *item)
{
    struct truncate *state = run->state;
    struct fs_item *copy = fs_items_add(&state->waiting);
    struct qn_error err;
    if (!copy || fs_item_suffix(copy, item, "", &err) != 0)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    return 0;
}

static void tell_truncated(const struct truncate *state, const struct fs_item *item)
{
    printf("Truncated %s to length: %" PRIu64 "\n", item->text, state->length);
}

static int truncate_path(struct fs_run *run, struct fs_item *item)
{
    const struct truncate *state = run->state;
    struct qn_error err;
    if (run->usage_error[0])
        return FS_STOP;
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    if (!item->volume->qn)
        return fs_fail(run, "Truncate is not supported by ChecksumFileSystem");
    if (state->length > item->stat.length)
        return fs_bad_usage(run,
                            "Cannot truncate to a larger file size. Current size: %" PRIu64
                            ", truncate size: %" PRIu64 ".",
                            item->stat.length, state->length);
    int done = qn_truncate(item->volume->qn, item->path, state->length, &err);
    if (done < 0)
        return fs_fail_error(run, item->text, &err);
    if (done == 0 && fs_has(run, "w"))
        return wait_later(run, item);
    if (done == 0)
        printf("Truncating %s to length: %" PRIu64 ". Wait for block recovery to complete before "
               "further updating this file.\n",
               item->text, state->length);
    else
        tell_truncated(state, item);
    return 0;
}

/* It has its new length when it is nobody's to write any more. */
static void wait_for(struct fs_run *run, struct fs_item *item)
{
    struct truncate *state = run->state;
    struct qn_error err;
    useconds_t pause_ms = POLL_FIRST_MS;
    printf("Waiting for %s ...\n", item->text);
    fflush(stdout);
    for (;;) {
        if (fs_item_refresh(item, &err) != 0) {
            fs_fail_error(run, item->text, &err);
            return;
        }
        if (!item->exists) {
            fs_fail_path(run, item->text, err_text(ERR_NOENT));
            return;
        }
        if (item->stat.length == state->length && !item->stat.is_open)
            break;
        if (fs_is_interrupted())
            return;
        usleep(pause_ms * 1000);
        pause_ms = pause_ms * 2 < POLL_MS ? pause_ms * 2 : POLL_MS;
    }
    tell_truncated(state, item);
    fflush(stdout);
}

static void truncate_end(struct fs_run *run)
{
    struct truncate *state = run->state;
    for (size_t i = 0; i < state->waiting.n && !fs_is_interrupted() && !run->usage_error[0]; i++)
        wait_for(run, &state->waiting.v[i]);
    fs_items_release(&state->waiting);
}

static const struct fs_option truncate_options[] = {
    {"w", NULL, "Requests that the command wait for block recovery to complete, if necessary."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_truncate = {
    .name = "truncate",
    .usage = "[-w] <length> <path> ...",
    .help = "Truncate all files that match the specified file pattern to the specified length.\n",
    .syntax = {truncate_options, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct truncate),
    .begin = truncate_begin,
    .path = truncate_path,
    .end = truncate_end,
};

/* --- concat ----------------------------------------------------------------------------------- */

#define CONCAT_USAGE "<target path> <src path> <src path> ..."

/* It is told by its whole URI. */
static int check_is_file(struct fs_run *run, const char *what, const struct fs_item *item)
{
    if (item->exists && !item->stat.is_dir)
        return 0;
    char *uri = fs_item_uri(item);
    fs_fail(run, "%s%s does not exist or is not file.", what, uri ? uri : item->text);
    mem_free(uri);
    return FS_STOP;
}

static int check_concat(struct fs_run *run, const struct fs_items *items)
{
    const struct fs_item *target = &items->v[0];
    if (check_is_file(run, "Target path ", target) != 0)
        return FS_STOP;
    for (size_t i = 1; i < items->n; i++)
        if (check_is_file(run, "", &items->v[i]) != 0)
            return FS_STOP;
    if (!target->volume->qn)
        return fs_fail(run, "Dest filesystem 'file' doesn't support concat.");
    for (size_t i = 1; i < items->n; i++)
        if (items->v[i].volume != target->volume)
            return fs_fail(run, "%s is not where %s is.", items->v[i].text, target->text);
    return 0;
}

static void concat_arguments(struct fs_run *run, struct fs_items *items)
{
    struct qn_error err;
    if (run->errors)
        return;
    if (items->n < 1) {
        fs_fail(run, "Target path not specified. " CONCAT_USAGE);
        return;
    }
    if (items->n < 3) {
        fs_fail(run, "The number of source paths is less than 2. " CONCAT_USAGE);
        return;
    }
    if (check_concat(run, items) != 0)
        return;
    const char **sources = mem_calloc(items->n, sizeof(*sources));
    for (size_t i = 1; sources && i < items->n; i++)
        sources[i - 1] = items->v[i].path;
    if (!sources)
        fs_fail(run, "%s", err_text(ERR_NOMEM));
    else if (qn_concat(items->v[0].volume->qn, items->v[0].path, sources, items->n - 1, &err) != 0)
        fs_fail(run, "%s", err.message);
    mem_free(sources);
}

const struct fs_command fs_concat = {
    .name = "concat",
    .usage = CONCAT_USAGE,
    .help = "Concatenate existing source files into the target file. Target file and source files "
            "should be in the same directory.",
    .syntax = {NULL, 0, FS_NO_LIMIT, true},
    .arguments = concat_arguments,
};
