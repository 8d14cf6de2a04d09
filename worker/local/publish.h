/* SPDX-License-Identifier: Apache-2.0
 * publish: the output directory appears whole, by one rename, or not at all.
 *
 *   1 make a hidden directory beside OUT       crash: OUT as before, the hidden one stays behind
 *   2 tasks write their files into it
 *   3 replace: move the old OUT aside          crash: OUT is missing, both others are there
 *   4 rename the hidden one to OUT             from here on the output is there
 *   5 replace: remove the old one */
#ifndef QUERN_WORKER_LOCAL_PUBLISH_H
#define QUERN_WORKER_LOCAL_PUBLISH_H

#include "libcommon/base/mem.h"

struct publish {
    const char *out;   /* absolute; borrowed */
    const char *stage; /* in the arena */
    bool replaces, is_made;
};

/* Refuses an OUT that exists unless it may be replaced: ERR_EXIST. Makes the stage. */
int publish_open(struct publish *publish, const char *out, bool replaces, struct arena *arena,
                 struct err *err);
/* Adds _SUCCESS and moves it to its place. */
int publish_commit(struct publish *publish, struct err *err);
/* Removes the stage, if it still is one. */
void publish_close(struct publish *publish);

#endif
