/* SPDX-License-Identifier: Apache-2.0
 * blockfile: the two open files of one replica: its bytes (`blk_<id>`) and their checksums (layout
 * in sumfile.h), written together and read together.
 *
 * Writing: one thread. Whatever is written is 512-aligned at its start, so every checksum is that
 * of a whole chunk; a partial last chunk is written again, whole, when it grows. Large aligned runs
 * go past the page cache (O_DIRECT) straight from the caller's memory; the rest goes through it,
 * with writing out begun early, so that the final fsync is short either way. Room is reserved ahead
 * in growing steps, so the data file may be longer than the block until it is finalized.
 *
 * Reading: any number of threads, also while it is written. dn_blockfile_read is the only way to
 * get bytes out, and it verifies them: nobody can forget to.
 *
 * All functions may block. Messages in err name the file. */
#ifndef QUERN_DN_STORAGE_BLOCKFILE_H
#define QUERN_DN_STORAGE_BLOCKFILE_H

#include "datanode/storage/sumfile.h"
#include "libcommon/store/disk.h"

struct dn_blockfile {
    struct disk *disk; /* borrowed */
    struct dn_block_paths paths;
    uint64_t id, gs;
    int data_fd, sums_fd;
    int direct_fd; /* the data file again, past the page cache; -1 until it pays */
    /* the writer's */
    uint64_t len;         /* bytes written */
    uint32_t tail_sum;    /* of the chunk len ends in, when it is partial */
    uint64_t max_len;     /* how far it may grow: what is reserved at most */
    uint64_t reserved;    /* length of the data file while it is longer than the block */
    uint64_t writing_out; /* write-out has been asked for up to here */
    uint32_t direct_min;  /* runs of at least so many bytes go past the page cache; 0 = none */
    uint64_t mark_number;
    bool can_reserve;
    bool has_durable_names; /* the directory was synced since the files were made */
};

/* What readers may see of a replica that is still being written; both change together. */
struct dn_visible {
    uint64_t len;
    uint32_t tail_sum;
    bool has_tail_sum; /* else the checksum file's own counts (finalized replicas) */
};

struct dn_blockfile_new {
    const char *dir;
    uint64_t id, gs;
    uint64_t max_len;
    uint32_t direct_min;
};
/* Both files, empty, in `dir`; left-overs of the same name are overwritten. */
int dn_blockfile_create(struct disk *disk, const struct dn_blockfile_new *what,
                        struct dn_blockfile **ret, struct err *err);
/* Files that are there. ERR_NOENT, ERR_CORRUPT, ERR_STALE (those of another block or stamp) ...
 * `flags`: DISK_READ, or with DISK_WRITE. `len` is not known yet (see settle.h) and stays 0. */
int dn_blockfile_open(struct disk *disk, const struct dn_blockfile_new *what, unsigned flags,
                      struct dn_blockfile **ret, struct err *err);
void dn_blockfile_close(struct dn_blockfile *file); /* NULL is fine */

/* How opening or reading ended: are the files at fault, so that the replica is none? One I/O error
 * proves nothing, and is the caller's to look into. */
bool dn_blockfile_is_damage(int code);

/* `off` is a multiple of 512 and at most len; `sums` has one u32 per chunk of the data. After 0 the
 * bytes are where every reader finds them, and len reaches at least off + size. */
int dn_blockfile_write(struct dn_blockfile *file, uint64_t off, struct slice data,
                       const uint8_t *sums);
/* Right before both files are fsynced, one after the other: the checksums are on their way while
 * the data are waited for, so that one commit of the filesystem's journal does for both (two for a
 * block, with its directory's, instead of three). Promises nothing. */
void dn_blockfile_hurry(struct dn_blockfile *file);
/* hsync: all that was written, its length and the files' names survive a crash. */
int dn_blockfile_sync(struct dn_blockfile *file);

/* Bytes [off, off + len) and their sums; off is a multiple of 512, and so is the end, unless it is
 * visible->len. Verified: ERR_CHECKSUM, or ERR_CORRUPT when the files are shorter than they should
 * be; what is in data and sums is then worthless. `sums` gets one u32 per chunk. */
struct dn_extent {
    uint64_t off;
    uint32_t len;
};
int dn_blockfile_read(const struct dn_blockfile *file, struct dn_extent extent,
                      const struct dn_visible *visible, uint8_t *data, uint8_t *sums);

#endif
