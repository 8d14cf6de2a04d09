/* SPDX-License-Identifier: Apache-2.0
 * reader: find a partition in a run (the format is told in writer.h) and walk its records.
 *
 * A *piece* is one partition of one run, wherever its bytes are: in a descriptor, read through a
 * buffer and checked chunk by chunk before a byte is used, or in memory, checked by whoever put it
 * there. A *cursor* is anything that gives records in order (a piece, a sort buffer): what merge
 * merges.
 *
 * A record that is longer than a cursor's buffer is checked and then mapped where it lies, so that
 * merging many such records takes no memory for each. Of a mapped record only what is touched is in
 * memory, and run_cursor_let_go gives that back: whoever passes over all of one goes by steps. */
#ifndef QUERN_WORKER_RUN_READER_H
#define QUERN_WORKER_RUN_READER_H

#include "libcommon/base/slice.h"
#include "worker/run/key.h"
#include "worker/run/writer.h"

struct run_piece {
    int fd;              /* borrowed; -1 = in memory */
    const uint8_t *data; /* borrowed; in memory */
    uint64_t offset;     /* in fd */
    uint64_t len, records;
    uint32_t crc;         /* of all its bytes */
    const uint32_t *sums; /* one per chunk; NULL = one chunk, of sum `crc`. Not used in memory */
    bool is_packed;       /* its bytes are frames (pack.h) */
};

struct run_reader {
    int fd;              /* borrowed; -1 = in memory */
    const uint8_t *data; /* borrowed; in memory */
    uint64_t len, index_off;
    uint32_t partitions;
    bool is_packed;
};

/* Header and footer are checked. ERR_CORRUPT, ERR_VERSION, ERR_IO. `name` is for messages. */
int run_reader_open(struct run_reader *reader, int fd, uint64_t len, const char *name,
                    struct err *err);
/* ... of a run that is in memory: `run` is borrowed for as long as the reader is used. */
int run_reader_open_memory(struct run_reader *reader, struct slice run, const char *name,
                           struct err *err);
/* *ret_sums holds the piece's chunk sums and is given (mem_free, NULL = none are needed). */
int run_reader_piece(const struct run_reader *reader, uint32_t partition, struct run_piece *ret,
                     uint32_t **ret_sums, struct err *err);

struct run_cursor {
    /* To the next record: 1 and the fields below, 0 at the end, or a negative code (what failed is
     * in `err` of the owner). Slices are valid until the following call. */
    int (*next)(struct run_cursor *cursor);
    struct slice key, value;
    struct slice raw; /* the record as encoded */
    uint64_t prefix;  /* of the key; of any value for jobs that compare themselves */
    bool is_mapped;   /* the record is a long one, mapped from a file */
};

#define RUN_STEP ((size_t)1 << 20) /* of a mapped record, looked at at a time */

/* The pages within [data, data + len) leave memory. Touching those of a mapped record brings them
 * back; others are zeros then. */
void run_cursor_let_go(const void *data, size_t len);
/* The order of two records' keys, as key_cmp has it. */
int run_cursor_cmp(const struct key_order *order, const struct run_cursor *a,
                   const struct run_cursor *b);
/* Are the bytes of its key these? */
bool run_cursor_has_key(const struct run_cursor *cursor, struct slice key);

#define PIECE_BUFFER_MIN (2U * RUN_CHUNK)

struct piece_cursor {
    struct run_cursor cursor;
    struct run_piece piece;
    const uint8_t *pos, *end;           /* checked bytes not yet parsed */
    const uint8_t *frames, *frames_end; /* of a packed piece: checked bytes behind that frame */
    uint8_t *unpacked;                  /* PACK_FRAME bytes of the buffer */
    uint8_t *buf;
    size_t cap;
    bool is_bad;                      /* next has failed here */
    uint64_t read;                    /* bytes of the piece read so far */
    uint64_t asked, ahead, ahead_max; /* bytes of it asked for; how far before `read` that goes */
    size_t skip;                      /* of what is read next: it was seen through the mapping */
    void *map;                        /* a long record; NULL = none is at hand */
    size_t map_len;
    uint64_t record_max;
    uint64_t seen; /* records */
    const char *name;
    struct err *err;
    uint64_t *read_us;
};

struct piece_conf {
    void *buffer;        /* borrowed until close; needed as run_piece_needs_buffer says */
    size_t buffer_size;  /* at least PIECE_BUFFER_MIN */
    uint64_t record_max; /* a longer record is refused (ERR_TOOBIG) */
    const char *name;    /* for messages; borrowed */
    struct err *err;     /* filled when next fails; borrowed */
    uint64_t ahead_max;  /* bytes to ask the disk for in advance; 0 = the kernel does as it likes */
    uint64_t *read_us;   /* grows by the time that reading takes; NULL = nobody asks; borrowed */
};
/* One in memory is read where it lies, if it is not packed. */
static inline bool run_piece_needs_buffer(const struct run_piece *piece)
{
    return piece->fd >= 0 || piece->is_packed;
}
void piece_cursor_open(struct piece_cursor *c, const struct run_piece *piece,
                       const struct piece_conf *conf);
void piece_cursor_close(struct piece_cursor *c);

/* Check the sums of bytes of a piece: `data` holds `len` bytes from offset `at` of the piece, which
 * begins a chunk; whole chunks, or up to the piece's end. */
bool run_piece_is_good(const struct run_piece *piece, uint64_t at, const uint8_t *data, size_t len);

#endif
