/* SPDX-License-Identifier: Apache-2.0
 * commands: the rows of the shell's table, one file per command or family, and what a few of them
 * share. */
#ifndef QUERN_FS_COMMANDS_H
#define QUERN_FS_COMMANDS_H

#include "client/fs/fs.h"

extern const struct fs_command fs_append_to_file, fs_cat, fs_checksum, fs_chgrp, fs_chmod, fs_chown,
    fs_concat, fs_copy_from_local, fs_copy_to_local, fs_count, fs_cp, fs_create_snapshot,
    fs_delete_snapshot, fs_df, fs_du, fs_dus, fs_expunge, fs_find, fs_get, fs_getmerge, fs_head,
    fs_help, fs_ls, fs_lsr, fs_mkdir, fs_move_from_local, fs_move_to_local, fs_mv, fs_put,
    fs_rename_snapshot, fs_rm, fs_rmdir, fs_rmr, fs_setrep, fs_stat, fs_tail, fs_test, fs_text,
    fs_touch, fs_touchz, fs_truncate, fs_usage, fs_getfattr, fs_setfattr, fs_getfacl, fs_setfacl;
extern const struct fs_command fs_distcp; /* in no table: `quern distcp` */

/* {"path":...,"type":"file",...} and a newline, on stdout. */
void fs_print_stat_json(const struct fs_item *item);

/* Write all of it to a descriptor; the code of errno on failure. */
int fs_write_all(int fd, const void *data, size_t size);

#endif
