/* SPDX-License-Identifier: Apache-2.0
 * banned: calls that have hurt everybody often enough. err.h includes this, so all of quern has it. */
#ifndef QUERN_BASE_BANNED_H
#define QUERN_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll
#pragma GCC poison gmtime localtime ctime asctime

#endif
