/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CLIENT_HANDLE_H
#define QUERN_CLIENT_HANDLE_H
#include "libcommon/base/conf.h"
#include <quern/fs.h>
struct qn_fs *cl_fs_open(const struct conf *conf, const char *uri, const char *user,
                         struct qn_error *err);
#endif
