/* SPDX-License-Identifier: Apache-2.0
 * feed: spans of whole records are cut into records, and handed to the map (or, as they are, to the
 * map_lines) of the input they are from. */
#ifndef QUERN_WORKER_MAP_FEED_H
#define QUERN_WORKER_MAP_FEED_H

#include "worker/map/lines.h"
#include "worker/plugin/context.h"

struct feed {
    struct context *c;        /* borrowed */
    const struct qn_job *job; /* whose map it is: the plugin's, or one of its .inputs; borrowed */
    struct frame frame;
    const char *path;      /* of the file in hand; borrowed; the owner sets it */
    uint64_t records;      /* given out */
    uint64_t bad, bad_max; /* malformed and passed over; how many may be */
};

/* Begins with the first segment's input. A failure (of a task whose segments are of inputs that the
 * plugin has not) is the context's. */
int feed_open(struct feed *feed, struct context *c);
/* The records that come are from this segment. */
void feed_follow(struct feed *feed, const struct task_segment *segment);
/* How the plugin's inputs are read, by their numbers: for lines_conf. NULL: no memory. */
const struct lines_format *feed_formats(struct context *c);
/* All records of the span; a failure is the context's. */
int feed_span(struct feed *feed, struct slice span, uint64_t offset);
/* Empty records for the rows of the task's segments. */
int feed_rows(struct feed *feed);

#endif
