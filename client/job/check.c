/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/check.h"

#include "client/job/task_child.h"
#include "libcommon/proto/task/messages.h"

static bool has_own(const struct task_probe *probe, const struct msg_pair_list *settings)
{
    for (size_t i = 0; i < settings->n; i++)
        for (size_t k = 0; k < probe->options.n; k++)
            if (slice_eq(settings->v[i].key, probe->options.v[k].name))
                return true;
    return false;
}

int job_check(const struct job_plugin *plugin, const struct msg_pair_list *settings,
              struct err *err)
{
    const struct task_run run = {.job_name = plugin->probe.name,
                                 .plugin = slice_str(plugin->path),
                                 .conf = *settings,
                                 .partitions = 1,
                                 .maps = 1};
    struct buf order = BUF_INIT, nothing = BUF_INIT;
    if (!plugin->probe.has_check || !has_own(&plugin->probe, settings))
        return 0;
    msg_encode(&task_run_desc, &run, &order);
    const struct task_child child = {.option = "-check",
                                     .input = buf_slice(&order),
                                     .doing = "while its options were looked at",
                                     .name = plugin->path};
    int rc = buf_failed(&order) ? err_set(err, ERR_NOMEM, "out of memory")
                                : task_child_ask(&child, &nothing, err);
    if (rc == ERR_PLUGIN)
        rc = err->code = ERR_CONFIG;
    buf_release(&order);
    buf_release(&nothing);
    return rc;
}
