/* SPDX-License-Identifier: Apache-2.0
 * renew: while a handle has files open for writing, one thread tells the namenode that they are
 * still wanted, and idle datanodes that we live. It begins with the first writer and ends some
 * seconds after the last one (or with the handle), so that many small files do not start many
 * threads. */
#ifndef QUERN_CLIENT_RENEW_H
#define QUERN_CLIENT_RENEW_H

#include "libcommon/base/list.h"
#include "libcommon/event/thread.h"

struct qn_fs;
struct cl_out;

struct cl_renew {
    struct qn_fs *fs;
    uint64_t every_ms;
    struct mutex lock;
    struct cond changed;
    struct list writers; /* struct cl_out */
    bool has_thread;     /* to be joined */
    bool is_running;
    bool is_ending;
    struct thread thread;
};

void cl_renew_init(struct cl_renew *renew, struct qn_fs *fs);
void cl_renew_release(struct cl_renew *renew); /* no writers any more */
int cl_renew_add(struct cl_renew *renew, struct cl_out *out, struct err *err);
/* After this the thread does not touch it any more. */
void cl_renew_remove(struct cl_renew *renew, struct cl_out *out);

#endif
