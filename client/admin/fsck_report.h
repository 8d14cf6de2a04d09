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
    C(replicas) C(decommissioned) C(decommissioning) C(entering) C(resting) C(expected_replicas) C(missing_replicas) C(minimal) C(over) C(under) C(mis) \
    C(missing_blocks) C(missing_size) C(corrupt_blocks) C(corrupt_size) C(corrupt_files)
/* clang-format on */

struct fsck_report {
#define FSCK_FIELD(name) uint64_t name;
    FSCK_COUNTERS(FSCK_FIELD)
#undef FSCK_FIELD
    uint64_t nodes, racks, replication; /* of the server: as the last page said */
    bool shows_maintenance;             /* asked for with -maintenance */
};

/* Counters nobody knows are ignored. */
void fsck_report_add(struct fsck_report *report, const struct msg_counter_list *counters);
bool fsck_report_is_healthy(const struct fsck_report *report);
/* From "Status: " to the end of the counters. */
void fsck_report_print(const struct fsck_report *report, struct buf *out);

/* A float as Java prints it: "3.0", "33.333332". */
char *fsck_float(double v, char out[32]);

#endif
