/* SPDX-License-Identifier: Apache-2.0
 * bootstrap: make the name directories of this configuration a copy of a running namenode's: its
 * newest image and its log, up to at least what was durable there when the copy began.
 *
 *   list -> image, checked whole -> segments, each checked -> watermark -> VERSION
 *
 * The first directory is filled, further ones are emptied: the first start fills them from it.
 *
 * A copy that is cut short has no VERSION: it is begun again. When the namenode writes an image
 * meanwhile and retires files, the copy begins again by itself. Blocks; no loop. */
#ifndef QUERN_NAMENODE_TALK_BOOTSTRAP_H
#define QUERN_NAMENODE_TALK_BOOTSTRAP_H

#include "libcommon/store/disk.h"

struct nn_bootstrap {
    struct disk *disk;
    const char *const *dirs;
    size_t dir_count;
    const char *address; /* of the running one */
    bool force;          /* also over a formatted directory, which is lost */
    uint32_t timeout_ms;
};
/* *ret_last: the last record that was copied. ERR_EXIST: a directory is formatted or holds other
 * files. */
int nn_bootstrap_run(const struct nn_bootstrap *wish, uint64_t *ret_last, struct err *err);

#endif
