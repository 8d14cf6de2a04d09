/* SPDX-License-Identifier: Apache-2.0
 * recover: from the files back to the state: the newest image that is whole, then every record
 * after it. Nothing is changed before all of it has been read and applied; repair comes after.
 *
 * A damaged image is passed over (another directory's, or an older one with more of the log, gives
 * the same state); a log that does not reach the newest image, or an image too old for the log, is
 * refused: better no namenode than one that has forgotten what it promised. */
#ifndef QUERN_NAMENODE_JOURNAL_RECOVER_H
#define QUERN_NAMENODE_JOURNAL_RECOVER_H

#include "libcommon/store/wal.h"
#include "namenode/journal/images.h"
#include "namenode/journal/namedir.h"
#include "namenode/journal/state.h"

struct nn_recovered_state {
    uint64_t image_index;
    size_t image_dir;            /* in the set */
    uint64_t records;            /* replayed after it */
    struct nn_image_list images; /* all there are; nn_images_release */
};

/* Fill a fresh state. `ret` is given also on failure. */
int nn_recover_state(const struct nn_dir_set *dirs, struct wal *wal, struct nn_state *state,
                     struct nn_recovered_state *ret, struct err *err);

/* Afterwards: damaged images are set aside as image.N.damaged, unfinished ones removed, and every
 * directory of the set gets the image that was loaded. */
int nn_recover_images(const struct nn_dir_set *dirs, const struct nn_recovered_state *recovered,
                      struct err *err);

/* For `quern namenode -recover`: what is in these directories, what is damaged, what a start would
 * do; changes nothing. One line each. */
void nn_recover_report(struct disk *disk, const char *const *dirs, size_t count, struct buf *out);

#endif
