/* SPDX-License-Identifier: Apache-2.0
 * daemon_args: a daemon's command line. Flags every daemon has and those of its descriptor are rows
 * of the same kind; configuration (-conf -D -fs -jt) goes to config_args. */
#ifndef QUERN_DAEMON_DAEMON_ARGS_H
#define QUERN_DAEMON_DAEMON_ARGS_H

#include "libcommon/daemon/config.h"
#include "libcommon/daemon/daemon.h"

#define DAEMON_FLAGS_MAX 48

struct daemon_args {
    struct config_args config;
    struct {
        const struct daemon_flag *flag;
        const char *value; /* "" when it takes none; borrowed from argv */
    } given[DAEMON_FLAGS_MAX];
    size_t given_count;
};

/* 0, or ERR_USAGE with the nearest known flag; release either way. */
int daemon_args_parse(struct daemon_args *args, const struct daemon_desc *desc, int argc,
                      char **argv, struct err *err);
void daemon_args_release(struct daemon_args *args);

/* The value given for a flag; NULL when it was not. */
const char *daemon_args_find(const struct daemon_args *args, const char *name);
/* Set the configuration keys of the flags given. */
int daemon_args_set(const struct daemon_args *args, struct conf *conf, struct err *err);
/* The flag given that is run instead of serving, or NULL. */
const struct daemon_flag *daemon_args_action(const struct daemon_args *args);

/* --help. */
void daemon_args_help(const struct daemon_desc *desc, struct buf *out);

#endif
