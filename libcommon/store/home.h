/* SPDX-License-Identifier: Apache-2.0
 * home: the directories of a daemon that learns whose cluster it is only when it meets the others:
 * a jobtracker's, a worker's. Each has a VERSION file (store/version); a fresh one gets it at the
 * first meeting, and from then on belongs to that cluster.
 *
 * Fresh is a directory in which nothing is but what this kind of daemon puts there. */
#ifndef QUERN_STORE_HOME_H
#define QUERN_STORE_HOME_H

#include "libcommon/store/version.h"

struct home_kind {
    const char *type; /* jobtracker, worker */
    uint32_t layout;
    const char *const *names; /* of what it puts there, NULL at the end */
};

/* The VERSION of `dir`; in a fresh one all is empty. ERR_NOTEMPTY: somebody else's files;
 * ERR_CORRUPT, ERR_VERSION as version_read; also for the directory of another kind of daemon. */
int home_read(struct disk *disk, const char *dir, const struct home_kind *kind, struct version *ret,
              struct err *err);

/* This directory is of that cluster, says `other`: compared (ERR_FOREIGN), or written down durably
 * when `version` is still empty, which it is no more then. `storage_id`: as version.h. */
int home_join(struct disk *disk, const char *dir, const struct home_kind *kind,
              const char *cluster_id, const char *storage_id, const char *other,
              struct version *version, struct err *err);

#endif
