/* SPDX-License-Identifier: Apache-2.0
 * sides: a job's side files as its tasks see them: links in the directory they work in, and bytes
 * mapped read-only, each once for the life of an attempt. */
#ifndef QUERN_WORKER_PLUGIN_SIDES_H
#define QUERN_WORKER_PLUGIN_SIDES_H

#include "libcommon/proto/task/messages.h"

struct side_map {
    void *data;
    size_t len;
    bool is_mapped;
};
struct sides {
    const struct task_side_list *list; /* borrowed */
    struct side_map *maps;             /* as many; owned */
};

/* Links in the first of run->local_dirs; those of an earlier attempt there may stay. */
int sides_open(struct sides *sides, const struct task_run *run, struct err *err);
void sides_close(struct sides *sides);
/* The bytes of the one called `name`, until close. ERR_NOENT names those there are. */
int sides_bytes(struct sides *sides, const char *name, struct slice *ret, struct err *err);

#endif
