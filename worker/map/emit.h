/* SPDX-License-Identifier: Apache-2.0
 * emit: what a map's qn_emit does with a record, chosen once for each job:
 *
 *   emit --> combine or gather --> spill      declared folding, or a combine of the job's own
 *        `-------------------------^          neither
 *        `--> sink                            no reduce stage
 *
 * It is called for every record, so what most jobs need has a way of its own (emit_to_sum,
 * emit_to_count), and everything else another. What it costs is learned from bursts of calls. The
 * task's thread only. */
#ifndef QUERN_WORKER_MAP_EMIT_H
#define QUERN_WORKER_MAP_EMIT_H

#include "worker/map/combine.h"
#include "worker/map/gather.h"
#include "worker/map/ranges.h"
#include "worker/map/sketch.h"
#include "worker/map/spill.h"
#include "worker/plugin/context.h"
#include "worker/plugin/meter.h"
#include "worker/sink/output.h"

struct mapper_conf;

struct emit {
    struct context *c;
    const struct plugin *plugin;
    struct key_order order;
    uint32_t partitions;
    bool value_is_number;
    uint64_t record_max;
    uint64_t *raw;        /* per partition, bytes before combining */
    bool counts_in_table; /* they are known when a record leaves it: values are all of one length */
    struct spill spill;
    struct combine combine;
    struct gather gather;
    struct ranges ranges;
    bool has_ranges;
    bool has_hashes; /* emit needs the keys' hashes, to choose partitions by them */
    struct sketch sketch;
    struct output output;
    bool has_combine, has_gather;
    struct qn_host combine_host; /* what the job's combine calls */
    uint64_t emitted;            /* records, where no table counts them */
    uint64_t file_bytes;         /* emitted to the output itself; else `raw` has them */
    struct meter meter;
    uint32_t often;
    int (*emit)(struct qn_task *, struct qn_slice, struct qn_slice); /* what callbacks call */
};

/* Becomes the context's owner. */
void emit_init(struct emit *emit, struct context *c);
/* What callbacks emit from now on is taken; all that is left of the region goes to the sort. 0, or
 * context->failed tells; close it in either case. */
int emit_open(struct emit *emit, const struct mapper_conf *conf);
/* What was kept to be combined goes out. */
int emit_flush(struct emit *emit);
void emit_close(struct emit *emit);

uint64_t emit_records(const struct emit *emit);
uint64_t emit_bytes(const struct emit *emit);    /* before combining */
uint64_t emit_flush_us(const struct emit *emit); /* emptying tables, and what that led to */
bool emit_combines(const struct emit *emit);     /* and has not stepped aside */
bool emit_is_to_file(const struct emit *emit);

/* The task's memory is too little for a map. */
int emit_no_memory(struct emit *emit);

#endif
