/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/event/listen.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64
#define PAUSE_MS         100
#define UNIX_PROBE_MS    200
#define OWNER_TEXT_MAX   128

struct listener {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_timer pause;
    int fd;
    listen_fn *on_accept;
    void *arg;
    char address[SOCK_TEXT_MAX];
};

/* ---- who has the address? ---- */

/* The inode of the socket that listens on this TCP port, from /proc/net/tcp or tcp6; 0 = not seen.
 */
static uint64_t inode_of_port(const char *table, unsigned port)
{
    FILE *file = fopen(table, "re");
    if (!file)
        return 0;
    char line[512];
    unsigned long long inode = 0;
    while (inode == 0 && fgets(line, sizeof(line), file)) {
        /* sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode; st 0A listens
         */
        unsigned line_port, state;
        unsigned long long line_inode;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %llu", &line_port,
                   &state, &line_inode) == 3 &&
            line_port == port && state == 0x0a)
            inode = line_inode;
    }
    fclose(file);
    return inode;
}

static bool has_socket(const char *pid, const char *wanted)
{
    char path[40], target[64], name[64];
    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return false; /* another user's process, or gone */
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir))) {
        snprintf(name, sizeof(name), "%s/%.20s", path, entry->d_name);
        ssize_t n = readlink(name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = 0;
            found = strcmp(target, wanted) == 0;
        }
    }
    closedir(dir);
    return found;
}

static void describe_process(const char *pid, char out[OWNER_TEXT_MAX])
{
    char path[40], name[32] = "?";
    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof(name), file))
            name[strcspn(name, "\n")] = 0;
        fclose(file);
    }
    snprintf(out, OWNER_TEXT_MAX, "process %.16s (%s)", pid, name);
}

/* "process 4711 (java)", or "another process" when we may not see it. */
static void find_owner(unsigned port, char out[OWNER_TEXT_MAX])
{
    snprintf(out, OWNER_TEXT_MAX, "another process");
    uint64_t inode = inode_of_port("/proc/net/tcp", port);
    if (inode == 0)
        inode = inode_of_port("/proc/net/tcp6", port);
    DIR *proc = inode ? opendir("/proc") : NULL;
    if (!proc)
        return;
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)inode);
    const struct dirent *entry;
    while ((entry = readdir(proc))) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !has_socket(entry->d_name, wanted))
            continue;
        describe_process(entry->d_name, out);
        break;
    }
    closedir(proc);
}

/* ---- binding ---- */

static unsigned port_of(const struct sock_addr *addr)
{
    if (addr->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
    if (addr->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
    return 0;
}

/* A path in the way: if somebody answers there it is taken, if not it is left over from a dead
 * process and goes. Anything but a socket is not ours to remove. */
static int clear_unix_path(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "cannot listen on %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_EXIST, "cannot listen on %s: a file that is no socket is there",
                       path);
    int fd = -1;
    int rc = sock_connect(path, clock_mono_ms() + UNIX_PROBE_MS, &fd, NULL);
    if (rc == ERR_REFUSED || rc == ERR_NOENT)
        return unlink(path) == 0 || errno == ENOENT
                   ? 0
                   : err_errno(err, errno, "cannot remove the stale socket %s", path);
    char owner[OWNER_TEXT_MAX] = "another process", pid_text[16];
    pid_t pid;
    if (rc == 0 && sock_peer_cred(fd, NULL, &pid) == 0) {
        snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
        describe_process(pid_text, owner);
    }
    if (fd >= 0)
        close(fd);
    return err_set(err, ERR_BUSY, "%s is taken by %s", path, owner);
}

static int bind_failed(const struct sock_addr *addr, const char *address, int errnum,
                       struct err *err)
{
    char owner[OWNER_TEXT_MAX];
    if (errnum != EADDRINUSE)
        return err_errno(err, errnum, "cannot listen on %s", address);
    if (!err) /* who asks each process for its descriptors takes a while */
        return ERR_BUSY;
    find_owner(port_of(addr), owner);
    return err_set(err, ERR_BUSY, "%s is taken by %s", address, owner);
}

static int bind_to(int fd, const struct sock_addr *addr, const char *address, struct err *err)
{
    int one = 1;
    if (addr->storage.ss_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
                         sizeof(one)); /* bind tells if needed */
    return bind(fd, (const struct sockaddr *)&addr->storage, addr->len) == 0
               ? 0
               : bind_failed(addr, address, errno, err);
}

static int bind_and_listen(int fd, const struct sock_addr *addr, const char *address,
                           unsigned unix_mode, struct err *err)
{
    bool is_unix = addr->storage.ss_family == AF_UNIX;
    int rc = bind_to(fd, addr, address, err);
    if (rc != 0)
        return rc;
    /* before listen(): until then nobody can connect, whatever the mode */
    if (is_unix && chmod(address, unix_mode ? unix_mode : 0600) != 0)
        return err_errno(err, errno, "cannot listen on %s", address);
    if (listen(fd, BACKLOG) != 0)
        return bind_failed(addr, address, errno, err);
    return 0;
}

int listen_try(const char *address, struct err *err)
{
    struct sock_addr addr;
    int rc = sock_resolve(address, false, &addr, err);
    if (rc != 0)
        return rc;
    int fd = socket(addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, "cannot listen on %s", address);
    rc = bind_to(fd, &addr, address, err);
    close(fd);
    return rc;
}

int listen_socket(const char *address, unsigned unix_mode, int *ret_fd,
                  char ret_bound[SOCK_TEXT_MAX], struct err *err)
{
    struct sock_addr addr;
    int rc = sock_resolve(address, false, &addr, err);
    if (rc == 0 && addr.storage.ss_family == AF_UNIX)
        rc = clear_unix_path(address, err);
    if (rc != 0)
        return rc;
    int fd = socket(addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "cannot listen on %s", address);
    rc = bind_and_listen(fd, &addr, address, unix_mode, err);
    if (rc == 0) {
        addr.len = sizeof(addr.storage);
        if (getsockname(fd, (struct sockaddr *)&addr.storage, &addr.len) != 0)
            rc = err_errno(err, errno, "cannot listen on %s", address);
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    sock_addr_text(&addr, ret_bound, SOCK_TEXT_MAX);
    *ret_fd = fd;
    return 0;
}

/* ---- accepting ---- */

static void on_pause_over(void *arg)
{
    struct listener *listener = arg;
    if (loop_watch_change(listener->watch, LOOP_READ) != 0 &&
        loop_after(listener->loop, &listener->pause, PAUSE_MS, on_pause_over, listener) != 0)
        log_error("listen", "%s: accepts no more: out of memory", listener->address);
}

/* The connection stays in the queue and readable: without a pause we would spin on it. */
static void pause_accepting(struct listener *listener, int errnum)
{
    log_warn("listen", "%s: cannot accept: %s; trying again in %d ms", listener->address,
             strerror(errnum), PAUSE_MS);
    if (loop_after(listener->loop, &listener->pause, PAUSE_MS, on_pause_over, listener) == 0)
        (void)loop_watch_change(listener->watch, 0); /* taking away cannot fail */
}

static void on_readable(int fd, unsigned ready, void *arg)
{
    (void)ready;
    struct listener *listener = arg;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sock_addr peer = {.len = sizeof(peer.storage)};
        int got =
            accept4(fd, (struct sockaddr *)&peer.storage, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got >= 0) {
            listener->on_accept(got, &peer, listener->arg);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener, errno);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN, or an error of that one connection */
        }
    }
}

int listen_open(struct loop *loop, const struct listen_conf *conf, struct listener **ret,
                struct err *err)
{
    struct listener *listener = mem_calloc(1, sizeof(*listener));
    if (!listener)
        return err_set(err, ERR_NOMEM, "cannot listen on %s: out of memory", conf->address);
    listener->loop = loop;
    listener->on_accept = conf->on_accept;
    listener->arg = conf->arg;
    int rc = listen_socket(conf->address, conf->unix_mode, &listener->fd, listener->address, err);
    if (rc != 0)
        goto fail_socket;
    listener->watch = loop_watch(loop, listener->fd, LOOP_READ, on_readable, listener);
    if (!listener->watch) {
        rc = err_set(err, ERR_NOMEM, "cannot listen on %s: out of memory", conf->address);
        goto fail_watch;
    }
    *ret = listener;
    return 0;

fail_watch:
    close(listener->fd);
fail_socket:
    mem_free(listener);
    return rc;
}

const char *listen_address(const struct listener *listener)
{
    return listener->address;
}

uint16_t listen_port(const struct listener *listener)
{
    struct sock_addr addr;
    return sock_resolve(listener->address, true, &addr, NULL) == 0 ? (uint16_t)port_of(&addr) : 0;
}

void listen_close(struct listener *listener)
{
    if (!listener)
        return;
    loop_unwatch(listener->watch);
    loop_timer_stop(&listener->pause);
    close(listener->fd);
    if (listener->address[0] == '/')
        (void)unlink(listener->address); /* whoever starts next copes with it, too */
    mem_free(listener);
}
