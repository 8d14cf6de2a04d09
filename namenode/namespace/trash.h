/* SPDX-License-Identifier: Apache-2.0
 * trash: what lies in a user's .Trash, as Hadoop has it: Current, into which the shell moves what
 * is removed, and checkpoints, which Current once was, named by when: yyMMddHHmmss in local time,
 * with -1, -2 ... behind it when there is one of that second. Anything else there is left alone.
 *
 * Stamps compare as bytes, so the time zone is the caller's affair. Pure. */
#ifndef QUERN_NAMENODE_NAMESPACE_TRASH_H
#define QUERN_NAMENODE_NAMESPACE_TRASH_H

#include "namenode/namespace/tree.h"

#define NN_TRASH_DIR     ".Trash"
#define NN_TRASH_CURRENT "Current"
#define NN_TRASH_NAME    24 /* of a checkpoint, with its end */

bool nn_trash_is_checkpoint(struct slice name);
/* Slot of the first checkpoint in the trash older than the stamp; 0 = none. */
uint32_t nn_trash_older(const struct nn_tree *tree, uint32_t trash, const char *stamp);
/* What Current may be called as a checkpoint of that stamp; false when too many names are taken. */
bool nn_trash_name(const struct nn_tree *tree, uint32_t trash, const char *stamp,
                   char out[NN_TRASH_NAME]);

#endif
