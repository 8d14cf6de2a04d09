/* SPDX-License-Identifier: Apache-2.0
 * fault: named injection points, always compiled in, silent until armed.
 *
 * QUERN_FAULT="disk.fsync=3:kill,dn.read=1:corrupt" arms at start (also by the admin console):
 * name=N:action fires at the N-th hit of that point (N+ fires from the N-th on). A name ending in *
 * counts all points with that beginning together, so `disk.*=17:kill` dies at the 17th write, fsync
 * or rename of the process. Actions: kill (SIGKILL to itself), exit, eio, enospc, corrupt, drop,
 * delay (100 ms; delay500 = 500 ms), stop (SIGSTOP). QUERN_FAULT_COUNT=FILE writes, at exit, each
 * point hit and how often, so that a test can first count and then try every number. */
#ifndef QUERN_BASE_FAULT_H
#define QUERN_BASE_FAULT_H

#include "libcommon/base/buf.h"

enum fault_action { FAULT_NONE, FAULT_EIO, FAULT_ENOSPC, FAULT_CORRUPT, FAULT_DROP };

extern _Atomic bool fault_is_armed; /* anything armed or counted at all? */

/* Call at the point; kill, exit, stop and delay happen inside. Thread-safe. */
enum fault_action fault_hit_slow(const char *name);
static inline enum fault_action fault_hit(const char *name)
{
    return __builtin_expect(__atomic_load_n((bool *)&fault_is_armed, __ATOMIC_ACQUIRE), 0)
               ? fault_hit_slow(name)
               : FAULT_NONE;
}
/* errno for an action: EIO, ENOSPC, or 0. */
int fault_errno(enum fault_action action);

/* Parse and arm (NULL or "" disarms all); other threads may be at their points, but only one arms
 * at a time. ERR_INVAL names what is wrong in err, or ERR_NOMEM; what was armed stays so then. */
int fault_arm(const char *spec, struct err *err);
/* From the environment; called once by daemons, the task runner and the shell. */
int fault_arm_from_env(struct err *err);
/* "name hits" lines of every point met while armed or counting. */
void fault_report(struct buf *out);

#endif
