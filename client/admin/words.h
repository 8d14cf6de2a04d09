/* SPDX-License-Identifier: Apache-2.0
 * words: the help of commands that Hadoop has too. */
#ifndef QUERN_ADMIN_WORDS_H
#define QUERN_ADMIN_WORDS_H

#include <stddef.h>

/* Lines, the last one ended too; NULL when Hadoop has no such command. */
const char *admin_words(const char *name);
/* Names in the order in which -help tells of them; NULL behind the last. */
const char *admin_words_at(size_t i);

#endif
