/* SPDX-License-Identifier: Apache-2.0
 * further: the outputs a job names itself (qn_emit_to), beside the one every task has. Each is a
 * file next to the attempt's own, made when the first record goes to it; so it shares the attempt's
 * fate: told in DONE it is published with the rest, else it goes with the attempt's directory.
 *
 *     attempt's own   .../part-r-00003      "errors"       .../errors-r-00003
 *                                           "day=1/part"   .../day=1/part-r-00003 */
#ifndef QUERN_WORKER_SINK_FURTHER_H
#define QUERN_WORKER_SINK_FURTHER_H

#include "libcommon/base/hmap.h"
#include "worker/plugin/context.h"
#include "worker/sink/sink.h"

#define FURTHER_MAX    256U
#define FURTHER_BUFFER ((size_t)64 << 10)

struct further {
    struct context *c;
    struct hmap by_name;
    struct further_item *last, *all; /* newest first */
    size_t count;
    uint64_t records, raw, len, write_us; /* of all, when finished */
};

/* From here on qn_emit_to works, until abandon. Borrows the context. */
void further_open(struct further *further, struct context *c);
/* Ends the files and puts them behind those of `done`, in order of name. A failure is the
 * context's.
 */
int further_finish(struct further *further, struct task_done *done);
/* What they hold, to what the task tells of itself. */
void further_account(const struct further *further, struct task_account *account);
/* Also after finish. */
void further_abandon(struct further *further);

#endif
