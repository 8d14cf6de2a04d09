/* SPDX-License-Identifier: Apache-2.0
 * banned: calls that have hurt everybody often enough. err.h includes this, so all of quern has it.
 */
#ifndef QUERN_BASE_BANNED_H
#define QUERN_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros under _FORTIFY_SOURCE with clang, which does not poison a macro in silence. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll
#pragma GCC poison gmtime localtime ctime asctime

#endif
