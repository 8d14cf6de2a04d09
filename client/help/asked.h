/* SPDX-License-Identifier: Apache-2.0
 * asked: is a word one with which people ask a program what it takes? Where -h is an option of its
 * own (ls -h), whoever asks looks at his own options first. */
#ifndef QUERN_CLIENT_HELP_ASKED_H
#define QUERN_CLIENT_HELP_ASKED_H

#include <stdbool.h>

/* -h, -help, --help or -? */
bool help_is_asked(const char *word);
/* ... as the first or the last of the words behind argv[0]. */
bool help_is_asked_in(int argc, char **argv);

#endif
