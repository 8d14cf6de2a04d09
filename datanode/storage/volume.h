/* SPDX-License-Identifier: Apache-2.0
 * volume: one data directory, best one per disk.
 *
 *     DIR/in_use.lock                      one process per directory
 *     DIR/current/VERSION                  whose it is (libcommon/store/version.h); written last
 *     DIR/current/node                     which datanode's (identity.h)
 *     DIR/current/finalized/subdirN/subdirM/blk_<id>, blk_<id>_<stamp>.meta
 *     DIR/current/rbw/...                  being written
 *     DIR/current/tmp/...                  copies on their way; emptied at start
 *
 * N and M are bits 16-20 and 8-12 of the block id, so that no directory grows large.
 *
 * A directory that is locked, of another cluster, of a newer layout, damaged, or full of other
 * people's files is refused with one line that says so, and nothing in it is touched. */
#ifndef QUERN_DN_STORAGE_VOLUME_H
#define QUERN_DN_STORAGE_VOLUME_H

#include <stdatomic.h>

#include "datanode/storage/identity.h"
#include "libcommon/store/fsutil.h"

#define DN_VOLUME_LAYOUT  1U
#define DN_VOLUME_SUBDIRS 32U

/* What an entry of dfs.datanode.data.dir says in front of the path: "[SSD]/d1", "[DISK]file:///d2".
 * It is shown; where blocks go does not depend on it. */
enum dn_media { DN_MEDIA_DISK, DN_MEDIA_SSD, DN_MEDIA_ARCHIVE, DN_MEDIA_RAM_DISK, DN_MEDIA_NVDIMM };
const char *dn_media_name(enum dn_media media);
/* *ret_path points into the entry. ERR_CONFIG with a line. */
int dn_volume_entry_parse(const char *entry, enum dn_media *ret_media, const char **ret_path,
                          struct err *err);

enum dn_dir { DN_DIR_FINALIZED, DN_DIR_RBW, DN_DIR_TMP };

struct dn_volume {
    struct disk *disk; /* borrowed */
    char *path, *current;
    enum dn_media media;
    struct fsutil_lock lock;
    struct version version; /* cluster_id "" until it is formatted */
    struct dn_identity identity;
    uint16_t index; /* among the volumes; replicas name it so */
    _Atomic bool has_failed;
    _Atomic uint32_t made[DN_VOLUME_SUBDIRS]; /* finalized directories known to be durable */
    /* the loop's */
    struct disk_space space; /* when last looked */
    uint64_t used;           /* bytes of replicas and their checksums */
    uint64_t promised;       /* bytes that blocks being written may still take */
    bool is_suspect;         /* gave an error, and is being tried (suspect.h) */
    bool
        is_removed; /* by the operator: it counts as failed, and nobody is told of it (hotswap.h) */
};

/* `path` is an entry of dfs.datanode.data.dir. Locks and reads it; makes the directory when it is
 * not there. A fresh one (empty, or left behind by a format that was cut short) has
 * version.cluster_id "". */
int dn_volume_open(struct disk *disk, const char *path, uint16_t index, struct dn_volume **ret,
                   struct err *err);
/* One that could not be opened, as a place holder: it has failed, and nothing of it is touched. */
int dn_volume_open_failed(struct disk *disk, const char *path, uint16_t index,
                          struct dn_volume **ret);
void dn_volume_close(struct dn_volume *volume); /* NULL is fine */
/* It was gone, and this is the same directory opened again (taken): go on with it. Others may still
 * hold the struct, so it stays where it is. */
void dn_volume_take_over(struct dn_volume *volume, struct dn_volume *again);

static inline bool dn_volume_is_formatted(const struct dn_volume *volume)
{
    return volume->version.cluster_id[0] != '\0';
}
/* Give a fresh volume its directories, identity and VERSION, durably. */
int dn_volume_format(struct dn_volume *volume, const char *cluster_id,
                     const struct dn_identity *identity, uint64_t now_wall_ms, struct err *err);

/* Where a block's files are; heap, NULL when memory is out. */
char *dn_volume_dir(const struct dn_volume *volume, enum dn_dir dir, uint64_t block_id);
/* The same for DN_DIR_FINALIZED, made durable if it is new. Any thread. */
int dn_volume_make_final_dir(struct dn_volume *volume, uint64_t block_id, char **ret_dir,
                             struct err *err);

#endif
