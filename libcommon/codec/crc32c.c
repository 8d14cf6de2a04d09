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

/* Sums are polynomials over GF(2), bit 31 being x^0, modulo the Castagnoli polynomial. Appending n
 * bytes multiplies what came before by x^(8n); the inversions at both ends cancel out. */
#define POLYNOMIAL 0x82f63b78U
#define X_TO_0     0x80000000U
#define X_TO_8     0x00800000U

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = X_TO_0; bit; bit >>= 1) {
        product ^= b & (0U - ((a & bit) != 0));
        b = (b >> 1) ^ (POLYNOMIAL & (0U - (b & 1)));
    }
    return product;
}

uint32_t crc32c_shift(uint64_t len)
{
    uint32_t shift = X_TO_0, square = X_TO_8;
    for (; len; len >>= 1) {
        if (len & 1)
            shift = multiply(square, shift);
        square = multiply(square, square);
    }
    return shift;
}

uint32_t crc32c_join(uint32_t crc_a, uint32_t crc_b, uint32_t shift_b)
{
    return multiply(shift_b, crc_a) ^ crc_b;
}
