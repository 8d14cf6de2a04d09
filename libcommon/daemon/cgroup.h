/* SPDX-License-Identifier: Apache-2.0
 * cgroup: the control group this process is in, of either version, and what the groups above it
 * leave us of memory. */
#ifndef QUERN_LIBCOMMON_DAEMON_CGROUP_H
#define QUERN_LIBCOMMON_DAEMON_CGROUP_H

#include "libcommon/base/slice.h"

enum cgroup_kind { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

#define CGROUP_DIR_MAX 1024

struct cgroup {
    enum cgroup_kind kind;
    char dir[CGROUP_DIR_MAX]; /* of this process's group */
    size_t top_len;           /* so much of it is where the hierarchy is mounted */
};

/* The group that counts for `controller` ("memory", "pids"), from what /proc/self/mountinfo and
 * /proc/self/cgroup say. CGROUP_NONE when it is in neither hierarchy, or cannot be seen from here.
 */
void cgroup_parse(const char *mounts, const char *groups, const char *controller,
                  struct cgroup *ret);
void cgroup_find(const char *controller, struct cgroup *ret);
/* Of a group for memory: the least limit of it and of those above it that can be seen; UINT64_MAX =
 * none. */
uint64_t cgroup_memory_limit(const struct cgroup *group);

/* The number in `file` of a group's directory: alone, or behind `word` in a table of "word number".
 * False: not there, or no number ("max"). */
bool cgroup_read(const char *dir, const char *file, const char *word, uint64_t *ret);
/* The same in the text of such a file. */
bool cgroup_number(const char *text, const char *word, uint64_t *ret);
/* 0 or the negative code of what write() said. */
int cgroup_write(const char *dir, const char *file, const char *text);

#endif
