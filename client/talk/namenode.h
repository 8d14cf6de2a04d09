/* SPDX-License-Identifier: Apache-2.0
 * namenode: asking the namenode. One connection per handle, shared by its threads. */
#ifndef QUERN_CLIENT_TALK_NAMENODE_H
#define QUERN_CLIENT_TALK_NAMENODE_H

#include "client/lib/handle.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/cl_nn/messages.h"

/* Ask and wait, through reconnections, ERR_RETRY (a namenode that starts) and, for a file being
 * written, safe mode, until the handle's time for one call is over. `at` is a CL2NN_AT_ number. The
 * answer (may be NULL: not needed) and all it points to live in the arena. The namenode's own
 * message comes back unchanged.
 */
int cl_ask(struct qn_fs *fs, unsigned at, const void *ask, struct arena *arena, void *ret_answer,
           struct err *err);

/* Connect; cl_hang_up is harmless when that failed. */
int cl_dial(struct qn_fs *fs, struct err *err);
void cl_hang_up(struct qn_fs *fs);

/* Number for the next request that changes something. */
struct msg_origin cl_origin(struct qn_fs *fs);

#endif
