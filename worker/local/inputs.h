/* SPDX-License-Identifier: Apache-2.0
 * inputs: the files of a job on local disks: files as named, and those in directories, less what
 * begins with '_' or '.', or is excluded (job.input.exclude). In splits_order, so that the same
 * files give the same splits. */
#ifndef QUERN_WORKER_LOCAL_INPUTS_H
#define QUERN_WORKER_LOCAL_INPUTS_H

#include "client/lib/input_paths.h"

struct inputs {
    struct arena *arena; /* borrowed; holds everything */
    struct split_file *files;
    size_t count, cap;
    uint64_t bytes;
    uint32_t input;            /* of the path in hand */
    struct conf_list excluded; /* borrows the configuration */
};

/* Paths may be relative. ERR_NOENT, ERR_ISDIR (a directory in a directory, unless `conf` takes
 * those, too) ...: one line that names the path. */
int inputs_list(struct inputs *inputs, struct arena *arena, const struct input_paths *paths,
                const struct conf *conf, struct err *err);

/* Looks where files may be cut that are not cut just anywhere (client/lib/cuts). */
int inputs_find_cuts(struct inputs *inputs, const struct split_conf *confs, struct err *err);

/* The absolute, normal form of a path; in the arena. NULL with err. */
const char *inputs_absolute(struct arena *arena, const char *path, struct err *err);

#endif
