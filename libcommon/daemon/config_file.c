/* SPDX-License-Identifier: Apache-2.0
 * Reading one configuration file. inih cuts lines into keys and values but tells neither line
 * numbers nor continuations: we feed it lines ourselves and remember. A key is set when the next
 * one begins, because indented lines may still add to its value. */
#include "libcommon/daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define INCLUDE_DEPTH_MAX 8

struct reading {
    struct conf *conf;
    const char *path;
    unsigned depth;
    FILE *file;
    char *line;
    size_t line_cap;
    unsigned line_number;
    bool is_indented;
    bool is_long; /* inih saw only the beginning */
    char *key;    /* being collected; NULL = none */
    struct buf value;
    unsigned key_line;
    int rc; /* first failure; the rest of the file is skipped */
    struct err *err;
};

static int read_one(struct conf *conf, const char *path, unsigned depth, struct err *err);

static void fail(struct reading *r, unsigned line, const char *what)
{
    if (r->rc == 0)
        r->rc = err_set(r->err, ERR_CONFIG, "%s:%u: %s", r->path, line, what);
}

static void include(struct reading *r, const char *name)
{
    const char *slash = strrchr(r->path, '/');
    int dir = slash && name[0] != '/' ? (int)(slash - r->path) + 1 : 0;
    char *path = str_printf("%.*s%s", dir, r->path, name);
    if (r->depth + 1 > INCLUDE_DEPTH_MAX)
        fail(r, r->key_line, "include goes too deep (does a file include itself?)");
    else if (!path)
        r->rc = err_set(r->err, ERR_NOMEM, "out of memory");
    else if (access(path, R_OK) != 0) /* where it is asked for tells more than where it is not */
        r->rc = err_set(r->err, ERR_CONFIG, "%s:%u: cannot include %s: %s", r->path, r->key_line,
                        path, strerror(errno));
    else
        r->rc = read_one(r->conf, path, r->depth + 1, r->err);
    mem_free(path);
}

static void set_collected(struct reading *r)
{
    if (!r->key)
        return;
    const char *value = buf_cstr(&r->value);
    if (r->rc != 0)
        ; /* already failed further up */
    else if (!value)
        r->rc = err_set(r->err, ERR_NOMEM, "out of memory");
    else if (strcmp(r->key, "include") == 0)
        include(r, value);
    else
        r->rc = conf_set(r->conf, r->key, value, CONF_FROM_FILE(r->path, r->key_line), r->err);
    mem_free(r->key);
    r->key = NULL;
}

/* inih's lines end after 199 bytes. The value of a longer one is cut from our own copy by the same
 * rules: what stands behind the first '=' or ':' (nothing, in a continuation), up to a " ;". */
static const char *whole_value(struct reading *r)
{
    char *at = r->is_indented && r->key ? r->line : r->line + strcspn(r->line, "=:") + 1;
    at += strspn(at, " \t");
    for (char *c = at; *c; c++)
        if (*c == ';' && c > at && isspace((unsigned char)c[-1]))
            *c = 0;
    size_t n = strlen(at);
    while (n && isspace((unsigned char)at[n - 1]))
        at[--n] = 0;
    return at;
}

static int on_pair(void *arg, const char *section, const char *key, const char *value)
{
    struct reading *r = arg;
    if (r->rc != 0)
        return 1;
    if (r->is_long)
        value = whole_value(r);
    if (*section) {
        fail(r, r->line_number, "there are no [sections]: write the keys without them");
    } else if (r->is_indented && r->key) {
        buf_append_byte(&r->value, ',');
        buf_append_str(&r->value, value);
    } else {
        set_collected(r);
        if (r->rc != 0)
            return 1;
        r->key = str_dup(key);
        if (!r->key)
            r->rc = err_set(r->err, ERR_NOMEM, "out of memory");
        buf_clear(&r->value);
        buf_append_str(&r->value, value);
        r->key_line = r->line_number;
    }
    return 1;
}

/* fgets for inih: one line, or as much of it as inih takes. */
static char *next_line(char *out, int cap, void *arg)
{
    struct reading *r = arg;
    ssize_t n = r->rc == 0 ? getline(&r->line, &r->line_cap, r->file) : -1;
    if (n < 0)
        return NULL;
    r->line_number++;
    if (memchr(r->line, 0, (size_t)n)) {
        fail(r, r->line_number, "this is no text");
        return NULL;
    }
    r->is_indented = isspace((unsigned char)r->line[0]);
    r->is_long = n >= cap;
    size_t given = r->is_long ? (size_t)cap - 2 : (size_t)n;
    memcpy(out, r->line, given);
    if (r->is_long) /* newer ones refuse a line that has no end, and the next with it */
        out[given++] = '\n';
    out[given] = 0;
    return out;
}

static int read_one(struct conf *conf, const char *path, unsigned depth, struct err *err)
{
    struct reading r = {.conf = conf, .path = path, .depth = depth, .err = err};
    r.file = fopen(path, "re");
    if (!r.file)
        return err_set(err, ERR_CONFIG, "cannot read configuration file %s: %s", path,
                       strerror(errno));
    int bad_line = ini_parse_stream(next_line, &r, on_pair, &r);
    if (r.rc == 0 && bad_line == 0 && ferror(r.file))
        r.rc = err_set(err, ERR_CONFIG, "cannot read configuration file %s: %s", path,
                       strerror(errno));
    if (bad_line > 0)
        fail(&r, (unsigned)bad_line, "want key = value");
    else if (bad_line < 0 && r.rc == 0)
        r.rc = err_set(err, ERR_NOMEM, "out of memory");
    set_collected(&r);
    fclose(r.file);
    free(r.line); /* getline's */
    mem_free(r.key);
    buf_release(&r.value);
    return r.rc;
}

int config_read_file(struct conf *conf, const char *path, struct err *err)
{
    return read_one(conf, path, 0, err);
}
