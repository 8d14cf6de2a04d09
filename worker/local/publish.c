/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "worker/reduce/commit.h"

static int refuse_existing(const char *out, bool replaces, struct err *err)
{
    struct stat st;
    if (lstat(out, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s", out);
    if (!replaces)
        return err_set(err, ERR_EXIST, "%s exists already (add -mode replace, or remove it)", out);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_NOTDIR, "%s is not a directory: it will not be replaced", out);
    return 0;
}

static int make_dirs(const char *dir, struct err *err)
{
    char *path = str_dup(dir);
    int rc = path ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    for (char *p = path; rc == 0 && p && *p;) {
        p = strchr(p + 1, '/');
        if (p)
            *p = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            rc = err_errno(err, errno, "%s", path);
        if (p)
            *p = '/';
    }
    mem_free(path);
    return rc;
}

int publish_open(struct publish *publish, const char *out, bool replaces, struct arena *arena,
                 struct err *err)
{
    struct slice whole = slice_str(out), parent = path_parent(whole), name = path_name(whole);
    *publish = (struct publish){.out = out, .replaces = replaces};
    int rc = refuse_existing(out, replaces, err);
    if (rc != 0)
        return rc;
    size_t cap = whole.len + 64;
    char *stage = arena_alloc(arena, cap), *dir = slice_dup(parent);
    if (!stage || !dir) {
        mem_free(dir);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    snprintf(stage, cap, SLICE_FMT "%s." SLICE_FMT ".%d.unfinished", SLICE_ARG(parent),
             parent.len > 1 ? "/" : "", SLICE_ARG(name), (int)getpid());
    rc = make_dirs(dir, err);
    mem_free(dir);
    if (rc == 0 && mkdir(stage, 0777) != 0)
        rc = err_errno(err, errno, "%s", stage);
    publish->stage = stage;
    publish->is_made = rc == 0;
    return rc;
}

static int add_success(const struct publish *publish, struct err *err)
{
    char *path = fsutil_join(publish->stage, COMMIT_SUCCESS);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    int rc = fd >= 0 && close(fd) == 0
                 ? 0
                 : err_errno(err, errno, "%s/%s", publish->stage, COMMIT_SUCCESS);
    mem_free(path);
    return rc;
}

static int move(const char *from, const char *to, struct err *err)
{
    int rc = disk_rename(disk_real(), from, to);
    return rc == 0 ? 0 : err_set(err, rc, "%s cannot become %s: %s", from, to, err_text(rc));
}

int publish_commit(struct publish *publish, struct err *err)
{
    struct stat st;
    int rc = add_success(publish, err);
    char *aside = str_printf("%s.replaced", publish->stage);
    bool is_there = lstat(publish->out, &st) == 0;
    if (rc == 0 && !aside)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0 && is_there && !publish->replaces)
        rc = err_set(err, ERR_EXIST, "%s has come into being meanwhile", publish->out);
    if (rc == 0 && is_there)
        rc = move(publish->out, aside, err);
    if (rc == 0)
        rc = move(publish->stage, publish->out, err);
    if (rc == 0) {
        publish->is_made = false;
        if (is_there)
            rc = fsutil_remove_tree(disk_real(), aside, err);
    }
    mem_free(aside);
    return rc;
}

void publish_close(struct publish *publish)
{
    if (publish->is_made)
        (void)fsutil_remove_tree(disk_real(), publish->stage, NULL); /* what stays is hidden */
    publish->is_made = false;
}
