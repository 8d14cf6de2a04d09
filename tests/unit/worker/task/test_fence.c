/* SPDX-License-Identifier: Apache-2.0
 * Limits of memory: real groups where this machine lets us make some, and looks everywhere. The
 * second version's groups are tried on a directory that looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/task/fence.h"

#define MIB ((size_t)1 << 20)

static void eat(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        _exit(5);
    memset(p, 1, bytes);
}

/* A process that waits for a byte, and then does as it says: 'e' eats, 'c' has a child eat, 'k'
 * kills itself. */
struct doer {
    pid_t pid;
    int in, out;
};

static void live(int in, int out)
{
    char how = 0;
    pid_t first = getpid();
    while (read(in, &how, 1) == 1) {
        if (how == 'k')
            kill(getpid(), SIGKILL);
        if (how == 'e')
            eat(96 * MIB);
        if (how == 'b') {
            while (fork() >= 0) /* each of them goes on, too */
                ;
            if (getpid() != first) {
                pause();
                _exit(0);
            }
        }
        if (how == 'c') {
            pid_t child = fork();
            if (child == 0) {
                eat(96 * MIB);
                bool is_told = write(out, "t", 1) == 1; /* that it has it; ends with its parent */
                _exit(is_told && read(in, &how, 1) == 1);
            }
            waitpid(child, NULL, 0);
        }
        if (write(out, "d", 1) != 1)
            break;
    }
    _exit(0);
}

static struct doer start(void)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        live(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (struct doer){pid, to[1], from[0]};
}

/* What it wrote when it was done, 0 when it died instead. */
static char tell(const struct doer *d, char how)
{
    char said = 0;
    assert_int_equal(write(d->in, &how, 1), 1);
    return read(d->out, &said, 1) == 1 ? said : 0;
}

static void end(struct doer *d)
{
    close(d->in);
    close(d->out);
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
}

static bool open_groups(struct fences *fences)
{
    char why[256];
    fences_open(fences, true, why, sizeof(why));
    if (*why)
        printf("no control groups here: %s\n", why);
    return *why == 0;
}

static enum fence_verdict judge(struct fence *fence, bool is_killed, char evidence[256])
{
    uint64_t peak = 0;
    return fence_judge(fence, is_killed, &peak, evidence, 256);
}

static void who_outgrows_his_group_dies_and_it_is_known(void **state)
{
    struct fences fences;
    struct fence fence;
    char evidence[256];
    (void)state;
    if (!open_groups(&fences))
        skip();
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    assert_non_null(fence.dir);
    fence_set(&fence, 64 * MIB);
    assert_false(fence_needs_looks(&fence));
    assert_int_equal(judge(&fence, true, evidence), FENCE_QUIET);
    assert_int_equal(tell(&d, 'e'), 0);
    assert_int_equal(judge(&fence, true, evidence), FENCE_LIMIT);
    assert_non_null(strstr(evidence, "limit 64 M, peak 6"));
    assert_non_null(strstr(evidence, "1 killed by the kernel"));
    end(&d);
    fence_close(&fence);
    fences_close(&fences);
}

static void children_are_inside_too_and_a_higher_limit_lets_them_live(void **state)
{
    struct fences fences;
    struct fence fence;
    char evidence[256];
    (void)state;
    if (!open_groups(&fences))
        skip();
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    fence_set(&fence, 64 * MIB);
    (void)tell(&d, 'c'); /* its child dies; the second version's groups die whole */
    assert_int_equal(judge(&fence, false, evidence), FENCE_LIMIT);
    if (fences.own.kind == CGROUP_V1) {
        fence_set(&fence, 192 * MIB);
        assert_int_equal(judge(&fence, false, evidence), FENCE_QUIET);
        assert_int_equal(tell(&d, 'c'), 't');
        assert_int_equal(judge(&fence, false, evidence), FENCE_QUIET);
    }
    end(&d);
    fence_close(&fence);
    fences_close(&fences);
}

static void a_group_that_takes_no_limit_is_looked_at(void **state)
{
    char dir[] = "/tmp/quern-fence-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int kind = CGROUP_V1; kind <= CGROUP_V2; kind++) {
        struct fences fences = {.own.kind = (enum cgroup_kind)kind};
        struct fence fence = {.all = &fences, .pid = getpid(), .dir = dir};
        assert_false(fence_needs_looks(&fence));
        fence_set(&fence, 64 * MIB);
        assert_true(fence_needs_looks(&fence));
    }
    assert_int_equal(rmdir(dir), 0);
}

static void a_group_is_removed_at_once_only_when_nobody_is_left_inside(void **state)
{
    struct fences fences;
    struct fence fence;
    (void)state;
    if (!open_groups(&fences))
        skip();
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    fence_set(&fence, 64 * MIB);
    assert_false(fence_close_empty(&fence));
    assert_non_null(fence.dir);
    end(&d);
    assert_true(fence_close_empty(&fence));
    assert_null(fence.dir);
    fence_close(&fence); /* nothing is left to close */
    fences_close(&fences);
}

/* A worker that is killed leaves one behind, in a group. */
static pid_t orphan(void)
{
    int told[2], status;
    pid_t left = 0;
    assert_int_equal(pipe(told), 0);
    pid_t worker = fork();
    if (worker == 0) {
        struct fences fences;
        struct fence fence;
        bool has_groups = open_groups(&fences);
        pid_t pid = fork();
        while (!pid)
            pause();
        fence_open(&fence, &fences, pid);
        _exit(has_groups && fence.dir && write(told[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
    }
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_int_equal(status, 0);
    assert_int_equal(read(told[0], &left, sizeof(left)), sizeof(left));
    close(told[0]);
    close(told[1]);
    return left;
}

static void what_a_dead_worker_left_in_a_group_ends_with_the_next_one(void **state)
{
    struct fences fences;
    int status = 0;
    (void)state;
    if (!open_groups(&fences))
        skip();
    fences_close(&fences);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t left = orphan();
    assert_int_equal(waitpid(left, &status, WNOHANG), 0);
    assert_true(open_groups(&fences));
    kill(left, SIGTERM); /* comes too late */
    assert_int_equal(waitpid(left, &status, 0), left);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (fences.has_left)
        fences_sweep(&fences);
    fences_close(&fences);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void a_kill_by_somebody_else_is_no_want_of_memory(void **state)
{
    struct fences fences;
    struct fence fence;
    char evidence[256];
    (void)state;
    if (!open_groups(&fences))
        skip();
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    fence_set(&fence, 192 * MIB);
    assert_int_equal(tell(&d, 'k'), 0);
    assert_int_equal(judge(&fence, true, evidence), FENCE_QUIET);
    end(&d);
    fence_close(&fence);
    fences_close(&fences);
}

/* Processes inside. */
static size_t count_inside(const struct fence *fence)
{
    char path[CGROUP_DIR_MAX + 64];
    size_t n = 0;
    long pid = 0;
    snprintf(path, sizeof(path), "%s/cgroup.procs", fence->dir);
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%ld", &pid) == 1)
        n++;
    if (f)
        fclose(f);
    return n;
}

static void who_starts_processes_without_end_is_stopped_and_all_of_them_end(void **state)
{
    struct fences fences;
    struct fence fence;
    uint64_t most = 0;
    (void)state;
    if (!open_groups(&fences))
        skip();
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    fence_set(&fence, 512 * MIB);
    const char *counts = fence.pids_dir ? fence.pids_dir : fence.dir;
    if (!cgroup_read(counts, "pids.max", NULL, &most)) {
        end(&d);
        fence_close(&fence);
        fences_close(&fences);
        skip(); /* numbers of processes are not counted here */
    }
    assert_int_equal(most, FENCE_PROCESSES);
    assert_int_equal(cgroup_write(counts, "pids.max", "40"), 0);
    assert_int_equal(tell(&d, 'b'), 'd');
    assert_int_equal(count_inside(&fence), 40);
    fence_kill(&fence);
    waitpid(d.pid, NULL, 0);
    for (int i = 0; i < 5000 && count_inside(&fence) > 0; i++)
        usleep(2000);
    assert_int_equal(count_inside(&fence), 0);
    close(d.in);
    close(d.out);
    fence_close(&fence);
    fences_close(&fences);
}

/* The part of the next test that is in a small group of its own. */
static int in_a_small_machine(const char *dir)
{
    struct fences fences;
    struct fence fence;
    char evidence[256], pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    if (cgroup_write(dir, "cgroup.procs", pid) != 0 || !open_groups(&fences))
        return 77;
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    fence_set(&fence, 512 * MIB);
    char said = tell(&d, 'e');
    enum fence_verdict verdict = judge(&fence, true, evidence);
    end(&d);
    fence_close(&fence);
    fences_close(&fences);
    return said == 0 && verdict == FENCE_NODE ? 0 : 1;
}

static void a_machine_without_memory_is_told_from_a_limit(void **state)
{
    struct cgroup own;
    char dir[CGROUP_DIR_MAX + 32], limit[32];
    (void)state;
    cgroup_find("memory", &own);
    snprintf(dir, sizeof(dir), "%s/quern-test.%d", own.dir, getpid());
    if (own.kind != CGROUP_V1 || mkdir(dir, 0755) != 0)
        skip();
    snprintf(limit, sizeof(limit), "%zu", 80 * MIB);
    assert_int_equal(cgroup_write(dir, "memory.limit_in_bytes", limit), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(in_a_small_machine(dir));
    int status = 0;
    waitpid(pid, &status, 0);
    rmdir(dir);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void without_groups_the_memory_of_all_processes_is_added_up(void **state)
{
    struct fences fences;
    struct fence fence;
    char why[256], evidence[256];
    (void)state;
    fences_open(&fences, false, why, sizeof(why));
    assert_string_equal(why, "as configured");
    struct doer d = start();
    fence_open(&fence, &fences, d.pid);
    assert_false(fence_needs_looks(&fence)); /* no limit yet */
    fence_set(&fence, 64 * MIB);
    assert_true(fence_needs_looks(&fence));
    assert_in_range(fence_used(&fence), 1, 64 * MIB);
    assert_int_equal(tell(&d, 'c'), 't');
    assert_in_range(fence_used(&fence), 96 * MIB, 224 * MIB);
    assert_int_equal(judge(&fence, false, evidence), FENCE_QUIET);
    end(&d);
    fence_close(&fence);
    fences_close(&fences);
}

/* --- the second version ---------------------------------------------------------------------- */

static char top[64];

static void put(const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void check_file(const char *file, const char *text)
{
    char path[256], found[64] = "";
    snprintf(path, sizeof(path), "%s/%s", top, file);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(found, sizeof(found), f));
    fclose(f);
    assert_string_equal(found, text);
}

static void the_second_versions_events_tell_limit_and_machine_apart(void **state)
{
    (void)state;
    char evidence[256];
    snprintf(top, sizeof(top), "/tmp/fence.XXXXXX");
    assert_non_null(mkdtemp(top));
    struct fences fences = {.own = {.kind = CGROUP_V2}};
    struct fence fence = {.all = &fences, .pid = 1, .dir = top, .has_given = true};
    put("memory.events", "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\n");
    put("memory.stat", "anon 1\nshmem 1000\n");
    put("memory.peak", "1234567\n");
    put("memory.max", "");
    put("memory.swap.max", "");
    put("memory.oom.group", "");
    fence_set(&fence, 5000000);
    check_file("memory.max", "5001000");
    check_file("memory.swap.max", "0");
    check_file("memory.oom.group", "1");
    put("memory.max", "is not written again");
    fence_set(&fence, 5000000);
    check_file("memory.max", "is not written again");
    put("memory.stat", "anon 1\nshmem 2000\n"); /* until more of its memory is somebody else's */
    put("memory.max", "");
    fence_set(&fence, 5000000);
    check_file("memory.max", "5002000");
    assert_int_equal(judge(&fence, true, evidence), FENCE_QUIET);
    put("memory.events", "low 0\nhigh 0\nmax 9\noom 0\noom_kill 2\n");
    assert_int_equal(judge(&fence, true, evidence), FENCE_NODE);
    put("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\n");
    assert_int_equal(judge(&fence, true, evidence), FENCE_LIMIT);
    assert_non_null(strstr(evidence, "2 killed by the kernel"));
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", top);
    assert_int_equal(system(command), 0);
}

/* Its real groups, without limits: those of memory are of the first version on many machines that
 * have both. */
static void a_group_of_the_second_version_ends_with_all_that_is_inside(void **state)
{
    struct fences fences = {0};
    struct fence fence;
    int go[2], status = 0;
    (void)state;
    cgroup_find("", &fences.own); /* whatever it has */
    if (fences.own.kind != CGROUP_V2)
        skip();
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) { /* one in a session of its own beside it */
        char byte;
        if (read(go[0], &byte, 1) == 1 && fork() == 0)
            setsid();
        for (;;)
            pause();
    }
    fence_open(&fence, &fences, pid);
    bool is_inside = fence.dir != NULL;
    if (is_inside) {
        assert_int_equal(write(go[1], "g", 1), 1);
        while (count_inside(&fence) < 2)
            usleep(1000);
        fence_kill(&fence);
        kill(pid, SIGTERM); /* comes too late */
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (!fence_close_empty(&fence))
            usleep(1000);
    } else { /* whose hierarchy is not ours to change */
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    close(go[0]);
    close(go[1]);
    if (!is_inside)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_outgrows_his_group_dies_and_it_is_known),
        cmocka_unit_test(children_are_inside_too_and_a_higher_limit_lets_them_live),
        cmocka_unit_test(a_group_that_takes_no_limit_is_looked_at),
        cmocka_unit_test(a_group_is_removed_at_once_only_when_nobody_is_left_inside),
        cmocka_unit_test(a_kill_by_somebody_else_is_no_want_of_memory),
        cmocka_unit_test(what_a_dead_worker_left_in_a_group_ends_with_the_next_one),
        cmocka_unit_test(who_starts_processes_without_end_is_stopped_and_all_of_them_end),
        cmocka_unit_test(a_machine_without_memory_is_told_from_a_limit),
        cmocka_unit_test(without_groups_the_memory_of_all_processes_is_added_up),
        cmocka_unit_test(the_second_versions_events_tell_limit_and_machine_apart),
        cmocka_unit_test(a_group_of_the_second_version_ends_with_all_that_is_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
