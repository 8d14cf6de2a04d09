/* SPDX-License-Identifier: Apache-2.0
 * pack: the frames of a run that is packed (writer.h tells where they lie), and whether packing one
 * is worth it. A frame holds whole records:
 *
 *   0 u64 head   top bit clear: the lower half is the length of the records, the upper half that of
 *                the lz4 block that follows; both are 1 .. PACK_FRAME
 *                top bit set: the rest is the length of the records, which follow as they are: they
 *                would not have become less, or are one record longer than PACK_FRAME
 *
 * A long record lies there as it is so that it can be mapped where it lies, whatever its length.
 *
 * Bytes are packed where the disk is slower than lz4. Both are measured as a process goes on: what
 * writes to its local directories took (they wait when the disk is behind), and what a little of
 * what it writes takes to pack and comes to. Every byte of a run is written and read once. */
#ifndef QUERN_WORKER_RUN_PACK_H
#define QUERN_WORKER_RUN_PACK_H

#include "libcommon/base/slice.h"

#define PACK_HEAD  8U
#define PACK_FRAME (16384U - PACK_HEAD)
/* Room that a frame of up to PACK_FRAME bytes may need while it is made. */
#define PACK_ROOM (PACK_HEAD + PACK_FRAME + PACK_FRAME / 255 + 16)

struct pack_frame {
    uint64_t plain;   /* bytes of records */
    uint64_t stored;  /* bytes that follow the head */
    bool is_as_it_is; /* they are the records */
};

/* The head of a frame with `len` bytes of records that follow as they are. */
void pack_head_plain(uint8_t out[PACK_HEAD], uint64_t len);
/* A whole frame at `out`, which has PACK_ROOM: its length. plain.len is 1 .. PACK_FRAME. */
size_t pack_frame_make(struct slice plain, uint8_t *out);
/* False: no head of a frame. */
bool pack_head_read(const uint8_t in[PACK_HEAD], struct pack_frame *ret);

enum pack_when { PACK_NEVER, PACK_WHERE_SLOW, PACK_ALWAYS };

/* What a process knows of its disks and its data. Zeroed = nothing yet, and never. */
struct run_packing {
    enum pack_when when;
    bool is_on; /* the last answer */
    uint64_t sink_bytes, sink_us;
    uint64_t plain_bytes, packed_bytes, pack_us;
    uint64_t unsampled; /* bytes written since a sample was taken */
};

void run_packing_wrote(struct run_packing *packing, uint64_t bytes, uint64_t us);
void run_packing_packed(struct run_packing *packing, uint64_t plain, uint64_t packed, uint64_t us);
/* Is it time to try what packing would do? */
bool run_packing_wants_sample(const struct run_packing *packing);
/* Shall the next run be packed? */
bool run_packing_decide(struct run_packing *packing);

/* "true", "false", and NULL or "auto". */
enum pack_when pack_when_of(const char *said);

#endif
