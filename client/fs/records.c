/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/records.h"

#include "libcommon/base/mem.h"

#define PIECE (64U << 10)

int fs_records_damaged(const struct fs_records *r)
{
    return err_set(r->err, ERR_CORRUPT, "not a whole %s", r->what);
}

int fs_records_no_memory(const struct fs_records *r)
{
    return err_set(r->err, ERR_NOMEM, "out of memory");
}

int fs_records_take(const struct fs_records *r, void *to, size_t n)
{
    ssize_t got = r->read(r->arg, to, n);
    return got < 0 ? ERR_CANCELLED : (size_t)got < n ? fs_records_damaged(r) : 0;
}

int fs_records_take_buf(const struct fs_records *r, struct buf *ret, uint64_t n)
{
    buf_clear(ret);
    if (n > FS_RECORD_MAX)
        return fs_records_damaged(r);
    uint8_t *room = buf_reserve(ret, n ? n : 1);
    if (!room)
        return fs_records_no_memory(r);
    int rc = fs_records_take(r, room, n);
    ret->len += rc == 0 ? n : 0;
    return rc;
}

int fs_records_unpack(const struct fs_records *r, enum unpack_kind kind, struct slice in,
                      struct buf *ret)
{
    struct unpack *unpack = NULL;
    int rc = unpack_open(kind, &unpack);
    size_t len = 1;
    buf_clear(ret);
    while (rc == 0 && (in.len || len)) {
        uint8_t *room = buf_reserve(ret, PIECE);
        rc = room ? unpack_step(unpack, &in, room, PIECE, &len) : ERR_NOMEM;
        if (rc == 0 && ret->len + len > FS_RECORD_MAX)
            rc = ERR_CORRUPT;
        if (rc == 0)
            ret->len += len;
    }
    if (rc == 0 && !unpack_is_complete(unpack))
        rc = ERR_CORRUPT;
    unpack_close(unpack);
    return rc == 0 ? 0 : rc == ERR_CORRUPT ? fs_records_damaged(r) : fs_records_no_memory(r);
}

int fs_records_say(const struct fs_records *r, const struct buf *text)
{
    if (buf_failed(text))
        return fs_records_no_memory(r);
    return r->write(r->arg, buf_slice(text)) == 0 ? 0 : ERR_CANCELLED;
}
