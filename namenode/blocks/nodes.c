/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/nodes.h"

#include "libcommon/base/mem.h"

#define WORD_MAX_LEN 255U
#define SEED_NAME    1
#define SEED_UUID    2
#define SEED_STORAGE 3
#define ROLL_MS      (600ULL * 1000) /* a promised block is forgotten after one to two of these */

const char *nn_node_state_name(enum nn_node_state state)
{
    static const char *const names[] = {"live", "stale", "dead"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "?";
}

const char *nn_node_admin_name(enum nn_node_admin admin)
{
    static const char *const names[] = {"Normal", "Decommission in progress", "Decommissioned",
                                        "Entering maintenance", "In maintenance"};
    return (size_t)admin < ARRAY_LEN(names) ? names[admin] : "?";
}

int nn_nodes_init(struct nn_nodes *nodes, const struct nn_blocks_conf *conf)
{
    *nodes = (struct nn_nodes){.conf = conf};
    return 0;
}

static void address_release(struct nn_address *a)
{
    struct slice *const all[] = {&a->name, &a->host, &a->rack, &a->socket, &a->boot_id};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free((void *)(uintptr_t)all[i]->data);
    *a = (struct nn_address){0};
}

static int address_copy(struct nn_address *ret, const struct nn_address *from)
{
    struct nn_address a = *from;
    struct slice *const all[] = {&a.name, &a.host, &a.rack, &a.socket, &a.boot_id};
    bool failed = false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i]->data = (uint8_t *)slice_dup(*all[i]);
        failed = failed || !all[i]->data;
    }
    if (failed) {
        address_release(&a);
        return ERR_NOMEM;
    }
    *ret = a;
    return 0;
}

static void node_free(struct nn_node *node)
{
    if (!node)
        return;
    address_release(&node->address);
    mem_free(node->uuid);
    mem_free(node->storages);
    mem_free(node);
}

void nn_nodes_release(struct nn_nodes *nodes)
{
    for (size_t i = 0; i < nodes->node_count; i++)
        node_free(nodes->node[i]);
    for (size_t i = 0; i < nodes->storage_count; i++) {
        mem_free(nodes->storage[i]->id);
        mem_free(nodes->storage[i]);
    }
    for (size_t i = 0; i < nodes->rack_count; i++) {
        mem_free(nodes->racks[i].name);
        mem_free(nodes->racks[i].nodes);
    }
    mem_free(nodes->node);
    mem_free(nodes->storage);
    mem_free(nodes->racks);
    hmap_release(&nodes->by_name);
    hmap_release(&nodes->by_uuid);
    hmap_release(&nodes->by_storage_id);
    *nodes = (struct nn_nodes){.conf = nodes->conf};
}

/* ---- finding ---- */

struct nn_node *nn_nodes_get(const struct nn_nodes *nodes, uint32_t index)
{
    BUG_ON(index == 0 || index > nodes->node_count);
    return nodes->node[index - 1];
}

struct nn_storage *nn_nodes_storage(const struct nn_nodes *nodes, uint32_t index)
{
    BUG_ON(index == 0 || index > nodes->storage_count);
    return nodes->storage[index - 1];
}

struct nn_node *nn_nodes_of(const struct nn_nodes *nodes, uint32_t storage)
{
    return nn_nodes_get(nodes, nn_nodes_storage(nodes, storage)->node);
}

struct nn_node *nn_nodes_find(const struct nn_nodes *nodes, struct slice name)
{
    for (struct hmap_node *n = hmap_find(&nodes->by_name, slice_hash(name, SEED_NAME)); n;
         n = hmap_find_next(n)) {
        struct nn_node *node = CONTAINER_OF(n, struct nn_node, by_name);
        if (slice_eq(node->address.name, name))
            return node;
    }
    return NULL;
}

static struct nn_node *find_uuid(const struct nn_nodes *nodes, struct slice uuid)
{
    for (struct hmap_node *n = hmap_find(&nodes->by_uuid, slice_hash(uuid, SEED_UUID)); n;
         n = hmap_find_next(n)) {
        struct nn_node *node = CONTAINER_OF(n, struct nn_node, by_uuid);
        if (slice_is(uuid, node->uuid))
            return node;
    }
    return NULL;
}

struct nn_storage *nn_nodes_find_storage(const struct nn_nodes *nodes, struct slice id)
{
    for (struct hmap_node *n = hmap_find(&nodes->by_storage_id, slice_hash(id, SEED_STORAGE)); n;
         n = hmap_find_next(n)) {
        struct nn_storage *storage = CONTAINER_OF(n, struct nn_storage, by_id);
        if (slice_is(id, storage->id))
            return storage;
    }
    return NULL;
}

/* ---- racks ---- */

static int find_rack(struct nn_nodes *nodes, struct slice name, uint32_t *ret)
{
    for (size_t i = 0; i < nodes->rack_count; i++)
        if (slice_is(name, nodes->racks[i].name)) {
            *ret = (uint32_t)i;
            return 0;
        }
    if (mem_grow(&nodes->racks, &nodes->rack_cap, nodes->rack_count, sizeof(*nodes->racks)) < 0)
        return ERR_NOMEM;
    char *copy = slice_dup(name);
    if (!copy)
        return ERR_NOMEM;
    nodes->racks[nodes->rack_count] = (struct nn_rack){.name = copy};
    *ret = (uint32_t)nodes->rack_count++;
    return 0;
}

static int rack_join(struct nn_nodes *nodes, uint32_t rack, uint32_t node)
{
    struct nn_rack *r = &nodes->racks[rack];
    if (mem_grow(&r->nodes, &r->cap, r->count, sizeof(*r->nodes)) < 0)
        return ERR_NOMEM;
    r->nodes[r->count++] = node;
    return 0;
}

static void rack_leave(struct nn_nodes *nodes, uint32_t rack, uint32_t node)
{
    struct nn_rack *r = &nodes->racks[rack];
    for (size_t i = 0; i < r->count; i++)
        if (r->nodes[i] == node) {
            r->nodes[i] = r->nodes[--r->count];
            return;
        }
}

/* ---- life and death ---- */

static bool is_in_service(const struct nn_node *node)
{
    return node->state != NN_NODE_DEAD && node->admin == NN_NODE_NORMAL;
}

/* Into the counts, or out of them (by -1): around every change of state, admin or rack. */
static void count(struct nn_nodes *nodes, const struct nn_node *node, int by)
{
    uint32_t is_living = node->state != NN_NODE_DEAD, in_service = is_in_service(node);
    nodes->living += by > 0 ? is_living : -is_living;
    nodes->in_service += by > 0 ? in_service : -in_service;
    nodes->racks[node->rack].in_service += by > 0 ? in_service : -in_service;
    nodes->connected +=
        by > 0 ? in_service && node->is_connected : -(uint32_t)(in_service && node->is_connected);
}

static void set_state(struct nn_nodes *nodes, struct nn_node *node, enum nn_node_state state)
{
    if (node->state != NN_NODE_DEAD && state == NN_NODE_DEAD) {
        nodes->xceivers -= node->xceivers;
        node->xceivers = 0;
    }
    count(nodes, node, -1);
    node->state = state;
    count(nodes, node, 1);
}

static void owe_removal(struct nn_nodes *nodes, struct nn_storage *storage)
{
    if (!storage->owes_removal)
        nodes->owing++;
    storage->owes_removal = true;
    storage->removed_to = 0;
}

void nn_nodes_removed(struct nn_nodes *nodes, uint32_t storage)
{
    struct nn_storage *s = nn_nodes_storage(nodes, storage);
    if (s->owes_removal)
        nodes->owing--;
    s->owes_removal = false;
}

static void set_connected(struct nn_nodes *nodes, struct nn_node *node, bool is_connected)
{
    count(nodes, node, -1);
    node->is_connected = is_connected;
    count(nodes, node, 1);
}

static void bury(struct nn_nodes *nodes, struct nn_node *node)
{
    set_state(nodes, node, NN_NODE_DEAD);
    set_connected(nodes, node, false);
    node->scheduled = node->scheduled_last = 0; /* what was promised to it goes elsewhere */
    for (size_t i = 0; i < node->storage_count; i++) {
        struct nn_storage *storage = nn_nodes_storage(nodes, node->storages[i]);
        storage->is_reported = false;
        if (node->admin != NN_NODE_IN_MAINTENANCE)
            owe_removal(nodes, storage);
    }
}

void nn_nodes_bury(struct nn_nodes *nodes, uint32_t node, void (*died)(void *arg, uint32_t node),
                   void *arg)
{
    struct nn_node *n = nn_nodes_get(nodes, node);
    if (n->state == NN_NODE_DEAD)
        return;
    bury(nodes, n);
    died(arg, node);
}

void nn_nodes_set_admin(struct nn_nodes *nodes, uint32_t node, enum nn_node_admin admin)
{
    struct nn_node *n = nn_nodes_get(nodes, node);
    bool was_resting = n->admin == NN_NODE_IN_MAINTENANCE;
    count(nodes, n, -1);
    n->admin = admin;
    count(nodes, n, 1);
    if (!was_resting || admin == NN_NODE_IN_MAINTENANCE || n->state != NN_NODE_DEAD)
        return;
    for (size_t i = 0; i < n->storage_count; i++)
        owe_removal(nodes, nn_nodes_storage(nodes, n->storages[i]));
}

static void roll_scheduled(struct nn_nodes *nodes, uint64_t now_ms)
{
    nodes->roll_ms = now_ms + ROLL_MS;
    for (size_t i = 0; i < nodes->node_count; i++) {
        nodes->node[i]->scheduled_last = nodes->node[i]->scheduled;
        nodes->node[i]->scheduled = 0;
    }
}

static bool takes_replicas(const struct nn_nodes *nodes, const struct nn_node *node)
{
    return is_in_service(node) && nn_nodes_is_usable(nodes, node);
}

bool nn_nodes_lost_all(const struct nn_nodes *nodes, uint64_t since_ms)
{
    for (size_t i = 0; i < nodes->node_count; i++)
        if (takes_replicas(nodes, nodes->node[i]))
            return false;
    return nodes->usable_ms != 0 && nodes->usable_ms >= since_ms;
}

void nn_nodes_step(struct nn_nodes *nodes, uint64_t now_ms, void (*died)(void *arg, uint32_t node),
                   void *arg)
{
    uint64_t dead_ms = nn_blocks_conf_dead_ms(nodes->conf);
    for (size_t i = 0; i < nodes->node_count; i++) {
        struct nn_node *node = nodes->node[i];
        uint64_t silent_ms = now_ms - node->heard_ms;
        if (node->state == NN_NODE_DEAD)
            continue;
        if (silent_ms > dead_ms) {
            bury(nodes, node);
            died(arg, node->index);
        } else if (silent_ms > nodes->conf->stale_ms) {
            set_state(nodes, node, NN_NODE_STALE);
        }
        if (takes_replicas(nodes, node))
            nodes->usable_ms = now_ms;
    }
    if (now_ms >= nodes->roll_ms)
        roll_scheduled(nodes, now_ms);
}

void nn_nodes_disconnect(struct nn_nodes *nodes, uint32_t node, uint64_t session)
{
    struct nn_node *n = nn_nodes_get(nodes, node);
    if (n->session == session)
        set_connected(nodes, n, false);
}

/* ---- registration ---- */

static struct nn_storage *storage_add(struct nn_nodes *nodes, struct slice id)
{
    if (mem_grow(&nodes->storage, &nodes->storage_cap, nodes->storage_count,
                 sizeof(*nodes->storage)) < 0)
        return NULL;
    struct nn_storage *storage = mem_calloc(1, sizeof(*storage));
    if (!storage)
        return NULL;
    storage->id = slice_dup(id);
    if (!storage->id ||
        hmap_add(&nodes->by_storage_id, &storage->by_id, slice_hash(id, SEED_STORAGE)) < 0) {
        mem_free(storage->id);
        mem_free(storage);
        return NULL;
    }
    nodes->storage[nodes->storage_count++] = storage;
    storage->index = (uint32_t)nodes->storage_count;
    return storage;
}

static void storage_leave(struct nn_node *node, uint32_t storage)
{
    for (size_t i = 0; i < node->storage_count; i++)
        if (node->storages[i] == storage) {
            memmove(&node->storages[i], &node->storages[i + 1],
                    (node->storage_count - i - 1) * sizeof(*node->storages));
            node->storage_count--;
            return;
        }
}

static void take_facts(struct nn_nodes *nodes, struct nn_storage *storage,
                       const struct nn_storage_facts *facts)
{
    if (facts->has_failed && !storage->has_failed)
        owe_removal(nodes, storage);
    storage->has_failed = facts->has_failed;
    storage->capacity = facts->has_failed ? 0 : facts->capacity;
    storage->used = facts->has_failed ? 0 : facts->used;
    storage->remaining = facts->has_failed ? 0 : facts->remaining;
}

/* The storage belongs to this node from now on; a disk may have moved here from another one. */
static int storage_join(struct nn_nodes *nodes, struct nn_node *node,
                        const struct nn_storage_facts *facts, struct nn_storage **ret)
{
    struct nn_storage *storage = nn_nodes_find_storage(nodes, facts->id);
    if (mem_grow(&node->storages, &node->storage_cap, node->storage_count,
                 sizeof(*node->storages)) < 0)
        return ERR_NOMEM;
    if (!storage)
        storage = storage_add(nodes, facts->id);
    if (!storage)
        return ERR_NOMEM;
    if (storage->node != node->index) {
        if (storage->node)
            storage_leave(nn_nodes_get(nodes, storage->node), storage->index);
        storage->node = node->index;
        node->storages[node->storage_count++] = storage->index;
    }
    take_facts(nodes, storage, facts);
    *ret = storage;
    return 0;
}

/* They are kept as C strings, here and in the journal. */
static bool is_word(struct slice text)
{
    return text.len <= WORD_MAX_LEN && !memchr(text.data, 0, text.len);
}

/* A disk may have moved here, from a node that has lost it or is away; not from one that uses it.
 */
static int check_storages(const struct nn_nodes *nodes, const struct nn_registration *reg,
                          struct err *err)
{
    for (size_t i = 0; i < reg->storage_count; i++) {
        const struct nn_storage *storage = nn_nodes_find_storage(nodes, reg->storages[i].id);
        if (!storage || !storage->node || storage->is_gone || storage->has_failed ||
            reg->storages[i].has_failed)
            continue;
        const struct nn_node *owner = nn_nodes_get(nodes, storage->node);
        if (owner->is_connected && !slice_eq(owner->address.name, reg->address.name))
            return err_set(
                err, ERR_BUSY,
                "a data directory of " SLICE_FMT " is one of the living datanode " SLICE_FMT
                " (storage %s): was its current/VERSION, or all of it, "
                "copied? It cannot serve twice",
                SLICE_ARG(reg->address.name), SLICE_ARG(owner->address.name), storage->id);
    }
    return 0;
}

static int check_registration(const struct nn_nodes *nodes, const struct nn_registration *reg,
                              struct err *err)
{
    struct slice name = reg->address.name;
    if (name.len == 0 || reg->uuid.len == 0)
        return err_set(err, ERR_INVAL, "a datanode must have a node.name and a uuid");
    if (!is_word(name) || !is_word(reg->uuid))
        return err_set(err, ERR_INVAL,
                       "a node.name and a uuid have at most %u bytes, and none of them is zero",
                       WORD_MAX_LEN);
    const struct nn_node *same_name = nn_nodes_find(nodes, name);
    if (same_name && same_name->is_connected && !slice_is(reg->uuid, same_name->uuid))
        return err_set(err, ERR_BUSY,
                       "node name " SLICE_FMT " is in use by another datanode (" SLICE_FMT
                       ":%u): give each its own node.name",
                       SLICE_ARG(name), SLICE_ARG(same_name->address.host),
                       same_name->address.data_port);
    const struct nn_node *same_uuid = find_uuid(nodes, reg->uuid);
    if (same_uuid && same_uuid->is_connected && !slice_eq(same_uuid->address.name, name))
        return err_set(err, ERR_BUSY,
                       "the data directories of " SLICE_FMT
                       " are those of the living datanode " SLICE_FMT
                       " (%s): a copied directory cannot serve twice",
                       SLICE_ARG(name), SLICE_ARG(same_uuid->address.name), same_uuid->uuid);
    return check_storages(nodes, reg, err);
}

static int node_add(struct nn_nodes *nodes, const struct nn_registration *reg, struct nn_node **ret)
{
    if (mem_grow(&nodes->node, &nodes->node_cap, nodes->node_count, sizeof(*nodes->node)) < 0)
        return ERR_NOMEM;
    struct nn_node *node = mem_calloc(1, sizeof(*node));
    if (!node)
        return ERR_NOMEM;
    node->state = NN_NODE_DEAD;
    node->index = (uint32_t)nodes->node_count + 1;
    node->uuid = slice_dup(reg->uuid);
    if (!node->uuid || address_copy(&node->address, &reg->address) < 0)
        goto fail_node;
    if (find_rack(nodes, reg->address.rack, &node->rack) < 0 ||
        rack_join(nodes, node->rack, node->index) < 0)
        goto fail_node;
    if (hmap_add(&nodes->by_name, &node->by_name, slice_hash(reg->address.name, SEED_NAME)) < 0)
        goto fail_rack;
    if (hmap_add(&nodes->by_uuid, &node->by_uuid, slice_hash(reg->uuid, SEED_UUID)) < 0)
        goto fail_name;
    nodes->node[nodes->node_count++] = node;
    *ret = node;
    return 0;

fail_name:
    hmap_remove(&nodes->by_name, &node->by_name);
fail_rack:
    rack_leave(nodes, node->rack, node->index);
fail_node:
    node_free(node);
    return ERR_NOMEM;
}

/* It is here already: under this name, or under another with the same directories. Take over what
 * it says about itself now. */
static int node_update(struct nn_nodes *nodes, struct nn_node *node,
                       const struct nn_registration *reg)
{
    struct nn_address address;
    uint32_t rack = 0;
    char *uuid = slice_dup(reg->uuid);
    if (!uuid)
        return ERR_NOMEM;
    if (find_rack(nodes, reg->address.rack, &rack) < 0 ||
        (rack != node->rack && rack_join(nodes, rack, node->index) < 0) ||
        address_copy(&address, &reg->address) < 0) {
        if (rack != node->rack)
            rack_leave(nodes, rack, node->index);
        mem_free(uuid);
        return ERR_NOMEM;
    }
    if (rack != node->rack) {
        rack_leave(nodes, node->rack, node->index);
        count(nodes, node, -1);
        node->rack = rack;
        count(nodes, node, 1);
    }
    hmap_remove(&nodes->by_name, &node->by_name);
    hmap_remove(&nodes->by_uuid, &node->by_uuid);
    address_release(&node->address);
    mem_free(node->uuid);
    node->address = address;
    node->uuid = uuid;
    /* Neither can fail: a slot was just given back. */
    (void)hmap_add(&nodes->by_name, &node->by_name, slice_hash(address.name, SEED_NAME));
    (void)hmap_add(&nodes->by_uuid, &node->by_uuid, slice_hash(reg->uuid, SEED_UUID));
    return 0;
}

static int join_storages(struct nn_nodes *nodes, struct nn_node *node,
                         const struct nn_registration *reg)
{
    for (size_t i = 0; i < node->storage_count; i++)
        nn_nodes_storage(nodes, node->storages[i])->is_gone = true;
    for (size_t i = 0; i < reg->storage_count; i++) {
        struct nn_storage *storage = NULL;
        if (storage_join(nodes, node, &reg->storages[i], &storage) < 0)
            return ERR_NOMEM;
        storage->is_gone = false;
        storage->is_reported = false;
    }
    for (size_t i = 0; i < node->storage_count; i++) {
        struct nn_storage *storage = nn_nodes_storage(nodes, node->storages[i]);
        if (storage->is_gone)
            owe_removal(nodes, storage);
    }
    return 0;
}

/* The node this registration speaks of, if we know it. Directories that moved to a new name bring
 * their old record along, unless that name has a record of its own: then they are a new beginning
 * for that one, and the old record dies of silence. */
static struct nn_node *known(const struct nn_nodes *nodes, const struct nn_registration *reg)
{
    struct nn_node *node = nn_nodes_find(nodes, reg->address.name);
    return node ? node : find_uuid(nodes, reg->uuid);
}

int nn_nodes_register(struct nn_nodes *nodes, const struct nn_registration *reg, uint64_t now_ms,
                      uint32_t *ret_node, struct err *err)
{
    int rc = check_registration(nodes, reg, err);
    if (rc < 0)
        return rc;
    struct nn_node *node = known(nodes, reg);
    rc = node ? node_update(nodes, node, reg) : node_add(nodes, reg, &node);
    if (rc == 0)
        rc = join_storages(nodes, node, reg);
    if (rc < 0)
        return err_set(err, rc, "cannot register datanode " SLICE_FMT ": %s",
                       SLICE_ARG(reg->address.name), err_text(rc));
    set_state(nodes, node, NN_NODE_LIVE);
    set_connected(nodes, node, true);
    node->session++;
    node->heard_ms = now_ms;
    *ret_node = node->index;
    return 0;
}

bool nn_nodes_heartbeat(struct nn_nodes *nodes, uint32_t node, const struct nn_heartbeat *beat,
                        uint64_t now_ms)
{
    struct nn_node *n = nn_nodes_get(nodes, node);
    if (n->state == NN_NODE_DEAD)
        return false;
    n->heard_ms = now_ms;
    set_state(nodes, n, NN_NODE_LIVE);
    nodes->xceivers += beat->xceivers - n->xceivers;
    n->xceivers = beat->xceivers;
    n->non_dfs = beat->non_dfs;
    for (size_t i = 0; i < beat->storage_count; i++) {
        struct nn_storage *storage = nn_nodes_find_storage(nodes, beat->storages[i].id);
        if (!storage || storage->node != node)
            return false; /* a storage that was never registered */
        take_facts(nodes, storage, &beat->storages[i]);
    }
    return true;
}

/* ---- questions ---- */

bool nn_nodes_is_serving(const struct nn_nodes *nodes, uint32_t storage)
{
    const struct nn_storage *s = nn_nodes_storage(nodes, storage);
    return !s->has_failed && !s->is_gone && nn_nodes_get(nodes, s->node)->state != NN_NODE_DEAD;
}

bool nn_nodes_is_usable(const struct nn_nodes *nodes, const struct nn_node *node)
{
    return node->is_connected && node->state != NN_NODE_DEAD &&
           !(node->state == NN_NODE_STALE && nodes->conf->avoid_stale_write);
}

struct nn_space nn_nodes_space(const struct nn_nodes *nodes, const struct nn_node *node)
{
    struct nn_space sum = {0};
    for (size_t i = 0; i < node->storage_count; i++) {
        const struct nn_storage *s = nn_nodes_storage(nodes, node->storages[i]);
        if (s->is_gone)
            continue;
        sum.failed += s->has_failed;
        sum.capacity += s->capacity;
        sum.used += s->used;
        sum.remaining += s->remaining;
        if (s->remaining > sum.largest_remaining)
            sum.largest_remaining = s->remaining;
    }
    return sum;
}

void nn_nodes_scheduled(struct nn_nodes *nodes, uint32_t node)
{
    nn_nodes_get(nodes, node)->scheduled++;
}

void nn_nodes_arrived(struct nn_nodes *nodes, uint32_t node)
{
    struct nn_node *n = nn_nodes_get(nodes, node);
    if (n->scheduled_last > 0)
        n->scheduled_last--;
    else if (n->scheduled > 0)
        n->scheduled--;
}

uint32_t nn_nodes_racks(const struct nn_nodes *nodes)
{
    uint32_t n = 0;
    for (size_t i = 0; i < nodes->rack_count; i++)
        n += nodes->racks[i].in_service > 0;
    return n;
}

unsigned nn_nodes_distance(const struct nn_nodes *nodes, struct slice from, uint32_t node)
{
    const struct nn_node *to = nn_nodes_get(nodes, node);
    const struct nn_node *here = from.len ? nn_nodes_find(nodes, from) : NULL;
    if (here == to)
        return 0;
    return here && here->rack == to->rack ? 2 : 4;
}
