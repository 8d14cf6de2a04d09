/* SPDX-License-Identifier: Apache-2.0
 * progress: the page a runner and its worker share (a memfd of one page, passed with RUN). The
 * runner adds, the worker reads now and then; each field is written by one thread and read whole.
 * An attempt whose counters stand still for the time-out is dead, however busy its threads. */
#ifndef QUERN_PROTO_TASK_PROGRESS_H
#define QUERN_PROTO_TASK_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
    _Atomic uint64_t bytes_in;      /* of bytes_total */
    _Atomic uint64_t bytes_total;   /* 0 = not known yet */
    _Atomic uint64_t input_offset;  /* of the record in hand */
    _Atomic uint32_t input_segment; /* it is of, counted from 1; 0 = none is in hand */
    _Atomic uint32_t record_len;
    /* By clock_mono_us: since when its time counts, and when the job's code could run; 0 = not yet.
     */
    _Atomic uint64_t began_us, ready_us;
    char status[256]; /* the job's own words; may be torn while it changes */
    /* Written when a signal ends the runner, for the report of the crash: first bytes of the record
     * in hand (record_len tells how long it is), and where the code was: "clean.so+0x1139
     * (parse_line)". */
    uint8_t record[1024];
    uint32_t record_kept; /* bytes in `record`; 0 = nobody could write them (SIGKILL) */
    char crashed_at[512];
    /* Of a row of attempts (task_run.behind): its number, how many may begin, and how many have.
     * One word, so that both sides always agree on what has begun: the runner begins another by
     * raising the last, whoever ends the row lowers the second to it. From the lowest: 24, 24, 16
     * bits. */
    _Atomic uint64_t row;
};
_Static_assert(sizeof(struct progress_page) <= PROGRESS_BYTES, "it is one page");

#define PROGRESS_ROW_BITS 24
#define PROGRESS_ROW_MASK ((1U << PROGRESS_ROW_BITS) - 1)

static inline uint64_t progress_row_word(uint16_t number, uint32_t may, uint32_t begun)
{
    return (uint64_t)number << (2 * PROGRESS_ROW_BITS) | (uint64_t)may << PROGRESS_ROW_BITS | begun;
}

static inline uint32_t progress_row_begun(const struct progress_page *page)
{
    return (uint32_t)page->row & PROGRESS_ROW_MASK;
}

/* The runner: may it begin another of that row? false: it is over. */
static inline bool progress_row_begin(struct progress_page *page, uint32_t number)
{
    uint64_t row = page->row;
    while (row >> (2 * PROGRESS_ROW_BITS) == number &&
           (row & PROGRESS_ROW_MASK) < (row >> PROGRESS_ROW_BITS & PROGRESS_ROW_MASK))
        if (atomic_compare_exchange_weak(&page->row, &row, row + 1))
            return true;
    return false;
}

/* No other is begun. How many have been. */
static inline uint32_t progress_row_end(struct progress_page *page)
{
    uint64_t row = page->row;
    uint32_t begun;
    do
        begun = (uint32_t)row & PROGRESS_ROW_MASK;
    while (!atomic_compare_exchange_weak(
        &page->row, &row,
        progress_row_word((uint16_t)(row >> (2 * PROGRESS_ROW_BITS)), begun, begun)));
    return begun;
}

/* As new, but for the row it is in. */
static inline void progress_clear(struct progress_page *page)
{
    memset(page, 0, offsetof(struct progress_page, row));
    page->magic = PROGRESS_MAGIC;
}

#endif
