/* SPDX-License-Identifier: Apache-2.0
 * fence: hard limits of memory and processes around a task process and all it starts, and what is
 * known when the kernel has killed for memory.
 *
 *   own control group per process (of either version): the kernel keeps the limit; it counts the
 *       children too, wherever they hide, and map outputs in memory while they are being written
 *   else: the memory of the process and of all below it is added up now and then (fence_used), and
 *       a limit of its data keeps each from running away between two looks
 *
 * Groups are made below the worker's own: quern-task.<worker's pid>.<process's pid>. Processes of
 * the second version's groups live in leaves only, so there the worker first moves itself into one.
 * A group outlives its process for the moment its last child takes to go; fences_sweep removes it.
 *
 * Loop thread only. */
#ifndef QUERN_WORKER_TASK_FENCE_H
#define QUERN_WORKER_TASK_FENCE_H

#include <sys/types.h>

#include "libcommon/base/err.h"
#include "libcommon/daemon/cgroup.h"

#define FENCE_PROCESSES 1024 /* and threads, of one task */

struct fences {
    struct cgroup own;  /* below it groups are made; CGROUP_NONE: none can be */
    struct cgroup pids; /* the same for numbers of processes, where that is a tree of its own */
    bool has_moved;     /* we are in a leaf of our own */
    bool has_left;      /* a group could not be removed yet */
};

/* Files of a group that are read and written for each attempt: kept open. */
enum fence_file { FENCE_MEMORY, FENCE_SWAP, FENCE_PEAK, FENCE_EVENTS, FENCE_FILES };

/* `may_group` false: look now and then, whatever the machine could do. Never fails: `why` says in
 * one line why there are no groups, "" when there are. Removes groups of workers that are gone. */
void fences_open(struct fences *fences, bool may_group, char *why, size_t cap);
void fences_sweep(struct fences *fences);
void fences_close(struct fences *fences);

struct fence {
    struct fences *all;
    pid_t pid;
    char *dir;              /* its group; NULL: none */
    char *pids_dir;         /* its group in the other tree; NULL: none */
    int files[FENCE_FILES]; /* 0 = not opened yet, -1 = not there */
    bool has_given; /* memory files that were made in it are somebody else's now, and count here */
    bool is_open;   /* its group did not take the limit */
    uint64_t taken; /* what its group was told last, and took; 0 = nothing */
    uint64_t limit; /* 0 = none set yet */
    uint64_t kills; /* by the kernel for want of memory, when the limit was set: in the group, or */
    uint64_t limits; /* (second version) for this limit of them; without a group on the machine */
};

/* Beyond which a task of so much memory is killed: what it did not ask for, its program and its
 * libraries, must fit, too. */
uint64_t fence_limit(uint64_t memory);

/* Around a process that was just started, and has started nothing itself. */
void fence_open(struct fence *fence, struct fences *all, pid_t pid);
/* From now on it may have so many bytes, beside what it has left in memory files before: has_given
 * is for whoever takes one of those. Costs a few microseconds where it is as before. */
void fence_set(struct fence *fence, uint64_t bytes);
/* Does somebody have to look? Then: bytes that it and all below it have now. */
static inline bool fence_needs_looks(const struct fence *fence)
{
    return fence->limit && (!fence->dir || fence->is_open);
}
uint64_t fence_used(const struct fence *fence);
/* SIGKILL to all inside, however fast they start others; without a group nothing is done. */
void fence_kill(const struct fence *fence);
/* The process is gone. */
void fence_close(struct fence *fence);
/* The same, if nothing is left inside: otherwise nothing is done, and somebody is to be killed. */
bool fence_close_empty(struct fence *fence);

enum fence_verdict {
    FENCE_QUIET, /* the kernel has killed nobody here for memory, as far as can be known */
    FENCE_LIMIT, /* somebody inside, for the limit */
    FENCE_NODE,  /* somebody inside, because the machine, or a group above ours, had none left */
};
/* What happened since fence_set. `is_killed`: the process died of a SIGKILL that is not ours.
 * Evidence: one line for people; *ret_peak is the most it had (0 = unknown). */
enum fence_verdict fence_judge(struct fence *fence, bool is_killed, uint64_t *ret_peak,
                               char *evidence, size_t cap);

#endif
