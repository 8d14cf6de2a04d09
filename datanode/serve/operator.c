/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/operator.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#define TEXT_MAX   16384
#define GROUPS_MAX 256

static bool is_in_group(const char *user, const char *group)
{
    char text[TEXT_MAX];
    struct passwd pw, *found = NULL;
    struct group gr, *wanted = NULL;
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;
    if (getgrnam_r(group, &gr, text, sizeof(text), &wanted) != 0 || !wanted)
        return false;
    gid_t gid = wanted->gr_gid;
    if (getpwnam_r(user, &pw, text, sizeof(text), &found) != 0 || !found ||
        getgrouplist(user, found->pw_gid, groups, &count) < 0)
        return false;
    for (int i = 0; i < count; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

bool dn_operator_is(const struct dn_serve *serve, struct dn_session *session)
{
    char own[HELLO_TEXT_MAX + 1];
    identity_user_of(geteuid(), own, sizeof(own));
    if (strcmp(session->user, own) == 0 || is_in_group(session->user, serve->conf.supergroup))
        return true;
    dn_session_fail(session, ERR_ACCESS,
                    "Access denied for user %s. Superuser privilege is required", session->user);
    return false;
}

void dn_serve_reconfig(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct msg_reconfig *wish = ask;
    struct msg_reconfigured answer = {0};
    struct err err = {0};
    if (!dn_operator_is(serve, session))
        return;
    int rc = serve->conf.reconfig ? serve->conf.reconfig(serve->conf.arg, wish->action,
                                                         &session->arena, &answer, &err)
                                  : err_set(&err, ERR_UNSUPPORTED, "nothing can be changed here");
    if (rc != 0)
        dn_session_fail(session, rc, "%s", err.msg);
    else
        dn_session_answer(session, &answer);
}
