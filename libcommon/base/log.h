/* SPDX-License-Identifier: Apache-2.0
 * log: one line per event: local time with ms, level, module, words with names not numbers.
 *
 *     2026-11-21 10:00:00.123 INFO  nn.lease  recovered lease of client 7 on /a/b
 *
 * One write(2) per line, so threads need no lock. Goes to stderr, or to a file with rotation by
 * size (logfile.h, which other logs use, too); log_reopen (SIGHUP) follows an outside rotation. The
 * last lines are kept in memory for the crash report. Library code returns errors and does not log;
 * edges log, once. */
#ifndef QUERN_BASE_LOG_H
#define QUERN_BASE_LOG_H

#include "libcommon/base/buf.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* path NULL = stderr. On failure the log goes on where it was. Keeps `keep` old files (path.1 ...)
 * of at most max_bytes each; 0 = never. */
int log_open(const char *path, uint64_t max_bytes, unsigned keep, struct err *err);
int log_reopen(struct err *err);
void log_set_level(enum log_level level);
int log_level_parse(const char *word, enum log_level *ret);

void log_line(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define log_debug(module, ...) log_line(LOG_DEBUG_, module, __VA_ARGS__)
#define log_info(module, ...)  log_line(LOG_INFO_, module, __VA_ARGS__)
#define log_warn(module, ...)  log_line(LOG_WARN_, module, __VA_ARGS__)
#define log_error(module, ...) log_line(LOG_ERROR_, module, __VA_ARGS__)

/* Where lines go now; async-signal-safe. */
int log_fd(void);
/* The last lines, oldest first; async-signal-safe (writes to fd, allocates nothing). */
void log_dump_recent(int fd);

#endif
