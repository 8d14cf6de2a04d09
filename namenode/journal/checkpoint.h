/* SPDX-License-Identifier: Apache-2.0
 * checkpoint: an image of the state, written by a forked child while the parent serves. fork gives
 * the child the state as it is now, and the kernel copies only the pages the parent changes
 * meanwhile. The child writes image.N.new into every directory and says how it went; the parent
 * gives them their names, on a thread, and no sooner than record N is durable: an image must never
 * hold more than the log. A child that fails, or dies, has changed nothing.
 *
 *     idle --start--> writing --child done--> waiting --N is durable--> swapping --> idle
 *                        | child failed                                              ^
 *                        +-----------------------------------------------------------+
 *
 * A start while one runs is refused. Loop thread only. */
#ifndef QUERN_NAMENODE_JOURNAL_CHECKPOINT_H
#define QUERN_NAMENODE_JOURNAL_CHECKPOINT_H

#include <sys/types.h>

#include "libcommon/event/workq.h"
#include "namenode/journal/images.h"

/* `err` NULL: image `index` is there, in every directory. */
typedef void nn_checkpoint_done_fn(void *arg, uint64_t index, const struct err *err);

struct nn_checkpoint {
    struct loop *loop;
    struct workq *workq;
    nn_checkpoint_done_fn *done;
    void *arg;

    unsigned state; /* enum nn_checkpoint_state, checkpoint.c */
    struct nn_dir_set dirs;
    uint64_t index, keep, durable;
    pid_t child;
    int pipe_fd;
    struct loop_watch *watch;
    struct err said; /* by the child; code 0 when all is well */
    size_t said_bytes;
    struct work swap;
    struct err swapped;
};

void nn_checkpoint_init(struct nn_checkpoint *cp, struct loop *loop, struct workq *workq,
                        nn_checkpoint_done_fn *done, void *arg);

/* Fork. The image is of `head->index`, filled by `save` in the child; when it is in place, images
 * older than `keep` are removed. `dirs` is copied, its paths are borrowed until done. ERR_BUSY: one
 * is running. */
int nn_checkpoint_start(struct nn_checkpoint *cp, const struct nn_dir_set *dirs,
                        const struct nn_image_head *head, uint64_t keep, nn_image_save_fn *save,
                        void *state, struct err *err);
/* Records up to here are durable. */
void nn_checkpoint_on_durable(struct nn_checkpoint *cp, uint64_t durable);
bool nn_checkpoint_is_idle(const struct nn_checkpoint *cp);
/* Kill the child if there is one; `done` is called (soon) with ERR_CANCELLED. What is past the
 * child goes on to its end. */
void nn_checkpoint_cancel(struct nn_checkpoint *cp);
/* Kill and forget; the workq must be drained. `done` is not called. */
void nn_checkpoint_release(struct nn_checkpoint *cp);

#endif
