/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/kit_new.h"

#include <errno.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

/* In each, @ is the plugin's name. */
static const char source[] =
    "/* @: how many lines have which length. Change map and reduce to your own work;\n"
    " * quern/job.h says what a job may do, docs/first-job.md shows it. */\n"
    "#include <quern/job.h>\n"
    "\n"
    "static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)\n"
    "{\n"
    "    const uint64_t length = line.len, one = 1;\n"
    "    (void)where;\n"
    "    return qn_emit(task, qn_from_u64(&length), qn_from_u64(&one));\n"
    "}\n"
    "\n"
    "static int reduce(struct qn_task *task, struct qn_slice length, struct qn_values *ones)\n"
    "{\n"
    "    uint64_t lines = 0;\n"
    "    struct qn_slice one;\n"
    "    while (qn_next(ones, &one))\n"
    "        lines += qn_to_u64(one);\n"
    "    return qn_emit(task, length, qn_from_u64(&lines));\n"
    "}\n"
    "\n"
    "const struct qn_job qn_job = {\n"
    "    .head = QN_JOB_HEAD,\n"
    "    .name = \"@\",\n"
    "    .about = \"how many lines have which length\",\n"
    "    .map = map,\n"
    "    .combine_op = QN_SUM,\n"
    "    .reduce = reduce,\n"
    "    .key = QN_U64,\n"
    "    .value = QN_U64,\n"
    "};\n";

static const char makefile[] =
    "# make: the plugin; make test: against the expected output, and what a cluster would do to "
    "it\n"
    "CFLAGS ?= -O2 -g -Wall -Wextra\n"
    "QUERN_INCLUDE ?= %\n"
    "\n"
    "@.so: @.c\n"
    "\t$(CC) $(CFLAGS) -shared -fPIC -I$(QUERN_INCLUDE) -o $@ $<\n"
    "\n"
    "test: @.so\n"
    "\tquern job test ./@.so -in test/input.txt -expect test/expected.txt\n"
    "\tquern job check ./@.so -in test/input.txt\n"
    "\n"
    "clean:\n"
    "\trm -f @.so\n"
    "\n"
    ".PHONY: test clean\n";

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
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;
    if (n <= 0)
        return str_dup("/usr/local/include");
    self[n] = 0;
    slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
        char *header = str_printf("%.*s/%s/quern/job.h", (int)(slash - self), self, places[i]);
        char *whole = header ? realpath(header, NULL) : NULL;
        char *dir =
            whole ? slice_dup(slice_of(whole, strlen(whole) - strlen("/quern/job.h"))) : NULL;
        mem_free(header);
        free(whole);
        if (dir)
            return dir;
    }
    return str_dup("/usr/local/include");
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

int kit_new(const char *name, struct err *err)
{
    if (!is_name(name))
        return err_set(err, ERR_USAGE, "\"%s\" is no name for a plugin: letters, digits, _ and -",
                       name);
    char *tests = str_printf("%s/test", name), *file = str_printf("%s.c", name);
    int rc = tests && file ? make_dir(name, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = make_dir(tests, err);
    if (rc == 0)
        rc = write_file(name, file, source, err);
    if (rc == 0)
        rc = write_file(name, "Makefile", makefile, err);
    if (rc == 0)
        rc = write_file(name, "test/input.txt", input, err);
    if (rc == 0)
        rc = write_file(name, "test/expected.txt", expected, err);
    if (rc == 0)
        printf("%s/%s, %s/Makefile, %s/test/\n\n"
               "  cd %s && make test        # builds it, runs it without a cluster, checks it\n"
               "  quern run ./%s.so IN OUT\n",
               name, file, name, name, name, name);
    mem_free(tests);
    mem_free(file);
    return rc;
}
