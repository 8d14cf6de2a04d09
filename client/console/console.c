/* SPDX-License-Identifier: Apache-2.0
 * quern console: one command to a daemon's admin console, its answer to stdout. */
#include <errno.h>
#include <unistd.h>

#include "client/command.h"
#include "client/help/asked.h"
#include "libcommon/base/clock.h"
#include "libcommon/daemon/config.h"
#include "libcommon/event/sock.h"

#define ANSWER_MS 600000

static bool exists(struct buf *path)
{
    const char *text = buf_cstr(path);
    return text && access(text, F_OK) == 0;
}

/* "namenode" -> RUN/namenode.sock beside the configuration file (a local cluster's), then in
 * /run/quern; a path is itself. */
static int find_socket(const char *daemon, struct buf *path, struct err *err)
{
    struct buf conf = BUF_INIT;
    if (strchr(daemon, '/')) {
        buf_append_str(path, daemon);
        return buf_cstr(path) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc = config_find(NULL, &conf, err);
    if (rc == 0 && conf.len) {
        const char *text = buf_cstr(&conf), *slash = strrchr(text, '/');
        buf_printf(path, "%.*srun/%s.sock", slash ? (int)(slash - text) + 1 : 0, text, daemon);
    }
    buf_release(&conf);
    if (rc != 0 || exists(path))
        return rc;
    buf_clear(path);
    buf_printf(path, "/run/quern/%s.sock", daemon);
    return exists(path) ? 0
                        : err_set(err, ERR_NOENT,
                                  "no console of a %s is here (a path of a socket "
                                  "may be given instead)",
                                  daemon);
}

static void make_line(int argc, char **argv, struct buf *line)
{
    for (int i = 0; i < argc; i++)
        buf_printf(line, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
}

/* The answer ends with a line "ok" or "error: why". 1 = ended well, 0 = goes on. */
static int look_for_end(const struct buf *answer, size_t *ret_body, struct err *err)
{
    if (answer->len == 0 || answer->data[answer->len - 1] != '\n')
        return 0;
    const uint8_t *before = memrchr(answer->data, '\n', answer->len - 1);
    size_t at = before ? (size_t)(before - answer->data) + 1 : 0;
    struct slice last = slice_of(answer->data + at, answer->len - at - 1);
    *ret_body = at;
    if (slice_is(last, "ok"))
        return 1;
    struct slice error = slice_str("error: ");
    if (!slice_has_prefix(last, error))
        return 0;
    last = slice_of(last.data + error.len, last.len - error.len);
    return err_set(err, ERR_FAILED, SLICE_FMT, SLICE_ARG(last));
}

static int converse(int fd, const struct buf *line, struct buf *answer, struct err *err)
{
    uint64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
    size_t body = 0;
    int rc = sock_send_all(fd, line->data, line->len, deadline_ms);
    int ended = 0;
    while (rc == 0 && ended == 0) {
        uint8_t *to = buf_reserve(answer, 16 << 10);
        ssize_t n = to ? sock_recv_some(fd, to, 16 << 10, deadline_ms) : ERR_NOMEM;
        if (n < 0)
            rc = err_set(err, (int)n, "the daemon went away: %s", err_text((int)n));
        else
            answer->len += (size_t)n;
        ended = rc == 0 ? look_for_end(answer, &body, err) : 0;
    }
    fwrite(answer->data, 1, body, stdout);
    return rc != 0 ? rc : ended < 0 ? ended : 0;
}

static int ask(int argc, char **argv, struct err *err)
{
    struct buf path = BUF_INIT, line = BUF_INIT, answer = BUF_INIT;
    int fd = -1;
    int rc = find_socket(argv[0], &path, err);
    make_line(argc - 1, argv + 1, &line);
    if (rc == 0)
        rc = sock_connect(buf_cstr(&path), clock_mono_ms() + 5000, &fd, err);
    if (rc == 0)
        rc = converse(fd, &line, &answer, err);
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    buf_release(&line);
    buf_release(&answer);
    return rc;
}

int cmd_console(int argc, char **argv)
{
    struct err err = {0};
    if (argc >= 2 && help_is_asked(argv[1])) {
        printf("usage: quern console DAEMON COMMAND [WORD...]\n\n"
               "DAEMON is namenode, datanode1, worker2 ... of the local cluster, a daemon of this\n"
               "host with its socket in /run/quern, or the path of a socket. COMMAND help lists\n"
               "what it can be asked: info, config, metrics, faults, log, reload, sleep, crash.\n");
        return 0;
    }
    if (argc < 3) {
        fprintf(stderr, "quern console: want DAEMON COMMAND (--help tells more)\n");
        return EXIT_USAGE;
    }
    if (ask(argc - 1, argv + 1, &err) == 0)
        return 0;
    fprintf(stderr, "quern console: %s: %s\n", argv[1], err.msg);
    return 1;
}
