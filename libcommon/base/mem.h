/* SPDX-License-Identifier: Apache-2.0
 * mem: allocation that can be made to fail, and arenas for things that die together.
 *
 * mem_alloc and friends return NULL when memory is out; callers answer ERR_NOMEM. A test arms
 * mem_fail_after(n) to make the n-th following allocation fail, so that every such path is walked;
 * in a whole daemon the fault point mem.alloc (fault.h) does, over all threads.
 * An arena hands out bytes that live until arena_reset or arena_release; decoded messages use one.
 */
#ifndef QUERN_BASE_MEM_H
#define QUERN_BASE_MEM_H

#include "libcommon/base/err.h"

void *mem_alloc(size_t size);                /* 64 KiB and more: at a cache line's start */
void *mem_calloc(size_t count, size_t size); /* zeroed; checks the product */
void *mem_realloc(void *ptr, size_t size);   /* ptr stays valid on failure */
void *mem_realloc_array(void *ptr, size_t count, size_t size); /* checks the product */
void mem_free(void *ptr);                                      /* NULL is fine */

/* Zeroed pages of the kernel's, for what grows to gigabytes and is read at random: with `huge` they
 * are asked for in 2 MiB pieces, which saves most TLB misses (on virtual machines a factor of two)
 * but costs 2 MiB at the first touch. `size` > 0; give the same one back. */
void *mem_map(size_t size, bool huge);
void mem_unmap(void *ptr, size_t size); /* NULL is fine */

/* The n-th allocation from now (1 = the next) fails once; 0 disarms. Per thread. */
void mem_fail_after(uint64_t n);
/* The same, and all after it fail too, until disarmed. */
void mem_fail_from(uint64_t n);
/* Has the armed failure happened since the last mem_fail_after or mem_fail_from? */
bool mem_has_failed(void);

/* For what must not fail once it is begun (a change that is in the journal already): memory set
 * aside beforehand. It is address space until it is needed, nothing more.
 *
 *     if (!mem_reserve_fill(BYTES)) return ERR_NOMEM;      nothing has been done yet
 *     ... journal it ...
 *     bool before = mem_reserve_use(true);  apply it;  mem_reserve_use(before);
 *
 * In between an allocation of this thread that fails gives the reserve back to the system and is
 * tried again. One reserve a process, for one thread (a daemon's loop). */
bool mem_reserve_fill(size_t size); /* false: there is none and none to be had */
bool mem_reserve_use(bool may);     /* for this thread; returns what was so before */
void mem_reserve_release(void);

/* Make room for one more element in a growing array: doubles *cap when used == *cap. `items` is
 * the address of the array pointer. Returns 0 or ERR_NOMEM (array unchanged). */
int mem_grow(void *items, size_t *cap, size_t used, size_t elem_size);

struct arena {
    struct arena_chunk *head;
    size_t used;  /* in head */
    size_t total; /* bytes handed out since the last reset */
};
#define ARENA_INIT ((struct arena){0})

/* 16-byte aligned, not zeroed; NULL when memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);
void arena_reset(struct arena *arena);   /* forget all, keep one chunk */
void arena_release(struct arena *arena); /* give everything back */

#endif
