/* SPDX-License-Identifier: Apache-2.0
 * stat_format: the %-letters of `stat`. Pure. */
#ifndef QUERN_FS_STAT_FORMAT_H
#define QUERN_FS_STAT_FORMAT_H

#include <quern/fs.h>

#include "libcommon/base/buf.h"

/* Append `format` filled in for a file called `name`. An unknown letter stands for itself ("%%" is
 * a percent sign), a lone % at the end is dropped. */
void fs_stat_format(const char *format, const struct qn_stat *stat, struct slice name,
                    struct buf *out);

#endif
