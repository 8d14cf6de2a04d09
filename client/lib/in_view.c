/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/stream_in_inside.h"

#define VIEW_MAX      (8U << 20)
#define VIEW_COPY_MAX (1U << 20)

/* Pages of a replica on this node; false: there is none that would do. */
static bool view_local(struct cl_in *in, const struct cl_block *block, uint64_t off, size_t size,
                       struct qn_view *ret)
{
    struct cl_local *local = NULL;
    for (uint32_t i = 0; i < block->node_count; i++) {
        const struct msg_node *node = block->nodes[i];
        if (!cl_is_local(in->fs, node) || cl_is_dead(in->fs, node->name) ||
            cl_in_is_bad(in, block, node))
            continue;
        int rc = cl_locals_take(&in->locals, in->fs, node, block, &local, NULL);
        if (rc != 0)
            return false;
        rc = cl_local_view(local, size, off, ret, NULL);
        cl_locals_give(&in->locals, local, rc == 0);
        if (rc == ERR_CHECKSUM || rc == ERR_TIMEOUT)
            cl_in_blame(in, block, node, rc);
        return rc == 0;
    }
    return false;
}

static int view_copy(struct cl_in *in, uint64_t offset, size_t size, struct qn_view *ret,
                     struct err *err)
{
    size = size < VIEW_COPY_MAX ? size : VIEW_COPY_MAX;
    void *copy = mem_alloc(size);
    if (!copy)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    ssize_t n = cl_in_pread(in, copy, size, offset, err);
    if (n < 0) {
        mem_free(copy);
        return (int)n;
    }
    *ret = (struct qn_view){copy, (size_t)n, true, copy, size};
    return 0;
}

int cl_in_view(struct cl_in *in, uint64_t offset, size_t most, struct qn_view *ret, struct err *err)
{
    struct cl_block block;
    *ret = (struct qn_view){0};
    if (offset >= in->length || most == 0)
        return 0;
    int rc = cl_in_find_block(in, offset, &block, err);
    if (rc != 0)
        return rc;
    uint64_t end = block.offset + block.len;
    uint64_t left = (end < in->length ? end : in->length) - offset;
    size_t size = most < VIEW_MAX ? most : VIEW_MAX;
    size = size < left ? size : (size_t)left;
    if (view_local(in, &block, offset - block.offset, size, ret))
        return 0;
    return view_copy(in, offset, size, ret, err);
}
