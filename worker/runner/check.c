/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/check.h"

#include <stdio.h>
#include <unistd.h>

#include "worker/plugin/context.h"
#include "worker/runner/order.h"

static int check(const struct plugin *plugin, const struct task_run *run, bool is_first,
                 struct err *err)
{
    static struct progress_page page;
    struct context c;
    int rc =
        context_open(&c, &(struct context_conf){.plugin = plugin, .run = run, .page = &page}, err);
    if (rc != 0)
        return rc;
    rc = context_check_call(&c, is_first);
    if (rc != 0)
        *err = c.failed;
    return rc;
}

/* What the job has allocated is freed by nobody. */
_Noreturn void check_main(void)
{
    struct buf order = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct plugin plugin = {0};
    struct task_run run;
    struct err err = {0};
    int rc = order_read(&order, &err);
    if (rc == 0)
        rc = msg_decode(&task_run_desc, buf_slice(&order), &arena, &run, &err);
    const char *path = rc == 0 ? slice_text(run.plugin, &arena) : NULL;
    if (rc == 0)
        rc = path ? plugin_load(&plugin, path, &err) : err_set(&err, ERR_NOMEM, "out of memory");
    for (const struct plugin *stage = &plugin; rc == 0 && stage; stage = stage->then)
        rc = check(stage, &run, stage == &plugin, &err);
    if (rc != 0)
        fprintf(stderr, "quern-task: %s\n", err.msg);
    fflush(NULL); /* what it printed, too */
    _exit(rc == 0 ? 0 : 1);
}
