/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/base/sanitized.h"

/* The libc has no call for it, and its own fork does two things more, which are done here: it keeps
 * the number of the thread where it looks for it, and what it tells the kernel of held locks. */
struct of_libc {
    int *thread_number;
    struct robust_list_head *robust;
    size_t robust_size;
};

static bool look_up(struct of_libc *ret)
{
    *ret = (struct of_libc){NULL, NULL, 0};
    return prctl(PR_GET_TID_ADDRESS, &ret->thread_number, 0, 0, 0) == 0 && ret->thread_number &&
           *ret->thread_number == getpid() &&
           syscall(SYS_get_robust_list, 0, &ret->robust, &ret->robust_size) == 0;
}

static long clone_beside(int *thread_number)
{
    const unsigned long flags =
        CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | (unsigned long)SIGCHLD;
#if defined(__x86_64__)
    return syscall(SYS_clone, flags, NULL, NULL, thread_number, 0UL);
#else
    return syscall(SYS_clone, flags, NULL, NULL, 0UL, thread_number);
#endif
}

pid_t twin_fork(void)
{
    struct of_libc libc;
    if (IS_THREAD_SANITIZED || !look_up(&libc)) /* a sanitizer has a thread of its own */
        return ERR_UNSUPPORTED;
    long pid = clone_beside(libc.thread_number);
    if (pid < 0)
        return (pid_t)err_from_errno(errno);
    if (pid == 0)
        (void)syscall(SYS_set_robust_list, libc.robust, libc.robust_size);
    return (pid_t)pid;
}

pid_t twin_fork_with(int fd, int as)
{
    pid_t pid = twin_fork();
    if (pid != 0)
        return pid;
    setpgid(0, 0);
    if (dup2(fd, as) < 0)
        _exit(126); /* whoever holds the other end sees that it is closed */
    return 0;
}
