/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/combined.h"

#include <inttypes.h>

#include "libcommon/base/str.h"

void combined_tell(FILE *out, uint64_t before, uint64_t after, uint64_t aside)
{
    char in[32], made[32];
    if (before == 0)
        return;
    fprintf(out, "combined     %s records → %s", str_thousands(before, in, sizeof(in)),
            str_thousands(after, made, sizeof(made)));
    if (aside)
        fprintf(out, "; %" PRIu64 " map%s gave it up, which did not halve them", aside,
                aside == 1 ? "" : "s");
    fputc('\n', out);
}
