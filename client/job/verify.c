/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/fs/item.h"
#include "client/job/job.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/proto/cl_nn/publish.h"

#define MANIFEST     "_MANIFEST"
#define MANIFEST_MAX ((size_t)1 << 30)
#define READ_SIZE    ((size_t)1 << 20)

struct listed {
    struct hmap_node node;
    struct slice name;
    uint64_t len, crc;
    bool is_gone; /* replaced since */
};

struct manifest {
    char *name;
    uint64_t mtime_ms;
};

struct verify {
    struct fs_volume *volume;
    const char *out;
    struct arena arena; /* manifests' texts, and what points into them */
    struct manifest *manifests;
    size_t count, cap;
    struct listed **files; /* in order of appearance */
    size_t file_count, file_cap;
    struct hmap by_name;
    bool has_success;
    uint8_t *room;
    uint64_t bytes, good, bad;
    struct err *err;
};

static int no_memory(struct verify *v)
{
    return err_set(v->err, ERR_NOMEM, "out of memory");
}

static int failed(struct verify *v, const char *path, const struct qn_error *error)
{
    return err_set(v->err, error->code, "%s: %s", path,
                   error->message[0] ? error->message : err_text(error->code));
}

/* --- manifests ------------------------------------------------------------------------------- */

static int note_entry(struct verify *v, const struct qn_stat *entry)
{
    v->has_success = v->has_success || strcmp(entry->name, "_SUCCESS") == 0;
    if (entry->is_dir || strncmp(entry->name, MANIFEST, strlen(MANIFEST)) != 0)
        return 0;
    char *name = str_dup(entry->name);
    if (!name || mem_grow(&v->manifests, &v->cap, v->count, sizeof(*v->manifests)) != 0) {
        mem_free(name);
        return no_memory(v);
    }
    v->manifests[v->count++] = (struct manifest){name, (uint64_t)entry->mtime_ms};
    return 0;
}

static int in_order(const void *pa, const void *pb)
{
    const struct manifest *a = pa, *b = pb;
    if (a->mtime_ms != b->mtime_ms)
        return a->mtime_ms < b->mtime_ms ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int find_manifests(struct verify *v)
{
    const struct fs_volume_ops *ops = v->volume->ops;
    struct qn_error error = {0};
    const struct qn_stat *entry;
    void *dir = ops->opendir(v->volume, v->out, &error);
    if (!dir)
        return failed(v, v->out, &error);
    int rc = 0;
    while (rc == 0 && (entry = ops->readdir(dir, &error)) != NULL)
        rc = note_entry(v, entry);
    if (rc == 0 && error.code != 0)
        rc = failed(v, v->out, &error);
    ops->closedir(dir);
    if (rc != 0)
        return rc;
    if (!v->has_success || v->count == 0)
        return err_set(v->err, ERR_NOENT, "%s: has no %s: it is no job's finished output", v->out,
                       v->has_success ? MANIFEST : "_SUCCESS");
    qsort(v->manifests, v->count, sizeof(*v->manifests), in_order);
    return 0;
}

static struct listed *find_listed(const struct verify *v, struct slice name)
{
    for (struct hmap_node *n = hmap_find(&v->by_name, slice_hash(name, 1)); n;
         n = hmap_find_next(n)) {
        struct listed *file = CONTAINER_OF(n, struct listed, node);
        if (slice_eq(file->name, name))
            return file;
    }
    return NULL;
}

static int add_listed(struct verify *v, struct slice name, uint64_t len, uint64_t crc)
{
    struct listed *file = find_listed(v, name);
    if (!file) {
        file = arena_calloc(&v->arena, 1, sizeof(*file));
        if (!file || mem_grow(&v->files, &v->file_cap, v->file_count, sizeof(*v->files)) != 0 ||
            hmap_add(&v->by_name, &file->node, slice_hash(name, 1)) != 0)
            return no_memory(v);
        v->files[v->file_count++] = file;
    }
    file->name = name;
    file->len = len;
    file->crc = crc;
    file->is_gone = false;
    return 0;
}

static struct slice dir_of(struct slice name)
{
    const uint8_t *slash = memrchr(name.data, '/', name.len);
    return slice_of(name.data, slash ? (size_t)(slash - name.data) : 0);
}

static struct slice take_until(struct slice *rest, char end)
{
    const uint8_t *p = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    size_t len = p ? (size_t)(p - rest->data) : rest->len;
    struct slice taken = slice_of(rest->data, len);
    *rest = slice_of(rest->data + len + (p != NULL), rest->len - len - (p != NULL));
    return taken;
}

/* NAME TAB length TAB records TAB crc */
static int take_line(struct verify *v, const char *path, struct slice line)
{
    struct slice rest = line, name = take_until(&rest, '\t'), len = take_until(&rest, '\t');
    struct slice records = take_until(&rest, '\t');
    char text[64], *end = NULL;
    unsigned long long bytes = 0, crc = 0;
    bool is_good = name.len > 0 && len.len > 0 && len.len < 24 && records.len > 0 && rest.len == 8;
    if (is_good) {
        snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(len));
        bytes = strtoull(text, &end, 10);
        is_good = *end == 0;
        snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(rest));
        crc = strtoull(text, &end, 16);
        is_good = is_good && *end == 0;
    }
    if (!is_good)
        return err_set(v->err, ERR_CORRUPT, "%s: is no manifest: \"%.*s\"", path,
                       (int)(line.len < 80 ? line.len : 80), (const char *)line.data);
    return add_listed(v, name, bytes, crc);
}

/* What is listed so far in the directories of these lines is gone. */
static int drop_replaced(struct verify *v, struct slice text)
{
    struct hmap dirs = HMAP_INIT;
    int rc = 0;
    while (rc == 0 && text.len > 0) {
        struct slice line = take_until(&text, '\n');
        struct listed *dir = arena_calloc(&v->arena, 1, sizeof(*dir));
        if (!dir) {
            rc = no_memory(v);
            break;
        }
        dir->name = dir_of(take_until(&line, '\t'));
        rc = hmap_add(&dirs, &dir->node, slice_hash(dir->name, 1));
    }
    for (size_t i = 0; rc == 0 && i < v->file_count; i++) {
        struct slice dir = dir_of(v->files[i]->name);
        for (struct hmap_node *n = hmap_find(&dirs, slice_hash(dir, 1)); n; n = hmap_find_next(n))
            if (slice_eq(CONTAINER_OF(n, struct listed, node)->name, dir)) {
                v->files[i]->is_gone = true;
                break;
            }
    }
    hmap_release(&dirs);
    return rc;
}

/* OUT/NAME in the arena; NULL when memory is out. */
static const char *path_of(struct verify *v, struct slice name)
{
    size_t room = strlen(v->out) + name.len + 2;
    char *path = arena_alloc(&v->arena, room);
    if (path)
        snprintf(path, room, "%s/" SLICE_FMT, v->out, SLICE_ARG(name));
    else
        (void)no_memory(v);
    return path;
}

static int read_manifest(struct verify *v, const char *path, struct slice *ret)
{
    const struct fs_volume_ops *ops = v->volume->ops;
    struct qn_error error = {0};
    void *in = ops->open(v->volume, path, &error);
    if (!in)
        return failed(v, path, &error);
    uint64_t len = ops->length(in), got = 0;
    uint8_t *text = len < MANIFEST_MAX ? arena_alloc(&v->arena, (size_t)len + 1) : NULL;
    int rc = text ? 0 : no_memory(v);
    while (rc == 0 && got < len) {
        ssize_t n = ops->read(in, text + got, (size_t)(len - got), &error);
        if (n <= 0)
            rc = n < 0 ? failed(v, path, &error) : err_set(v->err, ERR_IO, "%s: ends early", path);
        else
            got += (uint64_t)n;
    }
    ops->close_read(in);
    *ret = slice_of(text, (size_t)got);
    return rc;
}

static int take_manifest(struct verify *v, const char *name)
{
    const char *path = path_of(v, slice_str(name));
    struct slice text = {0}, mark = slice_str(CL2NN_MANIFEST_PARTITION "\n");
    int rc = path ? read_manifest(v, path, &text) : ERR_NOMEM;
    if (rc == 0 && slice_has_prefix(text, mark)) {
        text = slice_of(text.data + mark.len, text.len - mark.len);
        rc = drop_replaced(v, text);
    }
    while (rc == 0 && text.len > 0)
        rc = take_line(v, path, take_until(&text, '\n'));
    return rc;
}

/* --- files ----------------------------------------------------------------------------------- */

static void blame(struct verify *v, const char *path, const char *what)
{
    fprintf(stderr, "quern job: %s: %s\n", path, what);
    v->bad++;
}

static void check_file(struct verify *v, const char *path, const struct listed *file)
{
    const struct fs_volume_ops *ops = v->volume->ops;
    struct qn_error error = {0};
    char what[160];
    uint64_t len = 0;
    uint32_t crc = 0;
    ssize_t n = -1;
    void *in = ops->open(v->volume, path, &error);
    while (in && (n = ops->read(in, v->room, READ_SIZE, &error)) > 0) {
        crc = crc32c(crc, v->room, (size_t)n);
        len += (uint64_t)n;
    }
    if (in)
        ops->close_read(in);
    if (n < 0) {
        blame(v, path, error.message[0] ? error.message : err_text(error.code));
        return;
    }
    v->bytes += len;
    if (len != file->len) {
        snprintf(what, sizeof(what), "has %" PRIu64 " bytes, its manifest says %" PRIu64, len,
                 file->len);
        blame(v, path, what);
    } else if (crc != file->crc) {
        snprintf(what, sizeof(what), "its checksum is %08" PRIx32 ", its manifest says %08" PRIx64,
                 crc, file->crc);
        blame(v, path, what);
    } else {
        v->good++;
    }
}

static int check_all(struct verify *v)
{
    int rc = find_manifests(v);
    for (size_t i = 0; rc == 0 && i < v->count; i++)
        rc = take_manifest(v, v->manifests[i].name);
    for (size_t i = 0; rc == 0 && i < v->file_count; i++) {
        const char *path = v->files[i]->is_gone ? NULL : path_of(v, v->files[i]->name);
        if (path)
            check_file(v, path, v->files[i]);
        else if (!v->files[i]->is_gone)
            rc = ERR_NOMEM;
    }
    return rc;
}

static int open_volume(struct verify *v, const char *text, const struct config_args *config,
                       struct conf **conf)
{
    struct qn_error error = {0};
    bool is_local = (config->jt && strcmp(config->jt, "local") == 0) ||
                    strncmp(text, "file:", strlen("file:")) == 0;
    int rc = config_open(config, conf, NULL, v->err);
    if (rc != 0)
        return rc;
    v->volume = is_local ? fs_volume_local_new() : fs_volume_quern_new(*conf, NULL, &error);
    v->room = mem_alloc(READ_SIZE);
    if (!v->volume || !v->room)
        return error.code ? err_set(v->err, error.code, "%s", error.message) : no_memory(v);
    return 0;
}

int job_verify(const char *out, const struct config_args *config, struct err *err)
{
    struct verify v = {.err = err};
    struct conf *conf = NULL;
    struct fs_item item = {0};
    struct qn_error error = {0};
    char bytes[32];
    int rc = open_volume(&v, out, config, &conf);
    if (rc == 0 && fs_item_init(&item, v.volume, out, &error) != 0)
        rc = err_set(err, error.code, "%s: %s", out, error.message);
    v.out = item.path;
    if (rc == 0)
        rc = check_all(&v);
    if (rc == 0)
        printf("%s: %" PRIu64 " files, %s, %s\n", v.out, v.good,
               str_human(v.bytes, bytes, sizeof(bytes)),
               v.bad ? "others are not what their manifest says" : "all as their manifest says");
    for (size_t i = 0; i < v.count; i++)
        mem_free(v.manifests[i].name);
    mem_free(v.manifests);
    mem_free(v.files);
    mem_free(v.room);
    hmap_release(&v.by_name);
    arena_release(&v.arena);
    fs_item_release(&item);
    fs_volume_free(v.volume);
    conf_free(conf);
    return rc != 0 ? job_exit_of_error(rc) : v.bad ? JOB_EXIT_FAILED : JOB_EXIT_DONE;
}
