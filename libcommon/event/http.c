/* SPDX-License-Identifier: Apache-2.0
 * libevent's evhttp does the protocol. What is added: an answer that may come after its client has
 * gone, or after the server was freed, without anybody having to know. */
#include "libcommon/event/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#include "libcommon/base/doing.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/listen.h"
#include "libcommon/event/loop_inside.h"
#include "libcommon/event/thread.h"

#define BODY_MAX_DEFAULT   (1U << 20)
#define HEADERS_MAX        (16U << 10)
#define IDLE_S             60
#define PAUSE_MS           100
#define HOST_MAX           256

#define FRAME_LENGTH_BYTES 4

struct route {
    struct list link;
    const char *prefix;
    size_t len;
    http_handler *handler;
    void *arg;
};

struct allowed_host {
    struct list link;
    char name[];
};

struct http_server {
    struct loop *loop;
    struct evhttp *evhttp;
    struct evconnlistener *listener; /* evhttp's */
    struct loop_timer pause;
    struct http_server *next; /* of this process */
    struct list routes, hosts, requests;
    char address[SOCK_TEXT_MAX];
};

struct param {
    struct list link;
    char *name, *value;
};

struct http_request {
    struct list link;          /* of the server's open requests */
    struct evhttp_request *ev; /* NULL once the server is gone */
    char *path;
    struct list params; /* filled by the first http_query */
    bool has_params;
};

/* ---- a request's life ---- */

static void free_request(struct http_request *req)
{
    while (!list_is_empty(&req->params)) {
        struct param *param = list_first(&req->params, struct param, link);
        list_remove(&param->link);
        free(param->name); /* from libevent's decoder */
        free(param->value);
        mem_free(param);
    }
    list_remove(&req->link);
    free(req->path);
    mem_free(req);
}

/* ---- who may ask what ---- */

static bool is_digits(const char *host)
{
    char bare[HOST_MAX];
    uint8_t addr[16];
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
        host++, len -= 2;
    if (len >= sizeof(bare))
        return false;
    memcpy(bare, host, len);
    bare[len] = 0;
    return inet_pton(AF_INET, bare, addr) == 1 || inet_pton(AF_INET6, bare, addr) == 1;
}

static bool is_host_allowed(const struct http_server *server, const char *host)
{
    char own[HOST_MAX] = "";
    if (!host || !*host) /* HTTP/1.0; a browser always sends it */
        return true;
    if (is_digits(host) || strcasecmp(host, "localhost") == 0)
        return true;
    if (gethostname(own, sizeof(own) - 1) == 0 && strcasecmp(host, own) == 0)
        return true;
    list_each (&server->hosts, it) {
        if (strcasecmp(host, list_entry(it, struct allowed_host, link)->name) == 0)
            return true;
    }
    return false;
}

static bool matches(const struct route *route, const char *path)
{
    if (strncmp(path, route->prefix, route->len) != 0)
        return false;
    char next = path[route->len];
    return next == 0 || next == '/' || (route->len > 0 && route->prefix[route->len - 1] == '/');
}

static const struct route *find_route(const struct http_server *server, const char *path)
{
    const struct route *best = NULL;
    list_each (&server->routes, it) {
        const struct route *route = list_entry(it, struct route, link);
        if (matches(route, path) && (!best || route->len > best->len))
            best = route;
    }
    return best;
}

/* ---- arriving ---- */

static char *decode_path(struct evhttp_request *ev)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    size_t len;
    char *path = evhttp_uridecode(raw && *raw ? raw : "/", 0, &len);
    if (path && (strlen(path) != len || *path != '/')) {
        free(path); /* a %00 in it, or no path at all */
        return NULL;
    }
    return path;
}

static void on_request(struct evhttp_request *ev, void *arg)
{
    struct http_server *server = arg;
    loop_callback_begin(server->loop);
    if (!is_host_allowed(server, evhttp_request_get_host(ev))) {
        evhttp_send_error(ev, 403, "Forbidden: unknown host name");
        return;
    }
    struct http_request *req = mem_calloc(1, sizeof(*req));
    char *path = decode_path(ev);
    if (!req || !path) {
        evhttp_send_error(ev, req ? HTTP_BADREQUEST : HTTP_INTERNAL, NULL);
        mem_free(req);
        free(path);
        return;
    }
    req->ev = ev;
    req->path = path;
    list_init(&req->params);
    list_push_back(&server->requests, &req->link);
    const struct route *route = find_route(server, path);
    if (!route) {
        http_reply_text(req, 404, "nothing at %s\n", path);
        return;
    }
    const char *name = route->prefix;
    doing_set(name, 0);
    route->handler(req, route->arg);
    doing_set(NULL, 0);
    loop_blame(server->loop, name);
}

/* ---- out of descriptors ---- */

/* Of a failed accept libevent tells the evhttp only: this leads from there to our server. */
static struct http_server *servers;
static struct mutex servers_lock = MUTEX_INIT;

static void enlist(struct http_server *server)
{
    mutex_lock(&servers_lock);
    server->next = servers;
    servers = server;
    mutex_unlock(&servers_lock);
}

static void delist(struct http_server *server)
{
    mutex_lock(&servers_lock);
    struct http_server **at = &servers;
    while (*at && *at != server)
        at = &(*at)->next;
    if (*at)
        *at = server->next;
    mutex_unlock(&servers_lock);
}

static struct http_server *server_of(const void *evhttp)
{
    mutex_lock(&servers_lock);
    struct http_server *server = servers;
    while (server && server->evhttp != evhttp)
        server = server->next;
    mutex_unlock(&servers_lock);
    return server;
}

static void on_pause_over(void *arg)
{
    struct http_server *server = arg;
    (void)evconnlistener_enable(server->listener);
}

/* The connection stays in the queue and readable: without a pause we would spin on it. */
static void on_accept_error(struct evconnlistener *listener, void *evhttp)
{
    int errnum = errno;
    struct http_server *server = server_of(evhttp);
    if (!server)
        return;
    loop_callback_begin(server->loop);
    log_warn("http", "%s: cannot accept: %s; trying again in %d ms", server->address,
             strerror(errnum), PAUSE_MS);
    if (loop_after(server->loop, &server->pause, PAUSE_MS, on_pause_over, server) == 0)
        (void)evconnlistener_disable(listener);
}

/* ---- server ---- */

/* Takes fd, unless it fails. */
static int start_listening(struct http_server *server, struct evhttp *evhttp, int fd)
{
    struct evconnlistener *listener = evconnlistener_new(
        loop_base(server->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!listener)
        return ERR_NOMEM;
    if (!evhttp_bind_listener(evhttp, listener)) {
        evconnlistener_free(listener);
        return ERR_CLOSED;
    }
    evconnlistener_set_error_cb(listener, on_accept_error);
    server->listener = listener;
    return 0;
}

/* Who takes our port for another one and sends frames (libcommon/wire/frame.h) would wait for the
 * end of a header as long as we do. No request has a NUL this early: it ends here, and is refused
 * as any other nonsense. */
static void look_at_first_bytes(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
    char first[FRAME_LENGTH_BYTES];
    if (info->n_added == 0)
        return;
    ev_ssize_t n = evbuffer_copyout(in, first, sizeof(first));
    evbuffer_remove_cb(in, look_at_first_bytes, arg);
    if (n > 0 && memchr(first, 0, (size_t)n))
        (void)evbuffer_add(in, "\n", 1);
}

static struct bufferevent *new_stream(struct event_base *base, void *arg)
{
    (void)arg;
    struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);
    if (stream && !evbuffer_add_cb(bufferevent_get_input(stream), look_at_first_bytes, NULL)) {
        bufferevent_free(stream);
        return NULL;
    }
    return stream;
}

/* Takes fd. */
static struct evhttp *start(struct http_server *server, int fd)
{
    struct evhttp *evhttp = evhttp_new(loop_base(server->loop));
    if (!evhttp) {
        close(fd);
        return NULL;
    }
    evhttp_set_allowed_methods(evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                           EVHTTP_REQ_POST | EVHTTP_REQ_DELETE |
                                           EVHTTP_REQ_OPTIONS);
    evhttp_set_max_headers_size(evhttp, HEADERS_MAX);
    evhttp_set_max_body_size(evhttp, BODY_MAX_DEFAULT);
    evhttp_set_timeout(evhttp, IDLE_S);
    evhttp_set_gencb(evhttp, on_request, server);
    evhttp_set_bevcb(evhttp, new_stream, NULL);
    int rc = start_listening(server, evhttp, fd);
    if (rc == 0)
        return evhttp;
    if (rc == ERR_NOMEM) /* else the listener has closed it */
        close(fd);
    evhttp_free(evhttp);
    return NULL;
}

int http_server_new(struct loop *loop, const char *address, struct http_server **ret,
                    struct err *err)
{
    int fd;
    struct http_server *server = mem_calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, ERR_NOMEM, "cannot serve http on %s: out of memory", address);
    server->loop = loop;
    list_init(&server->routes);
    list_init(&server->hosts);
    list_init(&server->requests);
    int rc = listen_socket(address, 0, &fd, server->address, err);
    if (rc != 0) {
        mem_free(server);
        return rc;
    }
    server->evhttp = start(server, fd);
    if (!server->evhttp) {
        mem_free(server);
        return err_set(err, ERR_NOMEM, "cannot serve http on %s: out of memory", address);
    }
    enlist(server);
    *ret = server;
    return 0;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    while (!list_is_empty(&server->requests)) {
        struct http_request *req = list_first(&server->requests, struct http_request, link);
        list_remove(&req->link);
        req->ev = NULL; /* evhttp_free takes it along; its answer finds nobody */
    }
    delist(server);
    loop_timer_stop(&server->pause);
    evhttp_free(server->evhttp);
    list_each_safe (&server->routes, it)
        mem_free(list_entry(it, struct route, link));
    list_each_safe (&server->hosts, it)
        mem_free(list_entry(it, struct allowed_host, link));
    if (server->address[0] == '/')
        (void)unlink(server->address);
    mem_free(server);
}

int http_route(struct http_server *server, const char *prefix, http_handler *handler, void *arg)
{
    struct route *route = mem_calloc(1, sizeof(*route));
    if (!route)
        return ERR_NOMEM;
    *route =
        (struct route){.prefix = prefix, .len = strlen(prefix), .handler = handler, .arg = arg};
    list_push_back(&server->routes, &route->link);
    return 0;
}

int http_allow_host(struct http_server *server, const char *name)
{
    size_t len = strlen(name) + 1;
    struct allowed_host *host = mem_calloc(1, sizeof(*host) + len);
    if (!host)
        return ERR_NOMEM;
    memcpy(host->name, name, len);
    list_push_back(&server->hosts, &host->link);
    return 0;
}

void http_set_body_max(struct http_server *server, size_t bytes)
{
    evhttp_set_max_body_size(server->evhttp, (ev_ssize_t)bytes);
}

/* ---- what is asked ---- */

enum http_method http_method(const struct http_request *req)
{
    switch (req->ev ? evhttp_request_get_command(req->ev) : EVHTTP_REQ_GET) {
    case EVHTTP_REQ_GET:
        return HTTP_GET;
    case EVHTTP_REQ_HEAD:
        return HTTP_HEAD;
    case EVHTTP_REQ_PUT:
        return HTTP_PUT;
    case EVHTTP_REQ_POST:
        return HTTP_POST;
    case EVHTTP_REQ_DELETE:
        return HTTP_DELETE;
    default:
        return HTTP_OTHER;
    }
}

const char *http_path(const struct http_request *req)
{
    return req->path;
}

static char *decode_word(const char *begin, size_t len)
{
    char *raw = mem_alloc(len + 1);
    if (!raw)
        return NULL;
    memcpy(raw, begin, len);
    raw[len] = 0;
    char *word = evhttp_uridecode(raw, 1, NULL);
    mem_free(raw);
    return word;
}

static void add_param(struct http_request *req, const char *begin, size_t len)
{
    const char *equals = memchr(begin, '=', len);
    size_t name_len = equals ? (size_t)(equals - begin) : len;
    struct param *param = name_len ? mem_calloc(1, sizeof(*param)) : NULL;
    if (!param)
        return;
    param->name = decode_word(begin, name_len);
    param->value = equals ? decode_word(equals + 1, len - name_len - 1) : decode_word("", 0);
    list_push_back(&req->params, &param->link);
}

static void parse_params(struct http_request *req)
{
    const struct evhttp_uri *uri = req->ev ? evhttp_request_get_evhttp_uri(req->ev) : NULL;
    const char *at = uri ? evhttp_uri_get_query(uri) : NULL;
    while (at && *at) {
        size_t len = strcspn(at, "&");
        add_param(req, at, len);
        at += len + (at[len] == '&');
    }
    req->has_params = true;
}

const char *http_query(const struct http_request *req, const char *name)
{
    if (!req->has_params)
        parse_params((struct http_request *)(uintptr_t)req); /* filled on first use */
    list_each (&req->params, it) {
        const struct param *param = list_entry(it, struct param, link);
        if (param->name && param->value && strcasecmp(param->name, name) == 0)
            return param->value;
    }
    return NULL;
}

const char *http_header(const struct http_request *req, const char *name)
{
    return req->ev ? evhttp_find_header(evhttp_request_get_input_headers(req->ev), name) : NULL;
}

struct slice http_body(const struct http_request *req)
{
    struct evbuffer *in = req->ev ? evhttp_request_get_input_buffer(req->ev) : NULL;
    size_t len = in ? evbuffer_get_length(in) : 0;
    return len ? slice_of(evbuffer_pullup(in, -1), len) : slice_of(NULL, 0);
}

const char *http_peer(const struct http_request *req)
{
    struct evhttp_connection *conn = req->ev ? evhttp_request_get_connection(req->ev) : NULL;
    char *address = NULL;
    ev_uint16_t port;
    if (conn)
        evhttp_connection_get_peer(conn, &address, &port);
    return address ? address : "";
}

/* ---- answering ---- */

void http_set_header(struct http_request *req, const char *name, const char *value)
{
    if (req->ev)
        (void)evhttp_add_header(evhttp_request_get_output_headers(req->ev), name, value);
}

/* What the handler has not said itself. */
static void set_default(struct http_request *req, const char *name, const char *value)
{
    if (req->ev && !evhttp_find_header(evhttp_request_get_output_headers(req->ev), name))
        http_set_header(req, name, value);
}

static struct evbuffer *filled(struct slice body)
{
    struct evbuffer *out = evbuffer_new();
    if (out && body.len && evbuffer_add(out, body.data, body.len) != 0) {
        evbuffer_free(out);
        return NULL;
    }
    return out;
}

void http_reply(struct http_request *req, int status, const char *content_type, struct slice body)
{
    struct evhttp_request *ev = req->ev;
    if (ev) {
        char length[32];
        bool is_head = http_method(req) == HTTP_HEAD; /* evhttp would send it the body too */
        struct evbuffer *out = filled(is_head ? slice_of(NULL, 0) : body);
        snprintf(length, sizeof(length), "%zu", out ? body.len : 0);
        http_set_header(req, "Content-Type", content_type);
        http_set_header(req, "Content-Length", length);
        set_default(req, "X-Content-Type-Options", "nosniff");
        evhttp_send_reply(ev, out ? status : HTTP_INTERNAL, NULL, out);
        if (out)
            evbuffer_free(out);
    }
    free_request(req);
}

void http_reply_text(struct http_request *req, int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    http_reply(req, status, "text/plain; charset=utf-8", slice_of(text, len));
}
