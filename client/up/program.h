/* SPDX-License-Identifier: Apache-2.0
 * program: quern's other programs, found beside this one or in PATH. */
#ifndef QUERN_CLIENT_UP_PROGRAM_H
#define QUERN_CLIENT_UP_PROGRAM_H

#include "libcommon/base/buf.h"

/* The path of an executable `name`. ERR_NOENT tells where it was looked for. */
int program_find(const char *name, struct buf *ret_path, struct err *err);

#endif
