/* SPDX-License-Identifier: Apache-2.0
 * stream_in: a file being read.
 *
 *   read -> which block? (cache, else LOCATE) -> its replicas, nearest first, lately dead ones last
 *        -> by descriptors on our own node, else over a socket -> verified bytes
 *   a replica fails      -> the next one; damaged bytes are told to the namenode
 *   all replicas failed  -> ask again where they are, pause, try again; then the error names each
 *
 * Reading on where the last read ended keeps one long answer open, so that the next bytes are under
 * way while the caller works; reads elsewhere ask for just what they want. */
#ifndef QUERN_CLIENT_STREAM_IN_H
#define QUERN_CLIENT_STREAM_IN_H

#include "client/lib/block_read.h"

struct cl_in;

/* `path` is normal, copied. ERR_NOENT, ERR_ISDIR ... */
int cl_in_open(struct qn_fs *fs, const char *path, struct cl_in **ret, struct err *err);
void cl_in_close(struct cl_in *in);
/* Full unless the file ends. Any thread; reads run side by side. */
ssize_t cl_in_pread(struct cl_in *in, void *buffer, size_t size, uint64_t offset, struct err *err);
/* See qn_view. */
int cl_in_view(struct cl_in *in, uint64_t offset, size_t most, struct qn_view *ret,
               struct err *err);
/* From the stream's own place, which moves on. */
ssize_t cl_in_read(struct cl_in *in, void *buffer, size_t size, struct err *err);
void cl_in_seek(struct cl_in *in, uint64_t offset);
uint64_t cl_in_tell(struct cl_in *in);
uint64_t cl_in_length(const struct cl_in *in);

#endif
