/* SPDX-License-Identifier: Apache-2.0
 * census: the disks compared with memory (Hadoop's directory scanner), every
 * dfs.datanode.directoryscan.interval, for files that somebody or something touched while this
 * process runs:
 *
 *   data file gone                   the replica leaves the map, the namenode hears DELETED; the
 *                                    directory is suspect (suspect.h)
 *   length changed, checksums gone   BAD: the namenode has it replaced
 *   a block nobody knew, whole       verified; then it joins the map, and the namenode hears
 * RECEIVED
 *
 *     timer -> thread: names and lengths of one directory -> loop: against the map -> each that
 *     differs: claimed, looked at again on a thread (it may have been on its way), judged
 *
 * A directory that cannot be listed, or lost its VERSION, proves nothing about its blocks: it is
 * suspect as a whole. Blocks being written are left alone. Loop thread only. */
#ifndef QUERN_DN_STORAGE_CENSUS_H
#define QUERN_DN_STORAGE_CENSUS_H

#include "datanode/storage/storage.h"

struct dn_census;

/* interval_ms 0: never. NULL when memory is out. */
struct dn_census *dn_census_new(struct loop *loop, struct dn_storage *storage,
                                uint64_t interval_ms);
/* What is found can be told. Harmless when started. */
void dn_census_start(struct dn_census *census);
/* No further step; NULL is fine. */
void dn_census_stop(struct dn_census *census);
/* Behind dn_census_stop, when the disk queue has ended. NULL is fine. */
void dn_census_free(struct dn_census *census);

#endif
