/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/glob.h"

#include <stdarg.h>

#include "client/lib/uri.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define WORDS_MAX 10000

/* --- words ------------------------------------------------------------------------------------ */

bool fs_glob_is_pattern(const char *text)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(text), &uri);
    for (size_t i = 0; i < uri.path.len; i++) {
        if (uri.path.data[i] == '\\')
            i++;
        else if (memchr("*?[{", uri.path.data[i], 4))
            return true;
    }
    return false;
}

char *fs_glob_unescape(const char *text)
{
    char *out = str_dup(text);
    if (!out)
        return NULL;
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        out[n++] = *p;
    }
    out[n] = '\0';
    return out;
}

void fs_glob_free_words(struct fs_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        mem_free(words->v[i]);
    mem_free(words->v);
    *words = (struct fs_words){0};
}

static int add_word(struct fs_words *words, struct slice word)
{
    if (words->n == WORDS_MAX)
        return ERR_LIMIT;
    if (mem_grow(&words->v, &words->cap, words->n, sizeof(*words->v)) != 0)
        return ERR_NOMEM;
    char *copy = slice_dup(word);
    if (!copy)
        return ERR_NOMEM;
    words->v[words->n++] = copy;
    return 0;
}

/* Index of the brace that closes the one at `open`, or of the first comma of its level when
 * `comma`; SIZE_MAX when there is none. A brace inside [...] is an ordinary character. */
static size_t find_in_brace(struct slice p, size_t open, size_t from, bool comma)
{
    unsigned depth = 0;
    bool in_set = false;
    for (size_t i = from; i < p.len; i++) {
        uint8_t c = p.data[i];
        if (c == '\\')
            i++;
        else if (in_set)
            in_set = c != ']';
        else if (c == '[' && i > open)
            in_set = true;
        else if (c == '{')
            depth++;
        else if (c == '}' && depth == 0)
            return i;
        else if (c == '}')
            depth--;
        else if (c == ',' && depth == 0 && comma)
            return i;
    }
    return SIZE_MAX;
}

static size_t find_open_brace(struct slice p)
{
    bool in_set = false;
    for (size_t i = 0; i < p.len; i++) {
        if (p.data[i] == '\\')
            i++;
        else if (in_set)
            in_set = p.data[i] != ']';
        else if (p.data[i] == '[')
            in_set = true;
        else if (p.data[i] == '{')
            return i;
    }
    return SIZE_MAX;
}

/* Is the brace a whole name, and none with a slash in it? Then its empty alternative is a name
 * that nothing has. */
static bool is_whole_name(struct slice p, size_t open, size_t close)
{
    return (open == 0 || p.data[open - 1] == '/') &&
           (close + 1 == p.len || p.data[close + 1] == '/') &&
           !memchr(p.data + open, '/', close - open);
}

/* Replace the first brace by each of its alternatives, and go on with what results. */
static int expand_into(struct slice p, struct fs_words *ret)
{
    size_t open = find_open_brace(p);
    if (open == SIZE_MAX)
        return add_word(ret, p);
    size_t close = find_in_brace(p, open, open + 1, false);
    if (close == SIZE_MAX)
        return ERR_INVAL;
    bool whole = is_whole_name(p, open, close);
    int rc = 0;
    for (size_t at = open + 1; rc == 0 && at <= close;) {
        size_t end = find_in_brace(p, open, at, true);
        if (whole && end == at) {
            at = end + 1;
            continue;
        }
        struct buf word = BUF_INIT;
        buf_append(&word, p.data, open);
        buf_append(&word, p.data + at, end - at);
        buf_append(&word, p.data + close + 1, p.len - close - 1);
        rc = buf_failed(&word) ? ERR_NOMEM : expand_into(buf_slice(&word), ret);
        buf_release(&word);
        at = end + 1;
    }
    return rc;
}

int fs_glob_expand(const char *pattern, struct fs_words *ret)
{
    return expand_into(slice_str(pattern), ret);
}

/* --- matching --------------------------------------------------------------------------------- */

struct search {
    struct fs_volume *volume;
    const char *typed;
    struct fs_items *found;
    struct qn_error *err;
};

static int fail(struct qn_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct qn_error *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (err) {
        err->code = code;
        vsnprintf(err->message, sizeof(err->message), fmt, ap);
    }
    va_end(ap);
    return code;
}

/* Said as by the parser of regular expressions that Hadoop makes of a pattern. */
static int bad_pattern(struct qn_error *err, const char *what, struct slice part)
{
    return fail(err, ERR_INVAL,
                "Illegal file pattern: error parsing regexp: %s at pos %zu: `" SLICE_FMT "`", what,
                part.len, SLICE_ARG(part));
}

static int add_found(struct search *s, const char *path, const struct qn_stat *stat)
{
    struct fs_item *item = fs_items_add(s->found);
    if (!item)
        return fs_out_of_memory(s->err);
    item->volume = s->volume;
    item->path = str_dup(path);
    item->text = fs_item_show(s->typed, path, s->volume->home, stat->is_dir);
    if (!item->path || !item->text || fs_item_set_stat(item, stat) != 0)
        return fs_out_of_memory(s->err);
    return 0;
}

static int add_if_there(struct search *s, const char *path)
{
    struct qn_stat stat;
    struct qn_error local;
    int rc = s->volume->ops->stat(s->volume, path, &stat, &local);
    if (rc == ERR_NOENT || rc == ERR_NOTDIR)
        return 0;
    if (rc != 0) {
        if (s->err)
            *s->err = local;
        return rc;
    }
    rc = add_found(s, path, &stat);
    s->volume->ops->stat_release(&stat);
    return rc;
}

static int walk(struct search *s, const char *dir, struct slice rest);

static char *join(const char *dir, struct slice name)
{
    return str_printf("%s/" SLICE_FMT, dir[1] ? dir : "", SLICE_ARG(name));
}

/* Entries of `dir` that match `pattern`: go on below them with `rest`, or take them. */
static int walk_listing(struct search *s, const char *dir, struct slice pattern, struct slice rest)
{
    struct slice more = rest, next;
    bool is_last = !path_next(&more, &next);
    struct qn_error local = {0};
    void *listing = s->volume->ops->opendir(s->volume, dir, &local);
    int rc = 0;
    const struct qn_stat *entry = NULL;
    while (rc == 0 && listing && (entry = s->volume->ops->readdir(listing, &local))) {
        if (!*entry->name || !path_glob_match(pattern, slice_str(entry->name)))
            continue; /* a file lists itself with no name */
        char *path = join(dir, slice_str(entry->name));
        if (!path)
            rc = fs_out_of_memory(s->err);
        else if (is_last)
            rc = add_found(s, path, entry);
        else if (entry->is_dir)
            rc = walk(s, path, rest);
        mem_free(path);
    }
    if (listing)
        s->volume->ops->closedir(listing);
    if (local.code == ERR_NOTDIR && s->volume->qn)
        local.code = ERR_FAILED; /* a file lies above it: its message says which */
    if (rc == 0 && local.code != 0 && local.code != ERR_NOENT && local.code != ERR_NOTDIR) {
        if (s->err)
            *s->err = local;
        rc = local.code;
    }
    return rc;
}

static bool has_wildcard(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '\\')
            i++;
        else if (memchr("*?[", name.data[i], 3))
            return true;
    }
    return false;
}

/* `dir` is a path of ordinary names; `rest` what is still pattern. */
static int walk(struct search *s, const char *dir, struct slice rest)
{
    struct slice name;
    char *path = str_dup(dir);
    int rc = path ? 0 : fs_out_of_memory(s->err);
    while (rc == 0 && path_next(&rest, &name)) {
        if (has_wildcard(name)) {
            rc = walk_listing(s, path, name, rest);
            mem_free(path);
            return rc;
        }
        char *raw = slice_dup(name);
        char *plain = raw ? fs_glob_unescape(raw) : NULL;
        char *longer = plain ? join(path, slice_str(plain)) : NULL;
        mem_free(raw);
        mem_free(plain);
        mem_free(path);
        path = longer;
        rc = path ? 0 : fs_out_of_memory(s->err);
    }
    if (rc == 0)
        rc = add_if_there(s, path);
    mem_free(path);
    return rc;
}

/* What that parser says about a set that Hadoop's own look at the pattern takes for closed. */
static int check_set(struct qn_error *err, struct slice set)
{
    size_t at = set.len > 1 && (set.data[1] == '!' || set.data[1] == '^') ? 2 : 1;
    for (size_t i = at; i < set.len && (i == at || set.data[i] != ']'); i++) {
        if (set.data[i] == '\\') {
            i++;
        } else if (i + 2 < set.len && set.data[i + 1] == '-' && set.data[i + 2] != ']') {
            if (set.data[i] > set.data[i + 2])
                return fail(err, ERR_INVAL,
                            "Illegal file pattern: error parsing regexp: invalid character class "
                            "range: `%.3s`",
                            (const char *)set.data + i);
            i += 2;
        }
    }
    return 0;
}

static int check_name(struct qn_error *err, struct slice name)
{
    const uint8_t *open = memchr(name.data, '[', name.len);
    if (path_glob_check(name) != 0) {
        size_t at = open ? (size_t)(open - name.data) : name.len;
        struct slice set = slice_of(name.data + at, name.len - at);
        bool is_not = set.len > 1 && set.data[1] == '!'; /* ^ in a regular expression */
        if (set.len > 1 && memchr(set.data, ']', set.len))
            return fail(
                err, ERR_INVAL,
                "Illegal file pattern: error parsing regexp: missing closing ]: `[%s" SLICE_FMT "`",
                is_not ? "^" : "",
                SLICE_ARG(slice_of(set.data + 1 + is_not, set.len - 1 - is_not)));
        return bad_pattern(err, "Unclosed character class", name);
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '\\') {
            i++;
            continue;
        }
        int rc = name.data[i] == '[' ? check_set(err, slice_of(name.data + i, name.len - i)) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* One word without braces: check it, make it absolute, walk. */
static int search_word(struct search *s, const char *word)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(word), &uri);
    struct slice typed = uri.path.len ? uri.path : slice_str("."), rest = uri.path, name;
    int rc = fs_item_check_root(s->volume, typed, s->err);
    while (rc == 0 && path_next(&rest, &name))
        rc = check_name(s->err, name);
    if (rc != 0)
        return rc;
    struct buf path = BUF_INIT;
    rc = path_normalise(slice_str(s->volume->home), typed, &path);
    if (rc == 0)
        rc = walk(s, "/", buf_slice(&path));
    else
        rc = fail(s->err, rc, "Illegal file pattern: %s: %s", word, err_text(rc));
    buf_release(&path);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct fs_item *)a)->path, ((const struct fs_item *)b)->path);
}

static void sort_unique(struct fs_items *items)
{
    if (items->n < 2)
        return;
    qsort(items->v, items->n, sizeof(*items->v), by_path);
    size_t n = 1;
    for (size_t i = 1; i < items->n; i++) {
        if (strcmp(items->v[i].path, items->v[n - 1].path) == 0)
            fs_item_release(&items->v[i]);
        else
            items->v[n++] = items->v[i];
    }
    items->n = n;
}

static int search_pattern(struct fs_volume *volume, const char *text, struct fs_items *ret,
                          struct qn_error *err)
{
    struct fs_words words = {0};
    int rc = fs_glob_expand(text, &words);
    if (rc == ERR_NOMEM)
        fs_out_of_memory(err);
    else if (rc != 0)
        bad_pattern(err, "Unclosed group", path_name(slice_str(text)));
    struct search s = {volume, text, ret, err};
    for (size_t i = 0; rc == 0 && i < words.n; i++)
        rc = search_word(&s, words.v[i]);
    fs_glob_free_words(&words);
    return rc;
}

/* Not a pattern: one item, there or not. */
static int single(struct fs_volume *volume, const char *text, struct fs_items *ret,
                  struct qn_error *err)
{
    struct fs_item *item = fs_items_add(ret);
    char *plain = item ? fs_glob_unescape(text) : NULL;
    if (!plain)
        return fs_out_of_memory(err);
    int rc = fs_item_init(item, volume, plain, err);
    mem_free(plain);
    if (rc == 0)
        rc = fs_item_refresh(item, err);
    if (rc != 0 || !item->exists)
        return rc;
    char *shown = fs_item_show(text, item->path, volume->home, item->stat.is_dir);
    if (!shown)
        return fs_out_of_memory(err);
    mem_free(item->text);
    item->text = shown;
    return 0;
}

static bool ends_in_escape(const char *text)
{
    size_t n = 0, len = strlen(text);
    while (n < len && text[len - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

int fs_glob(struct fs_volume *volume, const char *text, struct fs_items *ret, struct qn_error *err)
{
    struct fs_items found = {0};
    if (ends_in_escape(text)) {
        struct cl_uri uri;
        cl_uri_parse(slice_str(text), &uri);
        return fail(
            err, ERR_INVAL,
            "Illegal file pattern: An escaped character does not present for glob " SLICE_FMT
            " at %zu",
            SLICE_ARG(uri.path), uri.path.len);
    }
    int rc = fs_glob_is_pattern(text) ? search_pattern(volume, text, &found, err)
                                      : single(volume, text, &found, err);
    sort_unique(&found);
    for (size_t i = 0; rc == 0 && i < found.n; i++) {
        struct fs_item *item = fs_items_add(ret);
        if (!item) {
            rc = fs_out_of_memory(err);
            break;
        }
        *item = found.v[i];
        found.v[i] = (struct fs_item){0};
    }
    fs_items_release(&found);
    return rc;
}
