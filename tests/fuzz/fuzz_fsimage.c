/* SPDX-License-Identifier: Apache-2.0
 * fuzz_fsimage: any bytes as an image file. The frame's checksums are made to fit one time in two,
 * so that what is behind them is reached too. */
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/fsimage.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

static int count_bytes(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    (void)section;
    (void)err;
    for (size_t i = 0; i < chunk.len; i++)
        *(uint64_t *)arg += chunk.data[i];
    return 0;
}

/* Sum what the lengths in it say. */
static void mend(uint8_t *p, size_t size)
{
    if (size < 64)
        return;
    uint32_t crc = crc32c(0, p, 60);
    put_u32(p + 60, crc);
    for (size_t off = 64; size - off >= 12;) {
        uint32_t len = get_u32(p + off + 4);
        if (len > size - off - 12)
            return;
        crc = crc32c(crc32c(crc, p + off, 8), p + off + 12, len);
        put_u32(p + off + 8, crc);
        off += 12 + len;
    }
}

static void read_it(struct disk *disk, struct slice bytes)
{
    struct nn_image_head head;
    struct err err;
    uint64_t sum = 0;
    BUG_ON(fsutil_write_all(disk, "/image", bytes, NULL) != 0);
    int checked = nn_image_read(disk, "/image", NULL, NULL, NULL, &err);
    int read = nn_image_read(disk, "/image", &head, count_bytes, &sum, &err);
    BUG_ON(checked != read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_disk *sim = sim_disk_new();
    struct buf copy = BUF_INIT;
    read_it(sim_disk(sim), slice_of(data, size));
    buf_append(&copy, data, size);
    mend(copy.data, copy.len);
    read_it(sim_disk(sim), buf_slice(&copy));
    buf_release(&copy);
    sim_disk_free(sim);
    return 0;
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    struct sim_disk *sim = sim_disk_new();
    struct nn_image_writer writer;
    struct nn_image_head head = {1, 2, 3};
    uint8_t chunk[200] = "chunk";
    BUG_ON(nn_image_begin(&writer, sim_disk(sim), "/image", &head, NULL) != 0);
    for (uint64_t n = rand_below(rand, 5); n; n--)
        nn_image_put(&writer, (uint16_t)(1 + rand_below(rand, 4)),
                     slice_of(chunk, rand_below(rand, sizeof(chunk))));
    BUG_ON(nn_image_commit(&writer, NULL) != 0);
    BUG_ON(fsutil_read_all(sim_disk(sim), "/image", 65536, out, NULL) != 0);
    sim_disk_free(sim);
}
