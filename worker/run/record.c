/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/record.h"

/* Bytes of the varint, 0 = cut short, SIZE_MAX = none. */
static size_t length_at(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
    size_t left = (size_t)(end - p);
    size_t n = get_varint(p, left < 5 ? left : 5, ret);
    if (n == 0)
        return left < 5 ? 0 : SIZE_MAX;
    return *ret > RECORD_LEN_MAX ? SIZE_MAX : n;
}

const uint8_t *record_parse_slow(const uint8_t *p, const uint8_t *end, struct slice *ret_key,
                                 struct slice *ret_value, uint64_t *ret_need)
{
    uint64_t key_len = 0, value_len = 0;
    size_t a = length_at(p, end, &key_len), b = 0;
    if (a != 0 && a != SIZE_MAX)
        b = length_at(p + a, end, &value_len);
    *ret_need = a == SIZE_MAX || b == SIZE_MAX ? UINT64_MAX : 0;
    if (a == 0 || a == SIZE_MAX || b == 0 || b == SIZE_MAX)
        return NULL;
    *ret_need = a + b + key_len + value_len;
    if ((uint64_t)(end - p) < *ret_need)
        return NULL;
    *ret_key = slice_of(p + a + b, (size_t)key_len);
    *ret_value = slice_of(p + a + b + key_len, (size_t)value_len);
    return p + *ret_need;
}
