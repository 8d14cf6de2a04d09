/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/journal/blobs.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/digest.h"
#include "libcommon/store/fsutil.h"

#define PART_SUFFIX ".part"

int blobs_init(struct blobs *blobs, struct disk *disk, const char *dir, struct err *err)
{
    *blobs = (struct blobs){.disk = disk, .dir = str_dup(dir)};
    if (!blobs->dir)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = fsutil_mkdirs(disk, dir, err);
    if (rc == 0)
        rc = fsutil_remove_endings(disk, dir, PART_SUFFIX, err);
    if (rc != 0)
        blobs_release(blobs);
    return rc;
}

void blobs_release(struct blobs *blobs)
{
    mem_free(blobs->dir);
    blobs->dir = NULL;
}

bool blob_is_digest(struct slice digest)
{
    if (digest.len != 2 * DIGEST_SHA256_SIZE)
        return false;
    for (size_t i = 0; i < digest.len; i++) {
        uint8_t c = digest.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

static char *blob_path(const struct blobs *blobs, struct slice digest, const char *suffix)
{
    return str_printf("%s/" SLICE_FMT "%s", blobs->dir, SLICE_ARG(digest), suffix);
}

/* 0 and the size, or ERR_NOENT and kin. */
static int size_of(struct blobs *blobs, struct slice digest, const char *suffix, uint64_t *ret)
{
    struct disk_stat st;
    char *path = blob_path(blobs, digest, suffix);
    int rc = path ? disk_stat(blobs->disk, path, &st) : ERR_NOMEM;
    mem_free(path);
    if (rc == 0)
        *ret = st.size_bytes;
    return rc;
}

uint64_t blobs_have(struct blobs *blobs, struct slice digest, bool *ret_whole)
{
    uint64_t size = 0;
    *ret_whole = false;
    if (!blob_is_digest(digest))
        return 0;
    if (size_of(blobs, digest, "", &size) == 0)
        *ret_whole = true;
    else if (size_of(blobs, digest, PART_SUFFIX, &size) != 0)
        size = 0;
    return size;
}

int blobs_put(struct blobs *blobs, struct slice digest, uint64_t offset, struct slice bytes,
              struct err *err)
{
    bool whole;
    if (!blob_is_digest(digest))
        return err_set(err, ERR_INVAL, "a blob is named by its SHA-256 in hex");
    uint64_t have = blobs_have(blobs, digest, &whole);
    if (whole)
        return 0;
    if (offset != have)
        return err_set(err, ERR_STALE, "expected the blob's bytes from %" PRIu64 " on", have);
    if (bytes.len > BLOB_MAX_BYTES - have)
        return err_set(err, ERR_TOOBIG, "a blob may have 1 GiB");
    char *path = blob_path(blobs, digest, PART_SUFFIX);
    int fd = -1;
    int rc = path ? disk_open(blobs->disk, path, DISK_WRITE | DISK_CREATE, &fd) : ERR_NOMEM;
    if (rc == 0)
        rc = disk_pwrite(blobs->disk, fd, bytes.data, bytes.len, offset);
    disk_close(blobs->disk, fd);
    if (rc != 0)
        err_set(err, rc, "cannot write %s: %s", path ? path : "a blob", err_text(rc));
    mem_free(path);
    return rc;
}

static int verify_and_sync(struct blobs *blobs, const char *part, const char *digest,
                           struct err *err)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    char text[DIGEST_TEXT_MAX];
    int fd = -1, rc = disk_open(blobs->disk, part, DISK_READ | DISK_WRITE, &fd);
    if (rc != 0)
        return err_set(err, rc, "cannot open %s: %s", part, err_text(rc));
    rc = digest_fd(DIGEST_SHA256, fd, sum, err);
    if (rc == 0 && strcmp(digest_text(sum, sizeof(sum), text), digest) != 0)
        rc = err_set(err, ERR_CHECKSUM, "what was brought as %s hashes to %s", digest, text);
    if (rc == 0) {
        rc = disk_fsync(blobs->disk, fd);
        if (rc != 0)
            err_set(err, rc, "cannot sync %s: %s", part, err_text(rc));
    }
    disk_close(blobs->disk, fd);
    return rc;
}

int blobs_finish(struct blobs *blobs, const char *digest, struct err *err)
{
    char *part = blob_path(blobs, slice_str(digest), PART_SUFFIX);
    char *path = blob_path(blobs, slice_str(digest), "");
    int rc = part && path ? verify_and_sync(blobs, part, digest, err)
                          : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        rc = disk_rename(blobs->disk, part, path);
        if (rc == 0)
            rc = disk_fsync_dir(blobs->disk, blobs->dir);
        if (rc != 0)
            err_set(err, rc, "cannot keep %s: %s", path, err_text(rc));
    } else if (part) {
        disk_unlink(blobs->disk, part); /* the next try begins anew */
    }
    bool whole = false; /* another who brought the same may have been quicker */
    if (rc != 0 && blobs_have(blobs, slice_str(digest), &whole) > 0 && whole)
        rc = disk_fsync_dir(blobs->disk, blobs->dir);
    mem_free(part);
    mem_free(path);
    return rc;
}

int blobs_read(struct blobs *blobs, struct slice digest, uint64_t offset, size_t max,
               struct buf *out, uint64_t *ret_total)
{
    uint64_t total;
    int fd = -1;
    if (!blob_is_digest(digest))
        return ERR_INVAL;
    int rc = size_of(blobs, digest, "", &total);
    if (rc != 0)
        return rc;
    char *path = blob_path(blobs, digest, "");
    rc = path ? disk_open(blobs->disk, path, DISK_READ, &fd) : ERR_NOMEM;
    mem_free(path);
    if (rc != 0)
        return rc;
    uint64_t left = offset < total ? total - offset : 0;
    size_t want = left < max ? (size_t)left : max;
    uint8_t *to = buf_reserve(out, want);
    int64_t n = to ? disk_pread(blobs->disk, fd, to, want, offset) : ERR_NOMEM;
    disk_close(blobs->disk, fd);
    if (n < 0)
        return (int)n;
    out->len += (size_t)n;
    *ret_total = total;
    return 0;
}

int blobs_renew(struct blobs *blobs, struct slice digest, uint64_t now_wall_ms,
                uint64_t least_age_ms, struct err *err)
{
    struct disk_stat st;
    struct buf bytes = BUF_INIT;
    char *path = blob_is_digest(digest) ? blob_path(blobs, digest, "") : NULL;
    int rc = path ? disk_stat(blobs->disk, path, &st) : ERR_NOENT;
    if (rc == 0 && st.mtime_ms + least_age_ms < now_wall_ms) { /* written anew, its age is 0 */
        rc = fsutil_read_all(blobs->disk, path, BLOB_MAX_BYTES, &bytes, err);
        if (rc == 0)
            rc = fsutil_replace(blobs->disk, path, buf_slice(&bytes), err);
    }
    buf_release(&bytes);
    mem_free(path);
    return rc;
}
