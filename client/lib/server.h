/* SPDX-License-Identifier: Apache-2.0
 * server: what the namenode says of itself and of how clients should behave. */
#ifndef QUERN_CLIENT_SERVER_H
#define QUERN_CLIENT_SERVER_H

#include <quern/fs.h>

/* fs.trash.interval of the server, else ours; asked once per handle. */
int cl_trash_interval(struct qn_fs *fs, uint64_t *ret_ms, struct qn_error *error);

#endif
