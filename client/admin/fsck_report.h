/* SPDX-License-Identifier: Apache-2.0
 * fsck_report: what the pages of a check add up to, and its summary as text. Pure. */
#ifndef QUERN_ADMIN_FSCK_REPORT_H
#define QUERN_ADMIN_FSCK_REPORT_H

#include "libcommon/base/buf.h"
#include "libcommon/proto/cl_nn/messages.h"

/* Names are those of the counters on the wire. */
/* The formatter lays this list out another way each time. */
/* clang-format off */
#define FSCK_COUNTERS(C) \
    C(dirs) C(files) C(symlinks) C(size) C(blocks) C(open_files) C(open_size) C(open_blocks) \
    C(replicas) C(decommissioned) C(decommissioning) C(entering) C(resting) C(expected_replicas) C(missing_replicas) C(minimal) C(below) C(over) C(under) C(mis) \
    C(missing_blocks) C(missing_size) C(corrupt_blocks) C(corrupt_size) C(corrupt_files) C(queued)
/* clang-format on */

#define FSCK_POLICIES_MAX 1024

struct fsck_report {
#define FSCK_FIELD(name) uint64_t name;
    FSCK_COUNTERS(FSCK_FIELD)
#undef FSCK_FIELD
    uint64_t nodes, racks, replication; /* of the server: as the last page said */
    struct { /* blocks by number of replicas; the last also has those with more */
        uint64_t blocks[FSCK_POLICIES_MAX + 1];
        bool is_wanted; /* asked for with -storagepolicies */
    } policies;
};

/* Counters nobody knows are ignored. */
void fsck_report_add(struct fsck_report *report, const struct msg_counter_list *counters);
bool fsck_report_is_healthy(const struct fsck_report *report);
/* From "Status: " to the end of the counters. */
void fsck_report_print(const struct fsck_report *report, struct buf *out);

/* {"path":"/","status":"HEALTHY","counters":{"dirs":1,...},"corrupt":[PATHS]} and a newline.
 * `corrupt`: paths, each ended by a zero byte. */
void fsck_report_json(const struct fsck_report *report, const char *path, struct slice corrupt,
                      struct buf *out);

/* What Hadoop's command exits with, from the last line of what was said. */
int fsck_exit_code(struct slice last_line);

/* A float as Java prints it: "3.0", "33.333332". */
char *fsck_float(double v, char out[32]);

#endif
