/* SPDX-License-Identifier: Apache-2.0
 * run_args: the words behind `quern run`. */
#ifndef QUERN_CLIENT_JOB_RUN_ARGS_H
#define QUERN_CLIENT_JOB_RUN_ARGS_H

#include <stdio.h>

#include "client/job/sides.h"
#include "client/lib/input_paths.h"
#include "libcommon/daemon/config.h"

struct run_args {
    struct config_args config;
    const char *plugin, *name;
    char **inputs; /* in argv */
    size_t input_count;
    const char **named; /* -input NAME=PATH; the array is owned */
    size_t named_count;
    const char *output;
    size_t words;     /* behind the plugin */
    int64_t reduces;  /* -1 = not said */
    uint32_t iterate; /* so many times, each from what the one before made; 0 = not said */
    uint32_t mode;    /* enum cl2nn_publish_mode */
    bool has_mode;
    char *exclude;           /* "job.input.exclude=A,B", or NULL; owned */
    struct side_words sides; /* -file, -files */
    const char *chain;       /* -chain A,B,C; plugin is the first of them then */
    bool detach, want_list, want_help;
};
#define RUN_ARGS_INIT \
    {                 \
        .reduces = -1 \
    }

/* Options may stand before and behind the plugin's name. ERR_USAGE. A bare --help leaves plugin
 * NULL. */
int run_args_parse(struct run_args *args, int argc, char **argv, struct err *err);
/* Are there an input and an output? A job that makes its own rows has an output only. Which input
 * is which, *ret_paths tells, in the arena. */
int run_args_check(struct run_args *args, const struct task_probe *probe, struct arena *arena,
                   struct input_paths *ret_paths, struct err *err);
void run_args_help(FILE *out);
void run_args_release(struct run_args *args);

#endif
