/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "worker/sink/commit.h"

/* Made by a job, or empty. A slip of the hand, "." or a home, is neither. */
static bool may_go(const char *out)
{
    DIR *list = opendir(out);
    const struct dirent *entry;
    bool is_output = false, has_files = false;
    while (list && !is_output && (entry = readdir(list)) != NULL) {
        is_output = cl2nn_publish_is_mark(slice_str(entry->d_name));
        has_files |= strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    bool is_read = list != NULL;
    if (list)
        closedir(list);
    return is_read && (is_output || !has_files);
}

static int refuse_existing(const char *out, uint32_t mode, struct err *err)
{
    struct stat st;
    if (lstat(out, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s", out);
    if (mode == CL2NN_PUBLISH_FAIL)
        return err_set(err, ERR_EXIST, "%s exists already (add -mode replace, or remove it)", out);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_NOTDIR, "%s" CL2NN_PUBLISH_FILE, out);
    if (mode != CL2NN_PUBLISH_APPEND && !may_go(out))
        return err_set(err, ERR_EXIST, "%s" CL2NN_PUBLISH_FOREIGN, out);
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

int publish_open(struct publish *publish, const char *out, uint32_t mode, struct arena *arena,
                 struct err *err)
{
    struct slice whole = slice_str(out), parent = path_parent(whole), name = path_name(whole);
    *publish = (struct publish){.out = out, .mode = mode};
    int rc = refuse_existing(out, mode, err);
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

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int add_success(const char *dir, struct err *err)
{
    char *path = fsutil_join(dir, COMMIT_SUCCESS);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    int rc = fd >= 0 && close(fd) == 0 ? 0 : err_errno(err, errno, "%s/%s", dir, COMMIT_SUCCESS);
    mem_free(path);
    return rc;
}

/* Of an earlier job: what is half there must not look whole. */
static int take_success(const char *dir, struct err *err)
{
    char *path = fsutil_join(dir, COMMIT_SUCCESS);
    int rc = path ? 0 : no_memory(err);
    if (rc == 0 && unlink(path) != 0 && errno != ENOENT)
        rc = err_errno(err, errno, "%s", path);
    mem_free(path);
    return rc;
}

static int move(const char *from, const char *to, struct err *err)
{
    int rc = disk_rename(disk_real(), from, to);
    return rc == 0 ? 0 : err_set(err, rc, "%s cannot become %s: %s", from, to, err_text(rc));
}

/* To DIR/NAME, where nothing may be. */
static int move_in(struct slice from, const char *dir, struct slice name, struct err *err)
{
    struct stat st;
    char *source = slice_dup(from), *to = str_printf("%s/" SLICE_FMT, dir, SLICE_ARG(name));
    char *above = to ? slice_dup(path_parent(slice_str(to))) : NULL;
    int rc = source && above ? make_dirs(above, err) : no_memory(err);
    if (rc == 0 && lstat(to, &st) == 0)
        rc = err_set(err, ERR_EXIST, "%s exists already", to);
    if (rc == 0)
        rc = move(source, to, err);
    mem_free(source);
    mem_free(to);
    mem_free(above);
    return rc;
}

/* The files in DIR go; directories stay, and in OUT itself the older manifests. */
static int clear_files(const char *dir, bool is_out, struct err *err)
{
    DIR *list = opendir(dir);
    const struct dirent *entry;
    int rc = list || errno == ENOENT ? 0 : err_errno(err, errno, "%s", dir);
    while (rc == 0 && list && (entry = readdir(list)) != NULL) {
        struct stat st;
        bool is_kept =
            is_out && strncmp(entry->d_name, COMMIT_MANIFEST, strlen(COMMIT_MANIFEST)) == 0;
        if (is_kept || fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            S_ISDIR(st.st_mode))
            continue;
        if (unlinkat(dirfd(list), entry->d_name, 0) != 0)
            rc = err_errno(err, errno, "%s/%s", dir, entry->d_name);
    }
    if (list)
        closedir(list);
    return rc;
}

static int clear_directories(const struct publish *publish, const struct task_file_list *files,
                             struct err *err)
{
    struct slice last = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        struct slice name = files->v[i].name;
        const uint8_t *slash = memrchr(name.data, '/', name.len);
        struct slice dir = slice_of(name.data, slash ? (size_t)(slash - name.data) : 0);
        if (i > 0 && slice_eq(dir, last))
            continue;
        char *path = str_printf("%s/" SLICE_FMT, publish->out, SLICE_ARG(dir));
        rc = path ? clear_files(path, dir.len == 0, err) : no_memory(err);
        mem_free(path);
        last = dir;
    }
    return rc;
}

static int move_all(const struct task_file_list *files, const char *to, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->n; i++)
        rc = move_in(files->v[i].path, to, files->v[i].name, err);
    return rc;
}

/* Into an output that stays. */
static int commit_into(struct publish *publish, const struct task_file_list *files, const char *job,
                       struct err *err)
{
    char *from = str_printf("%s/" COMMIT_MANIFEST, publish->stage);
    char *name = str_printf(COMMIT_MANIFEST "-%s", job);
    int rc = from && name ? make_dirs(publish->out, err) : no_memory(err);
    if (rc == 0)
        rc = take_success(publish->out, err);
    if (rc == 0 && publish->mode == CL2NN_PUBLISH_PARTITION)
        rc = clear_directories(publish, files, err);
    if (rc == 0)
        rc = move_all(files, publish->out, err);
    if (rc == 0)
        rc = move_in(slice_str(from), publish->out, slice_str(name), err);
    if (rc == 0)
        rc = add_success(publish->out, err);
    mem_free(from);
    mem_free(name);
    return rc;
}

/* What is in place of it, if anything, goes. */
static int swap_in(struct publish *publish, struct err *err)
{
    struct stat st;
    char *aside = str_printf("%s.replaced", publish->stage);
    bool is_there = lstat(publish->out, &st) == 0;
    int rc = aside ? 0 : no_memory(err);
    if (rc == 0 && is_there && publish->mode == CL2NN_PUBLISH_FAIL)
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

int publish_commit(struct publish *publish, const struct task_file_list *files, const char *job,
                   struct err *err)
{
    if (publish->mode != CL2NN_PUBLISH_FAIL && refuse_existing(publish->out, publish->mode, err))
        return err->code; /* somebody has put files there meanwhile */
    if (publish->mode == CL2NN_PUBLISH_APPEND || publish->mode == CL2NN_PUBLISH_PARTITION)
        return commit_into(publish, files, job, err);
    struct stat st;
    char *attempts = fsutil_join(publish->stage, "_temporary");
    int rc = attempts ? move_all(files, publish->stage, err) : no_memory(err);
    if (rc == 0 && lstat(attempts, &st) == 0)
        rc = fsutil_remove_tree(disk_real(), attempts, err);
    if (rc == 0)
        rc = add_success(publish->stage, err);
    mem_free(attempts);
    return rc == 0 ? swap_in(publish, err) : rc;
}

void publish_close(struct publish *publish)
{
    if (publish->is_made)
        (void)fsutil_remove_tree(disk_real(), publish->stage, NULL); /* what stays is hidden */
    publish->is_made = false;
}
