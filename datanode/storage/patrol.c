/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/patrol.h"

#include <inttypes.h>

#include "datanode/storage/blockfile.h"
#include "datanode/storage/suspect.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

#define STEP_BYTES (256U << 10)
#define STEP_SUMS  (STEP_BYTES / DN_SUM_CHUNK * DN_SUM_BYTES)
#define SAVE_MS    60000U
#define LOOK_MS    3600000U /* the wall clock may have been set: look again at least so often */
#define FILE_MAX   4096U

METRIC_COUNTER(bytes_verified, "quern_dn_scanned_bytes_total",
               "bytes of blocks verified though nobody asked for them");
METRIC_COUNTER(blocks_bad, "quern_dn_scanned_bad_total",
               "replicas the block scanner found damaged");

/* The rounds of one volume, and the block in hand. */
struct beat {
    struct dn_patrol *patrol;
    struct dn_volume *volume;
    struct dn_rounds rounds;
    struct loop_timer timer;
    struct work work;
    bool is_running; /* the work is */
    bool has_begun;
    struct dn_replica replica;
    bool has_block;
    uint64_t off; /* verified up to here */
    uint64_t saved_ms;
    bool saved_resting;
    /* the thread's while it is running */
    struct dn_blockfile *file;
    uint8_t *buffer; /* STEP_BYTES, STEP_SUMS */
    bool must_save;
    struct dn_rounds_state to_save;
    uint32_t step;
    int code;
};

struct dn_patrol {
    struct dn_patrol_conf conf;
    bool has_started, is_stopping;
    size_t count;
    struct beat *beats[DN_VOLUMES_MAX];
};

/* ---- the file ---- */

static void write_lines(const struct dn_rounds_state *s, struct buf *out)
{
    buf_printf(out, "cursor=%" PRIu64 "\nbegan=%" PRIu64 "\ndone=%" PRIu64 "\nresting=%d\n",
               s->cursor, s->began_ms, s->done_bytes, s->is_resting);
    uint32_t crc = crc32c(0, out->data, out->len);
    buf_printf(out, "check=%08" PRIx32 "\n", crc);
}

static int save(const struct dn_volume *volume, const struct dn_rounds_state *state)
{
    struct buf text = BUF_INIT;
    char *path = fsutil_join(volume->current, "patrol");
    write_lines(state, &text);
    int rc = path && !buf_failed(&text) ? fsutil_replace(volume->disk, path, buf_slice(&text), NULL)
                                        : ERR_NOMEM;
    mem_free(path);
    buf_release(&text);
    return rc;
}

static bool parse(const char *text, struct dn_rounds_state *ret)
{
    int is_resting = 0;
    if (sscanf(text, "cursor=%" SCNu64 " began=%" SCNu64 " done=%" SCNu64 " resting=%d",
               &ret->cursor, &ret->began_ms, &ret->done_bytes, &is_resting) != 4)
        return false;
    ret->is_resting = is_resting == 1;
    return true;
}

/* What it says must be, byte for byte, what we would write. */
static struct dn_rounds_state load(const struct dn_volume *volume)
{
    struct dn_rounds_state state = {0};
    struct buf text = BUF_INIT, again = BUF_INIT;
    char *path = fsutil_join(volume->current, "patrol");
    if (path && fsutil_read_all(volume->disk, path, FILE_MAX, &text, NULL) == 0) {
        const char *lines = buf_cstr(&text);
        bool is_good = lines && parse(lines, &state);
        write_lines(&state, &again);
        if (!is_good || !slice_eq(buf_slice(&text), buf_slice(&again))) {
            log_warn("dn.patrol", "%s is damaged: a new round begins", path);
            state = (struct dn_rounds_state){0};
        }
    }
    mem_free(path);
    buf_release(&text);
    buf_release(&again);
    return state;
}

/* ---- a step (thread) ---- */

static int open_block(struct beat *b)
{
    char *dir = dn_volume_dir(b->volume, DN_DIR_FINALIZED, b->replica.id);
    struct dn_blockfile_new what = {.dir = dir, .id = b->replica.id, .gs = b->replica.gs};
    int rc = dir ? dn_blockfile_open(b->volume->disk, &what, DISK_READ, &b->file, NULL) : ERR_NOMEM;
    mem_free(dir);
    return rc;
}

static int verify_step(struct beat *b)
{
    struct dn_visible all = {.len = b->replica.len};
    uint64_t left = b->replica.len - b->off;
    b->step = left < STEP_BYTES ? (uint32_t)left : STEP_BYTES;
    struct dn_extent extent = {.off = b->off, .len = b->step};
    int rc = b->file ? 0 : open_block(b);
    if (rc == 0 && b->step > 0)
        rc = dn_blockfile_read(b->file, extent, &all, b->buffer, b->buffer + STEP_BYTES);
    return rc;
}

static void run_step(struct work *work)
{
    struct beat *b = CONTAINER_OF(work, struct beat, work);
    if (b->must_save && save(b->volume, &b->to_save) != 0)
        log_warn("dn.patrol", "%s: cannot note how far its blocks are verified",
                 b->volume->current); /* after a restart a little is read again */
    b->code = b->has_block ? verify_step(b) : 0;
}

/* ---- the loop ---- */

static void go_on(struct beat *b);

static void on_timer(void *arg)
{
    go_on(arg);
}

static bool is_damage(int code)
{
    return dn_blockfile_is_damage(code) || code == ERR_IO;
}

/* One that was deleted or written on meanwhile is not damaged: its files have moved. */
static void tell_damage(struct beat *b)
{
    struct dn_storage *storage = b->patrol->conf.storage;
    if (!is_damage(b->code) || !dn_storage_is_still(storage, &b->replica))
        return;
    metric_add(&blocks_bad, 1);
    dn_storage_bad(storage, b->replica.id, b->replica.gs);
    dn_suspect_volume(storage, b->volume, b->code);
}

static void leave_block(struct beat *b)
{
    dn_blockfile_close(b->file);
    b->file = NULL;
    b->has_block = false;
}

static void step_done(struct work *work)
{
    struct beat *b = CONTAINER_OF(work, struct beat, work);
    uint64_t now = clock_wall_ms();
    b->is_running = false;
    if (b->must_save) {
        b->saved_ms = now;
        b->saved_resting = b->to_save.is_resting;
    }
    if (b->has_block && !b->patrol->is_stopping) {
        metric_add(&bytes_verified, b->step);
        dn_rounds_read(&b->rounds, b->step, b->volume->used, now);
        b->off += b->step;
        if (b->code != 0)
            tell_damage(b);
        if (b->code != 0 || b->off == b->replica.len)
            leave_block(b);
    }
    if (b->patrol->is_stopping)
        leave_block(b);
    else
        go_on(b);
}

static void wait_until(struct beat *b, uint64_t due_ms, uint64_t now_ms)
{
    uint64_t wait = due_ms > now_ms ? due_ms - now_ms : 0;
    if (wait > LOOK_MS)
        wait = LOOK_MS;
    if (loop_after(b->patrol->conf.loop, &b->timer, wait + 1, on_timer, b) != 0)
        log_warn("dn.patrol", "%s: out of memory: blocks are not verified any more",
                 b->volume->path);
}

/* Between blocks only: what is in hand has not been seen to its end. */
static bool wants_saving(const struct beat *b, uint64_t now_ms)
{
    bool has_ended = b->rounds.state.is_resting && !b->saved_resting;
    return !b->has_block &&
           (has_ended || (!b->rounds.state.is_resting && now_ms >= b->saved_ms + SAVE_MS));
}

static void take_block(struct beat *b, uint64_t id)
{
    b->replica = *dn_storage_find(b->patrol->conf.storage, id);
    b->off = 0;
    b->has_block = true;
}

static bool find_block(struct beat *b, uint64_t now_ms)
{
    uint64_t id = 0;
    if (!dn_rounds_next(&b->rounds, &b->patrol->conf.storage->replicas, b->volume->index, now_ms,
                        &id))
        return false;
    take_block(b, id);
    return true;
}

static bool is_out(const struct beat *b)
{
    return b->patrol->is_stopping || atomic_load(&b->volume->has_failed) ||
           !dn_volume_is_formatted(b->volume);
}

static void go_on(struct beat *b)
{
    uint64_t now = clock_wall_ms();
    if (b->is_running)
        return;
    if (is_out(b)) {
        leave_block(b);
        return;
    }
    bool is_due = now >= dn_rounds_due_ms(&b->rounds);
    b->must_save = wants_saving(b, now);
    b->to_save = b->rounds.state;
    if (is_due && !b->has_block && !find_block(b, now) && !b->must_save) {
        b->must_save = wants_saving(b, now); /* the round may just have ended */
        b->to_save = b->rounds.state;
    }
    if (!b->must_save && !(is_due && b->has_block)) {
        wait_until(b, dn_rounds_due_ms(&b->rounds), now);
        return;
    }
    b->is_running = true;
    workq_submit(b->patrol->conf.storage->conf.disk_work, &b->work, run_step, step_done);
}

/* ---- life ---- */

static int add_beat(struct dn_patrol *p, struct dn_volume *volume)
{
    struct beat *b = mem_calloc(1, sizeof(*b));
    uint8_t *buffer = mem_alloc(STEP_BYTES + STEP_SUMS);
    if (!b || !buffer) {
        mem_free(b);
        mem_free(buffer);
        return ERR_NOMEM;
    }
    b->patrol = p;
    b->volume = volume;
    b->buffer = buffer;
    b->rounds.state = load(volume);
    p->beats[p->count++] = b;
    return 0;
}

struct dn_patrol *dn_patrol_new(const struct dn_patrol_conf *conf)
{
    struct dn_patrol *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->conf = *conf;
    if (dn_patrol_volumes_changed(p) == 0)
        return p;
    dn_patrol_free(p);
    return NULL;
}

static void begin(struct beat *b)
{
    uint64_t now = clock_wall_ms();
    struct dn_rounds_state state = b->rounds.state;
    dn_rounds_init(&b->rounds, &b->patrol->conf.rounds, &state, now);
    b->saved_ms = now;
    b->saved_resting = state.is_resting;
    b->has_begun = true;
    go_on(b);
}

/* One that had been gone is awake again; one that never was gone is not disturbed. */
static void wake(struct beat *b)
{
    if (!b->has_begun)
        begin(b);
    else if (!loop_timer_is_running(&b->timer))
        go_on(b);
}

void dn_patrol_start(struct dn_patrol *patrol)
{
    if (patrol->has_started || patrol->conf.rounds.limit_bytes == 0)
        return;
    patrol->has_started = true;
    for (size_t i = 0; i < patrol->count; i++)
        begin(patrol->beats[i]);
}

int dn_patrol_volumes_changed(struct dn_patrol *patrol)
{
    const struct dn_volumes *volumes = patrol->conf.storage->volumes;
    int rc = 0;
    while (rc == 0 && patrol->count < volumes->count)
        rc = add_beat(patrol, volumes->v[patrol->count]);
    for (size_t i = 0; i < patrol->count && patrol->has_started && !patrol->is_stopping; i++)
        wake(patrol->beats[i]);
    return rc;
}

void dn_patrol_stop(struct dn_patrol *patrol)
{
    if (!patrol)
        return;
    patrol->is_stopping = true;
    for (size_t i = 0; i < patrol->count; i++) {
        loop_timer_stop(&patrol->beats[i]->timer);
        if (!patrol->beats[i]->is_running)
            leave_block(patrol->beats[i]);
    }
}

void dn_patrol_free(struct dn_patrol *patrol)
{
    if (!patrol)
        return;
    for (size_t i = 0; i < patrol->count; i++) {
        mem_free(patrol->beats[i]->buffer);
        mem_free(patrol->beats[i]);
    }
    mem_free(patrol);
}

void dn_patrol_suspect(struct dn_patrol *patrol, uint64_t id)
{
    const struct dn_replica *replica = dn_storage_find(patrol->conf.storage, id);
    if (!replica || !patrol->has_started || replica->volume >= patrol->count)
        return;
    struct beat *b = patrol->beats[replica->volume];
    dn_rounds_suspect(&b->rounds, id);
    go_on(b);
}

struct dn_rounds_state dn_patrol_state(const struct dn_patrol *patrol, size_t volume)
{
    return volume < patrol->count ? patrol->beats[volume]->rounds.state
                                  : (struct dn_rounds_state){0};
}
