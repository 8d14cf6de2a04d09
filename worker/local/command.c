/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/command.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/options.h"
#include "libcommon/proto/cl_nn/publish.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static const char *option_name(const char *word)
{
    if (word[0] != '-' || word[1] == 0)
        return NULL;
    return word + (word[1] == '-' ? 2 : 1);
}

/* -reduces N, -mode M, -name S, -file F, -input NAME=PATH, -counters F: 1 when it was one of them.
 */
static int take_own(struct command *c, int argc, char **argv, int *i, struct err *err)
{
    const char *name = option_name(argv[*i]);
    bool is_reduces = strcmp(name, "reduces") == 0, is_mode = strcmp(name, "mode") == 0;
    bool is_file = strcmp(name, "file") == 0, is_input = strcmp(name, "input") == 0;
    if (strcmp(name, "v") == 0) {
        c->is_verbose = true;
        return 1;
    }
    bool is_counters = strcmp(name, "counters") == 0;
    if (!is_reduces && !is_mode && !is_file && !is_input && !is_counters &&
        strcmp(name, "name") != 0)
        return 0;
    if (*i + 1 >= argc)
        return err_set(err, ERR_USAGE, "-%s needs a value", name);
    const char *value = argv[++*i];
    if (is_reduces && strcmp(value, "auto") == 0)
        return 1;
    if (is_reduces && (str_to_i64(value, &c->reduces) != 0 || c->reduces < 0))
        return err_set(err, ERR_USAGE, "-reduces %s: a number, or auto, is wanted", value);
    if (is_mode)
        c->has_mode = true;
    if (is_mode && cl2nn_publish_mode_of(value, &c->mode) != 0)
        return err_set(err, ERR_USAGE, "-mode %s: " CL2NN_PUBLISH_MODES " is wanted", value);
    if (is_file)
        c->sides[c->side_count++] = value;
    else if (is_input)
        c->named[c->named_count++] = value;
    else if (is_counters)
        c->counters = value;
    else if (!is_reduces && !is_mode)
        c->name = value;
    return 1;
}

static int take_words(struct command *c, int argc, char **argv, struct err *err)
{
    const char **words = mem_calloc((size_t)argc + 1, sizeof(*words));
    size_t count = 0;
    if (!words)
        return no_memory(err);
    c->inputs = words;
    c->sides = mem_calloc((size_t)argc, sizeof(*c->sides));
    c->named = mem_calloc((size_t)argc, sizeof(*c->named));
    if (!c->sides || !c->named)
        return no_memory(err);
    for (int i = 1; i < argc; i++) {
        int rc = option_name(argv[i]) ? config_args_take(&c->args, argc, argv, &i, err) : 2;
        if (rc == 0)
            rc = take_own(c, argc, argv, &i, err);
        if (rc == 0)
            return err_set(err, ERR_USAGE, "unknown option %s", argv[i]);
        if (rc < 0)
            return rc;
        if (rc == 2)
            words[count++] = argv[i];
    }
    if (count < 2)
        return err_set(err, ERR_USAGE, "PLUGIN INPUT... OUTPUT are wanted");
    c->plugin = words[0];
    c->output = words[count - 1];
    c->inputs = words + 1;
    c->input_count = count - 2;
    return 0;
}

int command_parse(struct command *command, int argc, char **argv, struct err *err)
{
    *command = (struct command){.args = CONFIG_ARGS_INIT, .reduces = -1};
    int rc = take_words(command, argc, argv, err);
    if (rc == 0)
        rc = config_open(&command->args, &command->conf, &command->foreign, err);
    if (rc != 0) {
        command_release(command);
        return rc;
    }
    if (command->reduces < 0)
        command->reduces = conf_int(command->conf, "mapreduce.job.reduces");
    if (!command->has_mode) /* one of them: the table of settings says so */
        (void)cl2nn_publish_mode_of(conf_str(command->conf, "job.output.mode"), &command->mode);
    return 0;
}

void command_release(struct command *command)
{
    conf_free(command->conf);
    config_args_release(&command->args);
    mem_free(command->foreign.defines);
    mem_free(command->sides);
    mem_free(command->named);
    if (command->inputs) /* the array begins with the plugin, if it came so far */
        mem_free(command->plugin ? command->inputs - 1 : command->inputs);
    *command = (struct command){0};
}

/* --- the job's settings ---------------------------------------------------------------------- */

struct collecting {
    struct arena *arena;
    struct msg_pair *pairs;
    size_t count, cap;
};

static void add(struct collecting *to, struct slice key, struct slice value)
{
    if (to->count < to->cap)
        to->pairs[to->count++] =
            (struct msg_pair){slice_keep(key, to->arena), slice_keep(value, to->arena)};
}

static void add_engine(const struct conf_option *option, const char *value, const char *where,
                       void *arg)
{
    if ((option->flags & CONF_JOB) && strcmp(where, "default") != 0)
        add(arg, slice_str(option->key), slice_str(value));
}

static int unknown(const struct task_probe *probe, struct slice key, struct err *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < probe->options.n; i++)
        buf_printf(&known, "%s" SLICE_FMT, i ? ", " : "", SLICE_ARG(probe->options.v[i].name));
    const char *text = buf_cstr(&known);
    int rc = err_set(err, ERR_CONFIG, "no option \"" SLICE_FMT "\": " SLICE_FMT " knows %s",
                     SLICE_ARG(key), SLICE_ARG(probe->name), text && text[0] ? text : "none");
    buf_release(&known);
    return rc;
}

static int check_required(const struct task_probe *probe, const struct collecting *set,
                          struct err *err)
{
    for (size_t i = 0; i < probe->options.n; i++) {
        const struct task_probe_option *option = &probe->options.v[i];
        bool is_set = !option->is_required;
        for (size_t k = 0; k < set->count; k++)
            is_set |= slice_eq(set->pairs[k].key, option->name);
        if (!is_set)
            return err_set(err, ERR_CONFIG, SLICE_FMT " needs -D " SLICE_FMT "=... (" SLICE_FMT ")",
                           SLICE_ARG(probe->name), SLICE_ARG(option->name),
                           SLICE_ARG(option->help));
    }
    return 0;
}

static void count_option(const struct conf_option *option, const char *value, const char *where,
                         void *arg)
{
    (void)option;
    (void)value;
    (void)where;
    ++*(size_t *)arg;
}

int command_job_conf(const struct command *command, const struct task_probe *probe,
                     struct arena *arena, struct msg_pair_list *ret, struct err *err)
{
    struct collecting set = {.arena = arena, .cap = command->foreign.count};
    conf_each(command->conf, count_option, &set.cap);
    set.pairs = arena_calloc(arena, set.cap + 1, sizeof(*set.pairs));
    if (!set.pairs)
        return no_memory(err);
    conf_each(command->conf, add_engine, &set);
    for (size_t i = 0; i < command->foreign.count; i++) {
        const char *define = command->foreign.defines[i], *equals = strchr(define, '=');
        struct slice key = slice_of(define, equals ? (size_t)(equals - define) : strlen(define));
        if (!task_probe_takes(probe, key))
            return unknown(probe, key, err);
        add(&set, key, slice_str(equals ? equals + 1 : ""));
    }
    *ret = (struct msg_pair_list){set.pairs, set.count};
    return check_required(probe, &set, err);
}
