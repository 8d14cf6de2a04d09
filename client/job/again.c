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
    char *dir;      /* in the arena, as all paths */
    uint32_t stage; /* 0: maps */
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

/* m, then r, s, t ... for stages of reduces. */
static char letter_of(uint32_t stage)
{
    return (char)(stage ? 'q' + stage : 'm');
}

/* "m12", "r3" */
static int parse_task(struct replay *r, struct err *err)
{
    const char *word = r->what->task ? r->what->task : "";
    int64_t number = -1;
    bool is_reduce = word[0] >= 'r' && word[0] < 'r' + (char)TASK_SHUFFLES_MAX;
    if ((word[0] == 'm' || is_reduce) && str_to_i64(word + 1, &number) == 0 && number >= 0 &&
        number < UINT32_MAX) {
        r->stage = is_reduce ? (uint32_t)(word[0] - 'q') : 0;
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
    struct slice kept = slice_keep(buf_slice(&bytes), r->arena);
    if (rc == 0 && !kept.data)
        rc = no_memory(err);
    if (rc == 0)
        rc = msg_decode(&cl2jt_splits_desc, kept, r->arena, &r->splits, err);
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

static const char *word_of(uint32_t stage)
{
    return stage ? "reduce" : "map";
}

static uint64_t memory_of(const struct replay *r, uint32_t stage)
{
    uint64_t asked = stage ? r->job.job.reduce_memory : r->job.job.map_memory;
    return asked ? asked : MEMORY_DEFAULT;
}

/* A stage of reduces; without tasks when there is none such. */
static struct cl2jt_replay_stage reduces_of(const struct replay *r, uint32_t stage)
{
    if (stage == 1)
        return (struct cl2jt_replay_stage){r->job.reduces, r->job.task_of};
    return stage - 2 < r->job.later.n ? r->job.later.v[stage - 2] : (struct cl2jt_replay_stage){0};
}

static size_t count_of(const struct replay *r, uint32_t stage)
{
    return stage ? reduces_of(r, stage).tasks : r->splits.splits.n;
}

/* Of what the stage's tasks make; 0: they make files. */
static uint32_t partitions_of(const struct replay *r, uint32_t stage)
{
    const struct cl2jt_submit *job = &r->job.job;
    if (job->shuffles.n == 0)
        return stage ? 0 : job->partitions;
    return stage < job->shuffles.n ? job->shuffles.v[stage].partitions : 0;
}

/* A path below its directory. */
static char *in_task(struct replay *r, uint32_t stage, uint32_t task, const char *name)
{
    char path[80];
    snprintf(path, sizeof(path), "%c%" PRIu32 "%s", letter_of(stage), task, name);
    return in_dir(r, path);
}

/* The partitions a reduce reads. */
static int describe_partitions(struct replay *r, struct task_run *run, struct err *err)
{
    const struct cl2jt_replay_stage stage = reduces_of(r, run->id.stage);
    const struct msg_u64s *task_of = &stage.task_of;
    uint64_t *own = arena_calloc(r->arena, task_of->n + 1, sizeof(*own));
    size_t n = 0;
    if (!own)
        return no_memory(err);
    for (size_t p = 0; p < task_of->n; p++)
        if (task_of->v[p] == run->id.task)
            own[n++] = p;
    if (task_of->n == 0)
        own[n++] = run->id.task;
    run->reduce_partitions = (struct msg_u64s){own, n};
    return 0;
}

/* What the stage's tasks make is where they are told to make it: for those that read it. */
static int describe_sources(struct replay *r, uint32_t stage, struct task_source_list *ret,
                            struct err *err)
{
    uint32_t count = (uint32_t)count_of(r, stage);
    ret->v = arena_calloc(r->arena, (size_t)count + 1, sizeof(*ret->v));
    if (!ret->v)
        return no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "/stage-%" PRIu32 "-%" PRIu32 "-0.run", stage, i);
        const char *path = in_task(r, stage, i, name);
        if (!path)
            return no_memory(err);
        ret->v[i] = (struct task_source){.map_task = i, .run = slice_str(path), .stage = stage};
    }
    ret->n = count;
    return 0;
}

static int describe(struct replay *r, uint32_t stage, uint32_t task,
                    const struct task_source_list *sources, struct task_run *run, struct err *err)
{
    const struct cl2jt_submit *job = &r->job.job;
    struct slice *dirs = arena_calloc(r->arena, 1, sizeof(*dirs));
    const char *dir = in_task(r, stage, task, ""), *out = in_task(r, stage, task, "/part");
    const char *plugin = in_dir(r, "plugin.so"), *conf_file = config_file(r->what->conf);
    bool feeds = partitions_of(r, stage) > 0;
    if (!dirs || !dir || !out || !plugin)
        return no_memory(err);
    dirs[0] = slice_str(dir);
    *run = (struct task_run){
        .id = {.cluster_ms = r->what->id.cluster_ms,
               .job = r->what->id.job,
               .stage = stage,
               .task = task},
        .kind = stage   ? TASK_REDUCE
                : feeds ? TASK_MAP
                        : TASK_MAP_OUT,
        .job_name = job->name,
        .plugin = slice_str(plugin),
        .conf = job->conf,
        .partitions = partitions_of(r, feeds || !stage ? stage : stage - 1),
        .reduces = (uint32_t)count_of(r, feeds ? stage + 1 : stage),
        .maps = (uint32_t)count_of(r, stage ? stage - 1 : 0),
        .fs_uri = job->fs_uri,
        .local_dirs = {dirs, 1},
        .memory = memory_of(r, stage),
        .out = slice_str(out),
        .out_name = slice_str("part"),
        .replication = 1,
        .conf_file = slice_str(conf_file ? conf_file : ""),
        .sides = r->sides,
        .reads = stage ? stage - 1 : 0,
        .feeds = stage && feeds,
    };
    if (stage == 0) {
        run->input = r->splits.splits.v[task].segments;
        return 0;
    }
    run->sources = *sources;
    return describe_partitions(r, run, err);
}

/* What a reduce reads is gone with the job: all of the stages before it runs again first. */
static int describe_all(struct replay *r, struct task_again *plan, struct err *err)
{
    struct task_source_list sources = {0};
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < r->stage; s++) {
        for (uint32_t i = 0; rc == 0 && i < count_of(r, s); i++)
            rc = describe(r, s, i, &sources, &plan->runs.v[plan->runs.n++], err);
        if (rc == 0)
            rc = describe_sources(r, s, &sources, err);
    }
    return rc != 0 ? rc
                   : describe(r, r->stage, r->task, &sources, &plan->runs.v[plan->runs.n++], err);
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
        if (segment->frame == 0) { /* in a packed one nothing can be found but its beginning */
            one->offset = last->offset;
            one->length = 1;
        }
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
    size_t count = count_of(r, r->stage);
    if (r->task < count)
        return 0;
    return err_set(err, ERR_NOENT, "job %" PRIu64 " has %zu %ss%s", r->what->id.job, count,
                   word_of(r->stage), r->stage > 1 ? " in that stage" : "");
}

static int write_plan(struct replay *r, const char *path, struct err *err)
{
    struct task_again plan = {0};
    size_t count = 1;
    struct buf bytes = BUF_INIT;
    for (uint32_t s = 0; s < r->stage; s++)
        count += count_of(r, s);
    plan.runs.v = arena_calloc(r->arena, count, sizeof(*plan.runs.v));
    int rc = plan.runs.v && path ? describe_all(r, &plan, err) : no_memory(err);
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
    char bytes[32], memory[32];
    printf("replaying %s %" PRIu32 " of job %" PRIu64 " in %s (it stays: remove it afterwards)\n",
           word_of(r->stage), r->task, r->what->id.job, r->dir);
    printf("neither its memory nor its time is limited: what ended for want of %s, or of time, may "
           "go well here\n",
           str_human(memory_of(r, r->stage), memory, sizeof(memory)));
    if (r->stage)
        printf("what it read went with the job: its %zu maps%s run again first, over %s\n",
               r->splits.splits.n, r->stage > 1 ? " and the reduces before it" : "",
               str_human(r->splits.bytes, bytes, sizeof(bytes)));
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
    if (rc == 0 && r.stage && what->only_record)
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
