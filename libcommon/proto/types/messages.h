/* SPDX-License-Identifier: Apache-2.0
 * types: what several conversations say: blocks, nodes, files. */
#ifndef QUERN_PROTO_TYPES_MESSAGES_H
#define QUERN_PROTO_TYPES_MESSAGES_H

#include "libcommon/wire/msg.h"

/* A block as spoken of: len is what the speaker knows of it (0 where it does not matter). */
#define MSG_BLOCK_FIELDS(F, S, L) \
    F(U64, id)                    \
    F(U64, gs)                    \
    F(U64, len)
MSG_STRUCT(msg_block, MSG_BLOCK_FIELDS)

/* A datanode (or a worker's data side) as others reach it. `name` is its identity: placement,
 * racks and locality go by it. `socket`, `boot_id` and `netns` let a client on the same machine
 * see that it may pass descriptors instead of bytes. */
#define MSG_NODE_FIELDS(F, S, L) \
    F(STR, name)                 \
    F(STR, host)                 \
    F(U32, data_port)            \
    F(U32, http_port)            \
    F(STR, rack)                 \
    F(STR, socket)               \
    F(STR, boot_id)              \
    F(U64, netns)
MSG_STRUCT(msg_node, MSG_NODE_FIELDS)

/* A block of a file and where to find it: nodes in the order the asker should try them (reads) or
 * chain them (writes). `offset` is its place in the file. */
#define MSG_LOCATED_BLOCK_FIELDS(F, S, L) \
    S(msg_block, block)                   \
    F(U64, offset)                        \
    F(BOOL, is_corrupt)                   \
    L(msg_node, nodes)
MSG_STRUCT(msg_located_block, MSG_LOCATED_BLOCK_FIELDS)

#define MSG_FILE_FIELDS(F, S, L)                                          \
    F(STR, name) /* last component in listings, whole path from a stat */ \
    F(U64, id)                                                            \
    F(BOOL, is_dir)                                                       \
    F(U64, len)                                                           \
    F(U32, replication) /* 0 for directories */                           \
    F(U64, block_size)                                                    \
    F(U64, mtime_ms)                                                      \
    F(U64, atime_ms)                                                      \
    F(U32, mode) /* permission bits with sticky: 01777 */                 \
    F(STR, owner)                                                         \
    F(STR, group)                                                         \
    F(U64, children)                                                      \
    F(BOOL, is_open) /* being written */                                  \
    F(U64, blocks)                                                        \
    F(BOOL, has_acl) /* an access or a default list */
MSG_STRUCT(msg_file, MSG_FILE_FIELDS)

#define MSG_PAIR_FIELDS(F, S, L) \
    F(STR, key)                  \
    F(STR, value)
MSG_STRUCT(msg_pair, MSG_PAIR_FIELDS)

#define MSG_COUNTER_FIELDS(F, S, L) \
    F(STR, group)                   \
    F(STR, name)                    \
    F(U64, value)
MSG_STRUCT(msg_counter, MSG_COUNTER_FIELDS)

/* Who asks, and which of his requests this is. A repeat of (client, seq) gets the first answer. */
#define MSG_ORIGIN_FIELDS(F, S, L)                      \
    F(U64, client) /* random, once per client handle */ \
    F(U64, seq)    /* 1, 2, 3...; 0 = not recorded */
MSG_STRUCT(msg_origin, MSG_ORIGIN_FIELDS)

/* Reading the configuration again, as an operator asks it of any daemon. */
enum msg_reconfig_action {
    MSG_RECONFIG_START,
    MSG_RECONFIG_STATUS,
    MSG_RECONFIG_PROPERTIES,
};
#define MSG_RECONFIG_FIELDS(F, S, L) F(U32, action)
MSG_STRUCT(msg_reconfig, MSG_RECONFIG_FIELDS)

#define MSG_KEY_CHANGE_FIELDS(F, S, L) \
    F(STR, key)                        \
    F(STR, from)                       \
    F(STR, to)                         \
    F(BOOL, is_refused)                \
    F(STR, why)
MSG_STRUCT(msg_key_change, MSG_KEY_CHANGE_FIELDS)

#define MSG_RECONFIGURED_FIELDS(F, S, L)                              \
    F(U64, started_ms)  /* wall time of the last one; 0 = none yet */ \
    F(U64, finished_ms) /* 0 = it still runs */                       \
    L(msg_key_change, changes)                                        \
    F(STRS, keys) /* PROPERTIES: which ones take effect this way */
MSG_STRUCT(msg_reconfigured, MSG_RECONFIGURED_FIELDS)

/* Method numbers are u16 and unique over all conversations: the high byte is the conversation. */
enum msg_conversation {
    MSG_CL_NN = 0x01,
    MSG_DN_NN = 0x02,
    MSG_DATA = 0x03,
    MSG_CL_JT = 0x04,
    MSG_WK_JT = 0x05,
    MSG_SHUFFLE = 0x06,
    MSG_TASK = 0x07,
};

#endif
