/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/task/messages.h"
#include "worker/plugin/reach.h"

#define OPTIONS_MAX 1000U
#define INPUTS_MAX  1000U
/* A table that ends before this lacks what every job has. */
#define JOB_SIZE_MIN offsetof(struct qn_job, options)

static const char *const fold_names[] = {"",         "QN_SUM",   "QN_MIN",   "QN_MAX",
                                         "QN_COUNT", "QN_FIRST", "QN_CONCAT"};

static int bad(const char *path, struct err *err, const char *what)
{
    return err_set(err, ERR_PLUGIN, "%s: %s", path, what);
}

static bool has_only_zeros(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

static int check_head(const struct qn_job *table, const char *path, struct err *err)
{
    const struct qn_job_head *head = &table->head;
    if (head->magic != QN_JOB_MAGIC)
        return bad(path, err,
                   "its qn_job does not begin with a head: write "
                   "`.head = QN_JOB_HEAD` first in it");
    if (head->abi != QN_JOB_ABI)
        return err_set(err, ERR_PLUGIN,
                       "%s: built for job ABI %u, this quern runs %u: rebuild it against "
                       "include/quern/job.h",
                       path, head->abi, QN_JOB_ABI);
    if (head->job_size < JOB_SIZE_MIN || head->job_size > 65536 ||
        head->host_size < offsetof(struct qn_host, format) ||
        head->task_size < offsetof(struct qn_task, is_reduce))
        return bad(path, err,
                   "its QN_JOB_HEAD tells impossible sizes: rebuild it against "
                   "include/quern/job.h");
    if (head->job_size > sizeof(*table) &&
        !has_only_zeros((const uint8_t *)table + sizeof(*table), head->job_size - sizeof(*table)))
        return bad(path, err,
                   "uses fields of a newer job.h than this quern knows: update quern, "
                   "or rebuild it against include/quern/job.h");
    if (head->host_size > sizeof(struct qn_host) || head->task_size > sizeof(struct qn_task))
        return bad(path, err,
                   "built against a newer job.h: update quern, or rebuild it against "
                   "include/quern/job.h");
    return 0;
}

/* An older table ends earlier: what it lacks is absent. */
static void copy_table(struct qn_job *to, const struct qn_job *from)
{
    memset(to, 0, sizeof(*to));
    memcpy(to, from, from->head.job_size < sizeof(*to) ? from->head.job_size : sizeof(*to));
}

static bool is_number(enum qn_type type)
{
    return type == QN_U64 || type == QN_I64 || type == QN_F64;
}

static int check_combine(const struct plugin *p, const char *path, struct err *err)
{
    const struct qn_job *job = &p->job;
    if ((unsigned)job->combine_op > QN_CONCAT)
        return bad(path, err,
                   ".combine_op is none of QN_SUM, QN_MIN, QN_MAX, QN_COUNT, QN_FIRST, QN_CONCAT");
    if (job->combine_op == QN_CONCAT && (is_number(p->value) || p->value == QN_NONE))
        return bad(path, err, ".combine_op = QN_CONCAT needs .value = QN_TEXT or QN_BYTES");
    if (job->combine_op != QN_CONCAT && (job->concat_with || job->concat_limit))
        return bad(path, err, ".concat_with and .concat_limit need .combine_op = QN_CONCAT");
    if (job->concat_limit > FOLD_CONCAT_LIMIT_MAX)
        return bad(path, err, ".concat_limit is above 8192");
    if (job->combine_op != QN_NO_FOLD && job->combine)
        return bad(path, err, "has .combine and .combine_op: choose one");
    if ((job->combine_op != QN_NO_FOLD || job->combine) && !job->reduce)
        return bad(path, err, "combines, but has no .reduce that would take what is combined");
    bool adds = job->combine_op == QN_SUM || job->combine_op == QN_MIN || job->combine_op == QN_MAX;
    if (adds && !is_number(p->value))
        return err_set(err, ERR_PLUGIN,
                       "%s: .combine_op = %s needs numbers: set .value to QN_U64, QN_I64 or QN_F64 "
                       "(it is %s)",
                       path, fold_names[job->combine_op], key_type_name(p->value));
    return 0;
}

static int check_options(const struct qn_job *job, const char *path, struct err *err)
{
    const struct qn_option_row *rows = job->options;
    for (size_t i = 0; rows && rows[i].name; i++) {
        if (i >= OPTIONS_MAX)
            return bad(path, err, ".options does not end: close it with an empty row {0}");
        if (!rows[i].name[0])
            return bad(path, err, ".options has a row with an empty name");
        for (size_t k = 0; k < i; k++)
            if (strcmp(rows[k].name, rows[i].name) == 0)
                return err_set(err, ERR_PLUGIN, "%s: .options has \"%s\" twice", path,
                               rows[i].name);
    }
    return 0;
}

static int check_types(const struct qn_job *job, const char *path, struct err *err)
{
    const enum qn_type types[] = {job->key, job->value, job->out_key, job->out_value};
    static const char *const names[] = {".key", ".value", ".out_key", ".out_value"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if ((unsigned)types[i] > QN_NONE)
            return err_set(err, ERR_PLUGIN, "%s: %s is none of the types of enum qn_type", path,
                           names[i]);
    if (!job->reduce && job->needs_reduce)
        return bad(path, err, "has .needs_reduce, but no .reduce");
    if (!job->reduce && (job->out_key != QN_UNSET || job->out_value != QN_UNSET))
        return bad(path, err,
                   "has .out_key or .out_value, but no .reduce: without it .key and "
                   ".value are what the output has");
    return 0;
}

static int check_formats(const struct qn_job *job, const char *path, struct err *err)
{
    if ((unsigned)job->input > QN_WHOLE_FILES || (unsigned)job->output > QN_RAW)
        return bad(path, err, ".input or .output is none of the formats job.h knows");
    if ((job->input == QN_RECORDS) != (job->record_size > 0))
        return bad(path, err, ".input = QN_RECORDS and .record_size need each other");
    bool wants_map =
        job->input == QN_ROWS || job->input == QN_JSON_LINES || job->input == QN_WHOLE_FILES;
    if (wants_map && (!job->map || job->map_lines))
        return bad(path, err,
                   ".input = QN_ROWS, QN_JSON_LINES and QN_WHOLE_FILES call .map, not .map_lines");
    if (job->csv_separator && job->input != QN_CSV)
        return bad(path, err, ".csv_separator needs .input = QN_CSV");
    if (job->csv_separator == '"' || job->csv_separator == '\n' || job->csv_separator == '\r')
        return bad(path, err, ".csv_separator cannot be a quote or a line's end");
    return 0;
}

static int check_spread(const struct qn_job *job, const char *path, struct err *err)
{
    if ((unsigned)job->spread > QN_BY_RANGE)
        return bad(path, err, ".spread is none of QN_BY_HASH, QN_BY_RANGE");
    if (job->spread == QN_BY_RANGE && job->partition)
        return bad(path, err, "has .partition and .spread = QN_BY_RANGE: choose one");
    if (job->spread == QN_BY_RANGE && (job->compare || job->group))
        return bad(path, err,
                   ".spread = QN_BY_RANGE cuts keys in the order of their type: not with .compare "
                   "or .group");
    return 0;
}

/* `before`: the table whose reduce feeds this one; NULL for a job's first. */
static void fill_types(struct plugin *p, const struct plugin *before)
{
    const struct qn_job *job = &p->job;
    bool is_fed = before && !job->map && !job->map_lines;
    p->key = job->key != QN_UNSET ? job->key : is_fed ? before->out_key : QN_TEXT;
    if (job->value == QN_UNSET && is_fed) {
        p->value = before->out_value;
    } else
        p->value = job->value == QN_UNSET ? QN_TEXT : job->value;
    p->reduce_value = job->combine_op == QN_COUNT ? QN_U64 : p->value;
    p->out_key = job->out_key == QN_UNSET ? p->key : job->out_key;
    p->out_value = job->out_value == QN_UNSET ? p->reduce_value : job->out_value;
}

/* What a table must be so that the reduce of another can feed it. */
static int check_fed(const struct plugin *p, const struct plugin *before, const char *path,
                     struct err *err)
{
    const struct qn_job *job = &p->job;
    if (!before->job.reduce)
        return bad(path, err, "a stage follows one without .reduce: nothing would feed it");
    if (!job->reduce)
        return bad(path, err, "a stage that follows another needs a .reduce");
    if (job->input != QN_LINES || job->inputs)
        return bad(path, err, "a stage that follows another has lines as input, and no .inputs");
    if (job->spread == QN_BY_RANGE)
        return bad(
            path, err,
            "a stage that follows another cannot have .spread = QN_BY_RANGE: of what it is to "
            "sort there is no sample");
    if (before->job.output == QN_RAW && (job->map || job->map_lines))
        return bad(path, err, "a stage that maps lines cannot follow one with .output = QN_RAW");
    if (job->map || job->map_lines || (p->key == before->out_key && p->value == before->out_value))
        return 0;
    return err_set(err, ERR_PLUGIN,
                   "%s: a stage without a map takes %s and %s, but what comes is %s and %s", path,
                   key_type_name(p->key), key_type_name(p->value), key_type_name(before->out_key),
                   key_type_name(before->out_value));
}

/* --- inputs of their own --------------------------------------------------------------------- */

/* What is the job's alone: all but the ways of reading. */
static bool has_more_than_input(const struct qn_job *t)
{
    return t->setup || t->combine_op || t->combine || t->reduce || t->cleanup || t->key ||
           t->value || t->out_key || t->out_value || t->partition || t->compare || t->group ||
           t->options || t->default_reducers || t->output || t->spread || t->concat_with ||
           t->concat_limit || t->then || t->inputs || t->needs_reduce || t->check;
}

/* The name is typed as NAME=PATH. */
static bool is_input_name(const char *name)
{
    return name && name[0] && name[0] != '-' && !strpbrk(name, "= \t\n/,");
}

static int check_input(const struct plugin *p, const struct qn_job *t, const char *path,
                       struct err *err)
{
    if (!is_input_name(t->name))
        return bad(path, err,
                   "each table in .inputs needs a .name that can be typed before `=PATH`");
    for (size_t i = 0; i < p->input_count; i++)
        if (strcmp(p->inputs[i].name, t->name) == 0)
            return err_set(err, ERR_PLUGIN, "%s: .inputs has \"%s\" twice", path, t->name);
    if (!t->map && !t->map_lines)
        return err_set(err, ERR_PLUGIN, "%s: .inputs: \"%s\" has neither .map nor .map_lines", path,
                       t->name);
    if (t->input == QN_ROWS || p->job.input == QN_ROWS)
        return bad(path, err, ".input = QN_ROWS reads no files: not in a job that has .inputs");
    if (has_more_than_input(t))
        return err_set(err, ERR_PLUGIN,
                       "%s: .inputs: \"%s\" has more than .name, .about, .map, .map_lines, .input, "
                       ".record_size, .csv_separator and .split_size: that is the job's, for all "
                       "inputs",
                       path, t->name);
    return check_formats(t, path, err);
}

static int take_inputs(struct plugin *p, const char *path, struct err *err)
{
    const struct qn_job *const *list = p->job.inputs;
    size_t n = 0;
    int rc = 0;
    while (list[n] && n <= INPUTS_MAX)
        n++;
    if (n == 0 || n > INPUTS_MAX)
        return bad(path, err, n ? ".inputs does not end: close it with NULL" : ".inputs is empty");
    p->inputs = mem_calloc(n, sizeof(*p->inputs));
    if (!p->inputs)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (; rc == 0 && p->input_count < n; p->input_count += rc == 0) {
        struct qn_job *table = &p->inputs[p->input_count];
        rc = check_head(list[p->input_count], path, err);
        if (rc == 0)
            copy_table(table, list[p->input_count]);
        if (rc == 0)
            rc = check_input(p, table, path, err);
    }
    return rc;
}

const struct qn_job *plugin_input(const struct plugin *plugin, uint32_t input)
{
    if (input > plugin->input_count)
        return NULL;
    const struct qn_job *table = input ? &plugin->inputs[input - 1] : &plugin->job;
    return table->map || table->map_lines ? table : NULL;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int take_then(struct plugin *plugin, const struct qn_job *table, const char *path,
                     unsigned depth, struct err *err);

static int take(struct plugin *plugin, const struct qn_job *table, const struct plugin *before,
                const char *path, unsigned depth, struct err *err)
{
    int rc = check_head(table, path, err);
    if (rc != 0)
        return rc;
    copy_table(&plugin->job, table);
    if (!plugin->job.name || !plugin->job.name[0])
        return bad(path, err, "its job has no .name");
    if (!before && !plugin->job.map && !plugin->job.map_lines && !plugin->job.inputs)
        return bad(path, err, "its job has neither .map nor .map_lines");
    rc = check_types(&plugin->job, path, err);
    if (rc == 0)
        rc = check_formats(&plugin->job, path, err);
    if (rc == 0)
        rc = check_spread(&plugin->job, path, err);
    if (rc != 0)
        return rc;
    fill_types(plugin, before);
    if (before)
        rc = check_fed(plugin, before, path, err);
    if (rc == 0 && plugin->job.inputs)
        rc = take_inputs(plugin, path, err);
    if (rc == 0)
        rc = check_combine(plugin, path, err);
    if (rc == 0)
        rc = check_options(&plugin->job, path, err);
    return rc == 0 && plugin->job.then ? take_then(plugin, plugin->job.then, path, depth, err) : rc;
}

static int take_then(struct plugin *plugin, const struct qn_job *table, const char *path,
                     unsigned depth, struct err *err)
{
    if (depth >= TASK_SHUFFLES_MAX)
        return err_set(err, ERR_PLUGIN,
                       "%s: more than %u stages that reduce: is a .then one too far, or does it "
                       "lead back to a table before it?",
                       path, TASK_SHUFFLES_MAX);
    plugin->then = mem_calloc(1, sizeof(*plugin->then));
    if (!plugin->then)
        return err_set(err, ERR_NOMEM, "out of memory");
    plugin->then->handle = plugin->handle;
    int rc = take(plugin->then, table, plugin, path, depth + 1, err);
    if (rc != 0)
        plugin_close(plugin);
    return rc;
}

int plugin_take(struct plugin *plugin, const struct qn_job *table, const char *path,
                struct err *err)
{
    int rc = take(plugin, table, NULL, path, 1, err);
    if (rc != 0)
        plugin_close(plugin);
    return rc;
}

int plugin_append(struct plugin *plugin, const char *path, struct err *err)
{
    struct plugin next = {0}, *last = plugin;
    unsigned depth = 1;
    int rc = plugin_load(&next, path, err);
    for (; last->then; depth++)
        last = last->then;
    plugin->is_memory = plugin->is_memory && next.is_memory;
    if (rc == 0) {
        struct plugin *then = next.then;
        next.then = NULL; /* it is taken again below, knowing what is before it */
        plugin_close(then);
        mem_free(then);
        void *handle = last->handle;
        last->handle = next.handle;
        rc = take_then(last, dlsym(next.handle, "qn_job"), path, depth, err);
        last->handle = handle;
    }
    plugin_close(&next);
    return rc;
}

const struct plugin *plugin_of_stage(const struct plugin *plugin, uint32_t stage)
{
    for (uint32_t i = 1; plugin && i < stage; i++)
        plugin = plugin->then;
    return plugin;
}

/* dlerror begins with the path more often than not. */
static const char *why_not_loaded(const char *path)
{
    const char *text = dlerror();
    if (!text)
        return "unknown reason";
    static char told[512];
    size_t n = strlen(path);
    if (strstr(text, "undefined symbol")) {
        snprintf(told, sizeof(told), "%s (link what defines it: its object file, or -lNAME)",
                 strncmp(text, path, n) == 0 && text[n] == ':' ? text + n + 2 : text);
        return told;
    }
    return strncmp(text, path, n) == 0 && text[n] == ':' ? text + n + 2 : text;
}

int plugin_load(struct plugin *plugin, const char *path, struct err *err)
{
    *plugin = (struct plugin){0};
    if (access(path, R_OK) != 0)
        return err_errno(err, errno, "%s", path);
    /* Without a slash dlopen would search the system's libraries. */
    plugin->path = strchr(path, '/') ? str_dup(path) : str_printf("./%s", path);
    if (!plugin->path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc;
    plugin->handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle) {
        rc = err_set(err, ERR_PLUGIN, "%s: cannot be loaded: %s", path,
                     why_not_loaded(plugin->path));
        goto out;
    }
    const struct qn_job *table = dlsym(plugin->handle, "qn_job");
    plugin->is_memory = reach_is_memory(plugin->handle);
    rc = table ? plugin_take(plugin, table, path, err)
               : bad(path, err,
                     "exports no `qn_job` (is it declared `const struct qn_job qn_job = "
                     "{…}` and visible?)");
out:
    if (rc != 0)
        plugin_close(plugin);
    return rc;
}

void plugin_close(struct plugin *plugin)
{
    if (!plugin)
        return;
    plugin_close(plugin->then);
    mem_free(plugin->then);
    mem_free(plugin->inputs);
    mem_free(plugin->path);
    *plugin = (struct plugin){0};
}

struct key_order plugin_order(const struct plugin *plugin)
{
    return (struct key_order){plugin->key, plugin->job.compare};
}

struct fold plugin_fold(const struct plugin *plugin)
{
    const struct qn_job *job = &plugin->job;
    return (struct fold){.op = job->combine_op,
                         .value = plugin->reduce_value,
                         .with = slice_str(job->concat_with ? job->concat_with : ""),
                         .limit = job->concat_limit ? job->concat_limit : FOLD_CONCAT_LIMIT};
}

int plugin_no_option(const struct plugin *plugin, const char *name, struct err *err)
{
    struct buf known = BUF_INIT;
    for (const struct qn_option_row *row = plugin->job.options; row && row->name; row++)
        buf_printf(&known, "%s%s", known.len ? ", " : "", row->name);
    const char *text = buf_cstr(&known);
    int rc = err_set(err, ERR_CONFIG, "no option \"%s\": %s knows %s", name, plugin->job.name,
                     text && text[0] ? text : "none");
    buf_release(&known);
    return rc;
}

static const char *combine_name(const struct qn_job *job)
{
    return job->combine ? "own" : fold_names[job->combine_op];
}

/* Options of all stages' tables; one that several have is told once. */
static int describe_options(const struct plugin *plugin, struct arena *arena,
                            struct task_probe_option_list *ret)
{
    size_t count = 0, n = 0;
    for (const struct plugin *p = plugin; p; p = p->then)
        for (const struct qn_option_row *row = p->job.options; row && row->name; row++)
            count++;
    struct task_probe_option *rows = arena_calloc(arena, count + 1, sizeof(*rows));
    if (!rows)
        return ERR_NOMEM;
    for (const struct plugin *p = plugin; p; p = p->then)
        for (const struct qn_option_row *row = p->job.options; row && row->name; row++) {
            bool is_known = false;
            for (size_t i = 0; i < n; i++)
                is_known = is_known || slice_is(rows[i].name, row->name);
            if (!is_known)
                rows[n++] =
                    (struct task_probe_option){.name = slice_str(row->name),
                                               .is_required = !row->default_value,
                                               .default_value = slice_str(row->default_value),
                                               .help = slice_str(row->help)};
        }
    *ret = (struct task_probe_option_list){rows, n};
    return 0;
}

static int describe_then(const struct plugin *plugin, struct arena *arena,
                         struct task_probe_stage_list *ret)
{
    struct task_probe_stage *stages = arena_calloc(arena, TASK_SHUFFLES_MAX, sizeof(*stages));
    size_t n = 0;
    for (const struct plugin *p = plugin->then; stages && p; p = p->then)
        stages[n++] = (struct task_probe_stage){.name = slice_str(p->job.name),
                                                .has_partition = p->job.partition != NULL,
                                                .has_compare = p->job.compare != NULL,
                                                .has_group = p->job.group != NULL,
                                                .default_reducers = p->job.default_reducers};
    *ret = (struct task_probe_stage_list){stages, n};
    return stages ? 0 : ERR_NOMEM;
}

static bool is_of_lines(enum qn_input_format format)
{
    return format == QN_LINES || format == QN_CRLF_LINES || format == QN_KEY_VALUES ||
           format == QN_JSON_LINES;
}

static struct task_probe_input describe_input(const struct qn_job *job)
{
    return (struct task_probe_input){
        .name = slice_str(job->name),
        .about = slice_str(job->about),
        .is_whole = job->input == QN_PREFIXED || job->input == QN_WHOLE_FILES,
        .split_size = job->split_size,
        .has_lines = !job->record_size && is_of_lines(job->input),
    };
}

/* The job's own first, be there a map to it or not: as splits count them. */
static int describe_inputs(const struct plugin *plugin, struct arena *arena,
                           struct task_probe_input_list *ret)
{
    struct task_probe_input *all = arena_calloc(arena, plugin->input_count + 1, sizeof(*all));
    if (!all)
        return ERR_NOMEM;
    all[0] = describe_input(&plugin->job);
    for (size_t i = 0; i < plugin->input_count; i++)
        all[i + 1] = describe_input(&plugin->inputs[i]);
    *ret = (struct task_probe_input_list){all, plugin->input_count + 1};
    return 0;
}

int plugin_describe(const struct plugin *plugin, struct arena *arena, struct task_probe *ret)
{
    const struct qn_job *job = &plugin->job;
    const struct plugin *last = plugin;
    struct task_probe_option_list options;
    struct task_probe_stage_list then;
    struct task_probe_input_list inputs;
    if (describe_options(plugin, arena, &options) != 0 ||
        describe_then(plugin, arena, &then) != 0 || describe_inputs(plugin, arena, &inputs) != 0)
        return ERR_NOMEM;
    bool has_check = job->check != NULL;
    while (last->then) {
        last = last->then;
        has_check = has_check || last->job.check;
    }
    *ret = (struct task_probe){.name = slice_str(job->name),
                               .about = slice_str(job->about),
                               .abi = job->head.abi,
                               .key = slice_str(key_type_name(plugin->key)),
                               .value = slice_str(key_type_name(plugin->value)),
                               .out_key = slice_str(key_type_name(last->out_key)),
                               .out_value = slice_str(key_type_name(last->out_value)),
                               .has_reduce = job->reduce != NULL,
                               .combine = slice_str(combine_name(job)),
                               .has_partition = job->partition != NULL,
                               .has_compare = job->compare != NULL,
                               .has_group = job->group != NULL,
                               .default_reducers = job->default_reducers,
                               .options = options,
                               .has_rows = job->input == QN_ROWS,
                               .has_ranges = job->spread == QN_BY_RANGE,
                               .then = then,
                               .needs_more_than_lines = job->input != QN_LINES || job->inputs,
                               .writes_raw = last->job.output == QN_RAW,
                               .inputs = inputs,
                               .needs_names = !job->map && !job->map_lines,
                               .needs_reduce = job->needs_reduce != 0,
                               .has_check = has_check};
    return 0;
}
