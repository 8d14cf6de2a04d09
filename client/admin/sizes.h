/* SPDX-License-Identifier: Apache-2.0
 * sizes: numbers with a binary prefix, "10g", exactly as Hadoop reads them and complains. Pure. */
#ifndef QUERN_ADMIN_SIZES_H
#define QUERN_ADMIN_SIZES_H

#include "libcommon/base/err.h"

/* ERR_INVAL: no number (the text is the one of Java's parser); ERR_LIMIT: a prefix that is none, or
 * a number that is too great for it. */
int admin_size(const char *word, int64_t *ret, struct err *err);

#endif
