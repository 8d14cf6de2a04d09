/* SPDX-License-Identifier: Apache-2.0
 * suspect: a data directory that gave an I/O error is tried: a small file is made, synced, read and
 * removed, on a disk thread. If that fails too the directory has failed: no block is put there any
 * more, it is left out of reports, and the namenode hears of it with the next heartbeat and has its
 * blocks replaced. One error alone is the block's, not the disk's. A full disk is no failed one. */
#ifndef QUERN_DN_STORAGE_SUSPECT_H
#define QUERN_DN_STORAGE_SUSPECT_H

#include "datanode/storage/storage.h"

/* `code`: how something ended that touched the volume; an I/O error, a file that is
 * gone and a filesystem that refuses to be written make it suspect. Harmless
 * to repeat while it is being tried, and when it has failed. Loop thread. */
void dn_suspect_volume(struct dn_storage *storage, struct dn_volume *volume, int code);

#endif
