/* SPDX-License-Identifier: Apache-2.0
 * Runs inside a signal handler of a broken process: write(2), no allocation, no locks. */
#include "libcommon/daemon/crash.h"

#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/doing.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define FRAMES_MAX    64
#define ALT_STACK_MAX (64U << 10)

static const char *program = "?";
static char build_id[64];

static const struct {
    int signo;
    const char *name;
} fatal[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},
    {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},
};

/* ---- writing without stdio ---- */

static void put(int fd, const char *text)
{
    ssize_t ignored = write(fd, text, strlen(text));
    (void)ignored;
}

static void put_number(int fd, uint64_t n, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n && at);
    put(fd, digits + at);
}

static void put_signal(int fd, const siginfo_t *info)
{
    const char *name = "signal";
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        if (fatal[i].signo == info->si_signo)
            name = fatal[i].name;
    put(fd, name);
    if (info->si_code <= 0) {
        put(fd, " sent by process ");
        put_number(fd, (uint64_t)info->si_pid, 10);
    } else if (info->si_signo != SIGABRT) {
        put(fd, " at address 0x");
        put_number(fd, (uint64_t)(uintptr_t)info->si_addr, 16);
    }
}

static void put_doing(int fd)
{
    put(fd, "\nrequest:  ");
    put(fd, doing_now.what ? doing_now.what : "none");
    if (doing_now.what) {
        put(fd, " ");
        put_number(fd, doing_now.id, 10);
    }
}

static void report(int fd, const siginfo_t *info, void *const *frames, int count)
{
    put(fd, "\n------ cut here: ");
    put(fd, program);
    put(fd, " crashed ------\nversion:  " QUERN_VERSION "\nbuild id: ");
    put(fd, build_id);
    put(fd, "\nprocess:  ");
    put_number(fd, (uint64_t)getpid(), 10);
    put(fd, "\nreason:   ");
    put_signal(fd, info);
    put_doing(fd);
    put(fd, "\nstack (addr2line -pfie PROGRAM ADDRESS...):\n");
    backtrace_symbols_fd(frames, count, fd);
    put(fd, "last log lines:\n");
    log_dump_recent(fd);
    put(fd, "------ cut here: end ------\n");
}

/* A detached daemon's stderr is its log: once is enough. */
static bool is_same_file(int a, int b)
{
    struct stat sa, sb;
    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino &&
           sa.st_dev == sb.st_dev;
}

static void on_fatal(int signo, siginfo_t *info, void *context)
{
    (void)context;
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    report(STDERR_FILENO, info, frames, count);
    if (!is_same_file(log_fd(), STDERR_FILENO))
        report(log_fd(), info, frames, count);
    raise(signo); /* SA_RESETHAND: now it does what it always did */
}

/* ---- build id: a note the linker left in the program ---- */

static void take_note(const uint8_t *at, size_t len)
{
    while (len >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) head;
        memcpy(&head, at, sizeof(head));
        size_t name = (head.n_namesz + 3U) & ~3U, desc = (head.n_descsz + 3U) & ~3U;
        const uint8_t *value = at + sizeof(head) + name;
        if (sizeof(head) + name + desc > len)
            return;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_descsz * 2 < sizeof(build_id)) {
            for (size_t i = 0; i < head.n_descsz; i++)
                snprintf(build_id + 2 * i, 3, "%02x", value[i]);
            return;
        }
        at += sizeof(head) + name + desc;
        len -= sizeof(head) + name + desc;
    }
}

/* The first object is the program itself. */
static int visit_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (unsigned i = 0; i < info->dlpi_phnum && !build_id[0]; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_NOTE)
            take_note((const uint8_t *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz);
    }
    return 1;
}

const char *crash_build_id(void)
{
    if (!build_id[0])
        dl_iterate_phdr(visit_object, NULL);
    if (!build_id[0])
        memcpy(build_id, "unknown", 8);
    return build_id;
}

/* ---- installing ---- */

/* The sanitizers' own report of a bad access tells more than ours. */
static bool is_left_to_sanitizer(int signo)
{
#ifdef QUERN_DEBUG
    return signo != SIGABRT;
#else
    (void)signo;
    return false;
#endif
}

void crash_install(const char *name)
{
    static uint8_t
        alt_stack[ALT_STACK_MAX]; /* a stack that overflowed is no place to report from */
    void *frames[1];
    program = name;
    crash_build_id();
    backtrace(frames, 1); /* loads libgcc now; the handler must not */
    sigaltstack(&(stack_t){.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)}, NULL);
    struct sigaction action = {.sa_sigaction = on_fatal,
                               .sa_flags =
                                   (int)(SA_SIGINFO | SA_RESETHAND | SA_ONSTACK | SA_NODEFER)};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        if (!is_left_to_sanitizer(fatal[i].signo))
            sigaction(fatal[i].signo, &action, NULL);
}
