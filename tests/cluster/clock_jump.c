/* SPDX-License-Identifier: Apache-2.0
 * clock_jump: preloaded into a process, moves its wall clock by as many seconds as the file named
 * by CLOCK_JUMP has in its first eight bytes, from the moment they are written there. Clocks that
 * only measure time go on as they were, as they do when an administrator sets the date.
 *
 * The next eight bytes, looked at when the process starts, say by how many thousandths all its
 * clocks run too fast, or too slow. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL

static const volatile int64_t *jump_s; /* and how fast it runs */
static int (*real)(clockid_t, struct timespec *);
static int64_t begun_ns[2], too_fast;

static int64_t *begun(clockid_t clock)
{
    bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    bool measures = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
                    clock == CLOCK_BOOTTIME || clock == CLOCK_MONOTONIC_RAW;
    return is_wall ? &begun_ns[0] : measures ? &begun_ns[1] : NULL;
}

static int64_t ns_of(const struct timespec *ts)
{
    return ts->tv_sec * BILLION + ts->tv_nsec;
}

static void begin(clockid_t clock)
{
    struct timespec ts;
    if (real(clock, &ts) == 0)
        *begun(clock) = ns_of(&ts);
}

__attribute__((constructor)) static void map_the_file(void)
{
    const char *path = getenv("CLOCK_JUMP");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, 2 * sizeof(*jump_s), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    begin(CLOCK_REALTIME);
    begin(CLOCK_MONOTONIC);
    if (at != MAP_FAILED)
        jump_s = at;
    if (jump_s)
        too_fast = jump_s[1];
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (!real) /* before our constructor */
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, ts);
    if (rc != 0 || !jump_s || !begun(clock))
        return rc;
    int64_t ns = ns_of(ts);
    ns += (ns - *begun(clock)) / 1000 * too_fast;
    *ts = (struct timespec){ns / BILLION, ns % BILLION};
    if (begun(clock) == &begun_ns[0])
        ts->tv_sec += *jump_s;
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
    return rc;
}

time_t time(time_t *ret)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}
