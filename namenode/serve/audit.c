/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define FLUSH_BYTES (64U << 10)
#define FLUSH_MS    1000

static int open_file(const char *path, int *ret_fd, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_errno(err, errno, "cannot open the audit log %s", path);
    *ret_fd = fd;
    return 0;
}

static void on_timer(void *arg)
{
    nn_audit_flush(arg);
}

int nn_audit_open(struct nn_audit *audit, struct loop *loop, const char *path, struct err *err)
{
    *audit = (struct nn_audit){.fd = -1};
    if (!path || !path[0])
        return 0;
    audit->path = slice_dup(slice_str(path));
    if (!audit->path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = open_file(path, &audit->fd, err);
    if (rc == 0 && loop_every(loop, &audit->timer, FLUSH_MS, on_timer, audit) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        nn_audit_close(audit);
    return rc;
}

void nn_audit_close(struct nn_audit *audit)
{
    nn_audit_flush(audit);
    loop_timer_stop(&audit->timer);
    if (audit->fd >= 0)
        close(audit->fd);
    audit->fd = -1;
    mem_free(audit->path);
    audit->path = NULL;
    buf_release(&audit->lines);
}

int nn_audit_reopen(struct nn_audit *audit, struct err *err)
{
    int fd = -1;
    if (!audit->path)
        return 0;
    nn_audit_flush(audit);
    int rc = open_file(audit->path, &fd, err);
    if (rc != 0)
        return rc;
    close(audit->fd);
    audit->fd = fd;
    return 0;
}

void nn_audit_flush(struct nn_audit *audit)
{
    size_t done = 0;
    while (audit->fd >= 0 && done < audit->lines.len) {
        ssize_t n = write(audit->fd, audit->lines.data + done, audit->lines.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (!audit->has_failed)
                log_error("nn.audit", "%s: %s: lines are being lost", audit->path,
                          err_text(err_from_errno(errno)));
            audit->has_failed = true;
            break;
        }
        done += (size_t)n;
        audit->has_failed = false;
    }
    buf_clear(&audit->lines);
}

static const char *time_text(struct nn_audit *audit, uint64_t wall_ms)
{
    if (audit->time_ms == wall_ms)
        return audit->time_text;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[24] = "";
    if (localtime_r(&seconds, &tm))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(audit->time_text, sizeof(audit->time_text), "%s,%03u", text,
             (unsigned)(wall_ms % 1000));
    audit->time_ms = wall_ms;
    return audit->time_text;
}

static void put_name(struct buf *out, const char *key, struct slice name)
{
    buf_append_str(out, key);
    if (!name.data) {
        buf_append_str(out, "null");
        return;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f || name.data[i] == '\\')
            buf_printf(out, "\\x%02x", name.data[i]);
        else
            buf_append_byte(out, name.data[i]);
    }
}

/* "10.0.0.5:41234" is shown without its port; who came through the socket is on this machine. */
static struct slice host_of(const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        return slice_str("127.0.0.1");
    const char *colon = strrchr(address, ':');
    return slice_of(address, colon ? (size_t)(colon - address) : strlen(address));
}

void nn_audit_add(struct nn_audit *audit, const struct nn_audit_line *line, uint64_t wall_ms)
{
    struct buf *out = &audit->lines;
    if (audit->fd < 0)
        return;
    buf_append_str(out, time_text(audit, wall_ms));
    buf_append_str(out, line->is_allowed ? " INFO FSNamesystem.audit: allowed=true\t"
                                         : " INFO FSNamesystem.audit: allowed=false\t");
    put_name(out, "ugi=", slice_str(line->user));
    put_name(out, " (auth:SIMPLE)\tip=/", host_of(line->address));
    put_name(out, "\tcmd=", slice_str(line->command));
    put_name(out, "\tsrc=", line->source);
    put_name(out, "\tdst=", line->target);
    buf_append_str(out, "\tperm=null\tproto=rpc\n");
    if (out->len >= FLUSH_BYTES || buf_failed(out))
        nn_audit_flush(audit);
}
