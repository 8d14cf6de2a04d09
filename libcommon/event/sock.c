/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/event/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

/* ---- addresses ---- */

static int resolve_unix(const char *path, struct sock_addr *ret, struct err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&ret->storage;
    size_t len = strlen(path);
    if (len >= sizeof(un->sun_path))
        return err_set(err, ERR_INVAL, "%s: the path of a unix socket has at most %zu bytes", path,
                       sizeof(un->sun_path) - 1);
    *ret = (struct sock_addr){0};
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

/* "host:port" or "[v6]:port" in two; host has room for HOST_MAX. */
#define HOST_MAX 256
static int split(const char *address, char host[HOST_MAX], const char **ret_port, struct err *err)
{
    const char *colon = strrchr(address, ':'), *begin = address, *end = colon;
    if (!colon)
        return err_set(err, ERR_INVAL, "\"%s\" is not an address: host:port or /path is wanted",
                       address);
    if (*address == '[') {
        if (end == address || end[-1] != ']')
            return err_set(err, ERR_INVAL, "\"%s\": [address]:port is wanted", address);
        begin++, end--;
    }
    size_t len = (size_t)(end - begin);
    if (len >= HOST_MAX)
        return err_set(err, ERR_INVAL, "\"%s\": the host name is too long", address);
    memcpy(host, begin, len);
    host[len] = 0;
    uint64_t port;
    if (str_to_u64(colon + 1, &port) != 0 || port > 65535)
        return err_set(err, ERR_INVAL, "\"%s\": the port must be a number up to 65535", address);
    *ret_port = colon + 1;
    return 0;
}

/* The first IPv4 address, else the first of any kind: one that answers on every machine. */
static const struct addrinfo *choose(const struct addrinfo *list)
{
    for (const struct addrinfo *at = list; at; at = at->ai_next)
        if (at->ai_family == AF_INET)
            return at;
    return list;
}

int sock_resolve(const char *address, bool numeric_only, struct sock_addr *ret, struct err *err)
{
    char host[HOST_MAX] = "";
    const char *port = "";
    if (*address == '/')
        return resolve_unix(address, ret, err);
    int rc = split(address, host, &port, err);
    if (rc != 0)
        return rc;
    /* RFC 6761: localhost is the loopback whatever a resolver thinks */
    const char *node = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
    if (!*node) {
        node = "0.0.0.0";
    } else if (numeric_only) {
        hints.ai_flags |= AI_NUMERICHOST;
    }
    int gai = getaddrinfo(node, port, &hints, &list);
    if (gai != 0) {
        if (numeric_only && gai == EAI_NONAME)
            return ERR_RETRY;
        return err_set(err, ERR_UNREACHABLE, "cannot find host \"%s\": %s", host,
                       gai == EAI_SYSTEM ? strerror(errno) : gai_strerror(gai));
    }
    const struct addrinfo *chosen = choose(list);
    *ret = (struct sock_addr){.len = chosen->ai_addrlen};
    memcpy(&ret->storage, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

char *sock_addr_text(const struct sock_addr *addr, char *out, size_t cap)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (addr->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        snprintf(out, cap, "%s:%u", ip, ntohs(in->sin_port));
    } else if (addr->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&addr->storage;
        inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip));
        snprintf(out, cap, "[%s]:%u", ip, ntohs(in->sin6_port));
    } else {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
        bool has_path = addr->len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0];
        snprintf(out, cap, "%s", has_path ? un->sun_path : "unix");
    }
    return out;
}

bool sock_addr_is_local(const struct sock_addr *addr)
{
    if (addr->storage.ss_family == AF_UNIX)
        return true;
    if (addr->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->storage;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&addr->storage;
    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
        return in->sin6_addr.s6_addr[12] == 127;
    return addr->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
}

int sock_is_local(const char *address, bool *ret, struct err *err)
{
    struct sock_addr addr;
    int rc = sock_resolve(address, false, &addr, err);
    if (rc == 0)
        *ret = sock_addr_is_local(&addr);
    return rc;
}

/* ---- waiting ---- */

/* Until fd is ready: 0 or ERR_TIMEOUT. POLLERR and POLLHUP count as ready: the call then tells. */
static int wait_ready(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        int wait_ms = -1;
        if (deadline_ms != SOCK_FOREVER) {
            uint64_t now_ms = clock_mono_ms();
            if (now_ms >= deadline_ms)
                return ERR_TIMEOUT;
            uint64_t left_ms = deadline_ms - now_ms;
            wait_ms = left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
        }
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int n = poll(&poll_fd, 1, wait_ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
    }
}

static bool would_block(int errnum)
{
    return errnum == EAGAIN || errnum == EWOULDBLOCK;
}

static int code_of(int errnum)
{
    return errnum == EPIPE || errnum == ECONNRESET ? ERR_CLOSED : err_from_errno(errnum);
}

/* A call on fd has just failed, by errno: 0 = call again, it is ready or was only interrupted. */
static int wait_to_repeat(int fd, short events, uint64_t deadline_ms)
{
    if (would_block(errno))
        return wait_ready(fd, events, deadline_ms);
    return errno == EINTR ? 0 : code_of(errno);
}

/* ---- connecting ---- */

void sock_tune_tcp(int fd, const struct sock_addr *peer)
{
    static const char loopback_control[] = "reno";
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (sock_addr_is_local(peer))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, loopback_control,
                         sizeof(loopback_control) - 1);
}

int sock_connect_start(const struct sock_addr *addr, int *ret_fd)
{
    int family = addr->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_from_errno(errno);
    if (family != AF_UNIX)
        sock_tune_tcp(fd, addr);
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) == 0) {
        *ret_fd = fd;
        return 0;
    }
    if (errno == EINPROGRESS) {
        *ret_fd = fd;
        return ERR_RETRY;
    }
    /* EAGAIN on a unix socket: its queue of connections is full, which only time can change */
    int code = would_block(errno) ? ERR_BUSY : err_from_errno(errno);
    close(fd);
    return code;
}

int sock_connected(int fd)
{
    int errnum = 0;
    socklen_t len = sizeof(errnum);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
        errnum = errno;
    return errnum == 0 ? 0 : err_from_errno(errnum);
}

int sock_connect_shown(const char *address, uint64_t deadline_ms, atomic_int *ret_fd,
                       struct err *err)
{
    struct sock_addr addr = {.len = 0};
    int fd = -1, rc = sock_resolve(address, false, &addr, err);
    if (rc != 0)
        return err_wrap(err, "cannot reach %s", address), rc;
    while ((rc = sock_connect_start(&addr, &fd)) == ERR_BUSY && clock_mono_ms() < deadline_ms)
        poll(NULL, 0, 10);
    atomic_store(ret_fd, fd);
    if (rc == ERR_RETRY) {
        rc = wait_ready(fd, POLLOUT, deadline_ms);
        if (rc == 0)
            rc = sock_connected(fd);
        if (rc != 0) {
            atomic_store(ret_fd, -1);
            close(fd);
        }
    }
    return rc == 0 ? 0 : err_set(err, rc, "cannot reach %s: %s", address, err_text(rc));
}

int sock_connect(const char *address, uint64_t deadline_ms, int *ret_fd, struct err *err)
{
    atomic_int fd = -1;
    int rc = sock_connect_shown(address, deadline_ms, &fd, err);
    if (rc == 0)
        *ret_fd = atomic_load(&fd);
    return rc;
}

/* ---- moving bytes ---- */

int sock_writev_all(int fd, struct iovec *iov, size_t count, uint64_t deadline_ms)
{
    while (count > 0) {
        if (iov->iov_len == 0) {
            iov++, count--;
            continue;
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count < 64 ? count : 64};
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            int rc = wait_to_repeat(fd, POLLOUT, deadline_ms);
            if (rc != 0)
                return rc;
            continue;
        }
        for (size_t left = (size_t)n; left > 0;) {
            size_t step = left < iov->iov_len ? left : iov->iov_len;
            if (step)
                iov->iov_base = (char *)iov->iov_base + step;
            iov->iov_len -= step;
            left -= step;
            if (iov->iov_len == 0)
                iov++, count--;
        }
    }
    return 0;
}

int sock_send_all(int fd, const void *data, size_t len, uint64_t deadline_ms)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return sock_writev_all(fd, &iov, 1, deadline_ms);
}

ssize_t sock_recv_some(int fd, void *data, size_t len, uint64_t deadline_ms)
{
    for (;;) {
        ssize_t n = recv(fd, data, len, MSG_DONTWAIT);
        if (n > 0)
            return n;
        if (n == 0)
            return len == 0 ? 0 : ERR_EOF;
        int rc = wait_to_repeat(fd, POLLIN, deadline_ms);
        if (rc != 0)
            return rc;
    }
}

int sock_recv_exact(int fd, void *data, size_t len, uint64_t deadline_ms)
{
    uint8_t *at = data;
    size_t left = len;
    while (left > 0) {
        ssize_t n = sock_recv_some(fd, at, left, deadline_ms);
        if (n < 0)
            return n == ERR_EOF && left < len ? ERR_CLOSED : (int)n;
        at += n;
        left -= (size_t)n;
    }
    return 0;
}

/* ---- descriptors ---- */

union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
};

int sock_send_fds(int fd, struct slice data, const int *fds, size_t count, uint64_t deadline_ms)
{
    if (data.len == 0 || count == 0 || count > SOCK_FDS_MAX)
        return ERR_INVAL;
    union control control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data.data, .iov_len = data.len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    for (;;) {
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) /* the descriptors went with the first bytes */
            return sock_send_all(fd, data.data + n, data.len - (size_t)n, deadline_ms);
        int rc = wait_to_repeat(fd, POLLOUT, deadline_ms);
        if (rc != 0)
            return rc;
    }
}

static void close_all(struct sock_fds *fds)
{
    while (fds->count > 0)
        close(fds->fd[--fds->count]);
}

/* Descriptors of one received message into *ret; false when there were more than fit. */
static bool take_fds(struct msghdr *msg, struct sock_fds *ret)
{
    bool fits = !(msg->msg_flags & MSG_CTRUNC); /* the kernel has closed what did not fit */
    for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            if (ret->count < SOCK_FDS_MAX) {
                ret->fd[ret->count++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

int sock_recv_fds(int fd, void *data, size_t len, struct sock_fds *ret, uint64_t deadline_ms)
{
    struct sock_fds got = {.count = 0};
    size_t have = 0;
    int rc = 0;
    while (rc == 0 && have < len) {
        union control control;
        struct iovec iov = {.iov_base = (char *)data + have, .iov_len = len - have};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n > 0) {
            have += (size_t)n;
            rc = take_fds(&msg, &got) ? 0 : ERR_PROTO;
        } else if (n == 0) {
            rc = have ? ERR_CLOSED : ERR_EOF;
        } else if (would_block(errno)) {
            rc = wait_ready(fd, POLLIN, deadline_ms);
        } else if (errno != EINTR) {
            rc = code_of(errno);
        }
    }
    if (rc != 0) {
        close_all(&got);
        return rc;
    }
    *ret = got;
    return 0;
}

/* ---- options ---- */

int sock_set_buffers(int fd, size_t send_bytes, size_t recv_bytes)
{
    int send = send_bytes > INT32_MAX ? INT32_MAX : (int)send_bytes;
    int recv = recv_bytes > INT32_MAX ? INT32_MAX : (int)recv_bytes;
    if (send && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send)) != 0)
        return err_from_errno(errno);
    if (recv && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &recv, sizeof(recv)) != 0)
        return err_from_errno(errno);
    return 0;
}

int sock_peer_cred(int fd, uid_t *ret_uid, pid_t *ret_pid)
{
    struct ucred cred;
    struct sockaddr_storage name;
    socklen_t len = sizeof(cred), name_len = sizeof(name);
    /* TCP sockets answer SO_PEERCRED too, with nonsense */
    if (getsockname(fd, (struct sockaddr *)&name, &name_len) != 0)
        return err_from_errno(errno);
    if (name.ss_family != AF_UNIX)
        return ERR_UNSUPPORTED;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return err_from_errno(errno);
    if (ret_uid)
        *ret_uid = cred.uid;
    if (ret_pid)
        *ret_pid = cred.pid;
    return 0;
}

void sock_set_keepalive(int fd)
{
    /* Best effort: without it a vanished peer is noticed later, by the time-outs above us. */
    int on = 1, idle_s = 60, every_s = 20, count = 3;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}
