/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/nn_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noreturn)) void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

static pid_t spawn(const char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static void write_conf(const struct server *server, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        die(path, strerror(errno));
    fprintf(f,
            "node.name = bench\n"
            "dfs.namenode.name.dir = %s/name\n"
            "dfs.namenode.rpc-address = %s\n"
            "dfs.namenode.http-address = 127.0.0.1:0\n"
            "log.level = warn\n"
            "dfs.namenode.safemode.extension = 0\n"
            "dfs.namenode.safemode.threshold-pct = 0\n"
            "dfs.namenode.socket.path = %s\n"
            "dfs.namenode.resource.du.reserved = 0\n",
            server->dir, server->address, server->socket);
    fclose(f);
}

/* build/FLAVOUR/tests/bench/nn_bench -> build/FLAVOUR/quern-namenode */
static void find_namenode(char out[600])
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        die("/proc/self/exe", strerror(errno));
    self[n] = 0;
    for (int up = 0; up < 3 && strrchr(self, '/'); up++)
        *strrchr(self, '/') = 0;
    snprintf(out, 600, "%s/quern-namenode", self);
}

void server_make(struct server *server, const char *below)
{
    char program[600], conf[300];
    int status = 0;
    find_namenode(program);
    snprintf(server->dir, sizeof(server->dir), "%.200s/nn_bench.XXXXXX", below);
    if (!mkdtemp(server->dir))
        die(server->dir, strerror(errno));
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%d", 20000 + getpid() % 20000);
    snprintf(server->socket, sizeof(server->socket), "%s/s", server->dir);
    snprintf(conf, sizeof(conf), "%s/quern.conf", server->dir);
    write_conf(server, conf);
    const char *format[] = {program, "-conf", conf, "-format", NULL};
    if (waitpid(spawn(format), &status, 0) < 0 || status != 0)
        die(program, "cannot format");
}

void server_start(struct server *server)
{
    char program[600], conf[300], ready[32], line[600] = "";
    int fds[2];
    find_namenode(program);
    if (pipe(fds) != 0)
        die("pipe", strerror(errno));
    snprintf(conf, sizeof(conf), "%s/quern.conf", server->dir);
    snprintf(ready, sizeof(ready), "%d", fds[1]);
    const char *serve[] = {program, "-conf", conf, "--ready-fd", ready, NULL};
    server->pid = spawn(serve);
    close(fds[1]);
    if (read(fds[0], line, sizeof(line) - 1) <= 0 || strncmp(line, "ok", 2) != 0)
        die(program, line[0] ? line : "does not start");
    close(fds[0]);
}

void server_stop(struct server *server)
{
    if (!server->pid)
        return;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void server_remove(struct server *server)
{
    char command[400];
    if (!server->dir[0])
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", server->dir);
    if (system(command) != 0)
        fprintf(stderr, "%s was left behind\n", server->dir);
}

uint64_t server_cpu_us(const struct server *server)
{
    char path[64], line[1024] = "";
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)server->pid);
    FILE *f = server->pid ? fopen(path, "r") : NULL;
    if (!f)
        return 0;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                        &system) != 2)
        return 0;
    return (user + system) * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}
