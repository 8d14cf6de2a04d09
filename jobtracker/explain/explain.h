/* SPDX-License-Identifier: Apache-2.0
 * explain: why a job took as long as it did. Pure: what the attempts recorded goes in, findings
 * come out, each with its evidence, what it cost and what to do, most costly first.
 *
 * A finding is told only when it cost at least EXPLAIN_MIN_MS and EXPLAIN_MIN_SHARE percent of the
 * job: a healthy job has none. What broke (OOM_LIMIT, FETCH_FAIL) is always told. */
#ifndef QUERN_JOBTRACKER_EXPLAIN_H
#define QUERN_JOBTRACKER_EXPLAIN_H

#include "libcommon/base/slice.h"

#define EXPLAIN_MIN_MS    1000
#define EXPLAIN_MIN_SHARE 5
#define EXPLAIN_MAX       16

/* The winning attempt at a task. Strings are borrowed. */
struct explain_task {
    uint32_t index;
    const char *node;
    bool is_local; /* its input lay on that node */
    uint64_t ms;
    uint64_t bytes, records; /* read */
    uint64_t read_us, spill_us, merge_us, total_us;
    uint64_t aside_us; /* of those, to begin and to write: its keys did not cost them */
    uint64_t emitted, emitted_bytes; /* map: records, before combining */
    uint64_t spilled, spilled_bytes; /* map: of them, in files before the last one */
    uint64_t memory;                 /* it had; of that, at least half is for sorting */
    struct slice top_key;            /* reduce: the key with the most values */
    uint64_t top_records;
    struct slice input; /* map: the file it read, the first of several */
};

enum explain_kind { EXPLAIN_MAP, EXPLAIN_REDUCE, EXPLAIN_OTHER };

/* A key the maps sent often: at least `low` times, at most `high`. */
struct explain_key {
    struct slice key;
    uint64_t low, high;
};
#define EXPLAIN_KEYS 3

struct explain_stage {
    enum explain_kind kind;
    struct explain_task *tasks; /* those that are done; put in another order by explain() */
    size_t count;
    uint64_t elapsed_ms;
    uint32_t again;         /* were done, and had to be done again: what they made was gone */
    uint32_t unread;        /* of them, those whose output could not be read where it was */
    const char *again_node; /* where the last of them had run */
    uint32_t cut_off;       /* attempts that ran when their worker was lost, */
    uint64_t cut_off_ms;    /* for so long, with what it took to notice */
    const char *lost_node;  /* the last of these */
};

/* Attempts that ended for want of memory; what is said of one is said of the last. */
struct explain_memory {
    uint32_t count;
    uint64_t ms; /* of all together */
    const char *node;
    uint64_t limit; /* bytes it might use */
    bool is_reduce;
};

struct explain_job {
    uint64_t elapsed_ms;
    uint64_t files, bytes;   /* of its input */
    uint64_t sort_bytes;     /* most that a map's buffer may have; 0 = what its memory allows */
    uint64_t previous_bytes; /* of the last that did the same (explain_is_alike); 0 = none */
    struct explain_memory memory;
    struct explain_stage *stages;
    size_t count;
    struct explain_key keys[EXPLAIN_KEYS]; /* the most frequent of the first shuffle, first */
    size_t key_count;
    uint64_t key_records; /* of that shuffle */
};

struct finding {
    const char *code; /* static */
    uint64_t cost_ms;
    char says[640]; /* room for a key and a path whose every byte is shown as \\x00 */
    char fix[200];
};

/* True when two words differ in their digits only, as the paths of the same data of two days. */
bool explain_is_alike(struct slice a, struct slice b);

/* At most EXPLAIN_MAX go into `ret`; how many. */
size_t explain(const struct explain_job *job, struct finding *ret);

#endif
