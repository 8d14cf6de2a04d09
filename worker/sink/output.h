/* SPDX-License-Identifier: Apache-2.0
 * output: the file that a map or reduce task leaves, from the job's settings to what DONE tells.
 * With mapreduce.output.fileoutputformat.compress it is packed, and its name ends in .gz, .zst ...
 * With job.output.lazy a file that got no record does not become one. */
#ifndef QUERN_WORKER_SINK_OUTPUT_H
#define QUERN_WORKER_SINK_OUTPUT_H

#include "worker/plugin/context.h"
#include "worker/sink/sink.h"

struct output {
    struct sink sink;
    struct task_file *file; /* in the context's arena */
};

/* As the job's settings have it: how often, in blocks of what size; packed, raw. */
struct qn_create output_create(const struct context *c);
struct sink_how output_how(const struct context *c);
/* `buffer` (SINK_BUFFER) is borrowed until finish or abandon. A failure is the context's. */
int output_open(struct output *output, struct context *c, void *buffer);
int output_finish(struct output *output, struct context *c, struct task_done *done);
/* What went into it, so far as the account asks. */
void output_account(const struct output *output, struct task_account *account);
void output_abandon(struct output *output);

#endif
