/* SPDX-License-Identifier: Apache-2.0
 * digest: SHA-256 (plugins and job files travel by it) and MD5 (what HDFS's file checksum is made
 * of; no protection against anybody). */
#ifndef QUERN_CODEC_DIGEST_H
#define QUERN_CODEC_DIGEST_H

#include "libcommon/base/slice.h"

enum digest_kind { DIGEST_SHA256, DIGEST_MD5 };

#define DIGEST_SHA256_SIZE 32
#define DIGEST_MD5_SIZE    16
#define DIGEST_MAX_SIZE    32
#define DIGEST_TEXT_MAX    (2 * DIGEST_MAX_SIZE + 1)

size_t digest_size(enum digest_kind kind);

/* A sum in the making. Embed it; digest_init, any number of digest_update, then digest_final, which
 * also releases it. digest_release drops an unfinished one; harmless on a released or zero one. */
struct digest {
    void *ctx;
    enum digest_kind kind;
};
int digest_init(struct digest *digest, enum digest_kind kind); /* 0 or ERR_NOMEM */
int digest_update(struct digest *digest, struct slice data);   /* 0 or ERR_FAILED */
int digest_final(struct digest *digest, uint8_t *ret_sum);     /* digest_size(kind) bytes */
void digest_release(struct digest *digest);

/* All at once. */
int digest_of(enum digest_kind kind, struct slice data, uint8_t *ret_sum);
/* Of what is left to read in `fd`; the file position moves. ERR_IO ... with what failed in err. */
int digest_fd(enum digest_kind kind, int fd, uint8_t *ret_sum, struct err *err);

/* Lower-case hex. `out` holds 2 * len + 1 bytes. */
char *digest_text(const uint8_t *sum, size_t len, char *out);

#endif
