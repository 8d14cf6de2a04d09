/* SPDX-License-Identifier: Apache-2.0
 * record: the edge's side of a job (core jobs point at it through job->spec): what it was submitted
 * with, its counters, who watches it, what goes into status and history. */
#ifndef QUERN_JOBTRACKER_RECORD_H
#define QUERN_JOBTRACKER_RECORD_H

#include "jobtracker/explain/explain.h"
#include "jobtracker/jobs/counters.h"
#include "jobtracker/jobtracker.h"
#include "jobtracker/keys.h"

#define RECORD_WORDS_MAX (1U << 20)

struct record {
    struct list over;       /* in jobtracker.over once finished */
    struct list unwritten;  /* in jobtracker.unwritten until its history is written */
    struct list publishing; /* in jobtracker.publishing while PUBLISH waits for the disk */
    struct list ended;      /* in jobtracker.ended until its END is durable */
    struct hmap_node by_origin;
    struct hmap *origins; /* that it is in; NULL: its submitter gave no origin */
    struct jt_job *job;
    struct buf bytes; /* the encoded joblog_submit everything below borrows from */
    struct arena arena;
    struct joblog_submit spec;
    struct buf
        split_bytes; /* with split_arena: of a list that came as a blob, until the job began */
    struct arena split_arena;
    struct cl2jt_splits splits; /* then only how many, and their sums */
    struct jt_counters counters;
    struct task_times times[JT_STAGES_MAX];
    struct task_account accounts[JT_STAGES_MAX];
    uint64_t submit_index, end_index;
    uint64_t publish_index; /* PUBLISH waits for this record; 0 = it does not wait */
    uint64_t ended_wall_ms;
    struct buf failure_bytes; /* encoded task_failed of the last failure, if any */
    struct buf last_words;    /* of failed attempts, for people; up to RECORD_WORDS_MAX */
    struct list watchers;     /* serve/watchers */
    uint64_t told_ms;         /* when watchers were last told of progress */
    uint64_t out_bytes;
    uint32_t out_files;
    bool has_map_files;               /* some map may have left files beside its run */
    struct keys keys;                 /* of its maps */
    struct account_failure *failures; /* of attempts; owned */
    size_t failure_count, failure_cap;
    struct finding *findings; /* once it is over; owned */
    size_t finding_count;
};

/* Takes `bytes` (an encoded joblog_submit), also on failure. Loads the splits, from the blob when
 * they are not inline. NULL with err. */
struct record *record_new(struct jobtracker *jt, struct buf *bytes, struct err *err);
void record_free(struct record *record);
/* The queue it asks for. */
struct slice record_queue(const struct cl2jt_submit *spec);
/* A setting the job was given; NULL when it is as everywhere. The last one said holds. */
const struct slice *record_setting(const struct cl2jt_submit *spec, const char *key);
/* ERR_INVAL: a task of it is too large for every worker that is known, and says what would do. Not
 * while the jobtracker is young: a larger one may not have registered yet. */
int record_check_demand(const struct jobtracker *jt, const struct cl2jt_submit *spec,
                        struct err *err);
/* The one submitted by that client under that number, be it durable already or not; NULL: none. */
struct record *record_of_origin(const struct jobtracker *jt, const struct msg_origin *origin);
/* Hand the job to the core under its number. 0 or ERR_NOMEM. */
int record_begin(struct jobtracker *jt, struct record *record, struct err *err);

/* The job is over: sum up counters, times and output of all winners. (Not as they come: a winner
 * whose output is lost must not be counted.) */
void record_finish(struct record *record);
/* `worker` is where it failed. */
void record_note_failure(struct record *record, const struct task_failed *failed,
                         const char *worker);

/* Everything a client may want to know now; slices borrow from the record, the core and `arena`.
 * 0 or ERR_NOMEM. */
int record_status(const struct jobtracker *jt, const struct record *record, struct arena *arena,
                  struct cl2jt_status *ret);
/* The history document: one JSON object, with every attempt. 0 or ERR_NOMEM. */
int record_history(const struct jobtracker *jt, const struct record *record, struct buf *out);
/* Where each attempt ran, a line each: "m 12 0 host7". */
void record_places(const struct record *record, struct buf *out);

/* OUT/_temporary/<job id>: mem_free it; NULL when memory is out. */
char *record_temporary(const struct jobtracker *jt, const struct record *record);
/* Output files of all winners so far, in order of name; slices borrow from the job. */
int record_output_files(const struct jt_job *job, struct arena *arena, struct task_file_list *ret);

static inline struct record *record_of(const struct jt_job *job)
{
    return job->spec;
}

#endif
