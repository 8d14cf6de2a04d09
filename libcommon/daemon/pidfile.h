/* SPDX-License-Identifier: Apache-2.0
 * pidfile: a file with the process's number, locked while the process lives, so that a second
 * daemon with the same file is refused and a stale one is no obstacle. */
#ifndef QUERN_DAEMON_PIDFILE_H
#define QUERN_DAEMON_PIDFILE_H

#include <sys/types.h>

#include "libcommon/base/err.h"

struct pidfile {
    int fd; /* -1 = none */
    char path[1024];
};
#define PIDFILE_INIT ((struct pidfile){.fd = -1})

/* ERR_BUSY when a living process has it: "already running as process 4711 (/run/x.pid)". */
int pidfile_open(struct pidfile *pidfile, const char *path, struct err *err);
void pidfile_close(struct pidfile *pidfile); /* removes it; harmless when none */

/* Who holds the file: its process number, 0 when nobody does (no file, or a stale one). */
pid_t pidfile_holder(const char *path);
/* Who wrote his number there last, be he running or not; 0: nobody, or he left in order. */
pid_t pidfile_written(const char *path);

#endif
