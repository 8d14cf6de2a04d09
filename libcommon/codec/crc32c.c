/* SPDX-License-Identifier: Apache-2.0
 * ISA-L picks the best instructions at run time; its crc32_iscsi leaves both inversions to us and
 * counts in int. */
#include "libcommon/codec/crc32c.h"

#include <isa-l/crc.h>

#define STEP_MAX ((size_t)1 << 30)

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    /* ISA-L forgot a const; it only reads. */
    unsigned char *p = (unsigned char *)(uintptr_t)data;
    uint32_t state = ~crc;
    while (len) {
        size_t step = len < STEP_MAX ? len : STEP_MAX;
        state = crc32_iscsi(p, (int)step, state);
        p += step;
        len -= step;
    }
    return ~state;
}
