/* SPDX-License-Identifier: Apache-2.0
 * quern down: stop the local cluster, in the order in which its parts need each other, and wait.
 * Who runs is known from the locked pid files in DIR/run, so it also finds what an earlier shape
 * left. */
#include <dirent.h>
#include <errno.h>

#include "client/command.h"
#include "client/up/launch.h"
#include "client/up/options.h"
#include "libcommon/base/clock.h"
#include "libcommon/daemon/pidfile.h"

#define STOP_MS 15000

static const char *const order[] = {"worker", "jobtracker", "datanode", "namenode"};

/* The living processes whose pid files begin with `kind`. */
static size_t find_pids(const char *run_dir, const char *kind, pid_t *pids)
{
    size_t n = 0;
    DIR *dir = opendir(run_dir);
    const struct dirent *entry;
    while (dir && n < UP_STOP_MAX && (entry = readdir(dir))) {
        char path[UP_PATH_MAX + 256];
        size_t len = strlen(entry->d_name);
        if (strncmp(entry->d_name, kind, strlen(kind)) != 0 || len < 4 ||
            strcmp(entry->d_name + len - 4, ".pid") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", run_dir, entry->d_name);
        pid_t pid = pidfile_holder(path);
        if (pid > 0)
            pids[n++] = pid;
    }
    if (dir)
        closedir(dir);
    return n;
}

static int run(const char *dir, struct err *err)
{
    struct up_layout layout;
    char run_dir[UP_PATH_MAX];
    pid_t pids[UP_STOP_MAX];
    size_t stopped = 0;
    unsigned killed = 0;
    int rc = up_layout_open(&layout, dir, false, err);
    if (rc != 0)
        return rc;
    snprintf(run_dir, sizeof(run_dir), "%s/run", layout.dir);
    for (size_t k = 0; k < ARRAY_LEN(order); k++) {
        size_t n = find_pids(run_dir, order[k], pids);
        killed += up_stop(pids, n, clock_mono_ms() + STOP_MS);
        stopped += n;
    }
    if (stopped == 0)
        printf("nothing is running in %s\n", layout.dir);
    else
        printf("%zu daemons of %s stopped\n", stopped, layout.dir);
    if (killed)
        return err_set(err, ERR_TIMEOUT, "%u of them had to be killed after %d s", killed,
                       STOP_MS / 1000);
    return 0;
}

int cmd_down(int argc, char **argv)
{
    const char *dir = NULL, *help = NULL;
    struct err err = {0};
    int rest;
    const struct cmd_option options[] = {
        {"dir", "DIR", "the cluster's directory; default ~/.local/share/quern", &dir},
        {"help", NULL, "show this", &help},
    };
    int rc = cmd_options_parse(options, ARRAY_LEN(options), argc, argv, &rest, &err);
    if (rc == 0 && rest < argc)
        rc = err_set(&err, ERR_USAGE, "takes no argument \"%s\" (-dir DIR?)", argv[rest]);
    if (rc == 0 && help) {
        printf(
            "usage: quern down [-dir DIR]\n\nStops the cluster that `quern up` started there and "
            "waits until it is gone.\nThe data stays.\n\n");
        cmd_options_print(options, ARRAY_LEN(options));
        return 0;
    }
    if (rc == 0)
        rc = run(dir, &err);
    if (rc == 0)
        return 0;
    fprintf(stderr, "quern down: %s\n", err.msg);
    return rc == ERR_USAGE ? EXIT_USAGE : 1;
}
