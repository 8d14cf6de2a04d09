/* SPDX-License-Identifier: Apache-2.0
 * task: a worker and the runner process it started, over the socket pair on descriptor 3 (frames
 * without a hello: the two were born together).
 *
 *   worker -> runner   BECOME, before the first RUN, where tasks are another user's than the worker
 *                      RUN, whose first byte carries the descriptors: progress page (progress.h),
 *                      the attempt's log (opened O_APPEND: becomes stdout and stderr), and, if a
 *                      map may put its output into memory, a memfd; none: those of the last RUN.
 *                      A memfd with a run of more than TASK_RUN_SMALL bytes is the worker's from
 *                      then on; a smaller one comes with DONE. RUN of a row of attempts is answered
 *                      by as many DONE, in order; the last of them may be FAILED, and the row may
 *                      end early, either side's doing (progress.h), the runner's behind a DONE
 *                      without may_follow
 *                      OUTPUTS while a reduce fetches, KILL never (it is SIGKILLed)
 *                      TWIN, to one that never gets a RUN: make a process like yourself, whose
 *                      descriptor 3 is the one that comes with this
 *   runner -> worker   FETCH_FAILED; LAST, where threads or memory are left in the process, so that
 *                      it will serve no other attempt; DONE or FAILED; then it waits for the next
 *                      RUN of the same job, or for end of file, and exits (with TASK_CUT, if the
 *                      job has closed the descriptor)
 *                      BORN, the answer to TWIN
 *
 * The local driver (no cluster) starts the same runners with the same messages. */
#ifndef QUERN_PROTO_TASK_MESSAGES_H
#define QUERN_PROTO_TASK_MESSAGES_H

#include "libcommon/proto/types/messages.h"

#define TASK_CUT 125

/* Which attempt: everywhere the same five numbers. */
#define TASK_ATTEMPT_FIELDS(F, S, L) \
    F(U64, cluster_ms)               \
    F(U64, job)                      \
    F(U32, stage)                    \
    F(U32, task)                     \
    F(U32, attempt)
MSG_STRUCT(task_attempt, TASK_ATTEMPT_FIELDS)

/* A stretch of a file. A split is one or more of them (small files packed together). `file_len`
 * lets a reader see where the file ends; a record belongs to the split its first byte is in. Of a
 * packed file that is cut: `offset` and the end are where unpacking can begin anew (codec/frames),
 * and `frame` is 1 + where the frame that holds `offset` begins. `input`: 0, or 1 + which of the
 * job's .inputs reads it (quern/job.h); one split has segments of one input. */
#define TASK_SEGMENT_FIELDS(F, S, L) \
    F(STR, path)                     \
    F(U64, offset)                   \
    F(U64, length)                   \
    F(U64, file_len)                 \
    F(U64, frame)                    \
    F(U32, input)
MSG_STRUCT(task_segment, TASK_SEGMENT_FIELDS)

/* Where one map's committed output can be fetched. An empty host = this very node. */
#define TASK_SOURCE_FIELDS(F, S, L)                                                      \
    F(U32, map_task)                                                                     \
    F(U32, map_attempt)                                                                  \
    F(STR, worker) /* node.name */                                                       \
    F(STR, host)                                                                         \
    F(U32, port)                                                                         \
    F(STR, socket) /* its unix socket, usable when boot_id and netns are ours */         \
    F(STR, boot_id)                                                                      \
    F(U64, netns)                                                                        \
    F(STR, run)       /* local driver: path of the run itself; nobody is asked for it */ \
    F(U32, stage)     /* whose task `map_task` is */                                     \
    F(BOOL, is_empty) /* there is no record in it: nobody need be asked */
MSG_STRUCT(task_source, TASK_SOURCE_FIELDS)

/* A file that goes with a job, the same for all its tasks. They find a link to it, named `name`, in
 * the directory they work in. */
#define TASK_SIDE_FIELDS(F, S, L)       \
    F(STR, name)   /* no slash in it */ \
    F(STR, digest) /* SHA-256 in hex */ \
    F(U64, size)                        \
    F(STR, path) /* where it is here; only in task_run */
MSG_STRUCT(task_side, TASK_SIDE_FIELDS)
#define SIDES_MAX 1000U
/* The side file with the sample that cuts ranges of keys (worker/map/ranges). */
#define TASK_SIDE_RANGES "_ranges"

/* A further plugin of a job: its i-th stage behind another's (i = 1 ...). */
#define TASK_SIDE_CHAIN   "_chain.%u.so"
#define TASK_SHUFFLES_MAX 8U /* stages that reduce: named r, s, t ... in ids of attempts */

enum task_kind {
    TASK_MAP,     /* input segments -> one partitioned, sorted run */
    TASK_MAP_OUT, /* input segments -> an output file (no reduce stage) */
    TASK_REDUCE,  /* partitions of all maps -> an output file */
    TASK_COMMIT,  /* writes _MANIFEST for the whole job */
    TASK_SAMPLE,  /* input segments -> a run of one partition, wanted for its keys only */
};

/* As ids of tasks and attempts show their stage: m; r, s, t ... for those that reduce; c. */
static inline char task_letter(uint32_t kind, uint32_t stage)
{
    if (kind == TASK_REDUCE)
        return (char)('r' + (stage > 1 && stage <= TASK_SHUFFLES_MAX ? stage - 1 : 0));
    return kind == TASK_COMMIT ? 'c' : 'm';
}

#define TASK_RUN_SMALL 65536U

/* Another map of the job, in what it differs from the one it stands behind. */
#define TASK_BEHIND_FIELDS(F, S, L) \
    S(task_attempt, id)             \
    L(task_segment, input)          \
    F(STR, out)                     \
    F(STR, out_name)                \
    F(U64, ordered_us)
MSG_STRUCT(task_behind, TASK_BEHIND_FIELDS)

#define TASK_RUN_FIELDS(F, S, L)                                                                \
    S(task_attempt, id)                                                                         \
    F(U32, kind) /* enum task_kind */                                                           \
    F(STR, job_name)                                                                            \
    F(STR, plugin)             /* local path of the shared object */                            \
    F(STR, user)               /* whose files are read and written */                           \
    L(msg_pair, conf)          /* the job's -D settings */                                      \
    F(U32, partitions)         /* reducers of the job */                                        \
    F(U32, maps)               /* tasks of the map stage */                                     \
    F(STR, fs_uri)             /* "" = local files */                                           \
    F(STRS, local_dirs)        /* this attempt's own directories, in order of preference */     \
    F(U64, memory)             /* bytes this attempt may use in all */                          \
    L(task_segment, input)     /* map */                                                        \
    F(U64, output_memory)      /* map: how much the passed memfd may grow; 0 = none passed */   \
    F(U64S, reduce_partitions) /* reduce: usually one */                                        \
    L(task_source, sources)    /* reduce: known so far; more by OUTPUTS */                      \
    F(STR, out)      /* file this attempt writes (under OUT/_temporary/<job>/<attempt>) */      \
    F(STR, out_name) /* part-r-00003 */                                                         \
    F(U32, replication)                                                                         \
    F(STR, conf_file) /* quern.conf the runner's client library reads; "" = none */             \
    F(STRS, manifest) /* commit: finished lines of _MANIFEST */                                 \
    F(STR, node)      /* node.name of the worker, for locality of reads and writes */           \
    L(task_side, sides)                                                                         \
    F(U64, ordered_us) /* when the order came here, by clock_mono_us; 0 = nobody says */        \
    F(U32, reduces)    /* of the job; 0 = not known yet, or as many as partitions */            \
    F(U32, reads)      /* reduce: the stage whose tasks made what it fetches */                 \
    F(BOOL, feeds) /* reduce: it makes no file, but a run of `partitions` for the next stage */ \
    L(task_behind, behind) /* map: run these behind it, as far as */                            \
    F(U32, row)            /* the row of this number in progress.h lets you */
MSG_STRUCT(task_run, TASK_RUN_FIELDS)

/* A task of a job that is over, run once more by hand (`quern-task -replay`): the last one; before
 * it, if it is a reduce, the tasks of the stages before, whose runs are read. */
#define TASK_AGAIN_FIELDS(F, S, L) L(task_run, runs)
MSG_STRUCT(task_again, TASK_AGAIN_FIELDS)

/* Whom to run as from now on: the process is root's, and no code of a job has run in it. */
#define TASK_BECOME_FIELDS(F, S, L) \
    F(STR, name)                    \
    F(U32, uid)                     \
    F(U32, gid)
MSG_STRUCT(task_become, TASK_BECOME_FIELDS)

/* More places to fetch from; a map seen again with a newer attempt replaces the old one. */
#define TASK_OUTPUTS_FIELDS(F, S, L) L(task_source, sources)
MSG_STRUCT(task_outputs, TASK_OUTPUTS_FIELDS)

/* One partition inside a run: see worker/run for the file itself. */
#define TASK_PART_FIELDS(F, S, L) \
    F(U64, offset)                \
    F(U64, len)                   \
    F(U64, records)               \
    F(U64, raw_bytes) /* before combining */
MSG_STRUCT(task_part, TASK_PART_FIELDS)

#define TASK_FILE_FIELDS(F, S, L)              \
    F(STR, path)                               \
    F(STR, name)                               \
    F(U64, len)                                \
    F(U32, crc) /* CRC32C of the whole file */ \
    F(U64, records)
MSG_STRUCT(task_file, TASK_FILE_FIELDS)

/* Where the wall time of an attempt went, in microseconds. What is not waiting for a core adds up
 * to `total`, from the order's arrival on the node to the answer. */
#define TASK_TIMES_FIELDS(F, S, L)                           \
    F(U64, read) /* waiting for input */                     \
    F(U64, map)  /* the job's own code */                    \
    F(U64, sort) /* collecting and sorting what it emits */  \
    F(U64, spill)                                            \
    F(U64, merge)                                            \
    F(U64, fetch)  /* waiting for map outputs */             \
    F(U64, reduce) /* the job's own code */                  \
    F(U64, write)  /* forming and writing output */          \
    F(U64, total)                                            \
    F(U64, queue)  /* before all this, waiting for a core */ \
    F(U64, launch) /* until the job's code could run */      \
    F(U64, decompress)                                       \
    F(U64, combine)                                          \
    F(U64, commit) /* until the output was on disks */
MSG_STRUCT(task_times, TASK_TIMES_FIELDS)

/* What an attempt moved and used: bytes and records on each arrow of
 *
 *     file -> (unpacked) -> map -> emitted -> combined -> run -> shuffle -> reduce -> output file
 *
 * raw and as they were stored or sent. What does not concern its kind is 0. */
#define TASK_ACCOUNT_FIELDS(F, S, L)                                              \
    F(U64, in_bytes)   /* map: read from files, as they lie there */              \
    F(U64, in_raw)     /* map: of these, unpacked */                              \
    F(U64, in_records) /* map: records; reduce: values */                         \
    F(U64, emitted_records)                                                       \
    F(U64, emitted_bytes)                                                         \
    F(U64, combined_records) /* map: what went into the run */                    \
    F(U64, run_bytes)        /* map: the run's length */                          \
    F(U64, spilled_records)                                                       \
    F(U64, spilled_bytes)                                                         \
    F(U64, merged_again) /* runs that were merged to be merged once more */       \
    F(U64, local_bytes)  /* input or shuffle: read on this node */                \
    F(U64, rack_bytes)   /* from its rack */                                      \
    F(U64, remote_bytes) /* from elsewhere */                                     \
    F(U64, groups)       /* reduce: keys */                                       \
    F(U64, out_records)  /* of output files */                                    \
    F(U64, out_raw)                                                               \
    F(U64, out_bytes) /* of these, packed */                                      \
    F(U64, peak_memory)                                                           \
    F(U64, major_faults)                                                          \
    F(U64, switches)    /* it waited for something: voluntary context switches */ \
    F(U64, cpu_us)      /* computed, its own threads */                           \
    F(U64, last_offset) /* map: in its input file, of the last record it began */ \
    F(U64, run_raw)     /* map: the run's records, before they were packed */
MSG_STRUCT(task_account, TASK_ACCOUNT_FIELDS)

/* A key among those that come most often: at least `low` times, at most `high`. */
#define TASK_KEY_FIELDS(F, S, L)        \
    F(BYTES, key) /* its first bytes */ \
    F(U64, hash)  /* of all of it */    \
    F(U64, low)                         \
    F(U64, high)
MSG_STRUCT(task_key, TASK_KEY_FIELDS)

/* What is known of the keys that one map sent to one partition. */
#define TASK_SKETCH_FIELDS(F, S, L)                                                            \
    F(U32, partition)                                                                          \
    F(U64, records)                                                                            \
    F(U64, bytes)                                                                              \
    F(U64, absent) /* how often a key that is not in `keys` may have come, at most */          \
    L(task_key, keys)                                                                          \
    F(U32, registers)  /* of a HyperLogLog of its keys: libcommon/base/hll.h; 0 = none */      \
    F(BYTES, hll)      /* that many bytes, or, fewer of them, three for each that is not 0: */ \
                       /* its number (little-endian) and value */                              \
    F(BOOL, is_sample) /* not all keys were put into it: there are more */                     \
    F(U64S, lengths)   /* records by their length: 0-3 bytes, 4-15, 16-63 ...; may be short */
MSG_STRUCT(task_sketch, TASK_SKETCH_FIELDS)

#define TASK_DONE_FIELDS(F, S, L)                                                               \
    S(task_attempt, id)                                                                         \
    L(msg_counter, counters)                                                                    \
    L(task_part, parts) /* map: one per partition */                                            \
    F(STR, run_path)    /* map: "" = it is in the memfd */                                      \
    F(U64, run_len)                                                                             \
    L(task_file, files) /* output files finished */                                             \
    S(task_times, times)                                                                        \
    F(U64, peak_memory)                                                                         \
    F(BYTES, top_key) /* reduce: the key with the most values; its first bytes */               \
    F(U64, top_records)                                                                         \
    S(task_account, account)                                                                    \
    L(task_sketch, sketches) /* map: of partitions that got something */                        \
    F(U64S, raw)  /* bytes of each partition before combining: instead of `parts`, to those who \
                     are to choose which reduce gets it */                                      \
    F(BYTES, run) /* map: the run itself, if it is no longer than TASK_RUN_SMALL and there is a \
                     memfd, which has nothing of it then; to the worker */                      \
    F(BOOL, may_follow) /* nothing is left of it that another right behind it could meet */
MSG_STRUCT(task_done, TASK_DONE_FIELDS)

enum task_failure {
    TASK_FAILED_USER,        /* a callback said so */
    TASK_FAILED_CRASH,       /* signal */
    TASK_FAILED_EXIT,        /* the process ended by itself */
    TASK_FAILED_TIMEOUT,     /* no progress */
    TASK_FAILED_MEMORY,      /* it wanted more than its share */
    TASK_FAILED_IO,          /* input, output or local disk */
    TASK_FAILED_FETCH,       /* could not get map outputs */
    TASK_FAILED_PLUGIN,      /* could not be loaded */
    TASK_FAILED_NODE,        /* the node's fault: does not count against the task */
    TASK_FAILED_KILLED,      /* on request */
    TASK_FAILED_NODE_MEMORY, /* the machine had no memory left: does not count either */
    TASK_FAILED_NOT_BEGUN, /* given back: it stood behind another that takes long, or ended badly */
    TASK_FAILED_NO_DIRECTORY, /* as NODE, and nothing can begin there before it is started anew */
};

#define TASK_FAILED_FIELDS(F, S, L)                                                        \
    S(task_attempt, id)                                                                    \
    F(U32, failure)  /* enum task_failure */                                               \
    F(I64, code)     /* signal number, exit code or enum err_code */                       \
    F(STR, why)      /* one line */                                                        \
    F(STR, path)     /* input file being read, "" = none */                                \
    F(U64, offset)   /* of the record in hand */                                           \
    F(BYTES, record) /* its first bytes */                                                 \
    F(STR, log_tail) /* last lines the attempt wrote */                                    \
    L(msg_counter, counters)                                                               \
    F(STR, at) /* where the plugin's code was: "clean.c:41 in parse_line"; "" = unknown */ \
    S(task_account, account)                                                               \
    S(task_times, times) /* all that came after launch: of the phase it ended in */
MSG_STRUCT(task_failed, TASK_FAILED_FIELDS)

#define TASK_FETCH_FAILED_FIELDS(F, S, L) \
    S(task_attempt, id) /* the reducer */ \
    F(STR, worker)                        \
    F(U64S, map_tasks)                    \
    F(STR, why)                           \
    F(U32, is_damaged) /* 1: read where it lies, and its sums are wrong: no doubt is left */
MSG_STRUCT(task_fetch_failed, TASK_FETCH_FAILED_FIELDS)

/* The twin is a child of the worker, as its template is. */
#define TASK_BORN_FIELDS(F, S, L)       \
    F(U32, pid)  /* 0: there is none */ \
    F(I64, code) /* then: why */
MSG_STRUCT(task_born, TASK_BORN_FIELDS)

#define TASK_METHODS(M, P)                                              \
    M(P, 0x0701, RUN, MSG_ONEWAY, task_run, msg_void)                   \
    M(P, 0x0702, OUTPUTS, MSG_ONEWAY, task_outputs, msg_void)           \
    M(P, 0x0703, DONE, MSG_ONEWAY, task_done, msg_void)                 \
    M(P, 0x0704, FAILED, MSG_ONEWAY, task_failed, msg_void)             \
    M(P, 0x0705, FETCH_FAILED, MSG_ONEWAY, task_fetch_failed, msg_void) \
    M(P, 0x0706, BECOME, MSG_ONEWAY, task_become, msg_void)             \
    M(P, 0x0707, LAST, MSG_ONEWAY, msg_void, msg_void)                  \
    M(P, 0x0708, TWIN, MSG_ONEWAY, msg_void, msg_void)                  \
    M(P, 0x0709, BORN, MSG_ONEWAY, task_born, msg_void)

MSG_METHODS(TASK, TASK_METHODS)

#endif
