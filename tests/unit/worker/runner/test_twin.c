/* SPDX-License-Identifier: Apache-2.0
 * Processes that are made by another, and are their grandparent's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/runner/twin.h"

#define AS 77

struct said {
    pid_t made, twin, parent, group;
    int own_thread, joined, status;
};

static void *nothing(void *arg)
{
    return arg;
}

/* What is wrong when the libc takes the twin's thread for that of whom it was forked from. */
static int ask_about_own_thread(void)
{
    cpu_set_t set;
    clockid_t id;
    struct timespec used;
    int rc = pthread_getcpuclockid(pthread_self(), &id);
    if (rc == 0)
        rc = clock_gettime(id, &used);
    return rc == 0 ? pthread_getaffinity_np(pthread_self(), sizeof(set), &set) : rc;
}

static void be_twin(const struct said *so_far)
{
    struct said said = *so_far;
    pthread_t thread;
    said.twin = getpid();
    said.parent = getppid();
    said.group = getpgrp();
    said.own_thread = ask_about_own_thread();
    said.joined = pthread_create(&thread, NULL, nothing, NULL);
    if (said.joined == 0)
        said.joined = pthread_join(thread, NULL);
    ssize_t n = write(AS, &said, sizeof(said));
    _exit(n == sizeof(said) ? 5 : 6);
}

/* The one that is forked by us makes the twin, tells its number and is gone. */
static void be_maker(int fd)
{
    struct said said = {0};
    said.made = twin_fork_with(fd, AS);
    if (said.made == 0)
        be_twin(&said);
    ssize_t n = write(fd, &said.made, sizeof(said.made));
    _exit(n == sizeof(said.made) ? 0 : 1);
}

static bool make(struct said *ret)
{
    int pair[2], of_maker = 0, status = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid_t maker = fork();
    if (maker == 0)
        be_maker(pair[1]);
    close(pair[1]);
    assert_int_equal(waitpid(maker, &of_maker, 0), maker);
    assert_int_equal(of_maker, 0);
    pid_t made = 0;
    char room[sizeof(*ret)];
    for (ssize_t n; (n = read(pair[0], room, sizeof(room))) > 0;)
        memcpy(n == sizeof(made) ? (void *)&made : (void *)ret, room, (size_t)n);
    close(pair[0]);
    ret->made = made;
    if (made <= 0)
        return false;
    assert_int_equal(waitpid(made, &status, 0), made); /* ours, or there were none to wait for */
    ret->status = WEXITSTATUS(status);
    return true;
}

static void a_twin_is_a_child_of_its_makers_parent(void **state)
{
    struct said said = {0};
    (void)state;
    if (!make(&said))
        skip();
    assert_int_equal(said.twin, said.made);
    assert_int_equal(said.parent, getpid());
    assert_int_equal(said.status, 5);
}

static void a_twin_has_a_group_and_a_descriptor_of_its_own(void **state)
{
    struct said said = {0};
    (void)state;
    if (!make(&said))
        skip();
    assert_int_equal(said.group, said.twin); /* and it was by that descriptor that it said so */
}

static void a_twin_knows_its_thread_and_can_have_others(void **state)
{
    struct said said = {0};
    (void)state;
    if (!make(&said))
        skip();
    assert_int_equal(said.own_thread, 0);
    assert_int_equal(said.joined, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_twin_is_a_child_of_its_makers_parent),
        cmocka_unit_test(a_twin_has_a_group_and_a_descriptor_of_its_own),
        cmocka_unit_test(a_twin_knows_its_thread_and_can_have_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
