/* SPDX-License-Identifier: Apache-2.0
 * editop: the operations of the journal, each declared once: number, name, fields, apply. Encoding,
 * printing and the test that every one survives a round trip come from the same table.
 *
 * A change is first checked against the state (check.h), which gives an error or a filled
 * operation; that is appended to the log; then it is applied. Replay decodes and calls the same
 * apply. So what an operation does may depend on nothing but its fields and the state before it:
 * every time, id and stamp that was decided is in the record.
 *
 * Record payload: the operation's fields as a positional msgpack array (wire/msg.h): fields are
 * only ever added at the end. Numbers are never used again for something else; 0 is not one. */
#ifndef QUERN_NAMENODE_JOURNAL_EDITOP_H
#define QUERN_NAMENODE_JOURNAL_EDITOP_H

#include "libcommon/proto/types/messages.h"

struct nn_state;

/* In every operation: whose request it was (seq 0: nobody's, or not to be remembered) and when. */
#define OP_HEAD(F, S, L)  \
    S(msg_origin, origin) \
    F(U64, at_ms) /* wall time, decided before logging */

/* Missing parents get the ids from first_id on, the directory itself the last of them. */
#define OP_MKDIR_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)             \
    F(STR, path)                 \
    F(U64, first_id)             \
    F(U32, mode)                 \
    F(U32, parent_mode)          \
    F(STR, owner)
MSG_STRUCT(op_mkdir, OP_MKDIR_FIELDS)

/* As op_mkdir for parents. A file that is there already is deleted first. The lease is
 * origin.client's. Answer: file id. */
#define OP_CREATE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(STR, path)                  \
    F(U64, first_id)              \
    F(U32, mode)                  \
    F(U32, parent_mode)           \
    F(STR, owner)                 \
    F(U32, replication)           \
    F(U64, block_size)
MSG_STRUCT(op_create, OP_CREATE_FIELDS)

/* `previous` (id 0 = none) is committed as told; a new block joins the file. Answer: block id,
 * offset in the file. */
#define OP_ADD_BLOCK_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                 \
    F(U64, file_id)                  \
    S(msg_block, previous)           \
    F(U64, block_id)                 \
    F(U64, gs)
MSG_STRUCT(op_add_block, OP_ADD_BLOCK_FIELDS)

/* The file's last block never was. */
#define OP_ABANDON_BLOCK_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                     \
    F(U64, file_id)                      \
    F(U64, block_id)
MSG_STRUCT(op_abandon_block, OP_ABANDON_BLOCK_FIELDS)

/* A stamp was given out for the last block; the block takes it with op_pipeline. Answer: gs. */
#define OP_STAMP_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)             \
    F(U64, file_id)              \
    F(U64, block_id)             \
    F(U64, gs)
MSG_STRUCT(op_stamp, OP_STAMP_FIELDS)

#define OP_PIPELINE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                \
    F(U64, file_id)                 \
    F(U64, block_id)                \
    F(U64, gs)                      \
    F(U64, len)
MSG_STRUCT(op_pipeline, OP_PIPELINE_FIELDS)

/* The last block is at least so long, for readers. */
#define OP_FLUSH_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)             \
    F(U64, file_id)              \
    F(U64, block_id)             \
    F(U64, len)
MSG_STRUCT(op_flush, OP_FLUSH_FIELDS)

/* The writer said the last block's final length and stamp; its replicas are awaited. */
#define OP_COMMIT_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(U64, file_id)               \
    S(msg_block, last)
MSG_STRUCT(op_commit, OP_COMMIT_FIELDS)

/* The file is closed. Its last block (id 0: it has none) is complete with this stamp and length, or
 * was never written by anybody and is dropped. */
#define OP_CLOSE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)             \
    F(U64, file_id)              \
    S(msg_block, last)           \
    F(BOOL, drop_last)
MSG_STRUCT(op_close, OP_CLOSE_FIELDS)

/* The writer has lost the file: the namenode holds it, and the last block (0 = none) is under
 * recovery with this stamp as its number. A later one replaces it. */
#define OP_RECOVER_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)               \
    F(U64, file_id)                \
    F(U64, block_id)               \
    F(U64, gs)
MSG_STRUCT(op_recover, OP_RECOVER_FIELDS)

/* ---- a file that was closed ---- */

/* It is origin.client's to write. With a block id, that block is prepared: it will hold a copy of
 * the last one, and belongs to no file until op_switch. Answer: file id, block id. */
#define OP_APPEND_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(U64, file_id)               \
    F(U64, block_id)              \
    F(U64, gs)
MSG_STRUCT(op_append, OP_APPEND_FIELDS)

/* The file ends at `len`. Without a block id that is where a block ends, and it is done. With one,
 * that block is prepared: it will hold the beginning of the block that is cut, and the namenode
 * holds the file until op_switch. Answer: 1 when it is done. */
#define OP_TRUNCATE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                \
    F(U64, file_id)                 \
    F(U64, len)                     \
    F(U64, block_id)                \
    F(U64, gs)
MSG_STRUCT(op_truncate, OP_TRUNCATE_FIELDS)

/* The blocks of the sources, in this order, become the target's last ones, and the sources go. */
#define OP_CONCAT_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(U64, file_id)               \
    F(U64S, sources)
MSG_STRUCT(op_concat, OP_CONCAT_FIELDS)

/* The prepared block takes its place: in an append that of the last block, to be written on; in a
 * truncation that of the block that is cut and of all behind it, and the file is closed. */
#define OP_SWITCH_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(U64, file_id)               \
    F(U64, block_id)
MSG_STRUCT(op_switch, OP_SWITCH_FIELDS)

/* Another block is prepared instead of the one there was. Answer: block id. */
#define OP_PREPARE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)               \
    F(U64, file_id)                \
    F(U64, block_id)               \
    F(U64, gs)
MSG_STRUCT(op_prepare, OP_PREPARE_FIELDS)

/* A datanode registered that the cluster had not had before; only of the first ones (members.h). */
#define OP_DATANODE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                \
    F(STR, name)                    \
    F(STR, uuid)
MSG_STRUCT(op_datanode, OP_DATANODE_FIELDS)

/* What is at `to` (a file or an empty directory) is deleted first. */
#define OP_RENAME_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(STR, from)                  \
    F(STR, to)
MSG_STRUCT(op_rename, OP_RENAME_FIELDS)

/* Answer: 1. */
#define OP_DELETE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)              \
    F(STR, path)
MSG_STRUCT(op_delete, OP_DELETE_FIELDS)

#define OP_SET_TIMES_FIELDS(F, S, L)  \
    OP_HEAD(F, S, L)                  \
    F(STR, path)                      \
    F(I64, mtime_ms) /* -1 = leave */ \
    F(I64, atime_ms)
MSG_STRUCT(op_set_times, OP_SET_TIMES_FIELDS)

#define OP_SET_REPLICATION_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                       \
    F(STR, path)                           \
    F(U32, replication)
MSG_STRUCT(op_set_replication, OP_SET_REPLICATION_FIELDS)

#define OP_SET_MODE_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                \
    F(STR, path)                    \
    F(U32, mode)
MSG_STRUCT(op_set_mode, OP_SET_MODE_FIELDS)

#define OP_SET_OWNER_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                 \
    F(STR, path)                     \
    F(STR, owner) /* "" = leave */   \
    F(STR, group)
MSG_STRUCT(op_set_owner, OP_SET_OWNER_FIELDS)

#define OP_WINNER_FIELDS(F, S, L) \
    F(STR, from)                  \
    F(STR, name)
MSG_STRUCT(op_winner, OP_WINNER_FIELDS)

/* A job's output appears: what was in `out` goes when `replace` (but _temporary), or the files in
 * each directory that gets some when `by_directory` (but manifests), the winners and the manifest
 * ("" = none) move to it, an empty _SUCCESS is made, `temporary` is deleted, and _temporary above
 * it if that leaves it empty. Winners from nowhere (`from` is ""), and an empty manifest, are made
 * without a byte. These, `out` itself and directories that winners need, where they are not there,
 * have ids from `first_dir_id` on, in the order in which they are made. */
#define OP_PUBLISH_FIELDS(F, S, L)  \
    OP_HEAD(F, S, L)                \
    F(STR, job)                     \
    F(U64, epoch)                   \
    F(STR, out)                     \
    F(STR, temporary)               \
    F(BOOL, replace)                \
    L(op_winner, winners)           \
    F(STR, manifest)                \
    F(U64, success_id)              \
    F(STR, owner) /* of _SUCCESS */ \
    F(U32, mode)                    \
    F(U32, replication)             \
    F(U64, block_size)              \
    F(BOOL, keeps)                  \
    F(BOOL, by_directory)           \
    F(U64, first_dir_id)            \
    F(STR, manifest_name)           \
    F(BOOL, has_empty_manifest)
MSG_STRUCT(op_publish, OP_PUBLISH_FIELDS)

/* A directory's quotas; -1 = none. */
#define OP_SET_QUOTA_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                 \
    F(STR, path)                     \
    F(I64, names)                    \
    F(I64, space)
MSG_STRUCT(op_set_quota, OP_SET_QUOTA_FIELDS)

#define OP_SET_XATTR_FIELDS(F, S, L)        \
    OP_HEAD(F, S, L)                        \
    F(STR, path)                            \
    F(U32, space) /* enum nn_xattr_space */ \
    F(STR, name)  /* without the space */   \
    F(BYTES, value)
MSG_STRUCT(op_set_xattr, OP_SET_XATTR_FIELDS)

#define OP_REMOVE_XATTR_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)                    \
    F(STR, path)                        \
    F(U32, space)                       \
    F(STR, name)
MSG_STRUCT(op_remove_xattr, OP_REMOVE_XATTR_FIELDS)

#define OP_ACL_ENTRY_FIELDS(F, S, L)    \
    F(BOOL, is_default)                 \
    F(U32, type) /* enum nn_acl_type */ \
    F(U32, perm)                        \
    F(STR, name)
MSG_STRUCT(op_acl_entry, OP_ACL_ENTRY_FIELDS)

/* The whole of what is stored, in order, and the mode that goes with it. */
#define OP_SET_ACL_FIELDS(F, S, L) \
    OP_HEAD(F, S, L)               \
    F(STR, path)                   \
    F(U32, mode)                   \
    L(op_acl_entry, entries)
MSG_STRUCT(op_set_acl, OP_SET_ACL_FIELDS)

/* number, NAME, type */
#define NN_OPS(O)                              \
    O(1, MKDIR, op_mkdir)                      \
    O(2, CREATE, op_create)                    \
    O(3, ADD_BLOCK, op_add_block)              \
    O(4, ABANDON_BLOCK, op_abandon_block)      \
    O(5, STAMP, op_stamp)                      \
    O(6, PIPELINE, op_pipeline)                \
    O(7, FLUSH, op_flush)                      \
    O(8, COMMIT, op_commit)                    \
    O(9, CLOSE, op_close)                      \
    O(10, RECOVER, op_recover)                 \
    O(11, RENAME, op_rename)                   \
    O(12, DELETE, op_delete)                   \
    O(13, SET_TIMES, op_set_times)             \
    O(14, SET_REPLICATION, op_set_replication) \
    O(15, SET_MODE, op_set_mode)               \
    O(16, SET_OWNER, op_set_owner)             \
    O(17, PUBLISH, op_publish)                 \
    O(18, APPEND, op_append)                   \
    O(19, TRUNCATE, op_truncate)               \
    O(20, CONCAT, op_concat)                   \
    O(21, SWITCH, op_switch)                   \
    O(22, PREPARE, op_prepare)                 \
    O(24, DATANODE, op_datanode)               \
    O(32, SET_QUOTA, op_set_quota)             \
    O(33, SET_XATTR, op_set_xattr)             \
    O(34, REMOVE_XATTR, op_remove_xattr)       \
    O(35, SET_ACL, op_set_acl)

enum nn_op {
#define NN_OP_ENUM(number, NAME, type) NN_OP_##NAME = number,
    NN_OPS(NN_OP_ENUM)
#undef NN_OP_ENUM
};
#define NN_OP_MAX 35

struct nn_op_row {
    uint16_t number;
    const char *name; /* "MKDIR" */
    const struct msg_desc *desc;
    /* Cannot be refused: 0, or ERR_NOMEM. ERR_CORRUPT only when the record does not fit the state,
     * which in a replay means that journal and image do not belong together. `answer` has two
     * numbers, zero unless the operation says above what it answers. */
    int (*apply)(struct nn_state *state, const void *op, uint64_t *answer);
};

/* NULL for a number we do not know (a record of a newer version). */
const struct nn_op_row *nn_op_find(uint16_t number);
/* "MKDIR", or "?" */
const char *nn_op_name(uint16_t number);

/* Apply, remember the answer, give it. After ERR_NOMEM the state is broken: replay it anew. */
int nn_op_apply(struct nn_state *state, const struct nn_op_row *row, const void *op,
                uint64_t ret_answer[2]);
/* One record of the log: decode, apply. `scratch` is reset by the call. ERR_VERSION: unknown
 * number; ERR_PROTO: the payload does not decode; ERR_CORRUPT: it does not fit the state. */
int nn_op_replay(struct nn_state *state, uint16_t number, struct slice payload,
                 struct arena *scratch, struct err *err);
/* {"op":"MKDIR","path":"/a",...} on one line; for editdump. ERR_VERSION or ERR_PROTO. */
int nn_op_print(uint16_t number, struct slice payload, struct arena *scratch, struct buf *out,
                struct err *err);

#endif
