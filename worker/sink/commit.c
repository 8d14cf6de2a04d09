/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/commit.h"

#include "libcommon/base/clock.h"
#include "worker/sink/output.h"
#include "worker/sink/sink.h"

void commit_line(const struct task_file *file, struct buf *out)
{
    buf_printf(out, SLICE_FMT "\t%llu\t%llu\t%08x", SLICE_ARG(file->name),
               (unsigned long long)file->len, (unsigned long long)file->records, file->crc);
}

static int write_lines(struct context *c, struct slice buffer, const char *path,
                       struct task_file *file, struct err *why)
{
    struct sink sink;
    const struct msg_strs *lines = &c->run->manifest;
    const struct sink_how how = {.create = output_create(c), .skips_empty = c->run->fs_uri.len > 0};
    int rc = sink_open(&sink, c->files, path, &how, buffer, why);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < lines->n; i++) {
        (void)sink_write(&sink, lines->v[i]); /* errors stick until finish */
        (void)sink_write(&sink, slice_str("\n"));
    }
    rc = sink_finish(&sink, file, why);
    file->records = lines->n;
    return rc;
}

int commit_run(struct context *c, struct region *region, struct task_done *done)
{
    uint64_t start = clock_mono_us();
    struct err why;
    struct task_file *file = arena_calloc(&c->arena, 1, sizeof(*file));
    void *buffer = region_take(region, SINK_BUFFER);
    char *path = slice_dup(c->run->out);
    int rc = file && buffer && path ? 0 : err_set(&why, ERR_NOMEM, "out of memory");
    context_phase(c, PROGRESS_WRITE);
    if (rc == 0) {
        *file = (struct task_file){.path = c->run->out, .name = c->run->out_name};
        rc = write_lines(c, slice_of(buffer, SINK_BUFFER), path, file, &why);
    }
    mem_free(path);
    if (rc != 0)
        return context_fail_engine(c, &why);
    done->files = (struct task_file_list){file, 1};
    done->times.total = done->times.commit = clock_mono_us() - start;
    return 0;
}
