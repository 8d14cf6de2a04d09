/* SPDX-License-Identifier: Apache-2.0
 * checksum: the MD5 of MD5s of CRC32Cs that other systems of the family compute too, so that two
 * copies in different clusters can be compared without reading them. */
#include <inttypes.h>

#include "client/fs/commands.h"
#include "client/lib/checksum.h"
#include "libcommon/codec/digest.h"

static int checksum_path(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    struct cl_checksum sum;
    char algorithm[64], hex[2 * CL_CHECKSUM_BYTES + 1];
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    if (!item->volume->qn) {
        printf("%s\tNONE\n", item->text);
        return 0;
    }
    if (cl_file_checksum(item->volume->qn, item->path, &sum, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    printf("%s\t%s\t%s", item->text, cl_checksum_name(&sum, algorithm, sizeof(algorithm)),
           digest_text(sum.bytes, CL_CHECKSUM_BYTES, hex));
    if (fs_has(run, "v"))
        printf("\tBlockSize=%" PRIu64, item->stat.block_size);
    putchar('\n');
    return 0;
}

static const struct fs_option options[] = {
    {"v", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_checksum = {
    .name = "checksum",
    .usage = "[-v] <src> ...",
    .help = "Dump checksum information for files that match the file pattern <src> to stdout. Note "
            "that this requires a round-trip to a datanode storing each block of the file, and "
            "thus is not efficient to run on a large number of files. The checksum of a file "
            "depends on its content, block size and the checksum algorithm and parameters used "
            "for creating the file.",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .path = checksum_path,
};
