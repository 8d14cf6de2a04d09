/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/digest.h"

#include <errno.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "libcommon/base/mem.h"

#define READ_BYTES ((size_t)256 << 10)

size_t digest_size(enum digest_kind kind)
{
    return kind == DIGEST_SHA256 ? DIGEST_SHA256_SIZE : DIGEST_MD5_SIZE;
}

int digest_init(struct digest *digest, enum digest_kind kind)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx ||
        EVP_DigestInit_ex(ctx, kind == DIGEST_SHA256 ? EVP_sha256() : EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return ERR_NOMEM;
    }
    *digest = (struct digest){.ctx = ctx, .kind = kind};
    return 0;
}

int digest_update(struct digest *digest, struct slice data)
{
    return EVP_DigestUpdate(digest->ctx, data.data, data.len) == 1 ? 0 : ERR_FAILED;
}

int digest_final(struct digest *digest, uint8_t *ret_sum)
{
    int ok = EVP_DigestFinal_ex(digest->ctx, ret_sum, NULL);
    digest_release(digest);
    return ok == 1 ? 0 : ERR_FAILED;
}

void digest_release(struct digest *digest)
{
    EVP_MD_CTX_free(digest->ctx);
    digest->ctx = NULL;
}

int digest_of(enum digest_kind kind, struct slice data, uint8_t *ret_sum)
{
    struct digest digest;
    int rc = digest_init(&digest, kind);
    if (rc != 0)
        return rc;
    rc = digest_update(&digest, data);
    if (rc != 0) {
        digest_release(&digest);
        return rc;
    }
    return digest_final(&digest, ret_sum);
}

static int feed_fd(struct digest *digest, int fd, uint8_t *room, struct err *err)
{
    for (;;) {
        ssize_t n = read(fd, room, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read what is to be digested");
        if (n == 0)
            return 0;
        int rc = digest_update(digest, slice_of(room, (size_t)n));
        if (rc != 0)
            return err_set(err, rc, "digest failed");
    }
}

int digest_fd(enum digest_kind kind, int fd, uint8_t *ret_sum, struct err *err)
{
    struct digest digest;
    uint8_t *room = mem_alloc(READ_BYTES);
    int rc = room ? digest_init(&digest, kind) : ERR_NOMEM;
    if (rc != 0) {
        mem_free(room);
        return err_set(err, rc, "%s", err_text(rc));
    }
    rc = feed_fd(&digest, fd, room, err);
    mem_free(room);
    if (rc != 0) {
        digest_release(&digest);
        return rc;
    }
    rc = digest_final(&digest, ret_sum);
    return rc == 0 ? 0 : err_set(err, rc, "digest failed");
}

char *digest_text(const uint8_t *sum, size_t len, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex[sum[i] >> 4];
        out[2 * i + 1] = hex[sum[i] & 15];
    }
    out[2 * len] = 0;
    return out;
}
