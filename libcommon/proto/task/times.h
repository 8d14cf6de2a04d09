/* SPDX-License-Identifier: Apache-2.0
 * times: what attempts took and moved, as lists that everybody walks who adds it up or shows it. */
#ifndef QUERN_PROTO_TASK_TIMES_H
#define QUERN_PROTO_TASK_TIMES_H

#include <stdio.h>

#include "libcommon/proto/task/messages.h"

/* In the order in which an attempt comes to them. */
#define TASK_PHASES 13U
struct task_phase {
    const char *name; /* as in messages, JSON and on the terminal */
    char letter;      /* in a timeline */
    size_t offset;    /* in struct task_times */
};
extern const struct task_phase task_phases[TASK_PHASES];

static inline uint64_t task_phase_us(const struct task_times *times, size_t phase)
{
    return *(const uint64_t *)(const void *)((const char *)times + task_phases[phase].offset);
}
/* Of all phases but queue: `total`, or little else. */
uint64_t task_times_sum(const struct task_times *times);
void task_times_add(struct task_times *sum, const struct task_times *more);
/* Sums; of memory, the largest. */
void task_account_add(struct task_account *sum, const struct task_account *more);
/* "read 31 %  map 44 %  sort 12 %": what took a share worth a word; nothing when nothing did. */
void task_times_tell(FILE *out, const char *title, const struct task_times *times);

#endif
