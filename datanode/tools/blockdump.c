/* SPDX-License-Identifier: Apache-2.0
 * quern-blockdump: what a block's files hold, for a person with a broken disk in hand. Reads only.
 *
 *     quern-blockdump [-sums] FILE...      FILE: blk_<id> or blk_<id>_<stamp>.meta
 *
 * Exit codes: 0 all good, 1 some damaged or unreadable, 2 usage. */
#include <dirent.h>
#include <inttypes.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/fds.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"

static int usage(bool is_asked_for)
{
    fprintf(is_asked_for ? stdout : stderr,
            "usage: quern-blockdump [-sums] FILE...\n"
            "FILE is blk_<id> or blk_<id>_<stamp>.meta; the other one is found beside it.\n");
    return is_asked_for ? 0 : 2;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slice_dup(slice_of(path, (size_t)(slash - path))) : str_dup(".");
}

/* The newest checksum file of this block beside it; 0 = none. */
static uint64_t find_stamp(const char *dir, uint64_t id)
{
    uint64_t best = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        enum dn_name_kind kind;
        uint64_t its_id = 0, gs = 0;
        if (dn_block_name_parse(e->d_name, &kind, &its_id, &gs) && kind == DN_NAME_SUMS &&
            its_id == id && gs > best)
            best = gs;
    }
    if (d)
        closedir(d);
    return best;
}

static void print_marks(const struct dn_blockfile *f)
{
    uint8_t head[DN_SUM_OFF];
    if (disk_pread(f->disk, f->sums_fd, head, sizeof(head), 0) != sizeof(head))
        return;
    for (uint32_t i = 0; i < DN_SUM_MARKS; i++) {
        struct dn_sum_mark mark;
        if (dn_sum_mark_decode(head + DN_SUM_MARK_OFF(i), &mark))
            printf("  synced at    %" PRIu64 " bytes (mark %" PRIu64 ", last chunk %08x)\n",
                   mark.len, mark.number, mark.tail_sum);
    }
}

static void print_sums(const struct dn_blockfile *f, uint64_t len)
{
    uint8_t sum[DN_SUM_BYTES];
    for (uint64_t off = 0; off < len; off += DN_SUM_CHUNK)
        if (disk_pread(f->disk, f->sums_fd, sum, sizeof(sum), dn_sum_place(off)) == sizeof(sum))
            printf("  %12" PRIu64 "  %08x\n", off, get_u32(sum));
}

static int dump_open(struct dn_blockfile *f, bool with_sums)
{
    struct disk_stat data = {0}, sums = {0};
    struct err err = {0};
    int rc = disk_stat_fd(f->disk, f->data_fd, &data);
    if (rc == 0)
        rc = disk_stat_fd(f->disk, f->sums_fd, &sums);
    if (rc == 0)
        rc = dn_settle_verify(f, data.size_bytes, &err);
    if (rc != 0) {
        printf("  unreadable   %s\n", err.code ? err.msg : err_text(rc));
        return 1;
    }
    uint64_t has = sums.size_bytes > DN_SUM_OFF ? (sums.size_bytes - DN_SUM_OFF) / DN_SUM_BYTES : 0;
    bool is_whole = f->len == data.size_bytes && has == chunksum_count(f->len, DN_SUM_CHUNK);
    printf("  block        blk_%" PRIu64 ", stamp %" PRIu64 "\n", f->id, f->gs);
    printf("  data         %" PRIu64 " bytes\n", data.size_bytes);
    printf("  checksums    %" PRIu64 ", CRC32C of each %u bytes\n", has, DN_SUM_CHUNK);
    printf("  agree up to  %" PRIu64 " bytes: %s\n", f->len, is_whole ? "good" : "NOT WHOLE");
    print_marks(f);
    if (with_sums)
        print_sums(f, f->len);
    return is_whole ? 0 : 1;
}

static int dump(const char *path, bool with_sums)
{
    enum dn_name_kind kind;
    struct dn_blockfile *f = NULL;
    struct err err = {0};
    uint64_t id = 0, gs = 0;
    printf("%s\n", path);
    if (!dn_block_name_parse(name_of(path), &kind, &id, &gs) || kind == DN_NAME_UNFINISHED) {
        printf("  not the name of a block file\n");
        return 1;
    }
    char *dir = dir_of(path);
    if (dir && kind == DN_NAME_DATA)
        gs = find_stamp(dir, id);
    struct dn_blockfile_new what = {.dir = dir, .id = id, .gs = gs};
    int rc = dir ? dn_blockfile_open(disk_real(), &what, DISK_READ, &f, &err)
                 : err_set(&err, ERR_NOMEM, "out of memory");
    mem_free(dir);
    if (rc != 0) {
        printf("  unreadable   %s\n", err.msg);
        return 1;
    }
    rc = dump_open(f, with_sums);
    dn_blockfile_close(f);
    return rc;
}

int main(int argc, char **argv)
{
    int first = 1, worst = 0;
    bool with_sums = false;
    fds_fill_std();
    for (; first < argc && argv[first][0] == '-'; first++) {
        const char *flag = argv[first] + 1 + (argv[first][1] == '-');
        if (strcmp(flag, "version") == 0) {
            printf("quern-blockdump %s\n", QUERN_VERSION);
            return 0;
        }
        if (strcmp(flag, "help") == 0 || strcmp(flag, "h") == 0)
            return usage(true);
        if (strcmp(flag, "sums") != 0)
            return usage(false);
        with_sums = true;
    }
    if (first == argc)
        return usage(false);
    for (int i = first; i < argc; i++)
        worst |= dump(argv[i], with_sums);
    return worst;
}
