/* SPDX-License-Identifier: Apache-2.0
 * jobtracker: blocking questions to it, for `quern run` and `quern job`. */
#ifndef QUERN_CLIENT_TALK_JOBTRACKER_H
#define QUERN_CLIENT_TALK_JOBTRACKER_H

#include "libcommon/base/conf.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/wire/chan.h"

/* Connect to mapreduce.jobtracker.address. `self` must outlive the chan. */
int jobtracker_open(const struct conf *conf, const struct identity *self, struct chan **ret,
                    struct err *err);
/* Bring a blob unless it is there. `digest` is filled with its name. */
int jobtracker_bring(struct chan *chan, struct slice bytes, char digest[72], struct err *err);

#define jobtracker_ask(chan, METHOD, ask, arena, answer, err) \
    chan_call(chan, &CL2JT_methods[CL2JT_AT_##METHOD], ask, arena, answer, 0, err)

#endif
