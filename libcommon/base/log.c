/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

#define LINE_MAX_BYTES 2048
#define RECENT         64

static struct {
    _Atomic int fd; /* stderr, or file_fd */
    int file_fd;    /* -1 until a file was opened; then the same number for ever, see open_file */
    _Atomic enum log_level level;
    char path[1024]; /* "" = stderr */
    uint64_t max_bytes;
    unsigned keep;
    _Atomic uint64_t written;
    _Atomic int rotating;
} sink = {.fd = STDERR_FILENO, .file_fd = -1, .level = LOG_INFO_};

static char recent[RECENT][256];
static _Atomic uint64_t recent_next;

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

/* A thread may be about to write to the old file's descriptor. Were that closed, its number could
 * become a block file's in the meantime and the line would land there; so the new file takes over
 * the old number in one step. */
static int open_file(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "cannot open log file %s", path);
    struct stat st;
    sink.written = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (sink.file_fd < 0) {
        sink.file_fd = fd;
    } else {
        int rc = dup3(fd, sink.file_fd, O_CLOEXEC) < 0 ? errno : 0;
        close(fd);
        if (rc != 0)
            return err_errno(err, rc, "cannot switch to log file %s", path);
    }
    sink.fd = sink.file_fd;
    return 0;
}

int log_open(const char *path, uint64_t max_bytes, unsigned keep, struct err *err)
{
    if (!path) {
        sink.path[0] = 0;
        sink.fd = STDERR_FILENO;
        return 0;
    }
    if (strlen(path) >= sizeof(sink.path))
        return err_set(err, ERR_TOOBIG, "log file name is too long: %s", path);
    int rc = open_file(path, err);
    if (rc != 0)
        return rc;
    memcpy(sink.path, path, strlen(path) + 1);
    sink.max_bytes = max_bytes;
    sink.keep = keep;
    return 0;
}

int log_reopen(struct err *err)
{
    return sink.path[0] ? open_file(sink.path, err) : 0;
}

void log_set_level(enum log_level level)
{
    sink.level = level;
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

/* path.N-1 -> path.N ... path -> path.1. A failure leaves us writing to the old file. */
static void rotate(void)
{
    char from[1100], to[1100];
    for (unsigned i = sink.keep; i > 0; i--) {
        snprintf(to, sizeof(to), "%s.%u", sink.path, i);
        if (i == 1)
            snprintf(from, sizeof(from), "%s", sink.path);
        else
            snprintf(from, sizeof(from), "%s.%u", sink.path, i - 1);
        if (rename(from, to) != 0 && errno != ENOENT)
            return;
    }
    open_file(sink.path, NULL);
}

static void rotate_if_big(size_t n)
{
    sink.written += n;
    if (!sink.path[0] || !sink.keep || !sink.max_bytes || sink.written < sink.max_bytes)
        return;
    int no = 0;
    if (__atomic_compare_exchange_n((int *)&sink.rotating, &no, 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        rotate();
        sink.rotating = 0;
    }
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

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    if (level < sink.level)
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
    ssize_t ignored = write(sink.fd, line, n);
    (void)ignored;
    rotate_if_big(n);
    errno = saved_errno;
}

int log_fd(void)
{
    return sink.fd;
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
