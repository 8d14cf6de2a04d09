/* SPDX-License-Identifier: Apache-2.0
 * -refreshX: what a running namenode reads again. Most of what Hadoop keeps beside its
 * configuration is not there (service lists, proxy users, a call queue): then there is nothing that
 * could be out of date, and the answer is Hadoop's for that case. */
#include "client/admin/commands.h"

/* Hadoop's word when hadoop.security.authorization is off, which it is by default. */
int admin_refresh_acl(struct session *session, int argc, char **argv)
{
    (void)argc;
    if (session_connect(session, argv[0]) != 0)
        return ADMIN_FAILED;
    return session_fail(argv[0], ADMIN_FAILED, "Service Level Authorization not enabled!");
}

int admin_refresh_groups(struct session *session, int argc, char **argv)
{
    const struct msg_void ask = {0};
    struct arena arena = ARENA_INIT;
    (void)argc;
    int rc = admin_ask(session, argv[0], CL2NN_AT_REFRESH_GROUPS, &ask, &arena, NULL);
    arena_release(&arena);
    if (rc == 0)
        puts("Refresh user to groups mapping successful");
    return rc;
}

/* Nothing is kept, so nothing is done, and whoever asks may ask. */
static int nothing_to_do(struct session *session, const char *what, const char *done)
{
    if (session_connect(session, what) != 0)
        return ADMIN_FAILED;
    puts(done);
    return 0;
}

int admin_refresh_proxies(struct session *session, int argc, char **argv)
{
    (void)argc;
    return nothing_to_do(session, argv[0], "Refresh super user groups configuration successful");
}

int admin_refresh_queue(struct session *session, int argc, char **argv)
{
    (void)argc;
    return nothing_to_do(session, argv[0], "Refresh call queue successful");
}

/* No daemon has resources that are refreshed by a name of their own; Hadoop's have none either,
 * unless a plugin brings one. */
int admin_refresh(struct session *session, int argc, char **argv)
{
    (void)session, (void)argc, (void)argv;
    puts("Failed to get response.\n");
    return ADMIN_FAILED;
}

/* A datanode serves one namespace here: there are no block pools to take up or give up. */
int admin_refresh_namenodes(struct session *session, int argc, char **argv)
{
    (void)session, (void)argc;
    return session_fail(
        argv[0], ADMIN_FAILED,
        "a datanode serves one namenode, fs.defaultFS of its configuration: restart "
        "it to follow another address");
}

int admin_delete_pool(struct session *session, int argc, char **argv)
{
    (void)session;
    if (argc > 3 && strcmp(argv[3], "force") != 0)
        return ADMIN_USAGE;
    return session_fail(argv[0], ADMIN_FAILED,
                        "there are no block pools: a datanode belongs to one cluster");
}
