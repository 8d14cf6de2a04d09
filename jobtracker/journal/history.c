/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/journal/history.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define HISTORY_FILE_MAX (256U << 20)

int history_init(struct history *history, struct disk *disk, const char *dir, struct err *err)
{
    *history = (struct history){.disk = disk, .dir = str_dup(dir)};
    if (!history->dir)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = fsutil_mkdirs(disk, dir, err);
    if (rc == 0) /* of a process that ended in the middle of a file */
        rc = fsutil_remove_endings(disk, dir, ".tmp", err);
    if (rc != 0)
        history_release(history);
    return rc;
}

void history_release(struct history *history)
{
    mem_free(history->dir);
    history->dir = NULL;
}

static char *file_of(const struct history *history, struct job_id id, const char *suffix)
{
    char name[ID_TEXT_MAX];
    return str_printf("%s/%s%s", history->dir, job_id_text(id, name, sizeof(name)), suffix);
}

int history_begin(struct history *history, struct job_id id, const char *suffix, struct slice data,
                  struct outfile *ret, struct err *err)
{
    char *path = file_of(history, id, suffix);
    int rc = path ? outfile_open(ret, history->disk, path, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        outfile_append(ret, data.data, data.len);
        outfile_flush(ret);
    }
    mem_free(path);
    return rc;
}

int history_sync(struct history *history, struct err *err)
{
    int rc = disk_fsync_dir(history->disk, history->dir);
    return rc == 0 ? 0 : err_set(err, rc, "%s: cannot sync: %s", history->dir, err_text(rc));
}

int history_write(struct history *history, struct job_id id, const char *suffix, struct slice data,
                  struct err *err)
{
    struct outfile out;
    int rc = history_begin(history, id, suffix, data, &out, err);
    if (rc == 0)
        rc = outfile_commit_unnamed(&out, err);
    return rc == 0 ? history_sync(history, err) : rc;
}

int history_read(struct history *history, struct job_id id, const char *suffix, struct buf *out,
                 struct err *err)
{
    char *path = file_of(history, id, suffix);
    int rc = path ? fsutil_read_all(history->disk, path, HISTORY_FILE_MAX, out, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(path);
    return rc;
}

bool history_has(const struct history *history, struct job_id id)
{
    struct disk_stat st;
    char *path = file_of(history, id, ".status");
    bool has = path && disk_stat(history->disk, path, &st) == 0;
    mem_free(path);
    return has;
}

struct listing {
    struct job_id *ids;
    size_t count, limit;
};

static bool is_newer(struct job_id a, struct job_id b)
{
    return a.cluster_ms != b.cluster_ms ? a.cluster_ms > b.cluster_ms : a.number > b.number;
}

/* Insert in order and drop the oldest beyond the limit. */
static int note(void *arg, const char *name, bool is_dir)
{
    struct listing *list = arg;
    char copy[ID_TEXT_MAX];
    size_t n = strlen(name), suffix = strlen(".status");
    struct job_id id;
    if (is_dir || n <= suffix || n >= sizeof(copy) || strcmp(name + n - suffix, ".status") != 0)
        return 0;
    memcpy(copy, name, n - suffix);
    copy[n - suffix] = 0;
    if (job_id_parse(copy, &id) != 0)
        return 0;
    size_t at = list->count;
    while (at > 0 && is_newer(id, list->ids[at - 1]))
        at--;
    if (at == list->limit)
        return 0;
    size_t kept = list->count < list->limit ? list->count : list->limit - 1;
    memmove(&list->ids[at + 1], &list->ids[at], (kept - at) * sizeof(id));
    list->ids[at] = id;
    list->count = kept + 1;
    return 0;
}

int history_list(struct history *history, size_t limit, struct job_id *ret_ids, size_t *ret_count)
{
    struct listing list = {.ids = ret_ids, .limit = limit};
    int rc = limit ? disk_list(history->disk, history->dir, note, &list) : 0;
    *ret_count = list.count;
    return rc;
}
