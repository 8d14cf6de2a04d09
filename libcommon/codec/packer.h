/* SPDX-License-Identifier: Apache-2.0
 * packer: bytes as one compressed stream (gzip, zstd, lz4, bzip2), as the programs of these names
 * and unpack.h read it. The caller feeds it and is given what comes out. */
#ifndef QUERN_CODEC_PACKER_H
#define QUERN_CODEC_PACKER_H

#include "libcommon/base/slice.h"

enum packer_kind { PACKER_PLAIN, PACKER_GZIP, PACKER_ZSTD, PACKER_LZ4, PACKER_BZIP2 };

/* By what people call it: gzip, or Hadoop's class, org.apache.hadoop.io.compress.GzipCodec.
 * PACKER_PLAIN for any other word. */
enum packer_kind packer_kind_of(const char *name);
/* ".gz" ...; "" for PACKER_PLAIN. */
const char *packer_suffix(enum packer_kind kind);

/* Takes bytes on their way out; a negative code stops the packing. */
typedef int (*packer_out)(void *arg, const void *data, size_t len);

struct packer;
/* `level` 0 = the codec's own. ERR_NOMEM, or ERR_UNSUPPORTED for PACKER_PLAIN. */
int packer_open(enum packer_kind kind, int level, packer_out out, void *arg, struct packer **ret);
/* 0, what `out` said, or ERR_NOMEM. */
int packer_put(struct packer *packer, struct slice bytes);
/* The stream's end; then only packer_close. */
int packer_end(struct packer *packer);
void packer_close(struct packer *packer); /* NULL is fine */

#endif
