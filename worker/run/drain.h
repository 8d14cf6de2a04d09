/* SPDX-License-Identifier: Apache-2.0
 * drain: merge sorted cursors into the current partition of a run, folding neighbours of equal key
 * where the job declared a fold that may be applied in any order. */
#ifndef QUERN_WORKER_RUN_DRAIN_H
#define QUERN_WORKER_RUN_DRAIN_H

#include "worker/run/fold.h"
#include "worker/run/merge.h"
#include "worker/run/writer.h"

struct drain {
    const struct key_order *order;
    const struct fold *fold; /* NULL = none */
    struct run_writer *writer;
    _Atomic uint64_t *ticks; /* grows as work goes on; may be NULL */
};

/* What a cursor fails with is in its own err; `err` gets the rest. A writer that fails ends it
 * early (run_writer_has_failed). */
int drain(struct run_cursor **cursors, size_t count, const struct drain *conf, struct err *err);

#endif
