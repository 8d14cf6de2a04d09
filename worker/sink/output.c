/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/output.h"

#include "libcommon/base/str.h"

#define LAZY     "job.output.lazy"
#define COMPRESS "mapreduce.output.fileoutputformat.compress"
#define CODEC    COMPRESS ".codec"
#define ZSTD     "io.compression.codec.zstd.level"
#define ZLIB     "zlib.compress.level"
#define BETWEEN  "mapreduce.output.textoutputformat.separator"

static enum packer_kind choose_pack(const struct context *c)
{
    const char *wanted = context_conf(c, COMPRESS), *codec = context_conf(c, CODEC);
    if (!wanted || strcmp(wanted, "true") != 0)
        return PACKER_PLAIN;
    return codec ? packer_kind_of(codec) : PACKER_GZIP;
}

/* A digit, or Hadoop's word for it; 0 = the codec's own. */
static int gzip_level(const char *text)
{
    static const char *const words[] = {"DEFAULT_COMPRESSION",
                                        "BEST_SPEED",
                                        "TWO",
                                        "THREE",
                                        "FOUR",
                                        "FIVE",
                                        "SIX",
                                        "SEVEN",
                                        "EIGHT",
                                        "BEST_COMPRESSION"};
    if (!text || (*text >= '1' && *text <= '9'))
        return text ? *text - '0' : 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    return 0;
}

static int choose_level(const struct context *c, enum packer_kind kind)
{
    if (kind == PACKER_ZSTD)
        return (int)context_conf_size(c, ZSTD, 0);
    return kind == PACKER_GZIP ? gzip_level(context_conf(c, ZLIB)) : 0;
}

static const char *with_suffix(struct context *c, struct slice name, enum packer_kind kind)
{
    const char *suffix = packer_suffix(kind);
    size_t cap = name.len + strlen(suffix) + 1;
    char *text = arena_alloc(&c->arena, cap);
    if (text)
        snprintf(text, cap, SLICE_FMT "%s", SLICE_ARG(name), suffix);
    return text;
}

/* As said; \t for a tab, which cannot be typed everywhere. */
static struct slice choose_separator(const struct context *c)
{
    const char *said = context_conf(c, BETWEEN);
    return slice_str(!said || strcmp(said, "\\t") == 0 ? "\t" : said);
}

struct qn_create output_create(const struct context *c)
{
    return (struct qn_create){.replication = c->run->replication,
                              .block_size = context_conf_size(c, "dfs.blocksize", 0)};
}

struct sink_how output_how(const struct context *c)
{
    enum packer_kind pack = choose_pack(c);
    return (struct sink_how){.create = output_create(c),
                             .pack = pack,
                             .level = choose_level(c, pack),
                             .is_raw = c->plugin->job.output == QN_RAW,
                             .separator = choose_separator(c),
                             .skips_empty = c->run->fs_uri.len > 0};
}

int output_open(struct output *output, struct context *c, void *buffer)
{
    struct err why;
    struct sink_how how = output_how(c);
    const char *path = with_suffix(c, c->run->out, how.pack);
    const char *name = with_suffix(c, c->run->out_name, how.pack);
    output->file = arena_calloc(&c->arena, 1, sizeof(*output->file));
    int rc = path && name && output->file ? 0 : err_set(&why, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = sink_open(&output->sink, c->files, path, &how, slice_of(buffer, SINK_BUFFER), &why);
    if (rc != 0)
        return context_fail_engine(c, &why);
    *output->file = (struct task_file){.path = slice_str(path), .name = slice_str(name)};
    return 0;
}

/* What has no record in it does not appear. */
static bool is_lazy(const struct context *c)
{
    const char *said = context_conf(c, LAZY);
    return said && strcmp(said, "true") == 0;
}

int output_finish(struct output *output, struct context *c, struct task_done *done)
{
    struct err why;
    context_phase(c, PROGRESS_WRITE);
    if (output->sink.records == 0 && is_lazy(c)) {
        sink_abandon(&output->sink);
        return 0;
    }
    if (sink_finish(&output->sink, output->file, &why) != 0)
        return context_fail_engine(c, &why);
    done->files = (struct task_file_list){output->file, 1};
    return 0;
}

void output_account(const struct output *output, struct task_account *account)
{
    account->out_records = output->sink.records;
    account->out_raw = output->sink.raw;
    account->out_bytes = output->sink.len;
}

void output_abandon(struct output *output)
{
    sink_abandon(&output->sink);
}
