/* SPDX-License-Identifier: Apache-2.0
 * walscan: reads one directory of a log from end to end and tells what is there. Changes nothing.
 *
 * The scan stops at the first place where the expected record is not whole and right, then looks at
 * everything behind that place for proof that more was durable once. `last` is the end of the good
 * records, `proven` the highest index that must be there. With several directories the caller takes
 * the highest `proven` of all: a directory whose `last` is below it has lost records. */
#ifndef QUERN_STORE_WALSCAN_H
#define QUERN_STORE_WALSCAN_H

#include "libcommon/store/walfile.h"
#include "libcommon/store/walmark.h"

struct walscan {
    struct disk *disk; /* borrowed */
    const char *dir;   /* borrowed */
    uint64_t wal_id;
    uint64_t *firsts; /* first index of each segment, ascending */
    size_t segments, segment_cap;
    bool has_watermark, has_leftovers; /* leftovers: files of unfinished work */

    uint64_t last, last_term; /* end of the good records; first - 1 when there are none */
    uint32_t last_crc;        /* the chain there */
    size_t last_segment;      /* which of firsts holds the end */
    uint64_t last_off;        /* of the last good record in it; 0 when it holds none */
    uint64_t end_off;         /* where the next record would begin in it */
    uint64_t proven;
    bool is_torn; /* bytes that are not zero follow the end */
    /* Damage that needs no proof: ERR_CORRUPT or ERR_FOREIGN, and its line. */
    struct err damage;
    /* The file and what is wrong at the end, for the verdict. */
    char where[WALFILE_NAME_MAX];
};

/* List the directory only: segments, has_watermark, has_leftovers. 0 or an error in `err`. */
int walscan_list(struct walscan *scan, struct disk *disk, const char *dir, struct err *err);

/* No watermark, and at most one segment that never held a record: what a crash leaves of making a
 * log. 1, 0 or an error. */
int walscan_is_unborn(const struct walscan *scan, struct err *err);

/* Read all segments but those that hold nothing from `mark->first` on. `visit` (may be NULL) gets
 * each good record from index `from` on. 0 also when there is damage; an error when the disk or
 * memory fails, or what `visit` returned. After walscan_list. */
int walscan_read(struct walscan *scan, const struct walmark *mark, uint64_t from,
                 wal_visit_fn visit, void *arg, struct err *err);

/* Read the records of one segment, given whole, with nothing known about its log. Only `damage`,
 * `proven`, `is_torn` and where it ends are then set. 0, or what `visit` returned. */
int walscan_read_one(struct walscan *scan, struct slice file, uint64_t from, wal_visit_fn visit,
                     void *arg);

/* 0 when nothing up to `proven` is missing, else ERR_CORRUPT and the line for people. */
int walscan_verdict(const struct walscan *scan, uint64_t proven, const char *advice,
                    struct err *err);

/* Give the content of the segment that begins with `first`; zeros at its end may be left out. */
int walscan_load(const struct walscan *scan, uint64_t first, struct buf *out, struct err *err);

int walscan_load_path(const struct walscan *scan, const char *path, struct buf *out,
                      struct err *err);

void walscan_release(struct walscan *scan);

#endif
