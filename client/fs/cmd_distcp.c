/* SPDX-License-Identifier: Apache-2.0
 * distcp: trees from one cluster to another, or from and to local paths, with the rules of Hadoop's
 * distcp about what goes where:
 *
 *   no option               SRC goes into DST when DST is a directory, becomes it when nothing is
 *                           there; a file that is there already stays
 *   -update, -overwrite     what is in SRC goes into DST; -update copies only what differs in
 *                           length or checksum, -overwrite everything
 *   -delete                 with those two: what SRC lacks is removed from DST afterwards
 *
 * One client copies, over so many threads as -m says. */
#include <inttypes.h>

#include "client/fs/commands.h"
#include "client/fs/dest.h"
#include "client/lib/checksum.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

struct distcp {
    struct fs_dest dest; /* first: the walk knows only this */
    bool contents;       /* -update or -overwrite */
    uint64_t copied, bytes, skipped, deleted;
};

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
                (!fs_has(run, "update") || is_same(run, src, target));
    if (skip) {
        distcp->skipped++;
        fs_item_release(target);
        return 0;
    }
    distcp->copied++;
    distcp->bytes += src->stat.length;
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

static int distcp_begin(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    uint64_t threads = 20; /* Hadoop's number of maps */
    const char *maps = fs_value(run, "m");
    if (maps && (str_to_u64(maps, &threads) != 0 || threads == 0))
        return fs_bad_usage(run, "Number of maps is invalid: %s", maps);
    int rc = take_keeps(run);
    if (rc != 0)
        return rc;
    if (run->parsed.count < 2)
        return fs_bad_usage(run, "Neither source file listing nor source paths present");
    distcp->contents = fs_has(run, "update") || fs_has(run, "overwrite");
    if (fs_has(run, "update") && fs_has(run, "overwrite"))
        return fs_bad_usage(run, "Overwrite and update options are mutually exclusive");
    if (fs_has(run, "delete") && !distcp->contents)
        return fs_bad_usage(run, "Delete missing is applicable only with update or overwrite "
                                 "options");
    char *target = run->parsed.operands[run->parsed.count - 1];
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/' && target[n - 2] != '/';)
        target[--n] = '\0'; /* "dst/" need not be there yet */
    run->recursive = true;
    distcp->dest.overwrite = true; /* what may not be replaced was skipped before */
    distcp->dest.process = distcp_process;
    fs_dest_begin_pool(&distcp->dest, threads, 1024);
    fs_progress_begin(&distcp->dest.progress, run->name);
    return fs_dest_remote(run);
}

/* ---- -delete ---- */

static int prune(struct fs_run *run, const struct fs_item *src, const struct fs_item *dst);

/* One entry of the target: goes when the source has none of that name and kind. */
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
    if (rc == 0 && !twin.exists) {
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

/* ---- the walk ---- */

static int make_target(struct fs_run *run)
{
    struct distcp *distcp = run->state;
    struct fs_item *dst = &distcp->dest.dst;
    struct qn_error err;
    if (dst->exists && !dst->stat.is_dir)
        return fs_fail_path(run, dst->text, err_text(ERR_NOTDIR));
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
    for (size_t i = 0; i < items->n; i++)
        if (!items->v[i].exists)
            fs_fail_path(run, items->v[i].text, err_text(ERR_NOENT));
    if (run->errors || items->n == 0)
        return; /* a source that is not there: nothing is begun */
    if (items->n > 1 && fs_has(run, "delete")) {
        fs_fail(run, "-delete takes one source: what another lacks is not to go");
        return;
    }
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
            distcp->bytes, distcp->copied, distcp->deleted, distcp->skipped);
}

/* What says how maps and the listing are run means nothing to one client, and is taken. */
static const struct fs_option options[] = {
    {"update", NULL, NULL},
    {"overwrite", NULL, NULL},
    {"delete", NULL, NULL},
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
    {"v", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_distcp = {
    .name = "distcp",
    .usage = "[-update [-skipcrccheck] | -overwrite] [-delete] [-p[rbugpcaxt]] [-m <maps>] <src> "
             "... <dst>",
    .help =
        "Copies trees between clusters (quern://host:port/path, hdfs:// is the same) and local "
        "paths (file:///path).\n"
        "Without -update and -overwrite a source goes into <dst> when that is a directory, and "
        "files that are there stay.\n"
        "-update: what is in each source goes into <dst>; only what differs in length or "
        "checksum is copied\n"
        "-skipcrccheck: with -update, the length decides\n"
        "-overwrite: what is in each source goes into <dst>, over what is there\n"
        "-delete: with -update or -overwrite, what the source lacks is removed from <dst>\n"
        "-p[ugpaxt]: user, group, permission, ACL, XAttr, times are kept; -p alone user, group, "
        "permission and times\n"
        "-m <maps>: how many files are copied at once; 20 if not said\n"
        "-i, -async, -direct, -log, -v, -bandwidth, -strategy, -useiterator and "
        "-numListstatusThreads are accepted, and change nothing.\n",
    .syntax = {options, 0, FS_NO_LIMIT, true},
    .state_size = sizeof(struct distcp),
    .begin = distcp_begin,
    .arguments = distcp_arguments,
    .argument = fs_dest_argument,
    .path = fs_dest_path,
    .children = fs_dest_children,
    .end = fs_dest_end,
};
