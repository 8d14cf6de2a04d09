/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/context.h"

#include <unistd.h>

#include "libcommon/base/conf_value.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

_Thread_local char context_thread;

void context_other_thread(void)
{
    log_error("job", "a host function (qn_emit, qn_next) was called from another thread than the "
                     "one of the callbacks: collect there, and emit here");
    abort();
}

/* --- what callbacks call --------------------------------------------------------------------- */

static const char *host_option(struct qn_task *task, const char *name)
{
    struct context *c = context_of(task);
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return c->options[i].value;
    struct err why;
    plugin_no_option(c->plugin, name, &why);
    err_wrap(&why, "qn_option asked for what .options does not declare");
    context_fail(c, TASK_FAILED_USER, &why);
    return ""; /* never NULL: authors do not expect it */
}

static struct qn_counter *host_counter(struct qn_task *task, const char *group, const char *name)
{
    context_called(context_of(task));
    return counters_get(&context_of(task)->counters, group, name);
}

static void host_status(struct qn_task *task, const char *text)
{
    struct context *c = context_of(task);
    snprintf(c->page->status, sizeof(c->page->status), "%s", text);
    context_tick(c);
}

static void host_log(struct qn_task *task, const char *text)
{
    context_tick(context_of(task));
    log_info("job", "%s", text);
}

static int host_fail(struct qn_task *task, const char *text)
{
    struct err why;
    err_set(&why, ERR_FAILED, "%s", *text ? text : "qn_fail was called without a word why");
    context_fail(context_of(task), TASK_FAILED_USER, &why);
    return -1;
}

static const struct qn_input *host_input(struct qn_task *task)
{
    struct context *c = context_of(task);
    c->input.offset = atomic_load_explicit(&c->page->input_offset, memory_order_relaxed);
    return &c->input;
}

static int host_side_file(struct qn_task *task, const char *name, struct qn_slice *ret)
{
    struct context *c = context_of(task);
    struct slice bytes = {0};
    struct err why = {0};
    int rc = sides_bytes(&c->sides, name, &bytes, &why);
    *ret = key_to_qn(bytes);
    if (rc == 0)
        return 0;
    context_fail(c, rc == ERR_NOENT ? TASK_FAILED_USER : TASK_FAILED_NODE, &why);
    return -1;
}

static const char *host_side_at(struct qn_task *task, uint32_t index)
{
    struct context *c = context_of(task);
    const struct task_side_list *sides = &c->run->sides;
    return index < sides->n ? slice_text(sides->v[index].name, &c->arena) : NULL;
}

static const char *host_no_input_at(struct qn_task *task, uint32_t index, const char **ret_name)
{
    (void)task;
    (void)index;
    *ret_name = "";
    return NULL;
}

#define OWN_SETTINGS 8U

static void add_setting(struct context *c, const char *name, struct slice value)
{
    const char *text = slice_text(value, &c->arena);
    if (text && name)
        c->settings[c->setting_count++] = (struct context_option){name, text};
}

static void add_own_settings(struct context *c)
{
    const struct task_attempt *id = &c->run->id;
    struct attempt_id attempt = {{id->cluster_ms, id->job}, id->stage, id->task, id->attempt};
    char text[ID_TEXT_MAX];
    add_setting(c, "mapreduce.job.name", c->run->job_name);
    add_setting(c, "user.name", c->run->user);
    add_setting(c, "mapreduce.task.ismap", slice_str(c->task.is_reduce ? "false" : "true"));
    job_id_text(attempt.job, text, sizeof(text));
    add_setting(c, "mapreduce.job.id", slice_str(text));
    attempt_id_text(&attempt, task_letter(c->run->kind, id->stage), text, sizeof(text));
    add_setting(c, "mapreduce.task.attempt.id", slice_str(text));
    task_id_text(&attempt, task_letter(c->run->kind, id->stage), text, sizeof(text));
    add_setting(c, "mapreduce.task.id", slice_str(text));
    snprintf(text, sizeof(text), "%u", id->task);
    add_setting(c, "mapreduce.task.partition", slice_str(text));
    snprintf(text, sizeof(text), "%u", c->task.partitions);
    add_setting(c, "mapreduce.job.reduces", slice_str(text));
}

static const char *host_setting(struct qn_task *task, uint32_t index, const char **ret_name)
{
    struct context *c = context_of(task);
    const struct msg_pair_list *conf = &c->run->conf;
    if (!c->settings) {
        c->settings = arena_calloc(&c->arena, conf->n + OWN_SETTINGS, sizeof(*c->settings));
        if (!c->settings)
            return NULL;
        add_own_settings(c);
        for (size_t i = 0; i < conf->n; i++)
            add_setting(c, slice_text(conf->v[i].key, &c->arena), conf->v[i].value);
    }
    *ret_name = index < c->setting_count ? c->settings[index].name : "";
    return index < c->setting_count ? c->settings[index].value : NULL;
}

__attribute__((format(printf, 3, 0))) static int host_format(char *out, size_t cap, const char *fmt,
                                                             __builtin_va_list ap)
{
    return vsnprintf(out, cap, fmt, ap);
}

static int host_no_emit(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    (void)key;
    (void)value;
    return host_fail(task, "qn_emit cannot be called here");
}

static int host_no_emit_to(struct qn_task *task, const char *output, struct qn_slice key,
                           struct qn_slice value)
{
    (void)output;
    (void)key;
    (void)value;
    return host_fail(task, "qn_emit_to cannot be called here");
}

static int host_no_next(struct qn_values *values, struct qn_slice *ret_value)
{
    (void)values;
    *ret_value = qn_nothing();
    return 0;
}

static struct qn_slice host_no_key(const struct qn_values *values)
{
    (void)values;
    return qn_nothing();
}

void context_often(struct context *c)
{
    context_tick(c);
    if (c->on_often)
        c->on_often(c->owner);
}

/* --- opening --------------------------------------------------------------------------------- */

static const struct msg_pair *find_pair(const struct task_run *run, const char *key)
{
    const struct msg_pair *found = NULL;
    for (size_t i = 0; i < run->conf.n; i++)
        if (slice_is(run->conf.v[i].key, key))
            found = &run->conf.v[i]; /* the last one said holds */
    return found;
}

static int fill_option(struct context *c, const struct qn_option_row *row, struct err *err)
{
    const struct msg_pair *pair = find_pair(c->run, row->name);
    const char *value = pair ? slice_text(pair->value, &c->arena) : row->default_value;
    if (!value && pair)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (!value)
        return err_set(err, ERR_CONFIG, "%s needs -D %s=... (%s)", c->plugin->job.name, row->name,
                       row->help ? row->help : "an option without a default");
    c->options[c->option_count++] = (struct context_option){row->name, value};
    return 0;
}

static int fill_options(struct context *c, struct err *err)
{
    const struct qn_option_row *rows = c->plugin->job.options;
    size_t count = 0;
    while (rows && rows[count].name)
        count++;
    c->options = arena_calloc(&c->arena, count + 1, sizeof(*c->options));
    if (!c->options)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = fill_option(c, &rows[i], err);
    return rc;
}

int context_emit_keys(struct qn_task *task, const struct qn_slice *keys, size_t count,
                      struct qn_slice value)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = task->host->emit(task, keys[i], value); /* whatever it is by then */
    return rc;
}

int context_open(struct context *c, const struct context_conf *conf, struct err *err)
{
    const struct task_run *run = conf->run;
    *c = (struct context){
        .plugin = conf->plugin, .run = run, .files = conf->files, .page = conf->page};
    c->thread = &context_thread;
    c->host = (struct qn_host){.abi = QN_JOB_ABI,
                               .size = sizeof(struct qn_host),
                               .emit = host_no_emit,
                               .next = host_no_next,
                               .option = host_option,
                               .counter = host_counter,
                               .status = host_status,
                               .log = host_log,
                               .fail = host_fail,
                               .input = host_input,
                               .format = host_format,
                               .side_file = host_side_file,
                               .setting = host_setting,
                               .emit_to = host_no_emit_to,
                               .emit_keys = context_emit_keys,
                               .input_at = host_no_input_at,
                               .side_at = host_side_at,
                               .key_of = host_no_key};
    c->task = (struct qn_task){.host = &c->host,
                               .task_index = run->id.task,
                               .attempt = run->id.attempt,
                               .partitions = run->reduces ? run->reduces : run->partitions,
                               .is_reduce = run->kind == TASK_REDUCE};
    c->input.path = c->input.name = "";
    uint64_t max = context_conf_size(c, "mapreduce.job.counters.max", COUNTERS_MAX);
    counters_init(&c->counters, (size_t)max);
    int rc = fill_options(c, err);
    if (rc == 0)
        rc = sides_open(&c->sides, run, err);
    if (rc != 0)
        context_close(c);
    return rc;
}

void context_close(struct context *c)
{
    counters_release(&c->counters);
    sides_close(&c->sides);
    arena_release(&c->arena);
}

const char *context_conf(const struct context *c, const char *key)
{
    const struct msg_pair *pair = find_pair(c->run, key);
    return pair ? slice_text(pair->value, (struct arena *)&c->arena) : NULL;
}

uint64_t context_conf_size(const struct context *c, const char *key, uint64_t fallback)
{
    const char *text = context_conf(c, key);
    uint64_t value = fallback;
    if (text)
        (void)str_to_size(text, &value); /* the client has checked it; else the fallback stays */
    return value;
}

uint64_t context_conf_megabytes(const struct context *c, const char *key, uint64_t fallback)
{
    static const struct conf_option megabytes = {.type = CONF_SIZE, .unit = 1U << 20};
    const char *text = context_conf(c, key);
    struct conf_value value;
    struct err none;
    if (!text || conf_value_parse(&megabytes, text, &value, &none) != 0)
        return fallback;
    uint64_t bytes = value.amount;
    conf_value_release(&value);
    return bytes;
}

/* --- failing --------------------------------------------------------------------------------- */

int context_fail(struct context *c, uint32_t failure, const struct err *why)
{
    if (c->failed.code == 0) {
        c->failed = *why;
        c->failure = failure;
        if (c->failed.code == 0)
            c->failed.code = ERR_FAILED;
    }
    return c->failed.code;
}

int context_fail_engine(struct context *c, const struct err *why)
{
    uint32_t failure = TASK_FAILED_IO;
    if (why->code == ERR_NOMEM || why->code == ERR_TOOBIG)
        failure = TASK_FAILED_MEMORY;
    else if (why->code == ERR_CONFIG || why->code == ERR_PLUGIN)
        failure = TASK_FAILED_PLUGIN;
    return context_fail(c, failure, why);
}

int context_check_slow(struct context *c, int returned, const char *callback)
{
    if (c->failed.code != 0)
        return c->failed.code;
    struct err why;
    err_set(&why, ERR_FAILED, "%s returned %d without saying why (return qn_fail(task, ...) does)",
            callback, returned);
    return context_fail(c, TASK_FAILED_USER, &why);
}

int context_setup(struct context *c)
{
    int (*setup)(struct qn_task *) = c->plugin->job.setup;
    return setup ? context_check(c, setup(&c->task), "setup") : 0;
}

static const char *host_input_at(struct qn_task *task, uint32_t index, const char **ret_name)
{
    struct context *c = context_of(task);
    const struct task_segment_list *paths = &c->run->input;
    *ret_name = "";
    if (index >= paths->n)
        return NULL;
    const struct qn_job *table = plugin_input(c->plugin, paths->v[index].input);
    if (paths->v[index].input && table)
        *ret_name = table->name;
    return slice_text(paths->v[index].path, &c->arena);
}

static int host_no_side_file(struct qn_task *task, const char *name, struct qn_slice *ret)
{
    (void)name;
    *ret = qn_nothing();
    return host_fail(task, "qn_side_file cannot be called here (qn_side_at tells what there is)");
}

int context_check_call(struct context *c, bool has_inputs)
{
    int (*check)(struct qn_task *) = c->plugin->job.check;
    c->host.side_file = host_no_side_file;
    if (has_inputs)
        c->host.input_at = host_input_at;
    return check ? context_check(c, check(&c->task), "check") : 0;
}

int context_cleanup(struct context *c)
{
    int (*cleanup)(struct qn_task *) = c->plugin->job.cleanup;
    return cleanup ? context_check(c, cleanup(&c->task), "cleanup") : 0;
}
