/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/iterate.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/fs/item.h"
#include "client/job/job.h"
#include "client/job/run_args.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"

bool job_iterate_is(int argc, char **argv)
{
    static const char name[] = "iterate";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i] + (argv[i][0] == '-') + (strncmp(argv[i], "--", 2) == 0);
        size_t len = strcspn(word, "=");
        if (word > argv[i] && len == sizeof(name) - 1 && memcmp(word, name, len) == 0)
            return true;
    }
    return false;
}

/* In a process of its own: without a cluster, the task's program takes its place. */
static int run_apart(int argc, char **argv, const struct job_step *step, job_step_fn run)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int code = run(argc, argv, step);
        _exit(fflush(stdout) == 0 ? code : JOB_EXIT_FAILED);
    }
    void (*old)(int) = signal(SIGINT, SIG_IGN); /* that is for the step */
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    signal(SIGINT, old);
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : JOB_EXIT_FAILED;
}

static struct fs_volume *open_volume(const struct run_args *args, struct conf **conf,
                                     struct err *err)
{
    struct config_foreign foreign = {0};
    struct qn_error error = {0};
    struct fs_volume *volume = NULL;
    if (config_open(&args->config, conf, &foreign, err) == 0) {
        bool is_local = args->config.jt && strcmp(args->config.jt, "local") == 0;
        volume = is_local ? fs_volume_local_new() : fs_volume_quern_new(*conf, NULL, &error);
        if (!volume)
            err_set(err, error.code ? error.code : ERR_NOMEM, "%s",
                    error.code ? error.message : "out of memory");
    }
    mem_free(foreign.defines);
    return volume;
}

/* What a step made on the way: nothing may be there, if it failed. */
static void remove_made(const struct run_args *args, const char *path)
{
    struct err err = {0};
    struct qn_error error = {0};
    struct conf *conf = NULL;
    struct fs_item item = {0};
    struct fs_volume *volume = open_volume(args, &conf, &err);
    int rc = volume ? fs_item_init(&item, volume, path, &error) : err.code;
    if (rc == 0)
        rc = volume->ops->remove(volume, item.path, true, &error);
    if (rc < 0 && rc != ERR_NOENT)
        fprintf(stderr, "quern run: %s stays behind: %s\n", path, volume ? error.message : err.msg);
    fs_item_release(&item);
    fs_volume_free(volume);
    conf_free(conf);
}

/* Gives the words of one step: parsing changes them. */
static char **words_of(int argc, char **argv)
{
    char **words = mem_calloc((size_t)argc + 1, sizeof(*words));
    for (int i = 0; words && i < argc; i++)
        words[i] = argv[i];
    return words;
}

static int run_steps(int argc, char **argv, const struct run_args *args, job_step_fn run)
{
    char *before = NULL;
    uint32_t id = 0;
    int code = JOB_EXIT_DONE;
    rand_secret(&id, sizeof(id));
    for (uint32_t n = 0; code == JOB_EXIT_DONE && n < args->iterate; n++) {
        bool is_last = n + 1 == args->iterate;
        char *made = is_last ? str_dup(args->output)
                             : str_printf("%s-step-%" PRIu32 "-%08" PRIx32, args->output, n, id);
        char **words = words_of(argc, argv);
        const struct job_step step = {.number = n, .in = before, .out = made};
        code = made && words ? run_apart(argc, words, &step, run) : JOB_EXIT_FAILED;
        if (before && code == JOB_EXIT_INTERRUPTED) /* the job runs on, and needs it */
            fprintf(stderr, "quern run: remove %s when it is over\n", before);
        else if (before)
            remove_made(args, before);
        if (code != JOB_EXIT_DONE)
            fprintf(stderr,
                    "quern run: that was step %" PRIu32 " of %" PRIu32 ", no other follows\n",
                    n + 1, args->iterate);
        mem_free(words);
        mem_free(before);
        before = made;
    }
    mem_free(before);
    return code;
}

int job_iterate(int argc, char **argv, job_step_fn run)
{
    struct run_args args = RUN_ARGS_INIT;
    struct err err = {0};
    char **words = words_of(argc, argv);
    int code = JOB_EXIT_USAGE;
    int rc = words ? run_args_parse(&args, argc, words, &err)
                   : err_set(&err, ERR_NOMEM, "out of memory");
    if (rc == 0 && (args.want_list || args.want_help))
        code = run(argc, argv, NULL);
    else if (rc == 0 && !args.output)
        err_set(&err, ERR_USAGE,
                "-iterate needs INPUT... and OUTPUT: each step but the first has "
                "the one before's output for its input");
    else if (rc == 0 && args.iterate > 1 &&
             args.input_count == 0) /* its map may know no such INPUT at all */
        err_set(&err, ERR_USAGE,
                "-iterate: what a step has made, the next reads as an INPUT without a name: give "
                "the first one so, too, beside -input");
    else if (rc == 0 && args.detach)
        err_set(&err, ERR_USAGE, "-detach leaves one job to a cluster, not the steps of -iterate");
    else if (rc == 0)
        code = run_steps(argc, argv, &args, run);
    if (err.code != 0)
        fprintf(stderr, "quern run: %s\n", err.msg);
    run_args_release(&args);
    mem_free(words);
    return code;
}
