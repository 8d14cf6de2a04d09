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

int job_check_words(const struct job_plugin *plugin, const char *const *words, size_t count,
                    struct err *err)
{
    struct msg_pair *pairs = mem_calloc(count + 1, sizeof(*pairs));
    size_t n = 0;
    if (!pairs)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i] + 1 + (words[i][1] == '-');
        bool is_define = words[i][0] == '-' && word[0] == 'D';
        const char *define = !is_define ? NULL : word[1] ? word + 1 : words[++i];
        const char *equals = define ? strchr(define, '=') : NULL;
        if (equals)
            pairs[n++] = (struct msg_pair){slice_of(define, (size_t)(equals - define)),
                                           slice_str(equals + 1)};
    }
    int rc = job_check(plugin, &(struct msg_pair_list){pairs, n}, err);
    mem_free(pairs);
    return rc;
}
