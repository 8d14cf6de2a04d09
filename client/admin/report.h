/* SPDX-License-Identifier: Apache-2.0
 * report: the text of `quern admin -report` and `-printTopology`, field by field as monitoring
 * scripts expect it. */
#ifndef QUERN_ADMIN_REPORT_H
#define QUERN_ADMIN_REPORT_H

#include "libcommon/base/buf.h"
#include "libcommon/proto/cl_nn/messages.h"

enum report_section {
    REPORT_LIVE = 1,
    REPORT_DEAD = 2,
    REPORT_DECOMMISSIONING = 4,
    REPORT_ENTERING_MAINTENANCE = 8,
    REPORT_IN_MAINTENANCE = 16,
    REPORT_SLOW = 32, /* whom other datanodes find slow: nobody is told of here */
};

/* sections 0 = all. Times are shown in the local time zone. */
void report_print(const struct cl2nn_report *report, unsigned sections, struct buf *out);

/* "Rack: /r" and its nodes, racks in order of name. */
void report_topology(const struct cl2nn_report *report, struct buf *out);

#endif
