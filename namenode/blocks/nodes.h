/* SPDX-License-Identifier: Apache-2.0
 * nodes: the datanodes and their storages: who they are, whether they live, how full and how busy.
 *
 *            register                 30 s silent              2*recheck + 10*heartbeat
 *   (none) ----------> LIVE <---------------------> STALE ------------------------------> DEAD
 *                       ^        heartbeat                                                 |
 *                       +------------------------- register again, full report ------------+
 *
 * A node is its node.name; its data directories are its uuid. Both are checked at registration:
 * a second living process under the same name, or with a copied directory, is refused. A node whose
 * connection closed keeps its state (it may be back in a second) but gets no new work meanwhile.
 *
 * A storage is `is_reported` once a whole report has arrived since the last registration. Until
 * then nothing irreversible (removal of excess) is concluded from what it is thought to hold.
 *
 * What the operator wants of a node is its `admin` state (leaving.h has the drawing). A node that
 * rests in maintenance may be dead for as long as that lasts: its replicas stay on record.
 *
 * Indices start at 1, are never reused, and 0 is none. Nodes are forgotten only at restart. */
#ifndef QUERN_NN_BLOCKS_NODES_H
#define QUERN_NN_BLOCKS_NODES_H

#include "libcommon/base/hmap.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/slice.h"
#include "namenode/blocks/conf.h"

enum nn_node_state { NN_NODE_LIVE, NN_NODE_STALE, NN_NODE_DEAD };
const char *nn_node_state_name(enum nn_node_state state); /* live, stale, dead */

enum nn_node_admin {
    NN_NODE_NORMAL,
    NN_NODE_DECOMMISSIONING,
    NN_NODE_DECOMMISSIONED,
    NN_NODE_ENTERING_MAINTENANCE,
    NN_NODE_IN_MAINTENANCE,
};
const char *nn_node_admin_name(enum nn_node_admin admin); /* "Normal" ... */

/* How others reach a node. In struct nn_node the strings are owned; in a registration borrowed. */
struct nn_address {
    struct slice name, host, rack, socket, boot_id;
    uint32_t data_port, http_port;
    uint64_t netns;
};

struct nn_storage_facts {
    struct slice id;
    bool has_failed;
    uint64_t capacity, used, remaining;
};

struct nn_registration {
    struct nn_address address; /* rack already resolved (daemon/racks.h) */
    struct slice uuid;
    const struct nn_storage_facts *storages;
    size_t storage_count;
};

struct nn_storage {
    uint32_t index, node;
    char *id;
    bool has_failed;
    bool is_gone;        /* not in the last registration: what it held is being given up */
    bool is_reported;    /* a whole report since the registration */
    bool owes_removal;   /* dead, failed or gone: its replicas are being taken out of the map */
    uint32_t removed_to; /* ... which has been done for block indices below this */
    uint64_t capacity, used, remaining;
    uint64_t last_report_ms; /* 0 = never */
    struct hmap_node by_id;
};

struct nn_node {
    uint32_t index;
    uint32_t rack; /* index into nn_nodes.racks */
    struct nn_address address;
    char *uuid;
    enum nn_node_state state;
    enum nn_node_admin admin;
    uint64_t rests_until_ms; /* maintenance ends by itself then; 0 = when the operator says so */
    bool is_refused;         /* the operator wants it out: it may not register */
    bool is_connected;
    bool owes_removal; /* dead: its replicas are being taken out of the map, in slices */
    uint64_t session;  /* counts registrations */
    uint64_t heard_ms; /* last word from it */
    uint64_t xceivers;
    uint64_t non_dfs;
    uint32_t copies_out, copies_in;     /* ordered and not settled */
    uint32_t scheduled, scheduled_last; /* blocks promised to it in this and the last period */
    uint32_t *storages;
    size_t storage_count, storage_cap;
    struct hmap_node by_name, by_uuid;
    void *link;                      /* serve/datanodes: the connection; not touched here */
    enum nn_node_admin logged_admin; /* ... and what its log last said */
};

struct nn_rack {
    char *name;
    uint32_t *nodes; /* every node ever registered there, dead ones too */
    size_t count, cap;
    uint32_t in_service; /* of them not dead, and normal */
};

struct nn_nodes {
    const struct nn_blocks_conf *conf; /* borrowed */
    struct nn_node **node;             /* [1 .. node_count] */
    size_t node_count, node_cap;
    struct nn_storage **storage; /* [1 .. storage_count] */
    size_t storage_count, storage_cap;
    struct nn_rack *racks; /* [0 .. rack_count) */
    size_t rack_count, rack_cap;
    struct hmap by_name, by_uuid, by_storage_id;
    uint32_t living;     /* not dead */
    uint32_t in_service; /* not dead, and normal: where replicas may be put */
    uint32_t connected;  /* in service, and connected */
    uint32_t owing;      /* storages with owes_removal */
    uint64_t xceivers;   /* sum over living nodes, for the average load */
    uint64_t roll_ms;    /* when `scheduled` rolls over next */
    uint64_t usable_ms;  /* when one was last seen where replicas may be put; 0 = never */
};

int nn_nodes_init(struct nn_nodes *nodes, const struct nn_blocks_conf *conf);
void nn_nodes_release(struct nn_nodes *nodes);

/* A datanode says who it is. On success *ret_node is its index, it is LIVE, connected, and all its
 * storages are unreported; storages it no longer names are marked is_gone and owe removal. Those it
 * names must not owe any: see to that before. ERR_BUSY when name or uuid belongs to another
 * connected datanode (err says which), ERR_INVAL for empty names, ERR_NOMEM. */
int nn_nodes_register(struct nn_nodes *nodes, const struct nn_registration *reg, uint64_t now_ms,
                      uint32_t *ret_node, struct err *err);
/* Its connection closed. */
void nn_nodes_disconnect(struct nn_nodes *nodes, uint32_t node, uint64_t session);

/* A sign of life with figures. False when the node must register again (unknown, or dead). */
struct nn_heartbeat {
    const struct nn_storage_facts *storages;
    size_t storage_count;
    uint64_t xceivers, non_dfs;
};
bool nn_nodes_heartbeat(struct nn_nodes *nodes, uint32_t node, const struct nn_heartbeat *beat,
                        uint64_t now_ms);

/* Let time pass: LIVE -> STALE -> DEAD; the storages of a newly dead node owe removal. `died` is
 * called for each of these. */
void nn_nodes_step(struct nn_nodes *nodes, uint64_t now_ms, void (*died)(void *arg, uint32_t node),
                   void *arg);
/* Storages of a node that died in maintenance owe their removal only when that ends. */
void nn_nodes_set_admin(struct nn_nodes *nodes, uint32_t node, enum nn_node_admin admin);
/* Treat it as dead from now on; `died` as in nn_nodes_step, unless it was dead before. */
void nn_nodes_bury(struct nn_nodes *nodes, uint32_t node, void (*died)(void *arg, uint32_t node),
                   void *arg);
/* The removal that a storage owes has been done. */
void nn_nodes_removed(struct nn_nodes *nodes, uint32_t storage);

struct nn_node *nn_nodes_get(const struct nn_nodes *nodes, uint32_t index);     /* must exist */
struct nn_node *nn_nodes_find(const struct nn_nodes *nodes, struct slice name); /* or NULL */
struct nn_storage *nn_nodes_storage(const struct nn_nodes *nodes, uint32_t index);
struct nn_storage *nn_nodes_find_storage(const struct nn_nodes *nodes, struct slice id);
/* The node a storage is on. */
struct nn_node *nn_nodes_of(const struct nn_nodes *nodes, uint32_t storage);

/* Does a replica there count: node not dead, storage neither failed nor gone? */
bool nn_nodes_is_serving(const struct nn_nodes *nodes, uint32_t storage);
/* May work be given to it: living, connected, not stale when that is to be avoided? */
bool nn_nodes_is_usable(const struct nn_nodes *nodes, const struct nn_node *node);
/* There is none now, and at `since_ms` or later there was one. */
bool nn_nodes_lost_all(const struct nn_nodes *nodes, uint64_t since_ms);

/* Space: sums over the node's storages in use. */
struct nn_space {
    uint64_t capacity, used, remaining, largest_remaining;
    uint32_t failed;
};
struct nn_space nn_nodes_space(const struct nn_nodes *nodes, const struct nn_node *node);

/* One more block was promised to the node / one arrived. Forgotten after 10 to 20 minutes. */
void nn_nodes_scheduled(struct nn_nodes *nodes, uint32_t node);
void nn_nodes_arrived(struct nn_nodes *nodes, uint32_t node);

/* Racks with nodes in service. */
uint32_t nn_nodes_racks(const struct nn_nodes *nodes);

/* 0 = the same node, 2 = the same rack, 4 = another; an empty name is nowhere (4). */
unsigned nn_nodes_distance(const struct nn_nodes *nodes, struct slice from, uint32_t node);

#endif
