/* SPDX-License-Identifier: Apache-2.0
 * cuts: where an input may be cut, when that is not anywhere: a compressed file (its bytes tell,
 * whatever its name is) where unpacking can begin anew; and a file of which each task is to have
 * so many lines behind each so many. Whoever asks knows how to read the file. The same file is cut
 * at the same places wherever it is. */
#ifndef QUERN_CLIENT_CUTS_H
#define QUERN_CLIENT_CUTS_H

#include "client/lib/splits.h"
#include "libcommon/codec/frames.h"

/* Sets is_whole, and the cuts, which live in the arena. What reading failed with, or ERR_NOMEM. */
int cuts_look(struct split_file *file, const struct split_conf *conf,
              const struct frames_file *bytes, struct arena *arena, struct err *err);

#endif
