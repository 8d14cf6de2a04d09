/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/combined.h"

#include <inttypes.h>

#include "libcommon/base/str.h"

#define HEAD    "combined     "
#define BETWEEN " records → "

void combined_tell(FILE *out, uint64_t before, uint64_t after, uint64_t aside)
{
    char in[32], made[32];
    if (before == 0)
        return;
    fprintf(out, HEAD "%s" BETWEEN "%s", str_thousands(before, in, sizeof(in)),
            str_thousands(after, made, sizeof(made)));
    if (aside)
        fprintf(out, "; %" PRIu64 " map%s gave it up, which did not halve them", aside,
                aside == 1 ? "" : "s");
    fputc('\n', out);
}

bool combined_is_told(struct slice report)
{
    const size_t between = sizeof(BETWEEN) - 1;
    const uint8_t *head = memmem(report.data, report.len, HEAD, sizeof(HEAD) - 1);
    if (!head)
        return false;
    const uint8_t *in = head + sizeof(HEAD) - 1, *end = report.data + report.len;
    const uint8_t *behind = memmem(in, (size_t)(end - in), BETWEEN, between);
    if (!behind)
        return false;
    size_t digits = (size_t)(behind - in); /* as many and the same ones where nothing came of it */
    return (size_t)(end - behind) < between + digits || memcmp(in, behind + between, digits) != 0;
}
