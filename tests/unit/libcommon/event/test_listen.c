/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/listen.h"

#define WAIT_MS 5000

static struct loop *loop;
static struct err err;
static unsigned accepted;
static char dir[64];

static void on_accept(int fd, const struct sock_addr *peer, void *arg)
{
    (void)arg;
    assert_true(sock_addr_is_local(peer));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    accepted++;
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    accepted = 0;
    loop = loop_new(&err);
    snprintf(dir, sizeof(dir), "/tmp/test_listen.XXXXXX");
    return loop && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return rmdir(dir);
}

static int try_listen(const char *address, unsigned mode, struct listener **ret)
{
    struct listen_conf conf = {.address = address, .unix_mode = mode, .on_accept = on_accept};
    return listen_open(loop, &conf, ret, &err);
}

static void dial_and_wait(const char *address)
{
    int fd;
    loop_turn(loop, 0); /* somebody may have knocked to see whether the path is taken */
    unsigned before = accepted;
    assert_int_equal(sock_connect(address, clock_mono_ms() + WAIT_MS, &fd, &err), 0);
    for (int i = 0; i < 200 && accepted == before; i++)
        loop_turn(loop, 20);
    assert_int_equal(accepted, before + 1);
    close(fd);
}

static void connections_are_accepted_on_any_free_port(void **state)
{
    (void)state;
    struct listener *listener;
    assert_int_equal(try_listen("127.0.0.1:0", 0, &listener), 0);
    dial_and_wait(listen_address(listener));
    dial_and_wait(listen_address(listener));
    listen_close(listener);
}

static void a_taken_port_names_the_process_that_has_it(void **state)
{
    (void)state;
    struct listener *first, *second;
    char wanted[128], name[64];
    assert_int_equal(try_listen("127.0.0.1:0", 0, &first), 0);
    assert_int_equal(try_listen(listen_address(first), 0, &second), ERR_BUSY);
    FILE *comm = fopen("/proc/self/comm", "re");
    assert_non_null(comm);
    assert_non_null(fgets(name, sizeof(name), comm));
    fclose(comm);
    name[strcspn(name, "\n")] = 0;
    snprintf(wanted, sizeof(wanted), "%s is taken by process %d (%s)", listen_address(first),
             (int)getpid(), name);
    assert_string_equal(err.msg, wanted);
    listen_close(first);
    /* and a port that was only just left is free */
    char address[SOCK_TEXT_MAX];
    assert_int_equal(try_listen("127.0.0.1:0", 0, &first), 0);
    snprintf(address, sizeof(address), "%s", listen_address(first));
    dial_and_wait(address);
    listen_close(first);
    assert_int_equal(try_listen(address, 0, &second), 0);
    listen_close(second);
}

static void a_taken_unix_socket_is_left_alone_and_a_stale_one_replaced(void **state)
{
    (void)state;
    struct listener *first, *second;
    char path[100];
    snprintf(path, sizeof(path), "%s/s", dir);
    assert_int_equal(try_listen(path, 0, &first), 0);
    assert_int_equal(try_listen(path, 0, &second), ERR_BUSY);
    assert_non_null(strstr(err.msg, "/s is taken by process "));
    dial_and_wait(path);
    listen_close(first);
    int fd;
    char bound[SOCK_TEXT_MAX];
    assert_int_equal(listen_socket(path, 0, &fd, bound, &err), 0);
    close(fd); /* as if its process had died: the path stays */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(try_listen(path, 0, &first), 0);
    dial_and_wait(path);
    listen_close(first);
}

static void a_file_in_the_way_is_not_removed(void **state)
{
    (void)state;
    struct listener *listener;
    char path[100];
    snprintf(path, sizeof(path), "%s/file", dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(try_listen(path, 0, &listener), ERR_EXIST);
    assert_int_equal(unlink(path), 0);
}

static void a_unix_socket_has_the_mode_that_was_asked_for(void **state)
{
    (void)state;
    static const unsigned modes[][2] = {{0, 0600}, {0660, 0660}, {0666, 0666}};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct listener *listener;
        struct stat st;
        char path[100];
        snprintf(path, sizeof(path), "%s/mode", dir);
        assert_int_equal(try_listen(path, modes[i][0], &listener), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i][1]);
        listen_close(listener);
    }
}

static void an_address_that_is_not_ours_is_refused_by_name(void **state)
{
    (void)state;
    struct listener *listener;
    assert_int_not_equal(try_listen("192.0.2.1:8020", 0, &listener), 0);
    assert_non_null(strstr(err.msg, "cannot listen on 192.0.2.1:8020"));
    assert_int_not_equal(try_listen("/no/such/dir/s", 0, &listener), 0);
    assert_non_null(strstr(err.msg, "cannot listen on /no/such/dir/s"));
}

static void without_descriptors_accepting_waits_and_then_goes_on(void **state)
{
    (void)state;
    struct listener *listener;
    struct rlimit before, few;
    int fd, filler[256], count = 0;
    assert_int_equal(try_listen("127.0.0.1:0", 0, &listener), 0);
    assert_int_equal(sock_connect(listen_address(listener), clock_mono_ms() + WAIT_MS, &fd, &err),
                     0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 256 && (filler[count] = dup(fd)) >= 0)
        count++;
    uint64_t start_ms = clock_mono_ms();
    unsigned turns = 0;
    for (; clock_mono_ms() - start_ms < 50; turns++)
        loop_turn(loop, 10);
    assert_true(turns < 30); /* it does not spin on what it cannot accept */
    assert_int_equal(accepted, 0);
    while (count > 0)
        close(filler[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 100 && accepted == 0; i++)
        loop_turn(loop, 20);
    assert_int_equal(accepted, 1);
    close(fd);
    listen_close(listener);
}

static char tried[SOCK_TEXT_MAX];
static atomic_bool is_over;

static void *try_on_and_on(void *arg)
{
    while (!is_over)
        (void)listen_try(tried, NULL);
    return arg;
}

static void who_tries_a_port_is_in_nobodys_way(void **state)
{
    (void)state;
    char bound[SOCK_TEXT_MAX];
    int fd = -1;
    pthread_t thread;
    assert_int_equal(listen_socket("127.0.0.1:0", 0, &fd, bound, &err), 0);
    memcpy(tried, bound, sizeof(tried));
    assert_int_equal(listen_try(tried, &err), ERR_BUSY);
    close(fd);
    assert_int_equal(listen_try(tried, &err), 0);
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, try_on_and_on, NULL), 0);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = listen_socket(tried, 0, &fd, bound, &err);
        if (rc == 0)
            close(fd);
    }
    is_over = true;
    pthread_join(thread, NULL);
    if (rc != 0)
        fail_msg("%s", err.msg);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(connections_are_accepted_on_any_free_port),
        CASE(a_taken_port_names_the_process_that_has_it),
        CASE(a_taken_unix_socket_is_left_alone_and_a_stale_one_replaced),
        CASE(a_file_in_the_way_is_not_removed),
        CASE(a_unix_socket_has_the_mode_that_was_asked_for),
        CASE(an_address_that_is_not_ours_is_refused_by_name),
        CASE(who_tries_a_port_is_in_nobodys_way),
        CASE(without_descriptors_accepting_waits_and_then_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
