/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/run_args.h"

#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/publish.h"

#define EXCLUDE "job.input.exclude"

static const char *const options[] = {"reduces", "mode",  "name",    "detach", "list", "help",
                                      "conf",    "D",     "fs",      "jt",     "file", "files",
                                      "iterate", "chain", "exclude", "input"};

/* Known to stream_args, which has taken those that are spelt right. */
static const char *const of_stream[] = {
    "mapper",       "reducer",    "combiner",     "cmdenv",      "output",  "numReduceTasks",
    "partitioner",  "archives",   "outputformat", "inputformat", "jobconf", "cacheFile",
    "cacheArchive", "lazyOutput", "background",   "verbose"};

static int bad(struct err *err, const char *word)
{
    const char *streams = str_nearest(word, of_stream, ARRAY_LEN(of_stream));
    const char *near = str_nearest(word, options, ARRAY_LEN(options));
    if (near)
        return err_set(err, ERR_USAGE, "no option -%s (did you mean -%s? `quern run -help`)", word,
                       near);
    if (streams)
        return err_set(err, ERR_USAGE, "no option -%s (did you mean -stream with -%s?)", word,
                       streams);
    return err_set(err, ERR_USAGE, "no option -%s (`quern run -help`)", word);
}

static int take_mode(struct run_args *args, const char *value, struct err *err)
{
    args->has_mode = true;
    if (cl2nn_publish_mode_of(value, &args->mode) == 0)
        return 0;
    return err_set(err, ERR_USAGE, "-mode %s: " CL2NN_PUBLISH_MODES, value);
}

static int take_reduces(struct run_args *args, const char *value, struct err *err)
{
    uint64_t n;
    args->reduces = -1;
    if (strcmp(value, "auto") == 0)
        return 0;
    if (str_to_u64(value, &n) != 0 || n > 100000)
        return err_set(err, ERR_USAGE, "-reduces %s: a number up to 100000, or auto", value);
    args->reduces = (int64_t)n;
    return 0;
}

static int take_iterate(struct run_args *args, const char *value, struct err *err)
{
    uint64_t n;
    if (str_to_u64(value, &n) != 0 || n == 0 || n > 10000)
        return err_set(err, ERR_USAGE, "-iterate %s: a number from 1 to 10000", value);
    args->iterate = (uint32_t)n;
    return 0;
}

static int take_name(struct run_args *args, const char *value, struct err *err)
{
    (void)err;
    args->name = value;
    return 0;
}

static int take_file(struct run_args *args, const char *value, struct err *err)
{
    if (!*value)
        return err_set(err, ERR_USAGE, "-file \"\": a path is wanted");
    return side_words_add(&args->sides, value, false, err);
}

static int take_files(struct run_args *args, const char *value, struct err *err)
{
    return side_words_add(&args->sides, value, true, err);
}

static int take_chain(struct run_args *args, const char *value, struct err *err)
{
    if (!*value || *value == ',' || strstr(value, ",,"))
        return err_set(err, ERR_USAGE, "-chain %s: jobs with commas between them", value);
    args->chain = value;
    return 0;
}

static int take_input(struct run_args *args, const char *value, struct err *err)
{
    size_t cap = args->named_count; /* they are few */
    if (mem_grow(&args->named, &cap, cap, sizeof(*args->named)) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    args->named[args->named_count++] = value;
    return 0;
}

/* All of them are one setting, which goes with the job. */
static int take_exclude(struct run_args *args, const char *value, struct err *err)
{
    char *all = str_printf("%s%s%s", args->exclude ? args->exclude : EXCLUDE "=",
                           args->exclude ? "," : "", value);
    if (!all)
        return err_set(err, ERR_NOMEM, "out of memory");
    mem_free(args->exclude);
    args->exclude = all;
    return 0;
}

/* -reduces 2, -reduces=2 */
static const struct valued {
    const char *name;
    int (*take)(struct run_args *args, const char *value, struct err *err);
} valued[] = {{"reduces", take_reduces}, {"mode", take_mode},       {"name", take_name},
              {"file", take_file},       {"files", take_files},     {"iterate", take_iterate},
              {"chain", take_chain},     {"exclude", take_exclude}, {"input", take_input}};

static const struct valued *find_valued(const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(valued); i++)
        if (strlen(valued[i].name) == len && memcmp(valued[i].name, word, len) == 0)
            return &valued[i];
    return NULL;
}

/* Flags without a value. */
static bool take_flag(struct run_args *args, const char *word)
{
    if (strcmp(word, "detach") == 0)
        args->detach = true;
    else if (strcmp(word, "list") == 0)
        args->want_list = true;
    else if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)
        args->want_help = true;
    else
        return false;
    return true;
}

static int take_option(struct run_args *args, int argc, char **argv, int *i, struct err *err)
{
    int taken = config_args_take(&args->config, argc, argv, i, err);
    if (taken != 0)
        return taken < 0 ? taken : 0;
    const char *word = argv[*i] + 1 + (argv[*i][1] == '-'), *eq = strchr(word, '=');
    if (take_flag(args, word))
        return 0;
    const struct valued *option = find_valued(word, eq ? (size_t)(eq - word) : strlen(word));
    if (!option)
        return bad(err, word);
    if (!eq && *i + 1 == argc)
        return err_set(err, ERR_USAGE, "-%s needs a value", word);
    return option->take(args, eq ? eq + 1 : argv[++*i], err);
}

int run_args_parse(struct run_args *args, int argc, char **argv, struct err *err)
{
    size_t words = 0;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            int rc = take_option(args, argc, argv, &i, err);
            if (rc != 0)
                return rc;
        } else {
            argv[1 + words++] = argv[i]; /* words gather at the front, behind "run" */
        }
    }
    int rc = args->exclude ? config_args_define(&args->config, args->exclude, err) : 0;
    if (rc != 0)
        return rc;
    size_t plugins = !args->chain; /* else all words are paths */
    args->plugin = args->chain ? args->chain : words ? argv[1] : NULL;
    args->inputs = argv + 1 + plugins;
    args->input_count = words > 1 + plugins ? words - 1 - plugins : 0;
    args->output = words > plugins + !args->named_count ? argv[words] : NULL;
    args->words = words > plugins ? words - plugins : 0;
    if (!args->plugin && !args->want_list && !args->want_help)
        return err_set(err, ERR_USAGE,
                       "which job? quern run [OPTION...] PLUGIN INPUT... OUTPUT "
                       "(`quern run -list` shows the bundled ones)");
    return 0;
}

int run_args_check(struct run_args *args, const struct task_probe *probe, struct arena *arena,
                   struct input_paths *ret_paths, struct err *err)
{
    const struct input_words words = {(const char *const *)args->inputs, args->input_count,
                                      args->named, args->named_count};
    if (probe->has_rows && args->words == 1 && args->named_count == 0) {
        args->output = args->inputs[0];
        return 0;
    }
    if (probe->has_rows)
        return err_set(err, ERR_USAGE,
                       "%s makes its own input, give the OUTPUT: quern run %s OUTPUT", args->plugin,
                       args->plugin);
    if (args->output)
        return input_paths_sort_out(probe, &words, arena, ret_paths, err);
    return err_set(err, ERR_USAGE,
                   "give at least one INPUT and the OUTPUT: quern run %s INPUT... "
                   "OUTPUT",
                   args->plugin);
}

void run_args_help(FILE *out)
{
    fprintf(
        out,
        "usage: quern run [OPTION...] PLUGIN INPUT... OUTPUT\n\n"
        "Run a job over files and directories. PLUGIN is a bundled job's name or a path\n"
        "to your own (./my.so). OUTPUT must not exist.\n\n"
        "  -D key=value        a setting of the engine or of the job, any number of times\n"
        "  -reduces N|auto     reduce tasks; 0 = none: what map emits is the output\n"
        "  -mode MODE          what happens when OUTPUT exists: fail (as without), replace,\n"
        "                      append (its files stay), replace-partition (files go in those\n"
        "                      directories that the job has files for)\n"
        "  -name TEXT          shown in lists; default: the plugin's name\n"
        "  -file PATH[#NAME]   a file the tasks need beside them, any number of times\n"
        "  -iterate N          N times, each from what the one before made (quern run pagerank\n"
        "                      -help); only the last one's output stays\n"
        "  -input NAME=PATH    instead of an INPUT, for a job that reads several in ways of their\n"
        "                      own (its -help names them); any number of times\n"
        "  -exclude PATTERN    files and directories that are left out of INPUT, by name or,\n"
        "                      with a slash in it, by whole path; any number of times\n"
        "  -detach             print the job's id and leave it running\n"
        "  -jt local           no cluster: local files, all cores of this machine\n"
        "  -conf FILE, -fs URI another configuration, another filesystem\n"
        "  -stream             any programs as PLUGIN, through stdin and stdout: -mapper CMD\n"
        "                      [-reducer CMD] [-combiner CMD] [-cmdenv NAME=VALUE]...; also in\n"
        "                      the words of Hadoop's streaming (-input, -numReduceTasks ...)\n"
        "  -chain A,B,...      several jobs as one, instead of PLUGIN: each maps the lines that "
        "the\n"
        "                      one before it would have written, and nothing in between is\n"
        "                      written; the number of reducers is the last one's\n"
        "  -list               the bundled jobs\n"
        "  PLUGIN -help        what this job does and which settings it knows\n\n"
        "Ctrl-C ends the watching, not the job: `quern job -wait ID`, `quern job -kill ID`.\n"
        "Exit codes: 0 done, 1 the job failed, 2 usage, 3 killed, 75 no cluster there, 130\n"
        "interrupted.\n\n"
        "  quern run wordcount /in /out\n"
        "  quern run -D grep.pattern='err(or)?' grep /logs /found\n"
        "  quern run -jt local wordcount README.md /tmp/out\n"
        "  quern run -stream -mapper 'tr \" \" \"\\n\"' -reducer 'uniq -c' /in /counted\n"
        "  quern run -stream -file count.py -mapper 'count.py map' -reducer 'count.py' /in /out\n");
}

void run_args_release(struct run_args *args)
{
    config_args_release(&args->config);
    side_words_release(&args->sides);
    mem_free(args->exclude);
    mem_free(args->named);
}
