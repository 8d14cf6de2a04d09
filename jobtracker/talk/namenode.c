/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/talk/namenode.h"

#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/messages.h"

#define ASK_TIMEOUT_MS 30000
#define RETRY_MS       500

/* The namenode keeps our answers by (client, seq): the history's birth makes the client, the job
 * and what we do with it the sequence; so a jobtracker's next life asks the same question. */
static struct msg_origin origin_of(const struct jobtracker *jt, const struct jt_job *job,
                                   uint64_t step)
{
    return (struct msg_origin){hash_u64(jt->cluster_ms) | 1, job->number * 4 + step};
}

static bool is_worth_a_retry(int code)
{
    return code == ERR_CLOSED || code == ERR_UNREACHABLE || code == ERR_TIMEOUT ||
           code == ERR_RETRY || code == ERR_SAFEMODE || code == ERR_REFUSED;
}

/* --- publish --------------------------------------------------------------------------------- */

struct publish {
    struct rpc_wait wait;
    struct loop_timer retry;
    struct jobtracker *jt;
    uint64_t number;
    bool said_so;
};

static void ask_publish(void *arg);

static void publish_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct publish *publish = arg;
    struct jobtracker *jt = publish->jt;
    (void)answer;
    if (is_worth_a_retry(code) && !jt->is_stopping) {
        if (!publish->said_so)
            log_warn("jt.publish", "job %llu: %s; trying again",
                     (unsigned long long)publish->number, err->msg);
        publish->said_so = true;
        if (loop_after(jt->loop, &publish->retry, RETRY_MS, ask_publish, publish) == 0)
            return;
    }
    struct jt_job *job = jt_core_job(&jt->core, publish->number);
    fault_hit("jt.publish.done");
    if (job && !jt->is_stopping) {
        jt_on_published(&jt->core, job, code, code ? err->msg : NULL, jobtracker_now(jt));
        jobtracker_carry_out(jt);
    }
    mem_free(publish);
}

static int winners(const struct task_file_list *files, struct arena *arena,
                   struct cl2nn_winner_list *ret)
{
    struct cl2nn_winner *items = arena_calloc(arena, files->n + 1, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < files->n; i++)
        items[i] = (struct cl2nn_winner){files->v[i].path, files->v[i].name, files->v[i].len};
    *ret = (struct cl2nn_winner_list){items, files->n};
    return 0;
}

/* Where the commit task wrote the manifest, if there was a line to write. */
static void take_manifest(const struct jt_job *job, struct arena *arena, struct cl2nn_publish *msg)
{
    const struct jt_stage *last = &job->stages[job->stage_count - 1];
    struct task_done done;
    msg->manifest = slice_str("");
    if (last->kind != JT_STAGE_COMMIT || last->tasks[0].result.len == 0 ||
        msg_decode(&task_done_desc, last->tasks[0].result, arena, &done, NULL) != 0 ||
        done.files.n == 0)
        return;
    msg->manifest = done.files.v[0].path;
    msg->has_empty_manifest = msg->manifest.len == 0;
}

static void ask_publish(void *arg)
{
    struct publish *publish = arg;
    struct jobtracker *jt = publish->jt;
    struct jt_job *job = jt_core_job(&jt->core, publish->number);
    if (!job || jt_job_is_over(job)) {
        mem_free(publish);
        return;
    }
    fault_hit("jt.publish.ask");
    const struct record *record = record_of(job);
    struct arena arena = ARENA_INIT;
    struct task_file_list files;
    char id[ID_TEXT_MAX];
    char *temporary = record_temporary(jt, record);
    struct cl2nn_publish msg = {
        .origin = origin_of(jt, job, 0),
        .job = slice_str(job_id_text((struct job_id){jt->cluster_ms, job->number}, id, sizeof(id))),
        .epoch = jt->epoch,
        .out = record->spec.job.out,
        .temporary = slice_str(temporary ? temporary : ""),
        .mode = record->spec.job.mode,
        .user = record->spec.user,
        .replication = record->spec.job.replication,
    };
    take_manifest(job, &arena, &msg);
    int rc = temporary ? record_output_files(job, &arena, &files) : ERR_NOMEM;
    if (rc == 0)
        rc = winners(&files, &arena, &msg.winners);
    publish->wait.done = publish_done;
    publish->wait.arg = publish;
    publish->wait.timeout_ms = ASK_TIMEOUT_MS;
    if (rc == 0)
        rpc_link_ask(jt->namenode, &CL2NN_methods[CL2NN_AT_PUBLISH], &msg, &publish->wait);
    else
        daemon_exit(jt->daemon, 1, "cannot publish job %s: %s", id, err_text(rc));
    mem_free(temporary);
    arena_release(&arena);
}

void namenode_publish(struct jobtracker *jt, struct jt_job *job)
{
    struct publish *publish = mem_calloc(1, sizeof(*publish));
    if (!publish) {
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    publish->jt = jt;
    publish->number = job->number;
    ask_publish(publish);
}

/* --- clean up -------------------------------------------------------------------------------- */

struct clean_up {
    struct rpc_wait wait;
    struct jobtracker *jt;
    char *path; /* what is being deleted: each step goes one level up */
    uint64_t client, seq;
    int step, last_step;
};

static void clean_up_ask(struct clean_up *c)
{
    struct cl2nn_delete msg = {
        .origin = {c->client, c->seq + (uint64_t)c->step},
        .path = slice_str(c->path),
        .recursive = c->step == 0,
    };
    c->wait.timeout_ms = ASK_TIMEOUT_MS;
    rpc_link_ask(c->jt->namenode, &CL2NN_methods[CL2NN_AT_DELETE], &msg, &c->wait);
}

/* What is left behind after a failure here is harmless and hidden from jobs: _temporary. */
static void clean_up_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct clean_up *c = arg;
    (void)answer;
    (void)err;
    char *slash = strrchr(c->path, '/');
    if (code == 0 && c->step < c->last_step && slash && slash != c->path && !c->jt->is_stopping) {
        *slash = 0;
        c->step++;
        clean_up_ask(c);
        return;
    }
    mem_free(c->path);
    mem_free(c);
}

void namenode_clean_up(struct jobtracker *jt, struct jt_job *job)
{
    struct clean_up *c = mem_calloc(1, sizeof(*c));
    char *path = record_temporary(jt, record_of(job));
    if (!c || !path) {
        mem_free(c);
        mem_free(path);
        return;
    }
    struct msg_origin origin = origin_of(jt, job, 1);
    *c = (struct clean_up){.jt = jt, .path = path, .client = origin.client, .seq = origin.seq};
    /* An output that may have been there before the job is not ours to remove. */
    c->last_step = record_of(job)->spec.job.mode == CL2NN_PUBLISH_FAIL ? 2 : 1;
    c->wait.done = clean_up_done;
    c->wait.arg = c;
    clean_up_ask(c);
}
