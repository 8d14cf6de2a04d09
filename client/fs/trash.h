/* SPDX-License-Identifier: Apache-2.0
 * trash: where `rm` puts things while fs.trash.interval is not 0 (the server's value wins over
 * ours): /user/<name>/.Trash/Current/<whole path>. `expunge` gives Current the time as its name and
 * deletes what has been there for longer than the interval.
 *
 * It is a habit of the shell: programs and other interfaces delete at once. */
#ifndef QUERN_FS_TRASH_H
#define QUERN_FS_TRASH_H

#include "client/fs/later.h"

/* ret->rc: FS_TRASH_MOVED; 0 = there is no trash, or it lies in it already: delete it; negative =
 * it failed. ret->text says what became of it (NULL: memory is out). Prints nothing; any thread. */
#define FS_TRASH_MOVED 2
void fs_trash_take(struct fs_item *item, struct fs_answer *ret);
/* 0, or FS_STOP when something was told. */
int fs_trash_expunge(struct fs_run *run, struct fs_volume *volume, bool immediately);

/* When a checkpoint of this name ("241231235959", "241231235959-2") was made, in ms; ERR_INVAL for
 * other names. In local time. Pure. */
int fs_trash_parse_name(const char *name, int64_t *ret_ms);

#endif
