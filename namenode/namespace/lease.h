/* SPDX-License-Identifier: Apache-2.0
 * lease: who is writing which file. One writer (a client handle, by its random id) per file; all
 * his files live as long as he renews.
 *
 *   renewed ----- soft limit (60 s): another client may take the file over ----- hard limit (20
 * min): the namenode closes it by itself ("recovery": holder 0, with a term of its own before each
 * retry)
 *
 * Times are monotonic and belong to this process: the journal and the image hold who has a file,
 * and after a restart every lease gets a full term. Pure: nothing here looks at a clock. */
#ifndef QUERN_NAMENODE_NAMESPACE_LEASE_H
#define QUERN_NAMENODE_NAMESPACE_LEASE_H

#include "libcommon/base/heap.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"

#define NN_LEASE_NAMENODE 0U /* the holder while the namenode recovers a file */

struct nn_holder {
    struct hmap_node by_client;
    struct heap_node by_age; /* key: when he renewed, at the time he was looked at last */
    struct list files;       /* struct nn_lease */
    uint64_t client;
    uint64_t renewed_ms;
    char host[48]; /* where he asked from last, "" = not since the start; for people */
};

struct nn_lease {
    struct hmap_node by_file;
    struct list of_holder;
    struct nn_holder *holder;
    uint64_t file; /* inode id */
};

struct nn_leases {
    struct hmap holders, files;
    struct heap ages;
};

void nn_leases_init(struct nn_leases *leases);
void nn_leases_release(struct nn_leases *leases);

/* The file is nobody's yet. A new holder begins his term now. ERR_NOMEM. */
int nn_leases_add(struct nn_leases *leases, uint64_t file, uint64_t client, uint64_t now_ms);
/* Where this client asks from, "host:port"; harmless when he holds nothing. */
void nn_leases_note_host(struct nn_leases *leases, uint64_t client, const char *address);
void nn_leases_remove(struct nn_leases *leases, uint64_t file); /* harmless when nobody has it */
/* The file passes to another holder. ERR_NOMEM: unchanged. */
int nn_leases_move(struct nn_leases *leases, uint64_t file, uint64_t client, uint64_t now_ms);
const struct nn_lease *nn_leases_find(const struct nn_leases *leases, uint64_t file); /* or NULL */

/* The files of one client: how many, the first (NULL: none), the one after. */
size_t nn_leases_count(const struct nn_leases *leases, uint64_t client);
const struct nn_lease *nn_leases_first(const struct nn_leases *leases, uint64_t client);
const struct nn_lease *nn_leases_next(const struct nn_lease *lease);

/* False when that client writes nothing. */
bool nn_leases_renew(struct nn_leases *leases, uint64_t client, uint64_t now_ms);
/* Every holder gets a full term from now on: a restart, or a time in which nobody could renew. */
void nn_leases_renew_all(struct nn_leases *leases, uint64_t now_ms);
/* Has `limit_ms` gone by since that holder renewed? */
bool nn_lease_is_over(const struct nn_lease *lease, uint64_t limit_ms, uint64_t now_ms);
/* The holder that has been silent longest, if for `limit_ms` or more; NULL otherwise. */
const struct nn_holder *nn_leases_over(struct nn_leases *leases, uint64_t limit_ms,
                                       uint64_t now_ms);

#endif
