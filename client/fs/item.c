/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/item.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

#include "client/lib/uri.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

int fs_out_of_memory(struct qn_error *err)
{
    if (err) {
        err->code = ERR_NOMEM;
        snprintf(err->message, sizeof(err->message), "%s", err_text(ERR_NOMEM));
    }
    return ERR_NOMEM;
}

void fs_item_release(struct fs_item *item)
{
    mem_free(item->text);
    mem_free(item->path);
    mem_free(item->strings);
    *item = (struct fs_item){0};
}

static int bad_path(const char *text, int code, struct qn_error *err)
{
    if (err) {
        err->code = code;
        snprintf(err->message, sizeof(err->message), "`%s': %s", text, err_text(code));
    }
    return code;
}

static int no_path(struct qn_error *err, const char *why, const char *text)
{
    if (err) {
        err->code = ERR_USAGE;
        snprintf(err->message, sizeof(err->message), "%s%s", why, text);
    }
    return ERR_USAGE;
}

int fs_item_check_text(const char *text, struct qn_error *err)
{
    if (!*text)
        return no_path(err, "Can not create a Path from an empty string", "");
    size_t scheme = strcspn(text, ":/");
    if (text[scheme] != ':')
        return 0;
    if (scheme == 0)
        return no_path(err, "java.net.URISyntaxException: Expected scheme name at index 0: ", text);
    if (!text[scheme + 1]) {
        char why[96];
        snprintf(why, sizeof(why),
                 "java.net.URISyntaxException: Expected scheme-specific part at index %zu: ",
                 scheme + 1);
        return no_path(err, why, text);
    }
    if (text[scheme + 1] != '/')
        return no_path(err, "java.net.URISyntaxException: Relative path in absolute URI: ", text);
    return 0;
}

/* HDFS knows no directory above its root, and says so; local paths stay there, as everywhere. */
int fs_item_check_root(const struct fs_volume *volume, struct slice typed, struct qn_error *err)
{
    struct slice parts[2] = {
        typed.len && typed.data[0] == '/' ? slice_of("", 0) : slice_str(volume->home), typed};
    size_t depth = 0, above = 0;
    struct buf rest = BUF_INIT; /* what is left below the root, should it be climbed above */
    for (size_t i = 0; volume->qn && i < 2; i++) {
        struct slice name;
        while (path_next(&parts[i], &name)) {
            if (slice_is(name, "."))
                continue;
            if (!slice_is(name, "..")) {
                depth++;
                if (above)
                    buf_printf(&rest, "/" SLICE_FMT, SLICE_ARG(name));
            } else if (depth) {
                depth--;
            } else {
                above++;
                buf_append_str(&rest, "/..");
            }
        }
    }
    int rc = 0;
    if (above) {
        err->code = rc = ERR_USAGE;
        snprintf(err->message, sizeof(err->message),
                 "Pathname %s from %s%s is not a valid DFS filename.", buf_cstr(&rest), volume->uri,
                 buf_cstr(&rest));
    }
    buf_release(&rest);
    return rc;
}

int fs_item_init(struct fs_item *item, struct fs_volume *volume, const char *text,
                 struct qn_error *err)
{
    *item = (struct fs_item){.volume = volume};
    struct cl_uri uri;
    cl_uri_parse(slice_str(text), &uri);
    struct buf path = BUF_INIT;
    struct slice typed = uri.path.len ? uri.path : slice_str(".");
    int rc = fs_item_check_root(volume, typed, err);
    if (rc != 0)
        return rc;
    rc = path_normalise(slice_str(volume->home), typed, &path);
    if (rc == 0) {
        item->path = slice_dup(buf_slice(&path));
        item->text = str_dup(text);
        rc = item->path && item->text ? 0 : ERR_NOMEM;
    }
    buf_release(&path);
    if (rc == 0)
        return 0;
    fs_item_release(item);
    return rc == ERR_NOMEM ? fs_out_of_memory(err) : bad_path(text, rc, err);
}

static int local_item(struct fs_item *item, struct fs_volume *local, const char *text,
                      struct qn_error *err)
{
    int rc = fs_item_init(item, local, text, err);
    if (rc != 0 || (rc = fs_item_refresh(item, err)) == 0)
        return rc;
    fs_item_release(item);
    return rc;
}

/* What it is without its "%20"s, to be freed; NULL when it has none. */
static char *unescaped(const char *text)
{
    char *out = strchr(text, '%') ? mem_alloc(strlen(text) + 1) : NULL;
    size_t n = 0;
    for (const char *p = text; out && *p; p++) {
        char digits[3] = {p[0] == '%' ? p[1] : '\0', p[0] == '%' && p[1] ? p[2] : '\0', '\0'};
        bool is_escape = isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1]) &&
                         strcmp(digits, "00") != 0;
        out[n++] = is_escape ? (char)strtoul(digits, NULL, 16) : *p;
        p += is_escape ? 2 : 0;
    }
    if (out)
        out[n] = '\0';
    return out;
}

int fs_item_local(struct fs_item *item, struct fs_volume *local, const char *text,
                  struct qn_error *err)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(text), &uri);
    if (uri.scheme.len && uri.path.len)
        text = (const char *)uri.path.data; /* to the end of text */
    int rc = local_item(item, local, text, err);
    char *plain = rc == 0 && !item->exists ? unescaped(text) : NULL;
    struct fs_item other = {0};
    struct qn_error ignored;
    if (plain && local_item(&other, local, plain, &ignored) == 0) {
        struct fs_item *worse = other.exists ? item : &other;
        fs_item_release(worse);
        if (worse == item)
            *item = other;
    }
    mem_free(plain);
    return rc;
}

int fs_item_set_stat(struct fs_item *item, const struct qn_stat *stat)
{
    char *strings = str_printf("%s%c%s", stat->owner, 0, stat->group);
    if (!strings)
        return ERR_NOMEM;
    mem_free(item->strings);
    item->strings = strings;
    item->stat = *stat;
    item->stat.name = "";
    item->stat.owner = strings;
    item->stat.group = strings + strlen(strings) + 1;
    item->exists = true;
    return 0;
}

int fs_item_refresh(struct fs_item *item, struct qn_error *err)
{
    struct qn_stat stat;
    item->exists = false;
    struct qn_error local;
    int rc = item->volume->ops->stat(item->volume, item->path, &stat, &local);
    if (rc == ERR_NOENT || rc == ERR_NOTDIR) /* also below what is a file */
        return 0;
    if (rc != 0) {
        if (err)
            *err = local;
        return rc;
    }
    rc = fs_item_set_stat(item, &stat);
    item->volume->ops->stat_release(&stat);
    return rc == 0 ? 0 : fs_out_of_memory(err);
}

int fs_item_child(struct fs_item *child, const struct fs_item *dir, const char *name,
                  struct qn_error *err)
{
    *child = (struct fs_item){.volume = dir->volume};
    struct cl_uri uri;
    cl_uri_parse(slice_str(dir->text), &uri);
    bool has_slash = uri.path.len && uri.path.data[uri.path.len - 1] == '/';
    bool is_here = strcmp(dir->text, ".") == 0;
    child->text =
        is_here ? str_dup(name) : str_printf("%s%s%s", dir->text, has_slash ? "" : "/", name);
    child->path = str_printf("%s/%s", dir->path[1] ? dir->path : "", name);
    if (child->text && child->path)
        return 0;
    fs_item_release(child);
    return fs_out_of_memory(err);
}

int fs_item_suffix(struct fs_item *ret, const struct fs_item *item, const char *suffix,
                   struct qn_error *err)
{
    *ret = (struct fs_item){.volume = item->volume};
    ret->text = str_printf("%s%s", item->text, suffix);
    ret->path = str_printf("%s%s", item->path, suffix);
    if (ret->text && ret->path)
        return 0;
    fs_item_release(ret);
    return fs_out_of_memory(err);
}

/* FNV-1a: two long names that begin alike are copied at the same time. */
static uint32_t tell_apart(struct slice name)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ name.data[i]) * 16777619U;
    return hash;
}

int fs_item_temporary(struct fs_item *ret, const struct fs_item *item, struct qn_error *err)
{
    static const char suffix[] = "._COPYING_";
    struct slice name = path_name(slice_str(item->path));
    if (name.len + sizeof(suffix) - 1 <= NAME_MAX || name.len > NAME_MAX)
        return fs_item_suffix(ret, item, suffix, err);
    size_t spared = sizeof(suffix) + 8; /* and ".0123abcd" */
    int kept = (int)(strlen(item->path) - name.len + NAME_MAX - spared);
    *ret = (struct fs_item){.volume = item->volume};
    ret->path = str_printf("%.*s.%08x%s", kept, item->path, tell_apart(name), suffix);
    ret->text = ret->path ? str_dup(ret->path) : NULL;
    if (ret->text)
        return 0;
    fs_item_release(ret);
    return fs_out_of_memory(err);
}

bool fs_item_looks_like_dir(const struct fs_item *item)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(item->text), &uri);
    struct slice name = path_name(uri.path);
    return name.len == 0 || slice_is(name, ".") || slice_is(name, "..");
}

int fs_item_parent_exists(const struct fs_item *item, struct qn_error *err)
{
    struct slice dir =
        fs_item_looks_like_dir(item) ? slice_str(item->path) : path_parent(slice_str(item->path));
    char *path = slice_dup(dir);
    if (!path)
        return fs_out_of_memory(err);
    struct qn_stat stat;
    int rc = item->volume->ops->stat(item->volume, path, &stat, err);
    mem_free(path);
    bool is_dir = rc == 0 && stat.is_dir;
    if (rc == 0)
        item->volume->ops->stat_release(&stat);
    return rc == 0 ? is_dir : rc == ERR_NOENT || rc == ERR_NOTDIR ? 0 : rc;
}

char *fs_item_uri(const struct fs_item *item)
{
    return item->volume->qn ? str_printf("%s%s", item->volume->uri, item->path)
                            : str_printf("file:%s", item->path);
}

bool fs_item_is_whole_uri(const struct fs_item *item)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(item->text), &uri);
    return uri.scheme.len && uri.authority.len;
}

/* Bytes of the longest directory both lie below, its slash included. */
static size_t common_dir(const char *home, const char *path, bool is_dir)
{
    size_t common = 0;
    for (size_t i = 0;; i++) {
        char h = home[i] ? home[i] : '/';
        char p = path[i] ? path[i] : is_dir ? '/' : '\0';
        if (h != p)
            return common;
        if (h == '/')
            common = i + 1;
        if (!home[i] || !path[i])
            return common;
    }
}

static char *show_relative(const char *path, const char *home, bool is_dir)
{
    if (strcmp(path, home) == 0)
        return str_dup(".");
    size_t at = common_dir(home, path, is_dir);
    struct buf out = BUF_INIT;
    if (at < strlen(home)) { /* climb out of each directory of home below the common one */
        buf_append_str(&out, "..");
        for (const char *p = home + at; (p = strchr(p, '/')); p++)
            buf_append_str(&out, "/..");
        if (at < strlen(path))
            buf_append_byte(&out, '/');
    }
    if (at < strlen(path))
        buf_append_str(&out, path + at);
    char *text = buf_failed(&out) ? NULL : slice_dup(buf_slice(&out));
    buf_release(&out);
    return text;
}

char *fs_item_show(const char *typed, const char *path, const char *home, bool is_dir)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(typed), &uri);
    if (uri.scheme.len) {
        return str_printf(SLICE_FMT "://" SLICE_FMT "%s", SLICE_ARG(uri.scheme),
                          SLICE_ARG(uri.authority), path);
    }
    return uri.path.len && uri.path.data[0] == '/' ? str_dup(path)
                                                   : show_relative(path, home, is_dir);
}

void fs_items_release(struct fs_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        fs_item_release(&items->v[i]);
    mem_free(items->v);
    *items = (struct fs_items){0};
}

struct fs_item *fs_items_add(struct fs_items *items)
{
    if (mem_grow(&items->v, &items->cap, items->n, sizeof(*items->v)) != 0)
        return NULL;
    struct fs_item *item = &items->v[items->n++];
    *item = (struct fs_item){0};
    return item;
}
