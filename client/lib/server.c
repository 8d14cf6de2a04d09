/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/server.h"

#include "client/lib/handle.h"

static int ask(struct qn_fs *fs, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_server_info info = {0};
    const struct msg_void nothing = {0};
    int rc = cl_ask(fs, CL2NN_AT_SERVER_INFO, &nothing, &arena, &info, err);
    if (rc == 0) {
        mutex_lock(&fs->lock);
        if (info.trash_interval_ms)
            fs->trash_ms = info.trash_interval_ms;
        fs->knows_trash = true;
        mutex_unlock(&fs->lock);
    }
    arena_release(&arena);
    return rc;
}

int cl_trash_interval(struct qn_fs *fs, uint64_t *ret_ms, struct qn_error *error)
{
    struct err err;
    mutex_lock(&fs->lock);
    bool known = fs->knows_trash;
    mutex_unlock(&fs->lock);
    int rc = known ? 0 : ask(fs, &err);
    mutex_lock(&fs->lock);
    *ret_ms = fs->trash_ms;
    mutex_unlock(&fs->lock);
    return (int)cl_edge(rc, &err, error);
}
