/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/outfile.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define BUFFER_BYTES (1U << 20)

static void release(struct outfile *out)
{
    disk_close(out->disk, out->fd);
    out->fd = -1;
    buf_release(&out->pending);
    mem_free(out->path);
    mem_free(out->tmp_path);
    out->path = out->tmp_path = NULL;
}

static void fail(struct outfile *out, int code, const char *verb)
{
    if (out->failed.code == 0)
        err_set(&out->failed, code, "%s: cannot %s: %s", out->tmp_path, verb, err_text(code));
}

int outfile_open(struct outfile *out, struct disk *disk, const char *path, struct err *err)
{
    *out = (struct outfile){.disk = disk, .fd = -1};
    out->path = str_dup(path);
    out->tmp_path = str_printf("%s.tmp", path);
    if (!out->path || !out->tmp_path) {
        release(out);
        return err_set(err, ERR_NOMEM, "%s: out of memory", path);
    }
    int rc = disk_open(disk, out->tmp_path, DISK_WRITE | DISK_CREATE | DISK_TRUNC, &out->fd);
    if (rc != 0) {
        err_set(err, rc, "%s: cannot create: %s", out->tmp_path, err_text(rc));
        release(out);
    }
    return rc;
}

static void write_out(struct outfile *out, const void *data, size_t len)
{
    uint64_t off = out->off;
    out->off += len; /* after a failure too, so that the caller's offsets stay as computed */
    if (out->failed.code != 0)
        return;
    int rc = disk_pwrite(out->disk, out->fd, data, len, off);
    if (rc == 0)
        rc = disk_writeback(out->disk, out->fd, off, len);
    if (rc != 0)
        fail(out, rc, "write");
}

void outfile_flush(struct outfile *out)
{
    if (buf_failed(&out->pending))
        fail(out, ERR_NOMEM, "buffer");
    if (out->pending.len)
        write_out(out, out->pending.data, out->pending.len);
    buf_clear(&out->pending);
}

void outfile_append(struct outfile *out, const void *data, size_t len)
{
    if (out->pending.len + len >= BUFFER_BYTES)
        outfile_flush(out);
    if (len >= BUFFER_BYTES)
        write_out(out, data, len);
    else
        buf_append(&out->pending, data, len);
}

uint64_t outfile_offset(const struct outfile *out)
{
    return out->off + out->pending.len;
}

static int commit(struct outfile *out, bool with_name, struct err *err)
{
    outfile_flush(out);
    if (out->failed.code == 0) {
        int rc = disk_fsync(out->disk, out->fd);
        if (rc != 0)
            fail(out, rc, "fsync");
    }
    if (out->failed.code != 0) {
        int code = out->failed.code;
        if (err)
            *err = out->failed;
        outfile_abort(out);
        return code;
    }
    int rc = disk_rename(out->disk, out->tmp_path, out->path);
    if (rc != 0) {
        err_set(err, rc, "%s: cannot rename to %s: %s", out->tmp_path, out->path, err_text(rc));
        outfile_abort(out);
        return rc;
    }
    rc = with_name ? fsutil_sync_parent(out->disk, out->path, err) : 0;
    release(out);
    return rc;
}

int outfile_commit(struct outfile *out, struct err *err)
{
    return commit(out, true, err);
}

int outfile_commit_unnamed(struct outfile *out, struct err *err)
{
    return commit(out, false, err);
}

void outfile_abort(struct outfile *out)
{
    if (!out->tmp_path)
        return;
    disk_close(out->disk, out->fd);
    out->fd = -1;
    (void)disk_unlink(out->disk, out->tmp_path); /* a left-over .tmp is nobody's loss */
    release(out);
}
