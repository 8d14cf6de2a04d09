/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/config.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/daemon/config_found.h"
#include "libcommon/daemon/options.h"

void config_args_release(struct config_args *args)
{
    mem_free(args->defines);
    *args = CONFIG_ARGS_INIT;
}

int config_args_define(struct config_args *args, const char *define, struct err *err)
{
    if (mem_grow(&args->defines, &args->define_cap, args->define_count, sizeof(char *)) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    args->defines[args->define_count++] = define;
    return 0;
}

/* The value of "-name VALUE" or "-name=VALUE" (glued: "-nameVALUE") in *ret_value, *i at its last
 * word: 1; 0 = another word; ERR_USAGE. */
static int take_value(const char *name, bool glued, int argc, char **argv, int *i,
                      const char **ret_value, struct err *err)
{
    const char *word = argv[*i] + (argv[*i][1] == '-' ? 2 : 1), *value = word + strlen(name);
    if (strncmp(word, name, strlen(name)) != 0)
        return 0;
    if (*value == 0) {
        if (*i + 1 >= argc)
            return err_set(err, ERR_USAGE, "-%s needs a value", name);
        value = argv[++*i];
    } else if (!glued && *value++ != '=') {
        return 0;
    }
    *ret_value = value;
    return 1;
}

int config_args_take(struct config_args *args, int argc, char **argv, int *i, struct err *err)
{
    const char *define = NULL;
    if (argv[*i][0] != '-')
        return 0;
    int rc = take_value("conf", false, argc, argv, i, &args->file, err);
    if (rc == 0)
        rc = take_value("fs", false, argc, argv, i, &args->fs, err);
    if (rc == 0)
        rc = take_value("jt", false, argc, argv, i, &args->jt, err);
    if (rc != 0)
        return rc;
    rc = take_value("D", true, argc, argv, i, &define, err);
    if (define)
        rc = config_args_define(args, define, err);
    return define && rc == 0 ? 1 : rc;
}

/* Appends HOME/rest; false without a home. */
static bool below_home(struct buf *out, const char *rest)
{
    const char *home = getenv("HOME");
    if (!home || !*home) {
        const struct passwd *pw = getpwuid(getuid());
        home = pw ? pw->pw_dir : NULL;
    }
    if (!home)
        return false;
    buf_printf(out, "%s/%s", home, rest);
    return true;
}

static bool is_readable(struct buf *path)
{
    const char *name = buf_cstr(path);
    return name && access(name, R_OK) == 0;
}

int config_find(const char *named, struct buf *ret_path, struct err *err)
{
    static const char *const homely[] = {".config/quern/quern.conf",
                                         ".local/share/quern/quern.conf"};
    const char *variable = getenv("QUERN_CONF");
    buf_clear(ret_path);
    if (!named && variable && *variable)
        named = variable;
    if (named) {
        buf_append_str(ret_path, named);
        if (!is_readable(ret_path))
            return err_set(err, ERR_CONFIG, "cannot read configuration file %s%s: %s", named,
                           named == variable ? " (from $QUERN_CONF)" : "", strerror(errno));
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(homely); i++) {
        buf_clear(ret_path);
        if (below_home(ret_path, homely[i]) && is_readable(ret_path))
            return 0;
    }
    buf_clear(ret_path);
    buf_append_str(ret_path, "/etc/quern/quern.conf");
    if (!is_readable(ret_path))
        buf_clear(ret_path);
    return 0;
}

/* "key=value" into a key of its own; the value is borrowed. */
static int split_define(const char *define, struct buf *key, const char **ret_value,
                        struct err *err)
{
    const char *eq = strchr(define, '=');
    if (!eq || eq == define)
        return err_set(err, ERR_USAGE, "-D %s: want key=value", define);
    buf_clear(key);
    buf_append(key, define, (size_t)(eq - define));
    *ret_value = eq + 1;
    return buf_cstr(key) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int config_define(struct conf *conf, const char *define, struct err *err)
{
    struct buf key = BUF_INIT;
    const char *value;
    int rc = split_define(define, &key, &value, err);
    if (rc == 0)
        rc = conf_set(conf, buf_cstr(&key), value, CONF_FROM_DEFINE, err);
    buf_release(&key);
    return rc;
}

static bool is_foreign(const struct conf *conf, const char *define)
{
    struct buf key = BUF_INIT;
    const char *value;
    bool foreign = split_define(define, &key, &value, NULL) == 0 &&
                   !conf_knows(conf, buf_cstr(&key)) && !conf_ignores(conf, buf_cstr(&key));
    buf_release(&key);
    return foreign;
}

static int set_defines(struct conf *conf, const struct config_args *args,
                       struct config_foreign *foreign, struct err *err)
{
    for (size_t i = 0; i < args->define_count; i++) {
        if (foreign && is_foreign(conf, args->defines[i])) {
            foreign->defines[foreign->count++] = args->defines[i];
            continue;
        }
        int rc = config_define(conf, args->defines[i], err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int set_flags(struct conf *conf, const struct config_args *args, struct err *err)
{
    int rc = 0;
    if (args->fs)
        rc = conf_set(conf, "fs.defaultFS", args->fs, CONF_FROM_FLAG("fs"), err);
    if (rc == 0 && args->jt && strcmp(args->jt, "local") != 0)
        rc = conf_set(conf, "mapreduce.jobtracker.address", args->jt, CONF_FROM_FLAG("jt"), err);
    return rc;
}

/* From wherever: tasks and children read it, too. */
static int make_absolute(struct buf *path, struct err *err)
{
    char here[PATH_MAX];
    struct buf relative = *path;
    if (path->len == 0 || *buf_cstr(path) == '/')
        return 0;
    if (!getcwd(here, sizeof(here)))
        return err_errno(err, errno, "%s: cannot tell where this is", buf_cstr(path));
    *path = (struct buf)BUF_INIT;
    buf_printf(path, "%s/%s", here, buf_cstr(&relative));
    buf_release(&relative);
    return buf_cstr(path) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int read_found_file(struct conf *conf, const char *named, struct err *err)
{
    struct buf path = BUF_INIT;
    int rc = config_find(named, &path, err);
    if (rc == 0 && path.len)
        rc = config_read_file(conf, buf_cstr(&path), err);
    if (rc == 0)
        rc = make_absolute(&path, err);
    if (rc == 0)
        rc = conf_set(conf, "conf.file", buf_cstr(&path), CONF_COMPUTED("the file read"), err);
    buf_release(&path);
    return rc;
}

static int fill(struct conf *conf, const struct config_args *args, struct config_foreign *foreign,
                struct err *err)
{
    int rc = options_register(conf, err);
    if (rc == 0)
        rc = read_found_file(conf, args->file, err);
    if (rc == 0)
        rc = conf_set_from_env(conf, err);
    if (rc == 0)
        rc = set_flags(conf, args, err);
    if (rc == 0)
        rc = set_defines(conf, args, foreign, err);
    return rc == 0 ? config_found_defaults(conf, err) : rc;
}

int config_open(const struct config_args *args, struct conf **ret_conf,
                struct config_foreign *ret_foreign, struct err *err)
{
    struct config_foreign foreign = {0};
    struct conf *conf = conf_new();
    int rc = conf ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0 && ret_foreign && args->define_count) {
        foreign.defines = mem_calloc(args->define_count, sizeof(char *));
        if (!foreign.defines)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (rc == 0)
        rc = fill(conf, args, ret_foreign ? &foreign : NULL, err);
    if (rc != 0) {
        mem_free(foreign.defines);
        conf_free(conf);
        return rc;
    }
    if (ret_foreign)
        *ret_foreign = foreign;
    *ret_conf = conf;
    return 0;
}

const char *config_file(const struct conf *conf)
{
    return conf_str(conf, "conf.file");
}
