/* SPDX-License-Identifier: Apache-2.0
 * conf: configuration as tables of options.
 *
 * A table says of each key its type, default, limits and help; several tables are registered into
 * one `struct conf` (the system's own, a job plugin's). Every value is checked when it is set, with
 * the place it came from, so that reading it later cannot fail and never parses:
 *
 *     conf_set(conf, "dfs.blocksize", "128m", CONF_FROM_FILE("/etc/quern/quern.conf", 14), &err)
 *     uint64_t bytes = conf_size(conf, "dfs.blocksize");
 *
 * A mistake is one line: where, which key, what is wrong, the nearest key that exists.
 *
 * Sources have ranks: default < file < environment < -D < flag. A value of a lower rank never
 * replaces one of a higher rank, in whatever order they arrive; within a rank the later one wins,
 * save that one file may not set a key twice.
 *
 * Reading an unknown key, or one of another type, is a BUG. Not thread-safe while being set;
 * reading from several threads is fine. Strings and lists read are borrowed until the key is set
 * again. */
#ifndef QUERN_BASE_CONF_H
#define QUERN_BASE_CONF_H

#include "libcommon/base/buf.h"

enum conf_type {
    CONF_STRING,
    CONF_BOOL,    /* true false yes no on off 1 0 */
    CONF_INT,     /* int64_t */
    CONF_NUMBER,  /* double */
    CONF_SIZE,    /* uint64_t bytes: 128m; a bare number counts `unit` bytes */
    CONF_TIME,    /* uint64_t ms: 30s; a bare number counts `unit` ms */
    CONF_LIST,    /* words separated by commas */
    CONF_ADDRESS, /* host:port, [v6]:port */
    CONF_CHOICE,  /* one of the words in `choices` */
};

enum conf_flag {
    CONF_JOB = 1,    /* may be set for one job (`quern run -D`) */
    CONF_RELOAD = 2, /* takes effect on SIGHUP; others wait for a restart */
};

struct conf_option {
    const char *key;
    enum conf_type type;
    const char *fallback;  /* the default as one would write it; NULL = none (0, "", empty list) */
    const char *help;      /* one line */
    const char *min, *max; /* as written, inclusive; NULL = no limit. INT, NUMBER, SIZE, TIME */
    const char *choices;   /* CONF_CHOICE: words separated by spaces */
    const char *alias;     /* other names taken for this key, separated by spaces */
    const char *env;       /* environment variable that sets it */
    uint64_t unit;         /* SIZE and TIME: what a bare number counts; 0 = 1 */
    unsigned flags;        /* enum conf_flag */
};

enum conf_origin {
    CONF_ORIGIN_DEFAULT,
    CONF_ORIGIN_FILE,
    CONF_ORIGIN_ENV,
    CONF_ORIGIN_DEFINE,
    CONF_ORIGIN_FLAG,
};

struct conf_source {
    enum conf_origin origin;
    const char *name; /* file, variable or flag; NULL for -D; copied */
    unsigned line;    /* of the file, else 0 */
};
#define CONF_FROM_FILE(file, line) ((struct conf_source){CONF_ORIGIN_FILE, (file), (line)})
#define CONF_FROM_ENV(variable)    ((struct conf_source){CONF_ORIGIN_ENV, (variable), 0})
#define CONF_FROM_DEFINE           ((struct conf_source){CONF_ORIGIN_DEFINE, NULL, 0})
#define CONF_FROM_FLAG(flag)       ((struct conf_source){CONF_ORIGIN_FLAG, (flag), 0})
/* A default that had to be found out at run time ("host name", "number of cores"). */
#define CONF_COMPUTED(what) ((struct conf_source){CONF_ORIGIN_DEFAULT, (what), 0})

struct conf_list {
    char *const *items;
    size_t count;
};

struct conf_address {
    const char *host; /* without brackets; "" = none set */
    uint16_t port;
};

struct conf;

struct conf *conf_new(void); /* NULL when memory is out; conf_free it */
void conf_free(struct conf *conf);

/* Add a table (borrowed until conf_free). ERR_CONFIG when a key is there already, or a row refuses
 * its own default (a plugin's table may be anything); ERR_NOMEM. The conf is only good to be freed
 * then. */
int conf_register(struct conf *conf, const struct conf_option *table, size_t count,
                  struct err *err);
/* Keys that other systems know and that mean nothing here (borrowed; a name may end in '*').
 * Setting one is no error; conf_ignored tells which were. 0 or ERR_NOMEM. */
int conf_register_ignored(struct conf *conf, const char *const *names, size_t count);

/* Check and keep a value. ERR_CONFIG with the line for the user; ERR_NOMEM. */
int conf_set(struct conf *conf, const char *key, const char *value, struct conf_source from,
             struct err *err);
/* Every option whose row names an environment variable that is set. */
int conf_set_from_env(struct conf *conf, struct err *err);

/* Take over from `fresh` (same tables, newly read) what may change while running: values of
 * CONF_RELOAD keys that differ, with their sources; strings read before of those are gone.
 * `changed` is called for every differing key, applied or not (then it waits for a restart). Cannot
 * fail. `fresh` holds the old values then. */
void conf_reload(struct conf *conf, struct conf *fresh,
                 void (*changed)(const struct conf_option *option, bool is_applied, void *arg),
                 void *arg);
/* Exchange the values of one key between two configurations of the same tables: takes a reload of
 * it back. */
void conf_exchange(struct conf *conf, struct conf *other, const char *key);

/* Keys set and ignored so far, separated by ", "; "" when none. */
const char *conf_ignored(struct conf *conf);

bool conf_knows(const struct conf *conf, const char *key);
/* Is it one of the names registered as meaning nothing here? */
bool conf_ignores(const struct conf *conf, const char *key);
/* The key somebody may have meant, or NULL. */
const char *conf_nearest(const struct conf *conf, const char *key);
/* Does the value come from anywhere but a default? */
bool conf_is_set(const struct conf *conf, const char *key);

/* CONF_STRING and CONF_CHOICE, and the text as written of any other type; never NULL. */
const char *conf_str(const struct conf *conf, const char *key);
bool conf_bool(const struct conf *conf, const char *key);
int64_t conf_int(const struct conf *conf, const char *key);
double conf_number(const struct conf *conf, const char *key);
uint64_t conf_size(const struct conf *conf, const char *key);
uint64_t conf_ms(const struct conf *conf, const char *key);
struct conf_list conf_list(const struct conf *conf, const char *key);
struct conf_address conf_address(const struct conf *conf, const char *key);
unsigned conf_choice(const struct conf *conf, const char *key); /* index in `choices` */

/* Visit every option in order of key: its row, its value as text, and where from ("default",
 * "/etc/quern/quern.conf:14", "-D", "$VARIABLE", "--flag"). */
typedef void conf_visit(const struct conf_option *option, const char *value, const char *where,
                        void *arg);
void conf_each(const struct conf *conf, conf_visit *visit, void *arg);
/* All of it as a file that can be loaded again, each line with where it came from. */
void conf_print(const struct conf *conf, struct buf *out);

#endif
