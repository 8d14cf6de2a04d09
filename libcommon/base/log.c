/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/logfile.h"

#define LINE_MAX_BYTES 2048
#define RECENT         64

static struct logfile file = {.fd = -1};
static _Atomic int sink_fd = STDERR_FILENO; /* stderr, or the file's */
static _Atomic enum log_level least = LOG_INFO_;

static char recent[RECENT][256];
static _Atomic uint64_t recent_next;

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

int log_open(const char *path, uint64_t max_bytes, unsigned keep, struct err *err)
{
    int rc = path ? logfile_open(&file, path, max_bytes, keep, err) : 0;
    if (rc == 0)
        sink_fd = path ? (int)file.fd : STDERR_FILENO;
    return rc;
}

int log_reopen(struct err *err)
{
    return logfile_reopen(&file, err);
}

void log_set_level(enum log_level level)
{
    least = level;
}

int log_level_parse(const char *word, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcasecmp(word, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVAL;
}

static size_t stamp(char *out, size_t cap)
{
    uint64_t ms = clock_wall_ms();
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    localtime_r(&s, &tm);
    size_t n = strftime(out, cap, "%Y-%m-%d %H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, cap - n, ".%03u", (unsigned)(ms % 1000));
}

static void put(struct slice line)
{
    if (sink_fd == STDERR_FILENO) {
        ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
        (void)ignored;
    } else {
        logfile_write(&file, line);
    }
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    if (level < least)
        return;
    int saved_errno = errno;
    char line[LINE_MAX_BYTES];
    size_t n = stamp(line, sizeof(line));
    n += (size_t)snprintf(line + n, sizeof(line) - n, " %-5s %-10s ", level_names[level], module);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    if (m > 0)
        n += (size_t)m;
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' '; /* one event stays one line, and no escape reaches a terminal */
    line[n++] = '\n';
    char *slot = recent[recent_next++ % RECENT];
    size_t kept = n < sizeof(recent[0]) ? n : sizeof(recent[0]) - 1;
    memcpy(slot, line, kept);
    slot[kept] = 0;
    put(slice_of(line, n));
    errno = saved_errno;
}

int log_fd(void)
{
    return sink_fd;
}

void log_dump_recent(int fd)
{
    uint64_t end = recent_next, start = end > RECENT ? end - RECENT : 0;
    for (uint64_t i = start; i < end; i++) {
        const char *line = recent[i % RECENT];
        size_t n = strnlen(line, sizeof(recent[0]));
        ssize_t ignored = write(fd, line, n);
        if (n == sizeof(recent[0]) - 1)
            ignored = write(fd, "\n", 1);
        (void)ignored;
    }
}
