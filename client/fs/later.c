/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/later.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define THREADS FS_POOL_THREADS_MAX /* they wait for fsyncs, not for a core */
#define QUEUE   1024

struct fs_later {
    struct fs_pool pool;
    char *last;      /* path of the operand before */
    bool is_telling; /* what is said now is in its order */
};

struct waiting {
    struct fs_job job;
    struct fs_run *run;
    const struct fs_request *request;
    struct fs_item item;
    struct fs_answer answer;
};

static void waiting_free(struct waiting *w)
{
    fs_item_release(&w->item);
    mem_free(w->answer.text);
    mem_free(w);
}

static void waiting_ask(struct fs_job *job)
{
    struct waiting *w = CONTAINER_OF(job, struct waiting, job);
    if (fs_is_interrupted())
        w->answer.rc = ERR_CANCELLED;
    else
        w->request->ask(w->run, &w->item, &w->answer);
}

static int waiting_tell(struct waiting *w)
{
    struct fs_later *later = w->run->later;
    if (w->answer.rc == ERR_CANCELLED && fs_is_interrupted())
        return FS_STOP; /* said once, at the end */
    bool before = later->is_telling;
    later->is_telling = true;
    int rc = w->request->tell(w->run, &w->item, &w->answer);
    later->is_telling = before;
    return rc;
}

static void waiting_done(struct fs_job *job)
{
    struct waiting *w = CONTAINER_OF(job, struct waiting, job);
    waiting_tell(w);
    waiting_free(w);
}

/* Can it go beside the operand before? Keeps it for the next. */
static bool is_beside(struct fs_later *later, const struct fs_item *item)
{
    struct slice path = slice_str(item->path);
    bool yes = later->last && later->last[1] && /* all lies below the root */
               slice_eq(path_parent(slice_str(later->last)), path_parent(path)) &&
               strcmp(later->last, item->path) < 0;
    mem_free(later->last);
    later->last = str_dup(item->path);
    return yes;
}

static struct waiting *waiting_new(struct fs_run *run, const struct fs_item *item,
                                   const struct fs_request *request)
{
    struct waiting *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->run = run;
    w->request = request;
    w->job = (struct fs_job){.run = waiting_ask, .done = waiting_done};
    if (fs_item_suffix(&w->item, item, "", &w->answer.err) == 0 &&
        fs_item_set_stat(&w->item, &item->stat) == 0)
        return w;
    waiting_free(w);
    return NULL;
}

int fs_later(struct fs_run *run, struct fs_item *item, const struct fs_request *request)
{
    struct fs_later *later = run->later;
    if (!later) {
        later = run->later = mem_calloc(1, sizeof(*later));
        if (!later)
            return fs_fail(run, "%s", err_text(ERR_NOMEM));
        fs_pool_init(&later->pool, &(struct fs_pool_limits){THREADS, THREADS, QUEUE});
    }
    if (run->depth == 0 && !is_beside(later, item))
        fs_later_settle(run);
    struct waiting *w = waiting_new(run, item, request);
    if (!w)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    bool is_now = (run->recursive && item->stat.is_dir) || !item->volume->qn;
    if (!is_now) {
        fs_pool_add(&later->pool, &w->job);
        return 0;
    }
    waiting_ask(&w->job);
    if (w->answer.rc < 0 || !item->volume->qn)
        fs_later_settle(run);
    int rc = waiting_tell(w);
    waiting_free(w);
    return rc;
}

void fs_later_settle(struct fs_run *run)
{
    if (run->later && !run->later->is_telling)
        fs_pool_drain(&run->later->pool);
}

void fs_later_release(struct fs_run *run)
{
    struct fs_later *later = run->later;
    if (!later)
        return;
    fs_pool_release(&later->pool);
    mem_free(later->last);
    mem_free(later);
    run->later = NULL;
}
