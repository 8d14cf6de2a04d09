/* SPDX-License-Identifier: Apache-2.0
 * namenode: asking the namenode. One connection per handle, shared by its threads. */
#ifndef QUERN_CLIENT_TALK_NAMENODE_H
#define QUERN_CLIENT_TALK_NAMENODE_H

#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"
#include "libcommon/wire/hello.h"

/* Zeroed = not connected. The texts are its owner's, and so is `self`. */
struct cl_namenode {
    const char *address;
    const char *socket; /* where it listens too if it is on this machine; may be NULL */
    const struct identity *self;
    uint64_t client_id;
    _Atomic uint64_t last_seq;
    uint32_t timeout_ms; /* one silent peer */
    uint32_t call_ms;    /* one question, through its restart */
    struct chan *chan;
};

/* Connect; cl_namenode_close is harmless when that failed. */
int cl_namenode_open(struct cl_namenode *namenode, struct err *err);
void cl_namenode_close(struct cl_namenode *namenode);

/* Ask and wait, through reconnections, ERR_RETRY (a namenode that starts) and, for a file being
 * written, safe mode, until the handle's time for one call is over. `at` is a CL2NN_AT_ number. The
 * answer (may be NULL: not needed) and all it points to live in the arena. The namenode's own
 * message comes back unchanged. */
int cl_namenode_ask(struct cl_namenode *namenode, unsigned at, const void *ask, struct arena *arena,
                    void *ret_answer, struct err *err);

#endif
