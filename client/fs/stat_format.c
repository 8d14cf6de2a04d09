/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/stat_format.h"

#include <inttypes.h>

#include "client/fs/format.h"

static void put_letter(char letter, const struct qn_stat *stat, struct slice name, struct buf *out)
{
    char text[FS_TIME_TEXT];
    switch (letter) {
    case 'a':
        buf_printf(out, "%o", stat->mode);
        break;
    case 'A':
        buf_append_str(out, fs_format_mode(stat->mode, text));
        break;
    case 'b':
        buf_printf(out, "%" PRIu64, stat->is_dir ? 0 : stat->length);
        break;
    case 'F':
        buf_append_str(out, stat->is_dir ? "directory" : "regular file");
        break;
    case 'g':
        buf_append_str(out, stat->group);
        break;
    case 'n':
        buf_append_slice(out, name);
        break;
    case 'o':
        buf_printf(out, "%" PRIu64, stat->is_dir ? 0 : stat->block_size);
        break;
    case 'r':
        buf_printf(out, "%" PRIu32, stat->replication);
        break;
    case 'u':
        buf_append_str(out, stat->owner);
        break;
    case 'x':
        buf_append_str(out, fs_format_utc_second(stat->atime_ms, text));
        break;
    case 'X':
        buf_printf(out, "%" PRIu64, stat->atime_ms);
        break;
    case 'y':
        buf_append_str(out, fs_format_utc_second(stat->mtime_ms, text));
        break;
    case 'Y':
        buf_printf(out, "%" PRIu64, stat->mtime_ms);
        break;
    default:
        buf_append_byte(out, (uint8_t)letter);
    }
}

void fs_stat_format(const char *format, const struct qn_stat *stat, struct slice name,
                    struct buf *out)
{
    for (const char *p = format; *p; p++) {
        if (*p != '%')
            buf_append_byte(out, (uint8_t)*p);
        else if (*++p)
            put_letter(*p, stat, name, out);
        else
            return;
    }
}
