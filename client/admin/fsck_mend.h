/* SPDX-License-Identifier: Apache-2.0
 * fsck_mend: what -move and -delete do with files that lack a block. */
#ifndef QUERN_ADMIN_FSCK_MEND_H
#define QUERN_ADMIN_FSCK_MEND_H

#include "client/lib/handle.h"

struct fsck_mend {
    struct qn_fs *fs;
    bool moves, deletes;
    bool has_failed; /* anything: the check then ends as failed, as Hadoop's does */
    bool is_ready;   /* /lost+found is there */
};

/* Save what can be read of the file as /lost+found/PATH/0, 1, ...: one file for each run of whole
 * blocks; then delete it, as asked for. A file is deleted even when nothing could be saved of it;
 * whoever wants to keep it says -move alone. */
void fsck_mend(struct fsck_mend *mend, const char *path);

#endif
