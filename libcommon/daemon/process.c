/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libcommon/base/metric.h"
#include "libcommon/daemon/crash.h"

METRIC_GAUGE(resident, "quern_resident_memory_bytes", "memory of the process that is in RAM");
METRIC_GAUGE(open_fds, "quern_open_fds", "open descriptors");
METRIC_GAUGE(max_fds, "quern_max_fds", "descriptors it may have");
METRIC_COUNTER(cpu_us, "quern_cpu_us_total", "processor time used, user and system");
METRIC_GAUGE(start_time, "quern_start_time_seconds", "when it was started, seconds since 1970");

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the directory's own */
}

static uint64_t us_of(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

struct process_figures process_look(void)
{
    struct process_figures figures = {.resident_bytes = resident_bytes(), .open_fds = count_fds()};
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures.cpu_us = us_of(usage.ru_utime) + us_of(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        figures.max_fds = limit.rlim_cur;
    return figures;
}

static void measure_build(const char *role)
{
    static char name[192];
    static struct metric build = {
        .name = name, .help = "1; what runs here", .kind = METRIC_KIND_GAUGE};
    if (!name[0])
        snprintf(name, sizeof(name),
                 "quern_build_info{daemon=\"%s\",version=\"" QUERN_VERSION "\",build_id=\"%s\"}",
                 role, crash_build_id());
    metric_set(&build, 1);
}

void process_measure(const char *role, uint64_t started_wall_ms)
{
    struct process_figures figures = process_look();
    metric_set(&resident, figures.resident_bytes);
    metric_set(&open_fds, figures.open_fds);
    metric_set(&max_fds, figures.max_fds);
    metric_set(&cpu_us, figures.cpu_us);
    metric_set(&start_time, started_wall_ms / 1000);
    measure_build(role);
}
