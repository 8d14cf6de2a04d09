/* SPDX-License-Identifier: Apache-2.0
 * shuffle: a reduce attempt fetches its partitions from a worker: one hello, one FETCH, one answer,
 * then a stream of segments as maps commit there. Each segment is a header and its bytes:
 *
 *    0 u32 magic "QSG1"   4 u32 map_task   8 u32 map_attempt   12 u32 partition
 *   16 u32 flags (enum shuffle_flag)  20 u32 crc32c of the bytes
 *   24 u64 len            32 u64 records   40 u64 offset (SHUFFLE_FD: in the passed descriptor)
 *   48 u32 crc32c of bytes 0..47           52 u32 zero
 *
 * SHUFFLE_FD (unix sockets only): no bytes; a descriptor passed with the header holds them.
 * SHUFFLE_FD + SHUFFLE_SAME: no bytes and no descriptor; the last one passed holds them, too.
 * SHUFFLE_EMPTY: no bytes; of the partitions asked for, in their order, this one and those behind
 * it, `records` in all, hold nothing of this map.
 * SHUFFLE_PACKED: the bytes are frames (worker/run/pack.h); those of a descriptor tell themselves.
 * SHUFFLE_END: every map this worker committed for the job has been sent and no more will come
 * (the map stage is complete); the stream closes. Otherwise it stays open, however long. */
#ifndef QUERN_PROTO_SHUFFLE_MESSAGES_H
#define QUERN_PROTO_SHUFFLE_MESSAGES_H

#include "libcommon/proto/types/messages.h"

#define SHUFFLE_MAGIC        0x31475351U /* "QSG1" read as little-endian */
#define SHUFFLE_HEADER_BYTES 56
enum shuffle_flag {
    SHUFFLE_END = 1,
    SHUFFLE_FD = 2,
    SHUFFLE_SAME = 4,
    SHUFFLE_EMPTY = 8,
    SHUFFLE_PACKED = 16
};

struct shuffle_header {
    uint32_t map_task, map_attempt, partition, flags, crc;
    uint64_t len, records, offset;
};
void shuffle_header_encode(const struct shuffle_header *header, uint8_t out[SHUFFLE_HEADER_BYTES]);
/* ERR_PROTO for a wrong magic or crc. */
int shuffle_header_decode(const uint8_t in[SHUFFLE_HEADER_BYTES], struct shuffle_header *ret);

#define SHUFFLE_FETCH_FIELDS(F, S, L)                                     \
    F(U64, cluster_ms)                                                    \
    F(U64, job)                                                           \
    F(U64S, partitions)                                                   \
    F(U32, reduce_task)                                                   \
    F(U32, reduce_attempt)                                                \
    F(U64S, have) /* map tasks already fetched: do not send them again */ \
    F(BOOL, pass_fds)                                                     \
    F(U32, stage) /* whose outputs */
MSG_STRUCT(shuffle_fetch, SHUFFLE_FETCH_FIELDS)

/* Asked again by the reducer's plan alone, which may want to end the wait. */
#define SHUFFLE_METHODS(M, P) M(P, 0x0601, FETCH, 0, shuffle_fetch, msg_void)

MSG_METHODS(SHUFFLE, SHUFFLE_METHODS)

#endif
