/* SPDX-License-Identifier: Apache-2.0
 * sock: addresses, and blocking socket calls for client libraries and byte-moving threads.
 *
 * Addresses are text everywhere: "host:port", "[::1]:port", ":port" (any address, to listen on),
 * or the path of a unix socket ("/run/x.sock", beginning with a slash).
 *
 * Deadlines are absolute clock_mono_ms times; SOCK_FOREVER waits without end. The calls take
 * blocking and non-blocking descriptors alike, go on after EINTR, and never raise SIGPIPE. All may
 * be called from any thread. Codes: ERR_TIMEOUT, ERR_EOF (the peer closed before the first byte),
 * ERR_CLOSED (closed or reset in the middle), ERR_IO and the like. */
#ifndef QUERN_EVENT_SOCK_H
#define QUERN_EVENT_SOCK_H

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "libcommon/base/slice.h"

#define SOCK_FOREVER  UINT64_MAX
#define SOCK_TEXT_MAX 128
#define SOCK_FDS_MAX  16

struct sock_addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* Resolves (may ask DNS and block, unless numeric_only: ERR_RETRY then for a name). `port` 0 is
 * fine. ERR_INVAL or ERR_UNREACHABLE with a message that quotes the address. */
int sock_resolve(const char *address, bool numeric_only, struct sock_addr *ret, struct err *err);
/* "10.0.0.5:8020", "[::1]:8020", "/run/x.sock", or "unix" for a nameless one. */
char *sock_addr_text(const struct sock_addr *addr, char *out, size_t cap);
/* 127.0.0.0/8, ::1, or a unix socket. */
bool sock_addr_is_local(const struct sock_addr *addr);
/* Would listening there stay on this machine? By the text alone, resolving names. */
int sock_is_local(const char *address, bool *ret, struct err *err);

/* A connected, non-blocking, close-on-exec socket with TCP_NODELAY. err: "cannot reach ADDRESS:
 * why". ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT, ERR_NOENT (no such unix socket). */
int sock_connect(const char *address, uint64_t deadline_ms, int *ret_fd, struct err *err);
/* The same, shown from the first moment on: another thread may shut it down to end the wait. -1
 * again when it comes to nothing. */
int sock_connect_shown(const char *address, uint64_t deadline_ms, atomic_int *ret_fd,
                       struct err *err);
/* The first half of it, for loops: 0 connected at once, ERR_RETRY when the socket must become
 * writable first (then sock_connected tells how it went). Gives *ret_fd in both cases. */
int sock_connect_start(const struct sock_addr *addr, int *ret_fd);
int sock_connected(int fd);

int sock_send_all(int fd, const void *data, size_t len, uint64_t deadline_ms);
/* Sends all pieces; changes the iovecs as it goes. */
int sock_writev_all(int fd, struct iovec *iov, size_t count, uint64_t deadline_ms);
int sock_recv_exact(int fd, void *data, size_t len, uint64_t deadline_ms);
/* At least one byte; the count, or a negative code (ERR_EOF when the peer has closed). */
ssize_t sock_recv_some(int fd, void *data, size_t len, uint64_t deadline_ms);

/* Unix sockets: at least one byte and up to SOCK_FDS_MAX descriptors go together. Sending borrows
 * the descriptors. Receiving gives them (close-on-exec); more than SOCK_FDS_MAX: all are closed
 * and the call fails with ERR_PROTO. `len` bytes are received exactly. A plain receive that runs
 * over the bytes the descriptors came with loses them: read exactly up to there. */
int sock_send_fds(int fd, struct slice data, const int *fds, size_t count, uint64_t deadline_ms);
struct sock_fds {
    int fd[SOCK_FDS_MAX];
    size_t count;
};
int sock_recv_fds(int fd, void *data, size_t len, struct sock_fds *ret, uint64_t deadline_ms);

/* Kernel buffers in bytes; 0 leaves one alone (and TCP's own tuning on). */
int sock_set_buffers(int fd, size_t send_bytes, size_t recv_bytes);
/* Who is at the other end of a unix socket. ERR_UNSUPPORTED on TCP. */
int sock_peer_cred(int fd, uid_t *ret_uid, pid_t *ret_pid);
/* A quiet peer whose machine is gone is noticed after about two minutes. */
void sock_set_keepalive(int fd);
/* Small frames leave at once. Between two processes of one machine nothing is ever lost, so the
 * plainest congestion control is the cheapest; those that pace (BBR) would hold bytes back. Not
 * getting either is only slower. */
void sock_tune_tcp(int fd, const struct sock_addr *peer);

#endif
