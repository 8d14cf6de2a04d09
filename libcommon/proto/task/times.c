/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/times.h"

#define PHASE(field, letter)                               \
    {                                                      \
#field, letter, offsetof(struct task_times, field) \
    }

const struct task_phase task_phases[TASK_PHASES] = {
    PHASE(queue, '.'),  PHASE(launch, 'l'),  PHASE(read, '<'),   PHASE(decompress, 'd'),
    PHASE(map, 'm'),    PHASE(combine, 'b'), PHASE(sort, 's'),   PHASE(spill, 'p'),
    PHASE(fetch, 'f'),  PHASE(merge, 'g'),   PHASE(reduce, 'r'), PHASE(write, '>'),
    PHASE(commit, 'c'),
};

uint64_t task_times_sum(const struct task_times *times)
{
    uint64_t sum = 0;
    for (size_t i = 1; i < TASK_PHASES; i++) /* queue is before it */
        sum += task_phase_us(times, i);
    return sum;
}

/* Both structs hold nothing but uint64_t. */
static void add_all(void *sum, const void *more, size_t bytes)
{
    uint64_t *to = sum;
    const uint64_t *from = more;
    for (size_t i = 0; i < bytes / sizeof(*to); i++)
        to[i] += from[i];
}

void task_times_add(struct task_times *sum, const struct task_times *more)
{
    add_all(sum, more, sizeof(*sum));
}

void task_account_add(struct task_account *sum, const struct task_account *more)
{
    uint64_t peak = sum->peak_memory > more->peak_memory ? sum->peak_memory : more->peak_memory;
    add_all(sum, more, sizeof(*sum));
    sum->peak_memory = peak;
    sum->last_offset = 0; /* of no file */
}

void task_times_tell(FILE *out, const char *title, const struct task_times *times)
{
    uint64_t all = task_times_sum(times);
    const char *gap = title;
    for (size_t i = 1; i < TASK_PHASES; i++) {
        uint64_t us = task_phase_us(times, i);
        if (us == 0 || us * 200 < all)
            continue;
        fprintf(out, "%s%s %.0f %%", gap, task_phases[i].name, (double)us * 100 / (double)all);
        gap = "  ";
    }
    if (gap != title)
        fputc('\n', out);
}
