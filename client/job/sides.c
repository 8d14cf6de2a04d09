/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/sides.h"

#include <errno.h>
#include <stdlib.h>

#include "client/fs/item.h"
#include "client/lib/uri.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define READ_BYTES ((size_t)1 << 20)

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int add_word(struct side_words *words, struct slice word, struct err *err)
{
    char *copy = slice_dup(word);
    if (!copy || mem_grow(&words->v, &words->cap, words->n, sizeof(char *)) != 0) {
        mem_free(copy);
        return no_memory(err);
    }
    words->v[words->n++] = copy;
    return 0;
}

int side_words_add(struct side_words *words, const char *list, bool has_commas, struct err *err)
{
    int rc = 0;
    while (rc == 0 && *list) {
        size_t len = has_commas ? strcspn(list, ",") : strlen(list);
        if (len)
            rc = add_word(words, slice_of(list, len), err);
        list += len + (list[len] == ',');
    }
    return rc;
}

void side_words_release(struct side_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        mem_free(words->v[i]);
    mem_free(words->v);
    *words = (struct side_words){0};
}

/* --- looking --------------------------------------------------------------------------------- */

static bool is_remote(const char *path)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(path), &uri);
    return cl_uri_is_ours(uri.scheme);
}

const struct task_side *job_sides_remote(const struct task_side_list *sides)
{
    for (size_t i = 0; i < sides->n; i++)
        if (is_remote((const char *)sides->v[i].path.data))
            return &sides->v[i];
    return NULL;
}

static int look(const char *word, struct arena *arena, struct task_side *ret, struct err *err)
{
    char *path = str_dup(strncmp(word, "file://", 7) == 0 ? word + 7 : word);
    if (!path)
        return no_memory(err);
    char *hash = strrchr(path, '#'), *slash, *whole;
    struct disk_stat st;
    int rc = 0;
    if (hash)
        *hash++ = 0;
    slash = strrchr(path, '/');
    const char *name = hash && *hash ? hash : slash ? slash + 1 : path;
    whole = is_remote(path) ? strdup(path) : realpath(path, NULL);
    if (!whole)
        rc = err_errno(err, errno, "-file %s", path);
    else if (is_remote(path))
        st = (struct disk_stat){0};
    else if ((rc = disk_stat(disk_real(), whole, &st)) != 0)
        err_set(err, rc, "-file %s: %s", path, err_text(rc));
    else if (st.is_dir)
        rc = err_set(err, ERR_ISDIR, "-file %s: Is a directory (give its files, or an archive)",
                     path);
    if (rc == 0 && (!*name || strchr(name, '/')))
        rc = err_set(err, ERR_USAGE, "-file %s: the name behind # has no slash", word);
    if (rc == 0)
        *ret = (struct task_side){.name = slice_keep(slice_str(name), arena),
                                  .size = st.size_bytes,
                                  .path = slice_keep(slice_str(whole), arena)};
    if (rc == 0 && (!ret->name.data || !ret->path.data))
        rc = no_memory(err);
    free(whole);
    mem_free(path);
    return rc;
}

static int check_name(const struct task_side_list *sides, const struct task_side *one,
                      struct err *err)
{
    if (slice_is(one->name, TASK_SIDE_RANGES))
        return err_set(err, ERR_USAGE,
                       "no side file can be called " TASK_SIDE_RANGES
                       ": it is the engine's own (-file PATH#NAME gives another name)");
    for (size_t i = 0; i < sides->n; i++)
        if (slice_eq(sides->v[i].name, one->name))
            return err_set(err, ERR_USAGE,
                           "two side files are called " SLICE_FMT " (-file PATH#NAME gives another "
                           "name)",
                           SLICE_ARG(one->name));
    return 0;
}

static int check_total(const struct task_side_list *sides, uint64_t max_bytes, struct err *err)
{
    char has[32], may[32];
    uint64_t bytes = 0;
    for (size_t i = 0; i < sides->n; i++)
        bytes += sides->v[i].size;
    if (max_bytes == 0 || bytes <= max_bytes)
        return 0;
    return err_set(err, ERR_TOOBIG,
                   "the side files have %s; mapreduce.job.cache.limit.max-resources-mb allows %s "
                   "(what is large belongs into the filesystem)",
                   str_human(bytes, has, sizeof(has)), str_human(max_bytes, may, sizeof(may)));
}

int job_sides_look(const struct side_words *words, uint64_t max_bytes, struct arena *arena,
                   struct task_side_list *ret, struct err *err)
{
    int rc = 0;
    *ret = (struct task_side_list){arena_calloc(arena, words->n + 2, sizeof(*ret->v)), 0};
    if (!ret->v)
        return no_memory(err);
    if (words->n >= SIDES_MAX)
        return err_set(err, ERR_USAGE, "at most %u side files", SIDES_MAX - 1);
    for (size_t i = 0; rc == 0 && i < words->n; i++) {
        rc = look(words->v[i], arena, &ret->v[i], err);
        if (rc == 0)
            rc = check_name(ret, &ret->v[i], err);
        ret->n += rc == 0;
    }
    return rc == 0 ? check_total(ret, max_bytes, err) : rc;
}

/* --- those in the job's filesystem ----------------------------------------------------------- */

static int no_remote(const struct task_side *side, const struct qn_error *error, struct err *err)
{
    return err_set(err, error->code, "-file " SLICE_FMT ": %s", SLICE_ARG(side->path),
                   error->message[0] ? error->message : err_text(error->code));
}

static int measure(struct fs_volume *volume, struct task_side *side, struct err *err)
{
    struct qn_error error = {0};
    struct fs_item item = {0};
    int rc = fs_item_init(&item, volume, (const char *)side->path.data, &error);
    if (rc == 0)
        rc = fs_item_refresh(&item, &error);
    if (rc != 0)
        no_remote(side, &error, err);
    else if (!item.exists || item.stat.is_dir)
        rc = err_set(err, item.exists ? ERR_ISDIR : ERR_NOENT, "-file " SLICE_FMT ": %s",
                     SLICE_ARG(side->path), err_text(item.exists ? ERR_ISDIR : ERR_NOENT));
    else
        side->size = item.stat.length;
    fs_item_release(&item);
    return rc;
}

int job_sides_measure(struct fs_volume *volume, uint64_t max_bytes, struct task_side_list *sides,
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sides->n; i++)
        if (is_remote((const char *)sides->v[i].path.data))
            rc = measure(volume, &sides->v[i], err);
    return rc == 0 ? check_total(sides, max_bytes, err) : rc;
}

/* --- bringing -------------------------------------------------------------------------------- */

static int read_file(struct fs_volume *volume, void *file, struct buf *bytes,
                     struct qn_error *error)
{
    for (ssize_t n = 1; n > 0;) {
        uint8_t *room = buf_reserve(bytes, READ_BYTES);
        n = room ? volume->ops->read(file, room, READ_BYTES, error) : 0;
        if (n < 0)
            return error->code;
        bytes->len += (size_t)n;
    }
    return 0;
}

static int read_remote(struct fs_volume *volume, const struct task_side *side, struct buf *bytes,
                       struct err *err)
{
    struct qn_error error = {0};
    struct fs_item item = {0};
    int rc = fs_item_init(&item, volume, (const char *)side->path.data, &error);
    void *file = rc == 0 ? volume->ops->open(volume, item.path, &error) : NULL;
    rc = file ? read_file(volume, file, bytes, &error) : error.code;
    if (file)
        volume->ops->close_read(file);
    fs_item_release(&item);
    if (rc == 0 && buf_failed(bytes))
        return no_memory(err);
    return rc == 0 ? 0 : no_remote(side, &error, err);
}

static int bring(struct chan *chan, struct fs_volume *volume, struct arena *arena,
                 struct task_side *side, struct err *err)
{
    struct buf bytes = BUF_INIT;
    char digest[72], *path = slice_dup(side->path);
    int rc = path ? 0 : no_memory(err);
    if (rc == 0 && is_remote(path))
        rc = read_remote(volume, side, &bytes, err);
    else if (rc == 0)
        rc = fsutil_read_all(disk_real(), path, (size_t)side->size, &bytes, err);
    if (rc == 0)
        rc = jobtracker_bring(chan, buf_slice(&bytes), digest, err);
    if (rc == 0) {
        side->size = bytes.len;
        side->digest = slice_keep(slice_str(digest), arena);
        rc = side->digest.data ? 0 : no_memory(err);
    }
    buf_release(&bytes);
    mem_free(path);
    return rc;
}

int job_sides_bring(struct chan *chan, struct fs_volume *volume, struct arena *arena,
                    struct task_side_list *sides, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sides->n; i++)
        rc = bring(chan, volume, arena, &sides->v[i], err);
    return rc;
}

int job_sides_add(struct task_side_list *sides, const char *name, const char *digest, uint64_t size,
                  struct arena *arena, struct err *err)
{
    struct slice kept = slice_keep(slice_str(digest), arena);
    sides->v[sides->n] = (struct task_side){.name = slice_str(name), .digest = kept, .size = size};
    sides->n += kept.data != NULL;
    return kept.data ? 0 : no_memory(err);
}
