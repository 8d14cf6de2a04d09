/* SPDX-License-Identifier: Apache-2.0
 * reconfig: what became of the last time the configuration was read again (SIGHUP, the console's
 * reload, `quern admin -reconfig`): which keys changed, from what to what, and whether the daemon
 * could follow.
 *
 *     begin: the file is read; CONF_RELOAD keys take their new values
 *     the daemon's reload: follows at once, or holds the task and goes on in the background;
 *             a key that it cannot follow is refused and has its old value again
 *     end: when nobody holds it any more
 *
 * A file that cannot be read, or says nonsense, changes nothing. Loop thread only. */
#ifndef QUERN_DAEMON_RECONFIG_H
#define QUERN_DAEMON_RECONFIG_H

#include "libcommon/base/conf.h"
#include "libcommon/proto/types/messages.h"

struct reconfig_change {
    const char *key; /* borrowed from the table */
    char *from, *to;
    char *refusal; /* NULL: done */
};

struct reconfig {
    struct conf *fresh; /* while it runs: holds the old values */
    struct reconfig_change *changes;
    size_t count, cap;
    uint64_t started_ms, finished_ms; /* wall time; 0 = never, not yet */
    unsigned holds;
    bool lacks_memory; /* not everything could be noted */
};

static inline bool reconfig_is_running(const struct reconfig *r)
{
    return r->fresh != NULL;
}
/* Takes `fresh`, moves `conf` to it, notes what changed of what concerns a daemon of this role.
 * `waits` is called for every key that differs and waits for a restart. */
void reconfig_begin(struct reconfig *r, struct conf *conf, struct conf *fresh, const char *role,
                    void (*waits)(const char *key));
/* The old value is back in force. A key that did not change is left alone. */
void reconfig_refuse(struct reconfig *r, struct conf *conf, const char *key, const char *why);
void reconfig_end(struct reconfig *r);
void reconfig_release(struct reconfig *r);

/* Its state as a message; what it points to is in the arena or lives as long as `r` is not begun
 * again. ERR_NOMEM. */
int reconfig_answer(const struct reconfig *r, struct arena *arena, struct msg_reconfigured *ret);
/* The keys that a daemon of this role follows, in order. ERR_NOMEM. */
int reconfig_keys(const struct conf *conf, const char *role, struct arena *arena,
                  struct msg_strs *ret);

#endif
