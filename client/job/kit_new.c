/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/kit_new.h"

#include <errno.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define BINDING_MAX ((size_t)1 << 20)

static const char input[] = "one\ntwo\nthree\n\nfour\n";
static const char expected[] = "0\t1\n3\t2\n4\t1\n5\t1\n";

static bool is_name(const char *name)
{
    if (!*name || strlen(name) > 64)
        return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              *p == '_' || *p == '-'))
            return false;
    return *name != '-';
}

/* Beside the installed program, or in the tree it was built in. */
static char *include_dir(void)
{
    static const char *const places[] = {"../include", "../../include"};
    char *own = proc_own_dir(), *dir = NULL;
    for (size_t i = 0; own && !dir && i < ARRAY_LEN(places); i++) {
        char *header = str_printf("%s/%s/quern/job.h", own, places[i]);
        char *whole = header ? realpath(header, NULL) : NULL;
        if (whole)
            dir = slice_dup(slice_of(whole, strlen(whole) - strlen("/quern/job.h")));
        mem_free(header);
        free(whole);
    }
    mem_free(own);
    return dir ? dir : str_dup("/usr/local/include");
}

static int write_file(const char *name, const char *file, const char *text, struct err *err)
{
    char *include = include_dir(), *path = str_printf("%s/%s", name, file);
    struct buf out = BUF_INIT;
    for (const char *p = text; *p; p++)
        if (*p == '@')
            /* "$@" is make's own */
            buf_append_str(&out, p > text && p[-1] == '$' ? "@" : name);
        else if (*p == '%' && include)
            buf_append_str(&out, include);
        else
            buf_append_byte(&out, (uint8_t)*p);
    int rc = path && include && !buf_failed(&out)
                 ? fsutil_write_all(disk_real(), path, buf_slice(&out), err)
                 : err_set(err, ERR_NOMEM, "out of memory");
    buf_release(&out);
    mem_free(include);
    mem_free(path);
    return rc;
}

static int make_dir(const char *path, struct err *err)
{
    int rc = disk_mkdir(disk_real(), path);
    if (rc == ERR_EXIST)
        return err_set(err, rc, "%s exists already: choose another name, or remove it", path);
    return rc == 0 ? 0 : err_set(err, rc, "cannot make %s: %s", path, err_text(rc));
}

static const struct kit_language *language_of(const char *word, struct err *err)
{
    struct buf known = BUF_INIT;
    for (const struct kit_language *l = kit_languages; l->name; l++)
        if (strcmp(l->name, word) == 0)
            return l;
    for (const struct kit_language *l = kit_languages; l->name; l++)
        buf_printf(&known, "%s%s", known.len ? ", " : "", l->name);
    err_set(err, ERR_USAGE, "-lang %s: %s are known", word, buf_cstr(&known));
    buf_release(&known);
    return NULL;
}

/* quern.rs: the crate's own copy of what Rust needs to know. */
static int write_binding(const char *name, struct err *err)
{
    char *include = include_dir(), *from = include ? str_printf("%s/quern/job.rs", include) : NULL;
    char *to = str_printf("%s/quern.rs", name);
    struct buf text = BUF_INIT;
    int rc = from && to ? fsutil_read_all(disk_real(), from, BINDING_MAX, &text, err)
                        : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = fsutil_write_all(disk_real(), to, buf_slice(&text), err);
    buf_release(&text);
    mem_free(include);
    mem_free(from);
    mem_free(to);
    return rc;
}

static int write_all(const char *name, const char *file, const struct kit_language *language,
                     struct err *err)
{
    int rc = write_file(name, file, language->source, err);
    if (rc == 0)
        rc = write_file(name, "Makefile", language->makefile, err);
    if (rc == 0 && language->cargo)
        rc = write_file(name, "Cargo.toml", language->cargo, err);
    if (rc == 0 && language->cargo)
        rc = write_binding(name, err);
    if (rc == 0)
        rc = write_file(name, "test/input.txt", input, err);
    return rc == 0 ? write_file(name, "test/expected.txt", expected, err) : rc;
}

int kit_new(const char *name, const char *language_word, struct err *err)
{
    const struct kit_language *language = language_of(language_word ? language_word : "c", err);
    if (!language)
        return ERR_USAGE;
    if (!is_name(name))
        return err_set(err, ERR_USAGE, "\"%s\" is no name for a plugin: letters, digits, _ and -",
                       name);
    char *tests = str_printf("%s/test", name);
    char *file = str_printf("%s.%s", name, language->extension);
    int rc = tests && file ? make_dir(name, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = make_dir(tests, err);
    if (rc == 0)
        rc = write_all(name, file, language, err);
    if (rc == 0)
        printf("%s/%s, %s/Makefile, %s/test/\n\n"
               "  cd %s && make test        # builds it, runs it without a cluster, checks it\n"
               "  quern run ./%s.so IN OUT\n",
               name, file, name, name, name, name);
    mem_free(tests);
    mem_free(file);
    return rc;
}
