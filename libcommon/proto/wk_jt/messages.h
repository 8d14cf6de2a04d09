/* SPDX-License-Identifier: Apache-2.0
 * wk_jt: worker and jobtracker, over one long-lived connection that the worker opens. Either side
 * asks: the jobtracker pushes work the moment it fits; heartbeats are for liveness and progress.
 *
 * Every order carries the jobtracker's epoch (raised at each start); a worker obeys none smaller
 * than it has seen. */
#ifndef QUERN_PROTO_WK_JT_MESSAGES_H
#define QUERN_PROTO_WK_JT_MESSAGES_H

#include "libcommon/proto/task/messages.h"

/* A map output a worker still holds: after a jobtracker restart it need not be made again. */
#define WK2JT_HELD_FIELDS(F, S, L) \
    S(task_attempt, id)            \
    L(task_part, parts)
MSG_STRUCT(wk2jt_held, WK2JT_HELD_FIELDS)

#define WK2JT_REGISTER_FIELDS(F, S, L)                                            \
    F(STR, name) /* node.name */                                                  \
    F(STR, host)                                                                  \
    F(U32, port) /* of serve/outputs */                                           \
    F(STR, socket)                                                                \
    F(STR, boot_id)                                                               \
    F(U64, netns)                                                                 \
    F(U64, incarnation) /* random per process: a restarted worker is a new one */ \
    F(U32, cores)                                                                 \
    F(U64, memory)                                                                \
    F(U32, http_port)                                                             \
    F(STR, rack)                                                                  \
    F(STR, version)                                                               \
    L(wk2jt_held, held)                                                           \
    L(task_attempt, running)                                                      \
    F(BOOL, takes_rows) /* it knows what jt2wk_task.is_behind is */
MSG_STRUCT(wk2jt_register, WK2JT_REGISTER_FIELDS)

#define WK2JT_REGISTERED_FIELDS(F, S, L) \
    F(STR, cluster_id)                   \
    F(U64, epoch)                        \
    F(U64, heartbeat_ms)                 \
    L(task_attempt, unwanted) /* kill these, drop their outputs */
MSG_STRUCT(wk2jt_registered, WK2JT_REGISTERED_FIELDS)

#define WK2JT_PROGRESS_FIELDS(F, S, L)                  \
    S(task_attempt, id)                                 \
    F(U32, phase)                                       \
    F(U64, records_in)                                  \
    F(U64, records_out)                                 \
    F(U64, bytes_in)                                    \
    F(U64, bytes_total)                                 \
    F(U64, idle_ms) /* since its counters last moved */ \
    F(U64, memory)                                      \
    F(STR, status)
MSG_STRUCT(wk2jt_progress, WK2JT_PROGRESS_FIELDS)

#define WK2JT_BEAT_FIELDS(F, S, L)                      \
    L(wk2jt_progress, running)                          \
    F(U32, bad_dirs) /* local directories out of use */ \
    F(U64, free_bytes)                                  \
    F(F64, load)
MSG_STRUCT(wk2jt_beat, WK2JT_BEAT_FIELDS)

#define WK2JT_HEARD_FIELDS(F, S, L) \
    F(U64, epoch)                   \
    F(BOOL, register_again)
MSG_STRUCT(wk2jt_heard, WK2JT_HEARD_FIELDS)

/* First to say so wins; a loser drops what it made. A map output is served to reducers only after
 * this was accepted. */
#define WK2JT_ACCEPTED_FIELDS(F, S, L) F(BOOL, accepted)
MSG_STRUCT(wk2jt_accepted, WK2JT_ACCEPTED_FIELDS)

#define WK2JT_BLOB_FIELDS(F, S, L)      \
    F(STR, digest) /* SHA-256 in hex */ \
    F(U64, offset)                      \
    F(U32, max)
MSG_STRUCT(wk2jt_blob, WK2JT_BLOB_FIELDS)

#define WK2JT_BLOB_PIECE_FIELDS(F, S, L) \
    F(U64, total)                        \
    F(BYTES, bytes)
MSG_STRUCT(wk2jt_blob_piece, WK2JT_BLOB_PIECE_FIELDS)

/* --- orders ---------------------------------------------------------------------------------- */

/* What a worker must know of a job before its first task; sent once per worker and job. */
#define JT2WK_JOB_FIELDS(F, S, L)                \
    F(U64, epoch)                                \
    F(U64, cluster_ms)                           \
    F(U64, job)                                  \
    F(STR, name)                                 \
    F(STR, user)                                 \
    F(STR, plugin_digest)                        \
    L(msg_pair, conf)                            \
    F(U32, partitions)                           \
    F(U32, maps)                                 \
    F(STR, fs_uri)                               \
    F(STR, temporary) /* OUT/_temporary/<job> */ \
    F(U32, replication)                          \
    F(U64, timeout_ms)                           \
    L(task_side, sides)
MSG_STRUCT(jt2wk_job, JT2WK_JOB_FIELDS)

#define JT2WK_TASK_FIELDS(F, S, L)                                                            \
    S(task_attempt, id)                                                                       \
    F(U32, kind)                                                                              \
    L(task_segment, input)                                                                    \
    F(U64S, partitions)                                                                       \
    F(U64, memory)                                                                            \
    F(STR, out_name)                                                                          \
    F(STRS, manifest)                                                                         \
    F(U32, reads)      /* reduce: the stage it fetches from, */                               \
    F(U32, sources)    /* and how many tasks that has; 0 = as the job's `maps` */             \
    F(U32, makes)      /* partitions of what it makes for the next stage; 0 = as the job's */ \
    F(U32, reduces)    /* as in task_run */                                                   \
    F(BOOL, is_behind) /* it runs behind the one before it in the order, on the same core */
MSG_STRUCT(jt2wk_task, JT2WK_TASK_FIELDS)

#define JT2WK_RUN_FIELDS(F, S, L) \
    F(U64, epoch)                 \
    L(jt2wk_task, tasks)
MSG_STRUCT(jt2wk_run, JT2WK_RUN_FIELDS)

#define JT2WK_KILL_FIELDS(F, S, L) \
    F(U64, epoch)                  \
    S(task_attempt, id)            \
    F(STR, why)
MSG_STRUCT(jt2wk_kill, JT2WK_KILL_FIELDS)

/* New places of map outputs, to every worker that runs a reduce of the job; `complete` = every map
 * is now placed. */
#define JT2WK_OUTPUTS_FIELDS(F, S, L) \
    F(U64, epoch)                     \
    F(U64, cluster_ms)                \
    F(U64, job)                       \
    L(task_source, sources)           \
    F(BOOL, complete)                 \
    F(U64, complete_stages) /* a bit for each that feeds another and is wholly placed */
MSG_STRUCT(jt2wk_outputs, JT2WK_OUTPUTS_FIELDS)

/* The job is over: kill what runs, free its outputs, keep its logs for their time. */
#define JT2WK_END_FIELDS(F, S, L) \
    F(U64, epoch)                 \
    F(U64, cluster_ms)            \
    F(U64, job)
MSG_STRUCT(jt2wk_end, JT2WK_END_FIELDS)

#define JT2WK_LOG_FIELDS(F, S, L) \
    S(task_attempt, id)           \
    F(U64, offset)                \
    F(U32, max)
MSG_STRUCT(jt2wk_log, JT2WK_LOG_FIELDS)

#define WK2JT_METHODS(M, P)                                             \
    M(P, 0x0501, REGISTER, MSG_READS, wk2jt_register, wk2jt_registered) \
    M(P, 0x0502, BEAT, MSG_READS, wk2jt_beat, wk2jt_heard)              \
    M(P, 0x0503, DONE, MSG_READS, task_done, wk2jt_accepted)            \
    M(P, 0x0504, FAILED, MSG_READS, task_failed, msg_void)              \
    M(P, 0x0505, FETCH_FAILED, MSG_READS, task_fetch_failed, msg_void)  \
    M(P, 0x0506, BLOB, MSG_READS, wk2jt_blob, wk2jt_blob_piece)
#define JT2WK_METHODS(M, P)                                   \
    M(P, 0x0581, JOB, MSG_READS, jt2wk_job, msg_void)         \
    M(P, 0x0582, RUN, MSG_READS, jt2wk_run, msg_void)         \
    M(P, 0x0583, KILL, MSG_READS, jt2wk_kill, msg_void)       \
    M(P, 0x0584, OUTPUTS, MSG_READS, jt2wk_outputs, msg_void) \
    M(P, 0x0585, END, MSG_READS, jt2wk_end, msg_void)         \
    M(P, 0x0586, LOG, MSG_READS, jt2wk_log, wk2jt_blob_piece)

MSG_METHODS(WK2JT, WK2JT_METHODS)
MSG_METHODS(JT2WK, JT2WK_METHODS)

#endif
