/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/further.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "worker/run/key.h"
#include "worker/sink/output.h"

#define OWN "part"

struct further_item {
    struct hmap_node node;
    struct further_item *next;
    const char *name; /* as the job says it */
    struct task_file file;
    struct sink sink;
    void *buffer;
};

static int user_error(struct further *f, const char *name, const char *why)
{
    struct err err;
    err_set(&err, ERR_FAILED, "qn_emit_to(\"%.200s\"): %s", name, why);
    return context_fail(f->c, TASK_FAILED_USER, &err);
}

static int no_memory(struct further *f)
{
    struct err err;
    err_set(&err, ERR_NOMEM, "out of memory");
    return context_fail_engine(f->c, &err);
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_good_part(struct slice part)
{
    return part.len > 0 && part.len + 64 <= NAME_MAX_BYTES && !slice_is(part, ".") &&
           !slice_is(part, "..");
}

/* What may be a file's name below the output, on a line of the manifest. */
static const char *find_fault(const char *name)
{
    struct slice rest = slice_str(name);
    for (size_t i = 0; i < rest.len; i++)
        if (rest.data[i] < ' ' || rest.data[i] == 0x7f)
            return "a name has no control characters";
    if (rest.len > PATH_MAX_BYTES / 2)
        return "the name is too long";
    if (slice_is(rest, OWN))
        return "part is the task's own output: qn_emit writes to it";
    if (slice_has_prefix(rest, slice_str("_temporary/")) ||
        slice_has_prefix(rest, slice_str("_SUCCESS")) ||
        slice_has_prefix(rest, slice_str("_MANIFEST")))
        return "the name is the engine's";
    for (;;) {
        const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
        struct slice part = slash ? slice_of(rest.data, (size_t)(slash - rest.data)) : rest;
        if (!is_good_part(part))
            return "names between slashes have 1 to 191 bytes, and are not . or ..";
        if (!slash)
            return NULL;
        rest = slice_of(slash + 1, rest.len - part.len - 1);
    }
}

/* BEFORE NAME -r-00003 SUFFIX: what is the attempt's own name with `name` instead of "part". */
static const char *put_name(struct further *f, struct slice before, const char *name,
                            const char *suffix)
{
    struct slice own = f->c->run->out_name;
    size_t cap = before.len + strlen(name) + own.len + strlen(suffix) + 1;
    char *text = arena_alloc(&f->c->arena, cap);
    own = own.len > strlen(OWN) ? slice_of(own.data + strlen(OWN), own.len - strlen(OWN)) : own;
    if (text)
        snprintf(text, cap, SLICE_FMT "%s" SLICE_FMT "%s", SLICE_ARG(before), name, SLICE_ARG(own),
                 suffix);
    return text;
}

/* --- files ----------------------------------------------------------------------------------- */

static int make_file(struct further *f, struct further_item *item)
{
    struct context *c = f->c;
    struct err why;
    struct sink_how how = output_how(c);
    struct slice dir = c->run->out;
    dir.len -= c->run->out_name.len;
    const char *suffix = packer_suffix(how.pack);
    const char *path = put_name(f, dir, item->name, suffix);
    const char *name = put_name(f, slice_str(""), item->name, suffix);
    item->buffer = mem_alloc(FURTHER_BUFFER);
    if (!path || !name || !item->buffer)
        return no_memory(f);
    item->file = (struct task_file){.path = slice_str(path), .name = slice_str(name)};
    if (sink_open(&item->sink, c->files, path, &how, slice_of(item->buffer, FURTHER_BUFFER),
                  &why) != 0)
        return context_fail_engine(c, &why);
    return 0;
}

static struct further_item *add_item(struct further *f, const char *name, uint64_t hash)
{
    const char *fault = find_fault(name);
    if (f->count == FURTHER_MAX)
        fault = "a task may have 256 further outputs";
    if (fault) {
        user_error(f, name, fault);
        return NULL;
    }
    struct further_item *item = mem_calloc(1, sizeof(*item));
    size_t len = strlen(name) + 1;
    char *kept = arena_alloc(&f->c->arena, len);
    if (!item || !kept || hmap_add(&f->by_name, &item->node, hash) != 0) {
        mem_free(item);
        no_memory(f);
        return NULL;
    }
    memcpy(kept, name, len);
    item->name = kept;
    item->next = f->all;
    f->all = item;
    f->count++;
    return make_file(f, item) == 0 ? item : NULL;
}

static struct further_item *find_item(struct further *f, const char *name)
{
    if (f->last && strcmp(f->last->name, name) == 0)
        return f->last;
    uint64_t hash = slice_hash(slice_str(name), 1);
    for (struct hmap_node *n = hmap_find(&f->by_name, hash); n; n = hmap_find_next(n)) {
        struct further_item *item = CONTAINER_OF(n, struct further_item, node);
        if (strcmp(item->name, name) == 0)
            return item;
    }
    return add_item(f, name, hash);
}

/* --- emit ------------------------------------------------------------------------------------ */

static bool is_number(enum qn_type type)
{
    return type == QN_U64 || type == QN_I64 || type == QN_F64;
}

static int emit_to(struct qn_task *task, const char *output, struct qn_slice key,
                   struct qn_slice value)
{
    (void)context_owner(task); /* of one thread */
    struct context *c = context_of(task);
    struct further *f = c->further;
    const struct plugin *p = c->plugin;
    struct err why;
    if (!f) {
        err_set(&why, ERR_FAILED, "qn_emit_to cannot be called from combine");
        context_fail(c, TASK_FAILED_USER, &why);
        return -1;
    }
    context_called(c);
    if ((is_number(p->out_key) && key.len != 8) || (is_number(p->out_value) && value.len != 8)) {
        user_error(f, output, "numbers take eight bytes");
        return -1;
    }
    struct further_item *item = c->failed.code == 0 ? find_item(f, output) : NULL;
    if (!item)
        return -1;
    f->last = item;
    if (sink_record(&item->sink, p->out_key, key_from_qn(key), p->out_value, key_from_qn(value)) ==
        0)
        return 0;
    context_fail_engine(c, &item->sink.failed);
    return -1;
}

void further_open(struct further *further, struct context *c)
{
    *further = (struct further){.c = c};
    c->further = further;
    c->host.emit_to = emit_to;
}

/* --- the end --------------------------------------------------------------------------------- */

static int by_name(const void *pa, const void *pb)
{
    const struct task_file *a = pa, *b = pb;
    return slice_cmp(a->name, b->name);
}

static int finish_one(struct further *f, struct further_item *item)
{
    struct err why;
    if (sink_finish(&item->sink, &item->file, &why) != 0)
        return context_fail_engine(f->c, &why);
    f->records += item->file.records;
    f->raw += item->sink.raw;
    f->len += item->file.len;
    f->write_us += item->sink.write_us + item->sink.finish_us;
    return 0;
}

int further_finish(struct further *further, struct task_done *done)
{
    struct further *f = further;
    if (f->count == 0)
        return 0;
    size_t before = done->files.n, n = before;
    struct task_file *files = arena_calloc(&f->c->arena, before + f->count, sizeof(*files));
    if (!files)
        return no_memory(f);
    if (before)
        memcpy(files, done->files.v, before * sizeof(*files));
    for (struct further_item *item = f->all; item; item = item->next) {
        int rc = finish_one(f, item);
        if (rc != 0)
            return rc;
        files[n++] = item->file;
        context_tick(f->c);
    }
    qsort(files + before, f->count, sizeof(*files), by_name);
    done->files = (struct task_file_list){files, n};
    return 0;
}

void further_account(const struct further *further, struct task_account *account)
{
    account->out_records += further->records;
    account->out_raw += further->raw;
    account->out_bytes += further->len;
}

void further_abandon(struct further *further)
{
    struct further *f = further;
    for (struct further_item *item = f->all, *next; item; item = next) {
        next = item->next;
        sink_abandon(&item->sink);
        mem_free(item->buffer);
        mem_free(item);
    }
    hmap_release(&f->by_name);
    if (f->c)
        f->c->further = NULL;
    *further = (struct further){0};
}
