/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/writing.h"

#include <stdatomic.h>

#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

struct dn_writing {
    _Atomic unsigned refs;
    struct mutex lock;
    struct dn_blockfile *file;
    struct dn_visible visible;
};

struct dn_writing *dn_writing_new(void)
{
    struct dn_writing *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    atomic_init(&w->refs, 1);
    mutex_init(&w->lock);
    w->visible.has_tail_sum = true;
    return w;
}

struct dn_writing *dn_writing_ref(struct dn_writing *writing)
{
    atomic_fetch_add(&writing->refs, 1);
    return writing;
}

void dn_writing_unref(struct dn_writing *writing)
{
    if (!writing || atomic_fetch_sub(&writing->refs, 1) != 1)
        return;
    dn_blockfile_close(writing->file);
    mutex_release(&writing->lock);
    mem_free(writing);
}

void dn_writing_open(struct dn_writing *writing, struct dn_blockfile *file,
                     const struct dn_visible *visible)
{
    mutex_lock(&writing->lock);
    BUG_ON(writing->file != NULL);
    writing->file = file;
    writing->visible = *visible;
    writing->visible.has_tail_sum = true;
    mutex_unlock(&writing->lock);
}

void dn_writing_show(struct dn_writing *writing, uint64_t len, uint32_t tail_sum)
{
    mutex_lock(&writing->lock);
    writing->visible.len = len;
    writing->visible.tail_sum = tail_sum;
    mutex_unlock(&writing->lock);
}

const struct dn_blockfile *dn_writing_look(struct dn_writing *writing, struct dn_visible *ret)
{
    mutex_lock(&writing->lock);
    const struct dn_blockfile *file = writing->file;
    *ret = writing->visible;
    mutex_unlock(&writing->lock);
    return file;
}
