/* SPDX-License-Identifier: Apache-2.0
 * feed: spans of whole records are cut into records, and handed to the job's map (or, as they are,
 * to its map_lines). */
#ifndef QUERN_WORKER_MAP_FEED_H
#define QUERN_WORKER_MAP_FEED_H

#include "worker/map/frame.h"
#include "worker/runner/context.h"

struct feed {
    struct context *c;        /* borrowed */
    const struct qn_job *job; /* borrowed */
    struct frame frame;
    const char *path;      /* of the file in hand; borrowed; the owner sets it */
    uint64_t records;      /* given out */
    uint64_t bad, bad_max; /* malformed and passed over; how many may be */
};

static inline uint8_t feed_separator(const struct qn_job *job)
{
    return job->csv_separator ? (uint8_t)job->csv_separator : ',';
}
void feed_open(struct feed *feed, struct context *c);
/* All records of the span; a failure is the context's. */
int feed_span(struct feed *feed, struct slice span, uint64_t offset);
/* Empty records for the rows of the task's segments. */
int feed_rows(struct feed *feed);

#endif
