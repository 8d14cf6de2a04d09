/* SPDX-License-Identifier: Apache-2.0
 * slow_removal: preloaded into a worker, stands for a filesystem that takes long to free blocks:
 * while the file named by SLOW_REMOVAL is there, whoever takes the last name or the last descriptor
 * of a file below /jobs/ away waits, having made a file of that name and ".met". */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *hold;
static int (*real_close)(int), (*real_unlink)(const char *),
    (*real_unlinkat)(int, const char *, int);

__attribute__((constructor)) static void begin(void)
{
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    *(void **)&real_unlink = dlsym(RTLD_NEXT, "unlink");
    *(void **)&real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    if (strcmp(program_invocation_short_name, "quern-worker") == 0)
        hold = getenv("SLOW_REMOVAL");
}

static void wait_while_held(void)
{
    char met[512];
    snprintf(met, sizeof(met), "%s.met", hold);
    while (access(hold, F_OK) == 0) {
        int fd = open(met, O_CREAT | O_WRONLY, 0600);
        if (fd >= 0)
            real_close(fd);
        usleep(5000);
    }
}

int close(int fd)
{
    char link[64], path[512];
    struct stat st;
    ssize_t n = -1;
    if (hold && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
    }
    path[n > 0 ? n : 0] = 0;
    if (strstr(path, "/jobs/"))
        wait_while_held();
    return real_close ? real_close(fd) : 0;
}

static bool is_open(const struct stat *of)
{
    struct stat st;
    for (int fd = 0; fd < 1024; fd++)
        if (fstat(fd, &st) == 0 && st.st_dev == of->st_dev && st.st_ino == of->st_ino)
            return true;
    return false;
}

static bool frees(int dir, const char *path, int flags)
{
    struct stat st;
    return hold && !(flags & AT_REMOVEDIR) && strstr(path, "/jobs/") &&
           fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           !is_open(&st);
}

int unlink(const char *path)
{
    if (frees(AT_FDCWD, path, 0))
        wait_while_held();
    return real_unlink(path);
}

int unlinkat(int dir, const char *path, int flags)
{
    if (frees(dir, path, flags))
        wait_while_held();
    return real_unlinkat(dir, path, flags);
}
