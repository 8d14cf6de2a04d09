/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/moved.h"

#include "libcommon/base/str.h"

void moved_tell(FILE *out, const struct moved *moved)
{
    char took[32], bytes[32], records[32], written[32];
    fprintf(out, "done in %s   %s in", str_duration(moved->took_ms, took, sizeof(took)),
            str_human(moved->in_bytes, bytes, sizeof(bytes)));
    for (size_t i = 1; i < moved->count; i++)
        fprintf(out, " → %s shuffled", str_human(moved->stages[i].in_bytes, bytes, sizeof(bytes)));
    fprintf(out, " → %s out", str_human(moved->out_bytes, bytes, sizeof(bytes)));
    if (moved->count && moved->stages[0].in_records)
        fprintf(
            out, "   %s records in → %s out",
            str_thousands(moved->stages[0].in_records, records, sizeof(records)),
            str_thousands(moved->stages[moved->count - 1].out_records, written, sizeof(written)));
    fputc('\n', out);
}
