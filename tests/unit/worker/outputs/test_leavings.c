/* SPDX-License-Identifier: Apache-2.0
 * What nobody needs any more is given back beside the loop, memory beside disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

#include "worker/outputs/spare.h"

static struct loop *loop;
static struct leavings leavings;
static sem_t disk_may, thread_may;

static int unlink_when_it_may(struct disk *disk, const char *path, bool is_dir)
{
    (void)disk, (void)path, (void)is_dir;
    sem_wait(&disk_may);
    return 0;
}

static const struct disk_ops ops = {.unlink = unlink_when_it_may};
static struct disk slow_disk = {&ops};

static int begin(void **state)
{
    (void)state;
    sem_init(&disk_may, 0, 0);
    sem_init(&thread_may, 0, 0);
    loop = loop_new(NULL);
    return loop ? leavings_open(&leavings, loop, &slow_disk, NULL) : -1;
}

static int end(void **state)
{
    (void)state;
    leavings_close(&leavings);
    loop_free(loop);
    return 0;
}

/* Its other end tells when it is closed. */
static int watched(int *ret_other)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *ret_other = ends[0];
    return ends[1];
}

static void wait_until_closed(int other)
{
    char byte;
    assert_int_equal(read(other, &byte, 1), 0);
    close(other);
}

static void memory_does_not_wait_for_a_disk(void **state)
{
    (void)state;
    int other;
    leavings_add_tree(&leavings, "/much");
    leavings_add_memory(&leavings, watched(&other));
    wait_until_closed(other);
    assert_int_equal(workq_pending(leavings.files), 1);
    sem_post(&disk_may);
}

static void wait_on_thread(struct work *work)
{
    (void)work;
    sem_wait(&thread_may);
}

static void nothing(struct work *work)
{
    (void)work;
}

static void the_loop_does_not_wait_for_memory_that_was_kept(void **state)
{
    (void)state;
    int others[3];
    struct spares spares;
    struct work work = WORK_INIT;
    spares_init(&spares, 1000, &leavings);
    workq_submit(leavings.memory, &work, wait_on_thread, nothing);
    for (int i = 0; i < 3; i++)
        spares_put(&spares, &(struct spare){watched(&others[i]), 100, 7, (uint64_t)i * 1000});
    spares_expire(&spares, 1000);
    assert_int_equal(spares.count, 2);
    spares_trim(&spares, 100);
    assert_int_equal(spares.count, 1);
    spares_release(&spares);
    assert_int_equal(workq_pending(leavings.memory), 4);
    sem_post(&thread_may);
    for (int i = 0; i < 3; i++)
        wait_until_closed(others[i]);
    while (workq_pending(leavings.memory) > 0)
        loop_turn(loop, 50);
}

static void all_is_done_before_it_is_closed(void **state)
{
    (void)state;
    int other;
    sem_post(&disk_may);
    sem_post(&disk_may);
    leavings_add_tree(&leavings, "/one");
    leavings_add_tree(&leavings, "/other");
    leavings_add_file(&leavings, watched(&other));
    leavings_close(&leavings);
    assert_int_equal(sem_trywait(&disk_may), -1);
    wait_until_closed(other);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(memory_does_not_wait_for_a_disk),
        CASE(the_loop_does_not_wait_for_memory_that_was_kept),
        CASE(all_is_done_before_it_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
