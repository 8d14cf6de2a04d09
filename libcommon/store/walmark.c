/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/walmark.h"

#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"

#define MAGIC     0x4b524d51U /* "QMRK" */
#define VERSION   1U
#define SLOT      4096U
#define CRC_AT    (SLOT - 4)
#define MEMBER_AT 64U
#define MEMBER    (8U + WALMARK_PATH_MAX)

static void encode(const struct walmark *mark, uint8_t slot[SLOT])
{
    memset(slot, 0, SLOT);
    put_u32(slot, MAGIC);
    put_u32(slot + 4, VERSION);
    put_u64(slot + 8, mark->wal_id);
    put_u64(slot + 16, mark->seq);
    put_u64(slot + 24, mark->acknowledged);
    put_u64(slot + 32, mark->first);
    put_u64(slot + 40, mark->epoch);
    put_u64(slot + 48, mark->self);
    put_u32(slot + 56, mark->member_count);
    for (uint32_t i = 0; i < mark->member_count; i++) {
        uint8_t *p = slot + MEMBER_AT + i * MEMBER;
        put_u64(p, mark->members[i].id);
        memcpy(p + 8, mark->members[i].path, WALMARK_PATH_MAX);
    }
    put_u32(slot + CRC_AT, crc32c(0, slot, CRC_AT));
}

static int decode(const uint8_t slot[SLOT], struct walmark *ret)
{
    if (get_u32(slot) != MAGIC || get_u32(slot + CRC_AT) != crc32c(0, slot, CRC_AT))
        return ERR_CORRUPT;
    if (get_u32(slot + 4) != VERSION)
        return ERR_VERSION;
    *ret = (struct walmark){
        .wal_id = get_u64(slot + 8),
        .seq = get_u64(slot + 16),
        .acknowledged = get_u64(slot + 24),
        .first = get_u64(slot + 32),
        .epoch = get_u64(slot + 40),
        .self = get_u64(slot + 48),
        .member_count = get_u32(slot + 56),
    };
    if (ret->member_count == 0 || ret->member_count > WAL_DIRS_MAX)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < ret->member_count; i++) {
        const uint8_t *p = slot + MEMBER_AT + i * MEMBER;
        ret->members[i].id = get_u64(p);
        memcpy(ret->members[i].path, p + 8, WALMARK_PATH_MAX - 1);
    }
    return 0;
}

/* The newest whole slot; a slot of a later version counts, as it cannot be a torn one of ours. */
static int choose(struct slice file, struct walmark *ret)
{
    int best = ERR_CORRUPT;
    struct walmark mark;
    for (size_t i = 0; i < 2 && file.len >= (i + 1) * SLOT; i++) {
        int rc = decode(file.data + i * SLOT, &mark);
        if (rc == ERR_VERSION)
            return rc;
        if (rc == 0 && (best != 0 || mark.seq > ret->seq)) {
            *ret = mark;
            best = 0;
        }
    }
    return best;
}

int walmark_read(struct disk *disk, const char *dir, struct walmark *ret, struct err *err)
{
    struct buf file = BUF_INIT;
    char *path = fsutil_join(dir, WALMARK_FILE);
    if (!path)
        return err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    int rc = fsutil_read_all(disk, path, 64 * SLOT, &file, err);
    if (rc == 0) {
        rc = choose(buf_slice(&file), ret);
        if (rc == ERR_VERSION)
            err_set(err, rc, "%s was written by a newer quern: run that one", path);
        else if (rc != 0)
            err_set(err, rc, "%s is damaged: neither of its slots can be read", path);
    }
    buf_release(&file);
    mem_free(path);
    return rc;
}

int walmark_create(struct disk *disk, const char *dir, const struct walmark *mark, struct err *err)
{
    uint8_t slots[2 * SLOT];
    char *path = fsutil_join(dir, WALMARK_FILE);
    if (!path)
        return err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    encode(mark, slots);
    encode(mark, slots + SLOT);
    int rc = fsutil_replace(disk, path, slice_of(slots, sizeof(slots)), err);
    mem_free(path);
    return rc;
}

int walmark_write(struct disk *disk, int fd, const struct walmark *mark)
{
    uint8_t slot[SLOT];
    encode(mark, slot);
    int rc = disk_pwrite(disk, fd, slot, SLOT, (mark->seq % 2) * SLOT);
    return rc ? rc : disk_fdatasync(disk, fd);
}

bool walmark_has(const struct walmark *mark, uint64_t id)
{
    for (uint32_t i = 0; i < mark->member_count; i++)
        if (mark->members[i].id == id)
            return true;
    return false;
}
