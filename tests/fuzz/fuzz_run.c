/* SPDX-License-Identifier: Apache-2.0
 * fuzz_run: a map output of any bytes is refused with a word, or its partitions are read to their
 * ends: no record outside the file, no more memory than one record may take. The first byte says
 * whether sums are made to fit, so that what is behind them is reached. */
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "tests/fuzz/fuzz.h"
#include "worker/run/reader.h"
#include "worker/run/record.h"

#define BUFFER_BYTES PIECE_BUFFER_MIN
#define RECORD_MOST  (1U << 20)

void fuzz_seed(struct rand *rand, struct buf *out)
{
    static uint8_t room[96 << 10];
    int fd = memfd_create("seed", MFD_CLOEXEC);
    struct run_packing packing = {.when = rand_chance(rand, 2) ? PACK_ALWAYS : PACK_NEVER};
    struct run_target target = {fd, UINT64_MAX, room, sizeof(room), &packing};
    struct run_writer w;
    struct run_part *parts = NULL;
    uint64_t len = 0;
    uint32_t partitions = 1 + (uint32_t)rand_below(rand, 3);
    BUG_ON(fd < 0 || run_writer_open(&w, &target, partitions, NULL) != 0);
    for (uint32_t p = 0; p < partitions; p++) {
        for (uint64_t n = rand_below(rand, 20); n > 0; n--) {
            uint8_t record[400] = {0};
            size_t key = rand_below(rand, 30), value = rand_below(rand, 300);
            size_t head = record_head(record, key, value);
            run_writer_add(&w, record, head + key + value);
        }
        run_writer_end_partition(&w, 9);
    }
    BUG_ON(run_writer_close(&w, &parts, &len, NULL) != 0);
    buf_append_byte(out, (uint8_t)rand_u64(rand));
    uint8_t *to = buf_reserve(out, len);
    BUG_ON(!to || pread(fd, to, len, 0) != (ssize_t)len);
    out->len += len;
    mem_free(parts);
    close(fd);
}

static void sum(uint8_t *p, size_t len)
{
    put_u32(p + len - RUN_SUM_BYTES, crc32c(0, p, len - RUN_SUM_BYTES));
}

/* Header, footer, rows of the index, and the sums of short pieces. */
static void mend(uint8_t *p, size_t len)
{
    if (len < RUN_HEADER_BYTES + RUN_FOOTER_BYTES)
        return;
    uint8_t *foot = p + len - RUN_FOOTER_BYTES;
    put_u64(foot + 8, len);
    uint64_t index = get_u64(foot);
    for (uint64_t at = index; at <= len && len - at >= RUN_ROW_BYTES + RUN_FOOTER_BYTES;
         at += RUN_ROW_BYTES) {
        uint64_t off = get_u64(p + at), size = get_u64(p + at + 8);
        if (off <= len && size <= len - off)
            put_u32(p + at + 40, crc32c(0, p + off, size));
        sum(p + at, RUN_ROW_BYTES);
    }
    sum(p, RUN_HEADER_BYTES);
    sum(foot, RUN_FOOTER_BYTES);
}

static void read_piece(const struct run_piece *piece)
{
    static uint8_t buffer[BUFFER_BYTES];
    struct err err = {0};
    struct piece_conf conf = {buffer, sizeof(buffer), RECORD_MOST, "fuzzed", &err};
    struct piece_cursor c;
    uint64_t seen = 0;
    int rc;
    piece_cursor_open(&c, piece, &conf);
    while ((rc = c.cursor.next(&c.cursor)) == 1) {
        BUG_ON(!piece->is_packed && c.cursor.raw.len > piece->len);
        BUG_ON(c.cursor.key.len > c.cursor.raw.len);
        seen += c.cursor.raw.len;
    }
    BUG_ON(rc < 0 && !err.msg[0]);
    BUG_ON(rc == 0 && !piece->is_packed && seen != piece->len);
    piece_cursor_close(&c);
}

static void read_run(int fd, size_t len)
{
    struct run_reader reader;
    struct err err = {0};
    if (run_reader_open(&reader, fd, len, "fuzzed", &err) != 0) {
        BUG_ON(!err.msg[0]);
        return;
    }
    for (uint32_t p = 0; p <= reader.partitions && p < 100; p++) {
        struct run_piece piece;
        uint32_t *sums = NULL;
        err.msg[0] = 0;
        if (run_reader_piece(&reader, p, &piece, &sums, &err) == 0)
            read_piece(&piece);
        else
            BUG_ON(!err.msg[0]);
        mem_free(sums);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (size == 0)
        return 0;
    if (fd < 0)
        fd = memfd_create("run", MFD_CLOEXEC);
    uint8_t *copy = mem_alloc(size);
    BUG_ON(fd < 0 || !copy);
    memcpy(copy, data + 1, size - 1);
    if (data[0] % 4)
        mend(copy, size - 1);
    BUG_ON(ftruncate(fd, 0) != 0 || pwrite(fd, copy, size - 1, 0) != (ssize_t)(size - 1));
    read_run(fd, size - 1);
    struct run_piece whole = {.fd = -1, .data = copy, .len = size - 1, .records = 3};
    read_piece(&whole);
    whole.is_packed = true;
    read_piece(&whole);
    mem_free(copy);
    return 0;
}
