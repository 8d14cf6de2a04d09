/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/stream_args.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* Everything said, gathered from left to right. */
struct gathering {
    struct stream_args *to;
    struct buf environment, unpack; /* commands that go before each, for -archives */
    char *mapper, *reducer, *combiner;
    const char *order, *spread, *separator; /* of keys, by fields */
    bool orders_by_fields, spreads_by_fields;
    char *by_fields;   /* the job that does */
    const char *form;  /* how a line of the input is told to a mapper; NULL: as it is */
    const char *lines; /* a task gets so many, said with NLineInputFormat or without */
    bool cuts_by_lines;
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

/* org.apache.hadoop.mapred.lib.LongSumReducer and the like, which no shell would find. */
static int check_command(const char *option, const char *value, struct err *err)
{
    const char *dot = strrchr(value, '.');
    bool is_class =
        dot && dot > strchr(value, '.') && dot[1] >= 'A' && dot[1] <= 'Z' && !strpbrk(value, " /");
    return !is_class ? 0
                     : err_set(err, ERR_USAGE,
                               "%s %s is Java, and not known here: give a command (IdentityMapper, "
                               "IdentityReducer and aggregate are known)",
                               option, value);
}

static char none[] = "", aggregate[] = "aggregate", fs_option[] = "-fs";

static int take_mapper(struct gathering *g, char *value, struct err *err)
{
    g->mapper = ends_with(value, "IdentityMapper") ? none : value;
    return check_command("-mapper", g->mapper, err);
}

static int take_reducer(struct gathering *g, char *value, struct err *err)
{
    if (strcmp(value, "NONE") == 0)
        put_reduces(g, "0");
    else
        g->reducer = ends_with(value, "IdentityReducer")          ? none
                     : ends_with(value, "ValueAggregatorReducer") ? aggregate
                                                                  : value;
    return g->reducer ? check_command("-reducer", g->reducer, err) : 0;
}

/* Adding up before it travels changes nothing of what `aggregate` adds up. */
static int take_combiner(struct gathering *g, char *value, struct err *err)
{
    bool adds_up = strcmp(value, aggregate) == 0 || ends_with(value, "ValueAggregatorCombiner");
    g->combiner = adds_up ? none : value;
    return check_command("-combiner", g->combiner, err);
}

static int take_cmdenv(struct gathering *g, char *value, struct err *err)
{
    if (!strchr(value, '='))
        return err_set(err, ERR_USAGE, "-cmdenv %s: NAME=VALUE is wanted", value);
    buf_printf(&g->environment, "%s\n", value);
    return 0;
}

/* Commas are between paths, as there, but for those in {a,b}. */
static int take_input(struct gathering *g, char *value, struct err *err)
{
    unsigned depth = 0;
    char *from = value;
    (void)err;
    for (char *p = value;; p++) {
        depth += *p == '{';
        depth -= *p == '}' && depth > 0;
        if (*p && (*p != ',' || depth > 0))
            continue;
        bool is_end = *p == 0;
        *p = 0;
        if (*from)
            g->inputs[g->input_count++] = from;
        if (is_end)
            return 0;
        from = p + 1;
    }
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

/* --- settings that mean something to streaming only ------------------------------------------ */

static int take_partitioner(struct gathering *g, char *value, struct err *err)
{
    g->spreads_by_fields = ends_with(value, "KeyFieldBasedPartitioner");
    if (g->spreads_by_fields || ends_with(value, "HashPartitioner"))
        return 0;
    return err_set(err, ERR_USAGE,
                   "%s is Java, and not known here: HashPartitioner and KeyFieldBasedPartitioner "
                   "are",
                   value);
}

static int take_comparator(struct gathering *g, char *value, struct err *err)
{
    g->orders_by_fields = ends_with(value, "KeyFieldBasedComparator");
    return g->orders_by_fields
               ? 0
               : err_set(err, ERR_USAGE,
                         "%s is Java, and not known here: KeyFieldBasedComparator is", value);
}

static int take_order(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    g->order = value;
    return 0;
}

static int take_spread(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    g->spread = value;
    return 0;
}

static int take_separator(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    g->separator = value;
    return 0;
}

/* "lines alike in their first N fields meet", before there were -k */
static int take_field_count(struct gathering *g, char *value, struct err *err)
{
    char *text = str_printf("-k1,%s", value);
    (void)err;
    if (!text) {
        g->failed = true;
        return 0;
    }
    g->to->own[g->to->own_count++] = text;
    g->spread = text;
    return 0;
}

static int take_lines(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    g->lines = value;
    return 0;
}

/* -io text, and its settings one by one. */
static int take_io(struct gathering *g, char *value, struct err *err)
{
    (void)g;
    return strcmp(value, "text") == 0
               ? 0
               : err_set(err, ERR_USAGE,
                         "-io %s is not known here: commands are given lines of text, and give "
                         "them",
                         value);
}

/* Under their names of today and of yesterday. */
static const struct stream_setting {
    const char *key;
    int (*take)(struct gathering *g, char *value, struct err *err);
} stream_settings[] = {
    {"mapreduce.partition.keycomparator.options", take_order},
    {"mapred.text.key.comparator.options", take_order},
    {"mapreduce.partition.keypartitioner.options", take_spread},
    {"mapred.text.key.partitioner.options", take_spread},
    {"num.key.fields.for.partition", take_field_count},
    {"mapreduce.map.output.key.field.separator", take_separator},
    {"map.output.key.field.separator", take_separator},
    {"mapreduce.job.output.key.comparator.class", take_comparator},
    {"mapred.output.key.comparator.class", take_comparator},
    {"mapreduce.job.partitioner.class", take_partitioner},
    {"mapred.partitioner.class", take_partitioner},
    {"mapreduce.input.lineinputformat.linespermap", take_lines},
    {"mapred.line.input.format.linespermap", take_lines},
    {"stream.map.input", take_io},
    {"stream.map.output", take_io},
    {"stream.reduce.input", take_io},
    {"stream.reduce.output", take_io},
};

/* `define` is key=value. */
static int take_define(struct gathering *g, char *define, struct err *err)
{
    size_t len = strcspn(define, "=");
    for (size_t i = 0; define[len] && i < ARRAY_LEN(stream_settings); i++)
        if (strlen(stream_settings[i].key) == len &&
            memcmp(stream_settings[i].key, define, len) == 0)
            return stream_settings[i].take(g, define + len + 1, err);
    put_own(g, str_printf("-D%s", define));
    return 0;
}

/* What some classes of Java do, told by the last part of their names. */
static int take_input_format(struct gathering *g, char *value, struct err *err)
{
    if (ends_with(value, "NLineInputFormat")) {
        g->cuts_by_lines = true;
        g->form = "offset";
    } else if (ends_with(value, "KeyValueTextInputFormat")) {
        g->form = "key.value";
    } else if (!ends_with(value, "TextInputFormat") && !ends_with(value, "AutoInputFormat")) {
        return err_set(err, ERR_USAGE,
                       "-inputformat %s is Java, and not known here: TextInputFormat, "
                       "KeyValueTextInputFormat and NLineInputFormat are; a plugin reads others",
                       value);
    }
    return 0;
}

static int take_output_format(struct gathering *g, char *value, struct err *err)
{
    (void)g;
    return ends_with(value, "TextOutputFormat")
               ? 0
               : err_set(err, ERR_USAGE,
                         "-outputformat %s is Java, and not known here: TextOutputFormat is; a "
                         "plugin writes others, and to several outputs",
                         value);
}

static int take_reader(struct gathering *g, char *value, struct err *err)
{
    (void)g;
    return err_set(err, ERR_USAGE,
                   "-inputreader %s is Java, and not known here: a mapper is given lines; a plugin "
                   "reads whole files, CSV and JSON",
                   value);
}

static int take_filesystem(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    put(g, fs_option);
    put(g, value);
    return 0;
}

static int take_settings(struct gathering *g, char *value, struct err *err)
{
    (void)g;
    return err_set(err, ERR_USAGE,
                   "-additionalconfspec %s is XML of Java's: say its settings with -D key=value",
                   value);
}

/* A script that looks at what a failed task left behind. */
static int take_debug(struct gathering *g, char *value, struct err *err)
{
    (void)g;
    (void)err;
    fprintf(stderr,
            "quern run: %s is not run: what a failed task last said is told (`quern job -logs "
            "ID`), and `quern job -replay ID` runs it again\n",
            value);
    return 0;
}

/* --- archives: side files that are unpacked before a command begins -------------------------- */

/* In quotes for sh. */
static void quote(struct buf *out, struct slice text)
{
    buf_append_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\'')
            buf_append_str(out, "'\\''");
        else
            buf_append_byte(out, text.data[i]);
    buf_append_byte(out, '\'');
}

/* PATH[#NAME]: a directory NAME, or the last part of PATH, that holds what PATH packs. */
static void take_archive(struct gathering *g, struct slice word)
{
    const uint8_t *hash = memchr(word.data, '#', word.len);
    struct slice path = hash ? slice_of(word.data, (size_t)(hash - word.data)) : word;
    const uint8_t *slash = memrchr(path.data, '/', path.len);
    struct slice name = hash    ? slice_of(hash + 1, word.len - path.len - 1)
                        : slash ? slice_of(slash + 1, path.len - (size_t)(slash + 1 - path.data))
                                : path;
    char *packed = str_printf(".packed-" SLICE_FMT, SLICE_ARG(name));
    if (!packed) {
        g->failed = true;
        return;
    }
    bool is_zip = path.len > 4 && (memcmp(path.data + path.len - 4, ".zip", 4) == 0 ||
                                   memcmp(path.data + path.len - 4, ".jar", 4) == 0);
    put_own(g, str_printf("-file=" SLICE_FMT "#%s", SLICE_ARG(path), packed));
    buf_append_str(&g->unpack, "{ [ -e ");
    quote(&g->unpack, name);
    buf_append_str(&g->unpack, " ] || { mkdir ");
    quote(&g->unpack, name);
    buf_append_str(&g->unpack, is_zip ? " && python3 -m zipfile -e " : " && tar -xf ");
    quote(&g->unpack, slice_str(packed));
    buf_append_str(&g->unpack, is_zip ? " " : " -C ");
    quote(&g->unpack, name);
    buf_append_str(&g->unpack, "; }; } </dev/null && ");
    mem_free(packed);
}

static int take_archives(struct gathering *g, char *value, struct err *err)
{
    (void)err;
    for (char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        if (len)
            take_archive(g, slice_of(at, len));
        at += len + (at[len] == ',');
    }
    return 0;
}

/* The command, behind what it needs unpacked. */
static void put_command(struct gathering *g, const char *key, const char *command)
{
    bool is_program = command && *command && strcmp(command, "aggregate") != 0;
    char *whole;
    if (!command)
        return;
    if (!is_program || g->unpack.len == 0) {
        put_setting(g, key, command);
        return;
    }
    whole = str_printf("%s{ %s\n}", buf_cstr(&g->unpack), command);
    if (whole)
        put_setting(g, key, whole);
    g->failed |= !whole;
    mem_free(whole);
}

/* --- all of them ----------------------------------------------------------------------------- */

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
    {"jobconf", take_define},
    {"D", take_define},
    {"archives", take_archives},
    {"cacheArchive", take_archives},
    {"inputformat", take_input_format},
    {"outputformat", take_output_format},
    {"partitioner", take_partitioner},
    {"inputreader", take_reader},
    {"io", take_io},
    {"dfs", take_filesystem},
    {"additionalconfspec", take_settings},
    {"mapdebug", take_debug},
    {"reducedebug", take_debug},
    {"stream", NULL},
    {"verbose", NULL},
    {"debug", NULL},
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
    static const char *const valued[] = {"conf",  "fs",      "jt",   "file",
                                         "files", "reduces", "mode", "name"};
    const char *name = option_of(word);
    for (size_t i = 0; name && i < ARRAY_LEN(valued); i++)
        if (strcmp(valued[i], name) == 0)
            return true;
    return false;
}

static int take_word(struct gathering *g, int argc, char **argv, int *i, struct err *err)
{
    const char *name = option_of(argv[*i]);
    if (name && (strcmp(name, "chain") == 0 || strncmp(name, "chain=", 6) == 0))
        return err_set(err, ERR_USAGE,
                       "-stream runs programs, -chain plugins: choose one (a pipe in -mapper puts "
                       "programs together)");
    const struct stream_option *option = find(argv[*i]);
    if (option && !option->take)
        return 0;
    if (option && *i + 1 == argc)
        return err_set(err, ERR_USAGE, "%s needs a value", argv[*i]);
    if (option)
        return option->take(g, argv[++*i], err);
    if (argv[*i][0] == '-' && argv[*i][1] == 'D' && argv[*i][2])
        return take_define(g, argv[*i] + 2, err);
    if (strcmp(argv[*i], "-lazyOutput") == 0) {
        put_setting(g, "job.output.lazy", "true");
        return 0;
    }
    if (strcmp(argv[*i], "-info") == 0) {
        put_own(g, str_dup("-help"));
        return 0;
    }
    if (strcmp(argv[*i], "-cacheFile") == 0) {
        put_own(g, str_dup("-file"));
        return 0;
    }
    if (strcmp(argv[*i], "-background") == 0) {
        put_own(g, str_dup("-detach"));
        return 0;
    }
    put(g, argv[*i]);
    if (has_value(argv[*i]) && *i + 1 < argc)
        put(g, argv[++*i]);
    return 0;
}

static void put_gathered(struct gathering *g)
{
    bool by_fields = g->orders_by_fields || g->spreads_by_fields;
    if (by_fields)
        g->to->argv[1] = g->by_fields;
    put_command(g, "stream.map.command", g->mapper);
    put_command(g, "stream.reduce.command", g->reducer);
    put_command(g, "stream.combine.command", g->combiner);
    if (g->form)
        put_setting(g, "stream.map.input.form", g->form);
    if (g->lines || g->cuts_by_lines)
        put_setting(g, "mapreduce.input.lineinputformat.linespermap", g->lines ? g->lines : "1");
    if (g->orders_by_fields && g->order)
        put_setting(g, "stream.key.order", g->order);
    if (g->spreads_by_fields && g->spread)
        put_setting(g, "stream.key.spread", g->spread);
    if (by_fields && g->separator)
        put_setting(g, "stream.key.separator", g->separator);
    if (g->environment.len)
        put_setting(g, "stream.addenvironment", buf_cstr(&g->environment));
}

int stream_args_translate(int argc, char **argv, struct stream_args *ret, struct err *err)
{
    size_t most = 2 * (size_t)argc + 16, commas = 0;
    for (int i = 0; i < argc; i++)
        for (const char *at = argv[i]; (at = strchr(at, ',')) != NULL; at++)
            commas++; /* of lists, each part of which may become a word */
    most += commas;
    struct gathering g = {.to = ret};
    *ret = (struct stream_args){.argv = mem_calloc(most, sizeof(char *)),
                                .own = mem_calloc(most, sizeof(char *))};
    g.inputs = mem_calloc(most, sizeof(char *));
    g.failed = !ret->argv || !ret->own || !g.inputs;
    int rc = 0;
    if (!g.failed) {
        static char plugin[] = "stream", fields[] = "streamfields";
        put(&g, argv[0]);
        put(&g, plugin);
        g.by_fields = fields;
    }
    for (int i = 1; rc == 0 && !g.failed && i < argc; i++)
        rc = take_word(&g, argc, argv, &i, err);
    if (rc == 0 && !g.failed)
        put_gathered(&g);
    for (size_t i = 0; i < g.input_count; i++)
        put(&g, g.inputs[i]);
    if (g.output)
        put(&g, g.output);
    buf_release(&g.environment);
    buf_release(&g.unpack);
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
