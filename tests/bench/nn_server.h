/* SPDX-License-Identifier: Apache-2.0
 * nn_server: a namenode of the same build, to be measured: a process of its own with a fresh name
 * directory. Nothing here returns when it fails. */
#ifndef QUERN_BENCH_NN_SERVER_H
#define QUERN_BENCH_NN_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct server {
    pid_t pid; /* 0 = none of ours */
    char dir[256];
    char address[64];
    char socket[300];
};

__attribute__((noreturn)) void die(const char *what, const char *why);

/* A directory below that one, with its configuration and an empty name directory (dir/name). */
void server_make(struct server *server, const char *below);
void server_start(struct server *server); /* returns when it serves */
void server_stop(struct server *server);
void server_remove(struct server *server);
/* CPU time it has taken so far; 0 when it is not ours. A number that stays the same on a machine
 * that is busy with other things. */
uint64_t server_cpu_us(const struct server *server);

#endif
