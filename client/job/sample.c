/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/sample.h"

#include <errno.h>
#include <stdlib.h>

#include "client/job/task_child.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* All paths are absolute: it works elsewhere. */
static int describe(const struct job_sample *sample, const char *plugin, const char *conf_file,
                    struct slice *dir, struct buf *ret, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_run run = {.kind = TASK_SAMPLE,
                           .job_name = slice_str("sample"),
                           .plugin = slice_str(plugin),
                           .conf = *sample->settings,
                           .partitions = 1,
                           .maps = 1,
                           .fs_uri = slice_str(sample->fs_uri),
                           .local_dirs = {dir, 1},
                           .memory = conf_size(sample->conf, "mapreduce.map.memory.mb"),
                           .conf_file = slice_str(conf_file ? conf_file : ""),
                           .sides = *sample->sides};
    struct split split;
    int rc = splits_sample(sample->inputs->files, sample->inputs->count, &arena, &split);
    if (rc == 0)
        rc = job_inputs_describe(sample->inputs, &split, &arena, &run.input);
    if (rc == 0)
        msg_encode(&task_run_desc, &run, ret);
    arena_release(&arena);
    return rc != 0 || buf_failed(ret) ? no_memory(err) : 0;
}

static char *make_dir(struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = str_printf("%s/quern-sample-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
    if (!dir)
        no_memory(err);
    else if (!mkdtemp(dir)) {
        err_errno(err, errno, "%s", dir);
        mem_free(dir);
        dir = NULL;
    }
    return dir;
}

int job_sample_take(const struct job_sample *sample, struct buf *ret, struct err *err)
{
    struct buf order = BUF_INIT;
    char *dir = make_dir(err);
    if (!dir)
        return err->code;
    struct slice where = slice_str(dir);
    char *plugin = realpath(sample->plugin, NULL);
    char *conf_file = sample->conf_file ? realpath(sample->conf_file, NULL) : NULL;
    int rc = plugin ? describe(sample, plugin, conf_file, &where, &order, err)
                    : err_errno(err, errno, "%s", sample->plugin);
    if (rc == 0) {
        const struct task_child child = {.option = "-sample",
                                         .input = buf_slice(&order),
                                         .doing = "while a sample of its keys was taken",
                                         .name = sample->plugin};
        rc = task_child_ask(&child, ret, err);
    }
    free(plugin);
    free(conf_file);
    buf_release(&order);
    (void)fsutil_remove_tree(disk_real(), dir, NULL); /* in /tmp: nobody misses it */
    mem_free(dir);
    return rc;
}
