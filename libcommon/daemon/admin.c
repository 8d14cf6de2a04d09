/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/admin.h"

#include <sys/types.h>
#include <unistd.h>

#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/conn.h"
#include "libcommon/event/listen.h"

#define LINE_MAX_BYTES 4096
#define WORDS_MAX      32
#define COMMANDS_MAX   64

/* ---- one line ---- */

static int split_words(char *line, char **argv)
{
    int argc = 0;
    char *save = NULL;
    for (char *w = strtok_r(line, " \t\r\n", &save); w && argc < WORDS_MAX;
         w = strtok_r(NULL, " \t\r\n", &save))
        argv[argc++] = w;
    return argc;
}

static void print_help(const struct admin_table *tables, size_t count, struct buf *out)
{
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct admin_command *c = &tables[t].commands[i];
            size_t start = out->len;
            buf_printf(out, "%s %s", c->name, c->args);
            size_t used = out->len - start;
            buf_printf(out, "%*s %s\n", used < 28 ? (int)(28 - used) : 0, "", c->help);
        }
    }
}

static const struct admin_command *find_command(const struct admin_table *tables, size_t count,
                                                const char *name, void **ret_state)
{
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            if (strcmp(tables[t].commands[i].name, name) == 0) {
                *ret_state = tables[t].state;
                return &tables[t].commands[i];
            }
    return NULL;
}

static int unknown(const struct admin_table *tables, size_t count, const char *name,
                   struct err *err)
{
    const char *names[COMMANDS_MAX];
    size_t n = 0;
    names[n++] = "help";
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count && n < COMMANDS_MAX; i++)
            names[n++] = tables[t].commands[i].name;
    const char *near = str_nearest(name, names, n);
    return err_set(err, ERR_USAGE, "no command \"%s\"%s%s%s", name, near ? " (did you mean " : "",
                   near ? near : " (try help)", near ? "?)" : "");
}

static int run(const struct admin_table *tables, size_t count, char **argv, int argc,
               struct buf *out, struct err *err)
{
    void *state = NULL;
    const struct admin_command *command = find_command(tables, count, argv[0], &state);
    if (command)
        return command->run(state, argc, argv, out, err);
    if (strcmp(argv[0], "help") != 0)
        return unknown(tables, count, argv[0], err);
    print_help(tables, count, out);
    return 0;
}

void admin_run_line(const struct admin_table *tables, size_t count, struct slice line,
                    struct buf *out)
{
    char copy[LINE_MAX_BYTES], *argv[WORDS_MAX];
    struct err err = {0};
    if (line.len >= sizeof(copy)) {
        buf_append_str(out, "error: line is too long\n");
        return;
    }
    memcpy(copy, line.data, line.len);
    copy[line.len] = 0;
    int argc = split_words(copy, argv);
    if (argc == 0)
        return;
    if (run(tables, count, argv, argc, out, &err) != 0) {
        buf_printf(out, "error: %s\n", err.msg);
        return;
    }
    if (out->len && out->data[out->len - 1] != '\n')
        buf_append_byte(out, '\n');
    buf_append_str(out, "ok\n");
}

/* ---- the socket ---- */

struct admin_server {
    struct loop *loop;
    struct listener *listener;
    struct admin_table tables[ADMIN_TABLES_MAX];
    size_t table_count;
    struct list sessions;
    struct loop_task reap;
};

struct session {
    struct list link;
    struct admin_server *server; /* NULL once the server is closed */
    struct conn *conn;
};

static void on_data(struct conn *conn, struct buf *in, void *arg)
{
    struct session *session = arg;
    struct admin_server *server = session->server;
    size_t used = 0;
    const uint8_t *end;
    struct buf out = BUF_INIT;
    while (server && (end = memchr(in->data + used, '\n', in->len - used))) {
        struct slice line = slice_of(in->data + used, (size_t)(end - in->data) - used);
        admin_run_line(server->tables, server->table_count, line, &out);
        used += line.len + 1;
    }
    buf_consume(in, used);
    conn_send_buf(conn, &out);
}

static void on_close(struct conn *conn, int code, void *arg)
{
    (void)conn, (void)code;
    struct session *session = arg;
    list_remove(&session->link);
    mem_free(session);
}

static const struct conn_ops session_ops = {.on_data = on_data, .on_close = on_close};

static void on_accept(int fd, const struct sock_addr *peer, void *arg)
{
    (void)peer;
    struct admin_server *server = arg;
    uid_t uid = (uid_t)-1;
    pid_t pid;
    if (sock_peer_cred(fd, &uid, &pid) != 0 || (uid != 0 && uid != geteuid())) {
        log_warn("admin", "refused user %d at the console", (int)uid);
        close(fd);
        return;
    }
    struct session *session = mem_calloc(1, sizeof(*session));
    if (!session) {
        close(fd);
        return;
    }
    session->server = server;
    session->conn = conn_new(server->loop, fd, &session_ops, session);
    if (!session->conn) {
        mem_free(session);
        return;
    }
    conn_set_limits(session->conn, (struct conn_limits){.in_max_bytes = LINE_MAX_BYTES});
    list_push_back(&server->sessions, &session->link);
}

int admin_server_open(struct loop *loop, const char *path, const struct admin_table *tables,
                      size_t count, struct admin_server **ret, struct err *err)
{
    BUG_ON(count > ADMIN_TABLES_MAX);
    struct admin_server *server = mem_calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, ERR_NOMEM, "out of memory");
    server->loop = loop;
    list_init(&server->sessions);
    memcpy(server->tables, tables, count * sizeof(*tables));
    server->table_count = count;
    struct listen_conf conf = {.address = path, .on_accept = on_accept, .arg = server};
    int rc = listen_open(loop, &conf, &server->listener, err);
    if (rc != 0) {
        mem_free(server);
        return rc;
    }
    *ret = server;
    return 0;
}

static void free_server(void *arg)
{
    mem_free(arg);
}

void admin_server_close(struct admin_server *server)
{
    if (!server)
        return;
    listen_close(server->listener);
    list_each_safe (&server->sessions, it) {
        struct session *session = list_entry(it, struct session, link);
        session->server = NULL;
        list_remove(it);
        conn_abort(session->conn);
    }
    loop_defer(server->loop, &server->reap, free_server, server);
}
