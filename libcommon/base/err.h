/* SPDX-License-Identifier: Apache-2.0
 * err: one list of error codes for memory, disk and wire, and a message that gains context as it
 * climbs.
 *
 * Functions return 0 or a negative `enum err_code`. Where a human will read the failure, a
 * `struct err *err` is the last parameter (may be NULL): it holds one finished line that says what
 * failed, on which object, why, and what to do. Nobody prints below the edge; the edge prints once.
 * The numbers travel on the wire and are kept in journals: never renumber, only add. */
#ifndef QUERN_BASE_ERR_H
#define QUERN_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/banned.h"

#define ERR_LIST(X)                                       \
    X(NOMEM, -1, "out of memory")                         \
    X(IO, -2, "Input/output error")                       \
    X(NOSPC, -3, "No space left on device")               \
    X(INVAL, -4, "Invalid argument")                      \
    X(NOENT, -5, "No such file or directory")             \
    X(EXIST, -6, "File exists")                           \
    X(ISDIR, -7, "Is a directory")                        \
    X(NOTDIR, -8, "Is not a directory")                   \
    X(NOTEMPTY, -9, "Directory is not empty")             \
    X(ACCESS, -10, "Permission denied")                   \
    X(NOTPERM, -11, "Operation not permitted")            \
    X(SAFEMODE, -12, "Name node is in safe mode")         \
    X(LEASE, -13, "file lease is held by another client") \
    X(STALE, -14, "stale generation stamp, epoch or id")  \
    X(TIMEOUT, -15, "timed out")                          \
    X(CANCELLED, -16, "cancelled")                        \
    X(CLOSED, -17, "connection closed")                   \
    X(REFUSED, -18, "connection refused")                 \
    X(PROTO, -19, "protocol violation")                   \
    X(VERSION, -20, "version not supported")              \
    X(FOREIGN, -21, "belongs to another cluster")         \
    X(CHECKSUM, -22, "checksum mismatch")                 \
    X(CORRUPT, -23, "damaged data")                       \
    X(TOOBIG, -24, "too big")                             \
    X(LIMIT, -25, "limit exceeded")                       \
    X(BUSY, -26, "in use")                                \
    X(RETRY, -27, "not ready yet, try again")             \
    X(UNSUPPORTED, -28, "Operation not supported")        \
    X(NONODE, -29, "no usable node")                      \
    X(EOF, -30, "end of file")                            \
    X(CONFIG, -31, "bad configuration")                   \
    X(USAGE, -32, "bad usage")                            \
    X(PLUGIN, -33, "bad job plugin")                      \
    X(FAILED, -34, "failed")                              \
    X(KILLED, -35, "killed")                              \
    X(QUOTA, -36, "quota exceeded")                       \
    X(UNREACHABLE, -37, "unreachable")                    \
    X(CRASHED, -38, "crashed")

enum err_code {
    ERR_OK = 0,
#define ERR_ENUM(name, number, text) ERR_##name = number,
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

#define ERR_MSG_MAX 1024

struct err {
    int code; /* enum err_code */
    char msg[ERR_MSG_MAX];
};

/* "NOENT" for ERR_NOENT; "?" for a number we do not know. */
const char *err_name(int code);

/* The plain words: "No such file or directory". */
const char *err_text(int code);

/* Nearest code for an errno value; never ERR_OK (EINTR and EAGAIN become ERR_RETRY). */
int err_from_errno(int errnum);

/* Fill `err` (may be NULL) and return `code`, so that `return err_set(err, ERR_X, ...)` reads well.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": <strerror(errnum)>" appended and the code taken from errnum. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the message and return the code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A broken invariant of ours, not an error of the world: tells where, then aborts. */
void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond)          \
    do {                      \
        if (cond)             \
            BUG("%s", #cond); \
    } while (0)

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
