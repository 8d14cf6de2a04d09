/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reduce/onward.h"

#include "worker/sink/sink.h"

/* A failure in the next stage is the reduce's. */
static int pass_failure(struct onward *o, int rc)
{
    if (rc == 0 && o->c.failed.code == 0)
        return 0;
    if (o->c.failed.code != 0)
        return context_fail(o->from, o->c.failure, &o->c.failed);
    struct err why;
    err_set(&why, rc, "%s: %s", o->c.plugin->job.name, err_text(rc));
    return context_fail_engine(o->from, &why);
}

int onward_open(struct onward *onward, struct context *from, const struct mapper_conf *conf)
{
    struct onward *o = onward;
    struct err why;
    *o = (struct onward){.from = from};
    const struct context_conf context = {from->plugin->then, from->run, from->files, from->page};
    BUG_ON(!context.plugin);
    int rc = context_open(&o->c, &context, &why);
    if (rc != 0)
        return context_fail(from, rc == ERR_NOMEM ? TASK_FAILED_MEMORY : TASK_FAILED_PLUGIN, &why);
    o->has_context = true;
    o->c.task.is_reduce = 0;
    rc = mapper_open(&o->c, conf, &o->mapper);
    if (rc == 0)
        rc = context_setup(&o->c);
    return pass_failure(o, rc);
}

static void append_field(struct buf *line, enum qn_type type, struct qn_slice bytes)
{
    char text[SINK_NUMBER_MAX];
    uint64_t bits = 0;
    if (type == QN_NONE)
        return;
    if (type != QN_U64 && type != QN_I64 && type != QN_F64) {
        buf_append(line, bytes.data, bytes.len);
        return;
    }
    if (bytes.len == sizeof(bits))
        memcpy(&bits, bytes.data, sizeof(bits));
    buf_append(line, text, sink_number(type, bits, text));
}

/* As sink_record has it. */
static void form_line(struct onward *o, struct qn_slice key, struct qn_slice value)
{
    const struct plugin *p = o->from->plugin;
    buf_clear(&o->line);
    append_field(&o->line, p->out_key, key);
    if (p->out_key != QN_NONE && p->out_value != QN_NONE)
        buf_append_byte(&o->line, '\t');
    append_field(&o->line, p->out_value, value);
}

static int map_line(struct onward *o)
{
    const struct qn_job *job = &o->c.plugin->job;
    uint64_t where = o->records;
    if (job->map_lines)
        buf_append_byte(&o->line, '\n');
    if (buf_failed(&o->line))
        return ERR_NOMEM;
    struct qn_slice line = qn_bytes(o->line.data, o->line.len);
    o->c.record = buf_slice(&o->line);
    if (job->map_lines)
        return context_check(&o->c, job->map_lines(&o->c.task, line, qn_from_u64(&where)),
                             "map_lines");
    return context_check(&o->c, job->map(&o->c.task, line, qn_from_u64(&where)), "map");
}

int onward_emit(struct onward *onward, struct qn_slice key, struct qn_slice value)
{
    struct onward *o = onward;
    const struct qn_job *job = &o->c.plugin->job;
    int rc;
    if (job->map || job->map_lines) {
        form_line(o, key, value);
        rc = map_line(o);
    } else {
        rc = o->c.host.emit(&o->c.task, key, value);
    }
    o->records++;
    return __builtin_expect(rc == 0, 1) ? 0 : pass_failure(o, rc);
}

/* What lives in our context is to outlive it. */
static int hand_over(struct onward *o, struct task_done *done)
{
    struct arena *arena = &o->from->arena;
    struct msg_counter_list counters;
    struct task_part *parts = arena_calloc(arena, done->parts.n + 1, sizeof(*parts));
    struct slice path = slice_keep(done->run_path, arena);
    if (!parts || !path.data || counters_list(&o->c.counters, arena, &counters) != 0)
        return ERR_NOMEM;
    memcpy(parts, done->parts.v, done->parts.n * sizeof(*parts));
    done->parts.v = parts;
    done->run_path = path;
    counters_add_list(&o->from->counters, &counters);
    return 0;
}

int onward_finish(struct onward *onward, struct task_done *done)
{
    struct onward *o = onward;
    int rc = context_cleanup(&o->c);
    if (rc == 0)
        rc = mapper_finish(o->mapper, done);
    if (rc == 0)
        rc = hand_over(o, done);
    return pass_failure(o, rc);
}

void onward_close(struct onward *onward)
{
    if (!onward->from)
        return;
    mapper_close(onward->mapper);
    buf_release(&onward->line);
    if (onward->has_context)
        context_close(&onward->c);
    *onward = (struct onward){0};
}
