/* SPDX-License-Identifier: Apache-2.0
 * keys: `quern help keys [WORD]`: what each key of the configuration means, from the tables that
 * check it. */
#ifndef QUERN_CLIENT_HELP_KEYS_H
#define QUERN_CLIENT_HELP_KEYS_H

/* Print the keys whose name contains `word` (NULL = all). 0, or an exit code, told. */
int help_keys(const char *word);

#endif
