/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "libcommon/base/slice.h"

#define EXITING 4U /* PF_EXITING of the kernel's sched.h */

/* /proc/PID/stat: PID (NAME) STATE and, as fields 9 and 31, its flags and pending signals. */
bool proc_is_ending(pid_t pid)
{
    char path[64], text[1024];
    unsigned flags = 0;
    unsigned long pending = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return errno == ENOENT || errno == ESRCH;
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    const char *p = strrchr(text, ')'); /* its name may hold anything */
    if (!p || sscanf(p + 1,
                     " %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                     "%*u %*u %*d %*u %*u %*u %*u %*u %*u %lu",
                     &flags, &pending) != 2)
        return true;
    return (flags & EXITING) || (pending & 1UL << (SIGKILL - 1));
}

bool proc_wait(pid_t pid, unsigned most_ms)
{
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    if (end.fd < 0)
        return errno == ESRCH;
    bool is_gone = poll(&end, 1, (int)most_ms) == 1;
    close(end.fd);
    return is_gone;
}

char *proc_own_dir(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
    const char *slash = n > 0 ? memrchr(self, '/', (size_t)n) : NULL;
    return slash ? slice_dup(slice_of(self, (size_t)(slash - self))) : NULL;
}
