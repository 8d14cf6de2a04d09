/* SPDX-License-Identifier: Apache-2.0
 * probe: what `quern-task -probe PLUGIN` found out about a plugin, printed on its stdout as one
 * encoded task_probe (or, with -json, as a line of JSON). Clients load plugins in such a child
 * only, so that one that crashes while it is being loaded takes nobody with it. */
#ifndef QUERN_PROTO_TASK_PROBE_H
#define QUERN_PROTO_TASK_PROBE_H

#include "libcommon/wire/msg.h"

#define TASK_PROBE_OPTION_FIELDS(F, S, L) \
    F(STR, name)                          \
    F(BOOL, is_required)                  \
    F(STR, default_value)                 \
    F(STR, help)
MSG_STRUCT(task_probe_option, TASK_PROBE_OPTION_FIELDS)

#define TASK_PROBE_FIELDS(F, S, L)                   \
    F(STR, name)                                     \
    F(STR, about)                                    \
    F(U32, abi)                                      \
    F(STR, key) /* "QN_TEXT" ... what map emits */   \
    F(STR, value)                                    \
    F(STR, out_key) /* what reduce emits */          \
    F(STR, out_value)                                \
    F(BOOL, has_reduce)                              \
    F(STR, combine) /* "", "QN_SUM" ..., or "own" */ \
    F(BOOL, has_partition)                           \
    F(BOOL, has_compare)                             \
    F(BOOL, has_group)                               \
    F(U32, default_reducers)                         \
    L(task_probe_option, options)
MSG_STRUCT(task_probe, TASK_PROBE_FIELDS)

#endif
