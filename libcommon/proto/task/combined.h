/* SPDX-License-Identifier: Apache-2.0
 * combined: what a job's report says of combining, in one line. */
#ifndef QUERN_LIBCOMMON_PROTO_TASK_COMBINED_H
#define QUERN_LIBCOMMON_PROTO_TASK_COMBINED_H

#include <stdint.h>
#include <stdio.h>

/* Records before and after; `aside`: so many maps gave it up. Nothing when nothing was combined. */
void combined_tell(FILE *out, uint64_t before, uint64_t after, uint64_t aside);

#endif
