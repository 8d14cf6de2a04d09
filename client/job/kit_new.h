/* SPDX-License-Identifier: Apache-2.0
 * kit_new: the files of a plugin to begin with: a source that counts, a Makefile, a test. */
#ifndef QUERN_CLIENT_JOB_KIT_NEW_H
#define QUERN_CLIENT_JOB_KIT_NEW_H

#include "libcommon/base/err.h"

/* Makes the directory `name`, which must not exist. */
int kit_new(const char *name, struct err *err);

#endif
