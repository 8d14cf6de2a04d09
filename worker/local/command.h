/* SPDX-License-Identifier: Apache-2.0
 * command: the local driver's command line, read into a checked configuration. */
#ifndef QUERN_WORKER_LOCAL_COMMAND_H
#define QUERN_WORKER_LOCAL_COMMAND_H

#include "libcommon/daemon/config.h"
#include "libcommon/proto/task/probe.h"
#include "libcommon/proto/types/messages.h"

struct command {
    struct config_args args;
    struct conf *conf;
    struct config_foreign foreign;      /* -D keys for the plugin */
    const char *plugin, *name, *output; /* borrowed from argv */
    const char **inputs;
    size_t input_count;
    const char **named; /* -input NAME=PATH, likewise */
    size_t named_count;
    const char **sides; /* -file PATH#NAME, each borrowed from argv */
    size_t side_count;
    uint32_t mode;   /* enum cl2nn_publish_mode */
    bool has_mode;   /* said with -mode */
    int64_t reduces; /* -1 = not said */
    bool is_verbose;
    const char *counters; /* a file for all of them, a line "group TAB name TAB value" each */
};

/* ERR_USAGE, ERR_CONFIG ...: nothing needs releasing then. */
int command_parse(struct command *command, int argc, char **argv, struct err *err);
void command_release(struct command *command);

/* The job's settings: the engine's own that were set, and the plugin's, each checked against its
 * options. Lives in the arena. ERR_CONFIG: "no option ...". */
int command_job_conf(const struct command *command, const struct task_probe *probe,
                     struct arena *arena, struct msg_pair_list *ret, struct err *err);

#endif
