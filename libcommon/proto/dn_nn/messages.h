/* SPDX-License-Identifier: Apache-2.0
 * dn_nn: datanode and namenode, over one long-lived connection that the datanode opens. Either side
 * asks: the datanode registers, reports and beats; the namenode pushes its orders at once.
 *
 * Every order carries the namenode's term; a datanode obeys no smaller term than it has seen. */
#ifndef QUERN_PROTO_DN_NN_MESSAGES_H
#define QUERN_PROTO_DN_NN_MESSAGES_H

#include "libcommon/proto/types/messages.h"

#define DN2NN_STORAGE_FIELDS(F, S, L)               \
    F(STR, id) /* from the volume's VERSION file */ \
    F(STR, path)                                    \
    F(BOOL, has_failed)                             \
    F(U64, capacity)                                \
    F(U64, used)                                    \
    F(U64, remaining)
MSG_STRUCT(dn2nn_storage, DN2NN_STORAGE_FIELDS)

#define DN2NN_REGISTER_FIELDS(F, S, L)                                                         \
    S(msg_node, node)                                                                          \
    F(STR, cluster_id) /* "" = a fresh datanode: it takes the namenode's */                    \
    F(STR, node_uuid)  /* of the data directories: who this really is, whatever its address */ \
    F(STR, version)                                                                            \
    L(dn2nn_storage, storages)
MSG_STRUCT(dn2nn_register, DN2NN_REGISTER_FIELDS)

/* A registered datanode sends a full report next, then heartbeats. */
#define DN2NN_REGISTERED_FIELDS(F, S, L)              \
    F(STR, cluster_id)                                \
    F(U64, term)                                      \
    F(U64, heartbeat_ms)                              \
    F(U64, report_ms) /* time between full reports */ \
    F(U64, highest_gs)
MSG_STRUCT(dn2nn_registered, DN2NN_REGISTERED_FIELDS)

#define DN2NN_HEARTBEAT_FIELDS(F, S, L)      \
    L(dn2nn_storage, storages)               \
    F(U64, xceivers) /* transfers running */ \
    F(U64, non_dfs)                          \
    F(U64, scheduled_copies)
MSG_STRUCT(dn2nn_heartbeat, DN2NN_HEARTBEAT_FIELDS)

#define DN2NN_HEARD_FIELDS(F, S, L) \
    F(U64, term)                    \
    F(BOOL, register_again) /* the namenode does not know you: register and report in full */
MSG_STRUCT(dn2nn_heard, DN2NN_HEARD_FIELDS)

enum dn2nn_replica_state {
    DN2NN_FINALIZED,
    DN2NN_RBW, /* being written */
    DN2NN_RWR, /* was being written when the datanode restarted */
    DN2NN_RUR, /* under recovery */
};

/* Pages of a full report, in order; the last one closes it. A report that breaks off counts for
 * nothing: "absent" is only ever concluded from a whole one. ids, stamps, lens and states run in
 * parallel (compact for a million replicas). */
#define DN2NN_FULL_REPORT_FIELDS(F, S, L) \
    F(U64, report_id)                     \
    F(U32, page)                          \
    F(BOOL, is_last)                      \
    F(U64S, ids)                          \
    F(U64S, stamps)                       \
    F(U64S, lens)                         \
    F(U64S, states)                       \
    F(STR, storage)
MSG_STRUCT(dn2nn_full_report, DN2NN_FULL_REPORT_FIELDS)

enum dn2nn_change {
    DN2NN_RECEIVING, /* rbw created, or its stamp moved */
    DN2NN_RECEIVED,  /* finalized and fsynced, directory too */
    DN2NN_DELETED,
    DN2NN_BAD, /* checksum failure found here or told by a reader */
};

#define DN2NN_REPLICA_CHANGE_FIELDS(F, S, L) \
    F(U32, change)                           \
    S(msg_block, block)                      \
    F(STR, storage)
MSG_STRUCT(dn2nn_replica_change, DN2NN_REPLICA_CHANGE_FIELDS)

#define DN2NN_CHANGES_FIELDS(F, S, L) L(dn2nn_replica_change, changes)
MSG_STRUCT(dn2nn_changes, DN2NN_CHANGES_FIELDS)

/* A copy ordered by the namenode ended. */
#define DN2NN_COPIED_FIELDS(F, S, L)      \
    S(msg_block, block)                   \
    F(STR, target)                        \
    F(I64, code) /* 0 or enum err_code */ \
    F(STR, why)
MSG_STRUCT(dn2nn_copied, DN2NN_COPIED_FIELDS)

/* A block recovery ended on the primary. */
#define DN2NN_RECOVERED_FIELDS(F, S, L)                                                   \
    S(msg_block, block) /* with the old stamp */                                          \
    F(U64, new_gs)                                                                        \
    F(U64, new_len)                                                                       \
    F(STRS, nodes) /* who carries it now; none = no replica had a byte: drop the block */ \
    F(I64, code)
MSG_STRUCT(dn2nn_recovered, DN2NN_RECOVERED_FIELDS)

/* --- orders ---------------------------------------------------------------------------------- */

#define NN2DN_COPY_FIELDS(F, S, L) \
    F(U64, term)                   \
    S(msg_block, block)            \
    L(msg_node, targets)
MSG_STRUCT(nn2dn_copy, NN2DN_COPY_FIELDS)

/* Delete exactly these (id, stamp); a replica with a newer stamp stays. */
#define NN2DN_DELETE_FIELDS(F, S, L) \
    F(U64, term)                     \
    L(msg_block, blocks)
MSG_STRUCT(nn2dn_delete, NN2DN_DELETE_FIELDS)

/* Be the primary of this block's recovery: settle its length among the nodes under new_gs. The
 * block's length is what is known to have been flushed; no replica with less decides while another
 * has it. */
#define NN2DN_RECOVER_FIELDS(F, S, L) \
    F(U64, term)                      \
    S(msg_block, block)               \
    F(U64, new_gs)                    \
    L(msg_node, nodes)
MSG_STRUCT(nn2dn_recover, NN2DN_RECOVER_FIELDS)

#define NN2DN_REPORT_FIELDS(F, S, L) F(U64, term)
MSG_STRUCT(nn2dn_report, NN2DN_REPORT_FIELDS)

/* Make `block` (finalized, block.len bytes) out of the beginning of a finalized replica here. */
#define NN2DN_CLONE_FIELDS(F, S, L) \
    F(U64, term)                    \
    S(msg_block, from)              \
    S(msg_block, block)
MSG_STRUCT(nn2dn_clone, NN2DN_CLONE_FIELDS)

/* Copies leave at most at this rate; 0 = as fast as it goes. Until the datanode is started anew. */
#define NN2DN_BANDWIDTH_FIELDS(F, S, L) \
    F(U64, term)                        \
    F(U64, bytes_per_s)
MSG_STRUCT(nn2dn_bandwidth, NN2DN_BANDWIDTH_FIELDS)

#define DN2NN_METHODS(M, P)                                              \
    M(P, 0x0201, REGISTER, MSG_READS, dn2nn_register, dn2nn_registered)  \
    M(P, 0x0202, HEARTBEAT, MSG_READS, dn2nn_heartbeat, dn2nn_heard)     \
    M(P, 0x0203, FULL_REPORT, MSG_READS, dn2nn_full_report, dn2nn_heard) \
    M(P, 0x0204, CHANGES, MSG_READS, dn2nn_changes, dn2nn_heard)         \
    M(P, 0x0205, COPIED, MSG_READS, dn2nn_copied, msg_void)              \
    M(P, 0x0206, RECOVERED, MSG_READS, dn2nn_recovered, msg_void)
#define NN2DN_METHODS(M, P)                                   \
    M(P, 0x0281, COPY, MSG_READS, nn2dn_copy, msg_void)       \
    M(P, 0x0282, DELETE, MSG_READS, nn2dn_delete, msg_void)   \
    M(P, 0x0283, RECOVER, MSG_READS, nn2dn_recover, msg_void) \
    M(P, 0x0284, REPORT, MSG_READS, nn2dn_report, msg_void)   \
    M(P, 0x0285, CLONE, MSG_READS, nn2dn_clone, msg_void)     \
    M(P, 0x0286, BANDWIDTH, MSG_READS, nn2dn_bandwidth, msg_void)

MSG_METHODS(DN2NN, DN2NN_METHODS)
MSG_METHODS(NN2DN, NN2DN_METHODS)

#endif
