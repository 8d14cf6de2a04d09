/* SPDX-License-Identifier: Apache-2.0
 * patient: reads of local files that are given up. A disk that does not answer holds whoever reads
 * from it in the kernel, where no time-out reaches him. So what the page cache has is read at once,
 * by the caller, and what it has not is read by a thread of its own, which is waited for and, when
 * the time is over, left behind with memory and descriptors of its own: it ends when the disk
 * answers, or with the process.
 *
 * The same for the pages of a mapping: a page that the disk does not give is an error then, and no
 * signal in whoever would have touched it. There the cache is only asked for samples.
 *
 * Threads are made when they are needed and stay for a while. Any thread may call. */
#ifndef QUERN_CLIENT_PATIENT_H
#define QUERN_CLIENT_PATIENT_H

#include "libcommon/base/list.h"
#include "libcommon/event/thread.h"

#define CL_PATIENT_MAX (256U << 10) /* bytes of one read */

/* Two descriptors with the number of those who use them: they are closed by the last one. */
struct cl_files {
    int fd[2];
    bool is_memory[2]; /* of a filesystem without a disk: nothing to wait for */
    _Atomic unsigned refs;
};
/* Takes both, also on failure. NULL when memory is out. */
struct cl_files *cl_files_new(const int fd[2]);
void cl_files_unref(struct cl_files *files);

struct cl_patient; /* shared by a handle and its threads */
struct cl_patient *cl_patient_new(void);
/* Threads that wait for a disk are left behind; all others have ended. NULL is fine. */
void cl_patient_close(struct cl_patient *patient);

/* Exactly `size` (up to CL_PATIENT_MAX) bytes of files->fd[which] at `off`. ERR_EOF, ERR_IO ...;
 * ERR_TIMEOUT: nothing has come for wait_ms; ERR_BUSY: too many are waited for already. */
int cl_patient_pread(struct cl_patient *patient, struct cl_files *files, unsigned which,
                     void *buffer, size_t size, uint64_t off, uint64_t wait_ms);

/* [off, off + size) of files->fd[which], mapped, all pages there; NULL: *ret_rc is ERR_IO,
 * ERR_TIMEOUT or ERR_BUSY as above, or ERR_UNSUPPORTED (this kernel cannot). `off` is a page's. */
void *cl_patient_map(struct cl_patient *patient, struct cl_files *files, unsigned which,
                     size_t size, uint64_t off, uint64_t wait_ms, int *ret_rc);

#endif
