/* SPDX-License-Identifier: Apache-2.0
 * misbehave: does what its option says when it meets a line that is "now". For tests. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <quern/job.h>

static int is(struct qn_task *task, const char *what)
{
    return strcmp(qn_option(task, "misbehave.how"), what) == 0;
}

/* Volatile: compilers do not see what it holds. */
static int *volatile nowhere = (int *)8;

__attribute__((noinline)) static void write_to_nothing(void)
{
    *nowhere = 1;
}

/* A child that leaves everything by which it could be found but its parent: group, session, open
 * files, environment, directory. Its number goes into a file. */
static void leave_child(const char *where, int is_forked)
{
    int told[2];
    if (!*where || pipe(told) != 0)
        return;
    if (fork() != 0) { /* until it has written its number */
        char byte;
        close(told[1]);
        while (read(told[0], &byte, 1) > 0)
            ;
        close(told[0]);
        return;
    }
    setsid();
    if (fork() != 0)
        _exit(0);
    char number[16], *const nothing[] = {NULL};
    char *const words[] = {(char *)"sleep", (char *)"1000", NULL};
    int fd = open(where, O_WRONLY | O_CREAT | O_APPEND, 0666);
    int len = snprintf(number, sizeof(number), "%d\n", (int)getpid());
    if (fd < 0 || write(fd, number, (size_t)len) != len)
        _exit(1);
    for (int i = 0; i < 1000; i++)
        close(i);
    while (is_forked)
        sleep(1000);
    if (chdir("/") != 0)
        _exit(1);
    execve("/bin/sleep", words, nothing);
    _exit(1);
}

static void *emit_beside(void *arg)
{
    struct qn_task *task = arg;
    qn_emit(task, qn_bytes("beside", 6), qn_nothing());
    return NULL;
}

static void *stay(void *arg)
{
    for (;;)
        sleep(1000);
    return arg;
}

static int start(void *(*what)(void *), struct qn_task *task, int is_joined)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, what, task) != 0)
        return qn_fail(task, "no thread");
    return is_joined ? pthread_join(thread, NULL) : pthread_detach(thread);
}

static int flood(void)
{
    static char line[1024];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < 100 * 1024; i++)
        if (fwrite(line, 1, sizeof(line), stdout) != sizeof(line))
            return -1;
    printf("the end of much\n");
    return 0;
}

/* Page by page, so that memory is really taken. */
static void eat(struct qn_task *task)
{
    size_t size = strtoul(qn_option(task, "misbehave.mb"), NULL, 10) << 20;
    volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
        p[i] = 1;
    usleep(strtoul(qn_option(task, "misbehave.rest"), NULL, 10)); /* it is looked at now and then */
    if (p != MAP_FAILED)
        munmap((void *)p, size);
}

static int eat_in_child(struct qn_task *task)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        eat(task);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? qn_fail(task, "its child got signal %d", WTERMSIG(status)) : 0;
}

/* Processes that start others, which do not end by themselves: so many that the machine of a test
 * can bear them. */
static void start_without_end(void)
{
    atomic_int *left =
        mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (left == MAP_FAILED)
        return;
    atomic_init(left, 60);
    pid_t task = getpid();
    while (atomic_fetch_sub(left, 1) > 0)
        (void)!fork();
    while (getpid() != task)
        pause();
}

/* Into the directory it is given, as much as there is room for: 64 MiB at most. */
static int fill_disk(struct qn_task *task)
{
    static char much[1 << 20];
    int fd = open("much", O_WRONLY | O_CREAT | O_TRUNC, 0600), n = 0;
    while (fd >= 0 && n < 64 && write(fd, much, sizeof(much)) == sizeof(much))
        n++;
    qn_count(task, "disk", "full", n < 64);
    return fd < 0 ? qn_fail(task, "no file") : 0;
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    static char giant[64 << 20];
    (void)where;
    if (line.len != 3 || memcmp(line.data, "now", 3) != 0)
        return qn_emit(task, line, qn_nothing());
    leave_child(qn_option(task, "misbehave.child"), 0);
    leave_child(qn_option(task, "misbehave.forked"), 1);
    if (is(task, "thread"))
        return start(emit_beside, task, 1);
    if (is(task, "thread stays"))
        return start(stay, task, 0);
    if (is(task, "flood"))
        return flood();
    if (is(task, "exit with 0"))
        exit(0);
    if (is(task, "segv"))
        write_to_nothing();
    if (is(task, "abort"))
        abort();
    if (is(task, "loop"))
        for (volatile int forever = 1; forever;)
            ;
    if (is(task, "exit"))
        exit(7);
    if (is(task, "kill"))
        kill(getpid(), SIGKILL);
    if (is(task, "fail"))
        return qn_fail(task, "cannot stand \"%.*s\"", (int)line.len, (const char *)line.data);
    if (is(task, "giant"))
        return qn_emit(task, qn_bytes(giant, sizeof(giant)), qn_nothing());
    if (is(task, "stdout")) {
        fclose(stdout);
        close(1);
        if (write(1, "lost\n", 5) > 0)
            return qn_fail(task, "a closed descriptor took bytes");
        fprintf(stderr, "stderr is still there\n");
    }
    if (is(task, "bomb"))
        start_without_end();
    if (is(task, "fill"))
        return fill_disk(task);
    if (is(task, "close all") || is(task, "close all and go on"))
        for (int i = 0; i < 1024; i++)
            close(i);
    while (is(task, "close all")) /* until that is found out */
        pause();
    if (is(task, "keep descriptors"))
        while (open("/dev/null", O_RDONLY) >= 0)
            ;
    if (is(task, "keep some descriptors"))
        for (int i = 0; i < 1000; i++)
            (void)!open("/dev/null", O_RDONLY);
    if (is(task, "eat") || (is(task, "eat twice") && task->attempt < 2))
        eat(task);
    if (is(task, "eat in child"))
        return eat_in_child(task);
    if (is(task, "print"))
        printf("printed by the job\n");
    if (is(task, "counters"))
        for (int i = 0; i < 5000; i++) {
            char name[32];
            snprintf(name, sizeof(name), "counter %d", i);
            qn_count(task, "many", name, 1);
        }
    return 0;
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)values;
    if (is(task, "segv in reduce"))
        write_to_nothing();
    if (is(task, "exit in reduce"))
        exit(3);
    if (is(task, "exit with 0 in reduce"))
        exit(0);
    for (volatile int forever = is(task, "loop in reduce"); forever;)
        ;
    return qn_emit(task, key, qn_nothing());
}

static int setup(struct qn_task *task)
{
    if (is(task, "abort in setup"))
        abort();
    if (is(task, "say nothing in setup"))
        return qn_fail(task, "%s", "");
    return is(task, "setup") ? qn_fail(task, "no such table") : 0;
}

static int cleanup(struct qn_task *task)
{
    return is(task, "cleanup") ? qn_fail(task, "cannot tidy up") : 0;
}

static const struct qn_option_row options[] = {
    {"misbehave.how", "not", "what to do"},
    {"misbehave.mb", "0", "so much is eaten"},
    {"misbehave.rest", "0", "and kept for so many microseconds"},
    {"misbehave.child", "", "a file for the number of a child that is left behind"},
    {"misbehave.forked", "", "the same, of one that keeps its environment and its directory"},
    {NULL, NULL, NULL},
};

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .name = "misbehave",
    .about = "breaks in ways that tests ask for",
    .setup = setup,
    .cleanup = cleanup,
    .map = map,
    .reduce = reduce,
    .key = QN_TEXT,
    .value = QN_NONE,
    .options = options,
};
