/* SPDX-License-Identifier: Apache-2.0
 * blockfile_fixture: blocks with known content on the simulator's disk. The byte at offset i of a
 * block is pattern(i), whatever was cut or written again. */
#ifndef QUERN_TESTS_BLOCKFILE_FIXTURE_H
#define QUERN_TESTS_BLOCKFILE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/store/fsutil.h"
#include "tests/sim/disk.h"

#define ID      42U
#define GS      7U
#define MAX_LEN (1U << 20)

static inline uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static inline struct dn_blockfile_new named(const char *dir, uint64_t gs)
{
    return (struct dn_blockfile_new){.dir = dir, .id = ID, .gs = gs, .max_len = MAX_LEN};
}

/* Grow the block to `end`, as a writer would: from the start of its last chunk. */
static inline int grow(struct dn_blockfile *f, uint64_t end)
{
    uint64_t off = f->len - f->len % DN_SUM_CHUNK;
    size_t len = (size_t)(end - off);
    uint8_t *data = mem_alloc(len + 1), *sums = mem_alloc(len / DN_SUM_CHUNK * 4 + 8);
    for (size_t i = 0; i < len; i++)
        data[i] = pattern(off + i);
    chunksum_compute(slice_of(data, len), DN_SUM_CHUNK, sums);
    int rc = dn_blockfile_write(f, off, slice_of(data, len), sums);
    mem_free(data);
    mem_free(sums);
    return rc;
}

static inline struct dn_blockfile *created(struct disk *disk, uint64_t len)
{
    struct dn_blockfile *f = NULL;
    struct dn_blockfile_new what = named("/rbw", GS);
    assert_int_equal(dn_blockfile_create(disk, &what, &f, NULL), 0);
    assert_int_equal(grow(f, len), 0);
    return f;
}

static inline struct dn_blockfile *opened(struct disk *disk, const char *dir, uint64_t gs)
{
    struct dn_blockfile *f = NULL;
    struct err err = {0};
    struct dn_blockfile_new what = named(dir, gs);
    int rc = dn_blockfile_open(disk, &what, DISK_READ | DISK_WRITE, &f, &err);
    if (rc != 0)
        fail_msg("%s", err.msg);
    return f;
}

/* Every byte below len, through the verifying read, as a reader of a finalized replica. */
static inline void expect_content(struct dn_blockfile *f, uint64_t len)
{
    struct dn_visible visible = {.len = len};
    uint8_t *data = mem_alloc(len + 1), *sums = mem_alloc(len / 128 + 8);
    struct dn_extent all = {.off = 0, .len = (uint32_t)len};
    assert_int_equal(dn_blockfile_read(f, all, &visible, data, sums), 0);
    for (uint64_t i = 0; i < len; i++)
        assert_int_equal(data[i], pattern(i));
    mem_free(data);
    mem_free(sums);
}

static inline uint64_t verified(struct disk *disk, const char *dir, uint64_t gs)
{
    struct dn_blockfile *f = opened(disk, dir, gs);
    assert_int_equal(dn_settle_verify(f, MAX_LEN, NULL), 0);
    uint64_t len = f->len;
    dn_blockfile_close(f);
    return len;
}

/* As a rotting disk would, whether the bytes were synced or not. */
static inline void flip(struct sim_disk *sim, const char *path, uint64_t bit)
{
    struct disk *disk = sim_disk(sim);
    int fd = -1;
    uint8_t byte = 0;
    assert_int_equal(disk_open(disk, path, DISK_READ | DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, &byte, 1, bit / 8), 1);
    byte ^= (uint8_t)(1U << bit % 8);
    assert_int_equal(disk_pwrite(disk, fd, &byte, 1, bit / 8), 0);
    disk_close(disk, fd);
}

static inline struct sim_disk *new_sim(void)
{
    struct sim_disk *sim = sim_disk_new();
    assert_int_equal(fsutil_mkdirs(sim_disk(sim), "/rbw", NULL), 0);
    assert_int_equal(fsutil_mkdirs(sim_disk(sim), "/final", NULL), 0);
    return sim;
}

#endif
