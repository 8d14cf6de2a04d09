/* SPDX-License-Identifier: Apache-2.0
 * depart: the replicas of a data directory that has failed, or is taken away, leave the map. Their
 * files stay as they are. Who writes one is told to end, and it goes when he has. From then on a
 * copy of such a block may come to this node again, to another directory. Loop thread only. */
#ifndef QUERN_DN_STORAGE_DEPART_H
#define QUERN_DN_STORAGE_DEPART_H

#include "datanode/storage/storage.h"

/* The volume has has_failed set already. done (may be NULL) is called when none is left, perhaps
 * from inside. 0 or ERR_NOMEM (some may have left then; done is not called). */
int dn_depart(struct dn_storage *storage, struct dn_volume *volume, void (*done)(void *arg),
              void *arg);

#endif
