/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/dest.h"

#include "client/fs/commands.h"
#include "client/fs/glob.h"
#include "client/fs/keep.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

/* Nobody said how many: as many small files as can be, for they wait for fsyncs that all of them
 * share; of those beyond a buffer or two a few for each core and disk. */
#define HEAVY_DEFAULT 16
#define QUEUE_DEFAULT 1024

static char here[] = ".";

int fs_dest_remote(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    const char *text = run->parsed.count < 2 ? here : fs_pop_operand(run);
    struct qn_error err;
    struct fs_items found = {0};
    int rc = fs_expand(run, text, &found, &err);
    if (rc != 0) {
        rc = fs_fail_error(run, text, &err);
    } else if (found.n == 0) {
        rc = fs_fail_path(run, text, err_text(ERR_NOENT));
    } else if (found.n > 1) {
        rc = fs_fail_path(run, text, "Too many matches");
    } else {
        dest->dst = found.v[0];
        found.v[0] = (struct fs_item){0};
    }
    fs_items_release(&found);
    return rc;
}

int fs_dest_local(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    const char *text = run->parsed.count < 2 ? here : fs_pop_operand(run);
    struct qn_error err;
    struct fs_volume *local = fs_volume_local(run->shell, &err);
    if (!local || fs_item_local(&dest->dst, local, text, &err) != 0)
        return fs_fail_error(run, text, &err);
    return 0;
}

/* moveFromLocal has no say in how many are copied at once. */
static bool takes(const struct fs_run *run, const char *option)
{
    for (const struct fs_option *o = run->command->syntax.options; o->name; o++)
        if (strcmp(o->name, option) == 0)
            return true;
    return false;
}

/* Any number is taken, as by Hadoop; one thread, one place at least. */
static int number(struct fs_run *run, const char *option, uint64_t *ret)
{
    const char *text = takes(run, option) ? fs_value(run, option) : NULL;
    if (!text)
        return 0;
    if (str_to_u64(text + (*text == '-'), ret) != 0 || *ret > INT32_MAX)
        return fs_bad_usage(run, "For input string: \"%s\"", text);
    *ret = *text == '-' || *ret == 0 ? 1 : *ret;
    return 0;
}

void fs_dest_begin_pool(struct fs_dest *dest, uint64_t threads, uint64_t queue)
{
    unsigned most =
        threads && threads < FS_POOL_THREADS_MAX ? (unsigned)threads : FS_POOL_THREADS_MAX;
    fs_pool_init(&dest->pool,
                 &(struct fs_pool_limits){most, threads ? most : HEAVY_DEFAULT, queue});
}

int fs_dest_begin_copy(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    uint64_t threads = 0, queue = QUEUE_DEFAULT;
    if (number(run, "t", &threads) != 0 || number(run, "q", &queue) != 0)
        return FS_USAGE;
    dest->process = fs_copy_process;
    dest->direct = fs_has(run, "d");
    dest->overwrite = fs_has(run, "f");
    run->recursive = true;
    fs_dest_begin_pool(dest, threads, queue);
    fs_progress_begin(&dest->progress, run->name);
    return 0;
}

void fs_dest_end(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    if (dest->pool.limit)
        fs_pool_release(&dest->pool);
    fs_progress_clear(&dest->progress);
    fs_item_release(&dest->dst);
}

/* --- the walk --------------------------------------------------------------------------------- */

static int check_destination(struct fs_run *run, size_t sources)
{
    struct fs_dest *dest = run->state;
    const struct fs_item *dst = &dest->dst;
    if (sources > 1 && !dst->exists)
        return fs_fail_path(run, dst->text, err_text(ERR_NOENT));
    if (sources > 1 && !dst->stat.is_dir)
        return fs_fail_path(run, dst->text, err_text(ERR_NOTDIR));
    if (dst->exists)
        return dst->stat.is_dir || dest->overwrite
                   ? 0
                   : fs_fail_path(run, dst->text, err_text(ERR_EXIST));
    return fs_check_parent(run, dst);
}

void fs_dest_arguments(struct fs_run *run, struct fs_items *items)
{
    struct fs_dest *dest = run->state;
    if (check_destination(run, items->n) != 0)
        return;
    for (size_t i = 0; i < items->n && !fs_is_interrupted(); i++)
        fs_walk_operand(run, &items->v[i]);
    if (dest->pool.limit)
        fs_pool_drain(&dest->pool);
}

int fs_dest_target(struct fs_run *run, const struct fs_item *src, bool ask, struct fs_item *ret)
{
    struct fs_dest *dest = run->state;
    struct fs_item *dst = &dest->dst;
    struct qn_error err;
    struct slice name = path_name(slice_str(src->path));
    char *child = slice_dup(name);
    int rc = child ? 0 : fs_out_of_memory(&err);
    bool into = run->depth > 0 || (dst->exists && dst->stat.is_dir);
    if (rc == 0 && !into && fs_item_looks_like_dir(dst))
        rc = fs_fail_path(run, dst->text, err_text(ERR_NOENT));
    else if (rc == 0)
        rc = into ? fs_item_child(ret, dst, child, &err) : fs_item_suffix(ret, dst, "", &err);
    if (rc == 0 && !into && dst->exists)
        rc = fs_item_set_stat(ret, &dst->stat) == 0 ? 0 : fs_out_of_memory(&err);
    else if (rc == 0 && into && ask && !dest->dst_is_new)
        rc = fs_item_refresh(ret, &err);
    mem_free(child);
    if (rc < 0)
        fs_fail_error(run, src->text, &err);
    if (rc != 0)
        fs_item_release(ret);
    return rc;
}

/* What is raw stays raw: attributes that only show there would be lost, or come out. */
static int check_raw(struct fs_run *run, const struct fs_item *item)
{
    const struct fs_dest *dest = run->state;
    bool from = fs_keep_is_raw(item);
    if (from == fs_keep_is_raw(&dest->dst))
        return 0;
    char *uri = from ? fs_item_uri(item) : NULL;
    fs_fail(run,
            "`'%s' copy from %s'/.reserved/raw' to %s'/.reserved/raw'. Either both source and "
            "target must be in '/.reserved/raw' or neither.': Operation not supported",
            uri ? uri : dest->dst.text, from ? "" : "non ", from ? "non " : "");
    mem_free(uri);
    return FS_STOP;
}

/* A directory cannot go into itself. */
void fs_dest_argument(struct fs_run *run, struct fs_item *item)
{
    struct fs_dest *dest = run->state;
    if (dest->process == fs_copy_process && check_raw(run, item) != 0)
        return;
    if (item->stat.is_dir && fs_volume_is_same(item->volume, dest->dst.volume)) {
        struct fs_item target = {0};
        if (fs_dest_target(run, item, false, &target) != 0)
            return;
        bool same = strcmp(item->path, target.path) == 0;
        bool below = !same && path_is_under(slice_str(target.path), slice_str(item->path));
        char *uri = same ? fs_item_uri(&target) : NULL;
        if (same)
            fs_fail(run, "`%s' to `%s': are identical", item->text, uri ? uri : target.text);
        else if (below)
            fs_fail(run, "`%s' to `%s': is a subdirectory of itself", item->text, target.text);
        mem_free(uri);
        fs_item_release(&target);
        if (same || below)
            return;
    }
    fs_walk_item(run, item);
}

int fs_dest_path(struct fs_run *run, struct fs_item *item)
{
    struct fs_dest *dest = run->state;
    struct fs_item target = {0};
    if (item->stat.is_dir && run->recursive)
        return 0; /* made when its children are gone through */
    if (fs_dest_target(run, item, dest->process != fs_copy_process, &target) != 0)
        return FS_STOP;
    return dest->process(run, item, &target);
}

/* The directory's copy, made if need be. */
static int enter(struct fs_run *run, const struct fs_item *item, struct fs_item *target,
                 bool *ret_is_new)
{
    struct qn_error err;
    if (fs_dest_target(run, item, true, target) != 0)
        return FS_STOP;
    *ret_is_new = !target->exists;
    int rc = 0;
    struct fs_dest *dest = run->state;
    if (target->exists && !target->stat.is_dir)
        rc = fs_fail_path(run, target->text, err_text(ERR_NOTDIR));
    else if (target->exists && dest->removes_source) /* a move does not merge */
        rc = fs_fail_path(run, target->text, err_text(ERR_EXIST));
    else if (!target->exists &&
             (target->volume->ops->mkdir(target->volume, target->path, true, &err) != 0 ||
              fs_item_refresh(target, &err) != 0))
        rc = fs_fail_error(run, target->text, &err);
    if (rc != 0)
        fs_item_release(target);
    return rc;
}

int fs_dest_children(struct fs_run *run, struct fs_item *item)
{
    struct fs_dest *dest = run->state;
    struct fs_item target = {0};
    bool is_new = false;
    if (enter(run, item, &target, &is_new) != 0)
        return FS_STOP;
    struct fs_item saved = dest->dst;
    bool saved_is_new = dest->dst_is_new;
    dest->dst = target;
    dest->dst_is_new = is_new;
    int rc = fs_walk_children(run, item);
    /* What a copy of a child changes of its directory comes before what we set. */
    if (dest->keep_times || dest->keep_owner || dest->keep_mode || dest->removes_source)
        fs_pool_drain(&dest->pool);
    if (rc == 0)
        rc = fs_copy_attributes(run, item, &target);
    dest->dst = saved;
    dest->dst_is_new = saved_is_new;
    fs_item_release(&target);
    return rc;
}
