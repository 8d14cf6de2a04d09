/* SPDX-License-Identifier: Apache-2.0
 * sides: the files that go with a job: `-file PATH[#NAME]`, and Hadoop's `-files PATH[#NAME],...`.
 * Tasks find each under NAME, or the last part of PATH, in the directory they work in. A PATH is
 * local, but for hdfs:// (and quern://): those are read from the job's filesystem. */
#ifndef QUERN_CLIENT_JOB_SIDES_H
#define QUERN_CLIENT_JOB_SIDES_H

#include "client/fs/volume.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/task/messages.h"
#include "libcommon/wire/chan.h"

/* What was typed; owned words. */
struct side_words {
    char **v;
    size_t n, cap;
};
int side_words_add(struct side_words *words, const char *list, bool has_commas, struct err *err);
void side_words_release(struct side_words *words);

/* Is there one that only a cluster has? The one that is, or NULL. */
const struct task_side *job_sides_remote(const struct task_side_list *sides);

/* Names, absolute paths and sizes (those of remote ones are not known yet), in `arena`. Told here:
 * what is not there, a directory, two of one name, more than `max_bytes` in all. */
int job_sides_look(const struct side_words *words, uint64_t max_bytes, struct arena *arena,
                   struct task_side_list *ret, struct err *err);
/* The sizes of remote ones; ERR_TOOBIG as above, now of all. */
int job_sides_measure(struct fs_volume *volume, uint64_t max_bytes, struct task_side_list *sides,
                      struct err *err);
/* Bring them to the jobtracker; fills in their digests. `volume`: the job's filesystem. */
int job_sides_bring(struct chan *chan, struct fs_volume *volume, struct arena *arena,
                    struct task_side_list *sides, struct err *err);

/* One whose bytes are there already, for which job_sides_look left room. */
int job_sides_add(struct task_side_list *sides, const char *name, const char *digest, uint64_t size,
                  struct arena *arena, struct err *err);

#endif
