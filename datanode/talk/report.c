/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/report.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define PAGE_REPLICAS 10000U

_Static_assert((int)DN_CHANGE_RECEIVING == DN2NN_RECEIVING && (int)DN_CHANGE_BAD == DN2NN_BAD &&
                   (int)DN_CHANGE_RECEIVED == DN2NN_RECEIVED &&
                   (int)DN_CHANGE_DELETED == DN2NN_DELETED,
               "the wire's numbers are ours");

/* A message on its way. */
struct ask {
    unsigned at; /* a DN2NN_AT_ number */
    struct list link;
    struct rpc_wait wait;
    struct dn_report *report;
};

static void forget(struct dn_report *r)
{
    r->note_count = 0;
    r->lost_notes = false;
    list_each_safe (&r->asks, it) {
        struct ask *a = list_entry(it, struct ask, link);
        rpc_cancel(&a->wait);
        list_remove(&a->link);
        mem_free(a);
    }
}

void dn_report_init(struct dn_report *r, struct dn_storage *storage, struct workq *disk_work,
                    void (*start_over)(void *arg, const char *why), void *arg)
{
    *r = (struct dn_report){
        .storage = storage, .disk_work = disk_work, .start_over = start_over, .arg = arg};
    list_init(&r->asks);
}

void dn_report_release(struct dn_report *r)
{
    forget(r);
    mem_free(r->notes);
    r->notes = NULL;
}

bool dn_report_is_busy(const struct dn_report *r)
{
    return r->is_looking;
}

void dn_report_set_peer(struct dn_report *r, struct rpc_peer *peer)
{
    r->peer = peer;
    if (!peer)
        forget(r);
}

/* ---- messages ---- */

static void on_heard(void *arg, int code, const void *answer, const struct err *err)
{
    struct ask *a = arg;
    struct dn_report *r = a->report;
    const struct dn2nn_heard *heard = answer;
    bool says_heard = DN2NN_methods[a->at].answer == &dn2nn_heard_desc;
    list_remove(&a->link);
    mem_free(a);
    if (code == ERR_CLOSED || code == ERR_UNREACHABLE || !says_heard)
        return; /* the next connection begins with a full report */
    if (code != 0)
        r->start_over(r->arg, err->msg);
    else if (heard->register_again)
        r->start_over(r->arg, "the namenode asks for it");
}

void dn_report_tell(struct dn_report *r, unsigned at, const void *msg)
{
    struct ask *a = r->peer ? mem_calloc(1, sizeof(*a)) : NULL;
    if (!a) {
        r->lost_notes = r->peer != NULL;
        return;
    }
    a->at = at;
    a->report = r;
    a->wait.done = on_heard;
    a->wait.arg = a;
    list_push_back(&r->asks, &a->link);
    rpc_ask(r->peer, &DN2NN_methods[at], msg, &a->wait);
}

/* ---- the full report ---- */

/* One storage's replicas on their way into pages. */
struct paging {
    struct dn_report *report;
    const struct dn_volume *volume;
    uint64_t report_id;
    uint32_t page;
    size_t count;
    uint64_t *ids, *stamps, *lens, *states; /* PAGE_REPLICAS each */
};

static void send_page(struct paging *p, bool is_last)
{
    struct dn2nn_full_report msg = {
        .report_id = p->report_id,
        .page = p->page++,
        .is_last = is_last,
        .ids = {p->ids, p->count},
        .stamps = {p->stamps, p->count},
        .lens = {p->lens, p->count},
        .states = {p->states, p->count},
        .storage = slice_str(p->volume->version.storage_id),
    };
    dn_report_tell(p->report, DN2NN_AT_FULL_REPORT, &msg);
    p->count = 0;
}

static uint64_t wire_state(const struct dn_replica *replica)
{
    static const uint64_t wire[] = {[DN_REPLICA_FINALIZED] = DN2NN_FINALIZED,
                                    [DN_REPLICA_RBW] = DN2NN_RBW,
                                    [DN_REPLICA_RWR] = DN2NN_RWR,
                                    [DN_REPLICA_RUR] = DN2NN_RUR};
    return wire[replica->state];
}

static uint64_t known_len(const struct dn_replica *replica)
{
    struct dn_visible visible = {.len = replica->len};
    if (replica->state == DN_REPLICA_RBW && replica->writing)
        (void)dn_writing_look(replica->writing, &visible);
    return visible.len > replica->len ? visible.len : replica->len;
}

static void page_one(const struct dn_replica *replica, void *arg)
{
    struct paging *p = arg;
    if (replica->volume != p->volume->index || replica->state == DN_REPLICA_TEMPORARY)
        return;
    if (p->count == PAGE_REPLICAS)
        send_page(p, false);
    p->ids[p->count] = replica->id;
    p->stamps[p->count] = replica->gs;
    p->lens[p->count] = known_len(replica);
    p->states[p->count] = wire_state(replica);
    p->count++;
}

static void note_bad(const struct dn_replica *replica, void *arg)
{
    struct paging *p = arg;
    if (replica->is_bad && replica->volume == p->volume->index)
        dn_report_note(p->report, DN_CHANGE_BAD, replica);
}

/* The bad ones are told before the storage's last page: with that the namenode begins to delete
 * what seems too many, and must not take a damaged replica for one to live on. */
static void send_volume(struct paging *p)
{
    dn_replicas_each(&p->report->storage->replicas, page_one, p);
    dn_replicas_each(&p->report->storage->replicas, note_bad, p);
    if (p->report->note_count > 0) {
        send_page(p, false);
        dn_report_send_changes(p->report);
    }
    send_page(p, true);
}

void dn_report_send_all(struct dn_report *r)
{
    struct paging p = {.report = r};
    const struct dn_volumes *volumes = r->storage->volumes;
    if (!r->peer)
        return;
    uint64_t *columns = mem_alloc(4 * PAGE_REPLICAS * sizeof(uint64_t));
    forget(r);
    if (!columns) {
        r->lost_notes = true;
        return;
    }
    p.ids = columns;
    p.stamps = p.ids + PAGE_REPLICAS;
    p.lens = p.stamps + PAGE_REPLICAS;
    p.states = p.lens + PAGE_REPLICAS;
    uint64_t now = clock_wall_ms(); /* only so that restarts do not repeat themselves */
    p.report_id = now > r->last_report_id ? now : r->last_report_id + 1;
    r->last_report_id = p.report_id;
    for (size_t i = 0; i < volumes->count; i++) {
        p.volume = volumes->v[i];
        p.page = 0;
        if (atomic_load(&p.volume->has_failed))
            continue;
        send_volume(&p);
    }
    mem_free(columns);
}

/* ---- changes ---- */

void dn_report_note(struct dn_report *r, enum dn_change change, const struct dn_replica *replica)
{
    if (!r->peer) /* the full report will say it */
        return;
    if (mem_grow(&r->notes, &r->note_cap, r->note_count, sizeof(*r->notes)) != 0) {
        r->lost_notes = true;
        return;
    }
    r->notes[r->note_count++] =
        (struct dn_noted){change, replica->id, replica->gs, known_len(replica), replica->volume};
}

void dn_report_send_changes(struct dn_report *r)
{
    if (!r->peer)
        return;
    if (r->lost_notes) {
        r->lost_notes = false;
        r->start_over(r->arg, "out of memory for changes");
        return;
    }
    if (r->note_count == 0)
        return;
    struct dn2nn_replica_change *v = mem_calloc(r->note_count, sizeof(*v));
    if (!v)
        return; /* at the end of the next turn, then */
    for (size_t i = 0; i < r->note_count; i++) {
        const struct dn_noted *n = &r->notes[i];
        const struct dn_volume *volume = r->storage->volumes->v[n->volume];
        v[i] = (struct dn2nn_replica_change){.change = (uint32_t)n->change,
                                             .block = {.id = n->id, .gs = n->gs, .len = n->len},
                                             .storage = slice_str(volume->version.storage_id)};
    }
    struct dn2nn_changes msg = {.changes = {v, r->note_count}};
    r->note_count = 0;
    dn_report_tell(r, DN2NN_AT_CHANGES, &msg);
    mem_free(v);
}

/* ---- volumes ---- */

size_t dn_report_storages(const struct dn_report *r, struct dn2nn_storage *ret)
{
    const struct dn_volumes *volumes = r->storage->volumes;
    size_t count = 0;
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        uint64_t remaining = dn_volumes_remaining(volumes, v);
        if (v->is_removed ||
            !dn_volume_is_formatted(v)) /* it could not be opened: nobody knows its name */
            continue;
        ret[count++] = (struct dn2nn_storage){
            .id = slice_str(v->version.storage_id),
            .path = slice_str(v->path),
            .has_failed = atomic_load(&v->has_failed),
            .capacity = v->space.total_bytes,
            .used = v->used,
            .remaining = remaining > v->promised ? remaining - v->promised : 0,
        };
    }
    return count;
}

uint64_t dn_report_non_dfs(const struct dn_report *r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->storage->volumes->count; i++) {
        const struct dn_volume *v = r->storage->volumes->v[i];
        if (v->is_removed)
            continue;
        uint64_t ours = v->used + v->space.free_bytes;
        sum += v->space.total_bytes > ours ? v->space.total_bytes - ours : 0;
    }
    return sum;
}

/* The numbers are the loop's: the thread puts them aside, the loop takes them over. */
struct look {
    struct dn_report *report;
    struct work work;
    size_t count;
    struct dn_volume *volumes[DN_VOLUMES_MAX]; /* NULL: not looked at */
    struct disk_space space[DN_VOLUMES_MAX];
    int code[DN_VOLUMES_MAX];
};

static void run_look(struct work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    for (size_t i = 0; i < l->count; i++)
        l->code[i] = l->volumes[i]
                         ? disk_space(l->volumes[i]->disk, l->volumes[i]->path, &l->space[i])
                         : ERR_NOENT;
}

static void look_done(struct work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    for (size_t i = 0; i < l->count; i++)
        if (l->code[i] == 0)
            l->volumes[i]->space = l->space[i];
    l->report->is_looking = false;
    mem_free(l);
}

void dn_report_look_at_disks(struct dn_report *r)
{
    struct look *l = r->is_looking ? NULL : mem_calloc(1, sizeof(*l));
    if (!l)
        return;
    const struct dn_volumes *volumes = r->storage->volumes;
    l->report = r;
    l->count = volumes->count;
    for (size_t i = 0; i < l->count; i++)
        l->volumes[i] = volumes->v[i]->is_removed ? NULL : volumes->v[i];
    r->is_looking = true;
    workq_submit(r->disk_work, &l->work, run_look, look_done);
}
