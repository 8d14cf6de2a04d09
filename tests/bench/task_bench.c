/* SPDX-License-Identifier: Apache-2.0
 * task_bench: the tasks of one job in one process and on one thread, without a cluster: what maps
 * and reduces cost by themselves. Made for counting (`valgrind --tool=callgrind task_bench ...`)
 * where time tells nothing.
 *
 *   task_bench PLUGIN FILE [-split MB] [-memory MB] [-reducers N] [-turns N] [-D key=value]...
 *
 * FILE is cut into splits of MB (16); the runs stay in memory, as a worker keeps them; then each of
 * N (1) reducers reads its partition of all of them and writes to /dev/shm. Spread by range is not
 * for more than one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "worker/map/mapper.h"
#include "worker/reduce/reducer.h"

#define OPTIONS_MAX 16
#define MIB         ((uint64_t)1 << 20)

struct bench {
    struct plugin plugin;
    const char *file;
    uint64_t size, split, memory;
    uint32_t maps, reducers, turns;
    struct msg_pair options[OPTIONS_MAX];
    size_t option_count;
    struct slice dir;
    struct region region;
    struct scratch scratch;
    struct task_source *sources;
    int *memfds;
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "task_bench: %s: %s\n", what, err->msg);
    exit(1);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void tell(const char *what, const struct rusage *before, uint64_t bytes, uint64_t records)
{
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    double user = seconds(after.ru_utime) - seconds(before->ru_utime);
    double sys = seconds(after.ru_stime) - seconds(before->ru_stime);
    printf("%-7s user %6.3f s, system %6.3f s, %7ld page faults; of CPU %6.0f MB/s, %6.1f ns a "
           "record (%llu)\n",
           what, user, sys, after.ru_minflt - before->ru_minflt, (double)bytes / (user + sys) / 1e6,
           records ? (user + sys) * 1e9 / (double)records : 0, (unsigned long long)records);
}

static struct task_run run_of(const struct bench *b)
{
    return (struct task_run){.partitions = b->reducers,
                             .maps = b->maps,
                             .local_dirs = {(struct slice *)(uintptr_t)&b->dir, 1},
                             .memory = b->memory,
                             .output_memory = UINT64_MAX,
                             .conf = {(struct msg_pair *)(uintptr_t)b->options, b->option_count}};
}

static uint64_t counter(struct context *c, const char *name)
{
    return counters_get(&c->counters, COUNTERS_GROUP, name)->value;
}

/* Records that it emitted. */
static uint64_t map_one(struct bench *b, uint32_t map)
{
    struct progress_page page = {0};
    struct context c;
    struct task_done done = {0};
    struct err err = {0};
    uint64_t from = map * b->split, len = b->size - from < b->split ? b->size - from : b->split;
    struct task_segment segment = {slice_str(b->file), from, len, b->size};
    struct task_run run = run_of(b);
    run.kind = TASK_MAP;
    run.input = (struct task_segment_list){&segment, 1};
    b->memfds[map] = memfd_create("run", MFD_CLOEXEC);
    region_reset(&b->region);
    if (b->memfds[map] < 0 ||
        context_open(&c, &(struct context_conf){&b->plugin, &run, files_local(), &page}, &err) != 0)
        die("map", &err);
    if (mapper_run(&c, &(struct mapper_conf){&b->region, &b->scratch, b->memfds[map]}, &done) != 0)
        die("map", &c.failed);
    uint64_t emitted = counter(&c, "Map output records");
    b->sources[map] = (struct task_source){.map_task = map};
    char *path = str_printf("/proc/self/fd/%d", b->memfds[map]);
    b->sources[map].run = slice_str(path);
    context_close(&c);
    return emitted;
}

static uint64_t reduce_one(struct bench *b, uint32_t partition)
{
    struct progress_page page = {0};
    struct context c;
    struct task_done done = {0};
    struct err err = {0};
    uint64_t partitions[1] = {partition};
    struct task_run run = run_of(b);
    run.kind = TASK_REDUCE;
    run.reduce_partitions = (struct msg_u64s){partitions, 1};
    run.sources = (struct task_source_list){b->sources, b->maps};
    run.out = slice_str("/dev/shm/task_bench.out");
    run.out_name = slice_str("out");
    region_reset(&b->region);
    if (context_open(&c, &(struct context_conf){&b->plugin, &run, files_local(), &page}, &err) != 0)
        die("reduce", &err);
    if (reducer_run(&c,
                    &(struct reducer_conf){
                        .region = &b->region, .scratch = &b->scratch, .memfd = -1, .fd = -1},
                    &done) != 0)
        die("reduce", &c.failed);
    uint64_t records = counter(&c, "Reduce input records");
    context_close(&c);
    unlink("/dev/shm/task_bench.out");
    return records;
}

static void turn(struct bench *b)
{
    struct rusage before;
    uint64_t records = 0;
    getrusage(RUSAGE_SELF, &before);
    for (uint32_t m = 0; m < b->maps; m++)
        records += map_one(b, m);
    tell("maps", &before, b->size, records);
    getrusage(RUSAGE_SELF, &before);
    records = 0;
    for (uint32_t r = 0; r < b->reducers; r++)
        records += reduce_one(b, r);
    tell("reduces", &before, b->size, records);
    for (uint32_t m = 0; m < b->maps; m++) {
        close(b->memfds[m]);
        mem_free((char *)(uintptr_t)b->sources[m].run.data);
    }
}

static void take_option(struct bench *b, const char *name, char *value)
{
    char *cut = strchr(value, '=');
    if (strcmp(name, "-split") == 0) {
        b->split = strtoull(value, NULL, 10) * MIB;
    } else if (strcmp(name, "-memory") == 0) {
        b->memory = strtoull(value, NULL, 10) * MIB;
    } else if (strcmp(name, "-reducers") == 0) {
        b->reducers = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "-turns") == 0) {
        b->turns = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "-D") == 0 && cut && b->option_count < OPTIONS_MAX) {
        *cut = 0;
        b->options[b->option_count++] = (struct msg_pair){slice_str(value), slice_str(cut + 1)};
    } else {
        fprintf(stderr, "task_bench: %s: no such option\n", name);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.split = 16 * MIB,
                      .memory = 256 * MIB,
                      .reducers = 1,
                      .turns = 1,
                      .dir = slice_str("/tmp")};
    struct err err = {0};
    struct stat st;
    if (argc < 3 || stat(argv[2], &st) != 0) {
        fprintf(stderr, "usage: task_bench PLUGIN FILE [-split MB] [-memory MB] [-reducers N] "
                        "[-turns N] [-D key=value]...\n");
        return 2;
    }
    for (int i = 3; i + 1 < argc; i += 2)
        take_option(&b, argv[i], argv[i + 1]);
    b.file = argv[2];
    b.size = (uint64_t)st.st_size;
    if (b.size == 0 || b.split == 0 || b.reducers == 0) {
        fprintf(stderr, "task_bench: nothing to do\n");
        return 2;
    }
    b.maps = (uint32_t)((b.size + b.split - 1) / b.split);
    b.sources = mem_calloc(b.maps, sizeof(*b.sources));
    b.memfds = mem_calloc(b.maps, sizeof(*b.memfds));
    if (!b.sources || !b.memfds)
        return 1;
    if (plugin_load(&b.plugin, argv[1], &err) != 0 || scratch_open(&b.scratch, &b.dir, 1) != 0 ||
        region_reserve(&b.region, b.memory, &err) != 0)
        die(argv[1], &err);
    for (uint32_t i = 0; i < b.turns; i++)
        turn(&b);
    mem_free(b.sources);
    mem_free(b.memfds);
    scratch_close(&b.scratch);
    region_release(&b.region);
    return 0;
}
