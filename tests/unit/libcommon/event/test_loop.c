/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/event/loop.h"
#include "libcommon/event/thread.h"

static struct loop *loop;
static char trace[256]; /* each callback appends its letter */

static char letters[128];
static void *letter(char c)
{
    letters[(unsigned char)c] = c;
    return &letters[(unsigned char)c];
}

static void note(void *arg)
{
    size_t len = strlen(trace);
    assert_true(len + 1 < sizeof(trace));
    trace[len] = *(const char *)arg;
    trace[len + 1] = 0;
}

static int setup(void **state)
{
    (void)state;
    struct err err;
    loop = loop_new(&err);
    trace[0] = 0;
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void turns_for(uint64_t ms)
{
    uint64_t limit_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < limit_ms)
        loop_turn(loop, 2);
}

/* ---- timers ---- */

static void timers_fire_in_order_of_time_and_of_start(void **state)
{
    (void)state;
    struct loop_timer a = {0}, b = {0}, c = {0}, d = {0};
    assert_int_equal(loop_after(loop, &a, 20, note, letter('a')), 0);
    assert_int_equal(loop_after(loop, &b, 5, note, letter('b')), 0);
    assert_int_equal(loop_after(loop, &c, 0, note, letter('c')), 0);
    assert_int_equal(loop_after(loop, &d, 0, note, letter('d')), 0);
    uint64_t start_ms = clock_mono_ms();
    while (strlen(trace) < 4)
        loop_turn(loop, 1000);
    assert_string_equal(trace, "cdba");
    assert_in_range(clock_mono_ms() - start_ms, 19, 500);
    assert_false(loop_timer_is_running(&a));
}

static void a_stopped_timer_does_not_fire(void **state)
{
    (void)state;
    struct loop_timer a = {0}, idle = {0};
    assert_int_equal(loop_after(loop, &a, 5, note, letter('a')), 0);
    loop_timer_stop(&a);
    loop_timer_stop(&a);
    loop_timer_stop(&idle);
    turns_for(20);
    assert_string_equal(trace, "");
}

static void starting_a_running_timer_moves_it(void **state)
{
    (void)state;
    struct loop_timer a = {0};
    assert_int_equal(loop_after(loop, &a, 2, note, letter('a')), 0);
    assert_int_equal(loop_after(loop, &a, 30, note, letter('b')), 0);
    turns_for(15);
    assert_string_equal(trace, "");
    turns_for(40);
    assert_string_equal(trace, "b");
}

static void a_repeating_timer_repeats_until_stopped(void **state)
{
    (void)state;
    struct loop_timer a = {0};
    assert_int_equal(loop_every(loop, &a, 10, note, letter('x')), 0);
    turns_for(65);
    size_t count = strlen(trace);
    assert_in_range(count, 3, 7);
    loop_timer_stop(&a);
    turns_for(25);
    assert_int_equal(strlen(trace), count);
}

static struct loop_timer self;
static void restart_self(void *arg)
{
    note(arg);
    assert_int_equal(loop_after(loop, &self, 0, restart_self, arg), 0);
}

static void a_timer_that_restarts_itself_at_once_does_not_hold_the_turn(void **state)
{
    (void)state;
    self = (struct loop_timer){0};
    assert_int_equal(loop_after(loop, &self, 0, restart_self, letter('s')), 0);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1000);
    assert_string_equal(trace, "sssss");
    loop_timer_stop(&self);
}

static void stop_other(void *arg)
{
    note(letter('k'));
    loop_timer_stop(arg);
}

static void a_timer_may_stop_another_that_is_due_in_the_same_turn(void **state)
{
    (void)state;
    struct loop_timer a = {0}, b = {0};
    assert_int_equal(loop_after(loop, &a, 1, stop_other, &b), 0);
    assert_int_equal(loop_after(loop, &b, 1, note, letter('b')), 0);
    turns_for(20);
    assert_string_equal(trace, "k");
}

static void a_timer_without_memory_says_so(void **state)
{
    (void)state;
    struct loop_timer a = {0};
    mem_fail_after(1);
    assert_int_equal(loop_after(loop, &a, 1, note, letter('a')), ERR_NOMEM);
    mem_fail_after(0);
    assert_false(loop_timer_is_running(&a));
}

/* ---- the turn ---- */

static struct loop_task again;
static void defer_again(void *arg)
{
    note(arg);
    if (strlen(trace) < 6)
        loop_defer(loop, &again, defer_again, arg);
}

static void deferred_tasks_run_at_the_end_of_the_turn_hooks_after_them(void **state)
{
    (void)state;
    struct loop_timer timer = {0};
    struct loop_task deferred = {0}, posted = {0}, taken = {0};
    struct loop_hook hook = {0};
    loop_on_turn_end(loop, &hook, note, letter('h'));
    loop_defer(loop, &deferred, note, letter('d'));
    loop_defer(loop, &deferred, note, letter('D')); /* already waits */
    loop_defer(loop, &taken, note, letter('x'));
    loop_undefer(&taken);
    loop_post(loop, &posted, note, letter('p'));
    assert_int_equal(loop_after(loop, &timer, 0, note, letter('t')), 0);
    loop_turn(loop, 1000);
    assert_string_equal(trace, "tpdh");
    loop_hook_remove(&hook);
    loop_hook_remove(&hook);
    loop_turn(loop, 0);
    assert_string_equal(trace, "tpdh");
}

static void what_a_deferred_task_defers_waits_for_the_next_turn(void **state)
{
    (void)state;
    again = (struct loop_task){0};
    loop_defer(loop, &again, defer_again, letter('a'));
    loop_turn(loop, 1000);
    assert_string_equal(trace, "a");
    loop_turn(loop, 1000); /* does not wait: there is work */
    assert_string_equal(trace, "aa");
    turns_for(10);
}

static struct loop_hook hook_a, hook_b, hook_c;
static void remove_hooks(void *arg)
{
    note(arg);
    loop_hook_remove(&hook_a);
    loop_hook_remove(&hook_b);
}

static void a_hook_may_remove_itself_and_the_next(void **state)
{
    (void)state;
    loop_on_turn_end(loop, &hook_a, remove_hooks, letter('a'));
    loop_on_turn_end(loop, &hook_b, note, letter('b'));
    loop_on_turn_end(loop, &hook_c, note, letter('c'));
    loop_turn(loop, 0);
    assert_string_equal(trace, "ac");
    loop_turn(loop, 0);
    assert_string_equal(trace, "acc");
    loop_hook_remove(&hook_c);
}

static void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void a_stopped_loop_returns_and_may_run_again(void **state)
{
    (void)state;
    struct loop_timer timer = {0};
    loop_stop(loop);
    assert_int_equal(loop_after(loop, &timer, 0, note, letter('t')), 0);
    loop_run(loop); /* was stopped before: no turn */
    assert_string_equal(trace, "");
    struct loop_timer stopper = {0};
    assert_int_equal(loop_after(loop, &stopper, 5, stop_loop, NULL), 0);
    loop_run(loop);
    assert_string_equal(trace, "t");
}

/* ---- other threads ---- */

enum { POSTERS = 4, POSTS = 2000 };
struct poster {
    struct thread thread;
    struct loop_task tasks[POSTS];
    uint64_t values[POSTS];
};
static uint64_t sum;

static void add(void *arg)
{
    sum += *(uint64_t *)arg;
}

static void post_many(void *arg)
{
    struct poster *poster = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        poster->values[i] = i;
        loop_post(loop, &poster->tasks[i], add, &poster->values[i]);
    }
}

static void posts_of_many_threads_all_arrive(void **state)
{
    (void)state;
    struct poster *posters = calloc(POSTERS, sizeof(*posters));
    struct err err;
    sum = 0;
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(thread_start(&posters[i].thread, "poster", post_many, &posters[i], &err),
                         0);
    uint64_t wanted = (uint64_t)POSTERS * POSTS * (POSTS - 1) / 2, limit = clock_mono_ms() + 10000;
    while (sum < wanted && clock_mono_ms() < limit)
        loop_turn(loop, 1000);
    assert_int_equal(sum, wanted);
    for (int i = 0; i < POSTERS; i++)
        thread_join(&posters[i].thread);
    free(posters);
}

/* The same task posted again and again from a thread, while it runs: never lost after the last
 * post. */
struct bell {
    struct mutex lock;
    struct loop_task task;
    unsigned rung, heard;
};

static void hear(void *arg)
{
    struct bell *bell = arg;
    mutex_lock(&bell->lock);
    bell->heard = bell->rung;
    mutex_unlock(&bell->lock);
}

static void ring(void *arg)
{
    struct bell *bell = arg;
    for (int i = 0; i < 5000; i++) {
        mutex_lock(&bell->lock);
        bell->rung++;
        mutex_unlock(&bell->lock);
        loop_post(loop, &bell->task, hear, bell);
    }
}

static void a_task_posted_while_it_runs_runs_again(void **state)
{
    (void)state;
    struct bell bell = {.lock = MUTEX_INIT};
    struct thread thread;
    assert_int_equal(thread_start(&thread, "bell", ring, &bell, NULL), 0);
    uint64_t limit = clock_mono_ms() + 10000;
    while (bell.heard < 5000 && clock_mono_ms() < limit)
        loop_turn(loop, 1000);
    assert_int_equal(bell.heard, 5000);
    thread_join(&thread);
}

static void stop_from_thread(void *arg)
{
    usleep(10000);
    loop_stop(arg);
}

static void another_thread_may_stop_the_loop(void **state)
{
    (void)state;
    struct thread thread;
    assert_int_equal(thread_start(&thread, "stopper", stop_from_thread, loop, NULL), 0);
    loop_run(loop);
    thread_join(&thread);
}

/* ---- descriptors and signals ---- */

struct watched {
    struct loop_watch *watch;
    unsigned ready;
    unsigned calls;
};

static void on_watched(int fd, unsigned ready, void *arg)
{
    struct watched *watched = arg;
    char byte;
    watched->ready |= ready;
    watched->calls++;
    if (ready & LOOP_READ)
        assert_int_equal(read(fd, &byte, 1), 1);
    else
        assert_int_equal(loop_watch_change(watched->watch, LOOP_READ), 0);
}

static void a_descriptor_is_watched_for_what_was_asked(void **state)
{
    (void)state;
    int fds[2];
    struct watched in = {0}, out = {0};
    assert_int_equal(pipe(fds), 0);
    in.watch = loop_watch(loop, fds[0], LOOP_READ, on_watched, &in);
    out.watch = loop_watch(loop, fds[1], LOOP_WRITE, on_watched, &out);
    assert_non_null(in.watch);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(in.calls, 0);
    assert_int_equal(out.calls, 1); /* then it only wanted to read */
    assert_int_equal(write(fds[1], "ab", 2), 2);
    loop_turn(loop, 1000);
    loop_turn(loop, 1000);
    assert_int_equal(in.calls, 2);
    assert_int_equal(loop_watch_change(in.watch, 0), 0);
    assert_int_equal(write(fds[1], "c", 1), 1);
    loop_turn(loop, 5);
    assert_int_equal(in.calls, 2);
    assert_int_equal(loop_watch_change(in.watch, LOOP_READ), 0);
    loop_turn(loop, 1000);
    assert_int_equal(in.calls, 3);
    loop_unwatch(in.watch);
    loop_unwatch(out.watch);
    loop_unwatch(NULL);
    close(fds[0]);
    close(fds[1]);
}

static void on_unwatch_self(int fd, unsigned ready, void *arg)
{
    (void)fd, (void)ready;
    struct watched *watched = arg;
    watched->calls++;
    loop_unwatch(watched->watch);
}

static void a_watch_may_end_inside_its_own_callback(void **state)
{
    (void)state;
    int fds[2];
    struct watched in = {0};
    assert_int_equal(pipe(fds), 0);
    in.watch = loop_watch(loop, fds[0], LOOP_READ, on_unwatch_self, &in);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    loop_turn(loop, 1000);
    loop_turn(loop, 2);
    assert_int_equal(in.calls, 1);
    close(fds[0]);
    close(fds[1]);
}

static void on_signal(int signo, void *arg)
{
    assert_int_equal(signo, SIGUSR1);
    note(arg);
}

static void a_signal_arrives_on_the_loop(void **state)
{
    (void)state;
    assert_int_equal(loop_signal(loop, SIGUSR1, on_signal, letter('s')), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    for (int i = 0; i < 100 && !trace[0]; i++)
        loop_turn(loop, 20);
    assert_string_equal(trace, "s");
}

/* ---- blame ---- */

static void dawdle(void *arg)
{
    (void)arg;
    usleep(150000);
}

static void toil(void *arg)
{
    (void)arg;
    for (uint64_t end = clock_cpu_us() + 120000; clock_cpu_us() < end;)
        ;
}

static int computed(const char *line)
{
    int ms = -1;
    const char *at = strstr(line, "computing for ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "computing for %d ms at most", &ms), 1);
    return ms;
}

static void a_slow_callback_is_logged_by_its_name_and_what_it_computed(void **state)
{
    (void)state;
    char path[] = "/tmp/test_loop.XXXXXX", text[4096] = "";
    struct err err;
    struct loop_timer slow = {0}, busy = {0}, quick = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(log_open(path, 0, 0, &err), 0);
    loop_set_slow_ms(loop, 100);
    assert_int_equal(loop_after(loop, &slow, 0, dawdle, NULL), 0);
    assert_int_equal(loop_after(loop, &busy, 0, toil, NULL), 0);
    assert_int_equal(loop_after(loop, &quick, 0, note, letter('q')), 0);
    turns_for(5);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "dawdle held the loop for "));
    assert_null(strstr(text, "note held"));
    const char *slept = strstr(text, "dawdle held"), *toiled = strstr(text, "toil held");
    assert_non_null(toiled);
    assert_true(computed(slept) < 50);
    assert_true(computed(toiled) >= 119);
    assert_int_equal(log_open(NULL, 0, 0, &err), 0);
    close(fd);
    unlink(path);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(timers_fire_in_order_of_time_and_of_start),
        CASE(a_stopped_timer_does_not_fire),
        CASE(starting_a_running_timer_moves_it),
        CASE(a_repeating_timer_repeats_until_stopped),
        CASE(a_timer_that_restarts_itself_at_once_does_not_hold_the_turn),
        CASE(a_timer_may_stop_another_that_is_due_in_the_same_turn),
        CASE(a_timer_without_memory_says_so),
        CASE(deferred_tasks_run_at_the_end_of_the_turn_hooks_after_them),
        CASE(what_a_deferred_task_defers_waits_for_the_next_turn),
        CASE(a_hook_may_remove_itself_and_the_next),
        CASE(a_stopped_loop_returns_and_may_run_again),
        CASE(posts_of_many_threads_all_arrive),
        CASE(a_task_posted_while_it_runs_runs_again),
        CASE(another_thread_may_stop_the_loop),
        CASE(a_descriptor_is_watched_for_what_was_asked),
        CASE(a_watch_may_end_inside_its_own_callback),
        CASE(a_signal_arrives_on_the_loop),
        CASE(a_slow_callback_is_logged_by_its_name_and_what_it_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
