/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/local.h"

#include <errno.h>
#include <unistd.h>

#include "client/fs/glob.h"
#include "client/job/inputs.h"
#include "client/job/job.h"
#include "client/job/place.h"
#include "client/lib/uri.h"
#include "client/up/program.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/publish.h"

struct words {
    char **v;
    size_t n, cap;
    bool failed;
};

/* Takes `word` (mem_alloc'ed). */
static void add(struct words *words, char *word)
{
    if (!word || mem_grow(&words->v, &words->cap, words->n + 1, sizeof(char *)) != 0) {
        mem_free(word);
        words->failed = true;
        return;
    }
    words->v[words->n++] = word;
    words->v[words->n] = NULL;
}

static void add_option(struct words *words, const char *option, const char *value)
{
    add(words, str_dup(option));
    add(words, str_dup(value));
}

/* quern-task knows paths only: file:///a is /a. */
static char *path_of(const char *word)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(word), &uri);
    return uri.scheme.len ? slice_dup(uri.path) : str_dup(word);
}

/* PATH, or -input NAME=PATH, as it was typed. */
static void add_path(struct words *words, const struct input_path *typed, const char *path)
{
    if (typed->path != typed->word)
        add(words, str_dup("-input"));
    add(words, str_printf("%.*s%s", (int)(typed->path - typed->word), typed->word, path));
}

/* Patterns, as a cluster takes them, without what is hidden; a file that is called so is meant. */
static int add_input(struct words *words, struct fs_volume *local, const struct input_path *typed,
                     struct err *err)
{
    struct fs_items items = {0};
    struct qn_error error = {0};
    const char *word = typed->path;
    char *path = path_of(word);
    bool is_pattern = path && fs_glob_is_pattern(path) && access(path, F_OK) != 0;
    int rc = path && local ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    size_t meant = 0;
    if (rc == 0 && !is_pattern) {
        add_path(words, typed, path);
        meant = 1;
    } else if (rc == 0 && fs_glob(local, path, &items, &error) != 0) {
        rc = err_set(err, error.code, "%s: %s", word, error.message);
    }
    for (size_t i = 0; rc == 0 && i < items.n; i++)
        if (job_inputs_is_meant(path, items.v[i].path)) {
            add_path(words, typed, items.v[i].path);
            meant++;
        }
    if (rc == 0 && meant == 0)
        rc = err_set(err, ERR_NOENT, "%s: No such file or directory", word);
    fs_items_release(&items);
    mem_free(path);
    return rc;
}

/* quern-task -local -reduces N -mode M -D key=value ... PLUGIN [-input NAME=IN] IN... OUT */
static int describe(struct words *words, const struct job_local *job, struct err *err)
{
    const struct run_args *args = job->args;
    const struct msg_pair_list *settings = job->settings;
    const struct task_side_list *sides = job->sides;
    struct fs_volume *local = fs_volume_local_new();
    int rc = 0;
    char number[32];
    int64_t reduces =
        args->reduces >= 0 ? args->reduces : conf_int(job->conf, "mapreduce.job.reduces");
    snprintf(number, sizeof(number), "%lld", (long long)reduces);
    add(words, str_dup("quern-task"));
    add(words, str_dup("-local"));
    add_option(words, "-reduces", reduces >= 0 ? number : "auto");
    add_option(words, "-mode", cl2nn_publish_mode_name(args->mode));
    for (size_t i = 0; i < settings->n; i++) {
        add(words, str_dup("-D"));
        add(words, str_printf(SLICE_FMT "=" SLICE_FMT, SLICE_ARG(settings->v[i].key),
                              SLICE_ARG(settings->v[i].value)));
    }
    if (args->name)
        add_option(words, "-name", args->name);
    for (size_t i = 0; i < sides->n; i++) {
        add(words, str_dup("-file"));
        add(words, str_printf(SLICE_FMT "#" SLICE_FMT, SLICE_ARG(sides->v[i].path),
                              SLICE_ARG(sides->v[i].name)));
    }
    add(words, str_dup(job->plugin->path));
    for (size_t i = 0; rc == 0 && i < job->paths->n; i++)
        rc = add_input(words, local, &job->paths->v[i], err);
    add(words, path_of(args->output));
    fs_volume_free(local);
    return rc;
}

int job_run_local(const struct job_local *job, struct err *err)
{
    struct words words = {0};
    struct buf program = BUF_INIT;
    int rc = job_place_check_local(job->args->output, err);
    const struct task_side *remote = job_sides_remote(job->sides);
    if (rc == 0 && remote)
        rc = err_set(err, ERR_USAGE, "-file " SLICE_FMT " is in a cluster: not with -jt local",
                     SLICE_ARG(remote->path));
    if (rc == 0 && job->args->detach)
        rc = err_set(err, ERR_USAGE, "-detach leaves a job to a cluster: not with -jt local");
    for (size_t i = 0; rc == 0 && i < job->paths->n; i++)
        rc = job_place_check_local(job->paths->v[i].path, err);
    if (rc != 0)
        return JOB_EXIT_USAGE;
    rc = describe(&words, job, err);
    if (rc == 0 && words.failed)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = program_find("quern-task", &program, err);
    if (rc == 0) {
        execv(buf_cstr(&program), words.v);
        err_errno(err, errno, "cannot run %s", buf_cstr(&program));
    }
    for (size_t i = 0; i < words.n; i++)
        mem_free(words.v[i]);
    mem_free(words.v);
    buf_release(&program);
    return JOB_EXIT_FAILED;
}
