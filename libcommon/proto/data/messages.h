/* SPDX-License-Identifier: Apache-2.0
 * data: clients and datanodes, to a datanode's data port (TCP) or unix socket: one hello, then
 * requests one after another. After a WRITE or READ answer the connection carries packets
 * (packet.h) instead of frames, until the packet flagged PACKET_LAST (and its ack); then the next
 * request may follow on the same connection. One request at a time: the next one is read only when
 * the one before has been answered.
 *
 *   WRITE   -> answer, packets ->, <- acks ... last packet ->, <- last ack
 *   READ    -> answer, <- packets ... <- last packet
 *   LOCAL_READ (unix socket) -> answer, then one byte that carries two descriptors: block file and
 *            checksum file
 *   LOCAL_WRITE (unix socket) -> answer; then one byte -> that carries the ring's memfd (sealed
 *            against shrinking and growing), packet headers without bytes, whose bytes lie in the
 *            ring; acks as in WRITE
 *
 * Whoever breaks off closes the connection; a replica being written then stays as it is, until
 * DATA_WRITE_RECOVER or block recovery takes it up. */
#ifndef QUERN_PROTO_DATA_MESSAGES_H
#define QUERN_PROTO_DATA_MESSAGES_H

#include "libcommon/proto/types/messages.h"

enum data_write_stage {
    DATA_WRITE_CREATE,  /* a new replica, rbw */
    DATA_WRITE_RECOVER, /* the pipeline lost a member: truncate to block.len, move to new_gs, go on
                         */
    DATA_WRITE_COPY, /* re-replication: temporary until whole, then finalized; block.len is final */
    DATA_WRITE_JOIN, /* a copy of a block that is being written: temporary until whole, then rbw
                        under block.gs, durable; block.len is how much of it there is */
};

#define DATA_WRITE_FIELDS(F, S, L)                                                                \
    S(msg_block, block) /* len: acknowledged so far (RECOVER), final (COPY), 0 (CREATE) */        \
    F(U32, stage)                                                                                 \
    F(U64, new_gs)       /* RECOVER: the stamp to move to; else 0 */                              \
    L(msg_node, targets) /* the rest of the chain, nearest first */                               \
    F(U64, client)                                                                                \
    F(U64, block_size) /* at most this many bytes will come */                                    \
    F(U64, ring_bytes) /* LOCAL_WRITE only: size of the memfd ring, 64 KiB..64 MiB in whole pages \
                        */                                                                        \
    S(msg_block, base) /* CREATE: begin with a copy of this finalized block, all of whose len     \
                          bytes everybody in the chain must have; id 0: with nothing */           \
    F(U32, reports_ms) /* > 0: reports among the acks, so often while anything is in flight */
MSG_STRUCT(data_write, DATA_WRITE_FIELDS)

/* The chain stands, or says who is at fault: then no packets follow and the next request may.
 * (Error answers are for requests that make no sense.) A failed CREATE or COPY has left nothing
 * behind; after a failed RECOVER some nodes may carry new_gs already: ask for a newer stamp. */
#define DATA_WRITING_FIELDS(F, S, L)                                                             \
    F(STR, node)                                                                                 \
    F(STR, bad_node) /* "" = all are ready; else the first that failed, and nothing was begun */ \
    F(I64, code)     /* why bad_node failed */                                                   \
    F(STR, why)
MSG_STRUCT(data_writing, DATA_WRITING_FIELDS)

#define DATA_READ_FIELDS(F, S, L)        \
    S(msg_block, block) /* gs 0 = any */ \
    F(U64, offset)                       \
    F(U64, length)
MSG_STRUCT(data_read, DATA_READ_FIELDS)

/* Packets will cover [start, start + length): start is offset rounded down to a checksum chunk. */
#define DATA_READING_FIELDS(F, S, L)                                                       \
    F(U64, start)                                                                          \
    F(U64, length)                                                                         \
    F(U64, visible_len) /* of the replica: acknowledged bytes while it is being written */ \
    F(U64, gs)
MSG_STRUCT(data_reading, DATA_READING_FIELDS)

#define DATA_LOCAL_READ_FIELDS(F, S, L) S(msg_block, block)
MSG_STRUCT(data_local_read, DATA_LOCAL_READ_FIELDS)

/* Two descriptors follow: block file, checksum file. Finalized replicas only (else ERR_RETRY: read
 * it over the socket). */
#define DATA_LOCAL_READING_FIELDS(F, S, L) \
    S(msg_block, block)                    \
    F(U32, sums_off) /* where the checksums begin in the checksum file */
MSG_STRUCT(data_local_reading, DATA_LOCAL_READING_FIELDS)

#define DATA_REPLICA_FIELDS(F, S, L)             \
    S(msg_block, block)                          \
    F(U32, state) /* enum dn2nn_replica_state */ \
    F(U64, visible_len)
MSG_STRUCT(data_replica, DATA_REPLICA_FIELDS)

/* Block recovery, asked by the primary: stop writers, verify checksums, promise new_gs (refused
 * with ERR_STALE unless greater than any seen), say what you hold. */
#define DATA_RECOVER_INIT_FIELDS(F, S, L) \
    S(msg_block, block)                   \
    F(U64, new_gs)
MSG_STRUCT(data_recover_init, DATA_RECOVER_INIT_FIELDS)

/* ... and then: cut to new_len, take new_gs, finalize and fsync. */
#define DATA_RECOVER_COMMIT_FIELDS(F, S, L) \
    S(msg_block, block)                     \
    F(U64, new_gs)                          \
    F(U64, new_len)
MSG_STRUCT(data_recover_commit, DATA_RECOVER_COMMIT_FIELDS)

/* A further node for a pipeline that lost one: stop whoever writes the block here, verify it, and
 * send it (at least block.len bytes) to the targets, where it becomes rbw under block.gs. The
 * answer says who is at fault, as in data_writing: this node, when its own bytes are wrong. */
#define DATA_TRANSFER_FIELDS(F, S, L) \
    S(msg_block, block)               \
    F(U64, block_size)                \
    L(msg_node, targets)
MSG_STRUCT(data_transfer, DATA_TRANSFER_FIELDS)

#define DATA_CHECKSUM_FIELDS(F, S, L)                                                 \
    F(BYTES, md5) /* of the block's checksums as Hadoop's MD5-of-CRC32C wants them */ \
    F(U64, len)
MSG_STRUCT(data_checksum, DATA_CHECKSUM_FIELDS)

/* The data directories of a node are made equally full: begin, stop, how it stands. */
enum data_level_action { DATA_LEVEL_QUERY, DATA_LEVEL_EXECUTE, DATA_LEVEL_CANCEL };
#define DATA_LEVEL_FIELDS(F, S, L)    \
    F(U32, action)                    \
    F(U64, bytes_per_s) /* EXECUTE */ \
    F(U32, threshold)   /* percent */
MSG_STRUCT(data_level, DATA_LEVEL_FIELDS)

#define DATA_LEVEL_DIR_FIELDS(F, S, L) \
    F(STR, path)                       \
    F(STR, media)                      \
    F(STR, id)                         \
    F(BOOL, has_failed)                \
    F(U64, used)                       \
    F(U64, remaining)
MSG_STRUCT(data_level_dir, DATA_LEVEL_DIR_FIELDS)

#define DATA_LEVELING_FIELDS(F, S, L)                        \
    F(BOOL, is_running)                                      \
    F(BOOL, was_cancelled)                                   \
    F(U64, started_ms) /* wall time; 0 = never */            \
    F(U64, finished_ms)                                      \
    F(U64, blocks)                                           \
    F(U64, bytes)                                            \
    F(U64, errors)                                           \
    F(U64, bytes_left) /* to be moved, by the plan of now */ \
    L(data_level_dir, dirs)
MSG_STRUCT(data_leveling, DATA_LEVELING_FIELDS)

/* What an operator asks of this datanode. Needs the user it runs as, or a member of the supergroup;
 * DATA_MANAGE_INFO is for everybody. The answer is filled for each of them. */
enum data_manage_action {
    DATA_MANAGE_INFO,
    DATA_MANAGE_EVICT_WRITERS,  /* writes under way are ended; their clients go on without us */
    DATA_MANAGE_REPORT,         /* a full report to the namenode, now */
    DATA_MANAGE_REPORT_CHANGES, /* tell it what has not been told yet */
    DATA_MANAGE_SHUTDOWN,
    DATA_MANAGE_VOLUMES, /* how its volumes are, their blocks counted */
};
#define DATA_MANAGE_FIELDS(F, S, L) F(U32, action)
MSG_STRUCT(data_manage, DATA_MANAGE_FIELDS)

#define DATA_VOLUME_FIELDS(F, S, L) \
    F(STR, path)                    \
    F(BOOL, has_failed)             \
    F(U64, used)                    \
    F(U64, remaining)               \
    F(U64, reserved)                \
    F(U64, blocks) /* VOLUMES */    \
    F(U64, promised)
MSG_STRUCT(data_volume, DATA_VOLUME_FIELDS)

#define DATA_MANAGED_FIELDS(F, S, L)            \
    F(U64, uptime_s)                            \
    F(STR, version)                             \
    F(U64, copy_bytes_per_s) /* 0 = no limit */ \
    L(data_volume, volumes)
MSG_STRUCT(data_managed, DATA_MANAGED_FIELDS)

#define DATA_METHODS(M, P)                                                   \
    M(P, 0x0301, WRITE, 0, data_write, data_writing)                         \
    M(P, 0x0302, READ, MSG_READS, data_read, data_reading)                   \
    M(P, 0x0303, LOCAL_READ, MSG_READS, data_local_read, data_local_reading) \
    M(P, 0x0304, LOCAL_WRITE, 0, data_write, data_writing)                   \
    M(P, 0x0305, REPLICA, MSG_READS, msg_block, data_replica)                \
    M(P, 0x0306, RECOVER_INIT, 0, data_recover_init, data_replica)           \
    M(P, 0x0307, RECOVER_COMMIT, 0, data_recover_commit, msg_void)           \
    M(P, 0x0308, CHECKSUM, MSG_READS, msg_block, data_checksum)              \
    M(P, 0x0309, TRANSFER, 0, data_transfer, data_writing)                   \
    M(P, 0x0320, RECONFIG, 0, msg_reconfig, msg_reconfigured)                \
    M(P, 0x0321, MANAGE, 0, data_manage, data_managed)                       \
    M(P, 0x0328, LEVEL, 0, data_level, data_leveling)

MSG_METHODS(DATA, DATA_METHODS)

#endif
