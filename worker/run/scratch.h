/* SPDX-License-Identifier: Apache-2.0
 * scratch: files an attempt needs only while it runs, over several local directories of which one
 * may fail or fill up.
 *
 * A writer takes directories in turn: whatever fails there with an error of the disk (full, I/O
 * error, read-only) takes it out of use for this attempt, and the file is written again elsewhere.
 * Only when none is left the attempt fails. Files without a name to keep are unlinked at once, so
 * nothing is left behind whatever happens to the process. */
#ifndef QUERN_WORKER_RUN_SCRATCH_H
#define QUERN_WORKER_RUN_SCRATCH_H

#include "libcommon/base/slice.h"
#include "worker/run/pack.h"

struct scratch {
    char **dirs;
    bool *is_bad;
    size_t count, turn;
    size_t last_bad; /* the last that failed, and how */
    int why;
    struct run_packing *packing; /* for the runs written here; borrowed. NULL: never packed */
};

/* Copies the paths. 0 or ERR_NOMEM. */
int scratch_open(struct scratch *scratch, const struct slice *dirs, size_t count);
void scratch_close(struct scratch *scratch);

struct scratch_file {
    int fd;     /* -1 = none */
    char *path; /* of a named one */
    size_t dir; /* which of the directories */
};
#define SCRATCH_FILE_NONE ((struct scratch_file){.fd = -1})

/* Create an empty file in the next directory in use: `name` in it, or NULL for a nameless one.
 * ERR_NOSPC with what is wrong when no directory is left. The file is given: scratch_file_close. */
int scratch_create(struct scratch *scratch, const char *name, struct scratch_file *ret,
                   struct err *err);
/* Closes; the file of a name stays. */
void scratch_file_close(struct scratch_file *file);
/* Writing in directory `dir` failed with `code`. True: it is now out of use, try another. False:
 * this is no fault of a disk. */
bool scratch_blame(struct scratch *scratch, size_t dir, int code);
/* The same for a file that is worthless now: when true, it is closed and gone. */
bool scratch_give_up(struct scratch *scratch, struct scratch_file *file, int code);

#endif
