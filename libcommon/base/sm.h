/* SPDX-License-Identifier: Apache-2.0
 * sm: a state machine is a table. Each state names itself and the states it may move to; sm_move
 * refuses anything else (BUG). Draw the machine above its table. */
#ifndef QUERN_BASE_SM_H
#define QUERN_BASE_SM_H

#include "libcommon/base/err.h"

enum sm_flag { SM_INITIAL = 1, SM_FINAL = 2, SM_FAILURE = 4 };

struct sm_state {
    const char *name;
    uint32_t allowed; /* bit set of successors: SM_TO(X) | SM_TO(Y) */
    unsigned flags;   /* enum sm_flag */
};
#define SM_TO(state) (1U << (state))

struct sm_table {
    const char *name;
    const struct sm_state *states;
    unsigned count; /* at most 32 */
};

static inline bool sm_can(const struct sm_table *table, unsigned from, unsigned to)
{
    return from < table->count && to < table->count && (table->states[from].allowed & SM_TO(to));
}
static inline bool sm_is_final(const struct sm_table *table, unsigned state)
{
    return state < table->count && (table->states[state].flags & SM_FINAL);
}
static inline const char *sm_name(const struct sm_table *table, unsigned state)
{
    return state < table->count ? table->states[state].name : "?";
}
/* *state must be able to go to `to`; a move that is not in the table is a BUG. */
static inline void sm_move(const struct sm_table *table, unsigned *state, unsigned to)
{
    if (!sm_can(table, *state, to))
        BUG("%s: %s cannot become %s", table->name, sm_name(table, *state), sm_name(table, to));
    *state = to;
}

#endif
