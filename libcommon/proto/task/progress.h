/* SPDX-License-Identifier: Apache-2.0
 * progress: the page a runner and its worker share (a memfd of one page, passed with RUN). The
 * runner adds, the worker reads now and then; each field is written by one thread and read whole.
 * An attempt whose counters stand still for the time-out is dead, however busy its threads. */
#ifndef QUERN_PROTO_TASK_PROGRESS_H
#define QUERN_PROTO_TASK_PROGRESS_H

#include <stdint.h>

#define PROGRESS_BYTES 4096
#define PROGRESS_MAGIC 0x6770726bU

enum progress_phase {
    PROGRESS_START,
    PROGRESS_MAP,
    PROGRESS_SORT,
    PROGRESS_FETCH,
    PROGRESS_REDUCE,
    PROGRESS_WRITE,
    PROGRESS_END,
};

struct progress_page {
    uint32_t magic;
    _Atomic uint32_t phase;
    _Atomic uint64_t ticks; /* grows with anything useful: what the time-out watches */
    _Atomic uint64_t records_in;
    _Atomic uint64_t records_out;
    _Atomic uint64_t bytes_in;     /* of bytes_total */
    _Atomic uint64_t bytes_total;  /* 0 = not known yet */
    _Atomic uint64_t input_offset; /* of the record in hand */
    _Atomic uint32_t input_segment;
    _Atomic uint32_t record_len;
    char status[256]; /* the job's own words; may be torn while it changes */
    /* Written when a signal ends the runner, for the report of the crash: first bytes of the record
     * in hand (record_len tells how long it is), and where the code was: "clean.so+0x1139
     * (parse_line)". */
    uint8_t record[1024];
    uint32_t record_kept; /* bytes in `record`; 0 = nobody could write them (SIGKILL) */
    char crashed_at[512];
};
_Static_assert(sizeof(struct progress_page) <= PROGRESS_BYTES, "it is one page");

#endif
