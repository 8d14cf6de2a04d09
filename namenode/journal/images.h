/* SPDX-License-Identifier: Apache-2.0
 * images: the image files in all name directories together. Every living directory holds the two
 * newest images, and the log from the older one's index on, so that one damaged image costs time
 * only. Blocks; may run on a thread. */
#ifndef QUERN_NAMENODE_JOURNAL_IMAGES_H
#define QUERN_NAMENODE_JOURNAL_IMAGES_H

#include "namenode/journal/fsimage.h"

#define NN_DIRS_MAX 8

/* Some of the name directories. */
struct nn_dir_set {
    struct disk *disk;
    const char *paths[NN_DIRS_MAX]; /* borrowed */
    size_t count;
};

struct nn_image_file {
    uint64_t index;
    size_t dir; /* in the set */
    bool is_damaged;
};
struct nn_image_list {
    struct nn_image_file *v; /* newest first; of one index in the order of the directories */
    size_t n, cap;
};

int nn_images_list(const struct nn_dir_set *dirs, struct nn_image_list *ret, struct err *err);
void nn_images_release(struct nn_image_list *list);
/* DIR/image.N<suffix>; mem_free it; NULL when memory is out. */
char *nn_image_path(const char *dir, uint64_t index, const char *suffix);

/* What fills an image: hands its chunks to nn_image_put of every writer through `put`. */
typedef int nn_image_put_fn(void *arg, uint16_t section, struct slice chunk);
typedef int nn_image_save_fn(void *state, nn_image_put_fn *put, void *arg);

/* Write image.N.new durably into every directory of the set. All of them, or an error (and what was
 * written is removed). */
int nn_images_write(const struct nn_dir_set *dirs, const struct nn_image_head *head,
                    nn_image_save_fn *save, void *state, struct err *err);
/* Give image.N.new its name in every directory, durably. A crash in between leaves some with it. */
int nn_images_swap(const struct nn_dir_set *dirs, uint64_t index, struct err *err);
/* Remove images older than `keep`. */
int nn_images_retire(const struct nn_dir_set *dirs, uint64_t keep, struct err *err);

#endif
