/* SPDX-License-Identifier: Apache-2.0
 * kit: what an author of plugins needs before any cluster: a new one to begin with, a test against
 * an expected output, and a check that tries what a cluster would do to it. All run the job as `-jt
 * local` does. */
#ifndef QUERN_CLIENT_JOB_KIT_H
#define QUERN_CLIENT_JOB_KIT_H

#include <stdio.h>

/* argv[0] is "new", "test" or "check", without dashes. The exit code: 0, 1 it failed, 2 usage. */
int kit_main(int argc, char **argv);
/* NULL when `word` is none of them. */
const char *kit_name(const char *word);
#define KIT_COMMANDS 3
void kit_names(const char *names[KIT_COMMANDS]);
void kit_help(FILE *out);

#endif
