/* SPDX-License-Identifier: Apache-2.0
 * many_files: a namespace in this process, of as many files as are wanted: 1000 in a directory,
 * names of 12 bytes, one block of one replica each. Nothing here returns when it fails. */
#ifndef QUERN_BENCH_MANY_FILES_H
#define QUERN_BENCH_MANY_FILES_H

#include "namenode/blocks/blocks.h"
#include "namenode/journal/state.h"

#define MANY_PER_DIR 1000

extern struct nn_blocks blocks;
extern struct nn_state state;

void must(int rc, const char *what);
void many_begin(const char *superuser);
/* A directory of alice's. */
uint32_t many_dir(uint32_t parent, const char *name);
/* That many files more, in directories "dir-00000017" of `parent`. */
void many_make(uint32_t parent, uint32_t files);

#endif
