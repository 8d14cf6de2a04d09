/* SPDX-License-Identifier: Apache-2.0
 * A relay's bytes to the disk: runs of verified bytes into the block file, by itself or by a drain
 * for a large stream, and what the pipeline then asks for: syncs, and the end of the block. */
#include "datanode/serve/relay_inside.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"

#define WRITE_RUN_BYTES (2U << 20)   /* longest run given to the disk at once */
#define DRAIN_FROM      (1U << 20)   /* a stream that has brought so much gets a drain ... */
#define DRAIN_RUN_BYTES (128U << 10) /* ... for runs that are worth a change of threads */
#define PAGE            4096U

struct run {
    uint64_t from, to;
    struct slice data;
    const uint8_t *sums;
};

/* The next bytes for the block file. A run that is not the last one known ends at a page. */
static struct run next_run(struct dn_relay *r, bool is_all)
{
    uint64_t from = r->p.written - r->p.written % DN_SUM_CHUNK, to = r->p.received;
    size_t at = (size_t)(from % r->conf->ring_bytes);
    if (to - from > r->conf->ring_bytes - at)
        to = from + r->conf->ring_bytes - at;
    if (to - from > WRITE_RUN_BYTES)
        to = from + WRITE_RUN_BYTES;
    if (!is_all && to - from > PAGE)
        to -= to % PAGE;
    return (struct run){from, to, slice_of(r->conf->ring + at, to - from),
                        dn_relay_sum_at(r, from)};
}

static void run_written(struct dn_relay *r, uint64_t to, int rc)
{
    dn_lags_disk(&r->lags, clock_mono_us() - r->run_begun_us);
    if (rc != 0)
        dn_pipeline_local_failed(&r->p, rc);
    else
        dn_pipeline_written(&r->p, to);
}

/* The drain's run is in the file? False: not yet, or there is none. */
bool dn_relay_take_drained(struct dn_relay *r)
{
    int rc;
    if (!r->drain || !dn_drain_take(r->drain, &rc))
        return false;
    run_written(r, r->draining_to, rc);
    return true;
}

/* The last chunk of a run that ends inside it will be received again, longer: its bytes and its sum
 * may not be looked at by another thread meanwhile. */
static bool can_drain(struct dn_relay *r, const struct run *run)
{
    if (run->to - run->from < DRAIN_RUN_BYTES || run->to % DN_SUM_CHUNK != 0 ||
        r->p.received - r->p.conf.start_len < DRAIN_FROM)
        return false;
    if (!r->drain)
        r->drain = dn_drain_start(r->conf->file);
    return r->drain;
}

static void write_run(struct dn_relay *r, bool is_all)
{
    struct run run = next_run(r, is_all);
    r->run_begun_us = clock_mono_us();
    if (fault_errno(fault_hit("dn.write.disk"))) {
        run_written(r, run.to, ERR_IO);
    } else if (can_drain(r, &run)) {
        r->draining_to = run.to;
        dn_drain_write(r->drain, run.from, run.data, run.sums);
    } else {
        run_written(r, run.to, dn_blockfile_write(r->conf->file, run.from, run.data, run.sums));
    }
}

/* A sync that is due goes first. */
bool dn_relay_write_some(struct dn_relay *r, bool is_all)
{
    if (dn_relay_is_draining(r) || r->p.local_code != 0 || dn_relay_unwritten(r) == 0 ||
        dn_pipeline_need(&r->p) == DN_NEED_SYNC)
        return false;
    write_run(r, is_all);
    return true;
}

/* The disk is free, and there is enough for it. */
bool dn_relay_has_run(struct dn_relay *r)
{
    (void)dn_relay_take_drained(r);
    return !dn_relay_is_draining(r) && dn_relay_unwritten(r) >= DN_RELAY_NOW_BYTES;
}

static void settle(struct dn_relay *r)
{
    if (dn_relay_is_draining(r)) {
        dn_drain_wait(r->drain);
        (void)dn_relay_take_drained(r);
    }
}

/* Upstream is gone or a neighbour failed: what has arrived whole is worth keeping. */
void dn_relay_write_the_rest(struct dn_relay *r)
{
    settle(r);
    while (r->p.local_code == 0 && dn_relay_unwritten(r) > 0) {
        write_run(r, true);
        settle(r);
    }
}

/* The file is all the relay's again, and no thread is kept for it. */
void dn_relay_end_drain(struct dn_relay *r)
{
    settle(r);
    dn_drain_stop(r->drain);
    r->drain = NULL;
}

/* The blocking duties. Finalizing waits until downstream has everything, so that all of the chain
 * syncs at the same time. */
bool dn_relay_do_duties(struct dn_relay *r)
{
    uint64_t begun_us = clock_mono_us();
    int rc = 0;
    enum dn_pipeline_need need = dn_pipeline_need(&r->p);
    BUG_ON(need != DN_NEED_NOTHING && dn_relay_is_draining(r)); /* the file is not ours then */
    switch (need) {
    case DN_NEED_NOTHING:
        return false;
    case DN_NEED_SYNC:
        if (fault_hit("dn.write.sync") != FAULT_DROP)
            rc = dn_blockfile_sync(r->conf->file);
        if (rc == 0)
            dn_pipeline_synced(&r->p);
        dn_lags_disk(&r->lags, clock_mono_us() - begun_us);
        break;
    case DN_NEED_FINALIZE:
        if (dn_relay_has_forward(r))
            return false;
        rc = r->conf->finalize(r->conf->arg);
        if (rc == 0)
            dn_pipeline_finalized(&r->p);
        break;
    }
    if (rc != 0)
        dn_pipeline_local_failed(&r->p, rc);
    return true;
}
