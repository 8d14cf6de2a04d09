/* SPDX-License-Identifier: Apache-2.0
 * file: struct qn_file, a stream of either direction as the public API shows it. */
#ifndef QUERN_CLIENT_FILE_H
#define QUERN_CLIENT_FILE_H

#include "client/lib/handle.h"
#include "client/lib/stream_in.h"
#include "client/lib/stream_out.h"

struct qn_file {
    struct list link; /* in fs->files */
    struct qn_fs *fs;
    struct cl_in *in; /* exactly one of the two; neither once it is closed */
    struct cl_out *out;
};

/* qn_close of a file being written, which then gets its final name: stream_out.h. */
int cl_file_close_as(struct qn_file *file, const char *to, bool overwrite, struct qn_error *error);
/* The handle goes: so does the file, as it is. */
void cl_file_abandon(struct qn_file *file);
/* What is left of a closed one goes. Called with fs->lock, or when nobody else can be there. */
void cl_file_forget(struct qn_file *file);

#endif
