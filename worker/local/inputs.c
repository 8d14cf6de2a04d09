/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/cuts.h"
#include "libcommon/base/path.h"
#include "libcommon/store/disk.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

const char *inputs_absolute(struct arena *arena, const char *path, struct err *err)
{
    struct buf normal = BUF_INIT;
    char *cwd = getcwd(NULL, 0), *copy = NULL;
    int rc = cwd ? path_normalise(slice_str(cwd), slice_str(path), &normal) : ERR_NOENT;
    if (rc != 0)
        err_set(err, rc, "%s: %s", path, err_text(rc));
    else if (!buf_failed(&normal))
        copy = slice_text(buf_slice(&normal), arena);
    if (rc == 0 && !copy)
        no_memory(err);
    free(cwd);
    buf_release(&normal);
    return copy;
}

static int add_file(struct inputs *in, struct slice path, uint64_t len, struct err *err)
{
    if (in->count == in->cap) {
        size_t cap = in->cap ? 2 * in->cap : 64;
        struct split_file *wider = arena_calloc(in->arena, cap, sizeof(*wider));
        if (!wider)
            return no_memory(err);
        if (in->count)
            memcpy(wider, in->files, in->count * sizeof(*wider));
        in->files = wider;
        in->cap = cap;
    }
    in->files[in->count++] = (struct split_file){.path = path, .len = len, .input = in->input};
    in->bytes += len;
    return 0;
}

static int add_path(struct inputs *in, const char *path, bool recursive, int depth,
                    struct err *err);

static int add_dir(struct inputs *in, const char *path, bool recursive, int depth, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, errno, "%s", path);
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '_' || entry->d_name[0] == '.')
            continue;
        size_t len = strlen(path) + strlen(entry->d_name) + 2;
        char *below = arena_alloc(in->arena, len);
        if (!below) {
            rc = no_memory(err);
            break;
        }
        snprintf(below, len, "%s%s%s", path, strcmp(path, "/") == 0 ? "" : "/", entry->d_name);
        rc = add_path(in, below, recursive, depth + 1, err);
    }
    closedir(dir);
    return rc;
}

static int add_path(struct inputs *in, const char *path, bool recursive, int depth, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(err, errno, "%s", path);
    if (splits_exclude(&in->excluded, slice_str(path)))
        return 0;
    if (S_ISREG(st.st_mode))
        return add_file(in, slice_str(path), (uint64_t)st.st_size, err);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_UNSUPPORTED, "%s: neither a file nor a directory", path);
    if (depth > 0 && !recursive)
        return err_set(err, ERR_ISDIR,
                       "%s: a directory among the input files: name it as an input of its own, or "
                       "set -D mapreduce.input.fileinputformat.input.dir.recursive=true",
                       path);
    if (depth > PATH_MAX_DEPTH)
        return err_set(err, ERR_TOOBIG, "%s: too deep", path);
    return add_dir(in, path, recursive, depth, err);
}

static int in_order(const void *a, const void *b)
{
    return splits_order(a, b);
}

int inputs_list(struct inputs *inputs, struct arena *arena, const struct input_paths *paths,
                const struct conf *conf, struct err *err)
{
    bool recursive = conf_bool(conf, "mapreduce.input.fileinputformat.input.dir.recursive");
    *inputs = (struct inputs){.arena = arena, .excluded = conf_list(conf, "job.input.exclude")};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < paths->n; i++) {
        const char *path = inputs_absolute(arena, paths->v[i].path, err);
        inputs->input = paths->v[i].input;
        rc = path ? add_path(inputs, path, recursive, 0, err) : err->code;
    }
    if (inputs->count)
        qsort(inputs->files, inputs->count, sizeof(*inputs->files), in_order);
    return rc;
}

static int64_t read_at(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    const int *fd = arg;
    int64_t n = disk_pread(disk_real(), *fd, data, len, off);
    return n < 0 ? err_set(err, (int)n, "%s", err_text((int)n)) : n;
}

int inputs_find_cuts(struct inputs *inputs, const struct split_conf *confs, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < inputs->count; i++) {
        struct split_file *file = &inputs->files[i];
        const char *path = (const char *)file->path.data;
        const struct split_conf *how = &confs[file->input];
        struct err why;
        if (!splits_would_cut(file, how))
            continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(err, errno, "%s", path);
        rc = cuts_look(file, how, &(struct frames_file){read_at, &fd, file->len}, inputs->arena,
                       &why);
        close(fd);
        if (rc != 0)
            err_set(err, rc, "%s: %s", path, why.msg);
    }
    return rc;
}
