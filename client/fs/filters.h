/* SPDX-License-Identifier: Apache-2.0
 * filters: paths that are left out, told by regular expressions, as `distcp -filters` of Hadoop
 * takes them: an expression must match the whole URI of a path.
 *
 * They are written for Java. What a set of strings can be told by in both is understood (classes,
 * groups, \d \w \s \Q..\E, lazy quantifiers, (?i) in front); what only Java has (looking around,
 * back references, possessive quantifiers) is refused: a filter taken for another one copies, or
 * leaves out, what nobody meant. Pure. */
#ifndef QUERN_FS_FILTERS_H
#define QUERN_FS_FILTERS_H

#include <regex.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

struct fs_filters {
    regex_t *v;
    size_t n;
};

/* One more expression. ERR_INVAL when it is none, or cannot be said here; ERR_NOMEM. */
int fs_filters_add(struct fs_filters *filters, struct slice java, struct err *err);
bool fs_filters_match(const struct fs_filters *filters, const char *uri);
void fs_filters_release(struct fs_filters *filters);

#endif
