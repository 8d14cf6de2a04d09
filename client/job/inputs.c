/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/inputs.h"

#include "client/fs/glob.h"
#include "client/lib/cuts.h"
#include "libcommon/base/path.h"

#define LINES     "mapreduce.input.lineinputformat.linespermap"
#define RECURSIVE "mapreduce.input.fileinputformat.input.dir.recursive"

struct walk {
    struct job_inputs *inputs;
    struct fs_volume *volume;
    bool recursive;
    uint32_t input; /* of the path in hand */
    struct conf_list excluded;
    struct err *err;
};

static int from_qn(struct err *err, const struct qn_error *error, const char *path)
{
    /* the library's messages may name the path already */
    if (strstr(error->message, path))
        return err_set(err, error->code, "%s", error->message);
    return err_set(err, error->code, "%s: %s", path,
                   error->message[0] ? error->message : err_text(error->code));
}

static int out_of_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* --- places ---------------------------------------------------------------------------------- */

static int keep_block(struct arena *arena, const struct qn_block *from, struct split_block *to)
{
    struct slice *nodes = arena_calloc(arena, from->node_count + 1, sizeof(*nodes));
    if (!nodes)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < from->node_count; i++) {
        nodes[i] = slice_keep(slice_str(from->nodes[i]), arena);
        if (!nodes[i].data)
            return ERR_NOMEM;
    }
    *to = (struct split_block){from->offset, from->length, nodes, from->node_count};
    return 0;
}

static int find_places(struct walk *w, struct split_file *file)
{
    struct qn_error error = {0};
    struct qn_blocks blocks;
    const char *path = (const char *)file->path.data;
    int rc = qn_locations(w->volume->qn, path, 0, file->len, &blocks, &error);
    if (rc != 0)
        return from_qn(w->err, &error, path);
    struct split_block *kept = arena_calloc(&w->inputs->arena, blocks.count + 1, sizeof(*kept));
    rc = kept ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < blocks.count; i++)
        rc = keep_block(&w->inputs->arena, &blocks.blocks[i], &kept[i]);
    file->blocks = kept;
    file->block_count = blocks.count;
    qn_blocks_release(&blocks);
    return rc == 0 ? 0 : out_of_memory(w->err);
}

/* --- files ----------------------------------------------------------------------------------- */

static int add_file(struct walk *w, const char *path, const struct qn_stat *stat)
{
    struct job_inputs *inputs = w->inputs;
    if (splits_exclude(&w->excluded, slice_str(path)))
        return 0;
    if (mem_grow(&inputs->files, &inputs->cap, inputs->count, sizeof(*inputs->files)) != 0)
        return out_of_memory(w->err);
    struct split_file *file = &inputs->files[inputs->count];
    *file = (struct split_file){.path = slice_keep(slice_str(path), &inputs->arena),
                                .len = stat->length,
                                .block_size = stat->block_size,
                                .input = w->input};
    if (!file->path.data)
        return out_of_memory(w->err);
    inputs->count++;
    inputs->bytes += stat->length;
    return 0;
}

static bool is_hidden(const char *name)
{
    return name[0] == '_' || name[0] == '.';
}

static int add_dir(struct walk *w, const char *path);

static int add_entry(struct walk *w, const char *dir, const struct qn_stat *entry)
{
    struct buf path = BUF_INIT;
    if (is_hidden(entry->name))
        return 0;
    buf_printf(&path, "%s%s%s", dir, strcmp(dir, "/") == 0 ? "" : "/", entry->name);
    int rc = buf_failed(&path) ? out_of_memory(w->err) : 0;
    if (rc == 0 && entry->is_dir && !w->recursive)
        rc = err_set(w->err, ERR_ISDIR,
                     "%s: Is a directory among the inputs (-D " RECURSIVE "=true reads what is "
                     "in it; or name its files)",
                     buf_cstr(&path));
    else if (rc == 0 && entry->is_dir)
        rc = add_dir(w, buf_cstr(&path));
    else if (rc == 0)
        rc = add_file(w, buf_cstr(&path), entry);
    buf_release(&path);
    return rc;
}

static int add_dir(struct walk *w, const char *path)
{
    const struct fs_volume_ops *ops = w->volume->ops;
    struct qn_error error = {0};
    const struct qn_stat *entry;
    int rc = 0;
    if (splits_exclude(&w->excluded, slice_str(path)))
        return 0;
    void *dir = ops->opendir(w->volume, path, &error);
    if (!dir)
        return from_qn(w->err, &error, path);
    while (rc == 0 && (entry = ops->readdir(dir, &error)))
        rc = add_entry(w, path, entry);
    if (rc == 0 && error.code != 0)
        rc = from_qn(w->err, &error, path);
    ops->closedir(dir);
    return rc;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool job_inputs_is_meant(const char *word, const char *path)
{
    return !fs_glob_is_pattern(word) || is_hidden(last_name(word)) || !is_hidden(last_name(path));
}

static int add_word(struct walk *w, const char *word)
{
    struct fs_items items = {0};
    struct qn_error error = {0};
    int rc = fs_glob(w->volume, word, &items, &error);
    if (rc != 0)
        rc = from_qn(w->err, &error, word);
    else if (items.n == 0)
        rc = err_set(w->err, ERR_NOENT, "%s: No such file or directory", word);
    size_t meant = 0;
    for (size_t i = 0; rc == 0 && i < items.n; i++) {
        struct fs_item *item = &items.v[i];
        if (!job_inputs_is_meant(word, item->path))
            continue;
        meant++;
        if (!item->exists && fs_item_refresh(item, &error) != 0)
            rc = from_qn(w->err, &error, item->path);
        else if (!item->exists)
            rc = err_set(w->err, ERR_NOENT, "%s: No such file or directory", item->text);
        else if (item->stat.is_dir)
            rc = add_dir(w, item->path);
        else
            rc = add_file(w, item->path, &item->stat);
    }
    if (rc == 0 && meant == 0)
        rc = err_set(w->err, ERR_NOENT,
                     "%s: matches only names that begin with _ or . and are skipped", word);
    fs_items_release(&items);
    return rc;
}

/* --- order ----------------------------------------------------------------------------------- */

/* Merge sort: listings come in order already, so runs are long. */
static void merge(struct split_file *files, struct split_file *room, size_t from, size_t mid,
                  size_t end)
{
    if (splits_order(&files[mid - 1], &files[mid]) <= 0)
        return;
    memcpy(room + from, files + from, (end - from) * sizeof(*files));
    size_t a = from, b = mid;
    for (size_t i = from; i < end; i++) {
        bool take_a = b == end || (a < mid && splits_order(&room[a], &room[b]) <= 0);
        files[i] = take_a ? room[a++] : room[b++];
    }
}

static void sort(struct split_file *files, struct split_file *room, size_t from, size_t end)
{
    if (end - from < 2)
        return;
    size_t mid = from + (end - from) / 2;
    sort(files, room, from, mid);
    sort(files, room, mid, end);
    merge(files, room, from, mid, end);
}

/* --- compressed files ------------------------------------------------------------------------ */

static int find_how(struct job_inputs *inputs, const struct conf *conf,
                    const struct task_probe *probe, struct err *err)
{
    const struct split_conf base = {
        .min_bytes = conf_size(conf, "mapreduce.input.fileinputformat.split.minsize"),
        .max_bytes = conf_size(conf, "mapreduce.input.fileinputformat.split.maxsize"),
        .lines = (uint64_t)conf_int(conf, LINES),
    };
    *inputs = (struct job_inputs){0};
    return input_paths_confs(probe, &base, &inputs->arena, &inputs->how, err);
}

struct looked {
    struct fs_volume *volume;
    void *in;
    const char *path;
};

static int64_t read_at(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    const struct looked *looked = arg;
    const struct fs_volume_ops *ops = looked->volume->ops;
    struct qn_error error = {0};
    size_t got = 0;
    ssize_t n = ops->seek(looked->in, off, &error) == 0 ? 1 : -1;
    while (n > 0 && got < len) {
        n = ops->read(looked->in, (uint8_t *)data + got, len - got, &error);
        got += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? from_qn(err, &error, looked->path) : (int64_t)got;
}

static int look_inside(struct walk *w, struct split_file *file)
{
    struct qn_error error = {0};
    struct looked looked = {w->volume, NULL, (const char *)file->path.data};
    const struct frames_file bytes = {read_at, &looked, file->len};
    looked.in = w->volume->ops->open(w->volume, looked.path, &error);
    if (!looked.in)
        return from_qn(w->err, &error, looked.path);
    int rc = cuts_look(file, &w->inputs->how[file->input], &bytes, &w->inputs->arena, w->err);
    w->volume->ops->close_read(looked.in);
    return rc;
}

/* Only of files that would be cut it must be known before: tasks unpack by what they find. */
static int find_cuts(struct walk *w)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->inputs->count; i++) {
        struct split_file *file = &w->inputs->files[i];
        if (splits_would_cut(file, &w->inputs->how[file->input]))
            rc = look_inside(w, file);
    }
    return rc;
}

int job_inputs_open(struct job_inputs *inputs, struct fs_volume *volume, const struct conf *conf,
                    const struct input_paths *paths, const struct task_probe *probe,
                    struct err *err)
{
    struct walk w = {.inputs = inputs,
                     .volume = volume,
                     .recursive = conf_bool(conf, RECURSIVE),
                     .excluded = conf_list(conf, "job.input.exclude"),
                     .err = err};
    int rc = find_how(inputs, conf, probe, err);
    for (size_t i = 0; rc == 0 && i < paths->n; i++) {
        w.input = paths->v[i].input;
        rc = add_word(&w, paths->v[i].path);
    }
    struct split_file *room = rc == 0 ? mem_calloc(inputs->count, sizeof(*room)) : NULL;
    if (rc == 0 && !room)
        rc = out_of_memory(err);
    if (rc == 0)
        sort(inputs->files, room, 0, inputs->count);
    mem_free(room);
    if (rc == 0)
        rc = find_cuts(&w);
    for (size_t i = 0; rc == 0 && i < inputs->count; i++)
        if (inputs->files[i].len)
            rc = find_places(&w, &inputs->files[i]);
    if (rc != 0)
        job_inputs_close(inputs);
    return rc;
}

int job_inputs_rows(struct job_inputs *inputs, const struct msg_pair_list *settings,
                    const struct task_probe *probe, const struct conf *conf, struct err *err)
{
    char key[128];
    int rc = find_how(inputs, conf, probe, err);
    if (rc != 0)
        return rc;
    task_probe_rows_key(probe, key, sizeof(key));
    struct slice text = task_probe_setting(probe, settings, key);
    if (mem_grow(&inputs->files, &inputs->cap, 0, sizeof(*inputs->files)) != 0)
        return out_of_memory(err);
    if (splits_rows(text, (uint64_t)conf_int(conf, "mapreduce.job.maps"), inputs->files) != 0)
        return err_set(err, ERR_CONFIG,
                       "%s = \"" SLICE_FMT "\" is no number of rows (1000, 10m, 2b)", key,
                       SLICE_ARG(text));
    inputs->count = 1;
    inputs->bytes = inputs->files[0].len;
    return 0;
}

void job_inputs_close(struct job_inputs *inputs)
{
    mem_free(inputs->files);
    arena_release(&inputs->arena);
    *inputs = (struct job_inputs){0};
}

/* --- splits ---------------------------------------------------------------------------------- */

int job_inputs_describe(const struct job_inputs *inputs, const struct split *split,
                        struct arena *arena, struct task_segment_list *ret)
{
    struct task_segment *segments =
        arena_calloc(arena, split->segment_count + 1, sizeof(*segments));
    if (!segments)
        return ERR_NOMEM;
    for (size_t i = 0; i < split->segment_count; i++) {
        const struct split_segment *s = &split->segments[i];
        const struct split_file *file = &inputs->files[s->file];
        segments[i] = (struct task_segment){file->path, s->offset, s->length,
                                            file->len,  s->frame,  file->input};
    }
    *ret = (struct task_segment_list){segments, split->segment_count};
    return 0;
}

static int to_message(struct job_inputs *inputs, const struct split *split, struct cl2jt_split *ret)
{
    *ret = (struct cl2jt_split){
        .nodes = {split->nodes, split->node_count},
        .bytes = split->bytes,
    };
    return job_inputs_describe(inputs, split, &inputs->arena, &ret->segments);
}

int job_inputs_split(struct job_inputs *inputs, struct cl2jt_splits *ret)
{
    struct splits splits;
    int rc = splits_compute(inputs->files, inputs->count, inputs->how, &inputs->arena, &splits);
    struct cl2jt_split *items =
        rc == 0 ? arena_calloc(&inputs->arena, splits.n + 1, sizeof(*items)) : NULL;
    if (!items)
        return rc ? rc : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < splits.n; i++)
        rc = to_message(inputs, &splits.v[i], &items[i]);
    *ret = (struct cl2jt_splits){{items, splits.n}, inputs->count, inputs->bytes};
    return rc;
}
