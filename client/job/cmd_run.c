/* SPDX-License-Identifier: Apache-2.0
 * cmd_run: `quern run`: look at the plugin, check the settings, cut the input, submit, watch.
 * With -jt local the same is done by quern-task -local, without any cluster. */
#include <inttypes.h>
#include <unistd.h>

#include "client/command.h"
#include "client/fs/item.h"
#include "client/job/check.h"
#include "client/job/inputs.h"
#include "client/job/iterate.h"
#include "client/job/job.h"
#include "client/job/local.h"
#include "client/job/place.h"
#include "client/job/plugin.h"
#include "client/job/run_args.h"
#include "client/job/sample.h"
#include "client/job/settings.h"
#include "client/job/stream_args.h"
#include "client/lib/reducers.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/publish.h"
#include "libcommon/store/fsutil.h"

#define SPLITS_INLINE_MAX (4U << 20)
#define PLUGIN_MAX        (1U << 30)

/* Everything one submission needs, from left to right. */
struct run {
    struct run_args args;
    struct conf *conf;
    struct config_foreign foreign;
    struct job_plugin plugin;
    struct job_plugin chained[TASK_SHUFFLES_MAX]; /* those behind it, of -chain */
    unsigned chained_count;
    struct arena arena;
    struct msg_pair_list settings;
    struct task_side_list sides;
    struct fs_volume *volume;
    struct input_paths paths;
    struct job_inputs inputs;
    struct cl2jt_splits splits;
    struct buf out; /* normal output path */
    struct cl2jt_shuffle shuffles[TASK_SHUFFLES_MAX];
    size_t shuffle_count;
    struct identity self;
    struct chan *chan;
    struct cl2jt_job id;
    const struct job_step *step; /* of -iterate; NULL = no part of one */
    char *step_define;
};

static void run_release(struct run *run)
{
    chan_close(run->chan);
    job_inputs_close(&run->inputs);
    fs_volume_free(run->volume);
    job_plugin_close(&run->plugin);
    for (unsigned i = 0; i < run->chained_count; i++)
        job_plugin_close(&run->chained[i]);
    arena_release(&run->arena);
    buf_release(&run->out);
    mem_free(run->foreign.defines);
    mem_free(run->step_define);
    conf_free(run->conf);
    run_args_release(&run->args);
}

/* --- before anything is asked of a cluster --------------------------------------------------- */

/* A job that asks for NAME.step is told which step of -iterate this is. */
static int tell_step(struct run *run, struct err *err)
{
    const struct task_probe *probe = &run->plugin.probe;
    char *key = str_printf(SLICE_FMT ".step", SLICE_ARG(probe->name)), *define = NULL;
    size_t cap = run->foreign.count;
    bool is_asked = false;
    for (size_t i = 0; key && i < probe->options.n; i++)
        is_asked |= slice_is(probe->options.v[i].name, key);
    int rc = key ? 0 : ERR_NOMEM;
    if (rc == 0 && is_asked && run->step) {
        define = str_printf("%s=%" PRIu32, key, run->step->number);
        rc = define ? mem_grow(&run->foreign.defines, &cap, cap, sizeof(char *)) : ERR_NOMEM;
    }
    if (rc == 0 && define)
        run->foreign.defines[run->foreign.count++] = define;
    run->step_define = define;
    mem_free(key);
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

/* One more job of a chain: its plugin travels as a side file. */
static int add_to_chain(struct run *run, const char *word, unsigned number, struct err *err)
{
    struct job_plugin next;
    char name[32];
    int rc = job_plugin_open(&next, word, err);
    if (rc != 0)
        return rc;
    snprintf(name, sizeof(name), TASK_SIDE_CHAIN, number);
    char *side = str_printf("%s#%s", next.path, name);
    rc = side ? side_words_add(&run->args.sides, side, false, err)
              : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(side);
    if (rc == 0)
        rc = task_probe_append(&run->plugin.probe, &next.probe, &run->arena, err);
    if (rc == 0) { /* what the probe says is in its buffers */
        run->chained[number - 1] = next;
        run->chained_count = number;
    } else {
        job_plugin_close(&next);
    }
    return rc;
}

static int open_plugins(struct run *run, struct err *err)
{
    if (!run->args.chain)
        return job_plugin_open(&run->plugin, run->args.plugin, err);
    char *rest = str_dup(run->args.chain), *words = rest, *word;
    int rc = words ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    for (unsigned n = 0; rc == 0 && (word = strsep(&rest, ",")) != NULL; n++)
        if (n == TASK_SHUFFLES_MAX)
            rc = err_set(err, ERR_CONFIG, "-chain: at most %u jobs", TASK_SHUFFLES_MAX);
        else
            rc = n ? add_to_chain(run, word, n, err) : job_plugin_open(&run->plugin, word, err);
    mem_free(words);
    return rc;
}

static int look_at_plugin(struct run *run, struct err *err)
{
    int rc = open_plugins(run, err);
    if (rc != 0 || run->args.want_help) /* what it needs can be asked without having it */
        return rc;
    rc = config_open(&run->args.config, &run->conf, &run->foreign, err);
    if (rc == 0)
        rc = tell_step(run, err);
    if (rc == 0)
        rc = job_settings(run->conf, &run->foreign, &run->plugin.probe, &run->arena, &run->settings,
                          err);
    if (rc == 0 && !run->args.has_mode) /* one of them: the table of settings says so */
        (void)cl2nn_publish_mode_of(conf_str(run->conf, "job.output.mode"), &run->args.mode);
    if (rc == 0)
        job_settings_doubt(run->conf, &run->foreign, &run->plugin.probe, &run->arena);
    if (rc == 0 && *conf_ignored(run->conf))
        fprintf(stderr, "quern run: ignored, they mean nothing here: %s\n",
                conf_ignored(run->conf));
    return rc;
}

/* Each plugin's own look at how it is called; what those behind the first read, others made. */
static int check_call(struct run *run, struct err *err)
{
    struct job_call call = {run->settings, &run->paths, &run->sides};
    int rc = job_check(&run->plugin, &call, err);
    call.paths = NULL;
    for (unsigned i = 0; rc == 0 && i < run->chained_count; i++)
        rc = job_check(&run->chained[i], &call, err);
    return rc;
}

static int64_t said_reducers(const struct run *run)
{
    return run->args.reduces >= 0 ? run->args.reduces
                                  : conf_int(run->conf, "mapreduce.job.reduces");
}

/* -reduces, else -D mapreduce.job.reduces, else what the plugin says, else by the input's size. */
static void choose_reducers(struct run *run)
{
    const struct reducers_wish wish = {said_reducers(run), run->inputs.bytes,
                                       reducers_start_early(run->conf)};
    run->shuffle_count = reducers_choose_all(&run->plugin.probe, &wish, run->shuffles);
}

/* --- the filesystem -------------------------------------------------------------------------- */

static int open_volume(struct run *run, struct err *err)
{
    struct qn_error error = {0};
    run->volume = fs_volume_quern_new(run->conf, NULL, &error);
    return run->volume ? 0 : err_set(err, error.code, "%s", error.message);
}

/* quern://host/path and plain paths alike; relative ones start at home. */
static int output_path(struct run *run, struct err *err)
{
    struct fs_item item = {0};
    struct qn_error error = {0};
    int rc = fs_item_init(&item, run->volume, run->args.output, &error);
    if (rc == 0)
        buf_append_str(&run->out, item.path);
    else
        err_set(err, rc, "%s: %s", run->args.output, error.message);
    fs_item_release(&item);
    return rc;
}

/* Is there nothing in it but what a job has made? As the namenode and `-jt local` see it. */
static int check_replaced(struct run *run, const char *path, struct err *err)
{
    const struct fs_volume_ops *ops = run->volume->ops;
    struct qn_error error = {0};
    const struct qn_stat *entry;
    bool is_output = false, has_files = false;
    void *dir = ops->opendir(run->volume, path, &error);
    while (dir && !is_output && (entry = ops->readdir(dir, &error)) != NULL) {
        is_output = cl2nn_publish_is_mark(slice_str(entry->name));
        has_files = has_files || strcmp(entry->name, "_temporary") != 0;
    }
    if (dir)
        ops->closedir(dir);
    if (error.code != 0)
        return err_set(err, error.code, "%s: %s", path, error.message);
    return is_output || !has_files ? 0 : err_set(err, ERR_EXIST, "%s" CL2NN_PUBLISH_FOREIGN, path);
}

/* The namenode decides when it is published; this spares a person the wait. */
static int check_output(struct run *run, struct err *err)
{
    struct qn_error error = {0};
    struct qn_stat stat;
    const char *path = buf_cstr(&run->out);
    if (strcmp(path, "/") == 0)
        return err_set(err, ERR_USAGE, "/ cannot be the output: give a directory in it");
    int rc = run->volume->ops->stat(run->volume, path, &stat, &error);
    if (rc == ERR_NOENT)
        return 0;
    if (rc != 0)
        return err_set(err, rc, "%s: %s", path, error.message);
    bool is_dir = stat.is_dir;
    run->volume->ops->stat_release(&stat);
    if (run->args.mode == CL2NN_PUBLISH_FAIL)
        return err_set(err, ERR_EXIST, "%s exists already (add -mode replace, or remove it)", path);
    if (!is_dir)
        return err_set(err, ERR_NOTDIR, "%s" CL2NN_PUBLISH_FILE, path);
    return run->args.mode == CL2NN_PUBLISH_APPEND ? 0 : check_replaced(run, path, err);
}

static uint64_t most_side_bytes(const struct run *run)
{
    return conf_size(run->conf, "mapreduce.job.cache.limit.max-resources-mb");
}

static int find_work(struct run *run, struct err *err)
{
    int rc = open_volume(run, err);
    if (rc == 0)
        rc = job_sides_measure(run->volume, most_side_bytes(run), &run->sides, err);
    for (size_t i = 0; rc == 0 && i < run->paths.n; i++)
        rc = job_place_check(run->volume, run->conf, run->paths.v[i].path, err);
    if (rc == 0)
        rc = job_place_check(run->volume, run->conf, run->args.output, err);
    if (rc == 0)
        rc = output_path(run, err);
    if (rc == 0)
        rc = check_output(run, err);
    if (rc == 0 && run->plugin.probe.has_rows)
        rc = job_inputs_rows(&run->inputs, &run->settings, &run->plugin.probe, run->conf, err);
    else if (rc == 0)
        rc = job_inputs_open(&run->inputs, run->volume, run->conf, &run->paths, &run->plugin.probe,
                             err);
    if (rc == 0 && job_inputs_split(&run->inputs, &run->splits) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

/* --- submitting ------------------------------------------------------------------------------ */

static int bring_plugin(struct run *run, char digest[72], struct err *err)
{
    struct buf bytes = BUF_INIT;
    int rc = fsutil_read_all(disk_real(), run->plugin.path, PLUGIN_MAX, &bytes, err);
    if (rc == 0)
        rc = jobtracker_bring(run->chan, buf_slice(&bytes), digest, err);
    buf_release(&bytes);
    return rc;
}

/* Few splits go with the question; many go before it, as a blob. */
static int bring_splits(struct run *run, struct cl2jt_submit *submit, char digest[72],
                        struct err *err)
{
    struct buf bytes = BUF_INIT;
    int rc = 0;
    submit->splits = run->splits;
    msg_encode(&cl2jt_splits_desc, &run->splits, &bytes);
    if (buf_failed(&bytes))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else if (bytes.len > SPLITS_INLINE_MAX) {
        rc = jobtracker_bring(run->chan, buf_slice(&bytes), digest, err);
        submit->splits = (struct cl2jt_splits){0};
        submit->splits_digest = slice_str(digest);
    }
    buf_release(&bytes);
    return rc;
}

/* Where reducers get ranges of keys, a sample of them goes along, as one more side file. */
static int bring_sample(struct run *run, struct err *err)
{
    struct buf bytes = BUF_INIT;
    char digest[72];
    const struct job_sample sample = {.plugin = run->plugin.path,
                                      .settings = &run->settings,
                                      .sides = &run->sides,
                                      .inputs = &run->inputs,
                                      .fs_uri = run->volume->uri,
                                      .conf_file = run->args.config.file,
                                      .conf = run->conf};
    if (!run->plugin.probe.has_ranges || run->shuffles[0].partitions < 2)
        return 0;
    int rc = job_sample_take(&sample, &bytes, err);
    if (rc == 0)
        rc = jobtracker_bring(run->chan, buf_slice(&bytes), digest, err);
    if (rc == 0)
        rc = job_sides_add(&run->sides, TASK_SIDE_RANGES, digest, bytes.len, &run->arena, err);
    buf_release(&bytes);
    return rc;
}

static struct slice *words_of(struct run *run)
{
    struct slice *words = arena_calloc(&run->arena, run->paths.n + 1, sizeof(*words));
    for (size_t i = 0; words && i < run->paths.n; i++)
        words[i] = slice_str(run->paths.v[i].word);
    return words;
}

static int submit(struct run *run, struct err *err)
{
    char plugin[72], splits[72];
    const char *name = run->args.name ? run->args.name : conf_str(run->conf, "mapreduce.job.name");
    struct slice *words = words_of(run);
    struct cl2jt_submit ask = {
        .name = *name ? slice_str(name) : run->plugin.probe.name,
        .plugin_name = run->plugin.probe.name,
        .plugin_about = run->plugin.probe.about,
        .conf = run->settings,
        .partitions = run->shuffles[0].partitions,
        .shuffles = {run->shuffles, run->shuffle_count},
        .mode = run->args.mode,
        .priority = conf_choice(run->conf, "mapreduce.job.priority"),
        .fs_uri = slice_str(run->volume->uri),
        .out = buf_slice(&run->out),
        .inputs = {words, words ? run->paths.n : 0},
        .map_memory = conf_size(run->conf, "mapreduce.map.memory.mb"),
        .reduce_memory = conf_size(run->conf, "mapreduce.reduce.memory.mb"),
        .replication = (uint32_t)conf_int(run->conf, "dfs.replication"),
    };
    identity_init(&run->self, WIRE_CLIENT, NULL);
    rand_secret(&ask.origin.client, sizeof(ask.origin.client));
    ask.origin.seq = 1;
    int rc = jobtracker_open(run->conf, &run->self, &run->chan, err);
    if (rc == 0)
        rc = bring_plugin(run, plugin, err);
    if (rc == 0)
        rc = bring_splits(run, &ask, splits, err);
    if (rc == 0)
        rc = job_sides_bring(run->chan, run->volume, &run->arena, &run->sides, err);
    if (rc == 0)
        rc = bring_sample(run, err);
    ask.plugin_digest = slice_str(plugin);
    ask.sides = run->sides;
    if (rc == 0)
        rc = jobtracker_ask(run->chan, SUBMIT, &ask, &run->arena, &run->id, err);
    return rc;
}

/* --- watching -------------------------------------------------------------------------------- */

static int announce(struct run *run, struct err *err)
{
    struct cl2jt_status status;
    struct arena arena = ARENA_INIT;
    int rc = jobtracker_ask(run->chan, STATUS, &run->id, &arena, &status, err);
    if (rc == 0)
        job_show_begin(stderr, &status, run->shuffles, run->shuffle_count);
    arena_release(&arena);
    return rc;
}

static int watch(struct run *run, struct err *err)
{
    struct cl2jt_status status;
    struct arena arena = ARENA_INIT;
    int exit_code = job_watch(run->chan, &run->id, false, &arena, &status, err);
    if (err->code == 0 && exit_code != JOB_EXIT_INTERRUPTED)
        job_show_end(status.state == CL2JT_SUCCEEDED ? stdout : stderr, &status);
    arena_release(&arena);
    return exit_code;
}

static int run_on_cluster(struct run *run, struct err *err)
{
    int rc = find_work(run, err);
    if (rc == 0) {
        choose_reducers(run);
        rc = submit(run, err);
    }
    if (rc == 0 && run->args.detach) {
        char id[ID_TEXT_MAX];
        printf("%s\n",
               job_id_text((struct job_id){run->id.cluster_ms, run->id.job}, id, sizeof(id)));
        return JOB_EXIT_DONE;
    }
    if (rc == 0)
        rc = announce(run, err);
    return rc == 0 ? watch(run, err) : job_exit_of_error(rc);
}

static int run_it(struct run *run, struct err *err)
{
    int rc = look_at_plugin(run, err);
    if (rc != 0)
        return job_exit_of_words(rc);
    if (run->args.want_help) {
        job_plugin_help(&run->plugin);
        return JOB_EXIT_DONE;
    }
    rc = run_args_check(&run->args, &run->plugin.probe, &run->arena, &run->paths, err);
    if (rc == 0)
        rc = reducers_check(&run->plugin.probe, said_reducers(run), err);
    if (rc == 0)
        rc = job_sides_look(&run->args.sides, most_side_bytes(run), &run->arena, &run->sides, err);
    if (rc == 0)
        rc = check_call(run, err);
    if (rc != 0)
        return JOB_EXIT_USAGE;
    if (run->args.config.jt && strcmp(run->args.config.jt, "local") == 0)
        return job_run_local(&(struct job_local){&run->args, run->conf, &run->plugin, &run->paths,
                                                 &run->settings, &run->sides},
                             err);
    return run_on_cluster(run, err);
}

static void take_step(struct run *run, const struct job_step *step)
{
    run->step = step;
    run->args.output = step->out;
    if (step->in) {
        run->args.inputs = (char **)&step->in;
        run->args.input_count = 1;
    }
}

static int run_step(int argc, char **argv, const struct job_step *step)
{
    struct run run = {.args = RUN_ARGS_INIT};
    struct err err = {0};
    int exit_code = JOB_EXIT_USAGE;
    int rc = run_args_parse(&run.args, argc, argv, &err);
    if (rc == 0 && step)
        take_step(&run, step);
    if (rc == 0 && run.args.want_list)
        exit_code = job_plugin_list();
    else if (rc == 0 && !run.args.plugin) {
        run_args_help(stdout);
        exit_code = JOB_EXIT_DONE;
    } else if (rc == 0)
        exit_code = run_it(&run, &err);
    if (err.code != 0)
        fprintf(stderr, "quern run: %s\n", err.msg);
    run_release(&run);
    return exit_code;
}

static int run_words(int argc, char **argv)
{
    return job_iterate_is(argc, argv) ? job_iterate(argc, argv, run_step)
                                      : run_step(argc, argv, NULL);
}

int cmd_run(int argc, char **argv)
{
    struct stream_args stream;
    struct err err = {0};
    if (!stream_args_is(argc, argv))
        return run_words(argc, argv);
    int exit_code = JOB_EXIT_USAGE;
    if (stream_args_translate(argc, argv, &stream, &err) == 0)
        exit_code = run_words(stream.argc, stream.argv);
    else
        fprintf(stderr, "quern run: %s\n", err.msg);
    stream_args_release(&stream);
    return exit_code;
}
