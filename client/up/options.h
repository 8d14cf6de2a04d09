/* SPDX-License-Identifier: Apache-2.0
 * options: the few flags of small commands: one or two dashes, "-name value" or "-name=value", a
 * near miss is named. */
#ifndef QUERN_CLIENT_UP_OPTIONS_H
#define QUERN_CLIENT_UP_OPTIONS_H

#include "libcommon/base/err.h"

struct cmd_option {
    const char *name;
    const char *arg;  /* "DIR"; NULL for a switch */
    const char *help; /* one line */
    const char *
        *ret_text; /* value, borrowed from argv; "" for a switch; untouched when not given */
};

/* Parses argv[1..]; *ret_rest is the index of the first word that is no flag (argc when all are).
 * ERR_USAGE. */
int cmd_options_parse(const struct cmd_option *options, size_t count, int argc, char **argv,
                      int *ret_rest, struct err *err);
void cmd_options_print(const struct cmd_option *options, size_t count);

#endif
