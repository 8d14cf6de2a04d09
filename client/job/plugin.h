/* SPDX-License-Identifier: Apache-2.0
 * plugin: from the word a person typed to a shared object that has been looked at. A plugin is
 * loaded in a child process only (quern-task -probe). */
#ifndef QUERN_CLIENT_JOB_PLUGIN_H
#define QUERN_CLIENT_JOB_PLUGIN_H

#include "libcommon/base/buf.h"
#include "libcommon/proto/task/probe.h"

struct job_plugin {
    char *path;
    struct buf bytes; /* what the probe printed: `probe` borrows from it */
    struct arena arena;
    struct task_probe probe;
};

/* `word` is a path (it has a slash, or ends in .so) or the name of a bundled job. ERR_NOENT with
 * the near name, ERR_PLUGIN with what the probe said. */
int job_plugin_open(struct job_plugin *plugin, const char *word, struct err *err);
void job_plugin_close(struct job_plugin *plugin);

/* The bundled jobs, one line each: name and what it does. The exit code. */
int job_plugin_list(void);
/* What `quern run PLUGIN -help` shows. */
void job_plugin_help(const struct job_plugin *plugin);

#endif
