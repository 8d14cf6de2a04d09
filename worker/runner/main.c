/* SPDX-License-Identifier: Apache-2.0
 * quern-task: the process in which jobs' code runs. Workers and the local driver start it without
 * arguments, with a socket on descriptor 3. */
#include <malloc.h>
#include <stdio.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/fds.h"
#include "worker/local/again.h"
#include "worker/local/local.h"
#include "worker/runner/check.h"
#include "worker/runner/cord.h"
#include "worker/runner/probe.h"
#include "worker/runner/runner.h"
#include "worker/runner/sample.h"

static const char usage[] =
    "usage: quern-task                       run tasks for the process on descriptor 3\n"
    "       quern-task -probe [-json] PLUGIN tell what a plugin is\n"
    "       quern-task -local [-D key=value]... [-reduces N] [-mode fail|replace] [-name NAME]\n"
    "                         PLUGIN INPUT... OUTPUT\n"
    "                                        run a job on local files, on all cores\n"
    "       quern-task -sample               print keys of some input, by the order on stdin\n"
    "       quern-task -check                look at a job's options, by the order on stdin\n"
    "       quern-task -replay FILE [-gdb]   run a task again, as quern job -replay has laid it "
    "out\n"
    "       quern-task -version | -help\n";

static bool is_option(const char *word, const char *name)
{
    if (word[0] != '-')
        return false;
    return strcmp(word + (word[1] == '-' ? 2 : 1), name) == 0;
}

/* A large block is mapped by itself: it grows without a copy, and is gone when it is freed. Left to
 * itself, malloc takes such blocks from its heap once one was freed, and a line that grows by half
 * leaves holes of three times its length there, which no budget knows. Told so much, it no longer
 * learns how much of the heap to keep: two such blocks, or a job that takes and frees half a
 * mebibyte for each record has all its pages anew each time. */
#define LARGE_BLOCK (1 << 20)

int main(int argc, char **argv)
{
    struct err err = {0};
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK);
    fds_fill_std();
    if (fault_arm_from_env(&err) != 0) {
        fprintf(stderr, "quern-task: %s\n", err.msg);
        return 2;
    }
    if (argc < 2)
        return runner_serve(CORD_FD);
    if (is_option(argv[1], "probe"))
        return probe_main(argc - 1, argv + 1);
    if (is_option(argv[1], "local"))
        return local_main(argc - 1, argv + 1);
    if (is_option(argv[1], "sample"))
        return sample_main();
    if (is_option(argv[1], "check"))
        check_main();
    if (is_option(argv[1], "replay"))
        return again_main(argc - 1, argv + 1);
    if (is_option(argv[1], "version")) {
        printf("quern-task %s\n", QUERN_VERSION);
        return 0;
    }
    bool is_help = is_option(argv[1], "help");
    fputs(usage, is_help ? stdout : stderr);
    return is_help ? 0 : 2;
}
