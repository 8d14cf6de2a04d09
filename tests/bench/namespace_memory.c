/* SPDX-License-Identifier: Apache-2.0
 * What the namenode's memory costs per file, directory and block, and how fast the namespace is
 * without sockets: `namespace_memory [FILES]` (default a million, 1000 in a directory, names of 12
 * bytes, one block of one replica each). Its image goes through a file in /tmp, and is loaded.
 * Rates are of CPU time. */
#include <inttypes.h>
#include <time.h>

#include <unistd.h>

#include "libcommon/base/str.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/fsimage.h"
#include "namenode/journal/sections.h"
#include "tests/bench/many_files.h"

static size_t order_bytes(void)
{
    size_t bytes = 0;
    for (uint32_t d = nn_dir(&state.tree.store, NN_ROOT)->first_subdir; d;
         d = nn_dir(&state.tree.store, d)->next_subdir)
        bytes += nn_children_bytes(&nn_dir(&state.tree.store, d)->children);
    return bytes + nn_children_bytes(&nn_dir(&state.tree.store, NN_ROOT)->children);
}

static void look_up_all(uint32_t files)
{
    char path[40];
    for (uint32_t i = 0; i < files; i++) {
        uint32_t n = (uint32_t)(i * 2654435761ULL % files);
        snprintf(path, sizeof(path), "/dir-%08u/part-%07u", n / MANY_PER_DIR, n);
        if (!nn_tree_find(&state.tree, slice_str(path)))
            must(ERR_NOENT, path);
    }
}

/* The image, in a real file: written, and loaded as a namenode does at its start. */
static struct nn_image_writer writer;
static uint64_t image_bytes;
static int write_chunk(void *arg, uint16_t section, struct slice chunk)
{
    (void)arg;
    nn_image_put(&writer, section, chunk);
    image_bytes += chunk.len;
    return 0;
}

static void save_all(const char *path)
{
    struct nn_image_head head = {.log_id = 1, .index = 1};
    must(nn_image_begin(&writer, disk_real(), path, &head, NULL), path);
    must(nn_state_save(&state, write_chunk, NULL), "save");
    must(nn_image_commit(&writer, NULL), path);
}

static int load_chunk(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    return nn_loader_take(arg, section, chunk, err);
}

static void load_all(const char *path)
{
    struct nn_loader *loader = nn_loader_new(&state);
    must(loader ? 0 : ERR_NOMEM, "load");
    must(nn_image_read(disk_real(), path, NULL, load_chunk, loader, NULL), "load");
    must(nn_loader_end(loader, NULL), "load");
    nn_loader_free(loader);
}

/* Two further replicas of each block: bytes they cost. */
static double replica_bytes(uint32_t files)
{
    uint64_t before = nn_blockmap_bytes(blocks.map);
    for (uint32_t i = 0; i < files; i++) {
        uint32_t block = nn_blockmap_find(blocks.map, NN_FIRST_BLOCK_ID + i);
        for (uint32_t r = 1; r < 3; r++)
            must(nn_blockmap_put_replica(blocks.map, block, (struct nn_replica){1 + (i + r) % 3}),
                 "replica");
    }
    return (double)(nn_blockmap_bytes(blocks.map) - before) / files / 2;
}

static void no_blocks(void *arg, uint32_t slot)
{
    (void)arg;
    (void)slot;
}

/* Of this process: what others do on the machine meanwhile is not in it. */
static uint64_t cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double rate(uint64_t n, uint64_t since_us)
{
    uint64_t took = cpu_us() - since_us;
    return took ? (double)n / (double)took : 0;
}

int main(int argc, char **argv)
{
    uint64_t n = 1000000;
    if (argc > 1 && (str_to_u64(argv[1], &n) != 0 || n == 0 || n > 100000000)) {
        fprintf(stderr, "usage: namespace_memory [FILES]\n");
        return 2;
    }
    uint32_t files = (uint32_t)n, dirs = (files + MANY_PER_DIR - 1) / MANY_PER_DIR;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/namespace_memory.%d", (int)getpid());
    many_begin("hdfs");

    uint64_t start = cpu_us();
    many_make(NN_ROOT, files);
    printf("made        %u files in %u directories, %.2f M/s\n", files, dirs, rate(files, start));
    const struct nn_inodes *store = &state.tree.store;
    size_t names = nn_names_bytes(&store->names), order = order_bytes(),
           dir_bytes = slab_bytes(&store->dirs);
    size_t file_bytes = nn_inodes_bytes(store) - dir_bytes + order;
    printf("per file    %.1f B: inode %.1f, hashes %.1f, name %.1f, order %.1f\n",
           (double)file_bytes / files, (double)slab_bytes(&store->inodes) / files,
           (double)(lhash_bytes(&store->by_name) + lhash_bytes(&store->by_id)) / files,
           (double)names / files, (double)order / files);
    printf("per dir     %.1f B more\n", (double)sizeof(struct nn_dir));
    printf("per block   %.1f B with one replica\n", (double)nn_blockmap_bytes(blocks.map) / files);

    start = cpu_us();
    look_up_all(files);
    printf("found       by path, in random order, %.2f M/s\n", rate(files, start));
    printf("per replica %.1f B, the second and the third\n", replica_bytes(files));
    start = cpu_us();
    save_all(path);
    printf("saved       %.1f MB, %.1f B a file, %.2f M/s\n", (double)image_bytes / 1e6,
           (double)image_bytes / files, rate(files, start));
    uint64_t hash = nn_state_hash(&state);
    nn_state_release(&state);
    nn_blocks_release(&blocks);
    many_begin("hdfs");
    start = cpu_us();
    load_all(path);
    printf("loaded      %.2f M inodes/s\n", rate(files + dirs + 1, start));
    must(nn_state_hash(&state) == hash ? 0 : ERR_CORRUPT, "what was loaded differs");
    (void)unlink(path);
    start = cpu_us();
    while (nn_dir(store, NN_ROOT)->first_subdir)
        must(nn_tree_doom(&state.tree, nn_dir(store, NN_ROOT)->first_subdir, 1), "delete");
    while (nn_tree_reap(&state.tree, 2000, no_blocks, NULL))
        ;
    printf("deleted     %.2f M/s\n", rate(files, start));
    nn_state_release(&state);
    nn_blocks_release(&blocks);
    return 0;
}
