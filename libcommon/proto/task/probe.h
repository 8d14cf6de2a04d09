/* SPDX-License-Identifier: Apache-2.0
 * probe: what `quern-task -probe PLUGIN` found out about a plugin, printed on its stdout as one
 * encoded task_probe (or, with -json, as a line of JSON). Clients load plugins in such a child
 * only, so that one that crashes while it is being loaded takes nobody with it. */
#ifndef QUERN_PROTO_TASK_PROBE_H
#define QUERN_PROTO_TASK_PROBE_H

#include "libcommon/proto/types/messages.h"

#define TASK_PROBE_OPTION_FIELDS(F, S, L) \
    F(STR, name)                          \
    F(BOOL, is_required)                  \
    F(STR, default_value)                 \
    F(STR, help)
MSG_STRUCT(task_probe_option, TASK_PROBE_OPTION_FIELDS)

/* A stage behind the first: what its table says of cutting and reducing. */
#define TASK_PROBE_STAGE_FIELDS(F, S, L) \
    F(STR, name)                         \
    F(BOOL, has_partition)               \
    F(BOOL, has_compare)                 \
    F(BOOL, has_group)                   \
    F(U32, default_reducers)
MSG_STRUCT(task_probe_stage, TASK_PROBE_STAGE_FIELDS)

/* How the files of one input are cut. */
#define TASK_PROBE_INPUT_FIELDS(F, S, L)                            \
    F(STR, name)                                                    \
    F(STR, about)                                                   \
    F(BOOL, is_whole)  /* files are not cut */                      \
    F(BOOL, has_lines) /* each line of a file's text is a record */ \
    F(U64, split_size) /* 0 = a block */
MSG_STRUCT(task_probe_input, TASK_PROBE_INPUT_FIELDS)

#define TASK_PROBE_FIELDS(F, S, L)                                                          \
    F(STR, name)                                                                            \
    F(STR, about)                                                                           \
    F(U32, abi)                                                                             \
    F(STR, key) /* "QN_TEXT" ... what map emits */                                          \
    F(STR, value)                                                                           \
    F(STR, out_key) /* what reduce emits */                                                 \
    F(STR, out_value)                                                                       \
    F(BOOL, has_reduce)                                                                     \
    F(STR, combine) /* "", "QN_SUM" ..., or "own" */                                        \
    F(BOOL, has_partition)                                                                  \
    F(BOOL, has_compare)                                                                    \
    F(BOOL, has_group)                                                                      \
    F(U32, default_reducers)                                                                \
    L(task_probe_option, options)                                                           \
    F(BOOL, has_rows)   /* no input files: QN_ROWS */                                       \
    F(BOOL, has_ranges) /* QN_BY_RANGE: its keys are to be sampled */                       \
    L(task_probe_stage, then)                                                               \
    F(BOOL, needs_more_than_lines) /* records, CSV ...: no reduce can feed it in a chain */ \
    F(BOOL, writes_raw)            /* its last stage's output is no lines */                \
    L(task_probe_input, inputs)    /* [0]: paths without a name; then those of .inputs */   \
    F(BOOL, needs_names)           /* no map reads those without: they are [1]'s */         \
    F(BOOL, needs_reduce)          /* what map emits is no output */                        \
    F(BOOL, has_check)             /* of its options: quern-task -check */
MSG_STRUCT(task_probe, TASK_PROBE_FIELDS)

/* May -D set that? What its tables name; anything, where one of them has a row "*". */
bool task_probe_takes(const struct task_probe *probe, struct slice key);
/* Who that is, for people: its name, or "the chain". */
struct slice task_probe_who(const struct task_probe *probe);
/* A setting of the job: as it was said, else the plugin's default; empty when neither. */
struct slice task_probe_setting(const struct task_probe *probe, const struct msg_pair_list *said,
                                const char *key);
/* Another job behind the last stage of this one: it maps the lines that would be its output. The
 * lists are in the arena. ERR_CONFIG with what does not fit, ERR_NOMEM. */
int task_probe_append(struct task_probe *probe, const struct task_probe *next, struct arena *arena,
                      struct err *err);
/* "NAME.rows": where a job that makes its own rows is told how many. */
void task_probe_rows_key(const struct task_probe *probe, char *out, size_t cap);

#endif
