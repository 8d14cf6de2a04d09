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
    struct cl_in *in; /* exactly one of the two */
    struct cl_out *out;
};

/* The handle goes: so does the file, as it is. */
void cl_file_abandon(struct qn_file *file);

#endif
