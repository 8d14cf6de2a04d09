/* SPDX-License-Identifier: Apache-2.0
 * inputs: from the words on the command line to the files a job reads, and to its splits. A
 * directory means the files in it (below it too with
 * mapreduce.input.fileinputformat.input.dir.recursive); names that begin with _ or . are skipped,
 * also those that a pattern matches, unless typed. Files and directories that one of the patterns
 * in job.input.exclude matches are left out (splits_exclude). What is named twice is read twice. */
#ifndef QUERN_CLIENT_JOB_INPUTS_H
#define QUERN_CLIENT_JOB_INPUTS_H

#include "client/fs/volume.h"
#include "client/lib/input_paths.h"
#include "libcommon/base/conf.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/proto/task/probe.h"

struct job_inputs {
    struct arena arena;
    struct split_file *files; /* in splits_order */
    size_t count, cap;
    uint64_t bytes;
    const struct split_conf *how; /* they will be cut: by input */
};

/* Expand `paths` on `volume`, ask where the blocks are, and look which of the long ones are
 * compressed. Errors are one line without the program's name: "/in: No such file or directory". */
int job_inputs_open(struct job_inputs *inputs, struct fs_volume *volume, const struct conf *conf,
                    const struct input_paths *paths, const struct task_probe *probe,
                    struct err *err);
/* The rows of a job that makes its own: what its option NAME.rows says. */
int job_inputs_rows(struct job_inputs *inputs, const struct msg_pair_list *settings,
                    const struct task_probe *probe, const struct conf *conf, struct err *err);
void job_inputs_close(struct job_inputs *inputs);
/* Is `path`, which the word matched, an input? A pattern means no hidden files, unless it begins
 * like one. */
bool job_inputs_is_meant(const char *word, const char *path);

/* A split as a task is told it; paths are the inputs' own. */
int job_inputs_describe(const struct job_inputs *inputs, const struct split *split,
                        struct arena *arena, struct task_segment_list *ret);
/* The job's splits as the jobtracker wants them; lives in the inputs' arena. */
int job_inputs_split(struct job_inputs *inputs, struct cl2jt_splits *ret);

#endif
