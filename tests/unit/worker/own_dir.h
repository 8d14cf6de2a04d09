/* SPDX-License-Identifier: Apache-2.0
 * own_dir: a directory for the while of a test program, set up and taken down with its group. */
#ifndef QUERN_TESTS_WORKER_OWN_DIR_H
#define QUERN_TESTS_WORKER_OWN_DIR_H

#include <stdlib.h>

#include "libcommon/store/fsutil.h"

static char dir[] = "/tmp/quern-test-XXXXXX";

static inline int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static inline int drop_dir(void **state)
{
    (void)state;
    return fsutil_remove_tree(disk_real(), dir, NULL);
}

#endif
