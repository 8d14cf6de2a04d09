/* SPDX-License-Identifier: Apache-2.0
 * input_paths: which of the paths on a command line is read in which way, for jobs that read their
 * inputs in several (.inputs in quern/job.h), and how the files of each are cut. Pure. A way is
 * counted as in task_segment.input: 0 = the job's own, for paths without a name; else 1 + its place
 * in .inputs. So an array by it has inputs.n of the probe. */
#ifndef QUERN_CLIENT_INPUT_PATHS_H
#define QUERN_CLIENT_INPUT_PATHS_H

#include "client/lib/splits.h"
#include "libcommon/proto/task/probe.h"

struct input_words {
    const char *const *plain; /* PATH */
    size_t plain_count;
    const char *const *named; /* NAME=PATH, as behind -input */
    size_t named_count;
};

struct input_path {
    const char *word; /* as typed */
    const char *path; /* borrowed from it */
    uint32_t input;
};

struct input_paths {
    struct input_path *v; /* in the arena */
    size_t n;
};

/* ERR_USAGE: no such name (with the near one), a way without a path, no path at all; ERR_NOMEM. */
int input_paths_sort_out(const struct task_probe *probe, const struct input_words *words,
                         struct arena *arena, struct input_paths *ret, struct err *err);
/* How the files of each way are cut: as `base` says for all of them. In the arena; ERR_CONFIG:
 * lines are to be counted where there are none; ERR_NOMEM. */
int input_paths_confs(const struct task_probe *probe, const struct split_conf *base,
                      struct arena *arena, const struct split_conf **ret, struct err *err);

#endif
