/* SPDX-License-Identifier: Apache-2.0
 * The files of web/ are assembled into this object byte for byte (.incbin): no generated source, no
 * file to find at run time. The Makefile knows that this object depends on them. */
#include "libcommon/daemon/pages.h"

#include "libcommon/daemon/status.h"
#include "libcommon/event/http.h"

#define EMBED(name, file)                                                          \
    __asm__(".pushsection .rodata\n"                                               \
            ".global web_" #name "_begin\n.hidden web_" #name "_begin\n"           \
            ".global web_" #name "_end\n.hidden web_" #name "_end\n"               \
            "web_" #name "_begin:\n.incbin \"web/" file "\"\nweb_" #name "_end:\n" \
            ".byte 0\n.popsection\n");                                             \
    extern const uint8_t web_##name##_begin[], web_##name##_end[]

EMBED(index, "index.html");
EMBED(conf, "conf.html");
EMBED(style, "style.css");
EMBED(status_js, "status.js");
EMBED(conf_js, "conf.js");
EMBED(job, "job.html");
EMBED(job_js, "job.js");

static const struct page {
    const char *path, *type;
    const uint8_t *begin, *end;
} files[] = {
    {"/", "text/html; charset=utf-8", web_index_begin, web_index_end},
    {"/conf", "text/html; charset=utf-8", web_conf_begin, web_conf_end},
    {"/style.css", "text/css", web_style_begin, web_style_end},
    {"/status.js", "text/javascript", web_status_js_begin, web_status_js_end},
    {"/conf.js", "text/javascript", web_conf_js_begin, web_conf_js_end},
    {"/job", "text/html; charset=utf-8", web_job_begin, web_job_end}, /* of a jobtracker */
    {"/job.js", "text/javascript", web_job_js_begin, web_job_js_end},
};

/* Everything comes from ourselves, nobody may frame us, and what we say is what it says it is. */
static void send_page(struct http_request *req, const char *type, struct slice body)
{
    http_set_header(req, "Content-Security-Policy",
                    "default-src 'self'; img-src data:; frame-ancestors 'none'");
    http_set_header(req, "X-Content-Type-Options", "nosniff");
    http_set_header(req, "Referrer-Policy", "no-referrer");
    http_set_header(req, "Cache-Control", "no-cache");
    http_reply(req, 200, type, body);
}

static bool is_read(struct http_request *req)
{
    enum http_method method = http_method(req);
    if (method == HTTP_GET || method == HTTP_HEAD)
        return true;
    http_set_header(req, "Allow", "GET, HEAD");
    http_reply_text(req, 405, "only GET\n");
    return false;
}

static void on_file(struct http_request *req, void *arg)
{
    const struct page *page = arg;
    if (!is_read(req))
        return;
    if (strcmp(http_path(req), page->path) != 0)
        http_reply_text(req, 404, "there is no %s here\n", http_path(req));
    else
        send_page(req, page->type, slice_of(page->begin, (size_t)(page->end - page->begin)));
}

static void send_made(struct http_request *req, const char *type, struct buf *body)
{
    if (buf_failed(body))
        http_reply_text(req, 503, "out of memory\n");
    else
        send_page(req, type, buf_slice(body));
    buf_release(body);
}

static void on_status(struct http_request *req, void *arg)
{
    const struct pages *pages = arg;
    struct buf body = BUF_INIT;
    if (!is_read(req))
        return;
    pages->print_status(pages->arg, &body);
    send_made(req, "application/json", &body);
}

static void on_metrics(struct http_request *req, void *arg)
{
    const struct pages *pages = arg;
    struct buf body = BUF_INIT;
    if (!is_read(req))
        return;
    pages->print_metrics(pages->arg, &body);
    send_made(req, "text/plain; version=0.0.4", &body);
}

static void print_option(const struct conf_option *option, const char *value, const char *where,
                         void *arg)
{
    struct buf *out = arg;
    const char *const names[] = {"key", "value", "where", "help"};
    const char *const texts[] = {option->key, value, where, option->help};
    buf_append_str(out, out->len > 1 ? ",\n" : "\n");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        buf_printf(out, "%c\"%s\":", i ? ',' : '{', names[i]);
        json_append_string(out, slice_str(texts[i]));
    }
    buf_append_byte(out, '}');
}

static void on_conf(struct http_request *req, void *arg)
{
    const struct pages *pages = arg;
    struct buf body = BUF_INIT;
    if (!is_read(req))
        return;
    buf_append_byte(&body, '[');
    conf_each(pages->conf, print_option, &body);
    buf_append_str(&body, "]\n");
    send_made(req, "application/json", &body);
}

int pages_attach(struct http_server *server, const struct pages *pages)
{
    void *arg = (void *)(uintptr_t)pages;
    const struct {
        const char *path;
        http_handler *handler;
    } made[] = {{"/status.json", on_status}, {"/metrics", on_metrics}, {"/conf.json", on_conf}};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(made) && rc == 0; i++)
        rc = http_route(server, made[i].path, made[i].handler, arg);
    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++)
        rc = http_route(server, files[i].path, on_file, (void *)(uintptr_t)&files[i]);
    return rc;
}
