/* SPDX-License-Identifier: Apache-2.0
 * command: the entry point of each area of the `quern` program. argv[0] is the command as typed
 * ("up"); the result is the exit code: 0, 1 failed, 2 usage, unless the area has its own (fs has
 * Hadoop's, run has 3, 75 and 130). A command prints its own errors, one line, "quern up: ...", and
 * answers --help. An area adds its prototype here and its row in main.c. */
#ifndef QUERN_CLIENT_COMMAND_H
#define QUERN_CLIENT_COMMAND_H

#define EXIT_USAGE 2

int cmd_fs(int argc, char **argv);
int cmd_distcp(int argc, char **argv);
int cmd_admin(int argc, char **argv);
int cmd_fsck(int argc, char **argv);
int cmd_balancer(int argc, char **argv);
int cmd_diskbalancer(int argc, char **argv);
int cmd_getconf(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_job(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_queue(int argc, char **argv);

#endif
