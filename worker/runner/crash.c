/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include "worker/runner/execution.h"
#include "worker/runner/symbol.h"

#define STACK_BYTES 65536
#define FRAMES_MAX  64
#define PLACE_MAX   500
#define SECONDS_MAX 5 /* for looking up symbols: the loader's lock may be what we died in */

static char stack[STACK_BYTES];

static void keep_record(const struct context *c)
{
    size_t n = c->record.len;
    if (n > sizeof(c->page->record))
        n = sizeof(c->page->record);
    if (!c->record.data)
        return;
    memcpy(c->page->record, c->record.data, n);
    c->page->record_kept = (uint32_t)n;
}

/* "clean.c:41 in parse_line", or "clean.so+0x1139 (parse_line)" without debug information, of the
 * innermost frame that is the plugin's. Who called abort is told by the address behind the call,
 * where another line, or another function, may begin. */
static void keep_place(const struct context *c, bool is_behind)
{
    void *frames[FRAMES_MAX];
    char place[PLACE_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    const void *base = c->plugin->handle ? ((struct link_map *)c->plugin->handle)->l_name : NULL;
    for (int i = 0; i < count; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname || !base ||
            strcmp(info.dli_fname, base) != 0)
            continue;
        snprintf(c->page->crashed_at, sizeof(c->page->crashed_at), "%s+0x%zx%s%s%s", info.dli_fname,
                 (size_t)((char *)frames[i] - is_behind - (char *)info.dli_fbase),
                 info.dli_sname ? " (" : "", info.dli_sname ? info.dli_sname : "",
                 info.dli_sname ? ")" : "");
        /* That much is safe now; the line is better still. */
        symbol_place(c->page->crashed_at, place, sizeof(place));
        snprintf(c->page->crashed_at, sizeof(c->page->crashed_at), "%s", place);
        return;
    }
}

static volatile sig_atomic_t dies_of;

/* On whichever thread: the signal that is being told ends the process now. */
static void on_time_over(int number)
{
    sigset_t only;
    (void)number;
    sigemptyset(&only);
    sigaddset(&only, dies_of);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(dies_of);
}

static void limit_time(int number)
{
    struct sigaction action = {.sa_handler = on_time_over, .sa_flags = SA_ONSTACK};
    sigset_t only;
    sigemptyset(&action.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, SIGALRM); /* the job may have blocked it */
    dies_of = number;
    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL);
    alarm(SECONDS_MAX);
}

/* Not everything here is said to be safe in a handler. The process dies anyway: at worst it does so
 * when the time is over, without a place. */
static void on_signal(int number)
{
    const struct context *c = execution_now;
    signal(number, SIG_DFL);
    limit_time(number);
    if (c) {
        keep_record(c);
        keep_place(c, number == SIGABRT);
    }
    raise(number); /* blocked until we return: then it is delivered */
}

void runner_crash_install(void)
{
    /* SIGXCPU: it has stood still for too long, and is asked where */
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    void *frame;
    (void)backtrace(&frame, 1); /* loads the unwinder now */
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&own, NULL) != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        (void)sigaction(signals[i], &action, NULL);
}
