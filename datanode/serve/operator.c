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

/* ---- LEVEL ---- */

static int list_dirs(const struct dn_volumes *volumes, struct arena *arena,
                     struct data_level_dir_list *ret)
{
    ret->v = arena_calloc(arena, volumes->count + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < volumes->count; i++) {
        const struct dn_volume *v = volumes->v[i];
        if (v->is_removed)
            continue;
        ret->v[ret->n++] = (struct data_level_dir){.path = slice_str(v->path),
                                                   .media = slice_str(dn_media_name(v->media)),
                                                   .id = slice_str(v->version.storage_id),
                                                   .has_failed = atomic_load(&v->has_failed),
                                                   .used = v->used,
                                                   .remaining = dn_volumes_remaining(volumes, v)};
    }
    return 0;
}

void dn_serve_level(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct data_level *wish = ask;
    struct dn_level *level = serve->conf.level;
    struct err err = {0};
    int rc = 0;
    if (!dn_operator_is(serve, session))
        return;
    if (!level) {
        dn_session_fail(session, ERR_UNSUPPORTED, "nothing is moved here");
        return;
    }
    const struct dn_level_wish what = {wish->bytes_per_s, wish->threshold};
    if (wish->action == DATA_LEVEL_EXECUTE)
        rc = dn_level_start(level, &what, &err);
    else if (wish->action == DATA_LEVEL_CANCEL)
        dn_level_cancel(level);
    struct dn_level_state state = dn_level_state(level, wish->threshold);
    struct data_leveling answer = {.is_running = state.is_running,
                                   .was_cancelled = state.was_cancelled,
                                   .started_ms = state.started_ms,
                                   .finished_ms = state.finished_ms,
                                   .blocks = state.blocks,
                                   .bytes = state.bytes,
                                   .errors = state.errors,
                                   .bytes_left = state.bytes_left};
    if (rc == 0 && list_dirs(serve->conf.storage->volumes, &session->arena, &answer.dirs) != 0)
        rc = err_set(&err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        dn_session_fail(session, rc, "%s", err.msg);
    else
        dn_session_answer(session, &answer);
}

/* ---- MANAGE ---- */

void dn_serve_manage(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct data_manage *wish = ask;
    struct data_managed answer = {0};
    struct err err = {0};
    if (wish->action != DATA_MANAGE_INFO && !dn_operator_is(serve, session))
        return;
    int rc = serve->conf.manage
                 ? serve->conf.manage(serve->conf.arg, wish->action, &session->arena, &answer, &err)
                 : err_set(&err, ERR_UNSUPPORTED, "nobody answers that here");
    if (rc != 0)
        dn_session_fail(session, rc, "%s", err.msg);
    else
        dn_session_answer(session, &answer);
}
