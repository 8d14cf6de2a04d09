/* SPDX-License-Identifier: Apache-2.0
 * cl_nn: what clients (the shell, the library, the jobtracker) ask the namenode.
 *
 * The caller's user name is that of the connection's hello, never a field here. Paths are normal
 * (base/path.h). Requests with an `origin` change something and are recorded: a repeat gets the
 * first answer, also over a restart of the namenode. */
#ifndef QUERN_PROTO_CL_NN_MESSAGES_H
#define QUERN_PROTO_CL_NN_MESSAGES_H

#include "libcommon/proto/cl_nn/admin.h"
#include "libcommon/proto/types/messages.h"

/* --- writing a file: CREATE, then ADD_BLOCK ... COMPLETE ------------------------------------- */

/* With `first` the answer brings the file's first block along, as ADD_BLOCK with this origin would
 * have; without one (its id is 0) ADD_BLOCK comes next, and says why. */
#define CL2NN_CREATE_FIELDS(F, S, L)                                                               \
    S(msg_origin, origin)                                                                          \
    F(STR, path)                                                                                   \
    F(U32, mode)        /* already masked by the client's umask */                                 \
    F(U32, replication) /* 0 = the namenode's default */                                           \
    F(U64, block_size)  /* 0 = the namenode's default */                                           \
    F(BOOL, overwrite)                                                                             \
    F(BOOL, create_parents)                                                                        \
    F(STR, writer_node)  /* node.name where the writer runs, "" elsewhere */                       \
    F(U32, full_mode)    /* before the umask, for directories with a default list; 0 = the same */ \
    S(msg_origin, first) /* client 0 = nothing is to be written yet */
MSG_STRUCT(cl2nn_create, CL2NN_CREATE_FIELDS)

#define CL2NN_CREATED_FIELDS(F, S, L) \
    F(U64, file_id)                   \
    F(U32, replication)               \
    F(U64, block_size)                \
    S(msg_located_block, first)
MSG_STRUCT(cl2nn_created, CL2NN_CREATED_FIELDS)

/* Allocate the next block. `previous` (id 0 = none) is committed with its final length. */
#define CL2NN_ADD_BLOCK_FIELDS(F, S, L)              \
    S(msg_origin, origin)                            \
    F(U64, file_id)                                  \
    S(msg_block, previous)                           \
    F(STRS, exclude) /* node names that failed us */ \
    F(STR, writer_node)
MSG_STRUCT(cl2nn_add_block, CL2NN_ADD_BLOCK_FIELDS)

/* A block whose pipeline could not be set up: it never was. */
#define CL2NN_ABANDON_BLOCK_FIELDS(F, S, L) \
    S(msg_origin, origin)                   \
    F(U64, file_id)                         \
    S(msg_block, block)
MSG_STRUCT(cl2nn_abandon_block, CL2NN_ABANDON_BLOCK_FIELDS)

/* A pipeline lost a member: a new generation stamp for the same block ... */
#define CL2NN_NEW_STAMP_FIELDS(F, S, L) \
    S(msg_origin, origin)               \
    F(U64, file_id)                     \
    S(msg_block, block)
MSG_STRUCT(cl2nn_new_stamp, CL2NN_NEW_STAMP_FIELDS)

#define CL2NN_STAMPED_FIELDS(F, S, L) F(U64, gs)
MSG_STRUCT(cl2nn_stamped, CL2NN_STAMPED_FIELDS)

/* ... and, once the survivors carry it, who they are. `block` has the old stamp. */
#define CL2NN_UPDATE_PIPELINE_FIELDS(F, S, L) \
    S(msg_origin, origin)                     \
    F(U64, file_id)                           \
    S(msg_block, block)                       \
    F(U64, new_gs)                            \
    F(U64, new_len)                           \
    F(STRS, nodes)
MSG_STRUCT(cl2nn_update_pipeline, CL2NN_UPDATE_PIPELINE_FIELDS)

/* A further node for a pipeline that has become too short. */
#define CL2NN_EXTRA_NODE_FIELDS(F, S, L) \
    F(U64, file_id)                      \
    S(msg_block, block)                  \
    F(STRS, have)                        \
    F(STRS, exclude)
MSG_STRUCT(cl2nn_extra_node, CL2NN_EXTRA_NODE_FIELDS)

#define CL2NN_NODES_FIELDS(F, S, L) L(msg_node, nodes)
MSG_STRUCT(cl2nn_nodes, CL2NN_NODES_FIELDS)

/* The length readers may count on grew (hflush at a block's first flush, hsync with length). */
#define CL2NN_FLUSHED_FIELDS(F, S, L) \
    S(msg_origin, origin)             \
    F(U64, file_id)                   \
    S(msg_block, last)
MSG_STRUCT(cl2nn_flushed, CL2NN_FLUSHED_FIELDS)

#define CL2NN_RENAME_FIELDS(F, S, L)                                                               \
    S(msg_origin, origin)                                                                          \
    F(STR, from)                                                                                   \
    F(STR, to)         /* the new name itself; moving *into* a directory is the client's affair */ \
    F(BOOL, overwrite) /* replaces a file or an empty directory */                                 \
    F(U64, id)         /* 0, or: only if `from` still is this very inode, else ERR_LEASE */
MSG_STRUCT(cl2nn_rename, CL2NN_RENAME_FIELDS)

/* Close. Answered when min(2, replication) fsynced replicas of every block are reported; ERR_RETRY
 * when that takes longer than the call's deadline: ask again. With `rename` (its origin's client is
 * not 0) the closed file gets its final name at once, as RENAME would have given it; where the
 * answer says it has not, RENAME comes next, and says why. */
#define CL2NN_COMPLETE_FIELDS(F, S, L)                \
    S(msg_origin, origin)                             \
    F(U64, file_id)                                   \
    S(msg_block, last) /* id 0 = the file is empty */ \
    S(cl2nn_rename, rename)
MSG_STRUCT(cl2nn_complete, CL2NN_COMPLETE_FIELDS)

#define CL2NN_COMPLETED_FIELDS(F, S, L) F(BOOL, is_renamed)
MSG_STRUCT(cl2nn_completed, CL2NN_COMPLETED_FIELDS)

/* --- going on with a file that is closed ------------------------------------------------------ */

/* It becomes this client's to write. What is finalized never changes: if the last block has room,
 * `next` is a block that begins with a copy of it, and takes its place with SWITCH. Until then
 * readers see the file as it was. */
#define CL2NN_APPEND_FIELDS(F, S, L)                                   \
    S(msg_origin, origin)                                              \
    F(STR, path)                                                       \
    F(BOOL, new_block) /* leave the last block alone, be it partial */ \
    F(STR, writer_node)
MSG_STRUCT(cl2nn_append, CL2NN_APPEND_FIELDS)

#define CL2NN_APPENDED_FIELDS(F, S, L)                       \
    F(U64, file_id)                                          \
    F(U32, replication)                                      \
    F(U64, block_size)                                       \
    F(U64, file_len)                                         \
    S(msg_block, last)         /* id 0: the file has none */ \
    S(msg_located_block, next) /* id 0: ADD_BLOCK comes next */
MSG_STRUCT(cl2nn_appended, CL2NN_APPENDED_FIELDS)

/* No chain could be set up for `next`: another one, without those nodes. `block` is forgotten. */
#define CL2NN_AGAIN_FIELDS(F, S, L) \
    S(msg_origin, origin)           \
    F(U64, file_id)                 \
    S(msg_block, block)             \
    F(STRS, exclude)                \
    F(STR, writer_node)
MSG_STRUCT(cl2nn_again, CL2NN_AGAIN_FIELDS)

/* The chain of `block` stands, and each of its nodes has all of `last` in it, on disk: the last
 * block of the file is this one from now on. */
#define CL2NN_SWITCH_FIELDS(F, S, L) \
    S(msg_origin, origin)            \
    F(U64, file_id)                  \
    S(msg_block, last)               \
    S(msg_block, block)              \
    F(STRS, nodes)
MSG_STRUCT(cl2nn_switch, CL2NN_SWITCH_FIELDS)

/* yes: it is done. Else the datanodes are making the shortened block, and until it takes the place
 * of the old one the file is as it was, and nobody can write it. */
#define CL2NN_TRUNCATE_FIELDS(F, S, L) \
    S(msg_origin, origin)              \
    F(STR, path)                       \
    F(U64, len)
MSG_STRUCT(cl2nn_truncate, CL2NN_TRUNCATE_FIELDS)

/* The blocks of the sources go to the end of `path`, and the sources go. All in one directory. */
#define CL2NN_CONCAT_FIELDS(F, S, L) \
    S(msg_origin, origin)            \
    F(STR, path)                     \
    F(STRS, sources)
MSG_STRUCT(cl2nn_concat, CL2NN_CONCAT_FIELDS)

/* All files this client is writing stay his. */
#define CL2NN_RENEW_FIELDS(F, S, L) F(U64, client)
MSG_STRUCT(cl2nn_renew, CL2NN_RENEW_FIELDS)

/* --- the namespace --------------------------------------------------------------------------- */

#define CL2NN_MKDIR_FIELDS(F, S, L)                                            \
    S(msg_origin, origin)                                                      \
    F(STR, path)                                                               \
    F(U32, mode)                                                               \
    F(BOOL, parents)  /* mkdir -p: parents too, and no error if it is there */ \
    F(U32, full_mode) /* as in CREATE */
MSG_STRUCT(cl2nn_mkdir, CL2NN_MKDIR_FIELDS)

#define CL2NN_DELETE_FIELDS(F, S, L) \
    S(msg_origin, origin)            \
    F(STR, path)                     \
    F(BOOL, recursive)               \
    F(U64, id) /* 0, or: only if `path` still is this very inode, else nothing is done */
MSG_STRUCT(cl2nn_delete, CL2NN_DELETE_FIELDS)

#define CL2NN_YES_FIELDS(F, S, L) F(BOOL, yes)
MSG_STRUCT(cl2nn_yes, CL2NN_YES_FIELDS)

#define CL2NN_PATH_FIELDS(F, S, L) F(STR, path)
MSG_STRUCT(cl2nn_path, CL2NN_PATH_FIELDS)

#define CL2NN_STAT_FIELDS(F, S, L) \
    F(STR, path)                   \
    F(U32, want) /* also: may I? bits 4 read, 2 write, 1 execute; refused when not */
MSG_STRUCT(cl2nn_stat, CL2NN_STAT_FIELDS)

/* A page of a directory in byte order of names; a file lists itself with an empty name. */
#define CL2NN_LIST_FIELDS(F, S, L)                \
    F(STR, path)                                  \
    F(STR, start_after) /* "" = from the first */ \
    F(U32, limit)       /* 0 = the namenode's own page size */
MSG_STRUCT(cl2nn_list, CL2NN_LIST_FIELDS)

#define CL2NN_LISTING_FIELDS(F, S, L) \
    L(msg_file, files)                \
    F(U64, remaining)
MSG_STRUCT(cl2nn_listing, CL2NN_LISTING_FIELDS)

/* Blocks of [offset, offset + length) with places, nearest to the asker first. At most a thousand
 * an answer: ask on from the end of the last. */
#define CL2NN_LOCATE_FIELDS(F, S, L) \
    F(STR, path)                     \
    F(U64, offset)                   \
    F(U64, length)                   \
    F(STR, reader_node)
MSG_STRUCT(cl2nn_locate, CL2NN_LOCATE_FIELDS)

#define CL2NN_LOCATED_FIELDS(F, S, L)                                                          \
    F(U64, file_len) /* known to the namenode; the last block of an open file may hold more */ \
    F(BOOL, is_open)                                                                           \
    L(msg_located_block, blocks)                                                               \
    F(U64, file_id)
MSG_STRUCT(cl2nn_located, CL2NN_LOCATED_FIELDS)

#define CL2NN_SET_TIMES_FIELDS(F, S, L) \
    S(msg_origin, origin)               \
    F(STR, path)                        \
    F(I64, mtime_ms) /* -1 = leave */   \
    F(I64, atime_ms)
MSG_STRUCT(cl2nn_set_times, CL2NN_SET_TIMES_FIELDS)

#define CL2NN_SET_REPLICATION_FIELDS(F, S, L) \
    S(msg_origin, origin)                     \
    F(STR, path)                              \
    F(U32, replication)
MSG_STRUCT(cl2nn_set_replication, CL2NN_SET_REPLICATION_FIELDS)

#define CL2NN_SET_MODE_FIELDS(F, S, L) \
    S(msg_origin, origin)              \
    F(STR, path)                       \
    F(U32, mode)
MSG_STRUCT(cl2nn_set_mode, CL2NN_SET_MODE_FIELDS)

#define CL2NN_SET_OWNER_FIELDS(F, S, L) \
    S(msg_origin, origin)               \
    F(STR, path)                        \
    F(STR, owner) /* "" = leave */      \
    F(STR, group)
MSG_STRUCT(cl2nn_set_owner, CL2NN_SET_OWNER_FIELDS)

/* Superusers only; on directories. */
#define CL2NN_SET_QUOTA_FIELDS(F, S, L)                                \
    S(msg_origin, origin)                                              \
    F(STR, path)                                                       \
    F(I64, names) /* 1 and more; CL2NN_QUOTA_NONE, CL2NN_QUOTA_KEEP */ \
    F(I64, space) /* 0 and more; the same */
MSG_STRUCT(cl2nn_set_quota, CL2NN_SET_QUOTA_FIELDS)

/* The same for one type of storage: bytes, or CL2NN_QUOTA_NONE. */
#define CL2NN_SET_TYPE_QUOTA_FIELDS(F, S, L) \
    S(msg_origin, origin)                    \
    F(STR, path)                             \
    F(STR, type) /* "DISK" ... */            \
    F(I64, space)
MSG_STRUCT(cl2nn_set_type_quota, CL2NN_SET_TYPE_QUOTA_FIELDS)

#define CL2NN_QUOTA_NONE (-1)
#define CL2NN_QUOTA_KEEP INT64_MAX

/* Extended attributes: "user.color". A value of none is an empty one. */
enum cl2nn_xattr_flag { CL2NN_XATTR_CREATE = 1, CL2NN_XATTR_REPLACE = 2, CL2NN_XATTR_REMOVE = 4 };

#define CL2NN_SET_XATTR_FIELDS(F, S, L) \
    S(msg_origin, origin)               \
    F(STR, path)                        \
    F(STR, name)                        \
    F(BYTES, value)                     \
    F(U32, flags) /* it may be made, it may be replaced; or: it goes */
MSG_STRUCT(cl2nn_set_xattr, CL2NN_SET_XATTR_FIELDS)

#define CL2NN_GET_XATTRS_FIELDS(F, S, L) \
    F(STR, path)                         \
    F(STRS, names) /* none = all the caller may see */
MSG_STRUCT(cl2nn_get_xattrs, CL2NN_GET_XATTRS_FIELDS)

#define CL2NN_XATTR_FIELDS(F, S, L) \
    F(STR, name)                    \
    F(BYTES, value)
MSG_STRUCT(cl2nn_xattr, CL2NN_XATTR_FIELDS)

#define CL2NN_XATTRS_FIELDS(F, S, L) L(cl2nn_xattr, xattrs)
MSG_STRUCT(cl2nn_xattrs, CL2NN_XATTRS_FIELDS)

/* Access control lists. What the mode says (owner, others, and the group or the mask) is not among
 * the entries of an answer. */
#define CL2NN_ACL_ENTRY_FIELDS(F, S, L)                 \
    F(BOOL, is_default)                                 \
    F(U32, type) /* 0 user, 1 group, 2 mask, 3 other */ \
    F(U32, perm) /* 0..7 */                             \
    F(STR, name) /* "" = the owner, the owning group */
MSG_STRUCT(cl2nn_acl_entry, CL2NN_ACL_ENTRY_FIELDS)

enum cl2nn_acl_action {
    CL2NN_ACL_MODIFY,
    CL2NN_ACL_REMOVE,
    CL2NN_ACL_REMOVE_DEFAULT,
    CL2NN_ACL_REMOVE_ALL,
    CL2NN_ACL_SET,
};
#define CL2NN_SET_ACL_FIELDS(F, S, L) \
    S(msg_origin, origin)             \
    F(STR, path)                      \
    F(U32, action)                    \
    L(cl2nn_acl_entry, entries)
MSG_STRUCT(cl2nn_set_acl, CL2NN_SET_ACL_FIELDS)

#define CL2NN_ACL_FIELDS(F, S, L) \
    F(STR, owner)                 \
    F(STR, group)                 \
    F(U32, mode)                  \
    F(BOOL, is_dir)               \
    L(cl2nn_acl_entry, entries)
MSG_STRUCT(cl2nn_acl, CL2NN_ACL_FIELDS)

#define CL2NN_SUMMARY_FIELDS(F, S, L)                 \
    F(U64, dirs) /* including the directory itself */ \
    F(U64, files)                                     \
    F(U64, length)                                    \
    F(U64, space) /* length times replication */      \
    F(I64, quota) /* names; -1 = none */              \
    F(I64, space_quota)                               \
    F(U64S, type_quotas) /* of SSD, DISK, ARCHIVE, PROVIDED, NVDIMM; UINT64_MAX = none */
MSG_STRUCT(cl2nn_summary, CL2NN_SUMMARY_FIELDS)

/* --- a job's output, in one step ------------------------------------------------------------- */

#define CL2NN_WINNER_FIELDS(F, S, L)               \
    F(STR, from) /* path under OUT/_temporary */   \
    F(STR, name) /* under OUT; may have slashes */ \
    F(U64, len)
MSG_STRUCT(cl2nn_winner, CL2NN_WINNER_FIELDS)

/* What becomes of an output that exists: the job fails; all in it goes; nothing in it does (APPEND:
 * names must be free); the files go that lie in a directory the job has files for, and what is in
 * directories below stays (PARTITION). The last two keep older manifests: theirs is
 * _MANIFEST-<job>.
 */
enum cl2nn_publish_mode {
    CL2NN_PUBLISH_FAIL,
    CL2NN_PUBLISH_REPLACE,
    CL2NN_PUBLISH_APPEND,
    CL2NN_PUBLISH_PARTITION,
};

/* All winners, _MANIFEST and _SUCCESS appear in OUT together, and OUT/_temporary/<job> goes; or
 * nothing changes. A winner that comes from nowhere (`from` is "", `len` 0) is made here, without a
 * byte; and so is OUT, where no attempt has written anything. A smaller epoch than the last seen
 * for the job is refused with ERR_STALE; the same (job, epoch) again gets the first answer. */
#define CL2NN_PUBLISH_FIELDS(F, S, L)                                                             \
    S(msg_origin, origin)                                                                         \
    F(STR, job)                                                                                   \
    F(U64, epoch)                                                                                 \
    F(STR, out)                                                                                   \
    F(STR, temporary) /* OUT/_temporary/<job> */                                                  \
    F(U32, mode)      /* enum cl2nn_publish_mode */                                               \
    L(cl2nn_winner, winners)                                                                      \
    F(STR, manifest) /* path of the finished _MANIFEST file under temporary; "" = none */         \
    F(STR, user)     /* in whose name: the caller must be the jobtracker's user or a superuser */ \
    F(BOOL, has_empty_manifest) /* _MANIFEST is to be there, without a byte */                    \
    F(U32, replication)         /* of what is made here: 0 = as usual */
MSG_STRUCT(cl2nn_publish, CL2NN_PUBLISH_FIELDS)

/* --- administration -------------------------------------------------------------------------- */

#define CL2NN_NODE_REPORT_FIELDS(F, S, L)          \
    S(msg_node, node)                              \
    F(STR, state) /* live, stale, dead */          \
    F(STR, admin) /* Normal, Decommissioned ... */ \
    F(U64, capacity)                               \
    F(U64, used)                                   \
    F(U64, non_dfs)                                \
    F(U64, remaining)                              \
    F(U64, xceivers)                               \
    F(U64, last_contact_ms) /* wall time */        \
    F(U64, last_report_ms)                         \
    F(U64, blocks)                                 \
    F(U64, failed_volumes)
MSG_STRUCT(cl2nn_node_report, CL2NN_NODE_REPORT_FIELDS)

#define CL2NN_REPORT_FIELDS(F, S, L) \
    F(BOOL, safemode)                \
    F(U64, capacity)                 \
    F(U64, used)                     \
    F(U64, remaining)                \
    F(U64, under_replicated)         \
    F(U64, corrupt_blocks)           \
    F(U64, missing_blocks)           \
    F(U64, missing_single)           \
    F(U64, highest_priority)         \
    F(U64, pending_deletion)         \
    F(U64, files)                    \
    F(U64, dirs)                     \
    F(U64, blocks)                   \
    L(cl2nn_node_report, nodes)      \
    F(STR, cluster_id)               \
    F(U64, durable_index)            \
    F(STR, denied) /* why there are no nodes in it: only superusers see them */
MSG_STRUCT(cl2nn_report, CL2NN_REPORT_FIELDS)

enum cl2nn_safemode_action {
    CL2NN_SAFEMODE_GET,
    CL2NN_SAFEMODE_ENTER,
    CL2NN_SAFEMODE_LEAVE,
    CL2NN_SAFEMODE_FORCE_EXIT,
};
#define CL2NN_SAFEMODE_FIELDS(F, S, L) F(U32, action)
MSG_STRUCT(cl2nn_safemode, CL2NN_SAFEMODE_FIELDS)

#define CL2NN_SAFEMODE_STATE_FIELDS(F, S, L)    \
    F(BOOL, is_on)                              \
    F(STR, why)         /* what it waits for */ \
    F(BOOL, is_lasting) /* on until somebody acts: no report of blocks will end it */
MSG_STRUCT(cl2nn_safemode_state, CL2NN_SAFEMODE_STATE_FIELDS)

/* Name directories that were dropped are tried again and again: shall they be, are they? */
enum cl2nn_restore_action { CL2NN_RESTORE_CHECK, CL2NN_RESTORE_ON, CL2NN_RESTORE_OFF };
#define CL2NN_RESTORE_STORAGE_FIELDS(F, S, L) F(U32, action)
MSG_STRUCT(cl2nn_restore_storage, CL2NN_RESTORE_STORAGE_FIELDS)

/* Image and log as files, for who wants a copy of the image, and for a namenode that begins as a
 * copy of this one: which there are, in the order to be copied in (the newest image is the first),
 * and up to which record all is durable. Then page after page of one, until `size` bytes are there.
 * ERR_NOENT: the file has been replaced by newer ones meanwhile, begin again. */
#define CL2NN_JOURNAL_FILES_FIELDS(F, S, L) \
    F(STR, cluster_id)                      \
    F(U64, durable)                         \
    F(STRS, names)
MSG_STRUCT(cl2nn_journal_files, CL2NN_JOURNAL_FILES_FIELDS)

#define CL2NN_JOURNAL_PAGE_FIELDS(F, S, L) \
    F(STR, name)                           \
    F(U64, offset)
MSG_STRUCT(cl2nn_journal_page, CL2NN_JOURNAL_PAGE_FIELDS)

#define CL2NN_JOURNAL_BYTES_FIELDS(F, S, L)    \
    F(U64, size) /* of the file, at present */ \
    F(BYTES, bytes)
MSG_STRUCT(cl2nn_journal_bytes, CL2NN_JOURNAL_BYTES_FIELDS)

/* A reader met bytes that fail their checksum. */
#define CL2NN_BAD_BLOCK_FIELDS(F, S, L) \
    S(msg_block, block)                 \
    F(STRS, nodes)
MSG_STRUCT(cl2nn_bad_block, CL2NN_BAD_BLOCK_FIELDS)

/* A page of the check of everything below a path: problems and totals since the cursor. Or, with
 * `blocks` or CL2NN_FSCK_LIST_CORRUPT (both for superusers), all about these blocks, or a page of
 * the list of blocks without a good replica; such an answer has no counters. */
#define CL2NN_FSCK_FIELDS(F, S, L)                                                    \
    F(STR, path)                                                                      \
    F(STR, cursor)  /* "" first, then what the last answer said, until that is "" */  \
    F(U32, flags)   /* enum cl2nn_fsck_flag */                                        \
    F(STR, state)   /* as the cursor: where in its file and its lines the check is */ \
    F(STRS, blocks) /* "blk_1073741825" */
MSG_STRUCT(cl2nn_fsck, CL2NN_FSCK_FIELDS)

enum cl2nn_fsck_flag {
    CL2NN_FSCK_FILES = 1,
    CL2NN_FSCK_BLOCKS = 2,
    CL2NN_FSCK_LOCATIONS = 4,
    CL2NN_FSCK_OPEN = 8,
    CL2NN_FSCK_RACKS = 16,
    CL2NN_FSCK_MAINTENANCE = 32,
    CL2NN_FSCK_DETAILS = 64,
    CL2NN_FSCK_DOMAINS = 128,
    CL2NN_FSCK_POLICIES = 256,      /* counters of group "policy": blocks by number of replicas */
    CL2NN_FSCK_REPLICATE = 512,     /* have blocks that are on too few racks mended */
    CL2NN_FSCK_NAME_CORRUPT = 1024, /* tell the paths of closed files that lack a block */
    CL2NN_FSCK_LIST_CORRUPT = 2048,
};

/* Text lines to print and counters to add up; the client prints the summary. A check that may not
 * go on has a `failure`, in Hadoop's words, behind the lines it came to. */
#define CL2NN_FSCK_PAGE_FIELDS(F, S, L) \
    F(STR, text)                        \
    F(STR, cursor)                      \
    L(msg_counter, counters)            \
    F(STR, state)                       \
    F(STR, failure)                     \
    F(STRS, corrupt)
MSG_STRUCT(cl2nn_fsck_page, CL2NN_FSCK_PAGE_FIELDS)

#define CL2NN_SERVER_INFO_FIELDS(F, S, L)                   \
    F(STR, cluster_id)                                      \
    F(U64, block_size)                                      \
    F(U32, replication)                                     \
    F(U64, trash_interval_ms)                               \
    F(STR, version)                                         \
    F(STR, user) /* who the namenode takes the asker for */ \
    F(BOOL, is_superuser)                                   \
    F(BOOL, safemode)                                       \
    F(U64, live_nodes)
MSG_STRUCT(cl2nn_server_info, CL2NN_SERVER_INFO_FIELDS)

/* The balancer runs in the namenode as long as somebody asks how far it is, at least every 30 s.
 * Superusers only; one run at a time, else ERR_BUSY. Names are node names or hosts. */
enum cl2nn_balance_action { CL2NN_BALANCE_START, CL2NN_BALANCE_POLL, CL2NN_BALANCE_STOP };
#define CL2NN_BALANCE_FIELDS(F, S, L)                                     \
    F(U32, action)                                                        \
    F(U64, session)   /* of the answer to START; POLL and STOP name it */ \
    F(U32, threshold) /* thousandths of a percent of capacity */          \
    F(U32, idle_max)  /* iterations without a move, before it ends */     \
    F(STRS, include)  /* none = all */                                    \
    F(STRS, exclude)                                                      \
    F(STRS, source) /* only these give; none = all */
MSG_STRUCT(cl2nn_balance, CL2NN_BALANCE_FIELDS)

/* state: 1 to 3 while it goes on, 4 balanced, 5 no block may be moved, 6 nothing moves any more */
enum cl2nn_balance_state {
    CL2NN_BALANCE_PLANS = 1,
    CL2NN_BALANCE_MOVES,
    CL2NN_BALANCE_RESTS,
    CL2NN_BALANCE_IS_DONE,
    CL2NN_BALANCE_HAS_NO_BLOCK,
    CL2NN_BALANCE_HAS_NO_PROGRESS,
};
#define CL2NN_BALANCING_FIELDS(F, S, L)                            \
    F(U64, session)                                                \
    F(U32, state)                                                  \
    F(U32, iteration)     /* from 0 */                             \
    F(U64, left_bytes)    /* beyond the threshold when it began */ \
    F(U64, planned_bytes) /* to be moved in it */                  \
    F(U64, moved_before)  /* in those before it */                 \
    F(U64, moved_bytes)   /* in all */                             \
    F(U64, moved_blocks)                                           \
    F(U64, failed)                                                 \
    F(U64, under_way)
MSG_STRUCT(cl2nn_balancing, CL2NN_BALANCING_FIELDS)

/* A page of the files that are being written, in order of id. */
#define CL2NN_LIST_OPEN_FIELDS(F, S, L)                          \
    F(STR, path)         /* those at or below it */              \
    F(U64, after)        /* 0, then the last id of a page ... */ \
    F(BOOL, is_blocking) /* only those that keep a datanode from being decommissioned */
MSG_STRUCT(cl2nn_list_open, CL2NN_LIST_OPEN_FIELDS)

#define CL2NN_OPEN_FILE_FIELDS(F, S, L)                                \
    F(STR, path)                                                       \
    F(U64, client) /* 0: its writer is gone, and it is being closed */ \
    F(STR, host)   /* where he asked from last; "" = not known since the namenode's start */
MSG_STRUCT(cl2nn_open_file, CL2NN_OPEN_FILE_FIELDS)

#define CL2NN_OPEN_FILES_FIELDS(F, S, L) \
    L(cl2nn_open_file, files)            \
    F(U64, last) /* ... until this is 0 */
MSG_STRUCT(cl2nn_open_files, CL2NN_OPEN_FILES_FIELDS)

/* type, name, flags, ask, answer */
#define CL2NN_METHODS(M, P)                                                        \
    M(P, 0x0101, CREATE, MSG_RECORDED, cl2nn_create, cl2nn_created)                \
    M(P, 0x0102, ADD_BLOCK, MSG_RECORDED, cl2nn_add_block, msg_located_block)      \
    M(P, 0x0103, ABANDON_BLOCK, MSG_RECORDED, cl2nn_abandon_block, msg_void)       \
    M(P, 0x0104, NEW_STAMP, MSG_RECORDED, cl2nn_new_stamp, cl2nn_stamped)          \
    M(P, 0x0105, UPDATE_PIPELINE, MSG_RECORDED, cl2nn_update_pipeline, msg_void)   \
    M(P, 0x0106, EXTRA_NODE, MSG_READS, cl2nn_extra_node, cl2nn_nodes)             \
    M(P, 0x0107, FLUSHED, MSG_RECORDED, cl2nn_flushed, msg_void)                   \
    M(P, 0x0108, COMPLETE, MSG_RECORDED, cl2nn_complete, cl2nn_completed)          \
    M(P, 0x0109, RENEW, MSG_READS, cl2nn_renew, msg_void)                          \
    M(P, 0x0110, MKDIR, MSG_RECORDED, cl2nn_mkdir, msg_void)                       \
    M(P, 0x0111, RENAME, MSG_RECORDED, cl2nn_rename, msg_void)                     \
    M(P, 0x0112, DELETE, MSG_RECORDED, cl2nn_delete, cl2nn_yes)                    \
    M(P, 0x0113, LIST, MSG_READS, cl2nn_list, cl2nn_listing)                       \
    M(P, 0x0114, STAT, MSG_READS, cl2nn_stat, msg_file)                            \
    M(P, 0x0115, LOCATE, MSG_READS, cl2nn_locate, cl2nn_located)                   \
    M(P, 0x0116, SET_TIMES, MSG_RECORDED, cl2nn_set_times, msg_void)               \
    M(P, 0x0117, SET_REPLICATION, MSG_RECORDED, cl2nn_set_replication, msg_void)   \
    M(P, 0x0118, SET_MODE, MSG_RECORDED, cl2nn_set_mode, msg_void)                 \
    M(P, 0x0119, SET_OWNER, MSG_RECORDED, cl2nn_set_owner, msg_void)               \
    M(P, 0x011a, SUMMARY, MSG_READS, cl2nn_path, cl2nn_summary)                    \
    M(P, 0x0120, PUBLISH, MSG_RECORDED, cl2nn_publish, msg_void)                   \
    M(P, 0x0130, REPORT, MSG_READS, msg_void, cl2nn_report)                        \
    M(P, 0x0131, SAFEMODE, MSG_READS, cl2nn_safemode, cl2nn_safemode_state)        \
    M(P, 0x0132, BAD_BLOCK, MSG_READS, cl2nn_bad_block, msg_void)                  \
    M(P, 0x0133, FSCK, MSG_READS, cl2nn_fsck, cl2nn_fsck_page)                     \
    M(P, 0x0134, SERVER_INFO, MSG_READS, msg_void, cl2nn_server_info)              \
    M(P, 0x0135, SAVE_NAMESPACE, MSG_READS, cl2nn_save, cl2nn_yes)                 \
    M(P, 0x0140, SET_QUOTA, MSG_RECORDED, cl2nn_set_quota, msg_void)               \
    M(P, 0x0141, SET_XATTR, MSG_RECORDED, cl2nn_set_xattr, msg_void)               \
    M(P, 0x0142, GET_XATTRS, MSG_READS, cl2nn_get_xattrs, cl2nn_xattrs)            \
    M(P, 0x0143, SET_ACL, MSG_RECORDED, cl2nn_set_acl, msg_void)                   \
    M(P, 0x0144, GET_ACL, MSG_READS, cl2nn_path, cl2nn_acl)                        \
    M(P, 0x0150, REFRESH_NODES, MSG_READS, msg_void, msg_void)                     \
    M(P, 0x0151, BALANCE, MSG_READS, cl2nn_balance, cl2nn_balancing)               \
    M(P, 0x0158, RECOVER_LEASE, MSG_READS, cl2nn_path, cl2nn_yes)                  \
    M(P, 0x0159, LIST_OPEN, MSG_READS, cl2nn_list_open, cl2nn_open_files)          \
    M(P, 0x0160, RECONFIG, 0, msg_reconfig, msg_reconfigured)                      \
    M(P, 0x0161, RESTORE_STORAGE, MSG_READS, cl2nn_restore_storage, cl2nn_yes)     \
    M(P, 0x0162, JOURNAL_FILES, MSG_READS, msg_void, cl2nn_journal_files)          \
    M(P, 0x0163, JOURNAL_PAGE, MSG_READS, cl2nn_journal_page, cl2nn_journal_bytes) \
    M(P, 0x0168, ROLL_EDITS, MSG_READS, msg_void, cl2nn_rolled)                    \
    M(P, 0x016a, METASAVE, MSG_READS, cl2nn_metasave, msg_void)                    \
    M(P, 0x016b, SET_BANDWIDTH, MSG_READS, cl2nn_bandwidth, msg_void)              \
    M(P, 0x016c, REFRESH_GROUPS, MSG_READS, msg_void, msg_void)                    \
    M(P, 0x016d, SET_TYPE_QUOTA, MSG_RECORDED, cl2nn_set_type_quota, msg_void)     \
    M(P, 0x0170, APPEND, MSG_RECORDED, cl2nn_append, cl2nn_appended)               \
    M(P, 0x0171, APPEND_AGAIN, MSG_RECORDED, cl2nn_again, msg_located_block)       \
    M(P, 0x0172, SWITCH, MSG_RECORDED, cl2nn_switch, msg_void)                     \
    M(P, 0x0173, TRUNCATE, MSG_RECORDED, cl2nn_truncate, cl2nn_yes)                \
    M(P, 0x0174, CONCAT, MSG_RECORDED, cl2nn_concat, msg_void)

MSG_METHODS(CL2NN, CL2NN_METHODS)

#endif
