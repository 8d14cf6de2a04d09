/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/region.h"

#include <errno.h>
#include <sys/mman.h>

#define ALIGN 64U
#define HUGE  ((size_t)2 << 20)

int region_reserve(struct region *region, size_t size, struct err *err)
{
    size = (size + HUGE - 1) & ~(HUGE - 1);
    region->used = 0;
    if (region->size >= size)
        return 0;
    region_release(region);
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return err_set(err, ERR_NOMEM, "cannot reserve %zu MiB for the task: %s", size >> 20,
                       err_text(err_from_errno(errno)));
    *region = (struct region){.base = base, .size = size};
    return 0;
}

/* A hint only: small pages work too, at half the speed of a first touch. A piece begins with small
 * ones, for a task of little data would clear megabytes for nothing. */
static void use_huge_pages(uint8_t *piece, size_t size)
{
    uintptr_t from = ((uintptr_t)piece + HUGE) & ~(HUGE - 1), end = (uintptr_t)piece + size;
    if (end > from + HUGE)
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE);
}

void *region_take(struct region *region, size_t size)
{
    if (size > region_left(region))
        return NULL;
    uint8_t *piece = region->base + region->used;
    region->used += (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    use_huge_pages(piece, size);
    return piece;
}

size_t region_left(const struct region *region)
{
    return region->size - region->used;
}

void region_give_back_rest(struct region *region)
{
    const size_t page = 4096, from = (region->used + page - 1) & ~(page - 1);
    if (from < region->size)
        (void)madvise(region->base + from, region->size - from, MADV_DONTNEED);
}

void region_reset(struct region *region)
{
    region->used = 0;
}

void region_release(struct region *region)
{
    if (region->base)
        munmap(region->base, region->size);
    *region = REGION_INIT;
}
