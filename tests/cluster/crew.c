/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cluster/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/sock.h"

#define CONSOLE_MS 20000

static const char common[] = "dfs.namenode.http-address = 127.0.0.1:0\n"
                             "dfs.datanode.address = 127.0.0.1:0\n"
                             "dfs.datanode.http.address = 127.0.0.1:0\n"
                             "mapreduce.jobtracker.http.address = 127.0.0.1:0\n"
                             "dfs.namenode.safemode.extension = 0\n"
                             "dfs.namenode.resource.du.reserved = 0\n"
                             "dfs.namenode.fs-limits.min-block-size = 4k\n"
                             "dfs.namenode.heartbeat.recheck-interval = 500ms\n"
                             "dfs.namenode.redundancy.interval.seconds = 50ms\n"
                             "dfs.namenode.redundancy.settle = 0\n"
                             "dfs.namenode.reconstruction.pending.timeout-sec = 1s\n"
                             "dfs.heartbeat.interval = 100ms\n";

void crew_die(const struct crew *crew, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", crew->who, what, why);
    exit(1);
}

const char *crew_name(unsigned member)
{
    static const char *const names[CREW_MAX] = {"names", "a", "b", "c", "jobs"};
    return names[member];
}

const char *crew_path(const struct crew *crew, unsigned member, const char *file)
{
    static __thread char room[8][400]; /* as many as one call of printf wants */
    static __thread unsigned next;
    char *path = room[next++ % ARRAY_LEN(room)];
    snprintf(path, sizeof(room[0]), "%s/%s.%s", crew->dir, crew_name(member), file);
    return path;
}

static void write_conf(const struct crew *crew, unsigned member, const char *more)
{
    const char *path = crew_path(crew, member, "conf");
    FILE *f = fopen(path, "w");
    if (!f)
        crew_die(crew, path, strerror(errno));
    fprintf(f,
            "node.name = %s\nfs.defaultFS = quern://%s\ndfs.namenode.rpc-address = %s\n"
            "dfs.namenode.name.dir = %s\ndfs.datanode.data.dir = %s\n"
            "dfs.domain.socket.path = %s\nadmin.socket = %s\n"
            "mapreduce.jobtracker.address = %s\njobtracker.dir = %s\n%s%s",
            crew_name(member), crew->address, crew->address, crew_path(crew, 0, "data"),
            crew_path(crew, member, "data"), crew_path(crew, member, "ring"),
            crew_path(crew, member, "sock"), crew->jobs_address, crew_path(crew, member, "data"),
            common, more);
    fclose(f);
}

static pid_t spawn(const struct crew *crew, unsigned member, const char *const argv[],
                   const char *fault)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsetenv("QUERN_FAULT");
    unsetenv("QUERN_FAULT_COUNT");
    if (fault)
        setenv(*fault ? "QUERN_FAULT" : "QUERN_FAULT_COUNT",
               *fault ? fault : crew_path(crew, member, "count"), 1);
    if (!freopen(crew_path(crew, member, "log"), "a", stderr))
        _exit(126);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static const char *program(const struct crew *crew, unsigned member)
{
    static __thread char path[700];
    const char *kind = member == 0 ? "namenode" : member == CREW_JOBS ? "jobtracker" : "datanode";
    snprintf(path, sizeof(path), "%s/quern-%s", crew->bin, kind);
    return path;
}

static void format(const struct crew *crew)
{
    int status = 0;
    const char *argv[] = {program(crew, 0), "-conf",  crew_path(crew, 0, "conf"),
                          "-format",        "-force", NULL};
    if (waitpid(spawn(crew, 0, argv, NULL), &status, 0) < 0 || status != 0)
        crew_die(crew, argv[0], "cannot format");
}

void crew_open(struct crew *crew, const char *who, const char *more)
{
    const char *below = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    *crew = (struct crew){.who = who};
    ssize_t n = readlink("/proc/self/exe", crew->bin, sizeof(crew->bin) - 1);
    for (int up = 0; n > 0 && up < 3; up++)
        *strrchr(crew->bin, '/') = 0;
    snprintf(crew->dir, sizeof(crew->dir), "%.200s/%s.XXXXXX", below, who);
    if (!mkdtemp(crew->dir))
        crew_die(crew, crew->dir, strerror(errno));
    snprintf(crew->address, sizeof(crew->address), "127.0.0.1:%d", 20000 + getpid() % 6000);
    snprintf(crew->jobs_address, sizeof(crew->jobs_address), "127.0.0.1:%d",
             26000 + getpid() % 6000);
    for (unsigned member = 0; member < CREW_MAX; member++)
        write_conf(crew, member, more);
    format(crew);
}

void crew_close(struct crew *crew)
{
    char command[400];
    for (unsigned member = 0; member < CREW_MAX; member++)
        crew_stop(crew, member, SIGKILL);
    snprintf(command, sizeof(command), "rm -rf '%s'", crew->dir);
    if (system(command) != 0)
        crew_die(crew, crew->dir, "cannot be removed");
}

bool crew_start(struct crew *crew, unsigned member, const char *fault, char *word)
{
    char ready[16], line[600] = "";
    int fds[2];
    if (pipe(fds) != 0)
        crew_die(crew, "pipe", strerror(errno));
    snprintf(ready, sizeof(ready), "%d", fds[1]);
    const char *argv[] = {program(crew, member),
                          "-conf",
                          crew_path(crew, member, "conf"),
                          "-foreground",
                          "-ready-fd",
                          ready,
                          NULL};
    crew->pids[member] = spawn(crew, member, argv, fault);
    close(fds[1]);
    bool is_up = read(fds[0], line, sizeof(line) - 1) > 0 && strncmp(line, "ok", 2) == 0;
    close(fds[0]);
    if (word)
        memcpy(word, line, sizeof(line));
    return is_up;
}

int crew_stop(struct crew *crew, unsigned member, int sig)
{
    int status = 0;
    if (crew->pids[member] > 0) {
        kill(crew->pids[member], sig);
        waitpid(crew->pids[member], &status, 0);
    }
    crew->pids[member] = 0;
    return status;
}

bool crew_runs(struct crew *crew, unsigned member, int *ret_status)
{
    if (crew->pids[member] == 0 || waitpid(crew->pids[member], ret_status, WNOHANG) == 0)
        return crew->pids[member] != 0;
    crew->pids[member] = 0;
    return false;
}

uint64_t crew_hits(const struct crew *crew, unsigned member, const char *point)
{
    char name[64];
    uint64_t sum = 0;
    unsigned long long hits = 0;
    FILE *f = fopen(crew_path(crew, member, "count"), "r");
    while (f && fscanf(f, "%63s %llu", name, &hits) == 2)
        sum += strcmp(name, point) == 0 ? hits : 0;
    if (f)
        fclose(f);
    return sum;
}

bool crew_ask(const struct crew *crew, unsigned member, const char *command, struct buf *answer)
{
    char line[300];
    uint64_t deadline_ms = clock_mono_ms() + CONSOLE_MS;
    int fd = -1, n = snprintf(line, sizeof(line), "%s\n", command);
    if (sock_connect(crew_path(crew, member, "sock"), deadline_ms, &fd, NULL) != 0)
        return false;
    buf_clear(answer);
    bool good = sock_send_all(fd, line, (size_t)n, deadline_ms) == 0;
    while (good && !strstr(buf_cstr(answer), "ok\n") && !strstr(buf_cstr(answer), "error: ")) {
        uint8_t *at = buf_reserve(answer, 4096);
        ssize_t got = at ? sock_recv_some(fd, at, 4096, deadline_ms) : -1;
        good = got > 0;
        answer->len += good ? (size_t)got : 0;
    }
    close(fd);
    return good && !strstr(buf_cstr(answer), "error: ");
}

unsigned crew_log_has(const struct crew *crew, unsigned member, const char *text)
{
    char line[2000];
    unsigned n = 0;
    FILE *f = fopen(crew_path(crew, member, "log"), "r");
    while (f && fgets(line, sizeof(line), f))
        n += strstr(line, text) != NULL;
    if (f)
        fclose(f);
    return n;
}
