/* SPDX-License-Identifier: Apache-2.0
 * distcp: trees from one cluster to another, or from and to local paths, with the rules of Hadoop's
 * distcp about what goes where:
 *
 *   no option               SRC goes into DST when DST is a directory, becomes it when nothing is
 *                           there; a file that is there already stays
 *   -update, -overwrite     what is in SRC goes into DST; -update copies only what differs in
 *                           length or checksum, -overwrite everything
 *   -append                 with -update: what DST has of a file stays, and what SRC has more of it
 *                           is appended
 *   -delete                 with those two: what SRC lacks is removed from DST afterwards
 *   -f, -filters            files that tell the sources, and what of them is left out, and what is
 *                           there of DST and is not deleted either
 *
 * Exit codes are Hadoop's: 255 nothing was begun (wrong options, a source is not there), 254 two
 * sources would have one target, 25 something failed on the way (its -1, -2 and -999).
 *
 * One client copies, over so many threads as -m says. */
#include <inttypes.h>

#include "client/fs/commands.h"
#include "client/fs/dest.h"
#include "client/fs/filters.h"
#include "client/lib/checksum.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define EXIT_INVALID   255
#define EXIT_DUPLICATE 254
#define EXIT_FAILED    25

struct distcp {
    struct fs_dest dest; /* first: the walk knows only this */
    bool contents;       /* -update or -overwrite */
    bool onto;           /* a file that is there: it is replaced */
    struct fs_filters filters;
    struct buf list; /* -f: the text */
    char **sources;  /* ... and what points into it */
    uint64_t copied, skipped, deleted;
};

/* ---- what is left out ---- */

static bool is_left_out(struct fs_run *run, const struct fs_item *item)
{
    const struct distcp *distcp = run->state;
    if (distcp->filters.n == 0)
        return false;
    char *uri = fs_item_uri(item);
    bool is_out = uri && fs_filters_match(&distcp->filters, uri);
    if (!uri)
        fs_fail(run, "%s", err_text(ERR_NOMEM));
    mem_free(uri);
    return is_out;
}

/* A directory that is left out is there after all when something in it is copied. */
static bool has_some(struct fs_run *run, const struct fs_item *dir)
{
    struct fs_items entries = {0};
    bool found = false;
    int rc = fs_list(run, dir, &entries);
    for (size_t i = 0; rc == 0 && !found && i < entries.n && !fs_is_interrupted(); i++)
        found = !is_left_out(run, &entries.v[i]) ||
                (entries.v[i].stat.is_dir && has_some(run, &entries.v[i]));
    fs_items_release(&entries);
    return found;
}

static int distcp_path(struct fs_run *run, struct fs_item *item)
{
    return !item->stat.is_dir && is_left_out(run, item) ? 0 : fs_dest_path(run, item);
}

static int distcp_children(struct fs_run *run, struct fs_item *dir)
{
    return is_left_out(run, dir) && !has_some(run, dir) ? 0 : fs_dest_children(run, dir);
}

/* ---- one file ---- */

/* Two files of one length: are their bytes known to be the same? Local files have no checksum, and
 * files of other block sizes have others: then the length decides, as it does there. */
static bool is_same(struct fs_run *run, const struct fs_item *src, const struct fs_item *target)
{
    struct cl_checksum a, b;
    struct qn_error err;
    char left[64], right[64];
    if (src->stat.length != target->stat.length)
        return false;
    if (fs_has(run, "skipcrccheck") || !src->volume->qn || !target->volume->qn)
        return true;
    if (cl_file_checksum(src->volume->qn, src->path, &a, &err) != 0 ||
        cl_file_checksum(target->volume->qn, target->path, &b, &err) != 0)
        return false;
    return strcmp(cl_checksum_name(&a, left, sizeof(left)),
                  cl_checksum_name(&b, right, sizeof(right))) == 0 &&
           memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

static int distcp_process(struct fs_run *run, struct fs_item *src, struct fs_item *target)
{
    struct distcp *distcp = run->state;
    bool skip = target->exists && !target->stat.is_dir && !fs_has(run, "overwrite") &&
                !distcp->onto && (!fs_has(run, "update") || is_same(run, src, target));
    if (skip) {
        distcp->skipped++;
        fs_item_release(target);
        return 0;
    }
    distcp->copied++;
    return fs_copy_process(run, src, target);
}

/* ---- options ---- */

/* -p or -p[rbugpcaxt]: replication, block size and checksum type are the target's own here. */
static int keep(struct fs_run *run, const char *letters)
{
    struct fs_dest *dest = run->state;
    if (letters[strspn(letters, "rbugpcaxtRBUGPCAXT")])
        return fs_bad_usage(run, "No attribute for %c",
                            letters[strspn(letters, "rbugpcaxtRBUGPCAXT")]);
    dest->keep_times |= !*letters || strpbrk(letters, "tT");
    dest->keep_owner |= !*letters || strpbrk(letters, "ugUG");
    dest->keep_mode |= !*letters || strpbrk(letters, "paPA");
    dest->keep_acl |= strpbrk(letters, "aA") != NULL;
    dest->keep_xattrs |= strpbrk(letters, "xX") != NULL;
    return 0;
}

static int take_keeps(struct fs_run *run)
{
    struct fs_parsed *parsed = &run->parsed;
    int rc = fs_has(run, "p") ? keep(run, "") : 0;
    while (rc == 0 && parsed->count && parsed->operands[0][0] == '-' && parsed->operands[0][1]) {
        const char *word = fs_shift_operand(run);
        rc = word[1] == 'p' ? keep(run, word + 2) : fs_bad_usage(run, "Illegal option %s", word);
    }
    return rc;
}

/* What may not be said together, in Hadoop's words. */
static int check_options(struct fs_run *run)
{
    bool update = fs_has(run, "update"), overwrite = fs_has(run, "overwrite");
    if (fs_has(run, "diff") || fs_has(run, "rdiff"))
        return fs_bad_usage(run, "-diff and -rdiff compare snapshots, and there are none here");
    if (fs_has(run, "delete") && !update && !overwrite)
        return fs_bad_usage(run, "Delete missing is applicable only with update or overwrite "
                                 "options");
    if (update && overwrite)
        return fs_bad_usage(run, "Overwrite and update options are mutually exclusive");
    if (fs_has(run, "append") && !update)
        return fs_bad_usage(run, "Append is valid only with update options");
    if (fs_has(run, "append") && fs_has(run, "skipcrccheck"))
        return fs_bad_usage(run, "Append is disallowed when skipping CRC");
    if (run->parsed.count < 1)
        return fs_bad_usage(run, "Target path not specified");
    if (fs_has(run, "f") && run->parsed.count > 1)
        return fs_bad_usage(run, "Both source file listing and source paths present");
    if (!fs_has(run, "f") && run->parsed.count < 2)
        return fs_bad_usage(run, "Neither source file listing nor source paths present");
    return 0;
}

/* ---- -f, -filters ---- */

#define STEP (64U << 10)

static int read_text(struct fs_volume *volume, const char *path, struct buf *ret,
                     struct qn_error *err)
{
    void *file = volume->ops->open(volume, path, err);
    if (!file)
        return err->code;
    ssize_t n = 1;
    while (n > 0) {
        uint8_t *place = buf_reserve(ret, STEP);
        n = place ? volume->ops->read(file, place, STEP, err) : fs_out_of_memory(err);
        ret->len += n > 0 ? (size_t)n : 0;
    }
    volume->ops->close_read(file);
    return (int)n;
}

/* The whole of the file an option names, as a C string. */
static int read_option(struct fs_run *run, const char *option, struct buf *ret)
{
    const char *text = fs_value(run, option);
    bool is_local = strcmp(option, "filters") == 0; /* there it is, too */
    struct qn_error err = {0};
    struct fs_item item = {0};
    struct fs_volume *volume =
        is_local ? fs_volume_local(run->shell, &err) : fs_volume_for(run->shell, text, &err);
    int rc = !volume    ? err.code
             : is_local ? fs_item_local(&item, volume, text, &err)
                        : fs_item_init(&item, volume, text, &err);
    if (rc == 0)
        rc = read_text(volume, item.path, ret, &err);
    if (rc == 0 && !buf_cstr(ret))
        rc = fs_out_of_memory(&err);
    fs_item_release(&item);
    return rc == 0 ? 0 : fs_fail_error(run, text, &err);
}

/* The next line, which becomes a string of its own; NULL behind the last. */
static char *next_line(char **rest)
{
    char *line = *rest;
    size_t len = strcspn(line, "\n");
    *rest += len + (line[len] == '\n');
    bool is_end = !*line;
    line[len] = '\0';
    return is_end ? NULL : line;
}

static int load_filters(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    struct buf text = BUF_INIT;
    struct err err;
    int rc = read_option(run, "filters", &text), n = 0;
    char *rest = (char *)text.data, *line;
    while (rc == 0 && (line = next_line(&rest))) {
        n++;
        if (fs_filters_add(&distcp->filters, slice_str(line), &err) != 0)
            rc = fs_fail(run, "%s, line %d: %s", fs_value(run, "filters"), n, err.msg);
    }
    buf_release(&text);
    return rc;
}

/* A source a line; then they are operands like others. */
static int load_sources(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    char *target = fs_pop_operand(run);
    int rc = read_option(run, "f", &distcp->list);
    if (rc != 0)
        return rc;
    uint32_t n = 0, lines = 0;
    for (size_t i = 0; i < distcp->list.len; i++)
        lines += distcp->list.data[i] == '\n';
    distcp->sources = mem_calloc(lines + 2, sizeof(char *));
    if (!distcp->sources)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    char *rest = (char *)distcp->list.data, *line;
    while ((line = next_line(&rest)))
        distcp->sources[n++] = line;
    if (n == 0)
        return fs_fail(run, "Invalid input: Nothing to process. Source paths::EMPTY");
    distcp->sources[n++] = target;
    run->parsed.operands = distcp->sources;
    run->parsed.count = n;
    return 0;
}

static int distcp_begin(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    uint64_t threads = 20; /* Hadoop's number of maps */
    const char *maps = fs_value(run, "m");
    run->error_code = EXIT_INVALID;
    if (maps && (str_to_u64(maps, &threads) != 0 || threads == 0))
        return fs_bad_usage(run, "Number of maps is invalid: %s", maps);
    int rc = take_keeps(run);
    if (rc == 0)
        rc = check_options(run);
    if (rc == 0 && fs_has(run, "f"))
        rc = load_sources(run);
    if (rc == 0 && fs_has(run, "filters"))
        rc = load_filters(run);
    if (rc != 0)
        return rc;
    char *target = run->parsed.operands[run->parsed.count - 1];
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/' && target[n - 2] != '/';)
        target[--n] = '\0'; /* "dst/" need not be there yet */
    run->recursive = true;
    distcp->contents = fs_has(run, "update") || fs_has(run, "overwrite");
    distcp->dest.overwrite = true; /* what may not be replaced was skipped before */
    distcp->dest.appends = fs_has(run, "append");
    distcp->dest.process = distcp_process;
    fs_dest_begin_pool(&distcp->dest, threads, 1024);
    fs_progress_begin(&distcp->dest.progress, run->name);
    return fs_dest_remote(run);
}

static void distcp_end(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    fs_dest_end(run);
    fs_filters_release(&distcp->filters);
    buf_release(&distcp->list);
    mem_free(distcp->sources);
}

/* ---- -delete ---- */

static int prune(struct fs_run *run, const struct fs_item *src, const struct fs_item *dst);

/* One entry of the target: goes when the source has none of that name that is not left out, unless
 * it would be left out itself. */
static int prune_entry(struct fs_run *run, const struct fs_item *src, struct fs_item *entry)
{
    struct distcp *distcp = run->state;
    struct qn_error err;
    struct fs_item twin = {0};
    char *name = slice_dup(path_name(slice_str(entry->path)));
    int rc = name ? fs_item_child(&twin, src, name, &err) : fs_out_of_memory(&err);
    mem_free(name);
    if (rc == 0)
        rc = fs_item_refresh(&twin, &err);
    bool is_kept = rc == 0 && is_left_out(run, entry);
    if (rc == 0 && !is_kept && (!twin.exists || (!twin.stat.is_dir && is_left_out(run, &twin)))) {
        rc = entry->volume->ops->remove(entry->volume, entry->path, true, &err);
        distcp->deleted += rc > 0;
    } else if (rc == 0 && twin.stat.is_dir && entry->stat.is_dir) {
        rc = prune(run, &twin, entry) == 0 ? 0 : ERR_CANCELLED;
        err.code = rc;
    }
    fs_item_release(&twin);
    if (rc < 0 && err.code != ERR_CANCELLED)
        fs_fail_error(run, entry->text, &err);
    return rc < 0 ? FS_STOP : 0;
}

static int prune(struct fs_run *run, const struct fs_item *src, const struct fs_item *dst)
{
    struct fs_items entries = {0};
    int rc = fs_list(run, dst, &entries);
    for (size_t i = 0; rc == 0 && i < entries.n && !fs_is_interrupted(); i++)
        rc = prune_entry(run, src, &entries.v[i]);
    fs_items_release(&entries);
    return rc;
}

/* ---- what cannot be copied ---- */

/* The first names below the target: sources that would meet anywhere do so there. */
static int collect_first(struct fs_run *run, const struct fs_items *items, struct fs_items *ret)
{
    const struct distcp *distcp = run->state;
    struct qn_error err;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        const struct fs_item *item = &items->v[i];
        if (distcp->contents && item->stat.is_dir) {
            rc = fs_list(run, item, ret);
            continue;
        }
        struct fs_item *copy = fs_items_add(ret);
        rc = copy ? fs_item_suffix(copy, item, "", &err) : fs_out_of_memory(&err);
        if (rc != 0)
            rc = fs_fail_error(run, item->text, &err);
    }
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    const struct fs_item *one = a, *other = b;
    return slice_cmp(path_name(slice_str(one->path)), path_name(slice_str(other->path)));
}

static int check_duplicates(struct fs_run *run, const struct fs_items *items)
{
    struct fs_items firsts = {0};
    const struct fs_item *last = NULL;
    int rc = items->n > 1 ? collect_first(run, items, &firsts) : 0;
    if (rc == 0 && firsts.n)
        qsort(firsts.v, firsts.n, sizeof(*firsts.v), compare_names);
    for (size_t i = 0; rc == 0 && i < firsts.n; i++) {
        const struct fs_item *item = &firsts.v[i];
        if (is_left_out(run, item))
            continue;
        if (last && compare_names(last, item) == 0) {
            run->error_code = EXIT_DUPLICATE;
            rc = fs_fail(run,
                         "Duplicate files in input path: File %s and %s would cause "
                         "duplicates. Aborting",
                         last->text, item->text);
        }
        last = item;
    }
    fs_items_release(&firsts);
    return rc;
}

/* Nothing is begun when there is something wrong with a source. */
static int check_sources(struct fs_run *run, const struct fs_items *items)
{
    struct distcp *distcp = run->state;
    const struct fs_item *dst = &distcp->dest.dst;
    for (size_t i = 0; i < items->n; i++)
        if (!items->v[i].exists)
            fs_fail(run, "Invalid input: %s doesn't exist: %s", items->v[i].text,
                    err_text(ERR_NOENT));
    if (run->errors || items->n == 0)
        return FS_STOP;
    distcp->onto = dst->exists && !dst->stat.is_dir;
    if (distcp->onto && items->n > 1)
        return fs_fail(run, "Invalid input: Multiple source being copied to a file: %s", dst->text);
    if (distcp->onto && items->v[0].stat.is_dir)
        return fs_fail(run, "Invalid input: Cannot copy %s, which is not a file to %s",
                       items->v[0].text, dst->text);
    if (items->n > 1 && fs_has(run, "delete"))
        return fs_fail(run, "-delete takes one source: what another lacks is not to go");
    return check_duplicates(run, items);
}

/* ---- the walk ---- */

static int make_target(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    struct fs_item *dst = &distcp->dest.dst;
    struct qn_error err;
    if (!dst->exists && (dst->volume->ops->mkdir(dst->volume, dst->path, true, &err) != 0 ||
                         fs_item_refresh(dst, &err) != 0))
        return fs_fail_error(run, dst->text, &err);
    return 0;
}

static int make_above(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    struct fs_item *dst = &distcp->dest.dst;
    struct qn_error err;
    char *above = slice_dup(path_parent(slice_str(dst->path)));
    int rc =
        above ? dst->volume->ops->mkdir(dst->volume, above, true, &err) : fs_out_of_memory(&err);
    mem_free(above);
    return rc == 0 ? 0 : fs_fail_error(run, dst->text, &err);
}

static bool has_dir(const struct fs_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        if (items->v[i].stat.is_dir)
            return true;
    return false;
}

static void copy_contents(struct fs_run *run, struct fs_item *src)
{
    struct distcp *distcp = run->state;
    if (!src->stat.is_dir) {
        fs_walk_operand(run, src);
        return;
    }
    if (fs_walk_children(run, src) != 0)
        return;
    fs_pool_drain(&distcp->dest.pool);
    fs_copy_attributes(run, src, &distcp->dest.dst);
    if (fs_has(run, "delete") && run->errors == 0 && !fs_is_interrupted())
        prune(run, src, &distcp->dest.dst);
}

static void distcp_arguments(struct fs_run *run, struct fs_items *items)
{
    struct distcp *distcp = run->state;
    struct fs_item *dst = &distcp->dest.dst;
    if (check_sources(run, items) != 0)
        return;
    run->error_code = EXIT_FAILED;
    bool into = items->n > 1 || (distcp->contents && has_dir(items));
    if (into ? make_target(run) != 0 : !dst->exists && make_above(run) != 0)
        return;
    for (size_t i = 0; i < items->n && !fs_is_interrupted(); i++) {
        if (distcp->contents)
            copy_contents(run, &items->v[i]);
        else
            fs_walk_operand(run, &items->v[i]);
    }
    fs_pool_drain(&distcp->dest.pool);
    fs_progress_clear(&distcp->dest.progress);
    fprintf(stderr,
            "\tDistCp Counters\n\t\tBytes Copied=%" PRIu64 "\n\t\tFiles Copied=%" PRIu64
            "\n\t\tFiles Deleted=%" PRIu64 "\n\t\tFiles Skipped=%" PRIu64 "\n",
            (uint64_t)distcp->dest.progress.bytes, distcp->copied, distcp->deleted,
            distcp->skipped);
}

/* What says how maps and the listing are run means nothing to one client, and is taken. */
static const struct fs_option options[] = {
    {"update", NULL, NULL},
    {"overwrite", NULL, NULL},
    {"append", NULL, NULL},
    {"delete", NULL, NULL},
    {"f", "<urilist_uri>", NULL, true},
    {"filters", "<file>", NULL, true},
    {"diff", NULL, NULL}, /* refused */
    {"rdiff", NULL, NULL},
    {"p", NULL, NULL},
    {"skipcrccheck", NULL, NULL},
    {"m", "<maps>", NULL, true},
    {"i", NULL, NULL},
    {"async", NULL, NULL},
    {"direct", NULL, NULL},
    {"useiterator", NULL, NULL},
    {"bandwidth", "<mb>", NULL, true},
    {"log", "<dir>", NULL, true},
    {"strategy", "<name>", NULL, true},
    {"numListstatusThreads", "<n>", NULL, true},
    {"blocksperchunk", "<n>", NULL, true},
    {"copybuffersize", "<n>", NULL, true},
    {"v", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_distcp = {
    .name = "distcp",
    .usage = "[-update [-skipcrccheck | -append] | -overwrite] [-delete] [-filters <file>] "
             "[-p[rbugpcaxt]] [-m <maps>] (-f <urilist_uri> | <src> ...) <dst>",
    .help =
        "Copies trees between clusters (quern://host:port/path, hdfs:// is the same) and local "
        "paths (file:///path).\n"
        "Without -update and -overwrite a source goes into <dst> when that is a directory, and "
        "files that are there stay.\n"
        "-update: what is in each source goes into <dst>; only what differs in length or "
        "checksum is copied\n"
        "-skipcrccheck: with -update, the length decides\n"
        "-overwrite: what is in each source goes into <dst>, over what is there\n"
        "-append: with -update, a file of <dst> that a source begins with is kept, and the rest "
        "appended\n"
        "-delete: with -update or -overwrite, what the source lacks is removed from <dst>\n"
        "-p[ugpaxt]: user, group, permission, ACL, XAttr, times are kept; -p alone user, group, "
        "permission and times\n"
        "-f <urilist_uri>: the sources are the lines of this file\n"
        "-filters <file>: what a regular expression of this local file, one a line, matches the "
        "whole URI of is not copied, nor deleted, but with all of a directory\n"
        "-m <maps>: how many files are copied at once; 20 if not said\n"
        "-i, -async, -direct, -log, -v, -bandwidth, -strategy, -useiterator, -blocksperchunk, "
        "-copybuffersize and -numListstatusThreads are accepted, and change nothing.\n"
        "Exit codes: 255 nothing was begun (wrong options, a source is not there), 254 two sources "
        "would have one target, 25 something could not be copied.\n",
    .syntax = {options, 0, FS_NO_LIMIT, true},
    .state_size = sizeof(struct distcp),
    .begin = distcp_begin,
    .arguments = distcp_arguments,
    .argument = fs_dest_argument,
    .path = distcp_path,
    .children = distcp_children,
    .end = distcp_end,
};
