/* SPDX-License-Identifier: Apache-2.0
 * fuzz_wal: a directory of a log with any bytes in it: the input is a watermark and two segments.
 * Whatever they hold, recovery either refuses or gives a log that takes records and keeps them. */
#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk.h"

#define SEGMENT 16384U
#define MARK    8192U

static const char *const dirs[] = {"/d"};
static const char *const files[] = {"/d/watermark", "/d/log.000000000001", "/d/log.000000000004"};

static struct wal_options options_on(struct sim_disk *sim)
{
    return (struct wal_options){
        .disk = sim_disk(sim), .dirs = dirs, .dir_count = 1, .segment_bytes = SEGMENT};
}

static int count_record(void *arg, const struct wal_record *record)
{
    (void)record;
    ++*(uint64_t *)arg;
    return 0;
}

/* It was accepted: then it must work, and be the same when it is opened again. */
static void use(const struct wal_options *options, struct wal *wal)
{
    uint64_t index = 0, count = 0, first = wal_first(wal), last = wal_last(wal);
    BUG_ON(wal_replay(wal, first, count_record, &count, NULL) != 0 || count != last + 1 - first);
    int rc = wal_append(wal, 1, 1, slice_str("x"), &index);
    BUG_ON(rc != 0 && rc != ERR_NOSPC && rc != ERR_RETRY);
    BUG_ON(wal_close(wal, NULL) != 0);
    BUG_ON(wal_open(options, &wal, NULL) != 0 || wal_last(wal) != last + (rc == 0));
    wal_abandon(wal);
}

static void sum(uint8_t *p, size_t len)
{
    put_u32(p + len, crc32c(0, p, len));
}

/* Sums that fit, so that what is behind them is reached: of the slots, the heads, the records. */
static void mend(uint8_t *p, size_t size)
{
    for (size_t slot = 0; slot + 4096 <= size && slot < MARK; slot += 4096)
        sum(p + slot, 4092);
    for (size_t segment = MARK; segment + 64 <= size; segment += SEGMENT) {
        size_t end = segment + SEGMENT < size ? segment + SEGMENT : size;
        sum(p + segment, 60);
        for (size_t at = segment + 4096; at + 36 <= end; at += 8) {
            uint32_t len = get_u32(p + at + 4);
            if (memcmp(p + at, "QREC", 4) == 0 && len <= end - at - 36)
                sum(p + at, 32 + len);
        }
    }
}

static void try_it(const uint8_t *data, size_t size)
{
    struct sim_disk *sim = sim_disk_new();
    struct wal_options options = options_on(sim);
    struct wal *wal = NULL;
    struct wal_report report;
    uint64_t count = 0;
    struct wal_inspection what = {0, count_record, &count};
    BUG_ON(fsutil_mkdirs(options.disk, dirs[0], NULL) != 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        size_t part = i == 0 ? MARK : SEGMENT, n = size < part ? size : part;
        if (n)
            BUG_ON(fsutil_write_all(options.disk, files[i], slice_of(data, n), NULL) != 0);
        data += n;
        size -= n;
    }
    (void)wal_inspect(options.disk, dirs[0], &what, &report, NULL);
    (void)wal_inspect(options.disk, files[1], &what, &report, NULL);
    if (wal_open(&options, &wal, NULL) == 0 && wal_last(wal) < UINT64_MAX / 2)
        use(&options, wal);
    else
        wal_abandon(wal);
    sim_disk_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf copy = BUF_INIT;
    try_it(data, size);
    buf_append(&copy, data, size);
    mend(copy.data, copy.len);
    try_it(copy.data, copy.len);
    buf_release(&copy);
    return 0;
}

static void append_file(struct buf *out, struct disk *disk, const char *path, size_t pad_to)
{
    size_t begin = out->len;
    if (fsutil_read_all(disk, path, pad_to, out, NULL) != 0)
        return;
    size_t more = pad_to - (out->len - begin);
    uint8_t *to = buf_reserve(out, more + 1);
    BUG_ON(!to);
    memset(to, 0, more);
    out->len += more;
}

/* A small log with a few commits, rolled before record 4. */
void fuzz_seed(struct rand *rand, struct buf *out)
{
    struct sim_disk *sim = sim_disk_new();
    struct wal_options options = options_on(sim);
    struct wal *wal = NULL;
    uint8_t payload[64] = "payload";
    uint64_t index = 0;
    BUG_ON(fsutil_mkdirs(options.disk, dirs[0], NULL) != 0);
    BUG_ON(wal_create(&options, 7, 1, NULL) != 0 || wal_open(&options, &wal, NULL) != 0);
    for (int i = 0; i < 5; i++) {
        struct slice s = slice_of(payload, rand_below(rand, sizeof(payload)));
        BUG_ON(wal_append(wal, 1, 1, s, &index) != 0);
        if (i == 3)
            wal_roll(wal);
        if (i == 2 || rand_chance(rand, 2)) {
            struct wal_batch *batch = wal_take_batch(wal, 0);
            wal_write_batch(batch);
            BUG_ON(wal_batch_done(wal, batch, NULL) != 0);
        }
    }
    if (rand_chance(rand, 2))
        BUG_ON(wal_close(wal, NULL) != 0);
    else
        wal_abandon(wal);
    append_file(out, options.disk, files[0], MARK);
    append_file(out, options.disk, files[1], SEGMENT);
    append_file(out, options.disk, files[2], SEGMENT);
    sim_disk_free(sim);
}
