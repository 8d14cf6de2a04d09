/* SPDX-License-Identifier: Apache-2.0
 * server: what the namenode says of itself and of how clients should behave. */
#ifndef QUERN_CLIENT_SERVER_H
#define QUERN_CLIENT_SERVER_H

#include <quern/fs.h>

/* fs.trash.interval of the server, else ours; asked once per handle. */
int cl_trash_interval(struct qn_fs *fs, uint64_t *ret_ms, struct qn_error *error);
/* May the caller read (4), write (2), pass through (1) what is there? 0, ERR_ACCESS, or what
 * qn_stat says. */
int cl_access(struct qn_fs *fs, const char *path, uint32_t want, struct qn_error *error);

#endif
