/* SPDX-License-Identifier: Apache-2.0
 * config: from a command line to a checked `struct conf`.
 *
 * The file is the first of: -conf FILE, $QUERN_CONF, ~/.config/quern/quern.conf,
 * ~/.local/share/quern/quern.conf (the local cluster of `quern up`), /etc/quern/quern.conf. The
 * first two must exist when named; without any file the defaults hold.
 *
 * A file has lines "key = value"; '#' or ';' begin a comment line, " ;" a comment behind a value. A
 * list may go on in indented lines. "include = FILE" (relative to the including file) reads another
 * file at that place; what stands below may set its keys differently. There are no sections.
 *
 * Some defaults are found out: node.name (host name), worker.cores, worker.memory, and of
 * dfs.namenode.rpc-address and fs.defaultFS each follows the other when only one is set. */
#ifndef QUERN_DAEMON_CONFIG_H
#define QUERN_DAEMON_CONFIG_H

#include "libcommon/base/conf.h"

/* What a command line said about configuration; collected before the file is read. */
struct config_args {
    const char *file;     /* -conf; borrowed from argv */
    const char **defines; /* "key=value"; borrowed from argv */
    size_t define_count, define_cap;
    const char *fs; /* -fs URI: fs.defaultFS */
    const char *jt; /* -jt host:port, or "local" */
};
#define CONFIG_ARGS_INIT ((struct config_args){0})
void config_args_release(struct config_args *args);

/* If argv[*i] begins one of -conf F, -D k=v, -Dk=v, -fs URI, -jt ADDRESS (one or two dashes, F also
 * after '='): keep it, move *i to its last word and return 1. 0 = something else, untouched.
 * ERR_USAGE when its value is missing. */
int config_args_take(struct config_args *args, int argc, char **argv, int *i, struct err *err);

/* As if "-D define" had been typed; borrowed until release. */
int config_args_define(struct config_args *args, const char *define, struct err *err);

/* A new conf with all options registered and the file, the environment, -fs, -jt and every -D set.
 * -D keys that are in no table of the system are an error here; a program whose plugin may own them
 * passes ret_foreign: they are handed back there ("key=value", borrowed from argv, array mem_free'd
 * by the caller). *ret_conf is the caller's (conf_free). */
struct config_foreign {
    const char **defines;
    size_t count;
};
int config_open(const struct config_args *args, struct conf **ret_conf,
                struct config_foreign *ret_foreign, struct err *err);

/* The path config_open would read, "" when there is none. ERR_CONFIG when a named one cannot be
 * read. */
int config_find(const char *named, struct buf *ret_path, struct err *err);
/* Read one file into `conf`. ERR_CONFIG with FILE:LINE in front. */
int config_read_file(struct conf *conf, const char *path, struct err *err);
/* "key=value", as after -D. */
int config_define(struct conf *conf, const char *define, struct err *err);

/* The file that was read, with its whole path, "" when none (the value of the key "conf.file"). */
const char *config_file(const struct conf *conf);

#endif
