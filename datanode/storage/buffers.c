/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/buffers.h"

#include <sys/mman.h>

#include "libcommon/base/mem.h"
#include "libcommon/event/thread.h"

struct dn_buffers {
    struct mutex lock;
    size_t bytes;
    unsigned keep, kept, used;
    unsigned unwanted; /* the least `kept` has been since the last trim */
    uint8_t *spare[];  /* a stack of `kept`; the unwanted lie at the bottom */
};

struct dn_buffers *dn_buffers_new(size_t bytes, unsigned keep)
{
    struct dn_buffers *b = mem_calloc(1, sizeof(*b) + keep * sizeof(b->spare[0]));
    if (!b)
        return NULL;
    mutex_init(&b->lock);
    b->bytes = bytes;
    b->keep = keep;
    return b;
}

void dn_buffers_free(struct dn_buffers *buffers)
{
    if (!buffers)
        return;
    BUG_ON(buffers->used != 0);
    for (unsigned i = 0; i < buffers->kept; i++)
        munmap(buffers->spare[i], buffers->bytes);
    mutex_release(&buffers->lock);
    mem_free(buffers);
}

uint8_t *dn_buffers_get(struct dn_buffers *buffers)
{
    uint8_t *buffer = NULL;
    mutex_lock(&buffers->lock);
    if (buffers->kept > 0)
        buffer = buffers->spare[--buffers->kept];
    if (buffers->unwanted > buffers->kept)
        buffers->unwanted = buffers->kept;
    buffers->used++;
    mutex_unlock(&buffers->lock);
    if (buffer)
        return buffer;
    void *fresh =
        mmap(NULL, buffers->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh != MAP_FAILED)
        return fresh;
    mutex_lock(&buffers->lock);
    buffers->used--;
    mutex_unlock(&buffers->lock);
    return NULL;
}

void dn_buffers_put(struct dn_buffers *buffers, uint8_t *buffer)
{
    if (!buffer)
        return;
    bool is_kept = false;
    mutex_lock(&buffers->lock);
    buffers->used--;
    if (buffers->kept < buffers->keep) {
        buffers->spare[buffers->kept++] = buffer;
        is_kept = true;
    }
    mutex_unlock(&buffers->lock);
    if (!is_kept)
        munmap(buffer, buffers->bytes);
}

unsigned dn_buffers_trim(struct dn_buffers *buffers)
{
    mutex_lock(&buffers->lock);
    unsigned n = buffers->unwanted;
    for (unsigned i = 0; i < n; i++)
        munmap(buffers->spare[i], buffers->bytes);
    buffers->kept -= n;
    memmove(buffers->spare, buffers->spare + n, buffers->kept * sizeof(buffers->spare[0]));
    buffers->unwanted = buffers->kept;
    mutex_unlock(&buffers->lock);
    return n;
}

unsigned dn_buffers_used(struct dn_buffers *buffers)
{
    mutex_lock(&buffers->lock);
    unsigned used = buffers->used;
    mutex_unlock(&buffers->lock);
    return used;
}
