/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/again.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/job/account.h"
#include "client/talk/jobtracker.h"
#include "client/up/program.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"
#include "libcommon/store/fsutil.h"

#define PIECE_MAX      (4U << 20)
#define MEMORY_DEFAULT ((uint64_t)512 << 20)

struct replay {
    const struct job_again *what;
    struct chan *chan;
    struct arena *arena;
    char *dir; /* in the arena, as all paths */
    bool is_reduce;
    uint32_t task;
    struct cl2jt_replay job;
    struct cl2jt_splits splits;
    struct task_side_list sides;
};

static char *in_dir(struct replay *r, const char *name)
{
    size_t cap = strlen(r->dir) + strlen(name) + 2;
    char *path = arena_alloc(r->arena, cap);
    if (path)
        snprintf(path, cap, "%s/%s", r->dir, name);
    return path;
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* "m12", "r3", "map 12" */
static int parse_task(struct replay *r, struct err *err)
{
    const char *word = r->what->task ? r->what->task : "";
    int64_t number = -1;
    if ((word[0] == 'm' || word[0] == 'r') && str_to_i64(word + 1, &number) == 0 && number >= 0 &&
        number < UINT32_MAX) {
        r->is_reduce = word[0] == 'r';
        r->task = (uint32_t)number;
        return 0;
    }
    return err_set(err, ERR_USAGE, "-task %s: a task is m12 or r3", word);
}

/* --- fetching -------------------------------------------------------------------------------- */

static int fetch(struct replay *r, struct slice digest, struct buf *out, struct err *err)
{
    struct cl2jt_fetch ask = {.digest = digest, .max = PIECE_MAX};
    struct cl2jt_fetched piece = {.total = 1};
    while (ask.offset < piece.total) {
        struct arena arena = ARENA_INIT;
        int rc = jobtracker_ask(r->chan, FETCH, &ask, &arena, &piece, err);
        if (rc == 0 && piece.bytes.len == 0 && ask.offset < piece.total)
            rc = err_set(err, ERR_IO, "the jobtracker gave less of a file than it has");
        if (rc == 0)
            buf_append_slice(out, piece.bytes);
        ask.offset += piece.bytes.len;
        arena_release(&arena);
        if (rc != 0)
            return rc;
    }
    return buf_failed(out) ? no_memory(err) : 0;
}

static int fetch_file(struct replay *r, struct slice digest, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT;
    int rc = path ? fetch(r, digest, &bytes, err) : no_memory(err);
    if (rc == 0)
        rc = fsutil_replace(disk_real(), path, buf_slice(&bytes), err);
    buf_release(&bytes);
    return rc;
}

static int fetch_splits(struct replay *r, struct err *err)
{
    const struct cl2jt_submit *job = &r->job.job;
    struct buf bytes = BUF_INIT;
    r->splits = job->splits;
    if (job->splits_digest.len == 0)
        return 0;
    int rc = fetch(r, job->splits_digest, &bytes, err);
    uint8_t *kept = rc == 0 ? arena_alloc(r->arena, bytes.len + 1) : NULL;
    if (rc == 0 && !kept)
        rc = no_memory(err);
    if (kept && bytes.len)
        memcpy(kept, bytes.data, bytes.len);
    if (rc == 0)
        rc = msg_decode(&cl2jt_splits_desc, slice_of(kept, bytes.len), r->arena, &r->splits, err);
    buf_release(&bytes);
    return rc;
}

static int fetch_sides(struct replay *r, struct err *err)
{
    const struct task_side_list *from = &r->job.job.sides;
    r->sides.v = arena_calloc(r->arena, from->n + 1, sizeof(*r->sides.v));
    if (!r->sides.v)
        return no_memory(err);
    for (size_t i = 0; i < from->n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "side-%zu", i);
        const char *path = in_dir(r, name);
        int rc = fetch_file(r, from->v[i].digest, path, err);
        if (rc == 0 && chmod(path, 0755) != 0) /* as workers have them */
            rc = err_errno(err, errno, "cannot make %s executable", path);
        if (rc != 0)
            return rc;
        r->sides.v[r->sides.n] = from->v[i];
        r->sides.v[r->sides.n++].path = slice_str(path);
    }
    return 0;
}

/* --- describing ------------------------------------------------------------------------------ */

static uint64_t memory_of(const struct replay *r, bool is_reduce)
{
    uint64_t asked = is_reduce ? r->job.job.reduce_memory : r->job.job.map_memory;
    return asked ? asked : MEMORY_DEFAULT;
}

/* Of what the maps make. */
static uint32_t partitions_of(const struct replay *r)
{
    const struct cl2jt_submit *job = &r->job.job;
    return job->shuffles.n ? job->shuffles.v[0].partitions : job->partitions;
}

static int describe(struct replay *r, bool is_reduce, uint32_t task, struct task_run *run,
                    struct err *err)
{
    const struct cl2jt_submit *job = &r->job.job;
    char name[32];
    struct slice *dirs = arena_calloc(r->arena, 1, sizeof(*dirs));
    snprintf(name, sizeof(name), "%c%" PRIu32, is_reduce ? 'r' : 'm', task);
    char *dir = in_dir(r, name);
    snprintf(name, sizeof(name), "%c%" PRIu32 "/part", is_reduce ? 'r' : 'm', task);
    const char *out = in_dir(r, name), *plugin = in_dir(r, "plugin.so");
    const char *conf_file = config_file(r->what->conf);
    if (!dirs || !dir || !out || !plugin)
        return no_memory(err);
    dirs[0] = slice_str(dir);
    *run = (struct task_run){
        .id = {.cluster_ms = r->what->id.cluster_ms,
               .job = r->what->id.job,
               .stage = is_reduce,
               .task = task},
        .kind = is_reduce              ? TASK_REDUCE
                : partitions_of(r) > 0 ? TASK_MAP
                                       : TASK_MAP_OUT,
        .job_name = job->name,
        .plugin = slice_str(plugin),
        .conf = job->conf,
        .partitions = partitions_of(r),
        .reduces = r->job.reduces,
        .maps = (uint32_t)r->splits.splits.n,
        .fs_uri = job->fs_uri,
        .local_dirs = {dirs, 1},
        .memory = memory_of(r, is_reduce),
        .out = slice_str(out),
        .out_name = slice_str("part"),
        .replication = 1,
        .conf_file = slice_str(conf_file ? conf_file : ""),
        .sides = r->sides,
    };
    if (!is_reduce)
        run->input = r->splits.splits.v[task].segments;
    return 0;
}

/* The partitions the reduce reads. */
static int describe_partitions(struct replay *r, struct task_run *run, struct err *err)
{
    const struct msg_u64s *task_of = &r->job.task_of;
    uint64_t *own = arena_calloc(r->arena, task_of->n + 1, sizeof(*own));
    size_t n = 0;
    if (!own)
        return no_memory(err);
    for (size_t p = 0; p < task_of->n; p++)
        if (task_of->v[p] == r->task)
            own[n++] = p;
    if (task_of->n == 0)
        own[n++] = r->task;
    run->reduce_partitions = (struct msg_u64s){own, n};
    return 0;
}

/* A reduce reads what maps have made: their outputs are gone with the job, so they run again. */
static int describe_reduce(struct replay *r, struct task_again *plan, struct err *err)
{
    uint32_t maps = (uint32_t)r->splits.splits.n;
    struct task_run *reduce = &plan->runs.v[maps];
    struct task_source *sources = arena_calloc(r->arena, maps + 1, sizeof(*sources));
    int rc = sources ? describe(r, true, r->task, reduce, err) : no_memory(err);
    for (uint32_t i = 0; rc == 0 && i < maps; i++) {
        char name[64];
        rc = describe(r, false, i, &plan->runs.v[i], err);
        snprintf(name, sizeof(name), "m%" PRIu32 "/stage-0-%" PRIu32 "-0.run", i, i);
        const char *path = in_dir(r, name);
        if (rc == 0 && !path)
            rc = no_memory(err);
        sources[i] = (struct task_source){.map_task = i, .run = slice_str(path ? path : "")};
    }
    if (rc != 0)
        return rc;
    reduce->sources = (struct task_source_list){sources, maps};
    return describe_partitions(r, reduce, err);
}

/* Only the record it failed on: a record belongs to the stretch that its first byte lies in. */
static int cut_to_record(struct replay *r, struct task_run *run, struct err *err)
{
    struct cl2jt_attempts rows;
    int rc = job_account_ask(r->chan, &r->what->id, r->arena, &rows, err);
    const struct cl2jt_attempt *last = NULL;
    for (size_t i = 0; rc == 0 && i < rows.attempts.n; i++) {
        const struct cl2jt_attempt *a = &rows.attempts.v[i];
        if (slice_is(a->stage, "map") && a->task == r->task && a->path.len)
            last = a;
    }
    for (size_t i = 0; last && i < run->input.n; i++) {
        const struct task_segment *segment = &run->input.v[i];
        if (!slice_eq(segment->path, last->path))
            continue;
        struct task_segment *one = arena_calloc(r->arena, 1, sizeof(*one));
        if (!one)
            return no_memory(err);
        *one = *segment;
        one->offset = last->offset;
        one->length = 1;
        run->input = (struct task_segment_list){one, 1};
        return 0;
    }
    return rc != 0 ? rc
                   : err_set(err, ERR_NOENT,
                             "nothing tells on which record map %" PRIu32
                             " failed: replay it without -record",
                             r->task);
}

static int check_task(const struct replay *r, struct err *err)
{
    size_t count = r->is_reduce ? r->job.reduces : r->splits.splits.n;
    if (r->task < count)
        return 0;
    return err_set(err, ERR_NOENT, "job %" PRIu64 " has %zu %s", r->what->id.job, count,
                   r->is_reduce ? "reduces" : "maps");
}

static int write_plan(struct replay *r, const char *path, struct err *err)
{
    struct task_again plan = {0};
    size_t count = r->is_reduce ? r->splits.splits.n + 1 : 1;
    struct buf bytes = BUF_INIT;
    plan.runs.v = arena_calloc(r->arena, count, sizeof(*plan.runs.v));
    plan.runs.n = count;
    int rc = plan.runs.v && path ? 0 : no_memory(err);
    if (rc == 0)
        rc = r->is_reduce ? describe_reduce(r, &plan, err)
                          : describe(r, false, r->task, &plan.runs.v[0], err);
    if (rc == 0 && r->what->only_record)
        rc = cut_to_record(r, &plan.runs.v[0], err);
    if (rc == 0) {
        msg_encode(&task_again_desc, &plan, &bytes);
        rc = buf_failed(&bytes) ? no_memory(err)
                                : fsutil_replace(disk_real(), path, buf_slice(&bytes), err);
    }
    buf_release(&bytes);
    return rc;
}

/* --- the way --------------------------------------------------------------------------------- */

static int make_dir(struct replay *r, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    size_t cap = (tmp ? strlen(tmp) : 4) + 32;
    r->dir = arena_alloc(r->arena, cap);
    if (!r->dir)
        return no_memory(err);
    snprintf(r->dir, cap, "%s/quern-replay-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(r->dir) ? 0 : err_errno(err, errno, "cannot make %s", r->dir);
}

static void tell(const struct replay *r)
{
    char bytes[32];
    printf("replaying %s %" PRIu32 " of job %" PRIu64 " in %s (it stays: remove it afterwards)\n",
           r->is_reduce ? "reduce" : "map", r->task, r->what->id.job, r->dir);
    if (r->is_reduce)
        printf("what it read went with the job: its %zu maps run again first, over %s\n",
               r->splits.splits.n, str_human(r->splits.bytes, bytes, sizeof(bytes)));
    (void)fflush(stdout);
}

static int become(const struct replay *r, const char *plan, struct err *err)
{
    struct buf program = BUF_INIT;
    int rc = program_find("quern-task", &program, err);
    if (rc != 0)
        return rc;
    execl(buf_cstr(&program), "quern-task", "-replay", plan, r->what->with_gdb ? "-gdb" : NULL,
          (char *)NULL);
    rc = err_errno(err, errno, "cannot run %s", buf_cstr(&program));
    buf_release(&program);
    return rc;
}

int job_again(struct chan *chan, const struct job_again *what, struct arena *arena, struct err *err)
{
    struct replay r = {.what = what, .chan = chan, .arena = arena};
    int rc = parse_task(&r, err);
    if (rc == 0 && r.is_reduce && what->only_record)
        rc = err_set(err, ERR_USAGE, "-record: a reduce takes keys with all their values");
    if (rc == 0)
        rc = jobtracker_ask(chan, REPLAY, &what->id, arena, &r.job, err);
    if (rc == 0)
        rc = fetch_splits(&r, err);
    if (rc == 0)
        rc = check_task(&r, err);
    if (rc == 0)
        rc = make_dir(&r, err);
    if (rc == 0)
        rc = fetch_file(&r, r.job.job.plugin_digest, in_dir(&r, "plugin.so"), err);
    if (rc == 0)
        rc = fetch_sides(&r, err);
    const char *plan = rc == 0 ? in_dir(&r, "plan") : NULL;
    if (rc == 0)
        rc = write_plan(&r, plan, err);
    if (rc != 0)
        return rc;
    tell(&r);
    return become(&r, plan, err);
}
