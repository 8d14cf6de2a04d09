/* SPDX-License-Identifier: Apache-2.0
 * records: a file of records that is read from its first byte to its last and shown as lines of
 * text (seqfile.h, avro.h): bytes in, packed bytes undone, lines out, and one word for what is cut
 * off or damaged. Pure but for the two calls it is handed. */
#ifndef QUERN_FS_RECORDS_H
#define QUERN_FS_RECORDS_H

#include <sys/types.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/codec/unpack.h"

#define FS_RECORD_MAX (64U << 20) /* of one piece that is taken or unpacked */

struct fs_records {
    void *arg;
    /* All of `n`, fewer at the end of the file, or negative: failed, and told. */
    ssize_t (*read)(void *arg, void *to, size_t n);
    int (*write)(void *arg, struct slice text); /* not 0: failed, and told */
    const char *what;                           /* "SequenceFile": in errors */
    struct err *err;
};

/* All of these: 0; ERR_CORRUPT, ERR_UNSUPPORTED or ERR_NOMEM with r->err; ERR_CANCELLED when a call
 * failed. */

/* "not a whole SequenceFile" */
int fs_records_damaged(const struct fs_records *r);
int fs_records_no_memory(const struct fs_records *r);
int fs_records_take(const struct fs_records *r, void *to, size_t n);
/* Replaces what is in `ret`. */
int fs_records_take_buf(const struct fs_records *r, struct buf *ret, uint64_t n);
int fs_records_unpack(const struct fs_records *r, enum unpack_kind kind, struct slice in,
                      struct buf *ret);
int fs_records_say(const struct fs_records *r, const struct buf *text);

#endif
