/* SPDX-License-Identifier: Apache-2.0
 * hotswap: data directories come and go while the node serves (dfs.datanode.data.dir read again).
 *
 *   wished list -> [disk thread: the new ones are locked, read, compared with ours, scanned]
 *     one of them will not do: all is as it was, and why is one line
 *     else -> their replicas join the map, and the ones not wished any more go: no new block is
 *     put there, writers of its blocks are told to end, its replicas leave the map, it is unlocked
 *
 * The files of a directory that goes stay as they are: when it comes back, its blocks do. One that
 * had failed and is still wished is tried again; that it still fails refuses nothing. The caller
 * tells the namenode (by registering again) when it is done. Loop thread only; one at a time. */
#ifndef QUERN_DN_STORAGE_HOTSWAP_H
#define QUERN_DN_STORAGE_HOTSWAP_H

#include "datanode/storage/storage.h"

struct dn_hotswap_conf {
    const char *const *entries; /* as in dfs.datanode.data.dir; borrowed during the call */
    size_t count;
    /* err NULL: the directories are as wished. `has_changed`: some came or went. */
    void (*done)(void *arg, const struct err *err, bool has_changed);
    void *arg;
};

/* 0: done is called later (or from inside). An error: nothing has changed, done is not called. */
int dn_hotswap_start(struct dn_storage *storage, const struct dn_hotswap_conf *conf,
                     struct err *err);

#endif
