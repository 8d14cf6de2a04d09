/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/event/resolve.h"

#include "libcommon/base/mem.h"
#include "libcommon/event/loop_inside.h"
#include "libcommon/event/thread.h"

struct resolve {
    struct thread thread;
    struct loop *loop;
    struct loop_task task;
    resolve_fn *done; /* NULL when nobody waits for it any more */
    void *arg;
    struct sock_addr addr;
    int code;
    char address[];
};

static void on_resolved(void *arg)
{
    struct resolve *resolve = arg;
    thread_join(&resolve->thread);
    loop_unhold(resolve->loop);
    if (resolve->done)
        resolve->done(resolve->arg, resolve->code, &resolve->addr);
    mem_free(resolve);
}

static void resolve_main(void *arg)
{
    struct resolve *resolve = arg;
    resolve->code = sock_resolve(resolve->address, false, &resolve->addr, NULL);
    loop_post(resolve->loop, &resolve->task, on_resolved, resolve);
}

int resolve_start(struct loop *loop, const char *address, resolve_fn *done, void *arg,
                  struct resolve **ret, struct err *err)
{
    size_t len = strlen(address) + 1;
    struct resolve *resolve = mem_calloc(1, sizeof(*resolve) + len);
    if (!resolve)
        return err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", address);
    memcpy(resolve->address, address, len);
    resolve->loop = loop;
    resolve->done = done;
    resolve->arg = arg;
    int rc = thread_start(&resolve->thread, "resolve", resolve_main, resolve, err);
    if (rc != 0) {
        mem_free(resolve);
        return rc;
    }
    loop_hold(loop);
    *ret = resolve;
    return 0;
}

void resolve_forget(struct resolve *resolve)
{
    resolve->done = NULL;
}
