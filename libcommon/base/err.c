/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

static const struct {
    int code;
    const char *name;
    const char *text;
} codes[] = {{0, "OK", "ok"},
#define ERR_ROW(name, number, text) {number, #name, text},
             ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

const char *err_name(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "?";
}

const char *err_text(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return codes[i].text;
    return "unknown error";
}

int err_from_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NOSPC;
    case EINVAL:
        return ERR_INVAL;
    case ENOENT:
        return ERR_NOENT;
    case EEXIST:
        return ERR_EXIST;
    case EISDIR:
        return ERR_ISDIR;
    case ENOTDIR:
        return ERR_NOTDIR;
    case ENOTEMPTY:
        return ERR_NOTEMPTY;
    case EACCES:
    case EROFS:
        return ERR_ACCESS;
    case EPERM:
        return ERR_NOTPERM;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
    case ENOTCONN:
        return ERR_CLOSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return ERR_UNREACHABLE;
    case EADDRINUSE:
    case EBUSY:
        return ERR_BUSY;
    case ENAMETOOLONG:
        return ERR_TOOBIG;
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    case EOPNOTSUPP:
    case ENOSYS:
    case EXDEV:
        return ERR_UNSUPPORTED;
    case EAGAIN:
    case EINTR:
        return ERR_RETRY;
    default:
        return ERR_IO;
    }
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
    }
    return code;
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    int code = err_from_errno(errnum);
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof(err->msg))
            snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", strerror(errnum));
    }
    return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return ERR_FAILED;
    char old[ERR_MSG_MAX];
    memcpy(old, err->msg, sizeof(old));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->msg)) {
        size_t room = sizeof(err->msg) - (size_t)n; /* what does not fit is cut */
        snprintf(err->msg + n, room, ": %.*s", (int)room, old);
    }
    return err->code;
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[ERR_MSG_MAX];
    int n = snprintf(text, sizeof(text), "BUG at %s:%d: ", file, line);
    va_list ap;
    va_start(ap, fmt);
    if (n > 0)
        vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = strlen(text);
    text[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, len);
    (void)ignored;
    abort();
}
