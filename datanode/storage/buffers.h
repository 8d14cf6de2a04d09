/* SPDX-License-Identifier: Apache-2.0
 * buffers: the big buffers that block bytes pass through. Memory that was given back to the system
 * and is touched again costs more than the copy it is wanted for, on virtual machines many times
 * more. So buffers are mapped once, take up memory as far as they are touched, and are handed out
 * again, the last used first; as many as `keep` stay, until a trim finds that they were not needed.
 * Page-aligned. Thread-safe. */
#ifndef QUERN_DN_STORAGE_BUFFERS_H
#define QUERN_DN_STORAGE_BUFFERS_H

#include "libcommon/base/err.h"

struct dn_buffers;

/* Buffers of `bytes` (a multiple of 4096). NULL when memory is out. */
struct dn_buffers *dn_buffers_new(size_t bytes, unsigned keep);
/* All must have been put back. NULL is fine. */
void dn_buffers_free(struct dn_buffers *buffers);

/* Contents are anything. NULL when memory is out. */
uint8_t *dn_buffers_get(struct dn_buffers *buffers);
void dn_buffers_put(struct dn_buffers *buffers, uint8_t *buffer); /* NULL is fine */
/* To be called now and then: those that nobody wanted since the last time go back to the system.
 * Returns how many. */
unsigned dn_buffers_trim(struct dn_buffers *buffers);
unsigned dn_buffers_used(struct dn_buffers *buffers); /* handed out just now */

#endif
