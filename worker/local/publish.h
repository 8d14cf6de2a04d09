/* SPDX-License-Identifier: Apache-2.0
 * publish: the output directory appears whole, by one rename, or not at all.
 *
 *   1 make a hidden directory beside OUT       crash: OUT as before, the hidden one stays behind
 *   2 attempts write their files into it, each below _temporary/<attempt>/
 *   3 those of the winners move up, the others go
 *   4 replace: move the old OUT aside          crash: OUT is missing, both others are there
 *   5 rename the hidden one to OUT             from here on the output is there
 *   6 replace: remove the old one
 *
 * Into an output that stays (append, replace-partition) files are moved one by one, between taking
 * _SUCCESS away and making it anew: a crash leaves some of them, and no _SUCCESS. A cluster does
 * that in one step, too. */
#ifndef QUERN_WORKER_LOCAL_PUBLISH_H
#define QUERN_WORKER_LOCAL_PUBLISH_H

#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/publish.h"
#include "libcommon/proto/task/messages.h"

struct publish {
    const char *out;
    const char *stage; /* where tasks write; in the arena */
    uint32_t mode;     /* enum cl2nn_publish_mode */
    bool is_made;
};

/* `out` is absolute and lives as long as the publish. ERR_EXIST, ERR_NOTDIR; makes the directories
 * above. */
int publish_open(struct publish *publish, const char *out, uint32_t mode, struct arena *arena,
                 struct err *err);
/* The files of the tasks that won, in order of name; `job` names the manifest beside older ones. */
int publish_commit(struct publish *publish, const struct task_file_list *files, const char *job,
                   struct err *err);
/* Removes what was not committed. */
void publish_close(struct publish *publish);

#endif
