/* SPDX-License-Identifier: Apache-2.0
 * fds: the descriptors a process starts with, and how many more it may have.
 *
 * A program started with stderr closed would get its pid file, its journal or a socket as number 2,
 * and the next line of its log would land in that. */
#ifndef QUERN_BASE_FDS_H
#define QUERN_BASE_FDS_H

#include <stdint.h>

/* First call of every main. Fills 0, 1 and 2 where they are closed, the wrong way round: reading
 * what nobody gave, or writing to where nobody listens, stays an error (EBADF) and does not pass
 * for an empty file or success. */
void fds_fill_std(void);

/* As many descriptors as we may have without asking: shells and supervisors give 1024 for the sake
 * of select(2), which nobody here calls. Returns how many that is. */
uint64_t fds_raise_limit(void);

#endif
