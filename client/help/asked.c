/* SPDX-License-Identifier: Apache-2.0 */
#include "client/help/asked.h"

#include <string.h>

bool help_is_asked(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "-?") == 0;
}

bool help_is_asked_in(int argc, char **argv)
{
    return argc > 1 && (help_is_asked(argv[1]) || help_is_asked(argv[argc - 1]));
}
