/* SPDX-License-Identifier: Apache-2.0
 * doing: what each thread is at work on, for the crash report. Two stores, so that every request
 * may say it:
 *
 *     doing_set("CL2NN_MKDIR", call_id);  ...  doing_set(NULL, 0); */
#ifndef QUERN_BASE_DOING_H
#define QUERN_BASE_DOING_H

#include <stdint.h>

struct doing {
    const char *what; /* a literal, or what outlives the work; NULL = nothing */
    uint64_t id;
};
extern _Thread_local struct doing doing_now;

static inline void doing_set(const char *what, uint64_t id)
{
    doing_now.what = what;
    doing_now.id = id;
}

#endif
