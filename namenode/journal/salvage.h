/* SPDX-License-Identifier: Apache-2.0
 * salvage: what is left when a log or all images are damaged so that a start is refused, and a
 * filesystem made of it: `quern namenode -recover`.
 *
 * A plan is the image and the log that together lead farthest: the records of one directory's log
 * behind one whole image of it, as far as each is whole and fits. What comes after is lost, also
 * records behind the damage that are whole themselves: they rest on those that are not.
 *
 * Carrying it out destroys nothing. In each directory everything there was is moved to
 * DIR/recovered-<ms>/, beside a DECISION file that tells what was found and who said so; then a new
 * log (of a new id, so that no file of the old one is ever taken for part of it) and one image are
 * made. A crash in between leaves directories that a start refuses, and everything in them.
 *
 * Ids that the lost records gave out must not be given out again, nor may datanodes be told to
 * delete their blocks, which are all that is left of those files: the counters go on ID_GAP
 * further, and block ids in between are spared for ever (nn_state.spared_from, spared_to). */
#ifndef QUERN_NAMENODE_JOURNAL_SALVAGE_H
#define QUERN_NAMENODE_JOURNAL_SALVAGE_H

#include "namenode/journal/images.h"
#include "namenode/journal/namedir.h"
#include "namenode/journal/state.h"

struct nn_salvage {
    struct disk *disk;
    const char *const *paths; /* borrowed, as disk is */
    size_t count;
    uint64_t segment_bytes; /* of the new log; 0 = its default */
    struct nn_namedir dirs[NN_DIRS_MAX];
    char cluster_id[VERSION_ID_MAX];
    bool is_whole; /* a start would lose nothing */
    size_t image_dir, log_dir;
    uint64_t image;        /* load this one, of image_dir ... */
    uint64_t last;         /* ... and of log_dir the records after it up to this one */
    uint64_t acknowledged; /* all up to here were promised; perhaps more */
    struct buf report;     /* lines for the operator */
};

/* Lock and look; changes nothing. ERR_BUSY: a namenode runs. ERR_CORRUPT: no image is whole: there
 * is nothing to go on from; `report` is filled then too. */
int nn_salvage_plan(struct nn_salvage *salvage, struct err *err);
/* `who` goes into the DECISION file. */
int nn_salvage_do(struct nn_salvage *salvage, const char *who, uint64_t wall_ms, struct err *err);
void nn_salvage_release(struct nn_salvage *salvage); /* unlocks */

#endif
