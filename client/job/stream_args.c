/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/stream_args.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* Everything said, gathered from left to right. */
struct gathering {
    struct stream_args *to;
    struct buf environment;
    char **inputs; /* -input */
    size_t input_count;
    char *output; /* -output */
    bool failed;
};

static const char *option_of(const char *word)
{
    return word[0] == '-' && word[1] ? word + 1 + (word[1] == '-') : NULL;
}

bool stream_args_is(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (option_of(argv[i]) && strcmp(option_of(argv[i]), "stream") == 0)
            return true;
    return false;
}

static void put(struct gathering *g, char *word)
{
    g->to->argv[g->to->argc++] = word;
}

/* Takes `word` (mem_alloc'ed). */
static void put_own(struct gathering *g, char *word)
{
    if (!word) {
        g->failed = true;
        return;
    }
    g->to->own[g->to->own_count++] = word;
    put(g, word);
}

static void put_setting(struct gathering *g, const char *key, const char *value)
{
    put_own(g, str_printf("-D%s=%s", key, value));
}

static void put_reduces(struct gathering *g, const char *number)
{
    put_own(g, str_printf("-reduces=%s", number));
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* --- each option ----------------------------------------------------------------------------- */

static int take_mapper(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    put_setting(g, "stream.map.command", ends_with(value, "IdentityMapper") ? "" : value);
    return 0;
}

static int take_reducer(struct gathering *g, char *value, struct err *err)
{
    if (strcmp(value, "aggregate") == 0)
        return err_set(err, ERR_USAGE,
                       "-reducer aggregate is not known here: sum in a program, or write a plugin "
                       "(docs/first-job.md)");
    if (strcmp(value, "NONE") == 0)
        put_reduces(g, "0");
    else
        put_setting(g, "stream.reduce.command", ends_with(value, "IdentityReducer") ? "" : value);
    return 0;
}

static int take_combiner(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    put_setting(g, "stream.combine.command", value);
    return 0;
}

static int take_cmdenv(struct gathering *g, char *value, struct err *err)
{
    if (!strchr(value, '='))
        return err_set(err, ERR_USAGE, "-cmdenv %s: NAME=VALUE is wanted", value);
    buf_printf(&g->environment, "%s\n", value);
    return 0;
}

static int take_input(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    g->inputs[g->input_count++] = value;
    return 0;
}

static int take_output(struct gathering *g, char *value, struct err *err)
{
    if (g->output)
        return err_set(err, ERR_USAGE, "-output is given twice");
    g->output = value;
    return 0;
}

static int take_reduces(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    put_reduces(g, value);
    return 0;
}

static int take_jobconf(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    put_own(g, str_printf("-D%s", value));
    return 0;
}

/* Classes of Java that do what is done here anyway. */
static int take_class(struct gathering *g, char *value, struct err *err)
{
    static const char *const same[] = {"TextInputFormat", "TextOutputFormat", "HashPartitioner"};
    (void)g;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (ends_with(value, same[i]))
            return 0;
    return err_set(err, ERR_USAGE, "%s is Java, and not known here", value);
}

static const struct stream_option {
    const char *name;
    int (*take)(struct gathering *g, char *value, struct err *err); /* NULL: no value */
} stream_options[] = {
    {"mapper", take_mapper},
    {"reducer", take_reducer},
    {"combiner", take_combiner},
    {"cmdenv", take_cmdenv},
    {"input", take_input},
    {"output", take_output},
    {"numReduceTasks", take_reduces},
    {"jobconf", take_jobconf},
    {"inputformat", take_class},
    {"outputformat", take_class},
    {"partitioner", take_class},
    {"stream", NULL},
    {"verbose", NULL},
    {"debug", NULL},
    {"lazyOutput", NULL},
};

static const struct stream_option *find(const char *word)
{
    const char *name = option_of(word);
    for (size_t i = 0; name && i < ARRAY_LEN(stream_options); i++)
        if (strcmp(stream_options[i].name, name) == 0)
            return &stream_options[i];
    return NULL;
}

/* Options whose value must not be taken for one of ours. */
static bool has_value(const char *word)
{
    static const char *const valued[] = {"D",     "conf",    "fs",   "jt",  "file",
                                         "files", "reduces", "mode", "name"};
    const char *name = option_of(word);
    for (size_t i = 0; name && i < ARRAY_LEN(valued); i++)
        if (strcmp(valued[i], name) == 0)
            return true;
    return false;
}

static int take_word(struct gathering *g, int argc, char **argv, int *i, struct err *err)
{
    const struct stream_option *option = find(argv[*i]);
    if (option && !option->take)
        return 0;
    if (option && *i + 1 == argc)
        return err_set(err, ERR_USAGE, "%s needs a value", argv[*i]);
    if (option)
        return option->take(g, argv[++*i], err);
    if (strcmp(argv[*i], "-background") == 0) {
        put_own(g, str_dup("-detach"));
        return 0;
    }
    put(g, argv[*i]);
    if (has_value(argv[*i]) && *i + 1 < argc)
        put(g, argv[++*i]);
    return 0;
}

int stream_args_translate(int argc, char **argv, struct stream_args *ret, struct err *err)
{
    size_t most = 2 * (size_t)argc + 4;
    struct gathering g = {.to = ret};
    *ret = (struct stream_args){.argv = mem_calloc(most, sizeof(char *)),
                                .own = mem_calloc(most, sizeof(char *))};
    g.inputs = mem_calloc((size_t)argc + 1, sizeof(char *));
    g.failed = !ret->argv || !ret->own || !g.inputs;
    int rc = 0;
    if (!g.failed) {
        put(&g, argv[0]);
        put_own(&g, str_dup("stream"));
    }
    for (int i = 1; rc == 0 && !g.failed && i < argc; i++)
        rc = take_word(&g, argc, argv, &i, err);
    if (rc == 0 && !g.failed && g.environment.len)
        put_setting(&g, "stream.addenvironment", buf_cstr(&g.environment));
    for (size_t i = 0; i < g.input_count; i++)
        put(&g, g.inputs[i]);
    if (g.output)
        put(&g, g.output);
    buf_release(&g.environment);
    mem_free(g.inputs);
    return g.failed ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

void stream_args_release(struct stream_args *args)
{
    for (size_t i = 0; i < args->own_count; i++)
        mem_free(args->own[i]);
    mem_free(args->own);
    mem_free(args->argv);
    *args = (struct stream_args){0};
}
