/* SPDX-License-Identifier: Apache-2.0
 * fuzz_version: the VERSION file of a storage directory, of any bytes: taken, or refused with a
 * word; what was taken is written and read to the same. The first byte says whether the check line
 * is made to fit. */
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/version.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

void fuzz_seed(struct rand *rand, struct buf *out)
{
    buf_append_byte(out, (uint8_t)rand_u64(rand));
    size_t start = out->len;
    buf_append_str(out, "# quern storage directory; written by quern, not by people\n"
                        "type=datanode\nlayout=1\ncluster=7f3a91c05e1d4b22\n");
    if (rand_chance(rand, 2))
        buf_append_str(out, "storage=c41f0a3392de7751\nlater=thing\n");
    buf_append_str(out, "created=1700000000000\n");
    uint32_t check = crc32c(0, out->data + start, out->len - start);
    buf_printf(out, "check=%08x\n", check);
}

/* In place of the last line. */
static void mend(struct buf *file)
{
    uint8_t *at = file->len ? memmem(file->data, file->len, "check=", 6) : NULL;
    if (at)
        file->len = (size_t)(at - file->data);
    uint32_t check = crc32c(0, file->data, file->len);
    buf_printf(file, "check=%08x\n", check);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_disk *sim = sim_disk_new();
    struct buf file = BUF_INIT;
    struct version got, again;
    struct err err = {0};
    BUG_ON(!sim || disk_mkdir(sim_disk(sim), "/d") != 0);
    if (size > 0)
        buf_append(&file, data + 1, size - 1);
    if (size > 0 && data[0] % 2)
        mend(&file);
    BUG_ON(fsutil_replace(sim_disk(sim), "/d/VERSION", buf_slice(&file), &err) != 0);
    if (version_read(sim_disk(sim), "/d", "datanode", 1, &got, &err) == 0) {
        BUG_ON(!version_id_is_ok(got.cluster_id));
        BUG_ON(version_write(sim_disk(sim), "/d", &got, &err) != 0);
        BUG_ON(version_read(sim_disk(sim), "/d", "datanode", 1, &again, &err) != 0);
        BUG_ON(strcmp(got.cluster_id, again.cluster_id) != 0 || got.layout != again.layout ||
               strcmp(got.storage_id, again.storage_id) != 0 || got.created_ms != again.created_ms);
    } else {
        BUG_ON(!err.msg[0]);
    }
    buf_release(&file);
    sim_disk_free(sim);
    return 0;
}
