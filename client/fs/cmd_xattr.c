/* SPDX-License-Identifier: Apache-2.0
 * setfattr, getfattr: extended attributes. Values are shown and taken as "text", 0xhex and
 * 0sbase64. */
#include <ctype.h>
#include <strings.h>

#include "client/fs/commands.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

enum encoding { TEXT, HEX, BASE64 };

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_base64(struct buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        buf_append_byte(out, (uint8_t)digits64[v >> 18]);
        buf_append_byte(out, (uint8_t)digits64[v >> 12 & 63]);
        buf_append_byte(out, (uint8_t)(left > 1 ? digits64[v >> 6 & 63] : '='));
        buf_append_byte(out, (uint8_t)(left > 2 ? digits64[v & 63] : '='));
    }
}

static int take_base64(struct buf *out, const char *s)
{
    uint32_t v = 0;
    unsigned bits = 0;
    for (; *s && *s != '='; s++) {
        const char *at = strchr(digits64, *s);
        if (!at)
            return ERR_INVAL;
        v = v << 6 | (uint32_t)(at - digits64);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_append_byte(out, (uint8_t)(v >> bits));
        }
    }
    return s[strspn(s, "=")] ? ERR_INVAL : 0;
}

static int take_hex(struct buf *out, const char *s)
{
    for (; s[0]; s += 2) {
        unsigned v = 0;
        if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
            sscanf(s, "%2x", &v) != 1)
            return ERR_INVAL;
        buf_append_byte(out, (uint8_t)v);
    }
    return 0;
}

static int decode(const char *word, struct buf *out)
{
    size_t n = strlen(word);
    if (n >= 2 && strncasecmp(word, "0x", 2) == 0)
        return take_hex(out, word + 2);
    if (n >= 2 && strncasecmp(word, "0s", 2) == 0)
        return take_base64(out, word + 2);
    if (n >= 2 && word[0] == '"' && word[n - 1] == '"')
        buf_append(out, word + 1, n - 2);
    else
        buf_append(out, word, n);
    return 0;
}

static void print_xattr(const struct qn_xattr *x, enum encoding encoding)
{
    struct buf out = BUF_INIT;
    const uint8_t *value = x->value;
    buf_append_str(&out, x->name);
    if (x->size)
        buf_append_str(&out, encoding == TEXT ? "=\"" : encoding == HEX ? "=0x" : "=0s");
    if (encoding == TEXT)
        buf_append(&out, value, x->size);
    else if (encoding == BASE64)
        put_base64(&out, value, x->size);
    for (size_t i = 0; encoding == HEX && i < x->size; i++)
        buf_printf(&out, "%02x", value[i]);
    buf_append_str(&out, x->size && encoding == TEXT ? "\"\n" : "\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

static int check_name(struct fs_run *run, const char *name)
{
    static const char *const spaces[] = {"user.", "trusted.", "security.", "system.", "raw."};
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
        if (!name || strncasecmp(name, spaces[i], strlen(spaces[i])) == 0)
            return name && !name[strlen(spaces[i])]
                       ? fs_bad_usage(run, "XAttr name cannot be empty.")
                       : 0;
    return fs_bad_usage(run, "An XAttr name must be prefixed with "
                             "user/trusted/security/system/raw, followed by a '.'");
}

/* One path, and nothing else. */
static int check_operands(struct fs_run *run)
{
    if (run->parsed.count == 0)
        return fs_bad_usage(run, "<path> is missing.");
    if (run->parsed.count > 1)
        return fs_bad_usage(run, "Too many arguments.");
    return 0;
}

static bool is_quern(struct fs_run *run, const struct fs_item *item)
{
    if (item->volume->qn)
        return true;
    fs_fail_path(run, item->text, err_text(ERR_UNSUPPORTED));
    return false;
}

/* --- getfattr --------------------------------------------------------------------------------- */

struct getfattr {
    enum encoding encoding;
};

static int get_begin(struct fs_run *run)
{
    static const char *const names[] = {"text", "hex", "base64"};
    struct getfattr *get = run->state;
    const char *encoding = fs_value(run, "e");
    run->recursive = fs_has(run, "R");
    if (!fs_has(run, "n") && !fs_has(run, "d"))
        return fs_bad_usage(run, "Must specify '-n name' or '-d' option.");
    for (unsigned i = 0; encoding && i <= BASE64; i++) {
        if (strcasecmp(encoding, names[i]) == 0) {
            get->encoding = (enum encoding)i;
            encoding = NULL;
        }
    }
    if (encoding)
        return fs_bad_usage(run, "Invalid/unsupported encoding option specified: %s", encoding);
    return check_operands(run);
}

/* Of a Java string: over its UTF-16 units. */
static uint32_t java_hash(const char *name)
{
    struct slice rest = slice_str(name);
    uint32_t hash = 0, point;
    while (rest.len > 0) {
        size_t len = slice_utf8(rest, &point);
        if (point > 0xffff) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
        rest = slice_of(rest.data + len, rest.len - len);
    }
    return hash ^ (hash >> 16);
}

struct placed {
    const struct qn_xattr *xattr;
    uint32_t bucket;
};

static int by_place(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return strcmp(x->xattr->name, y->xattr->name);
}

/* Hadoop's shell prints them as they lie in a hash table, which is at most three quarters full:
 * scripts that compare what it prints have come to know that order. */
static int print_all(const struct qn_xattrs *xattrs, enum encoding encoding)
{
    uint32_t buckets = 16;
    struct placed *all = mem_calloc(xattrs->count + 1, sizeof(*all));
    if (!all)
        return ERR_NOMEM;
    while (xattrs->count * 4 > (size_t)buckets * 3)
        buckets *= 2;
    for (size_t i = 0; i < xattrs->count; i++)
        all[i] =
            (struct placed){&xattrs->xattrs[i], java_hash(xattrs->xattrs[i].name) & (buckets - 1)};
    qsort(all, xattrs->count, sizeof(*all), by_place);
    for (size_t i = 0; i < xattrs->count; i++)
        print_xattr(all[i].xattr, encoding);
    mem_free(all);
    return 0;
}

static int get_path(struct fs_run *run, struct fs_item *item)
{
    const struct getfattr *get = run->state;
    struct qn_xattrs xattrs = {0};
    struct qn_error err;
    if (!is_quern(run, item))
        return FS_STOP;
    printf("# file: %s\n", item->text);
    const char *name = fs_has(run, "d") ? NULL : fs_value(run, "n");
    int rc = check_name(run, name);
    if (rc != 0)
        return rc;
    if (qn_get_xattrs(item->volume->qn, item->path, name, &xattrs, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    if (print_all(&xattrs, get->encoding) != 0)
        (void)fs_fail_path(run, item->text, err_text(ERR_NOMEM));
    qn_xattrs_release(&xattrs);
    return 0;
}

static const struct fs_option get_options[] = {
    {"R", NULL, "Recursively list the attributes for all files and directories.", false, true},
    {"n", "name", "Dump the named extended attribute value.", false, true},
    {"d", NULL, "Dump all extended attribute values associated with pathname.", false, true},
    {"e", "<encoding>",
     "Encode values after retrieving them.Valid encodings are \"text\", \"hex\", and \"base64\". "
     "Values encoded as text strings are enclosed in double quotes (\"), and values encoded as "
     "hexadecimal and base64 are prefixed with 0x and 0s, respectively.",
     false, true},
    {NULL, NULL, NULL},
};

const struct fs_command fs_getfattr = {
    .name = "getfattr",
    .usage = "[-R] {-n name | -d} [-e en] <path>",
    .help = "Displays the extended attribute names and values (if any) for a file or "
            "directory.\n" FS_HELP_OPTIONS "\n"
            "<path>: The file or directory.\n",
    .syntax = {get_options, 0, FS_NO_LIMIT, true},
    .state_size = sizeof(struct getfattr),
    .begin = get_begin,
    .path = get_path,
};

/* --- setfattr --------------------------------------------------------------------------------- */

struct setfattr {
    struct buf value;
};

static int set_begin(struct fs_run *run)
{
    struct setfattr *set = run->state;
    const char *value = fs_value(run, "v");
    if (!fs_has(run, "n") && !fs_has(run, "x"))
        return fs_bad_usage(run, "Must specify '-n name' or '-x name' option.");
    if (fs_has(run, "n") && fs_has(run, "x"))
        return fs_bad_usage(run, "Can not specify both '-n name' and '-x name' option.");
    if (value && decode(value, &set->value) != 0)
        return fs_fail(run, "\"%s\" is not a value: text, 0xhex or 0sbase64", value);
    return check_operands(run);
}

static int set_path(struct fs_run *run, struct fs_item *item)
{
    const struct setfattr *set = run->state;
    struct qn_error err;
    if (!is_quern(run, item))
        return FS_STOP;
    int rc = check_name(run, fs_value(run, fs_has(run, "n") ? "n" : "x"));
    if (rc != 0)
        return rc;
    rc = fs_has(run, "x")
             ? qn_remove_xattr(item->volume->qn, item->path, fs_value(run, "x"), &err)
             : qn_set_xattr(item->volume->qn, item->path, fs_value(run, "n"), set->value.data,
                            set->value.len, QN_XATTR_CREATE | QN_XATTR_REPLACE, &err);
    return rc == 0 ? 0 : fs_fail_error(run, item->text, &err);
}

static void set_end(struct fs_run *run)
{
    struct setfattr *set = run->state;
    buf_release(&set->value);
}

static const struct fs_option set_options[] = {
    {"n", "name", "The extended attribute name.", false, true},
    {"v", "value",
     "The extended attribute value. There are three different encoding methods for the value. If "
     "the argument is enclosed in double quotes, then the value is the string inside the quotes. "
     "If the argument is prefixed with 0x or 0X, then it is taken as a hexadecimal number. If the "
     "argument begins with 0s or 0S, then it is taken as a base64 encoding.",
     false, true},
    {"x", "name", "Remove the extended attribute.", false, true},
    {NULL, NULL, NULL},
};

const struct fs_command fs_setfattr = {
    .name = "setfattr",
    .usage = "{-n name [-v value] | -x name} <path>",
    .help =
        "Sets an extended attribute name and value for a file or directory.\n" FS_HELP_OPTIONS "\n"
        "<path>: The file or directory.\n",
    .syntax = {set_options, 0, FS_NO_LIMIT, true},
    .state_size = sizeof(struct setfattr),
    .begin = set_begin,
    .path = set_path,
    .end = set_end,
};
