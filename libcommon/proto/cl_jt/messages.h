/* SPDX-License-Identifier: Apache-2.0
 * cl_jt: what clients ask the jobtracker.
 *
 * Submitting: the client probes the plugin in a child process, computes the splits, brings the
 * plugin (and the splits, when they are many) as blobs named by their SHA-256 unless the jobtracker
 * has them, then SUBMITs. The jobtracker never loads a plugin. */
#ifndef QUERN_PROTO_CL_JT_MESSAGES_H
#define QUERN_PROTO_CL_JT_MESSAGES_H

#include "libcommon/proto/task/messages.h"

#define CL2JT_BLOB_FIELDS(F, S, L)      \
    F(STR, digest) /* SHA-256 in hex */ \
    F(U64, total)                       \
    F(U64, offset)                      \
    F(BYTES, bytes) /* empty: only ask how much is there */
MSG_STRUCT(cl2jt_blob, CL2JT_BLOB_FIELDS)

/* have == total: whole and its digest verified. Otherwise go on from `have`. */
#define CL2JT_BLOB_STATE_FIELDS(F, S, L) F(U64, have)
MSG_STRUCT(cl2jt_blob_state, CL2JT_BLOB_STATE_FIELDS)

#define CL2JT_SPLIT_FIELDS(F, S, L)                                              \
    L(task_segment, segments)                                                    \
    F(STRS, nodes) /* node names that hold most of it, best first, at most 15 */ \
    F(U64, bytes)
MSG_STRUCT(cl2jt_split, CL2JT_SPLIT_FIELDS)

#define CL2JT_SPLITS_FIELDS(F, S, L) \
    L(cl2jt_split, splits)           \
    F(U64, files)                    \
    F(U64, bytes)
MSG_STRUCT(cl2jt_splits, CL2JT_SPLITS_FIELDS)

/* How the partitions of a shuffle go to reduce tasks. EACH: one to one, known from the start.
 * EVENLY, IN_ORDER: once all are made, by the bytes in them before combining; in any order, or
 * neighbours only, where partitions are ranges of keys. */
enum cl2jt_packing { CL2JT_PACK_EACH, CL2JT_PACK_EVENLY, CL2JT_PACK_IN_ORDER };
#define CL2JT_SHUFFLE_FIELDS(F, S, L)                                      \
    F(U32, partitions)                                                     \
    F(U32, reduces) /* 0 = as many as `reduce_bytes` makes; not of EACH */ \
    F(U32, packing) /* enum cl2jt_packing */                               \
    F(U64, reduce_bytes)
MSG_STRUCT(cl2jt_shuffle, CL2JT_SHUFFLE_FIELDS)

enum cl2jt_priority { CL2JT_VERY_LOW, CL2JT_LOW, CL2JT_NORMAL, CL2JT_HIGH, CL2JT_VERY_HIGH };

#define CL2JT_SUBMIT_FIELDS(F, S, L)                                                \
    S(msg_origin, origin)                                                           \
    F(STR, name)                                                                    \
    F(STR, plugin_name)                                                             \
    F(STR, plugin_digest)                                                           \
    L(msg_pair, conf)  /* all -D of the job: plugin options and the engine's own */ \
    F(U32, partitions) /* 0 = map only */                                           \
    F(U32, mode)       /* enum cl2nn_publish_mode */                                \
    F(U32, priority)                                                                \
    F(STR, fs_uri)                                                                  \
    F(STR, out)             /* normal path */                                       \
    F(STRS, inputs)         /* as typed, for people */                              \
    S(cl2jt_splits, splits) /* inline, or empty and */                              \
    F(STR, splits_digest)   /* a blob holding an encoded cl2jt_splits */            \
    F(U64, map_memory)      /* bytes per task; 0 = default */                       \
    F(U64, reduce_memory)                                                           \
    F(U32, replication) /* of the output; 0 = default */                            \
    F(STR, plugin_about)                                                            \
    L(task_side, sides)        /* brought as blobs, like the plugin */              \
    L(cl2jt_shuffle, shuffles) /* a reduce stage each; none: one, EACH of `partitions` */
MSG_STRUCT(cl2jt_submit, CL2JT_SUBMIT_FIELDS)

#define CL2JT_JOB_FIELDS(F, S, L)                      \
    F(U64, cluster_ms) /* 0 = this jobtracker's own */ \
    F(U64, job)
MSG_STRUCT(cl2jt_job, CL2JT_JOB_FIELDS)

#define CL2JT_STAGE_FIELDS(F, S, L)                                     \
    F(STR, name) /* map, reduce */                                      \
    F(U32, tasks)                                                       \
    F(U32, waiting)                                                     \
    F(U32, running)                                                     \
    F(U32, done)                                                        \
    F(U32, failed_attempts)                                             \
    F(U32, killed_attempts)                                             \
    F(U32, speculative)                                                 \
    F(U32, node_local)                                                  \
    F(U32, rack_local)                                                  \
    F(U32, remote)                                                      \
    F(U64, bytes_total)                                                 \
    F(U64, bytes_done) /* running attempts included */                  \
    F(U64, records_in)                                                  \
    F(U64, records_out)                                                 \
    F(U64, started_ms) /* since the job's submission; 0 = not yet */    \
    F(U64, ended_ms)                                                    \
    S(task_times, times) /* summed over its winning attempts */         \
    F(U32, slowest_task)                                                \
    F(U64, slowest_ms)                                                  \
    F(U64, median_ms)                                                   \
    F(STR, slowest_node)                                                \
    F(STR, phase)            /* of running reduces: "fetching 1.1 G" */ \
    S(task_account, account) /* summed, as times */
MSG_STRUCT(cl2jt_stage, CL2JT_STAGE_FIELDS)

enum cl2jt_state {
    CL2JT_WAITING,
    CL2JT_RUNNING,
    CL2JT_COMMITTING,
    CL2JT_SUCCEEDED,
    CL2JT_FAILED,
    CL2JT_KILLED,
};

/* Why a job took as long as it did: one cause, most costly first. */
#define CL2JT_FINDING_FIELDS(F, S, L)                                    \
    F(STR, code)    /* HOT_KEY, SLOW_NODE ...: see jobtracker/explain */ \
    F(U64, cost_ms) /* of the job's time, about */                       \
    F(STR, says)    /* what happened, with its evidence */               \
    F(STR, fix)     /* what to do */
MSG_STRUCT(cl2jt_finding, CL2JT_FINDING_FIELDS)

#define CL2JT_STATUS_FIELDS(F, S, L)                                             \
    S(cl2jt_job, id)                                                             \
    F(STR, name)                                                                 \
    F(STR, plugin)                                                               \
    F(STR, user)                                                                 \
    F(U32, state)                                                                \
    F(U32, priority)                                                             \
    F(U64, submitted_ms) /* wall */                                              \
    F(U64, elapsed_ms)                                                           \
    F(STR, out)                                                                  \
    F(U64, files)                                                                \
    F(U64, bytes)                                                                \
    L(cl2jt_stage, stages)                                                       \
    L(msg_counter, counters) /* complete once the job has ended */               \
    S(task_failed, failure)  /* of the first failing task; id.job 0 = none */    \
    F(STRS, failed_on)       /* nodes its attempts failed on */                  \
    F(STR, why)              /* one line, for a failed or killed job */          \
    F(U64, version)          /* grows with every change */                       \
    F(U64, out_bytes)                                                            \
    F(U32, out_files)                                                            \
    F(STR, waits_for)          /* why nothing runs: "no worker is registered" */ \
    L(cl2jt_finding, findings) /* once it has ended */                           \
    F(STR, queue)
MSG_STRUCT(cl2jt_status, CL2JT_STATUS_FIELDS)

/* Answered when the job's version is above `version` or the deadline comes near. */
#define CL2JT_WATCH_FIELDS(F, S, L) \
    S(cl2jt_job, id)                \
    F(U64, version)                 \
    F(U64, max_wait_ms)             \
    F(BOOL, only_end) /* only a final state counts as a change */
MSG_STRUCT(cl2jt_watch, CL2JT_WATCH_FIELDS)

#define CL2JT_LIST_FIELDS(F, S, L)       \
    F(BOOL, all) /* finished ones too */ \
    F(U64, limit)
MSG_STRUCT(cl2jt_list, CL2JT_LIST_FIELDS)

#define CL2JT_JOBS_FIELDS(F, S, L) L(cl2jt_status, jobs)
MSG_STRUCT(cl2jt_jobs, CL2JT_JOBS_FIELDS)

#define CL2JT_PRIORITY_FIELDS(F, S, L) \
    S(cl2jt_job, id)                   \
    F(U32, priority)
MSG_STRUCT(cl2jt_set_priority, CL2JT_PRIORITY_FIELDS)

#define CL2JT_KILL_FIELDS(F, S, L) \
    S(cl2jt_job, id)               \
    F(STR, why)
MSG_STRUCT(cl2jt_kill, CL2JT_KILL_FIELDS)

/* An attempt, by its whole id: its task runs again. `fails`: it used up one of its tries. */
#define CL2JT_STOP_FIELDS(F, S, L) \
    S(cl2jt_job, id)               \
    F(STR, attempt)                \
    F(BOOL, fails)
MSG_STRUCT(cl2jt_stop, CL2JT_STOP_FIELDS)

/* One JSON document: submission, stages, every attempt with times, counters. */
#define CL2JT_TEXT_FIELDS(F, S, L) F(STR, text)
MSG_STRUCT(cl2jt_text, CL2JT_TEXT_FIELDS)

#define CL2JT_LOGS_FIELDS(F, S, L)                                                          \
    S(cl2jt_job, id)                                                                        \
    F(STR, task)    /* "m12", "r3", a whole attempt id, or "" = those of failed attempts */ \
    F(I64, attempt) /* -1 = the last */                                                     \
    F(U64, offset)  /* ask again from there until nothing comes */
MSG_STRUCT(cl2jt_logs, CL2JT_LOGS_FIELDS)

#define CL2JT_WORKER_FIELDS(F, S, L) \
    F(STR, name)                     \
    F(STR, host)                     \
    F(U32, http_port)                \
    F(STR, state)                    \
    F(U32, cores)                    \
    F(U32, cores_used)               \
    F(U64, memory)                   \
    F(U64, memory_used)              \
    F(U32, failures)                 \
    F(U64, last_beat_ms)             \
    F(STR, rack)                     \
    F(U64, excluded_ms) /* no tasks for so long; 0 = it gets some; ~0 = until started anew */
MSG_STRUCT(cl2jt_worker, CL2JT_WORKER_FIELDS)

#define CL2JT_CLUSTER_FIELDS(F, S, L) \
    F(STR, cluster_id)                \
    F(U64, cluster_ms)                \
    F(U64, epoch)                     \
    L(cl2jt_worker, workers)          \
    F(U32, running)                   \
    F(U32, waiting)
MSG_STRUCT(cl2jt_cluster, CL2JT_CLUSTER_FIELDS)

/* One attempt at a task, for people and tools. Times are since the job's submission. */
#define CL2JT_ATTEMPT_FIELDS(F, S, L)                                                 \
    F(STR, stage) /* map, reduce, commit */                                           \
    F(U32, task)                                                                      \
    F(U32, number)                                                                    \
    F(STR, state) /* running, done, failed, killed */                                 \
    F(BOOL, is_winner)                                                                \
    F(BOOL, is_speculative)                                                           \
    F(STR, worker)                                                                    \
    F(STR, locality) /* node, rack, remote; "" = it had no preference */              \
    F(U64, start_ms)                                                                  \
    F(U64, end_ms) /* 0 = it runs */                                                  \
    S(task_times, times)                                                              \
    S(task_account, account)                                                          \
    F(STR, exit)   /* "done", "signal", "exit code", "time-out", "over its memory" */ \
    F(STR, why)    /* one line */                                                     \
    F(STR, path)   /* of a failed one: the input file in hand */                      \
    F(U64, offset) /* ... and where in it */
MSG_STRUCT(cl2jt_attempt, CL2JT_ATTEMPT_FIELDS)

/* What one reducer was sent, from the maps' sketches. */
#define CL2JT_PARTITION_FIELDS(F, S, L)                       \
    F(U32, partition)                                         \
    F(U64, records)                                           \
    F(U64, bytes)                                             \
    F(U64, distinct)  /* keys, about */                       \
    F(BOOL, is_least) /* ... or more: not all were counted */ \
    F(U64S, lengths)  /* as in task_sketch */                 \
    L(task_key, keys) /* the most frequent, first */
MSG_STRUCT(cl2jt_partition, CL2JT_PARTITION_FIELDS)

#define CL2JT_ATTEMPTS_FIELDS(F, S, L)                                      \
    L(cl2jt_attempt, attempts)     /* in order of stage, task and number */ \
    L(cl2jt_partition, partitions) /* with the first of them */             \
    F(U64, total)                  /* attempts there are */                 \
    F(U64, sketched)               /* maps that the partitions' numbers are from */
MSG_STRUCT(cl2jt_attempts, CL2JT_ATTEMPTS_FIELDS)

/* Asked again with `from` moved on until `total` have come. */
#define CL2JT_ASK_ATTEMPTS_FIELDS(F, S, L) \
    S(cl2jt_job, id)                       \
    F(U64, from)
MSG_STRUCT(cl2jt_ask_attempts, CL2JT_ASK_ATTEMPTS_FIELDS)

/* What a job was submitted with, to run a task of it again by hand: for its user. */
#define CL2JT_REPLAY_STAGE_FIELDS(F, S, L) \
    F(U32, tasks)                          \
    F(U64S, task_of) /* which of them gets each partition; none: one each, or nobody knows yet */
MSG_STRUCT(cl2jt_replay_stage, CL2JT_REPLAY_STAGE_FIELDS)

#define CL2JT_REPLAY_FIELDS(F, S, L)                                                  \
    S(cl2jt_submit, job)                                                              \
    F(STR, user)                                                                      \
    F(U32, reduces)              /* tasks of its first reduce stage, and the same: */ \
    F(U64S, task_of)             /* which of them gets each partition */              \
    L(cl2jt_replay_stage, later) /* reduce stages behind that */
MSG_STRUCT(cl2jt_replay, CL2JT_REPLAY_FIELDS)

/* Bytes of a blob: a plugin, a list of splits, a side file. Who knows the digest may have it. */
#define CL2JT_FETCH_FIELDS(F, S, L) \
    F(STR, digest)                  \
    F(U64, offset)                  \
    F(U32, max)
MSG_STRUCT(cl2jt_fetch, CL2JT_FETCH_FIELDS)

#define CL2JT_FETCHED_FIELDS(F, S, L) \
    F(U64, total)                     \
    F(BYTES, bytes)
MSG_STRUCT(cl2jt_fetched, CL2JT_FETCHED_FIELDS)

/* A queue, what it is to have and what it has; 0 = without limit. */
#define CL2JT_QUEUE_FIELDS(F, S, L)                                     \
    F(STR, name)                                                        \
    F(STR, state) /* running; stopped: nothing is submitted any more */ \
    F(U32, weight)                                                      \
    F(U32, most_cores)                                                  \
    F(U32, most_percent)                                                \
    F(U32, most_running)                                                \
    F(U32, most_jobs)                                                   \
    F(U32, share_percent) /* of the cluster, were all queues busy */    \
    F(U32, fair_cores)    /* of what there is, as things are now */     \
    F(U32, cores_used)                                                  \
    F(U64, memory_used)                                                 \
    F(U32, running) /* jobs with tasks that run */                      \
    F(U32, waiting) /* the others that are not over */
MSG_STRUCT(cl2jt_queue, CL2JT_QUEUE_FIELDS)

#define CL2JT_QUEUES_FIELDS(F, S, L)                             \
    L(cl2jt_queue, queues) /* in order of their configuration */ \
    F(U64, cores)          /* of all live workers */             \
    F(U64, memory)
MSG_STRUCT(cl2jt_queues, CL2JT_QUEUES_FIELDS)

#define CL2JT_METHODS(M, P)                                               \
    M(P, 0x0401, BLOB, MSG_READS, cl2jt_blob, cl2jt_blob_state)           \
    M(P, 0x0402, SUBMIT, MSG_RECORDED, cl2jt_submit, cl2jt_job)           \
    M(P, 0x0403, STATUS, MSG_READS, cl2jt_job, cl2jt_status)              \
    M(P, 0x0404, WATCH, MSG_READS, cl2jt_watch, cl2jt_status)             \
    M(P, 0x0405, LIST, MSG_READS, cl2jt_list, cl2jt_jobs)                 \
    M(P, 0x0406, KILL, MSG_READS, cl2jt_kill, msg_void)                   \
    M(P, 0x0407, SET_PRIORITY, MSG_READS, cl2jt_set_priority, msg_void)   \
    M(P, 0x0408, HISTORY, MSG_READS, cl2jt_job, cl2jt_text)               \
    M(P, 0x0409, LOGS, MSG_READS, cl2jt_logs, cl2jt_text)                 \
    M(P, 0x040a, CLUSTER, MSG_READS, msg_void, cl2jt_cluster)             \
    M(P, 0x040b, ATTEMPTS, MSG_READS, cl2jt_ask_attempts, cl2jt_attempts) \
    M(P, 0x040c, REPLAY, MSG_READS, cl2jt_job, cl2jt_replay)              \
    M(P, 0x040d, FETCH, MSG_READS, cl2jt_fetch, cl2jt_fetched)            \
    M(P, 0x040e, QUEUES, MSG_READS, msg_void, cl2jt_queues)               \
    M(P, 0x040f, STOP, MSG_READS, cl2jt_stop, msg_void)

MSG_METHODS(CL2JT, CL2JT_METHODS)

#endif
