/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/key.h"

const uint64_t key_masks[9] = {0,
                               UINT64_MAX >> 56,
                               UINT64_MAX >> 48,
                               UINT64_MAX >> 40,
                               UINT64_MAX >> 32,
                               UINT64_MAX >> 24,
                               UINT64_MAX >> 16,
                               UINT64_MAX >> 8,
                               UINT64_MAX};

#define SIGN    0x8000000000000000ULL
#define F64_INF 0x7ff0000000000000ULL
#define F64_NAN 0x7ff8000000000000ULL

static uint64_t f64_store(uint64_t bits)
{
    if ((bits & ~SIGN) > F64_INF)
        bits = F64_NAN;
    else if (bits == SIGN)
        bits = 0;
    return bits & SIGN ? ~bits : bits | SIGN;
}

uint64_t key_bits_store(enum qn_type type, uint64_t bits)
{
    if (type == QN_I64)
        return bits ^ SIGN;
    return type == QN_F64 ? f64_store(bits) : bits;
}

uint64_t key_bits_restore(enum qn_type type, uint64_t bits)
{
    if (type == QN_I64)
        return bits ^ SIGN;
    if (type != QN_F64)
        return bits;
    return bits & SIGN ? bits ^ SIGN : ~bits;
}

const char *key_type_name(enum qn_type type)
{
    static const char *const names[] = {"unset",  "QN_TEXT", "QN_BYTES", "QN_U64",
                                        "QN_I64", "QN_F64",  "QN_NONE"};
    return (unsigned)type < ARRAY_LEN(names) ? names[type] : "?";
}
